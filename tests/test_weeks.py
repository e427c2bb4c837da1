"""Eight weeks after the first refresh, one after the other, and what must hold in each of them.

A store's week is late, days are corrected, a store opens, one closes as was announced and another
without a word, one week is not delivered, and one has no plan (`benchmarks/weeks.py`).
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from benchmarks.rehearsal import Week, rehearse
from benchmarks.weeks import Chain, Story, make_chain, write_deliveries
from sales_assets import warehouse
from sales_assets.forecasting.ensemble import MODELS
from sales_assets.monitoring import accuracy
from sales_assets.resources import Home
from sales_assets.settings import Settings

STORES, WEEKS, HORIZON = 8, 8, 42
# The second week completes one window of the backtest and the eighth another, within which the
# new store opens.
DAYS = 427
STORY = Story(STORES)
# Tests of their own look at these; here they are made in the last week, of all that happened.
LEFT_OUT = (
    "insights", "reports", "intervals__coverage", "models__ensemble_study",
    "forecasts__explan", "monitoring__drift",
)  # fmt: skip


@dataclass
class Rehearsal:
    """What was delivered, and the home's snapshot after each week."""

    chain: Chain
    deliveries: list[Path | None]
    home: Path
    weeks: list[Week] = field(default_factory=list)
    snapshots: list[Path] = field(default_factory=list)

    def ask(self, week: int, sql: str, **params: Any) -> pd.DataFrame:
        """Ask the snapshot that was published at the end of a week."""
        with duckdb.connect(self.snapshots[week], read_only=True) as con:
            return con.execute(sql, params).df()

    def value(self, week: int, sql: str, **params: Any) -> Any:
        """Ask for one value."""
        return self.ask(week, sql, **params).iloc[0, 0]

    def cutoff(self, week: int) -> pd.Timestamp:
        """Return the newest cutoff after a week."""
        return pd.Timestamp(self.value(week, "select max(cutoff) from forecasts.daily"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The whole rehearsal, run once; tests only read it."""
    root = tmp_path_factory.mktemp("weeks")
    chain = make_chain(root / "chain", STORES, DAYS, WEEKS, seed=7)
    deliveries = write_deliveries(chain, STORY, WEEKS, root / "deliveries")
    rehearsal = Rehearsal(chain, deliveries, root / "home")
    with pytest.MonkeyPatch.context() as patch:
        # What choosing settings and running jobs leaves in the environment goes with the fixture.
        for name in ("SALES_HOME", "SALES_SOURCE", "DAGSTER_HOME"):
            patch.setenv(name, os.environ.get(name, str(rehearsal.home)))
        for week in rehearse(rehearsal.home, deliveries, only_last=LEFT_OUT):
            rehearsal.weeks.append(week)
            copy = root / f"week_{week.number}.duckdb"
            rehearsal.snapshots.append(
                shutil.copyfile(Settings(home=rehearsal.home).snapshot_path, copy)
            )
        yield rehearsal


def days_of(told: Rehearsal, store: int, week: int) -> pd.DataFrame:
    """Return what a store truly sold in a week."""
    days = told.chain.train
    first, last = told.chain.until(week - 1), told.chain.until(week)
    days = days[(days["Store"] == store) & (days["Date"] > first) & (days["Date"] <= last)]
    return days.assign(sales=days["Sales"].astype(int)).sort_values("Date")


def sold(told: Rehearsal, after: int, store: int, week: int) -> list[int]:
    """Return a store's cleaned sales of a week, as they were after another one."""
    days = told.ask(
        after,
        "select sales from cleaned.sales where store_id = $store and date > $first"
        " and date <= $last and not is_absent order by date",
        store=store,
        first=told.chain.until(week - 1),
        last=told.chain.until(week),
    )
    return days["sales"].tolist()


def open_days(told: Rehearsal, week: int, store: int, model: str = "ensemble") -> int:
    """Return how many of a store's coming days are not forecast as closed."""
    return told.value(
        week,
        "select count(*) filter (where forecast > 0) from forecasts.latest"
        " where store_id = $store and model = $model",
        store=store,
        model=model,
    )


@pytest.mark.parametrize("week", range(WEEKS + 1))
def test_the_cutoff_is_the_last_delivered_day(told: Rehearsal, week: int) -> None:
    known = week - 1 if week == STORY.missing_week else week
    assert told.cutoff(week) == told.chain.until(known)


@pytest.mark.parametrize("week", range(WEEKS + 1))
def test_each_week_forecasts_every_store_day_and_model_once(told: Rehearsal, week: int) -> None:
    # The store that opens is forecast once it is planned, a week before it sells.
    stores = STORES - (week < STORY.first_week - 1)
    rows = told.ask(week, "from forecasts.latest")
    assert len(rows) == len(rows.drop_duplicates(["store_id", "date", "model"]))
    assert len(rows) == stores * HORIZON * len(MODELS)
    bounds = rows[["lo_95", "lo_80", "forecast", "hi_80", "hi_95"]].to_numpy()
    assert np.isfinite(bounds).all()
    assert (np.diff(bounds, axis=1) >= 0).all()


@pytest.mark.parametrize("week", range(1, WEEKS + 1))
def test_past_cutoffs_stay_as_they_were(told: Rehearsal, week: int) -> None:
    before = told.ask(week - 1, "from forecasts.daily order by all")
    after = told.ask(
        week,
        "from forecasts.daily where cutoff <= $last order by all",
        last=told.cutoff(week - 1),
    )
    pd.testing.assert_frame_equal(after, before)


def test_no_day_is_there_twice_and_in_the_end_all_are_there_as_they_happened(
    told: Rehearsal,
) -> None:
    found = told.ask(
        WEEKS,
        "select store_id, date, sales from cleaned.sales where not is_absent order by all",
    )
    assert not found.duplicated(["store_id", "date"]).any()
    true = told.chain.train.rename(columns={"Store": "store_id", "Date": "date"})
    both = found.merge(true, "left", ["store_id", "date"])
    assert (both["sales"] == both["Sales"].astype(int)).all()
    missing = len(true) - len(found)
    unopened = DAYS + 7 * (STORY.first_week - 1)
    assert missing == unopened + 2 * 7 * (WEEKS - STORY.last_week)


def test_a_late_week_is_absent_and_then_lands(told: Rehearsal) -> None:
    week, store = STORY.late_week, STORY.late
    true = days_of(told, store, week)["sales"].tolist()
    assert sold(told, week, store, week) == []
    assert sold(told, week + 1, store, week) == true
    # A week of silence closes no store.
    assert open_days(told, week, store) == open_days(told, week, STORY.corrected)


def test_corrected_days_replace_the_wrong_ones(told: Rehearsal) -> None:
    week, store = STORY.wrong_week, STORY.corrected
    true = days_of(told, store, week)["sales"].tolist()
    assert sold(told, STORY.corrected_week - 1, store, week) != true
    assert sold(told, STORY.corrected_week, store, week) == true
    # What came true is judged anew.
    where = (
        "select rmspe from monitoring.accuracy where model = 'ensemble' and horizon_week = 1"
        " and cutoff = $cutoff and store_type is null"
    )
    cutoff = told.chain.until(week - 1)
    assert told.value(week, where, cutoff=cutoff) != pytest.approx(
        told.value(STORY.corrected_week, where, cutoff=cutoff), rel=0.01
    )


def test_a_store_is_forecast_from_the_week_that_its_opening_is_planned(told: Rehearsal) -> None:
    store, before = STORY.opening, STORY.first_week - 1
    rows = told.ask(
        before, "from forecasts.latest where model = 'ensemble' and forecast > 0 order by date"
    ).assign(width=lambda days: np.log(days["hi_80"] / days["lo_80"]))
    own, others = rows[rows["store_id"] == store], rows[rows["store_id"] != store]
    assert (
        own["date"].tolist()
        == told.ask(
            before,
            "select date from cleaned.plan where store_id = $store and is_open order by date",
            store=store,
        )["date"].tolist()
    )
    # Its level is not known: it is that of the chain, and the bounds say so.
    usual = others.groupby("store_id")["forecast"].mean()
    assert usual.min() < own["forecast"].mean() < usual.max()
    assert own["width"].mean() > 1.5 * others.groupby("store_id")["width"].mean().max()
    assert (
        own["width"].mean()
        > told.ask(
            STORY.first_week,
            "select avg(ln(hi_80 / lo_80)) as width from forecasts.latest"
            " where model = 'ensemble' and forecast > 0 and store_id = $store",
            store=store,
        )["width"].item()
    )


def test_a_store_that_opens_is_forecast_near_what_it_sells_within_sensible_bounds(
    told: Rehearsal,
) -> None:
    store, first = STORY.opening, STORY.first_week
    opening = days_of(told, store, first)
    usual = opening.loc[opening["sales"] > 0, "sales"].median()
    rows = told.ask(
        first,
        "from forecasts.latest where store_id = $store and model = 'ensemble' and forecast > 0",
        store=store,
    )
    assert len(rows) == open_days(told, first, STORY.corrected)
    assert rows["forecast"].between(usual / 3, 3 * usual).all()
    assert ((rows["hi_80"] / rows["lo_80"]).between(1.05, 6)).all()
    assert ((rows["hi_95"] / rows["lo_95"]).between(1.1, 12)).all()
    # Weeks on, it came true within them more often than not.
    judged = told.ask(
        WEEKS,
        "select avg(cast(sales between lo_95 and hi_95 as integer)) as coverage"
        " from forecasts.daily join cleaned.sales using (store_id, date)"
        " where store_id = $store and model = 'ensemble' and sales > 0 and forecast > 0",
        store=store,
    )
    assert judged["coverage"].item() > 0.6


def test_a_store_whose_closing_is_planned_is_forecast_as_closed_ever_after(
    told: Rehearsal,
) -> None:
    before = [open_days(told, week, STORY.closing) for week in range(STORY.last_week)]
    after = [open_days(told, week, STORY.closing) for week in range(STORY.last_week, WEEKS + 1)]
    assert min(before) > 30
    # In the week after, what the plan leaves out is derived, as nobody knows yet that it stays so.
    assert after[0] == 0
    assert after[1] <= 6
    assert not any(after[3:])


def test_a_store_that_vanishes_is_forecast_until_two_weeks_are_silent(told: Rehearsal) -> None:
    open_by_week = [open_days(told, week, STORY.vanishing) for week in range(WEEKS + 1)]
    assert min(open_by_week[: STORY.missing_week + 1]) > 30
    assert not any(open_by_week[STORY.missing_week + 1 :])
    missing = told.ask(
        WEEKS,
        "select missing_days, store_type from monitoring.accuracy where model = 'ensemble'"
        " and cutoff is null and horizon_week is null and store_type is null",
    )
    assert missing["missing_days"].item() > 5 * 5


def test_without_a_delivery_the_last_results_stay_and_nothing_is_fitted(told: Rehearsal) -> None:
    week = STORY.missing_week
    for table in ("forecasts.daily", "models.backtest", "models.scores", "monitoring.accuracy"):
        pd.testing.assert_frame_equal(
            told.ask(week, f"from {table} order by all"),
            told.ask(week - 1, f"from {table} order by all"),
        )
    assert told.weeks[week].fitted_members == []


def test_the_delivery_after_a_missing_one_brings_both_weeks(told: Rehearsal) -> None:
    week = STORY.missing_week
    for each in (week, week + 1):
        true = days_of(told, STORY.corrected, each)["sales"].tolist()
        assert sold(told, week + 1, STORY.corrected, each) == true
    # The cutoff moves by two weeks, so that both are judged from the one before them.
    cutoffs = told.ask(
        week + 1,
        "select distinct horizon_week from monitoring.accuracy where cutoff = $cutoff"
        " and horizon_week is not null order by 1",
        cutoff=told.chain.until(week - 1),
    )
    assert cutoffs["horizon_week"].tolist() == [1, 2]


def test_a_week_without_a_plan_derives_what_the_last_one_does_not_hold(told: Rehearsal) -> None:
    week = STORY.planless_week
    plan = told.ask(week, "from cleaned.plan order by store_id, date")
    known_until = told.chain.until(week - 1) + pd.Timedelta(days=HORIZON)
    gone = plan["store_id"].isin([STORY.closing, STORY.vanishing])
    assert plan.loc[~gone, "date"].groupby(plan["store_id"]).agg(len).eq(HORIZON).all()
    assert (plan.loc[~gone, "is_derived"] == (plan.loc[~gone, "date"] > known_until)).all()
    # The new store too opens on its usual days, though it was not there in most of the last weeks.
    derived = plan[plan["is_derived"] & ~gone]
    assert derived.groupby("store_id")["is_open"].sum().nunique() == 1
    planned = told.ask(week + 1, "from raw.plan")
    both = derived.merge(planned, on=["store_id", "date"], suffixes=("", "_delivered"))
    assert len(both) == len(derived)
    assert (both["is_open"] == both["is_open_delivered"]).mean() > 0.9
    assert (both["is_promo"] == both["is_promo_delivered"]).all()


def test_a_window_is_fitted_when_it_is_complete_and_when_its_own_days_change(
    told: Rehearsal,
) -> None:
    windows = [week.fitted_windows for week in told.weeks]
    assert len(windows[0]) == 2
    # A completed window; then the late days and the corrected ones, which lie in it; and another.
    assert [len(fitted) for fitted in windows[1:]] == [0, 1, 1, 1, 0, 0, 0, 1]
    assert windows[2] == windows[3] == windows[4] != windows[8]
    for week in range(1, WEEKS + 1):
        before, after = (
            told.ask(
                each, "select distinct cutoff, model, fingerprint from models.backtest"
                " where model <> 'ensemble'"
            )
            for each in (week - 1, week)
        )  # fmt: skip
        kept = after[~after["cutoff"].dt.date.astype(str).isin(windows[week])]
        assert len(kept) == len(after) - 5 * len(windows[week])
        assert len(kept.merge(before)) == len(kept)


def test_a_store_is_judged_by_no_window_from_before_it_opened(told: Rehearsal) -> None:
    opening = told.chain.until(STORY.first_week - 1) + pd.Timedelta(days=1)
    judged = told.ask(
        WEEKS,
        "select cutoff, list(distinct store_id) as stores from models.backtest"
        " where cutoff + interval 42 day >= $opening group by cutoff",
        opening=opening,
    )
    assert len(judged) == 1
    assert STORY.opening not in judged["stores"].item()


def by_hand(told: Rehearsal, week: int) -> pd.DataFrame:
    """Judge, with pandas, each model's past forecasts by cutoff and horizon week."""
    days = told.ask(week, "from forecasts.daily").merge(
        told.ask(week, "from cleaned.sales"), on=["store_id", "date"]
    )
    days = days[(days["sales"] > 0) & (days["forecast"] > 0)]
    # The store that opens is judged apart until it has sold something.
    opening = told.chain.until(STORY.first_week - 1) + pd.Timedelta(days=1)
    is_new = (days["store_id"] == STORY.opening) & (days["cutoff"] < opening)
    assert is_new.any() == (week >= STORY.first_week)
    days = days[~is_new].assign(
        horizon_week=(days["h"] + 6) // 7,
        squared=(days["forecast"] / days["sales"] - 1) ** 2,
        coverage_80=(days["lo_80"] <= days["sales"]) & (days["sales"] <= days["hi_80"]),
        coverage_95=(days["lo_95"] <= days["sales"]) & (days["sales"] <= days["hi_95"]),
        error=(days["forecast"] - days["sales"]).abs(),
    )
    groups = days.groupby(["model", "cutoff", "horizon_week"])
    return pd.DataFrame(
        {
            "days": groups.size(),
            "rmspe": np.sqrt(groups["squared"].mean()),
            "wape": groups["error"].sum() / groups["sales"].sum(),
            "bias": groups["forecast"].sum() / groups["sales"].sum() - 1,
            "coverage_80": groups["coverage_80"].mean(),
            "coverage_95": groups["coverage_95"].mean(),
        }
    ).reset_index()


@pytest.mark.parametrize("week", [0, 1, STORY.missing_week + 1, WEEKS])
def test_realised_accuracy_is_what_pandas_finds(told: Rehearsal, week: int) -> None:
    expected = by_hand(told, week)
    found = told.ask(
        week,
        "from monitoring.accuracy where cutoff is not null and horizon_week is not null"
        " order by model, cutoff, horizon_week",
    )
    cutoffs = sum(1 for day in range(week) if day != STORY.missing_week)
    assert found["cutoff"].nunique() == cutoffs
    pd.testing.assert_frame_equal(
        found[expected.columns.tolist()], expected, check_dtype=False, rtol=1e-6
    )


def test_an_absurd_week_is_told_and_stops_nothing(
    told: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(Settings(home=told.home).warehouse_path, home / "warehouse.duckdb")
    monkeypatch.setenv("SALES_HOME", str(home))
    with warehouse.connect(Settings.load()) as con:
        con.execute(
            "update forecasts.daily set forecast = 3 * forecast where cutoff = $cutoff",
            {"cutoff": told.chain.until(WEEKS - 1)},
        )
    done = dg.materialize([accuracy], resources={"home": Home()})
    assert done.success
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "horizon week 1, RMSPE 2." in str(check.description)
    assert f"{told.chain.until(WEEKS):%Y-%m-%d}" in str(check.metadata["evidence"].value)
    (event,) = done.asset_materializations_for_node("monitoring__accuracy")
    assert "data:image/png" in str(event.metadata["chart"].value)


def test_each_week_is_told_as_it_went(told: Rehearsal) -> None:
    assert [week.number for week in told.weeks] == list(range(WEEKS + 1))
    last = told.weeks[-1]
    assert last.cutoff == str(told.chain.until(WEEKS).date())
    judged = by_hand(told, WEEKS)
    newest = judged[
        (judged["model"] == "ensemble")
        & (judged["cutoff"] == told.chain.until(WEEKS - 1))
        & (judged["horizon_week"] == 1)
    ]
    assert last.rmspe == pytest.approx(newest["rmspe"].item(), rel=1e-6)
    assert told.weeks[0].rmspe is None
    assert told.weeks[STORY.missing_week].new_rows == 0
