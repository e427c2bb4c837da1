"""A warehouse of a few days, made by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from sales_assets import warehouse
from sales_assets.settings import Settings

DAYS = """
create table cleaned.sales (
    store_id integer, date date, sales double, customers bigint, is_open boolean,
    is_promo boolean, state_holiday varchar, is_school_holiday boolean, is_absent boolean,
    is_open_inferred boolean, is_open_corrected boolean, outlier_score double, is_outlier boolean
)
"""
STORES = """
create table cleaned.stores (
    store_id integer, store_type varchar, assortment varchar, competition_distance_m double,
    competition_open_since date, promo2_since date, promo2_months tinyint[]
)
"""
PLAN = """
create table cleaned.plan (
    store_id integer, date date, is_open boolean, is_promo boolean, state_holiday varchar,
    is_school_holiday boolean, is_derived boolean, is_open_inferred boolean
)
"""


@contextmanager
def empty_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a warehouse in memory whose cleaned tables have no rows."""
    with warehouse.in_memory(settings) as con:
        for table in (DAYS, STORES, PLAN):
            con.execute(table)
        con.execute(warehouse.read_sql("quality/quarantine"))
        yield con


def sell(
    con: duckdb.DuckDBPyConnection,
    store: int,
    date: str,
    *,
    sales: float = 1_000,
    customers: int | None = 100,
    score: float | None = 0.5,
    promo: bool = False,
    holiday: str = "none",
) -> None:
    """Insert a selling day; a score beyond 5 flags it."""
    con.execute(
        "insert into cleaned.sales values"
        " ($s, $d, $sales, $customers, true, $promo, $holiday, false, false, false, false,"
        " $score, coalesce(abs($score) > 5, false))",
        {
            "s": store, "d": date, "sales": sales, "customers": customers, "promo": promo,
            "holiday": holiday, "score": score,
        },
    )  # fmt: skip


def describe(con: duckdb.DuckDBPyConnection, store: int, kind: str, assortment: str) -> None:
    con.execute(
        "insert into cleaned.stores (store_id, store_type, assortment) values ($s, $k, $a)",
        {"s": store, "k": kind, "a": assortment},
    )
