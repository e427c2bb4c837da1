"""The score of a whole predictive distribution is exact, and no window has a part in its own."""

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.conformal import (
    SPREAD_POWER,
    TYPICAL_SPREAD,
    Predictive,
    cross_calibrated,
    crps_of_sample,
)
from tests.made_up_backtests import QUIET, generated


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_the_crps_of_a_sample_agrees_with_a_loop(n):
    rng = np.random.default_rng(n)
    sample, weights = np.sort(rng.normal(0, 1, n)), rng.uniform(0.1, 1, n)
    y = np.concatenate([rng.normal(0, 2, 10), sample[:1], [-9.0, 9.0]])

    total = sum(weights)
    pairs = list(zip(sample, weights, strict=True))
    apart = sum(v * w * abs(a - b) for a, v in pairs for b, w in pairs) / total**2
    expected = [sum(w * abs(a - value) for a, w in pairs) / total - apart / 2 for value in y]

    assert crps_of_sample(sample, weights, y) == pytest.approx(expected)


def test_the_crps_of_a_day_is_that_of_its_predictive_distribution():
    backtest = generated(seed=1, windows=3).assign(spread=TYPICAL_SPREAD * 2)
    at = backtest["cutoff"].max()
    own = backtest[backtest["cutoff"] == at]
    predictive = Predictive.fit(backtest[backtest["cutoff"] < at], at)
    row = own.iloc[[30]]
    scale = predictive.stores[row["store_id"].iloc[0]] * predictive.weeks[5] * 2**SPREAD_POWER
    residual = float(np.log(row["sales"] / row["forecast"]).iloc[0])

    crossed = cross_calibrated(backtest)
    (said,) = crossed[crossed["cutoff"] == at].reset_index(drop=True).loc[[30], "crps"]

    expected = crps_of_sample(scale * predictive.scores, predictive.weights, np.array([residual]))
    assert said == pytest.approx(expected[0])


def test_a_distribution_of_the_right_width_has_the_lowest_crps():
    rng = np.random.default_rng(9)
    y, sample = rng.normal(0, 1, 20_000), np.sort(rng.normal(0, 1, 2_000))

    right, narrow, wide = (
        crps_of_sample(factor * sample, np.ones(2_000), y).mean() for factor in (1.0, 0.5, 2.0)
    )

    assert right < min(narrow, wide)
    assert right == pytest.approx(1 / np.sqrt(np.pi), rel=0.03)


def test_the_sales_of_a_judged_window_have_no_part_in_the_crps_of_its_other_days():
    backtest = generated(seed=1, windows=3)
    first = backtest["cutoff"] == backtest["cutoff"].min()
    changed = first & (backtest["store_id"] == QUIET[0])
    other = backtest.assign(sales=backtest["sales"].where(~changed, backtest["sales"] * 3))

    before, after = cross_calibrated(backtest)["crps"], cross_calibrated(other)["crps"]

    pd.testing.assert_series_equal(before[first & ~changed], after[first & ~changed])
    assert (before[changed] != after[changed]).all()
