"""Asset checks: each suite of `expectations/`, run by Great Expectations, with its evidence.

Great Expectations takes ten seconds and more to import, so that it is imported by a check that
runs, never by the code location.
"""

import importlib
import os
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd

from sales_assets.forecasting.ensemble import MODELS
from sales_assets.metadata import markdown_table
from sales_assets.resources import WRITER_POOL, Home
from sales_assets.warehouse import query

EVIDENCE_ROWS = 20


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation: its name, the rows that failed it, and some of them."""

    expectation: str
    is_met: bool
    observed: str
    failing: int
    examples: list[Any]


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
    )


def _exceptions(info: dict[str, Any]) -> list[dict[str, Any]]:
    entries = [info] if "raised_exception" in info else list(info.values())
    return [entry for entry in entries if entry.get("raised_exception")]


def _checked(outcomes: list[Outcome]) -> dg.AssetCheckResult:
    failed = [outcome for outcome in outcomes if not outcome.is_met]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{one.expectation}: {one.failing} rows" for one in failed) or None,
        metadata={
            "expectations": len(outcomes),
            "failed": len(failed),
            "evidence": dg.MetadataValue.json([_plain(outcome) for outcome in failed]),
        },
    )


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {**vars(outcome), "examples": [str(example) for example in outcome.examples]}


@dg.asset_check(asset=["cleaned", "sales"], blocking=True, pool=WRITER_POOL)
def cleaned_sales(home: Home) -> dg.AssetCheckResult:
    """The calendar has no hole and no duplicate, and closed days sold nothing."""
    with home.warehouse() as con:
        frame = query(con, "checks/cleaned_sales").df()
        ((stores, days),) = con.execute(
            "select count(distinct store_id), max(date) - min(date) + 1 from raw.sales"
        ).fetchall()
    return _checked(validate(frame, "cleaned_sales", stores=stores, days=days))


@dg.asset_check(asset=["forecasts", "daily"], blocking=True, pool=WRITER_POOL)
def forecasts_daily(home: Home) -> dg.AssetCheckResult:
    """Every store, day and model has one forecast, its bounds in order, closed days at zero."""
    with home.warehouse() as con:
        frame = query(con, "checks/forecasts_daily").df()
        ((planned,),) = con.execute("select count(*) from cleaned.plan").fetchall()
    rows = planned * len(MODELS)
    return _checked(validate(frame, "forecasts_daily", rows=rows, models=list(MODELS)))


@dg.asset_check(asset=["forecasts", "explanation_parts"], pool=WRITER_POOL)
def forecasts_explanations(home: Home) -> dg.AssetCheckResult:
    """Every coming open day is explained, and its parts add up to the forecast."""
    with home.warehouse() as con:
        wrong = query(con, "checks/forecasts_explanations").df()
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
