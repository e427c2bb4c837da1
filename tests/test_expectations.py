"""Every expectation is broken on purpose and catches it; what is sound or merely poor passes."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from benchmarks.checks import make_up_forecasts
from sales_assets import cleaned, warehouse
from sales_assets.checks import IDENTITY, examine, examine_part
from sales_assets.forecasting import features
from sales_assets.quality import Outcome
from sales_assets.settings import Settings
from sales_assets.suites import SUITES, expected
from tests.broken_tables import BROKEN, NEWEST, ONE_DAY
from tests.conftest import load_and_clean

# What a week or a chain may lack, as changes of what was delivered: nothing stops a refresh.
POOR = {
    "late rows, corrected rows, a store that opens and one that closes for good": [
        f"delete from raw.sales where store_id = 2 and date > {NEWEST} - 3",
        f"update raw.sales set sales = 1.5 * sales, load_id = 3 {ONE_DAY}",
        f"delete from raw.sales where store_id = 3 and date <= {NEWEST} - 10",
        f"delete from raw.sales where store_id = 4 and date > {NEWEST} - 60",
        "delete from raw.plan where store_id = 4",
    ],
    "a missing week and a plan of former weeks": [
        f"delete from raw.sales where date between {NEWEST} - 13 and {NEWEST} - 7",
        "update raw.plan set date = date - 42",
    ],
    "a day of a store that is dated two months ahead": [
        f"update raw.sales set date = {NEWEST} + 60 {ONE_DAY}",
    ],
    "a plan that closes the chain for six weeks": ["update raw.plan set is_open = false"],
    "one store, no plan": [
        *(f"delete from raw.{table} where store_id > 1" for table in ("sales", "stores", "plan")),
        "delete from raw.plan",
    ],
    "a short history without customers, holidays, promotions and competitors": [
        "delete from raw.sales where date < '2013-06-01'",
        "update raw.sales set customers = null, state_holiday = '0', is_school_holiday = false,"
        " is_promo = false",
        "update raw.stores set competition_distance_m = null, promo2 = false,"
        " promo2_since_week = null, promo2_since_year = null, promo_interval = null",
    ],
    "openings that nobody tells, a store that never sold": [
        "update raw.sales set is_open = null",
        "update raw.sales set sales = 0, customers = 0 where store_id = 5",
        "update raw.plan set is_open = null",
    ],
}


@pytest.fixture(scope="module")
def con(
    source, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse of its own, with sound forecasts that no model had to make."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, tmp_path_factory.mktemp("scratch"))
        features.build_training(con, settings)
        features.build_future(con, settings)
        make_up_forecasts(con, settings)
        yield con


@contextmanager
def undone(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.execute("begin transaction")
    try:
        yield
    finally:
        con.execute("rollback")


@pytest.fixture(scope="module")
def parts() -> dict:
    """Each suite of Great Expectations by the name of its query."""
    return {part.name: part for suite in SUITES for part in expected(suite)}


def failed(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.expectation: outcome for outcome in outcomes if not outcome.is_met}


def test_every_expectation_is_broken_below(parts: dict) -> None:
    stated = {
        (name, each.description, each.severity.value == "critical")
        for name, part in parts.items()
        for each in part.expectations
    }
    assert stated == {case[:3] for case in BROKEN}
    named = [(name, each.description) for name, part in parts.items() for each in part.expectations]
    assert len(named) == len(set(named))


def test_every_query_of_a_check_belongs_to_a_suite(parts: dict) -> None:
    files = {path.stem for path in (warehouse.REPOSITORY / "sql" / "checks").glob("*.sql")}
    assert files == {*parts, "forecasts_explanations", "monitoring_accuracy"}


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_what_is_sound_passes(con: duckdb.DuckDBPyConnection, settings: Settings, suite) -> None:
    outcomes = examine(con, suite, settings)
    assert outcomes
    assert failed(outcomes) == {}


@pytest.mark.parametrize(
    ("query", "expectation", "is_critical", "fault"),
    BROKEN,
    ids=[f"{query}-{expectation}" for query, expectation, *_ in BROKEN],
)
def test_a_fault_on_purpose_is_caught_with_the_rows_that_have_it(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    parts: dict,
    query: str,
    expectation: str,
    is_critical: bool,
    fault: str,
) -> None:
    with undone(con):
        con.execute(fault)
        found = failed(examine_part(con, parts[query], settings))
    assert expectation in found
    outcome = found[expectation]
    assert outcome.is_critical == is_critical
    if outcome.failing:
        assert 0 < len(outcome.examples) <= 20
        assert set(outcome.examples[0]) & {*IDENTITY, "training_rows", "labelled_share"}
    else:
        assert outcome.observed


def test_weeks_that_were_corrected_warn_and_stop_nothing(
    con: duckdb.DuckDBPyConnection, settings: Settings, parts: dict
) -> None:
    known = parts["raw_sales_known_weeks"]
    with undone(con):
        con.execute(f"update raw.sales set sales = 1.19 * sales where date > {NEWEST} - 70")
        found = failed(examine_part(con, known, settings))
    assert [(outcome.is_critical, outcome.failing) for outcome in found.values()] == [(False, 10)]


@pytest.mark.parametrize("changes", POOR.values(), ids=POOR)
def test_what_is_poor_or_happens_in_some_weeks_stops_nothing(
    con: duckdb.DuckDBPyConnection, settings: Settings, changes: list[str]
) -> None:
    with undone(con):
        for change in changes:
            con.execute(change)
        cleaned.clean_stores(con)
        cleaned.clean_sales(con)
        cleaned.clean_plan(con, settings)
        features.build_training(con, settings)
        features.build_future(con, settings)
        outcomes = [
            outcome
            for suite in SUITES
            if suite.key[0] in ("raw", "cleaned", "features")
            for outcome in examine(con, suite, settings)
        ]
    assert {name for name, outcome in failed(outcomes).items() if outcome.is_critical} == set()
