"""Weights are the best there are on the simplex, and never saw what they are judged by."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.conformal import ANY_STORE, NEW_STORE, calibrate, doubt_of
from sales_assets.forecasting.ensemble import (
    ENSEMBLE,
    MEMBERS,
    MODELS,
    Ensemble,
    combine,
    evened,
    fit_weights,
    out_of_fold,
    spread,
)

NAMES = list(MEMBERS)
ROW = ["cutoff", "store_id", "date"]


def generated(errors, seed=1, windows=3, stores=5, days=40):
    """Return a backtest of members with independent errors: name to (bias, spread) of logs."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [pd.date_range("2014-01-05", periods=windows, freq="42D"), range(1, stores + 1),
         range(1, days + 1)],
        names=["cutoff", "store_id", "h"],
    ).to_frame(index=False)  # fmt: skip
    keys["date"] = keys["cutoff"] + pd.to_timedelta(keys["h"], unit="D")
    keys["sales"] = rng.lognormal(8.5, 0.4, len(keys))
    return pd.concat(
        [
            keys.assign(
                model=name,
                forecast=keys["sales"] * np.exp(rng.normal(bias, spread, len(keys))),
                fingerprint=f"of {name}",
            )
            for name, (bias, spread) in errors.items()
        ],
        ignore_index=True,
    )


def squared_log_error(backtest, weights):
    """Return the mean squared error of the weighted mean of logs, by a plain loop."""
    by_row = {}
    for row in backtest.itertuples():
        combined = weights[row.model] * math.log(row.forecast)
        key = (row.cutoff, row.store_id, row.date)
        total, _ = by_row.get(key, (0.0, 0.0))
        by_row[key] = (total + combined, math.log(row.sales))
    return sum((said - sold) ** 2 for said, sold in by_row.values()) / len(by_row)


def test_the_models_are_the_members_and_their_ensemble():
    assert NAMES == ["baseline", "statistical", "random_forest", "lightgbm", "lstm"]
    assert (*NAMES, ENSEMBLE) == MODELS


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([(0, 0.1)] * 5, id="alike"),
        pytest.param([(0, 0.3), (0, 0.2), (0, 0.1), (0, 0.05), (0, 0.04)], id="better and better"),
        pytest.param([(0.5, 0.1), (-0.5, 0.1), (2, 0.1), (0, 0.2), (0.1, 0.1)], id="biased"),
        pytest.param([(3, 0.01), (3, 0.02), (3, 0.3), (3, 0.01), (3, 0.1)], id="all far too high"),
    ],
)
def test_weights_are_not_negative_and_sum_to_one(errors):
    weights = fit_weights(generated(dict(zip(NAMES, errors, strict=True))))

    assert list(weights) == NAMES
    assert min(weights.values()) >= 0
    assert sum(weights.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([(0, 0.2), (0, 0.1)], id="two, one better"),
        pytest.param([(0.2, 0.1), (-0.1, 0.1)], id="two, biases that cancel"),
        pytest.param([(0.3, 0.1), (0.1, 0.1)], id="two, on one side"),
        pytest.param([(0, 0.2), (0, 0.1), (0, 0.15)], id="three"),
        pytest.param([(0.2, 0.1), (-0.3, 0.2), (0.9, 0.1)], id="three, one useless"),
    ],
)
def test_weights_are_as_good_as_the_best_of_a_grid(errors):
    backtest = generated(dict(zip(NAMES, errors, strict=False)), windows=1, stores=2)
    names = list(backtest["model"].unique())
    logs = np.log(backtest.pivot_table(index=ROW, columns="model", values="forecast")[names])
    sales = np.log(backtest.drop_duplicates(ROW).set_index(ROW)["sales"].reindex(logs.index))

    weights = fit_weights(backtest)

    steps = [
        np.array(shares) / 100
        for shares in itertools.product(range(101), repeat=len(names))
        if sum(shares) == 100
    ]
    on_grid = [float(((logs.to_numpy() @ step - sales) ** 2).mean()) for step in steps]
    best = steps[int(np.argmin(on_grid))]
    assert squared_log_error(backtest, weights) <= min(on_grid) + 1e-9
    assert list(weights.values()) == pytest.approx(best.tolist(), abs=0.011)


@pytest.mark.parametrize("perfect", NAMES)
def test_a_member_that_is_always_right_gets_everything(perfect):
    errors = {name: (0.1, 0.0 if name == perfect else 0.2) for name in NAMES}
    errors[perfect] = (0.0, 0.0)

    weights = fit_weights(generated(errors))

    assert weights[perfect] == pytest.approx(1)


def test_one_window_that_nobody_could_know_does_not_decide_the_weights():
    usual = generated({NAMES[0]: (0.0, 0.2), NAMES[1]: (0.0, 0.08)}, windows=3)
    christmas = generated({NAMES[0]: (0.0, 0.4), NAMES[1]: (0.5, 0.4)}, seed=2, windows=1)
    christmas[["cutoff", "date"]] -= pd.Timedelta(42, "D")

    weights = fit_weights(pd.concat([usual, christmas]))

    assert weights[NAMES[1]] > 0.6


def test_weights_are_as_good_as_the_best_of_a_grid_where_windows_differ():
    easy = generated({NAMES[0]: (0.05, 0.1), NAMES[1]: (-0.1, 0.05)}, windows=1, stores=3)
    hard = generated({NAMES[0]: (-0.3, 0.4), NAMES[1]: (0.6, 0.8)}, seed=2, windows=1, stores=7)
    hard[["cutoff", "date"]] += pd.Timedelta(42, "D")

    weights = fit_weights(pd.concat([easy, hard]))

    def loss(share):
        total = 0.0
        for window in (easy, hard):
            logs = {name: np.log(rows["forecast"]).to_numpy() for name, rows in
                    window.groupby("model")}  # fmt: skip
            sales = np.log(window.loc[window["model"] == NAMES[0], "sales"].to_numpy())
            errors = [logs[name] - sales for name in NAMES[:2]]
            usual = sum(float(np.mean(error**2)) for error in errors) / 2
            for first, second in zip(*errors, strict=True):
                total += (share * first + (1 - share) * second) ** 2 / usual
        return total

    best = min((share / 1000 for share in range(1001)), key=loss)
    assert 0.05 < best < 0.95
    assert weights[NAMES[0]] == pytest.approx(best, abs=0.001)


def test_errors_are_evened_window_by_window():
    errors = np.array([[3.0, 4.0], [3.0, -4.0], [0.3, 0.4], [0.0, 0.0]])

    even = evened(errors, pd.Index([1, 1, 2, 3]))

    assert even[0] == pytest.approx(errors[0] / 12.5**0.5)
    assert even[2] == pytest.approx(even[0])
    assert even[3].tolist() == [0, 0]


def test_a_member_that_failed_in_a_window_does_not_make_it_small_for_the_others():
    errors = np.array([[3.0, 4.0, 900.0], [0.3, 0.4, 0.4]])

    even = evened(errors, pd.Index([1, 2]))

    assert even[0].tolist() == [0.75, 1, 225]
    assert even[1].tolist() == pytest.approx([0.75, 1, 1])


def test_weights_do_not_depend_on_the_order_of_the_rows():
    backtest = generated(dict.fromkeys(NAMES, (0.0, 0.1)))

    weights = fit_weights(backtest.sample(frac=1, random_state=1))

    assert weights == pytest.approx(fit_weights(backtest))


def test_the_combination_is_the_weighted_geometric_mean():
    forecasts = pd.DataFrame({"a": [100.0, 5_000.0], "b": [400.0, 7_000.0], "c": [900.0, 1.0]})
    weights = {"c": 0.2, "a": 0.5, "b": 0.3}

    combined = np.exp(combine(np.log(forecasts), weights))

    for row, said in zip(forecasts.to_dict("records"), combined, strict=True):
        assert said == pytest.approx(math.prod(row[name] ** weights[name] for name in weights))


def test_a_member_without_weight_has_no_say():
    logs = pd.DataFrame({"a": [1.0, 2.0], "b": [50.0, -50.0], "unused": [7.0, 7.0]})

    assert combine(logs, {"b": 0.0, "a": 1.0}).tolist() == [1.0, 2.0]


def test_out_of_fold_forecasts_are_combined_by_the_weights_of_the_other_windows():
    backtest = generated({name: (0.05 * i, 0.1 + 0.02 * i) for i, name in enumerate(NAMES)})

    ensemble = out_of_fold(backtest)

    assert set(ensemble["model"]) == {ENSEMBLE}
    said = ensemble.set_index(ROW)["forecast"]
    for cutoff, judged in backtest.groupby("cutoff"):
        weights = fit_weights(backtest[backtest["cutoff"] != cutoff])
        for key, rows in judged.groupby(ROW):
            by_name = rows.set_index("model")["forecast"]
            expected = math.prod(by_name[name] ** share for name, share in weights.items())
            assert said[key] == pytest.approx(expected)


def test_out_of_fold_has_one_row_for_each_judged_day_with_its_sales():
    backtest = generated(dict.fromkeys(NAMES, (0.0, 0.1)))
    one = backtest[backtest["model"] == NAMES[0]].set_index(ROW)

    ensemble = out_of_fold(backtest).set_index(ROW)

    assert ensemble.index.is_unique
    assert len(ensemble) == len(one)
    for column in ("sales", "h"):
        pd.testing.assert_series_equal(ensemble[column].reindex(one.index), one[column])


@pytest.mark.parametrize("window", [0, 1, 2])
def test_changing_the_sales_of_a_judged_window_leaves_its_own_forecasts_alone(window):
    backtest = generated({name: (0.1 * i, 0.1) for i, name in enumerate(NAMES)})
    judged = backtest["cutoff"] == backtest["cutoff"].unique()[window]
    factor = np.exp(np.random.default_rng(2).normal(0.3, 0.3, len(backtest) // len(NAMES)))
    other = backtest.assign(
        sales=backtest["sales"].where(~judged, backtest["sales"] * np.tile(factor, len(NAMES)))
    )

    before = out_of_fold(backtest).set_index(ROW)["forecast"]
    after = out_of_fold(other).set_index(ROW)["forecast"]

    in_window = before.index.isin(
        list(backtest.loc[judged, ROW].itertuples(index=False, name=None))
    )
    pd.testing.assert_series_equal(before[in_window], after[in_window], check_exact=True)
    assert (before[~in_window] != after[~in_window]).all()


def test_an_ensemble_is_the_same_after_it_was_saved_and_loaded(tmp_path):
    backtest = generated(dict.fromkeys(NAMES, (0.0, 0.1)))
    ensemble = Ensemble(fit_weights(backtest), calibrate(backtest), {"ensemble": 1.02})

    ensemble.save(tmp_path)
    loaded = Ensemble.load(tmp_path)

    assert dict(loaded.weights) == dict(ensemble.weights)
    assert list(loaded.weights) == list(ensemble.weights)
    assert loaded.factors == ensemble.factors
    pd.testing.assert_frame_equal(loaded.calibration, ensemble.calibration, check_exact=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calibration.parquet", "factors.json", "weights.json"
    ]  # fmt: skip
    assert json.loads((tmp_path / "weights.json").read_text()) == ensemble.weights


def test_a_version_without_factors_forecasts_the_median(tmp_path):
    backtest = generated(dict.fromkeys(NAMES, (0.0, 0.1)))
    Ensemble(fit_weights(backtest), calibrate(backtest), {"ensemble": 1.02}).save(tmp_path)
    (tmp_path / "factors.json").unlink()

    assert Ensemble.load(tmp_path).factors == {}


def test_only_a_store_without_any_sales_has_the_intervals_of_a_new_one():
    backtest = generated(dict.fromkeys(NAMES, (0.0, 0.1)))
    backtest = pd.concat([backtest, out_of_fold(backtest)])
    ensemble = Ensemble(fit_weights(backtest[backtest["model"] != ENSEMBLE]), calibrate(backtest))
    rows = pd.DataFrame(
        {
            "cutoff": pd.Timestamp("2014-06-01"),
            "store_id": [1, 98, 99],
            "date": pd.Timestamp("2014-06-03"),
            "h": 2,
            "is_open": True,
            "anchor": [8.5, 8.5, np.nan],
        }
    )
    says = pd.DataFrame(dict.fromkeys(NAMES, [8.5] * 3)) + np.linspace(-0.05, 0.05, len(NAMES))

    forecasts = ensemble.forecast(rows, says)

    table = ensemble.calibration.query("model == 'ensemble' and horizon_week == 1")
    bounds = table.set_index("store_id")[["lo_95", "lo_80", "hi_80", "hi_95"]]
    own = forecasts[forecasts["model"] == ENSEMBLE].set_index("store_id")
    by = doubt_of(np.array([says.iloc[0].std()]))[0]
    for store, stands_in in ((1, 1), (98, ANY_STORE), (99, NEW_STORE)):
        found = np.log(own.loc[store, bounds.columns].astype(float) / own.loc[store, "forecast"])
        np.testing.assert_allclose(found, by * bounds.loc[stands_in])
    assert (bounds.loc[NEW_STORE].abs() > bounds.loc[ANY_STORE].abs()).all()


@pytest.mark.parametrize("members", [1, 2, 5])
def test_members_are_apart_by_the_deviation_of_those_that_know(members):
    random = np.random.default_rng(4)
    logs = random.normal(8, 0.3, (500, members))
    logs[random.random(logs.shape) < 0.3] = np.nan

    np.testing.assert_array_equal(spread(logs), pd.DataFrame(logs).std(axis=1))
