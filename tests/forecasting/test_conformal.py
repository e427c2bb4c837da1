"""Intervals cover what they promise, for quiet and noisy stores, and never make no sense."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.conformal import (
    ANY_STORE,
    BOUNDS,
    add_intervals,
    calibrate,
    cross_calibrated,
    horizon_week,
)

QUIET, NOISY = (1, 2, 3), (11, 12, 13)
SPREAD = dict.fromkeys(QUIET, 0.08) | dict.fromkeys(NOISY, 0.2)


def backtest_of(residuals, model="baseline", store=1, h=1):
    """Return a backtest with these residuals of log sales around a forecast of EUR 1,000."""
    residuals = np.asarray(residuals, dtype=float)
    return pd.DataFrame(
        {
            "model": model,
            "cutoff": pd.Timestamp("2015-01-04"),
            "store_id": store,
            "date": pd.Timestamp("2015-01-04") + pd.to_timedelta(h, unit="D"),
            "h": h,
            "sales": 1_000.0 * np.exp(residuals),
            "forecast": 1_000.0,
        }
    )


def generated(seed, windows=4, models=("baseline",), spread=SPREAD):
    """Return a backtest of quiet and noisy stores whose errors grow with the horizon."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [models, pd.date_range("2014-01-05", periods=windows, freq="42D"), spread, range(1, 43)],
        names=["model", "cutoff", "store_id", "h"],
    ).to_frame(index=False)
    scale = keys["store_id"].map(spread) * np.sqrt(1 + keys["h"] / 14)
    forecast = rng.uniform(2_000, 9_000, len(keys))
    return keys.assign(
        date=keys["cutoff"] + pd.to_timedelta(keys["h"], unit="D"),
        forecast=forecast,
        sales=forecast * np.exp(scale * rng.standard_normal(len(keys))),
    )


def covered(judged, level):
    return (judged[f"lo_{level}"] <= judged["sales"]) & (judged["sales"] <= judged[f"hi_{level}"])


@pytest.mark.parametrize(
    ("h", "week"), [(1, 1), (7, 1), (8, 2), (14, 2), (42, 6), (43, 7), (56, 8)]
)
def test_weeks_of_the_horizon_begin_with_its_first_day(h, week):
    assert horizon_week(pd.Series([h])).tolist() == [week]


@pytest.mark.parametrize(("level", "tolerance"), [(80, 0.05), (95, 0.025)])
@pytest.mark.parametrize("stores", [QUIET, NOISY], ids=["quiet", "noisy"])
def test_quiet_and_noisy_stores_both_get_the_coverage_they_are_promised(stores, level, tolerance):
    unseen = generated(seed=2, windows=40)
    judged = add_intervals(unseen, calibrate(generated(seed=1)))

    share = covered(judged, level)[judged["store_id"].isin(stores)].mean()

    assert share == pytest.approx(level / 100, abs=tolerance)


@pytest.mark.parametrize(("level", "tolerance"), [(80, 0.05), (95, 0.025)])
def test_near_and_far_weeks_both_get_the_coverage_they_are_promised(level, tolerance):
    unseen = generated(seed=3, windows=40)
    judged = add_intervals(unseen, calibrate(generated(seed=1)))

    by_week = covered(judged, level).groupby(horizon_week(judged["h"])).mean()

    assert len(by_week) == 6
    assert by_week.between(level / 100 - tolerance, level / 100 + tolerance).all(), by_week


def test_noisy_stores_and_far_weeks_have_wider_intervals():
    table = calibrate(generated(seed=1)).set_index(["store_id", "horizon_week"])
    width = table["hi_80"] - table["lo_80"]

    assert (width[NOISY[0]] > 1.8 * width[QUIET[0]]).all()
    assert width[QUIET[0]][6] > 1.3 * width[QUIET[0]][1]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 20, 41, 100, 333])
def test_bounds_of_one_store_and_week_are_conformal_quantiles_of_its_residuals(n):
    residuals = np.random.default_rng(n).normal(0.02, 0.1, n)

    (row,) = calibrate(backtest_of(residuals)).query("store_id == 1").to_dict("records")

    # Of n + 1 residuals the unseen one may take any place, so the ranks count n + 1 of them.
    for level in (80, 95):
        tail = Fraction(100 - level, 200)
        lower = min(max(math.floor(tail * (n + 1)), 1), n)
        upper = min(max(math.ceil((1 - tail) * (n + 1)), 1), n)
        for bound, rank in ((f"lo_{level}", lower), (f"hi_{level}", upper)):
            expected = np.quantile(residuals, (rank - 0.5) / n, method="inverted_cdf")
            assert row[bound] == pytest.approx(expected)


def test_the_scale_of_a_store_is_drawn_towards_the_chains_where_it_has_few_days():
    # 10 days of 0.4 and 90 of 0.1: the chain's mean is 0.13, which counts as 30 days more.
    table = calibrate(
        pd.concat([backtest_of([0.4] * 10, store=1), backtest_of([0.1, -0.1] * 45, store=2)])
    ).set_index("store_id")

    store_1, store_2 = (10 * 0.4 + 30 * 0.13) / 40, (90 * 0.1 + 30 * 0.13) / 120
    week = (10 * 0.4 / store_1 + 90 * 0.1 / store_2) / 100
    assert table.loc[1, "scale"] == pytest.approx(store_1 * week)
    assert table.loc[2, "scale"] == pytest.approx(store_2 * week)
    assert table.loc[ANY_STORE, "scale"] == pytest.approx(
        np.quantile([store_1, store_2], 0.9) * week
    )


def test_every_model_store_and_week_has_bounds_and_so_has_any_store():
    table = calibrate(generated(seed=1, models=("baseline", "ensemble")))

    expected = {
        (model, store, week)
        for model in ("baseline", "ensemble")
        for store in (*SPREAD, ANY_STORE)
        for week in range(1, 7)
    }
    assert set(zip(table["model"], table["store_id"], table["horizon_week"], strict=True)) == (
        expected
    )
    assert len(table) == len(expected)
    assert np.isfinite(table[["scale", *BOUNDS]]).all(axis=None)


def test_each_model_has_its_own_bounds():
    backtest = pd.concat(
        [
            generated(seed=1, models=("baseline",), spread=dict.fromkeys(SPREAD, 0.4)),
            generated(seed=1, models=("lightgbm",), spread=dict.fromkeys(SPREAD, 0.1)),
        ]
    )
    width = calibrate(backtest).assign(width=lambda table: table["hi_80"] - table["lo_80"])
    mean = width.groupby("model")["width"].mean()

    assert mean["baseline"] == pytest.approx(4 * mean["lightgbm"])


@pytest.mark.parametrize(
    "centre", [pytest.param(c, id=f"residuals around {c}") for c in (-0.9, -0.1, 0.0, 0.1, 0.9)]
)
def test_bounds_never_cross_the_forecast_or_each_other_and_are_never_negative(centre):
    rng = np.random.default_rng(5)
    biased = generated(seed=4, windows=3)
    biased["sales"] *= np.exp(centre)
    asked = generated(seed=6, windows=1).assign(forecast=lambda days: days["forecast"] * 3)
    asked.loc[rng.random(len(asked)) < 0.2, "forecast"] = 0.0
    asked.loc[rng.random(len(asked)) < 0.1, "forecast"] = 1e-9

    judged = add_intervals(asked, calibrate(biased))

    ordered = judged[["lo_95", "lo_80", "forecast", "hi_80", "hi_95"]].to_numpy()
    assert (np.diff(ordered, axis=1) >= 0).all()
    assert (ordered >= 0).all()
    assert (ordered[judged["forecast"] == 0] == 0).all()
    assert (judged["forecast"] == 0).any()


def test_a_store_without_residuals_is_given_those_of_any_store():
    calibration = calibrate(generated(seed=1))
    asked = pd.DataFrame(
        {"model": "baseline", "store_id": [999, 999], "h": [1, 42], "forecast": 1_000.0}
    )
    any_store = calibration[calibration["store_id"] == ANY_STORE].set_index("horizon_week")

    judged = add_intervals(asked, calibration)

    for row, week in ((0, 1), (1, 6)):
        for bound in BOUNDS:
            expected = 1_000 * np.exp(any_store.loc[week, bound])
            assert judged.loc[row, bound] == pytest.approx(expected)
    assert judged["store_id"].tolist() == [999, 999]


def test_a_store_without_residuals_is_treated_as_a_noisy_one():
    table = calibrate(generated(seed=1)).set_index(["store_id", "horizon_week"])["scale"]

    assert table[QUIET[0]].max() < table[ANY_STORE].min()
    assert table[ANY_STORE][1] <= max(table[store][1] for store in NOISY)


@pytest.mark.parametrize("h", [43, 49, 50, 56])
def test_days_beyond_the_last_calibrated_week_take_its_bounds(h):
    calibration = calibrate(generated(seed=1))
    asked = pd.DataFrame({"model": "baseline", "store_id": 1, "h": [42, h], "forecast": 500.0})

    last, beyond = add_intervals(asked, calibration)[BOUNDS].to_numpy()

    assert last.tolist() == beyond.tolist()


def test_the_order_and_index_of_the_forecasts_are_kept():
    calibration = calibrate(generated(seed=1))
    asked = generated(seed=2, windows=1)
    shuffled = asked.sample(frac=0.5, random_state=1)

    judged = add_intervals(asked, calibration)

    pd.testing.assert_frame_equal(
        add_intervals(shuffled, calibration), judged.loc[shuffled.index], check_exact=True
    )


def test_intervals_of_a_judged_window_come_from_the_other_windows():
    backtest = generated(seed=1, windows=3, models=("baseline", "ensemble"))
    first = backtest["cutoff"].min()
    judged, others = backtest[backtest["cutoff"] == first], backtest[backtest["cutoff"] > first]

    crossed = cross_calibrated(backtest)

    assert len(crossed) == len(backtest)
    pd.testing.assert_frame_equal(
        crossed[crossed["cutoff"] == first].reset_index(drop=True),
        add_intervals(judged, calibrate(others)).reset_index(drop=True),
        check_exact=True,
    )


@pytest.mark.parametrize("window", [0, 1, 2])
def test_changing_the_sales_of_a_judged_window_leaves_its_own_intervals_alone(window):
    backtest = generated(seed=1, windows=3)
    judged = backtest["cutoff"] == backtest["cutoff"].unique()[window]
    other = backtest.assign(sales=backtest["sales"].where(~judged, backtest["sales"] * 2))
    keys = ["cutoff", "store_id", "h"]

    before = cross_calibrated(backtest).set_index(keys)[BOUNDS]
    after = cross_calibrated(other).set_index(keys)[BOUNDS]

    in_window = before.index.isin(
        list(backtest.loc[judged, keys].itertuples(index=False, name=None))
    )
    pd.testing.assert_frame_equal(before[in_window], after[in_window], check_exact=True)
    assert (before[~in_window] != after[~in_window]).all(axis=None)


def test_a_store_that_only_the_judged_window_has_seen_is_given_intervals_too():
    backtest = generated(seed=1, windows=2)
    first = backtest["cutoff"].min()
    backtest = backtest[(backtest["store_id"] != NOISY[0]) | (backtest["cutoff"] == first)]

    crossed = cross_calibrated(backtest)

    assert np.isfinite(crossed[BOUNDS]).all(axis=None)
