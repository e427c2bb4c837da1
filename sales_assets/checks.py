"""Asset checks: each suite of `expectations/`, run by Great Expectations, with its evidence.

Great Expectations takes ten seconds and more to import, so that it is imported by a check that
runs, never by the code location.
"""

import importlib
import os
from typing import Any

import dagster as dg
import pandas as pd

from sales_assets import validation
from sales_assets.forecasting.ensemble import MODELS
from sales_assets.metadata import markdown_table
from sales_assets.quality import Outcome, record
from sales_assets.resources import WRITER_POOL, Home
from sales_assets.warehouse import query

EVIDENCE_ROWS = 20
ADDS_UP = "the parts of every coming open day add up to its forecast"


def validate(frame: pd.DataFrame, suite_name: str, **facts: Any) -> list[Outcome]:
    """Validate a frame against `expectations/<suite_name>.py`, built from the facts given."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    gx = importlib.import_module("great_expectations")
    suite = importlib.import_module(f"expectations.{suite_name}").build_suite(**facts)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("warehouse")
        .add_dataframe_asset(suite_name)
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )
    return [_outcome(result) for result in batch.validate(suite, result_format="SUMMARY").results]


def _outcome(result: Any) -> Outcome:
    config = result.expectation_config
    subject = {
        key: value
        for key, value in config.kwargs.items()
        if key.startswith("column") or key.endswith("value") or key == "value_set"
    }
    raised = [info["exception_message"] for info in _exceptions(result.exception_info)]
    return Outcome(
        expectation=f"{config.type}({', '.join(f'{k}={v}' for k, v in subject.items())})",
        is_met=bool(result.success),
        observed=str(raised[0] if raised else result.result.get("observed_value", "")),
        failing=int(result.result.get("unexpected_count") or 0),
        examples=list(result.result.get("partial_unexpected_list") or [])[:EVIDENCE_ROWS],
        is_critical=config.severity == "critical",
    )


def _exceptions(info: dict[str, Any]) -> list[dict[str, Any]]:
    entries = [info] if "raised_exception" in info else list(info.values())
    return [entry for entry in entries if entry.get("raised_exception")]


def _keep(home: Home, context: dg.AssetCheckExecutionContext, outcomes: list[Outcome]) -> None:
    """Keep what a check found, whatever becomes of the run, and tell it in the report."""
    with home.warehouse() as con:
        record(con, context.run.run_id, context.check_specs[0].name, outcomes)
        validation.write_report(con, home.settings.validation_path)


def verdict(outcomes: list[Outcome]) -> dg.AssetCheckResult:
    """Return what Dagster is told: an error, which blocks, if anything critical is not met."""
    failed = [outcome for outcome in outcomes if not outcome.is_met]
    is_error = any(outcome.is_critical for outcome in failed) or not failed
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description="; ".join(_missed(outcome) for outcome in failed) or None,
        metadata={
            "expectations": len(outcomes),
            "failed": len(failed),
            "evidence": dg.MetadataValue.json([_plain(outcome) for outcome in failed]),
        },
    )


def _missed(outcome: Outcome) -> str:
    """Tell what was observed of the whole table, or else how many of its rows failed."""
    return f"{outcome.expectation}: {outcome.observed or f'{outcome.failing:,} rows'}"


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {**vars(outcome), "examples": [str(example) for example in outcome.examples]}


@dg.asset_check(asset=["cleaned", "sales"], blocking=True, pool=WRITER_POOL)
def cleaned_sales(context: dg.AssetCheckExecutionContext, home: Home) -> dg.AssetCheckResult:
    """The calendar has no hole and no duplicate, and closed days sold nothing."""
    with home.warehouse() as con:
        frame = query(con, "checks/cleaned_sales").df()
        ((stores, days),) = con.execute(
            "select count(distinct store_id), max(date) - min(date) + 1 from raw.sales"
        ).fetchall()
    outcomes = validate(frame, "cleaned_sales", stores=stores, days=days)
    _keep(home, context, outcomes)
    return verdict(outcomes)


@dg.asset_check(asset=["forecasts", "daily"], blocking=True, pool=WRITER_POOL)
def forecasts_daily(context: dg.AssetCheckExecutionContext, home: Home) -> dg.AssetCheckResult:
    """Every store, day and model has one forecast, its bounds in order, closed days at zero."""
    with home.warehouse() as con:
        frame = query(con, "checks/forecasts_daily").df()
        ((planned,),) = con.execute("select count(*) from cleaned.plan").fetchall()
    rows = planned * len(MODELS)
    outcomes = validate(frame, "forecasts_daily", rows=rows, models=list(MODELS))
    _keep(home, context, outcomes)
    return verdict(outcomes)


# Blocking, so that its outcome is published with the rest; a warning stops nothing.
@dg.asset_check(asset=["forecasts", "explanation_parts"], blocking=True, pool=WRITER_POOL)
def forecasts_explanations(
    context: dg.AssetCheckExecutionContext, home: Home
) -> dg.AssetCheckResult:
    """Every coming open day is explained, and its parts add up to the forecast."""
    with home.warehouse() as con:
        wrong = query(con, "checks/forecasts_explanations").df()
    days = [f"store {row.store_id} on {row.date:%Y-%m-%d}" for row in wrong.itertuples()]
    _keep(home, context, [Outcome(ADDS_UP, wrong.empty, "", len(wrong), days, is_critical=False)])
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


CHECKS = [cleaned_sales, forecasts_daily, forecasts_explanations]
