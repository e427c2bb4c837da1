"""Every column is told, none that is not there, and both the UI and the snapshot tell them."""

from pathlib import Path

import duckdb
import pytest

from sales_assets.columns import COLUMNS, FEATURES, GENERAL, INSIGHTS, meaning
from sales_assets.metadata import describe
from sales_assets.settings import Settings


@pytest.fixture(scope="module")
def columns(home: Path) -> dict[str, str | None]:
    """Each published column, `schema.table.column`, with its comment."""
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        return dict(
            con.execute(
                "select schema_name || '.' || table_name || '.' || column_name, comment"
                " from duckdb_columns() where not internal"
            ).fetchall()
        )


def test_the_snapshot_tells_every_column_what_it_means(columns: dict[str, str | None]) -> None:
    told = {name: meaning(*name.rsplit(".", 1)) for name in columns}
    assert [name for name, says in told.items() if says is None] == []
    assert columns == told


def test_the_snapshot_tells_every_table_what_its_rows_are(home: Path) -> None:
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        untold = con.execute(
            "select table_name from duckdb_tables() where comment is null"
            " union all select view_name from duckdb_views() where comment is null and not internal"
        ).fetchall()
    assert untold == []


def test_no_column_is_told_that_is_not_there(columns: dict[str, str | None]) -> None:
    there = set(columns) | {name.rsplit(".", 1)[1] for name in columns}
    assert sorted(set(COLUMNS) - there) == []


def test_no_column_is_told_twice() -> None:
    assert len(COLUMNS) == len(GENERAL) + len(FEATURES) + len(INSIGHTS)


def test_a_tables_own_meaning_comes_first() -> None:
    assert meaning("forecasts.daily", "lo_80") == "Lower bound of the 80 % interval, EUR."
    assert "log forecast" in (meaning("intervals.calibration", "lo_80") or "")
    assert meaning("forecasts.daily", "nobody_knows") is None


def test_the_ui_shows_what_a_column_means(con: duckdb.DuckDBPyConnection) -> None:
    schema = describe(con, "cleaned.sales")["dagster/column_schema"]
    told = {column.name: column.description for column in schema.columns}
    assert told["sales"] == COLUMNS["sales"]
    assert None not in told.values()
