"""What the checks found, kept: a history of every expectation, and how things stand now."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import duckdb

from sales_assets import quality_charts, validation, warehouse
from sales_assets.cleaned import last_told_day
from sales_assets.errors import SalesError
from sales_assets.forecasting.features import last_sales_day
from sales_assets.forecasting.manifest import Manifest
from sales_assets.metadata import chart, describe, preview
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.suites import SUITES

log = logging.getLogger("sales_assets.quality")

FORECASTS = "forecasts_daily"
# Made one from the other, so that they are not published before all of them are there.
OF_ONE_REFRESH = ("raw.sales", "cleaned.sales", "cleaned.plan", "features.future")
CHECKED = (*(list(suite.key) for suite in SUITES), ["forecasts", "explanation_parts"])
RUNS_DRAWN = 16
OBSERVED_ROWS = 5


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation: its name, the rows that failed it, and some of them."""

    expectation: str
    is_met: bool
    observed: str
    failing: int
    examples: list[Any]
    is_critical: bool = True
    """Whether it stops a refresh when it is not met."""

    @property
    def seen(self) -> str | None:
        """What was observed, or else the first of the rows that fail."""
        return self.observed or "; ".join(self.told(OBSERVED_ROWS)) or None

    def told(self, rows: int) -> list[str]:
        """Return the first failing rows in words."""
        return [_in_words(example) for example in self.examples[:rows]]


# What stands for forecasts until their check has seen them.
UNCHECKED = Outcome("What is forecast has been checked", False, "not yet", 0, [])


def refuse_what_was_stopped(con: duckdb.DuckDBPyConnection, chosen: Manifest | None = None) -> None:
    """Keep from publishing what a check has stopped, or what a stopped refresh has left half-made.

    Args:
        con: The warehouse.
        chosen: The ensemble whose forecasts are to be published; without it, they are still to be
            made and checked.

    Raises:
        SalesError: The newest check of deliveries or of cleaned tables failed, tables are of other
            deliveries or of another cutoff than the rest, or the forecasts are not those that were
            chosen and checked.
    """
    failed = stopped(con)
    for suite in failed:
        if suite.startswith(("raw_", "cleaned_")):
            raise SalesError(
                f"The check {suite} stopped the last refresh, and what it stopped is not "
                "published: put right what was delivered, and run `sales refresh`."
            )
    if not all(warehouse.table_exists(con, table) for table in OF_ONE_REFRESH):
        return
    found = warehouse.query(con, "quality/left_behind", last_day=last_told_day(con)).fetchall()
    left = [table for (table,) in found]
    if left:
        raise SalesError(
            f"A refresh was stopped half-way, so that {', '.join(left)} and cleaned.sales are not "
            "of the same deliveries and are not published together: run `sales refresh`, which "
            "goes on from there."
        )
    if chosen is None or not warehouse.table_exists(con, "forecasts.daily"):
        return
    if FORECASTS in failed or not _are_forecast(con, chosen):
        raise SalesError(
            f"The newest forecasts are not those of {chosen.version} that have passed their check, "
            "and are not published. `sales refresh` makes them anew; `sales models rollback` "
            "goes back to an earlier ensemble."
        )


def stopped(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the suites whose newest check has failed, or has not come about yet."""
    if not warehouse.table_exists(con, "quality.results"):
        return []
    summary = con.execute(f"select suite, failed from ({warehouse.read_sql('quality/summary')})")
    return [suite for suite, failed in summary.fetchall() if failed]


def _are_forecast(con: duckdb.DuckDBPyConnection, chosen: Manifest) -> bool:
    """Tell whether the newest forecasts are a version's, from the last day that is known."""
    made = con.execute(
        "select distinct cutoff, version from forecasts.daily"
        " where cutoff = (select max(cutoff) from forecasts.daily)"
    ).fetchall()
    return made == [(last_sales_day(con), chosen.version)]


def _in_words(example: Any) -> str:
    """Return a row as its columns and values, as in `store_id 1, date 2014-01-06`."""
    if not isinstance(example, dict):
        return str(example)
    return ", ".join(f"{name} {as_text(value)}" for name, value in example.items())


def as_text(value: Any) -> str:
    """Return a value of a failing row as people read it."""
    if value is None:
        return "unknown"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def record(
    con: duckdb.DuckDBPyConnection,
    run: str,
    suite: str,
    outcomes: list[Outcome],
    at: datetime | None = None,
) -> None:
    """Add the outcomes of a suite to `quality.results`.

    A suite that the same run checked before is replaced, so that a step that is tried again counts
    once.

    Args:
        con: The warehouse, open for writing and outside a transaction.
        run: Dagster's id of the run.
        suite: Name of the suite, which is the check's.
        outcomes: One for each expectation.
        at: When it was checked, in UTC; now, if left out.
    """
    with warehouse.transaction(con):
        note(con, run, suite, outcomes, at)


def note(
    con: duckdb.DuckDBPyConnection,
    run: str,
    suite: str,
    outcomes: list[Outcome],
    at: datetime | None = None,
) -> None:
    """Do what `record` does, inside the caller's transaction."""
    checked_at = (at or datetime.now(UTC)).replace(tzinfo=None)
    prepare(con)
    warehouse.query(con, "quality/repeated", run=run, suite=suite)
    for outcome in outcomes:
        warehouse.query(
            con,
            "quality/recorded",
            run=run,
            checked_at=checked_at,
            suite=suite,
            expectation=outcome.expectation,
            severity="critical" if outcome.is_critical else "warning",
            success=outcome.is_met,
            failing=outcome.failing,
            observed=outcome.seen,
        )


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Create the history and the view of its newest part where they are missing."""
    warehouse.query(con, "quality/results")
    warehouse.query(con, "quality/quarantine")
    warehouse.create_view(con, "quality.summary", "quality/summary")


@dg.multi_asset(
    name="quality",
    specs=[
        dg.AssetSpec(
            ["quality", name],
            deps=[*CHECKED, ["quality", "quarantine"]],
            description=warehouse.headline(f"quality/{name}"),
            group_name="quality",
            kinds={"duckdb", "sql"},
            owners=OWNERS,
        )
        for name in ("results", "summary")
    ],
    pool=WRITER_POOL,
)
def quality(home: Home) -> Iterator[dg.MaterializeResult]:
    """Show what the checks have written, before it is published with the rest."""
    settings = home.settings
    with home.warehouse() as con:
        prepare(con)
        yield dg.MaterializeResult(
            asset_key=["quality", "results"], metadata=describe(con, "quality.results")
        )
        report = validation.write_report(con, settings.validation_path)
        history = warehouse.query(con, "quality/history", runs=RUNS_DRAWN).df()
        yield dg.MaterializeResult(
            asset_key=["quality", "summary"],
            metadata={
                **describe(con, "quality.summary", ("quality.results",)),
                "table": preview(con, "quality.summary"),
                "report": dg.MetadataValue.path(str(report.absolute())),
                "chart": chart(
                    quality_charts.outcomes(history),
                    "Which suites were met, run by run, and how many expectations were not",
                ),
            },
        )
    log.info("validation report %s", report)


ASSETS = [quality]
