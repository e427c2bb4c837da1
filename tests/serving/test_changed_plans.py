"""Changed plans have the same features without a query as with one, to the bit."""

import logging
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from sales_assets.forecasting.release import TABLES
from sales_assets.settings import Settings
from serving.changed_plans import HOLIDAYS, Change, ChangedPlans
from serving.features import LiveFeatures

STORES = range(1, 13)
HORIZON = 42
NEVER_OPENED, SHUT, RUNS_ACROSS, ALONE_AT_THE_CUTOFF = 12, 11, 10, 9


@pytest.fixture(scope="module")
def data(con: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chain's data with a store that never opened, one that is shut, and runs at the cutoff."""
    directory = tmp_path_factory.mktemp("data")
    ((cutoff,),) = con.execute("select max(date) from cleaned.sales").fetchall()
    places = {"cutoff": cutoff, "new": NEVER_OPENED, "shut": SHUT, "runs": RUNS_ACROSS}
    ends = "(store_id = $runs and date > $cutoff - 10)"
    alone = f"(store_id = {ALONE_AT_THE_CUTOFF} and date = $cutoff)"
    shut = "(store_id = $new or (store_id = $shut and date > $cutoff - 100))"
    con.sql(
        "select * replace ("
        f" is_open and not {shut} as is_open, if({shut}, 0, sales) as sales,"
        f" is_promo or {ends} or {alone} as is_promo,"
        f" is_school_holiday or {ends} or {alone} as is_school_holiday,"
        f" if({alone}, 'public', state_holiday) as state_holiday)"
        " from cleaned.sales order by store_id, date",
        params=places,
    ).write_parquet(str(directory / "sales.parquet"))
    con.sql(
        "select * replace ("
        " is_promo or (store_id = $runs and date < $cutoff + 5) as is_promo,"
        " is_school_holiday or (store_id = $runs and date < $cutoff + 20) as is_school_holiday)"
        " from cleaned.plan where date <= $cutoff + 42 order by store_id, date",
        params={"cutoff": cutoff, "runs": RUNS_ACROSS},
    ).write_parquet(str(directory / "plan.parquet"))
    con.table("cleaned.stores").order(TABLES["stores"]).write_parquet(
        str(directory / "stores.parquet")
    )
    return directory


@pytest.fixture(scope="module")
def horizon(settings: Settings) -> Settings:
    return settings.model_copy(update={"horizon": HORIZON})


@pytest.fixture(scope="module")
def live(data: Path, horizon: Settings) -> LiveFeatures:
    return LiveFeatures(data, horizon)


@pytest.fixture(scope="module")
def first_day(live: LiveFeatures) -> date:
    day: date = live.planned.rows["date"].min().date()
    return day


def plans() -> strategies.SearchStrategy[dict[str, Any]]:
    flag = strategies.none() | strategies.booleans()
    return strategies.fixed_dictionaries(
        {
            "is_open": flag,
            "is_promo": flag,
            "state_holiday": strategies.none() | strategies.sampled_from(HOLIDAYS),
            "is_school_holiday": flag,
        }
    )


# So many days from that one on: single days, weeks, the whole horizon; the cutoff is before 0.
SPANS = strategies.tuples(
    strategies.integers(0, HORIZON - 1), strategies.sampled_from((1, 1, 2, 7, 14, HORIZON))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    asked=strategies.sets(strategies.sampled_from(STORES), max_size=3),
    changed=strategies.lists(
        strategies.tuples(strategies.sampled_from(STORES), SPANS, plans()), min_size=1, max_size=6
    ),
)
def test_any_change_has_the_features_that_the_sql_says(
    live: LiveFeatures, first_day: date, asked: set[int], changed: list[Any]
) -> None:
    days: dict[tuple[int, int], dict[str, Any]] = {}
    for store, (first, count), plan in changed:
        for day in range(first, min(first + count, HORIZON)):
            days[store, day] = plan
    changes = [
        Change(store, first_day + timedelta(days=day), **plan)
        for (store, day), plan in days.items()
    ]
    stores = sorted(asked | {change.store_id for change in changes})

    assert not live.needs_queries
    expected = live.queried(sorted({change.store_id for change in changes}), changes)
    found = live.of(stores, changes).rows
    of_changed = found[found["store_id"].isin(expected["store_id"])].reset_index(drop=True)
    if not asked:
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    for name in expected:
        assert of_changed[name].astype(expected[name].dtype).equals(expected[name]), name


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let one column be counted otherwise than the SQL says."""
    rows = ChangedPlans.rows

    def otherwise(name: str) -> None:
        def changed(plans: ChangedPlans, *asked: Any) -> pd.DataFrame:
            found = rows(plans, *asked)
            found.loc[5, name] = found.loc[5, name] - 1
            return found

        monkeypatch.setattr(ChangedPlans, "rows", changed)

    return otherwise


@pytest.mark.parametrize("name", ["days_until_promo", "anchor"])
def test_where_it_differs_from_the_sql_the_sql_answers(
    data: Path,
    horizon: Settings,
    live: LiveFeatures,
    first_day: date,
    wrong: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    wrong(name)
    caplog.set_level(logging.WARNING)
    careful = LiveFeatures(data, horizon)
    assert careful.needs_queries
    assert f"sql/features in {name}" in caplog.text

    changes = [Change(3, first_day + timedelta(days=2), is_promo=True)]
    pd.testing.assert_frame_equal(careful.of([3], changes).rows, live.queried([3], changes))


def test_a_history_of_days_is_too_short_to_look_back_on(
    con: duckdb.DuckDBPyConnection,
    data: Path,
    horizon: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in TABLES:
        table = con.read_parquet(str(data / f"{name}.parquet"))
        if name == "sales":
            table = table.filter("date > (select max(date) - 5 from cleaned.sales)")
        table.write_parquet(str(tmp_path / f"{name}.parquet"))
    short = LiveFeatures(tmp_path, horizon)
    assert short.needs_queries
    assert "other coming days" in caplog.text
