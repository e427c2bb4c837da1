"""The questions about what drives purchases: a table, an answer and a picture each."""
