"""A chain that is planned closed goes on; one that nothing is forecast for does not."""

from collections.abc import Iterator

import duckdb
import pytest

from sales_assets import warehouse
from sales_assets.checks import examine_part
from sales_assets.forecasting import features
from sales_assets.settings import Settings
from sales_assets.suites import SUITES, expected
from tests.conftest import load_and_clean

NOTHING_IS_FORECAST = "update forecasts.daily set forecast = 0"
ALL_IS_CLOSED = "update cleaned.plan set is_open = false"
DERIVED = "update cleaned.plan set is_derived = date > (select max(date) from cleaned.sales)"


@pytest.fixture(scope="module")
def chain(
    source, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with the rows to forecast, and a forecast of each open day."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, tmp_path_factory.mktemp("scratch"))
        features.build_future(con, settings)
        con.execute(
            "create table forecasts.daily as select cutoff, store_id, date, 'lstm' as model,"
            " if(is_open, exp(anchor), 0) as forecast from features.future"
        )
        yield con


@pytest.fixture
def con(chain: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, to be changed by one test."""
    chain.execute("begin transaction")
    yield chain
    chain.execute("rollback")


def stops(con: duckdb.DuckDBPyConnection, settings: Settings, query: str) -> list[str]:
    """Return what would stop a refresh of what a check's query finds."""
    (part,) = [part for suite in SUITES for part in expected(suite) if part.name == query]
    outcomes = examine_part(con, part, settings)
    return [each.expectation for each in outcomes if each.is_critical and not each.is_met]


def test_days_that_are_asked_and_not_forecast_stop_a_refresh(con, settings: Settings) -> None:
    assert stops(con, settings, "forecasts_daily_chain") == []
    con.execute(NOTHING_IS_FORECAST)
    assert len(stops(con, settings, "forecasts_daily_chain")) == 1


def test_where_no_store_is_to_open_nothing_has_to_be_forecast(con, settings: Settings) -> None:
    con.execute("update features.future set is_open = false")
    con.execute(NOTHING_IS_FORECAST)
    assert stops(con, settings, "forecasts_daily_chain") == []


@pytest.mark.parametrize(
    ("changes", "is_stopped"),
    [
        pytest.param([], False, id="sound"),
        pytest.param([ALL_IS_CLOSED], False, id="delivered as closed"),
        pytest.param([DERIVED], False, id="derived as open"),
        pytest.param([ALL_IS_CLOSED, DERIVED], True, id="derived as closed"),
        pytest.param(
            [f"{ALL_IS_CLOSED}, is_open_inferred = true"], True, id="delivered without Open"
        ),
        pytest.param([f"{ALL_IS_CLOSED} where store_id > 6", DERIVED], False, id="half of it"),
        pytest.param([f"{ALL_IS_CLOSED} where store_id > 5", DERIVED], True, id="more than half"),
        pytest.param(
            [ALL_IS_CLOSED, f"{DERIVED} where store_id > 6"], False, id="half of it unplanned"
        ),
        pytest.param(
            [f"{change} where store_id > 10" for change in (ALL_IS_CLOSED, DERIVED)],
            False,
            id="two stores that no plan names",
        ),
        pytest.param([ALL_IS_CLOSED, f"{DERIVED} + 29"], False, id="13 days derived"),
        pytest.param([ALL_IS_CLOSED, f"{DERIVED} + 28"], True, id="14 days derived"),
        pytest.param(
            [
                ALL_IS_CLOSED,
                DERIVED,
                "update cleaned.sales set sales = 0, is_open = false where date > '2014-04-01'",
            ],
            False,
            id="nobody sells",
        ),
    ],
)
def test_what_no_plan_closes_stays_open_for_half_of_the_stores_that_sell(
    con, settings: Settings, changes: list[str], is_stopped: bool
) -> None:
    for change in changes:
        con.execute(change)
    assert bool(stops(con, settings, "cleaned_plan_stores")) == is_stopped
