"""The one definition of the features: `sql/features/`, run for any set of targets.

The same files make the training rows, the rows of a backtest, those of the forecast and those of
an answer in real time. What they read are `cleaned.sales`, `cleaned.stores`, `cleaned.plan` and
the targets; each store's features depend on that store alone, so that any subset of whole stores
gives the same rows.
"""

from datetime import date, timedelta
from typing import Any

import duckdb

from sales_assets.errors import SalesError
from sales_assets.forecasting.model_store import fingerprint_of
from sales_assets.settings import Settings
from sales_assets.warehouse import create_table, read_sql

# Temporary tables in the order in which they read one another.
STEPS = ("days", "profiles", "levels", "seasons", "deviations", "easters")
# Days of history before the first cutoff that is learnt from.
WARM_UP = 119
# What features are made of; its text is part of a model's fingerprint.
DEFINITION = tuple(f"features/{name}" for name in (*STEPS, "rows", "targets", "coming"))


def last_sales_day(con: duckdb.DuckDBPyConnection) -> date:
    """Return the cutoff: the last day whose sales are known."""
    ((day,),) = con.execute("select max(date) from cleaned.sales").fetchall()
    assert isinstance(day, date)
    return day


def backtest_cutoffs(last_day: date, settings: Settings) -> list[date]:
    """Return the cutoffs of the last non-overlapping windows, oldest first."""
    return [
        last_day - timedelta(days=settings.horizon * window)
        for window in range(settings.backtest_windows, 0, -1)
    ]


def build_training(
    con: duckdb.DuckDBPyConnection, settings: Settings, cutoffs: list[date] | None = None
) -> int:
    """Replace `features.training`: weekly cutoffs, each with its next days, sales known.

    Args:
        con: The warehouse, its cleaned tables in place.
        settings: Horizon, backtest windows and the number of rows.
        cutoffs: Those of the backtest, where they are not those of the last windows.

    Raises:
        SalesError: The history is too short for the backtest windows.
    """
    last_day = last_sales_day(con)
    cutoffs = cutoffs or backtest_cutoffs(last_day, settings)
    ((first_day,),) = con.execute("select min(date) from cleaned.sales").fetchall()
    needed = WARM_UP + settings.horizon * (settings.backtest_windows + 1) + 1
    days = (last_day - first_day).days + 1
    if days < needed:
        raise SalesError(
            f"The history is {days} days long ({first_day} to {last_day}); {needed} are needed for "
            f"{settings.backtest_windows} backtest windows of {settings.horizon} days "
            "(SALES_BACKTEST_WINDOWS, SALES_HORIZON)."
        )
    return _build(
        con,
        "features.training",
        "features/targets",
        settings,
        backtest_cutoffs=[str(cutoff) for cutoff in cutoffs],
    )


def build_future(con: duckdb.DuckDBPyConnection, settings: Settings) -> int:
    """Replace `features.future`: every planned day after the cutoff."""
    return _build(con, "features.future", "features/coming", settings)


def _build(
    con: duckdb.DuckDBPyConnection,
    table: str,
    targets: str,
    settings: Settings,
    **params: Any,
) -> int:
    values: dict[str, Any] = {
        "horizon": settings.horizon,
        "training_rows": settings.training_rows,
        "warm_up": WARM_UP,
        **params,
    }
    create_table(con, "targets", targets, temporary=True, **values)
    create_steps(con)
    return create_table(con, table, "features/rows", **values)


def create_steps(con: duckdb.DuckDBPyConnection) -> None:
    """Create the temporary tables that `sql/features/rows.sql` reads."""
    for step in STEPS:
        create_table(con, step, f"features/{step}", temporary=True)


def data_fingerprint(con: duckdb.DuckDBPyConnection) -> str:
    """Return a hash of the cleaned tables and of the features' definition."""
    tables = [
        con.execute(
            f"select count(*), bit_xor(hash({table})) from cleaned.{table} as {table}"
        ).fetchall()
        for table in ("stores", "sales", "plan")
    ]
    return fingerprint_of(tables, [read_sql(name) for name in DEFINITION])
