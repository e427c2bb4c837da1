"""Every column that is not a feature's or an insight's own is told, and none that is not there."""

from pathlib import Path

import duckdb
import pytest

from sales_assets.columns import COLUMNS, meaning
from sales_assets.metadata import describe
from sales_assets.settings import Settings

TOLD = ("raw", "cleaned", "forecasts", "models", "intervals", "monitoring", "quality")


@pytest.fixture(scope="module")
def columns(home: Path) -> list[tuple[str, str]]:
    """Table and name of each published column."""
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        return con.execute(
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
        ).fetchall()


def test_every_column_is_told(columns: list[tuple[str, str]]) -> None:
    untold = [
        f"{table}.{name}"
        for table, name in columns
        if table.split(".")[0] in TOLD and meaning(table, name) is None
    ]
    assert untold == []


def test_no_column_is_told_that_is_not_there(columns: list[tuple[str, str]]) -> None:
    there = {name for _, name in columns} | {f"{table}.{name}" for table, name in columns}
    assert sorted(set(COLUMNS) - there) == []


def test_a_tables_own_meaning_comes_first() -> None:
    assert meaning("forecasts.daily", "lo_80") == "Lower bound of the 80 % interval, EUR."
    assert "log forecast" in (meaning("intervals.calibration", "lo_80") or "")
    assert meaning("features.future", "level_28") is None


def test_the_ui_shows_what_a_column_means(con: duckdb.DuckDBPyConnection) -> None:
    schema = describe(con, "cleaned.sales")["dagster/column_schema"]
    told = {column.name: column.description for column in schema.columns}
    assert told["sales"] == COLUMNS["sales"]
    assert None not in told.values()
