"""A question about what drives purchases: its table, its answer in words, its picture."""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pandas as pd

from sales_assets.errors import SalesError
from sales_assets.questions.picture import Picture
from sales_assets.settings import REPOSITORY
from sales_assets.warehouse import (
    create_table,
    headline,
    in_order,
    query,
    read_sql,
    replace_table,
)

# What most questions read.
SALES_AND_STORES = ("cleaned.sales", "cleaned.stores")
WITH_DEVIATIONS = (*SALES_AND_STORES, "insights.deviations")


# Tables that several questions are asked of: no questions themselves, made before them.
BASES = ("deviations", "store_levels")


class NoAnswerError(SalesError):
    """The data cannot tell; the message says what is missing."""


@dataclass(frozen=True)
class Question:
    """A table in the schema `insights`, and how to read it.

    Attributes:
        name: The table's name, that of its SQL file and the last part of its asset key.
        asks: The question, as a manager would put it.
        needs: What the data must hold for an answer; told where the table is empty.
        answer: The answer in a sentence or two, with numbers and units, from the table's rows.
            Raises `NoAnswerError` where the rows do not hold one.
        draw: The picture of the table's rows, of which there is at least one.
        caveats: What the numbers do not say, in a few sentences.
        reads: The tables that it is made from.
        compute: What makes the table where SQL alone cannot; None: `sql/insights/<name>.sql`.
        shows: Columns for the report's short table; none: all of them.
        says: What one row means; empty: the comment at the head of the SQL file.
    """

    name: str
    asks: str
    needs: str
    answer: Callable[[pd.DataFrame], str]
    draw: Callable[[pd.DataFrame], Picture]
    caveats: str
    reads: tuple[str, ...] = SALES_AND_STORES
    compute: Callable[[duckdb.DuckDBPyConnection], pd.DataFrame] | None = None
    shows: tuple[str, ...] = ()
    says: str = ""

    @property
    def table(self) -> str:
        """The table, with its schema."""
        return f"insights.{self.name}"

    @property
    def sql(self) -> str | None:
        """The SQL that the table is made by, or begins with; None where there is none."""
        name = f"insights/{self.name}"
        return read_sql(name) if (REPOSITORY / "sql" / f"{name}.sql").exists() else None

    @property
    def meaning(self) -> str:
        """What one row means."""
        return self.says or headline(f"insights/{self.name}")

    def make(self, con: duckdb.DuckDBPyConnection) -> int:
        """Replace the table in the warehouse and return its number of rows."""
        with in_order(con):
            if self.compute is None:
                return create_table(con, self.table, f"insights/{self.name}")
            return replace_table(con, self.table, self.compute(con))

    def rows(self, con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        """Return what the table would be, from what the warehouse holds."""
        with in_order(con):
            if self.compute is None:
                return query(con, f"insights/{self.name}").df()
            return self.compute(con)

    def answered(self, rows: pd.DataFrame) -> tuple[str, bool]:
        """Return the answer and True, or why there is none and False.

        Args:
            rows: The whole table, in its own order.
        """
        try:
            if rows.empty:
                raise NoAnswerError(f"it needs {self.needs}")
            return self.answer(rows), True
        except NoAnswerError as error:
            return f"No answer: {str(error).rstrip('.')}.", False


def make_base(con: duckdb.DuckDBPyConnection, name: str) -> int:
    """Replace one of `BASES` in the warehouse and return its number of rows."""
    with in_order(con):
        return create_table(con, f"insights.{name}", f"insights/{name}")
