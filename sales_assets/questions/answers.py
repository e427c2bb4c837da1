"""The answers of all questions, from the tables of an opened warehouse or snapshot."""

from typing import Any

import duckdb
import pandas as pd

from sales_assets.questions.question import Question
from sales_assets.questions.themes import THEMES
from sales_assets.warehouse import table_exists


def table_of(con: duckdb.DuckDBPyConnection, question: Question) -> pd.DataFrame:
    """Return a question's table as it stands, without rows where it was not made yet."""
    if not table_exists(con, question.table):
        return pd.DataFrame()
    return con.execute(f"select * from {question.table}").df()


def told(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return a row a question: its theme and answer, and how to read its table."""
    rows: list[dict[str, Any]] = []
    for theme, questions in THEMES.items():
        for question in questions:
            answer, is_answered = question.answered(table_of(con, question))
            rows.append(
                {
                    "place": len(rows) + 1,
                    "theme": theme,
                    "name": question.name,
                    "question": question.asks,
                    "answer": answer,
                    "is_answered": is_answered,
                    "caveats": question.caveats,
                    "one_row_is": question.meaning,
                }
            )
    return rows
