"""Answers in real time are those of the refresh, and those of a refresh with another plan."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.errors import ReleaseError
from sales_assets.forecasting import features
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.settings import Settings
from serving.changed_plans import Change
from serving.predictor import (
    ContradictionError,
    NoMemberError,
    OutsideHorizonError,
    Predictor,
    UnknownStoreError,
)
from tests.conftest import load_and_clean

KEYS = ["store_id", "date", "model"]
NUMBERS = ["forecast", "lo_80", "hi_80", "lo_95", "hi_95"]


@pytest.fixture(scope="module")
def latest(home: Path, settings: Settings) -> pd.DataFrame:
    with warehouse.connect_snapshot(settings.model_copy(update={"home": home})) as con:
        return con.table("forecasts.latest").df().sort_values(KEYS, ignore_index=True)


@pytest.fixture
def first(predictor: Predictor) -> date:
    return predictor.release.cutoff + timedelta(days=1)


def stores_of(forecasts: pd.DataFrame, *stores: int) -> pd.DataFrame:
    chosen = forecasts[forecasts["store_id"].isin(stores)]
    return chosen.sort_values(KEYS, ignore_index=True)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found[KEYS].equals(expected[KEYS])
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=1e-6)


@pytest.mark.parametrize("stores", [[3], [12, 1, 7], list(range(1, 13))], ids=str)
def test_planned_days_are_forecast_as_in_the_refresh(
    predictor: Predictor, latest: pd.DataFrame, stores: list[int]
) -> None:
    answer = predictor.forecast(stores)

    assert_same(stores_of(answer.forecasts, *stores), stores_of(latest, *stores))
    assert answer.degraded == ()
    assert set(answer.forecasts["version"]) == {predictor.release.version}


def test_a_release_of_other_features_is_refused_in_a_sentence(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.predictor.feature_names", lambda rows: ["weather"])
    with pytest.raises(ReleaseError, match=r"another version of the platform: .*lightgbm, lstm"):
        Predictor.load(home, settings)


def test_a_change_that_changes_nothing_is_answered_by_the_same_numbers(
    predictor: Predictor, latest: pd.DataFrame
) -> None:
    plan = predictor.features.planned.rows.set_index(["store_id", "date"])
    changes = [
        Change(3, day.date(), is_promo=bool(row.is_promo), is_open=bool(row.is_open))
        for day, row in plan.loc[3].iterrows()
    ]

    assert_same(stores_of(predictor.forecast([], changes).forecasts, 3), stores_of(latest, 3))


@pytest.fixture(scope="module")
def changed_plan(
    source: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[Change], Frames]]:
    """Changes, and the features that a refresh makes of a delivery with these changes."""
    directory = tmp_path_factory.mktemp("changed")
    for name in ("train.csv", "store.csv"):
        (directory / name).write_bytes((source / name).read_bytes())
    plan = pd.read_csv(source / "test.csv", dtype=str)
    first_day = date.fromisoformat(plan["Date"].min())
    changes = [
        Change(3, first_day + timedelta(days=2), is_promo=True, is_open=True),
        Change(3, first_day + timedelta(days=3), is_open=False),
        Change(3, first_day + timedelta(days=9), state_holiday="public"),
        Change(7, first_day + timedelta(days=4), is_school_holiday=True, is_promo=False),
    ]
    letters = {True: "1", False: "0", "public": "a"}
    columns = {
        "is_open": "Open", "is_promo": "Promo", "state_holiday": "StateHoliday",
        "is_school_holiday": "SchoolHoliday",
    }  # fmt: skip
    for change in changes:
        row = (plan["Store"] == str(change.store_id)) & (plan["Date"] == str(change.date))
        assert row.sum() == 1
        for name, column in columns.items():
            if getattr(change, name) is not None:
                plan.loc[row, column] = letters[getattr(change, name)]
    plan.to_csv(directory / "test.csv", index=False)
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, directory, settings, directory / "scratch")
        features.build_future(con, settings)
        yield changes, read_frames(con, "features.future")


def test_a_changed_plan_has_the_features_of_a_refresh_with_that_plan(
    predictor: Predictor, changed_plan: tuple[list[Change], Frames]
) -> None:
    changes, expected = changed_plan
    found = predictor.features.of([3, 5, 7], changes).rows

    rows = expected.rows[expected.rows["store_id"].isin([3, 5, 7])].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, rows)
    unchanged = predictor.features.of([3, 5, 7], []).rows
    differing = (found.astype(str) != unchanged.astype(str)).any(axis=1)
    assert set(found.loc[differing, "store_id"]) == {3, 7}


def test_changes_are_forgotten_with_their_request(
    predictor: Predictor, latest: pd.DataFrame, first: date
) -> None:
    changed = predictor.forecast([], [Change(3, first, is_open=False)]).forecasts
    day = changed[(changed["store_id"] == 3) & (changed["date"] == pd.Timestamp(first))]
    assert (day[NUMBERS] == 0).all(axis=None)

    assert_same(stores_of(predictor.forecast([3]).forecasts, 3), stores_of(latest, 3))


def test_the_other_days_of_a_store_hear_of_a_change(
    predictor: Predictor, latest: pd.DataFrame, first: date
) -> None:
    changes = [Change(3, first + timedelta(days=day), is_promo=True) for day in range(5)]
    found = stores_of(predictor.forecast([3, 4], changes).forecasts, 3, 4)
    expected = stores_of(latest, 3, 4)
    # The network's last digits depend on how many stores it is asked for.
    differs = ~np.isclose(found["forecast"], expected["forecast"], rtol=1e-6, atol=0)

    assert set(found.loc[differs, "store_id"]) == {3}
    assert found.loc[differs, "date"].max() > pd.Timestamp(first + timedelta(days=5))


@pytest.mark.parametrize("days", [-1, 42, 4000])
def test_a_day_that_cannot_be_forecast_is_told_with_those_that_can(
    predictor: Predictor, first: date, days: int
) -> None:
    with pytest.raises(OutsideHorizonError, match=f"{first} to {first + timedelta(days=41)}"):
        predictor.forecast([3], [Change(3, first + timedelta(days=days), is_promo=True)])


def test_unknown_stores_are_named(predictor: Predictor, first: date) -> None:
    with pytest.raises(UnknownStoreError, match="There is no store 77, 99"):
        predictor.forecast([99, 3], [Change(77, first, is_promo=True)])


def test_two_plans_for_one_day_contradict_each_other(predictor: Predictor, first: date) -> None:
    changes = [Change(3, first, is_promo=True), Change(3, first, is_promo=False)]
    with pytest.raises(ContradictionError, match=f"Store 3 .* on {first}"):
        predictor.forecast([3], changes)
    twice = predictor.forecast([3], [changes[0], changes[0]])
    assert twice.forecasts.equals(predictor.forecast([3], changes[:1]).forecasts)


def failing(asked: Frames) -> np.ndarray:
    raise RuntimeError("out of order")


def test_without_a_member_the_others_answer_with_wider_intervals(
    predictor: Predictor, latest: pd.DataFrame
) -> None:
    weights = predictor.ensemble.weights
    heaviest = max(weights, key=lambda name: weights[name])
    without = replace(predictor, members={**predictor.members, heaviest: failing})

    answer = without.forecast([3])

    assert answer.degraded == (heaviest,)
    assert heaviest not in set(answer.forecasts["model"])
    ours = answer.forecasts[answer.forecasts["model"] == ENSEMBLE].reset_index(drop=True)
    whole = stores_of(latest[latest["model"] == ENSEMBLE], 3)
    is_open = ours["forecast"] > 0
    for level in (80, 95):
        lo, hi = (
            ours.loc[is_open, f"{side}_{level}"] / ours.loc[is_open, "forecast"]
            for side in ("lo", "hi")
        )
        usual_lo, usual_hi = (
            whole.loc[is_open, f"{side}_{level}"] / whole.loc[is_open, "forecast"]
            for side in ("lo", "hi")
        )
        assert (hi - lo).mean() > (usual_hi - usual_lo).mean()
    assert (ours.loc[~is_open, NUMBERS] == 0).all(axis=None)


def test_the_remaining_members_share_the_weights(predictor: Predictor) -> None:
    members = {name: ask for name, ask in predictor.members.items() if name == "lightgbm"}
    answer = replace(predictor, members=members).forecast([3])
    by_model = answer.forecasts.pivot_table(index="date", columns="model", values="forecast")

    assert set(answer.degraded) == set(predictor.members) - {"lightgbm"}
    np.testing.assert_allclose(by_model[ENSEMBLE], by_model["lightgbm"])


def test_without_any_member_there_is_no_answer(predictor: Predictor) -> None:
    with pytest.raises(NoMemberError, match="No member"):
        replace(predictor, members={}).forecast([3])
