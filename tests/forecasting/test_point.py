"""The mean and the RMSPE's optimum are the median times a factor that residuals speak for."""

import math

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting import metrics
from sales_assets.forecasting.point import factor, factors, moved, rmspe_optimum, smearing


def residuals(levels, spread=0.2, days=4_000, seed=1):
    """Return centred normal log errors about each window's level, and their windows."""
    rng = np.random.default_rng(seed)
    parts = []
    for level in levels:
        drawn = rng.normal(0, spread, days)
        parts.append(level + drawn - drawn.mean())
    windows = np.repeat(np.arange(len(levels)), days)
    return pd.Series(np.concatenate(parts)), pd.Series(windows)


def test_smearing_is_the_mean_ratio_of_sales_to_forecast():
    log_errors = np.array([0.3, -0.1, 0.0, -0.4])

    assert smearing(log_errors) == pytest.approx(sum(math.exp(e) for e in log_errors) / 4)


def test_the_rmspe_optimum_is_the_best_factor_of_a_grid():
    rng = np.random.default_rng(3)
    sales = rng.lognormal(8.5, 0.4, 500)
    forecast = sales * np.exp(rng.normal(0.05, 0.2, 500))

    best = rmspe_optimum(np.log(sales / forecast))

    grid = np.arange(0.7, 1.3, 0.0005)
    scores = [metrics.rmspe(sales, forecast * step) for step in grid]
    assert best == pytest.approx(grid[int(np.argmin(scores))], abs=0.0005)
    assert metrics.rmspe(sales, forecast * best) <= min(scores)


@pytest.mark.parametrize(("point", "exponent"), [("mean", 0.5), ("rmspe", -1.5), ("median", 0)])
def test_normal_residuals_give_the_factors_of_the_log_normal(point, exponent):
    log_errors, windows = residuals([0.0, 0.0, 0.0, 0.0])

    expected = math.exp(exponent * 0.2**2)
    assert factor(log_errors, windows, point) == pytest.approx(expected, rel=0.005)


def test_a_level_that_all_windows_share_is_corrected():
    log_errors, windows = residuals([0.10, 0.10, 0.10])

    assert factor(log_errors, windows, "mean") == pytest.approx(math.exp(0.10 + 0.02), rel=0.005)


def test_a_level_that_windows_disagree_on_is_not_corrected():
    log_errors, windows = residuals([0.10, -0.08, 0.01, -0.02])

    spread = float(np.std(log_errors))
    assert factor(log_errors, windows, "mean") == pytest.approx(math.exp(spread**2 / 2), rel=0.005)


def test_one_window_alone_says_nothing_of_the_level():
    log_errors, windows = residuals([0.3])

    assert factor(log_errors, windows, "mean") == pytest.approx(math.exp(0.02), rel=0.005)


def test_each_model_has_a_factor_of_its_own():
    keys = pd.DataFrame({"cutoff": np.repeat([1, 2], 500), "sales": 1_000.0})
    rng = np.random.default_rng(5)
    backtest = pd.concat(
        [
            keys.assign(model=name, forecast=1_000 * np.exp(rng.normal(0, spread, 1_000)))
            for name, spread in (("calm", 0.05), ("wild", 0.4))
        ],
        ignore_index=True,
    )

    for_mean, for_rmspe = factors(backtest, "mean"), factors(backtest, "rmspe")

    assert 1 < for_mean["calm"] < 1.01 < for_mean["wild"]
    assert for_rmspe["wild"] < 0.9 < for_rmspe["calm"] < 1
    assert factors(backtest, "median") == {"calm": 1.0, "wild": 1.0}


@pytest.mark.parametrize("times", [0.5, 0.97, 1.0, 1.03, 2.0])
def test_intervals_stay_and_hold_the_forecast(times):
    rows = pd.DataFrame(
        {"model": ["a", "a", "b"], "forecast": [100.0, 0.0, 100.0],
         "lo_80": [90.0, 0, 90], "hi_80": [110.0, 0, 110],
         "lo_95": [80.0, 0, 80], "hi_95": [120.0, 0, 120]}
    )  # fmt: skip

    result = rows.assign(**moved(rows, np.where(rows["model"] == "a", times, 1.0)))

    assert result["forecast"].tolist() == [100 * times, 0, 100]
    ordered = result[["lo_95", "lo_80", "forecast", "hi_80", "hi_95"]].to_numpy()
    assert (np.diff(ordered, axis=1) >= 0).all()
    assert (result.loc[1:, "lo_80":"hi_95"] == rows.loc[1:, "lo_80":"hi_95"]).all(axis=None)
    if 0.9 <= times <= 1.1:
        pd.testing.assert_frame_equal(
            result.drop(columns="forecast"), rows.drop(columns="forecast")
        )
