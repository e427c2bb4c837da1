"""Chains of a few stores with promotions, made by hand."""

from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd

MONDAY = date(2014, 1, 6)


def open_days(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    days = con.execute(
        "from cleaned.sales left join cleaned.stores using (store_id) where is_open and sales > 0"
    ).df()
    days["weekday"] = days["date"].dt.dayofweek + 1
    days["log_sales"] = np.log(days["sales"])
    return days


def add_store(
    con: duckdb.DuckDBPyConnection,
    store_id: int,
    *,
    weeks: int = 4,
    lift: float = 1.5,
    customers: int | None = None,
    promo2_since: date | None = None,
) -> None:
    """Add weeks of Mondays to Fridays of EUR 100 a day, every second one in promotion."""
    for day in range(7 * weeks):
        when = MONDAY + timedelta(days=day)
        is_open, is_promo = when.isoweekday() < 6, when.isoweekday() < 6 and (day // 7) % 2 == 0
        con.execute(
            "insert into cleaned.sales (store_id, date, sales, customers, is_open, is_promo, "
            "state_holiday, is_school_holiday, is_absent) "
            "values (?, ?, ?, ?, ?, ?, 'none', false, false)",
            [store_id, when, 100 * is_open * (lift if is_promo else 1), customers, is_open,
             is_promo],
        )  # fmt: skip
    con.execute(
        "insert into cleaned.stores (store_id, store_type, assortment, promo2_since, "
        "promo2_months) values (?, 'a', 'basic', ?, ?)",
        [store_id, promo2_since, [1, 4, 7, 10] if promo2_since else None],
    )


def add_plan(con: duckdb.DuckDBPyConnection, *, first: date, days: int, is_promo: bool) -> None:
    con.execute(
        "insert into cleaned.plan (store_id, date, is_open, is_promo, state_holiday, "
        "is_school_holiday, is_derived) select store_id, cast(day as date), isodow(day) < 6, "
        "? and isodow(day) < 6, 'none', false, true from cleaned.stores, "
        "generate_series(cast(? as date), cast(? as date) + ?, interval 1 day) as series (day)",
        [is_promo, first, first, days - 1],
    )
