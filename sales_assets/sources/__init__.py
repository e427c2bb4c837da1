"""What sales files may look like: the Kaggle layout, and the sample that is built in."""
