"""Cleaned tables: the closed vocabulary, a calendar without holes, every repair counted."""

import logging
from datetime import date

import dagster as dg
import duckdb

from sales_assets.metadata import describe
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.settings import Settings
from sales_assets.sources.german_holidays import holiday_calendar
from sales_assets.warehouse import create_table, headline, query

log = logging.getLogger("sales_assets.cleaned")

# Days whose log sales are this many robust deviations off are flagged, never changed.
OUTLIER_SCORE = 5.0


def clean_stores(con: duckdb.DuckDBPyConnection) -> int:
    """Replace `cleaned.stores`; return its rows."""
    return create_table(con, "cleaned.stores", "cleaned/stores")


def clean_sales(con: duckdb.DuckDBPyConnection) -> int:
    """Replace `cleaned.sales`; return its rows."""
    return create_table(
        con,
        "cleaned.sales",
        "cleaned/sales",
        last_day=last_told_day(con),
        outlier_score=OUTLIER_SCORE,
    )


def last_told_day(con: duckdb.DuckDBPyConnection) -> date:
    """Return the last day that enough stores tell of for the calendar to reach it."""
    ((day,),) = query(con, "raw/last_day").fetchall()
    assert isinstance(day, date)
    return day


def clean_plan(con: duckdb.DuckDBPyConnection, settings: Settings) -> int:
    """Replace `cleaned.plan`: delivered where it was delivered, else derived; return its rows."""
    ((first, last),) = con.execute(
        "select min(date), max(date) + $horizon from cleaned.sales", {"horizon": settings.horizon}
    ).fetchall()
    con.register("holidays", holiday_calendar(first, last))
    try:
        return create_table(con, "cleaned.plan", "cleaned/plan", horizon=settings.horizon)
    finally:
        con.unregister("holidays")


def _counted(con: duckdb.DuckDBPyConnection, table: str, *flags: str) -> dict[str, int]:
    counts = ", ".join(f"count(*) filter (where {flag})" for flag in flags)
    (row,) = con.execute(f"select {counts} from {table}").fetchall()
    return {
        flag.removeprefix("is_") + "_days": int(value)
        for flag, value in zip(flags, row, strict=True)
    }


@dg.asset(
    key=["cleaned", "stores"],
    deps=[["raw", "stores"]],
    description=headline("cleaned/stores"),
    group_name="cleaned",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def stores(home: Home) -> dg.MaterializeResult:
    """Translate the stores' attributes into the platform's vocabulary."""
    with home.warehouse() as con:
        clean_stores(con)
        return dg.MaterializeResult(metadata=describe(con, "cleaned.stores", ("raw.stores",)))


@dg.asset(
    key=["cleaned", "sales"],
    deps=[["raw", "sales"], ["raw", "plan"]],
    description=headline("cleaned/sales"),
    group_name="cleaned",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def sales(home: Home) -> dg.MaterializeResult:
    """Complete the calendar, infer missing openings, flag outliers; count each repair."""
    with home.warehouse() as con:
        rows = clean_sales(con)
        repairs = _counted(
            con,
            "cleaned.sales",
            "is_absent",
            "is_open_inferred",
            "is_open_corrected",
            "is_outlier",
        )
        log.info("cleaned.sales: %s days, %s absent", f"{rows:,}", f"{repairs['absent_days']:,}")
        return dg.MaterializeResult(
            metadata={**describe(con, "cleaned.sales", ("raw.sales",)), **repairs}
        )


@dg.asset(
    key=["cleaned", "plan"],
    deps=[["raw", "plan"], ["cleaned", "sales"]],
    description=headline("cleaned/plan"),
    group_name="cleaned",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def plan(home: Home) -> dg.MaterializeResult:
    """Complete the delivered plan up to the horizon."""
    with home.warehouse() as con:
        rows = clean_plan(con, home.settings)
        repairs = _counted(con, "cleaned.plan", "is_derived", "is_open_inferred")
        log.info("cleaned.plan: %s days, %s derived", f"{rows:,}", f"{repairs['derived_days']:,}")
        return dg.MaterializeResult(
            metadata={**describe(con, "cleaned.plan", ("raw.plan",)), **repairs}
        )


ASSETS = [stores, sales, plan]
