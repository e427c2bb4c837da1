"""Every feature is what its name says: what the oracle works out row by row."""

from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import dateutil.easter
import duckdb
import numpy as np
import pytest

from sales_assets import cleaned, warehouse
from sales_assets.forecasting import features
from sales_assets.sources.sample import write_sample
from tests.conftest import load_and_clean

from .oracle import Chain, expected_row, read_chain

# Values are float32 of logs in whole millionths.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def refurbished_con(settings, tmp_path_factory):
    """Eight stores with features, three of them shut in the second half of 2014.

    The first backtest window begins within the closure; store 6 opens on Sundays.
    """
    source, scratch = tmp_path_factory.mktemp("refurbished"), tmp_path_factory.mktemp("scratch")
    write_sample(source, stores=8, days=795, seed=16)
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, scratch)
        features.build_training(con, settings)
        features.build_future(con, settings)
        yield con


@pytest.fixture(scope="module")
def chain(con) -> Chain:
    return read_chain(con)


@pytest.fixture(scope="module")
def refurbished_chain(refurbished_con) -> Chain:
    return read_chain(refurbished_con)


def sampled(con, table: str, where: str, rows: int) -> list[dict[str, Any]]:
    """Return some rows that meet a condition, always the same ones."""
    cursor = con.execute(
        f"from {table} where {where}"
        f" order by md5(concat_ws(' ', cutoff, store_id, date)) limit {rows}"
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def is_equal(found: object, expected: object) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - float(np.float32(expected))) < TOLERANCE
    return found == expected


def differences(rows: list[dict[str, Any]], chain: Chain, horizon: int) -> list[tuple]:
    """Return cutoff, store, date, column, value found and value expected of each difference."""
    return [
        (*key, column, row[column], value)
        for row in rows
        for key in [(row["cutoff"], row["store_id"], row["date"])]
        for column, value in expected_row(chain, *key, horizon=horizon).items()
        if not is_equal(row[column], value)
    ]


TRAINING_SAMPLES = {
    "any row": ("true", 40),
    "the day after the cutoff": ("h = 1", 15),
    "the last day of the plan": ("h = 42", 15),
    "a first cutoff, with little history": ("cutoff < date '2013-05-20'", 20),
    "a cutoff after more than a year": ("cutoff > date '2014-03-01'", 15),
    "a promotion": ("is_promo", 15),
    "no promotion": ("not is_promo", 15),
    "a closed day of a backtest": ("not is_open", 15),
    "days about Christmas": ("date between '2013-12-20' and '2014-01-06'", 15),
    "days about Easter": ("date between '2014-04-14' and '2014-04-28'", 15),
    "school holidays": ("is_school_holiday", 15),
    "just after a holiday": ("days_since_holiday <= 2", 10),
}
REFURBISHMENT_SAMPLES = {
    "any row": ("true", 20),
    "few selling days at the cutoff": ("days_since_open < 15 and profile_age_days > 60", 15),
    "within the closure": ("not is_open and days_since_open = 15", 10),
    "a year after the closure began": ("growth_28 is null and cutoff > '2014-06-30'", 10),
    "an open Sunday": ("is_open and weekday = 7", 10),
    "a holiday in a store that opens": ("is_open and state_holiday <> 'none'", 10),
    "no day like it for long": ("profile_age_days > 100", 10),
    "no day like it at all": ("profile_last is null", 10),
}


@pytest.mark.parametrize("sample", TRAINING_SAMPLES)
def test_training_rows_equal_the_oracle(con, chain, settings, sample):
    where, rows = TRAINING_SAMPLES[sample]
    found = sampled(con, "features.training", where, rows)
    assert len(found) == rows
    assert differences(found, chain, settings.horizon) == []


@pytest.mark.parametrize("sample", REFURBISHMENT_SAMPLES)
def test_rows_about_a_closure_equal_the_oracle(
    refurbished_con, refurbished_chain, settings, sample
):
    where, rows = REFURBISHMENT_SAMPLES[sample]
    found = sampled(refurbished_con, "features.training", where, rows)
    assert len(found) == rows
    assert differences(found, refurbished_chain, settings.horizon) == []


def test_rows_to_forecast_equal_the_oracle(con, chain, settings):
    found = sampled(con, "features.future", "true", 40)
    assert differences(found, chain, settings.horizon) == []


def test_rows_to_forecast_equal_the_oracle_after_a_closure(
    refurbished_con, refurbished_chain, settings
):
    found = sampled(refurbished_con, "features.future", "true", 20)
    assert differences(found, refurbished_chain, settings.horizon) == []


@contextmanager
def with_late_days(late, source, settings, scratch, change="select 1"):
    """Yield a warehouse that lacks the last days of some stores, after a change of the rest."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, scratch)
        for store, days in late.items():
            con.execute(
                "delete from raw.sales where store_id = $store"
                " and date > (select max(date) from raw.sales) - cast($days as integer)",
                {"store": store, "days": days},
            )
        con.execute(change)
        cleaned.clean_sales(con)
        cleaned.clean_plan(con, settings)
        features.build_training(con, settings)
        features.build_future(con, settings)
        yield con


def test_a_store_whose_last_days_are_late_has_not_been_closed(source, settings, tmp_path):
    late = {3: 1, 5: 3, 7: 9, 9: 20}
    with with_late_days(late, source, settings, tmp_path) as con:
        chain = read_chain(con)
        for table in ("features.training", "features.future"):
            found = sampled(con, table, f"store_id in {tuple(late)}", 40)
            assert differences(found, chain, settings.horizon) == []
        first_days = con.execute(
            "select store_id, days_since_open, open_days_week_before from features.future"
            " where h = 1 and store_id in (1, 3, 5, 7, 9) order by store_id"
        ).fetchall()
    (_, *usual), *others, silent = first_days
    assert others == [(3, *usual), (5, *usual), (7, *usual)]
    # The plan takes a store for closed that has been silent for two weeks.
    assert silent == (9, 15, 0)


def test_a_store_is_not_taken_to_rest_on_the_weekday_of_a_holiday(source, settings, tmp_path):
    """Its last days end with a week of holidays."""
    holidays = (
        "update raw.sales set is_open = false, sales = 0, customers = 0, state_holiday = 'a'"
        " where store_id = 3 and date >= (select max(date) from raw.sales) - 12"
    )
    with with_late_days({3: 5}, source, settings, tmp_path, holidays) as con:
        found = sampled(con, "features.future", "store_id = 3", 40)
        assert differences(found, read_chain(con), settings.horizon) == []
        late, other = con.execute(
            "select days_since_open from features.future"
            " where h = 1 and store_id in (3, 4) order by store_id"
        ).fetchall()
    assert late == other


@pytest.mark.parametrize("table", ["features.training", "features.future"])
def test_the_oracle_speaks_of_every_column(con, chain, settings, table):
    (row,) = sampled(con, table, "true", 1)
    expected = expected_row(
        chain, row["cutoff"], row["store_id"], row["date"], horizon=settings.horizon
    )
    assert set(row) - {"is_training"} == set(expected)


def test_a_store_has_the_same_features_without_the_other_stores(con, source, settings, tmp_path):
    with warehouse.in_memory(settings) as alone:
        load_and_clean(alone, source, settings, tmp_path)
        for table in ("cleaned.stores", "cleaned.sales", "cleaned.plan"):
            alone.execute(f"delete from {table} where store_id not in (3, 7)")
        features.build_training(alone, settings)
        features.build_future(alone, settings)
        for table in ("features.training", "features.future"):
            rows = f"from {table} where store_id in (3, 7) order by cutoff, store_id, date"
            assert alone.sql(rows).df().equals(con.sql(rows).df())


def test_a_forecast_has_the_features_that_training_has_at_the_same_cutoff(
    con, source, settings, tmp_path
):
    cutoff, _ = features.backtest_cutoffs(features.last_sales_day(con), settings)
    plan_end = cutoff + timedelta(days=settings.horizon)
    with warehouse.in_memory(settings) as then:
        load_and_clean(then, source, settings, tmp_path)
        then.execute("create or replace table cleaned.plan as from cleaned.sales")
        then.execute("delete from cleaned.sales where date > $1", [cutoff])
        then.execute(
            "delete from cleaned.plan where date not between $1 + 1 and $2", [cutoff, plan_end]
        )
        features.build_future(then, settings)
        asked = then.sql("select * exclude (is_training, log_sales) from features.future").df()
    learnt = con.sql(
        "select * exclude (is_training, log_sales) from features.training where cutoff = $cutoff",
        params={"cutoff": cutoff},
    ).df()
    assert learnt.equals(asked)


def test_easter_sundays_are_those_of_the_church():
    with duckdb.connect() as con:
        years = con.execute(
            f"select year, easter from ({warehouse.read_sql('features/easters')})"
        ).fetchall()
    assert len(years) == 201
    assert all(easter == dateutil.easter.easter(year) for year, easter in years)
