"""A bundle is fitted once, composed once, and forecasts only what is open."""

import json
import math
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.bundle import (
    FORECAST_COLUMNS,
    Bundle,
    as_recorded,
    compose,
    fit_member,
    load_member,
)
from sales_assets.forecasting.conformal import add_intervals, calibrate
from sales_assets.forecasting.ensemble import (
    ENSEMBLE,
    MEMBERS,
    MODELS,
    Ensemble,
    fit_weights,
    spread,
)
from sales_assets.forecasting.features import (
    data_fingerprint,
    last_sales_day,
)
from sales_assets.forecasting.frames import Frames, feature_names
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.point import factors
from sales_assets.settings import BOUNDS

SCORES = {"rmspe": 0.15, "wape": 0.1}
KEYS = ["cutoff", "store_id", "date"]


@pytest.fixture(scope="module")
def cutoff(con):
    return last_sales_day(con)


@pytest.fixture(scope="module")
def data(con):
    return data_fingerprint(con)


def a_store(root, day=22):
    """Return a store whose clock goes on by a minute each time someone looks at it."""
    start = datetime(2026, 11, day, 6, 15, tzinfo=UTC)
    minutes = (start + timedelta(minutes=minute) for minute in range(1_000))
    return ModelStore(root, now=lambda: next(minutes))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, training, cutoff, data, settings):
    """A store with every member fitted, and their manifests."""
    store = a_store(tmp_path_factory.mktemp("models"))
    members = {}
    for name in MEMBERS:
        members[name], is_new = fit_member(store, name, training, cutoff, data, settings)
        assert is_new
    return store, members


@pytest.fixture(scope="module")
def composed(fitted, backtest):
    store, members = fitted
    return compose(store, members, backtest, SCORES)


@pytest.fixture(scope="module")
def bundle(fitted, composed, settings):
    return Bundle.load(fitted[0], composed.version, settings)


@pytest.fixture(scope="module")
def forecasts(bundle, future):
    return bundle.forecast(future)


@pytest.fixture
def copied(fitted, composed, tmp_path):
    """A store of its own with the same versions, to be changed."""
    shutil.copytree(fitted[0].root, tmp_path / "models")
    return a_store(tmp_path / "models", day=29)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_that_is_unchanged_is_not_fitted_again(
    fitted, training, cutoff, data, settings, monkeypatch, name
):
    store, members = fitted

    def fit(self, known, cutoff):
        raise AssertionError("fitted again")

    monkeypatch.setattr(MEMBERS[name], "fit", fit)

    assert fit_member(store, name, training, cutoff, data, settings) == (members[name], False)
    assert store.versions(name) == [members[name]]


def test_a_member_records_what_it_learnt_from(fitted, training, cutoff, settings):
    for name, manifest in fitted[1].items():
        assert (manifest.name, manifest.cutoff) == (name, cutoff)
        assert manifest.features == feature_names(training.rows)
        assert manifest.parameters == getattr(settings, name).model_dump(mode="json")


def test_a_member_learns_nothing_after_the_cutoff(tmp_path, training, data, settings, monkeypatch):
    earlier = training.rows["cutoff"].unique()[10].date()
    seen = []
    fit = MEMBERS["baseline"].fit

    def spy(self, known, cutoff):
        seen.append(max(known.rows["date"].max(), known.history["date"].max()))
        return fit(self, known, cutoff)

    monkeypatch.setattr(MEMBERS["baseline"], "fit", spy)

    fit_member(ModelStore(tmp_path), "baseline", training, earlier, data, settings)

    assert seen == [pd.Timestamp(earlier)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"data": "other data"}, id="data"),
        pytest.param({"days": 100}, id="the member's own settings"),
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"horizon": 35}, id="horizon"),
        pytest.param({"weeks_earlier": 1}, id="cutoff"),
        pytest.param({"without_feature": "day_of_year"}, id="features"),
    ],
)
def test_a_member_is_fitted_again_when_anything_changed(
    copied, training, cutoff, data, settings, change
):
    if "days" in change:
        baseline = settings.baseline.model_copy(update=change)
        settings = settings.model_copy(update={"baseline": baseline})
    if "seed" in change or "horizon" in change:
        settings = settings.model_copy(update=change)
    rows = training.rows.drop(columns=change.get("without_feature", []))

    manifest, is_new = fit_member(
        copied,
        "baseline",
        Frames(rows, training.history),
        cutoff - timedelta(weeks=change.get("weeks_earlier", 0)),
        change.get("data", data),
        settings,
    )

    assert is_new
    assert copied.versions("baseline")[-1] == manifest
    assert len(copied.versions("baseline")) == 2


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "baseline"])
def test_other_members_settings_do_not_matter(copied, training, cutoff, data, settings, name):
    baseline = settings.baseline.model_copy(update={"days": 100})
    settings = settings.model_copy(update={"baseline": baseline})

    _, is_new = fit_member(copied, name, training, cutoff, data, settings)

    assert not is_new


def test_a_member_is_asked_as_it_was_fitted_whatever_is_set_now(fitted, composed, settings):
    store, members = fitted
    lstm = settings.lstm.model_copy(update={"past_days": settings.lstm.past_days + 7})
    other = settings.model_copy(update={"lstm": lstm})
    saved = members["lstm"]

    loaded = load_member(
        store, "lstm", saved.version, store.manifest_sha256("lstm", saved.version), other
    )

    assert loaded.parameters == settings.lstm
    assert as_recorded(store, composed, other).lstm == settings.lstm


def test_an_ensemble_of_the_same_members_and_backtest_is_kept(fitted, composed, backtest):
    store, members = fitted

    assert compose(store, members, backtest, SCORES) == composed
    assert store.versions(ENSEMBLE) == [composed]


def test_an_ensemble_is_composed_again_when_a_member_or_the_backtest_changed(
    copied, fitted, composed, training, cutoff, backtest, settings
):
    members = dict(fitted[1])
    members["baseline"], _ = fit_member(copied, "baseline", training, cutoff, "other", settings)
    with_new_member = compose(copied, members, backtest, SCORES)
    other = backtest.assign(fingerprint=backtest["fingerprint"] + "x")
    with_new_backtest = compose(copied, members, other, SCORES)

    assert copied.versions(ENSEMBLE) == [composed, with_new_member, with_new_backtest]
    assert with_new_member.members["baseline"]["version"] == members["baseline"].version


def test_an_ensemble_records_weights_scores_and_its_members(fitted, composed, backtest, cutoff):
    store, members = fitted

    of_members = backtest[backtest["model"] != ENSEMBLE]
    assert composed.parameters == {"weights": fit_weights(of_members), "point": "median"}
    assert (composed.scores, composed.cutoff) == (SCORES, cutoff)
    assert composed.members == {
        name: {
            "version": manifest.version,
            "manifest_sha256": store.manifest_sha256(name, manifest.version),
        }
        for name, manifest in members.items()
    }


def test_an_ensembles_intervals_come_from_the_whole_backtest(fitted, composed, backtest):
    ensemble = Ensemble.load(fitted[0].verified(ENSEMBLE, composed.version))

    pd.testing.assert_frame_equal(ensemble.calibration, calibrate(backtest), check_exact=True)


def test_there_is_one_forecast_for_each_model_store_and_day(forecasts, future, composed):
    assert list(forecasts.columns) == FORECAST_COLUMNS
    assert list(forecasts["model"].unique()) == list(MODELS)
    for _, rows in forecasts.groupby("model"):
        asked = future.rows[[*KEYS, "h"]]
        pd.testing.assert_frame_equal(rows[[*KEYS, "h"]].reset_index(drop=True), asked)
    assert set(forecasts["version"]) == {composed.version}


def test_a_closed_day_is_exactly_zero_and_an_open_one_is_not(forecasts, future):
    is_open = np.tile(future.rows["is_open"].to_numpy(), len(MODELS))
    numbers = forecasts[["forecast", *BOUNDS]]

    assert not is_open.all()
    assert (numbers[~is_open] == 0).all(axis=None)
    assert (numbers[is_open] > 0).all(axis=None)


def test_bounds_enclose_the_forecast_in_order(forecasts):
    ordered = forecasts[["lo_95", "lo_80", "forecast", "hi_80", "hi_95"]].to_numpy()

    assert np.isfinite(ordered).all()
    assert (np.diff(ordered, axis=1) >= 0).all()


def test_bounds_are_those_of_the_ensembles_calibration(bundle, forecasts):
    opened = forecasts[forecasts["forecast"] > 0]
    members = opened[opened["model"] != ENSEMBLE]
    logs = np.log(members.pivot_table(index=KEYS, columns="model", values="forecast"))
    apart = pd.Series(spread(logs.to_numpy()), index=logs.index, name="spread")

    again = add_intervals(
        opened.drop(columns=BOUNDS).join(apart, on=KEYS), bundle.ensemble.calibration
    )

    pd.testing.assert_frame_equal(again[BOUNDS], opened[BOUNDS], rtol=1e-9)


def test_the_ensembles_forecast_is_the_weighted_geometric_mean_of_its_members(bundle, forecasts):
    wide = forecasts.pivot_table(index=KEYS, columns="model", values="forecast")
    weights = bundle.ensemble.weights
    opened = wide[wide[ENSEMBLE] > 0]

    assert sum(weights.values()) == pytest.approx(1)
    for row in opened.to_dict("records"):
        expected = math.prod(row[name] ** share for name, share in weights.items())
        assert row[ENSEMBLE] == pytest.approx(expected)


@pytest.mark.parametrize("point", ["mean", "rmspe"])
def test_another_point_is_composed_without_fitting_and_moves_every_forecast(
    copied, fitted, backtest, forecasts, future, settings, point
):
    version = compose(copied, fitted[1], backtest, SCORES, point).version
    moved = Bundle.load(copied, version, settings).forecast(future)
    by_model = factors(backtest, point)

    assert {name: len(copied.versions(name)) for name in MODELS} == {
        **dict.fromkeys(MEMBERS, 1), ENSEMBLE: 2,
    }  # fmt: skip
    assert set(by_model) == set(MODELS)
    for model, rows in moved.groupby("model"):
        before = forecasts.loc[forecasts["model"] == model, "forecast"]
        assert rows["forecast"].tolist() == pytest.approx((before * by_model[model]).tolist())
    assert (moved["forecast"] != forecasts["forecast"])[forecasts["forecast"] > 0].all()
    ordered = moved[["lo_95", "lo_80", "forecast", "hi_80", "hi_95"]].to_numpy()
    assert (np.diff(ordered, axis=1) >= 0).all()
    # Going back to the median is one more version, whose forecasts are those of before.
    back = compose(copied, fitted[1], backtest, SCORES).version
    again = Bundle.load(copied, back, settings).forecast(future).assign(version=version)
    pd.testing.assert_frame_equal(again, forecasts.assign(version=version), check_exact=True)


def test_members_that_were_loaded_forecast_as_those_that_were_fitted(
    forecasts, training, future, cutoff, settings
):
    is_open = future.rows["is_open"].to_numpy()
    for name, member in MEMBERS.items():
        fitted = member(settings).fit(training.known_at(cutoff), cutoff)
        said = forecasts.loc[forecasts["model"] == name, "forecast"].to_numpy()

        np.testing.assert_array_equal(said[is_open], np.exp(fitted.predict(future))[is_open])


def test_some_stores_are_forecast_as_among_all(bundle, forecasts, future):
    some = Frames(
        future.rows[future.rows["store_id"].isin([2, 9])],
        future.history[future.history["store_id"].isin([2, 9])],
    )

    expected = forecasts[forecasts["store_id"].isin([2, 9])].reset_index(drop=True)

    pd.testing.assert_frame_equal(bundle.forecast(some), expected, check_exact=True)


def test_opening_a_closed_day_gives_it_a_forecast_and_closing_takes_it_away(bundle, future):
    rows = future.rows[future.rows["store_id"] == 1]
    turned = bundle.forecast(Frames(rows.assign(is_open=~rows["is_open"]), future.history))

    expected = np.tile(~rows["is_open"].to_numpy(), len(MODELS))
    assert (turned["forecast"] > 0).tolist() == expected.tolist()


def test_a_bundle_needs_a_year_of_history_and_no_more(bundle, forecasts, future):
    last_day = future.history["date"].max()
    year = future.history[future.history["date"] > last_day - pd.Timedelta(days=364)]
    assert len(year) < len(future.history)

    pd.testing.assert_frame_equal(bundle.forecast(Frames(future.rows, year)), forecasts, rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_bundle_with_a_changed_file_is_not_loaded(copied, composed, settings, name):
    version = copied.versions(name)[-1].version
    for file in copied.manifest(name, version).files:
        path = copied.root / name / version / file
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

        with pytest.raises(ModelStoreError, match=f"{name} {version} is not loaded"):
            Bundle.load(copied, composed.version, settings)

        path.write_bytes(good)
    assert Bundle.load(copied, composed.version, settings).manifest == composed


@pytest.mark.parametrize("name", MEMBERS)
def test_a_bundle_with_a_changed_member_manifest_is_not_loaded(copied, composed, settings, name):
    version = copied.versions(name)[-1].version
    path = copied.root / name / version / "manifest.json"
    path.write_text(path.read_text().replace('"cutoff"', ' "cutoff"'))

    with pytest.raises(ModelStoreError, match=f"The manifest of {name} {version} is not the one"):
        Bundle.load(copied, composed.version, settings)


def test_a_member_that_other_code_saved_is_refused_in_a_sentence(copied, composed, settings):
    version = composed.members["lightgbm"]["version"]
    path = copied.root / "lightgbm" / version / "manifest.json"
    values = json.loads(path.read_text())
    del values["files"]["stores.json"]
    path.write_text(json.dumps(values))
    (path.parent / "stores.json").unlink()

    with pytest.raises(ModelStoreError, match=f"lightgbm {version} was saved by another version"):
        load_member(
            copied, "lightgbm", version, copied.manifest_sha256("lightgbm", version), settings
        )


@pytest.mark.parametrize("change", ["drop", "add", "move"])
def test_a_bundle_that_learnt_from_other_features_says_so(bundle, future, change):
    rows = {
        "drop": future.rows.drop(columns="day_of_year"),
        "add": future.rows.assign(weather=1.0),
        "move": future.rows[sorted(future.rows.columns)],
    }[change]

    with pytest.raises(ModelStoreError, match=r"lstm learnt from other features than there are"):
        bundle.forecast(Frames(rows, future.history))


def test_a_bundle_whose_member_is_gone_is_not_loaded(copied, composed, settings):
    shutil.rmtree(copied.root / "lightgbm")

    with pytest.raises(ModelStoreError, match=r"lightgbm has no version .* none"):
        Bundle.load(copied, composed.version, settings)


def test_an_unknown_ensemble_is_not_loaded(copied, composed, settings):
    with pytest.raises(ModelStoreError, match=f"versions there are: {composed.version}"):
        Bundle.load(copied, "20200101T000000Z-00000000", settings)
