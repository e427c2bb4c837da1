"""The suites of Great Expectations: what is sound passes, and each fault on purpose is caught."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets.checks import validate, verdict
from sales_assets.forecasting.ensemble import MODELS
from sales_assets.warehouse import query

STORES, DAYS, HORIZON = 12, 500, 42


def failed(outcomes: list) -> set[str]:
    return {outcome.expectation.split("(")[0] for outcome in outcomes if not outcome.is_met}


@pytest.fixture(scope="module")
def cleaned(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return query(con, "checks/cleaned_sales").df()


@pytest.fixture(scope="module")
def forecasts(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Sound forecasts, as the query of the check gives them."""
    plan = con.execute("select store_id, date, is_open from cleaned.plan").df()
    days = plan.merge(pd.DataFrame({"model": MODELS}), how="cross")
    for name, factor in {
        "lo_95": 0.7,
        "lo_80": 0.8,
        "forecast": 1,
        "hi_80": 1.2,
        "hi_95": 1.3,
    }.items():
        days[name] = np.where(days["is_open"], 5_000.0 * factor, 0.0)
    days["hi_95_when_closed"] = days["hi_95"].where(~days["is_open"])
    days["share_of_best_day"] = days["forecast"] / 8_000
    return days


def test_sound_sales_pass(cleaned: pd.DataFrame) -> None:
    assert failed(validate(cleaned, "cleaned_sales", stores=STORES, days=DAYS)) == set()


@pytest.mark.parametrize(
    ("fault", "caught"),
    [
        (lambda sales: sales.drop(index=100), {"expect_table_row_count_to_equal"}),
        (
            lambda sales: pd.concat([sales.drop(index=100), sales.loc[[101]]]),
            {"expect_compound_columns_to_be_unique"},
        ),
        (
            lambda sales: sales.assign(sales=sales["sales"].mask(sales.index == 100)),
            {"expect_column_values_to_not_be_null"},
        ),
        (
            lambda sales: sales.assign(sales=sales["sales"].mask(sales.index == 100, -1)),
            {"expect_column_values_to_be_between"},
        ),
        (
            lambda sales: sales.assign(sales_when_closed=sales["sales_when_closed"].replace(0, 9)),
            {"expect_column_values_to_be_between"},
        ),
        (
            lambda sales: sales.assign(state_holiday="bank"),
            {"expect_column_values_to_be_in_set"},
        ),
    ],
    ids=["hole", "duplicate", "unknown", "negative", "sold when closed", "vocabulary"],
)
def test_faulty_sales_are_caught(
    cleaned: pd.DataFrame, fault: Callable[[pd.DataFrame], pd.DataFrame], caught: set[str]
) -> None:
    outcomes = validate(fault(cleaned), "cleaned_sales", stores=STORES, days=DAYS)
    assert failed(outcomes) == caught


def validate_forecasts(frame: pd.DataFrame) -> set[str]:
    rows = STORES * HORIZON * len(MODELS)
    return failed(validate(frame, "forecasts_daily", rows=rows, models=list(MODELS)))


def test_sound_forecasts_pass(forecasts: pd.DataFrame) -> None:
    assert validate_forecasts(forecasts) == set()


@pytest.mark.parametrize(
    ("column", "value", "caught"),
    [
        ("forecast", np.nan, "expect_column_values_to_not_be_null"),
        ("lo_95", -1.0, "expect_column_values_to_be_between"),
        ("lo_80", 9_999.0, "expect_column_pair_values_a_to_be_greater_than_b"),
        ("hi_95_when_closed", 1.0, "expect_column_values_to_be_between"),
        ("share_of_best_day", 3.5, "expect_column_values_to_be_between"),
        ("model", "oracle", "expect_column_values_to_be_in_set"),
    ],
)
def test_a_faulty_forecast_is_caught(
    forecasts: pd.DataFrame, column: str, value: object, caught: str
) -> None:
    faulty = forecasts.copy()
    faulty.loc[faulty.index[7], column] = value
    assert caught in validate_forecasts(faulty)


def test_a_missing_and_a_repeated_forecast_are_caught(forecasts: pd.DataFrame) -> None:
    assert validate_forecasts(forecasts.iloc[1:]) == {"expect_table_row_count_to_equal"}
    repeated = pd.concat([forecasts.iloc[1:], forecasts.iloc[[1]]])
    assert validate_forecasts(repeated) == {"expect_compound_columns_to_be_unique"}


def test_an_expectation_that_only_warns_is_told_apart(
    cleaned: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    import great_expectations as gx
    from great_expectations import expectations as gxe

    def build_suite() -> gx.ExpectationSuite:
        too_little = {"column": "sales", "min_value": 1}
        return gx.ExpectationSuite(
            name="mild",
            expectations=[
                gxe.ExpectColumnValuesToNotBeNull(column="sales"),
                gxe.ExpectColumnValuesToBeBetween(**too_little, severity="warning"),
            ],
        )

    mild = SimpleNamespace(build_suite=build_suite)
    monkeypatch.setitem(sys.modules, "expectations.mild", mild)
    outcomes = validate(cleaned, "mild")
    assert [(outcome.is_met, outcome.is_critical) for outcome in outcomes] == [
        (True, True),
        (False, False),
    ]
    told = outcomes[1]
    assert told.seen == "0.0, 0.0, 0.0, 0.0, 0.0"
    assert verdict(outcomes).severity == dg.AssetCheckSeverity.WARN
    critical = [replace(told, is_critical=True)]
    assert verdict(critical).severity == dg.AssetCheckSeverity.ERROR
    assert [verdict(each).passed for each in (outcomes, critical, outcomes[:1])] == [
        False, False, True,
    ]  # fmt: skip
