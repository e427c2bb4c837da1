"""A new ensemble has to beat the baseline, and not to be worse than the champion."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from sales_assets.forecasting import metrics
from sales_assets.forecasting.bundle import Bundle, windows_of
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS, Ensemble
from sales_assets.forecasting.features import last_sales_day
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.manifest import Manifest, Window
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.promotion import decide, fit_again, judge
from tests.promoting import chosen, settle

CUTOFFS = ("2026-01-01", "2026-02-12", "2026-03-26")
NOW = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


def an_ensemble(*errors, baseline=0.2, judged="same task", first=0):
    """An ensemble that was judged on windows, an error each."""
    windows = {
        cutoff: Window(100, error, baseline, f"{judged} {cutoff}")
        for cutoff, error in zip(CUTOFFS[first:], errors, strict=False)
    }
    return Manifest(
        name=ENSEMBLE, version="v", cutoff=date(2026, 5, 1), fingerprint="f", data="", files={},
        parameters={}, features=[], scores={}, members={}, libraries={}, created_at=NOW,
        windows=windows,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("challenger", "champion", "is_promoted", "reason"),
    [
        pytest.param(
            an_ensemble(0.1), an_ensemble(0.11), True, "0.1000 against the champion's", id="better"
        ),
        pytest.param(
            an_ensemble(0.102), an_ensemble(0.1), True, "0.1020 against", id="as bad as allowed"
        ),
        pytest.param(
            an_ensemble(0.1021), an_ensemble(0.1), False, r"worse by 2\.1%, where 2\.0%", id="worse"
        ),
        pytest.param(
            an_ensemble(0.21), an_ensemble(0.3), False, "does not beat the baseline", id="baseline"
        ),
        pytest.param(
            an_ensemble(0.2), an_ensemble(0.3), False, "does not beat the baseline", id="as bad"
        ),
        pytest.param(
            an_ensemble(0.1, 0.3, baseline=0.25),
            an_ensemble(0.09, first=2),
            True,
            "shares no window",
            id="no window is shared",
        ),
        pytest.param(
            an_ensemble(0.3, first=1),
            an_ensemble(0.1),
            False,
            "shares no window",
            id="baseline only",
        ),
        pytest.param(
            an_ensemble(0.1), an_ensemble(0.05, judged="other"), True, "no window", id="other days"
        ),
        pytest.param(an_ensemble(0.1), an_ensemble(), True, "shares no window", id="old champion"),
        pytest.param(an_ensemble(0.1), None, True, "no champion to compare", id="the first"),
        pytest.param(an_ensemble(0.3), None, True, "there is no other", id="the first, and bad"),
        pytest.param(an_ensemble(), an_ensemble(0.1), True, "not judged", id="not recorded"),
        pytest.param(
            an_ensemble(0.01, 0.15, 0.01),
            an_ensemble(0.1, first=1),
            False,
            "0.1500 against the champion's 0.1000 on one window",
            id="only what both were judged on counts",
        ),
    ],
)
def test_a_challenger_is_promoted_or_not(challenger, champion, is_promoted, reason):
    verdict = judge(challenger, champion, 0.02)

    assert verdict.is_promoted is is_promoted
    assert pd.Series([verdict.reason]).str.contains(reason).all(), verdict.reason
    assert verdict.is_warning is (champion is None and "no other" in verdict.reason)


def test_the_verdict_names_the_windows_in_which_the_baseline_was_as_good():
    windows = {
        "2025-12-20": Window(100, 0.5, 0.2, "a"),
        "2026-01-31": Window(100, 0.1, 0.2, "b"),
        "2026-03-14": Window(100, 0.2, 0.2, "c"),
    }
    challenger = replace(an_ensemble(), windows=windows)

    where = "as good or better in 2 of 3 windows (after 2025-12-20 and 2026-03-14)"
    assert where in judge(challenger, None, 0.02).reason
    assert where in judge(challenger, challenger, 0.02).reason
    good = replace(an_ensemble(), windows={"2026-01-31": windows["2026-01-31"]})
    assert "as good or better" not in judge(good, None, 0.02).reason


def test_errors_of_windows_count_by_their_days():
    long, short = Window(300, 0.1, 0.3, "a"), Window(100, 0.2, 0.3, "b")
    challenger = replace(an_ensemble(), windows={"2026-01-01": long, "2026-02-12": short})
    champion = replace(
        an_ensemble(),
        windows={"2026-01-01": replace(long, rmspe=0.2), "2026-02-12": replace(short, rmspe=0.1)},
    )

    verdict = judge(challenger, champion, 0.02)

    assert verdict.rmspe == pytest.approx(((300 * 0.01 + 100 * 0.04) / 400) ** 0.5)
    assert verdict.champion_rmspe == pytest.approx(((300 * 0.04 + 100 * 0.01) / 400) ** 0.5)


def test_what_is_recorded_of_a_window_is_its_errors_and_its_task():
    days = pd.MultiIndex.from_product(
        [[ENSEMBLE, "baseline"], pd.to_datetime(CUTOFFS[:2]), [1, 2], pd.to_datetime(CUTOFFS[2:])],
        names=["model", "cutoff", "store_id", "date"],
    ).to_frame(index=False)
    backtest = days.assign(sales=100.0, forecast=range(100, 100 + len(days)))

    windows = windows_of(backtest.sample(frac=1, random_state=1))

    assert list(windows) == [*CUTOFFS[:2]]
    for cutoff, window in windows.items():
        for model, error in ((ENSEMBLE, window.rmspe), ("baseline", window.baseline_rmspe)):
            own = backtest[(backtest["model"] == model) & (backtest["cutoff"] == cutoff)]
            assert error == metrics.rmspe(own["sales"].to_numpy(), own["forecast"].to_numpy())
    changed = windows_of(backtest.assign(sales=backtest["sales"].where(days["store_id"] == 1, 99)))
    assert windows[CUTOFFS[0]].judged != changed[CUTOFFS[0]].judged
    assert windows == windows_of(backtest)


@pytest.fixture(scope="module")
def released(home):
    """The versions of a refreshed home, and its champion."""
    store = ModelStore(home / "models")
    return store, store.champion()


@pytest.fixture
def store(released, tmp_path):
    """A copy of them, whose clock goes on by a minute each time someone looks at it."""
    minutes = (NOW + timedelta(days=30, minutes=minute) for minute in range(1_000))
    shutil.copytree(released[0].root, tmp_path / "models")
    return ModelStore(tmp_path / "models", now=lambda: next(minutes))


@pytest.fixture(scope="module")
def cutoff(con):
    return last_sales_day(con)


@pytest.fixture(scope="module")
def grown(training):
    """The training rows of a chain that sells a tenth more."""
    rows = training.rows.assign(log_sales=training.rows["log_sales"] + 0.1)
    return Frames(rows, training.history.assign(sales=training.history["sales"] * 1.1))


def forge(store, **changes):
    """Change what the champion's manifest records, and its hash where that is recorded."""
    champion = store.champion()
    path = store.root / ENSEMBLE / champion.version / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    record = json.loads((store.root / "champion.json").read_text())
    record["manifest_sha256"] = store.manifest_sha256(ENSEMBLE, champion.version)
    (store.root / "champion.json").write_text(json.dumps(record))


def test_a_champion_is_fitted_again_with_its_own_recipe(
    store, training, grown, future, cutoff, settings
):
    champion = store.manifest(ENSEMBLE, store.champion().version)
    # What is set by now is not what the champion was made with.
    baseline = settings.baseline.model_copy(update={"days": 99})
    now = settings.model_copy(update={"baseline": baseline})

    again = fit_again(store, champion, grown, cutoff, "new data", now)

    assert again.continues == champion.version
    assert (again.windows, again.scores) == (champion.windows, champion.scores)
    fitted = store.manifest("baseline", again.members["baseline"]["version"])
    assert fitted.parameters == {"days": settings.baseline.days}
    before, after = (
        Ensemble.load(store.verified(ENSEMBLE, version.version)) for version in (champion, again)
    )
    assert (after.weights, after.factors) == (before.weights, before.factors)
    pd.testing.assert_frame_equal(after.calibration, before.calibration)
    old, new = (
        Bundle.load(store, version.version, now).forecast(future)["forecast"]
        for version in (champion, again)
    )
    assert (new.sum() / old.sum()) == pytest.approx(1.1, abs=0.03)
    # The same again is what is there, whether the champion or what continued it is asked for.
    count = len(store.versions(ENSEMBLE))
    assert fit_again(store, champion, grown, cutoff, "new data", now) == again
    assert fit_again(store, again, grown, cutoff, "new data", now) == again
    assert len(store.versions(ENSEMBLE)) == count
    assert store.newest_composed() == champion


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("features", "learnt from other features"),
        ("parameters", "baseline has parameters that cannot be used any more: weeks"),
        ("recipe", "libraries or settings of now would make another model of baseline."),
        ("seed", "another model of baseline, statistical, random_forest, lightgbm, lstm."),
        ("members", "its members are baseline"),
        ("byte", "weights.json is missing or was changed"),
    ],
)
def test_a_champion_that_cannot_be_fitted_again_does_not_stop_the_refresh(
    store, training, cutoff, settings, fault, says
):
    champion = store.champion()
    members = store.manifest(ENSEMBLE, champion.version).members
    baseline = store.root / "baseline" / members["baseline"]["version"] / "manifest.json"
    rows = training.rows
    if fault == "features":
        rows = rows.drop(columns="day_of_year")
    if fault == "seed":
        settings = settings.model_copy(update={"seed": settings.seed + 1})
    if fault in ("parameters", "recipe"):
        value = {"weeks": 26} if fault == "parameters" else "of an older library"
        recorded = json.loads(baseline.read_text()) | {fault: value}
        baseline.write_text(json.dumps(recorded))
        members["baseline"]["manifest_sha256"] = store.manifest_sha256(
            "baseline", members["baseline"]["version"]
        )
    if fault == "members":
        members = {"baseline": members["baseline"]}
    forge(store, members=members)
    if fault == "byte":
        weights = store.root / ENSEMBLE / champion.version / "weights.json"
        weights.write_bytes(weights.read_bytes() + b" ")
    challenger = replace(an_ensemble(0.9), version="20990101T000000Z-00000000")

    choice = decide(
        store, challenger, lambda: Frames(rows, training.history), cutoff, "new data", settings
    )

    assert (choice.version, choice.champion) == (challenger.version, champion.version)
    assert choice.is_warning
    assert f"{champion.version} cannot be fitted again: " in choice.reason
    assert says in choice.reason
    assert {name: len(store.versions(name)) for name in MEMBERS} == dict.fromkeys(MEMBERS, 1)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_champion_that_goes_on_with_another_point_than_is_set_is_told(
    store, training, cutoff, settings, by_hand
):
    if by_hand:
        chosen(store, store.champion().version, "the audit's")
    mean = settings.model_copy(update={"point": "mean"})
    choices = [
        decide(store, an_ensemble(0.9), lambda: training, cutoff, "new data", now)
        for now in (settings, mean)
    ]

    assert [choice.is_warning for choice in choices] == [False, True]
    assert "SALES_POINT" not in choices[0].reason
    assert "It forecasts medians, as when it was composed: SALES_POINT=mean" in choices[1].reason


def test_a_champion_that_cannot_be_read_is_told_and_the_new_version_takes_its_place(
    store, training, cutoff, settings
):
    champion = store.champion()
    (store.root / ENSEMBLE / champion.version / "manifest.json").write_text("{")
    challenger = an_ensemble(0.1)

    choice = decide(store, challenger, lambda: training, cutoff, "new data", settings)

    assert choice.champion == challenger.version
    assert choice.is_warning
    assert choice.reason.startswith(f"The champion {champion.version} cannot be read. ")


def test_a_champion_chosen_by_hand_stays_and_the_challenger_is_judged_all_the_same(
    store, training, cutoff, settings
):
    version = store.champion().version
    chosen(store, version, "the audit's")

    choice = decide(store, an_ensemble(0.1), lambda: training, cutoff, "new data", settings)

    assert (choice.version, choice.champion, choice.against) == (version, version, version)
    assert "chosen by hand" in choice.reason
    settle(store)
    refused = store.champion().history[-1]
    assert (refused.is_promoted, refused.champion_rmspe) == (False, choice.champion_rmspe)
