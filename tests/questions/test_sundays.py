"""Stores that open on Sundays, where files leave closed days out or a store was away."""

import duckdb
import pytest

from sales_assets.warehouse import query
from tests.questions.conftest import rows_of
from tests.questions.tiny import describe

WEEKS = 12


def add_weeks(con: duckdb.DuckDBPyConnection, store: int, *, sundays: int) -> None:
    """Add twelve weeks from Monday, 6 January 2014, of which the first Sundays are open."""
    con.execute(
        """
        insert into cleaned.sales (
            store_id, date, sales, is_open, is_promo, state_holiday, is_school_holiday, is_absent
        )
        select $store, cast(day as date), 1000 * is_open::int, is_open, false, 'none', false, false
        from (
            select
                day,
                isodow(day) < 7 or day < date '2014-01-06' + 7 * $sundays as is_open
            from generate_series(
                date '2014-01-06', date '2014-01-05' + 7 * $weeks, interval 1 day
            ) as days(day)
        )
        """,
        {"store": store, "sundays": sundays, "weeks": WEEKS},
    )
    describe(con, store, "a", "basic")


def opens_sundays(con: duckdb.DuckDBPyConnection) -> int:
    rows = rows_of(con, "sunday_stores").set_index(["stores_are", "weekday"])
    return int(rows.loc[("open on Sundays", 1), "stores"])


def sunday_share(con: duckdb.DuckDBPyConnection, store: int) -> float:
    rows_of(con, "sunday_stores")
    rows = query(con, "insights/store_clusters").df().set_index("store_id")
    return float(rows.loc[store, "sunday_share"])


def test_a_sunday_that_files_leave_out_was_a_closed_one(small: duckdb.DuckDBPyConnection) -> None:
    add_weeks(small, 1, sundays=WEEKS)
    add_weeks(small, 2, sundays=1)
    small.execute("update cleaned.sales set is_absent = true where not is_open")
    assert opens_sundays(small) == 1
    assert sunday_share(small, 1) == 1
    assert sunday_share(small, 2) == pytest.approx(1 / WEEKS)


def test_a_store_that_was_away_still_opens_on_its_sundays(
    small: duckdb.DuckDBPyConnection,
) -> None:
    add_weeks(small, 1, sundays=WEEKS)
    small.execute("update cleaned.sales set is_open = false, sales = 0 where date >= '2014-02-03'")
    assert opens_sundays(small) == 1
    assert sunday_share(small, 1) == 1
