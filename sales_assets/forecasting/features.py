"""The one definition of the features: `sql/features/`, run for any set of targets.

The same files make the training rows, the rows of a backtest, those of the forecast and those of
an answer in real time. What they read are `cleaned.sales`, `cleaned.stores`, `cleaned.plan` and
the targets; each store's features depend on that store alone, so that any subset of whole stores
gives the same rows.
"""

import logging
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from itertools import count, islice, takewhile
from typing import Any

import duckdb

from sales_assets.errors import SalesError
from sales_assets.forecasting.frames import HISTORY
from sales_assets.forecasting.model_store import fingerprint_of
from sales_assets.settings import Settings
from sales_assets.warehouse import create_table, query, read_sql

log = logging.getLogger("sales_assets.features")

# Temporary tables in the order in which they read one another.
STEPS = ("days", "profiles", "levels", "seasons", "deviations", "easters")
# Days of history before the first cutoff that is learnt from.
WARM_UP = 119
# Where the windows of backtests are counted from, either way.
FIRST_CUTOFF = date(2015, 5, 8)
# What features are made of; its text is part of a model's fingerprint.
DEFINITION = tuple(f"features/{name}" for name in (*STEPS, "rows", "targets", "coming"))


def last_sales_day(con: duckdb.DuckDBPyConnection) -> date:
    """Return the cutoff: the last day whose sales are known."""
    _, last_day = _known_days(con)
    return last_day


def _known_days(con: duckdb.DuckDBPyConnection) -> tuple[date, date]:
    """Return the first and the last day of the calendar."""
    ((first, last),) = con.execute("select min(date), max(date) from cleaned.sales").fetchall()
    assert isinstance(first, date)
    assert isinstance(last, date)
    return first, last


def judged_cutoffs(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[date]:
    """Return the cutoffs of the backtest: of the newest windows in which something was sold."""
    return backtest_cutoffs(last_sales_day(con), settings, idle_cutoffs(con, settings))


def backtest_cutoffs(last_day: date, settings: Settings, idle: Collection[date] = ()) -> list[date]:
    """Return the cutoffs of the newest complete windows, end to end, oldest first.

    Windows are counted from `FIRST_CUTOFF`, so that a new week of sales moves none of them: what
    was fitted for a window is used until newer windows are complete.

    Args:
        last_day: Up to which windows are complete.
        settings: Horizon and number of windows.
        idle: Cutoffs of windows that are passed over, for older ones.
    """
    windows = (cutoff for cutoff in _complete_windows(last_day, settings) if cutoff not in idle)
    return sorted(islice(windows, settings.backtest_windows))


def idle_cutoffs(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[date]:
    """Return the cutoffs of complete windows in which no store sold anything, the newest first.

    A store that had not opened by the cutoff does not count: it is not judged there.
    """
    first_day, last_day = _known_days(con)
    found = query(
        con,
        "models/selling_windows",
        first_cutoff=FIRST_CUTOFF,
        horizon=settings.horizon,
    ).fetchall()
    selling = {cutoff for (cutoff,) in found}
    known = takewhile(lambda cutoff: cutoff >= first_day, _complete_windows(last_day, settings))
    return [cutoff for cutoff in known if cutoff not in selling]


def _complete_windows(last_day: date, settings: Settings) -> Iterator[date]:
    """Yield the cutoffs of the windows that end by a day, the newest first, without an end."""
    horizon = settings.horizon
    days = (last_day - FIRST_CUTOFF).days - horizon
    newest = FIRST_CUTOFF + timedelta(days=days // horizon * horizon)
    return (newest - timedelta(days=horizon * window) for window in count())


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
    first_day, last_day = _known_days(con)
    idle = [] if cutoffs else idle_cutoffs(con, settings)
    cutoffs = cutoffs or backtest_cutoffs(last_day, settings, idle)
    oldest = min(cutoffs)
    passed_over = ", ".join(str(cutoff) for cutoff in sorted(idle) if cutoff > oldest)
    nothing_sold = f"no store sold anything in the {settings.horizon} days after {passed_over}"
    needed_from = oldest - timedelta(days=WARM_UP + settings.horizon)
    if first_day > needed_from:
        since = f", since {nothing_sold}" if passed_over else ""
        raise SalesError(
            f"The history begins on {first_day}; {settings.backtest_windows} backtest windows of "
            f"{settings.horizon} days (SALES_BACKTEST_WINDOWS, SALES_HORIZON), the oldest after "
            f"{oldest}, need it from {needed_from}{since}."
        )
    if passed_over:
        log.warning("%s: older windows of the backtest take the place of these", nothing_sold)
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
    """Return a hash of the cleaned tables, of the features' definition and of the training rows.

    The rows follow from the rest, unless they were made before something else was.
    """
    tables = [
        # Not by the table's own name, which in cleaned.sales is that of a column.
        con.execute(f"select count(*), bit_xor(hash(whole)) from {table} as whole").fetchall()
        for table in ("cleaned.stores", "cleaned.sales", "cleaned.plan", "features.training")
    ]
    return fingerprint_of(tables, [read_sql(name) for name in DEFINITION])


def window_fingerprints(con: duckdb.DuckDBPyConnection, cutoffs: list[date]) -> dict[date, str]:
    """Return a hash for each window of what is learnt before it and judged in it.

    Sales after a window are not in it, so that a new week of them leaves it as it is, and so does
    a store that opens after its cutoff.
    """
    return {
        cutoff: fingerprint_of(
            con.execute(
                "select count(*), bit_xor(hash(rows)) from features.training as rows"
                " where cutoff = $cutoff or (is_training and date <= $cutoff)",
                {"cutoff": cutoff},
            ).fetchall(),
            con.execute(
                # Not all columns: how far out a day lies changes with the days after it.
                f"select count(*), bit_xor(hash(({HISTORY}))) from cleaned.sales"
                " where date <= $cutoff and store_id in"
                " (select store_id from cleaned.sales where date <= $cutoff and is_open)",
                {"cutoff": cutoff},
            ).fetchall(),
        )
        for cutoff in cutoffs
    }
