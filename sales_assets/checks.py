"""Asset checks: each suite of `expectations/`, run by Great Expectations, with its evidence.

Great Expectations takes seconds to import, so that it is imported by a check that runs, never by
the code location.
"""

import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from sales_assets import validation
from sales_assets.cleaned import last_told_day
from sales_assets.forecasting.ensemble import MODELS
from sales_assets.forecasting.frames import CATEGORIES, KEYS, NOT_FEATURES
from sales_assets.metadata import markdown_table
from sales_assets.quality import Outcome, as_text, record
from sales_assets.resources import WRITER_POOL, Home
from sales_assets.settings import Settings
from sales_assets.suites import NEEDS, SUITES, Suite, expected
from sales_assets.warehouse import query, table_exists

log = logging.getLogger("sales_assets.checks")

EVIDENCE_ROWS = 20
ROWS_TOLD = 3
ADDS_UP = "the parts of every coming open day add up to its forecast"
# What tells a row from others, in the order in which people name it.
IDENTITY = (
    "model", "cutoff", "store_id", "date", "week_end", "newest_day", "column_name", "load_id",
    "line",
)  # fmt: skip


def examine(con: duckdb.DuckDBPyConnection, suite: Suite, settings: Settings) -> list[Outcome]:
    """Return what became of every expectation of a checked table.

    What compares with an earlier refresh is left out of the first one.

    Args:
        con: The warehouse, with the table and those that it was made from.
        suite: The checked table.
        settings: The horizon.
    """
    parts = [part for part in expected(suite) if _can_be_asked(con, part)]
    return [outcome for part in parts for outcome in examine_part(con, part, settings)]


def _can_be_asked(con: duckdb.DuckDBPyConnection, part: Any) -> bool:
    """Tell whether there is what a suite compares with."""
    table = (part.meta or {}).get(NEEDS)
    return table is None or table_exists(con, table)


def examine_part(con: duckdb.DuckDBPyConnection, part: Any, settings: Settings) -> list[Outcome]:
    """Validate what a query of `sql/checks/` returns against the suite that is named after it."""
    facts = {
        "horizon": settings.horizon,
        "today": datetime.now(UTC).date(),
        "last_day": last_told_day(con),
        "models": list(MODELS),
        "required": list(NOT_FEATURES),
        "dates": [name for name in KEYS if name != "store_id"],
        "texts": list(CATEGORIES),
    }
    return validate(query(con, f"checks/{part.name}", **facts).df(), part)


def validate(frame: pd.DataFrame, suite: Any) -> list[Outcome]:
    """Validate a frame against a suite of Great Expectations."""
    batch = _frames().get_batch({"dataframe": frame})
    evidence = {
        "result_format": "BASIC",
        "partial_unexpected_count": EVIDENCE_ROWS,
        "include_unexpected_rows": True,
    }
    results = batch.validate(suite, result_format=evidence).results
    # What was validated would be kept until the next frame comes.
    kept = batch.datasource.execution_engine.batch_manager
    kept.batch_data_cache.clear()
    kept.reset_batch_cache()
    return [_outcome(result) for result in results]


@cache
def _frames() -> Any:
    """Return what hands frames to Great Expectations, which takes longer to make than to use."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    gx = importlib.import_module("great_expectations")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    frames = context.data_sources.add_pandas("warehouse").add_dataframe_asset("frame")
    return frames.add_batch_definition_whole_dataframe("all")


def _outcome(result: Any) -> Outcome:
    config = result.expectation_config
    raised = [info["exception_message"] for info in _exceptions(result.exception_info)]
    return Outcome(
        expectation=config.description or config.type,
        is_met=bool(result.success),
        observed=str(raised[0] if raised else result.result.get("observed_value", "")),
        failing=int(result.result.get("unexpected_count") or 0),
        examples=_examples(result.result.get("unexpected_rows"), config.kwargs),
        is_critical=config.severity == "critical",
    )


def _exceptions(info: dict[str, Any]) -> list[dict[str, Any]]:
    entries = [info] if "raised_exception" in info else list(info.values())
    return [entry for entry in entries if entry.get("raised_exception")]


def _examples(rows: pd.DataFrame | None, kwargs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return failing rows: what identifies them, and the columns that the expectation is about."""
    if rows is None:
        return []
    subject = [kwargs.get(name) for name in ("column", "column_A", "column_B")]
    names = dict.fromkeys([*IDENTITY, *(name for name in subject if name)])
    shown = rows[[name for name in names if name in rows.columns]]
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in shown.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """Return a value as people write it: days without a time, and None for what is missing."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return value.item() if hasattr(value, "item") else value


def verdict(outcomes: list[Outcome], remedy: str = "") -> dg.AssetCheckResult:
    """Return what Dagster is told: an error, which blocks, if anything critical is not met.

    Args:
        outcomes: What became of each expectation.
        remedy: What to do, told where something critical is not met.
    """
    failed = [outcome for outcome in outcomes if not outcome.is_met]
    blocking = [outcome for outcome in failed if outcome.is_critical]
    told = "; ".join(_missed(outcome) for outcome in blocking or failed)
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR
        if blocking or not failed
        else dg.AssetCheckSeverity.WARN,
        description=(f"{told}. {remedy}".strip() if blocking else told) or None,
        metadata={
            "expectations": len(outcomes),
            "failed": len(failed),
            "failing_rows": sum(outcome.failing for outcome in failed),
            **{outcome.expectation: _evidence(outcome) for outcome in failed},
        },
    )


def _missed(outcome: Outcome) -> str:
    """Tell what was observed of the whole table, or else how many rows failed, and the first."""
    if not outcome.examples:
        return f"{outcome.expectation}: {outcome.observed or f'{outcome.failing:,} rows'}"
    rows = "1 row fails" if outcome.failing == 1 else f"{outcome.failing:,} rows fail"
    first = " / ".join(outcome.told(ROWS_TOLD))
    return f"{outcome.expectation}: {rows}{', such as' if outcome.failing > 1 else ':'} {first}"


def _evidence(outcome: Outcome) -> dg.MetadataValue[Any]:
    """Return how many rows fail and the first of them as a table, or else what was observed."""
    severity = "critical" if outcome.is_critical else "warning"
    if not outcome.examples:
        return dg.MetadataValue.md(f"{severity}, seen {outcome.observed}")
    rows: list[Mapping[str, str]] = [
        {name: as_text(value) for name, value in row.items()} for row in outcome.examples
    ]
    table = markdown_table(list(rows[0]), rows)
    return dg.MetadataValue.md(f"{severity}, {outcome.failing:,} rows\n\n{table.value}")


def _keep(
    home: Home, context: dg.AssetCheckExecutionContext, found: dict[str, list[Outcome]]
) -> None:
    """Keep what checks found, whatever becomes of the run, and tell it in the report."""
    with home.warehouse() as con:
        for suite, outcomes in found.items():
            record(con, context.run.run_id, suite, outcomes)
        validation.write_report(con, home.settings.validation_path)


def stage_check(name: str, suites: list[Suite]) -> dg.AssetChecksDefinition:
    """Return the checks of tables that are made one after the other, as one step.

    All are blocking, so that their outcomes are published with the rest; a warning stops nothing.
    """

    @dg.multi_asset_check(
        name=name,
        specs=[
            dg.AssetCheckSpec(
                suite.name, asset=list(suite.key), blocking=True, description=suite.says
            )
            for suite in suites
        ],
        can_subset=True,
        pool=WRITER_POOL,
    )
    def check(context: dg.AssetCheckExecutionContext, home: Home) -> Iterator[dg.AssetCheckResult]:
        asked = {key.name for key in context.selected_asset_check_keys}
        chosen = [suite for suite in suites if suite.name in asked]
        with home.warehouse() as con:
            found = {suite.name: examine(con, suite, home.settings) for suite in chosen}
        _keep(home, context, found)
        for suite in chosen:
            result = verdict(found[suite.name], suite.remedy)
            if not result.passed and result.severity == dg.AssetCheckSeverity.WARN:
                log.warning("warning of %s: %s", suite.name, result.description)
            yield result._replace(asset_key=dg.AssetKey(suite.key), check_name=suite.name)

    return check


# Blocking, so that its outcome is published with the rest; a warning stops nothing.
@dg.asset_check(asset=["forecasts", "explanation_parts"], blocking=True, pool=WRITER_POOL)
def forecasts_explanations(
    context: dg.AssetCheckExecutionContext, home: Home
) -> dg.AssetCheckResult:
    """Every coming open day is explained, and its parts add up to the forecast."""
    with home.warehouse() as con:
        wrong = query(con, "checks/forecasts_explanations").df()
    days = [f"store {row.store_id} on {row.date:%Y-%m-%d}" for row in wrong.itertuples()]
    outcome = Outcome(ADDS_UP, wrong.empty, "", len(wrong), days, is_critical=False)
    _keep(home, context, {"forecasts_explanations": [outcome]})
    if not wrong.empty:
        log.warning("warning of forecasts_explanations: %d days do not add up", len(wrong))
    return dg.AssetCheckResult(
        passed=wrong.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=None if wrong.empty else f"{len(wrong)} days do not add up",
        metadata={
            "failed": len(wrong),
            "evidence": markdown_table(
                wrong.columns.tolist(), wrong.head(EVIDENCE_ROWS).to_dict("records")
            ),
        },
    )


_NAMED = {suite.name: suite for suite in SUITES}

# The plan is made from checked sales, so that it cannot be checked together with them.
CHECKS = [
    stage_check(name, [_NAMED[suite] for suite in suites])
    for name, suites in {
        "check_delivery": ["raw_sales", "raw_stores", "raw_plan"],
        "check_cleaned": ["cleaned_stores", "cleaned_sales"],
        "check_plan": ["cleaned_plan"],
        "check_features": ["features_training", "features_future"],
        "check_backtest": ["models_backtest"],
        "check_forecasts": ["forecasts_daily"],
    }.items()
] + [forecasts_explanations]
