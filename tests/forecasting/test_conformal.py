"""Intervals cover what they promise, for quiet and noisy stores, and never make no sense."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.conformal import (
    ANY_STORE,
    HALF_LIFE_DAYS,
    NEW_STORE,
    SPREAD_POWER,
    TYPICAL_SPREAD,
    Predictive,
    add_intervals,
    calibrate,
    cross_calibrated,
    horizon_week,
)
from sales_assets.settings import BOUNDS
from tests.made_up_backtests import NOISY, QUIET, SPREAD, generated


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
    assert table.loc[1, "scale"] == pytest.approx(store_1)
    assert table.loc[2, "scale"] == pytest.approx(store_2)
    assert table.loc[ANY_STORE, "scale"] == pytest.approx(np.quantile([store_1, store_2], 0.9))


def test_every_model_store_and_week_has_bounds_and_so_have_any_and_a_new_store():
    table = calibrate(generated(seed=1, models=("baseline", "ensemble")))

    expected = {
        (model, store, week)
        for model in ("baseline", "ensemble")
        for store in (*SPREAD, ANY_STORE, NEW_STORE)
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
    # What stores differ by is the same for whoever forecasts a new one.
    mean = width[width["store_id"] != NEW_STORE].groupby("model")["width"].mean()

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


def test_a_store_that_never_sold_has_intervals_as_wide_as_stores_differ():
    """Each of 60 stores is new to the others in turn, and forecast at the level of the median."""
    rng = np.random.default_rng(4)
    backtest = generated(seed=3, windows=3, spread=dict.fromkeys(range(1, 61), 0.08))
    levels = pd.Series(rng.normal(8.7, 0.35, 60), index=range(1, 61))
    error = np.log(backtest["sales"] / backtest["forecast"])
    level = backtest["store_id"].map(levels)
    backtest = backtest.assign(forecast=np.exp(level), sales=np.exp(level + error))
    shares = {(store, bound): [] for store in (ANY_STORE, NEW_STORE) for bound in (80, 95)}
    for hidden in levels.index:
        is_hidden = backtest["store_id"] == hidden
        typical = np.exp(levels.drop(hidden).median())
        asked = backtest[is_hidden].assign(forecast=typical)
        calibration = calibrate(backtest[~is_hidden])
        for store in (ANY_STORE, NEW_STORE):
            judged = add_intervals(asked.assign(store_id=store), calibration)
            for level in (80, 95):
                shares[store, level].append(covered(judged, level).mean())

    found = {key: float(np.mean(values)) for key, values in shares.items()}
    assert found[NEW_STORE, 80] == pytest.approx(0.80, abs=0.05)
    assert found[NEW_STORE, 95] == pytest.approx(0.95, abs=0.03)
    assert found[ANY_STORE, 80] < 0.5


def test_all_that_an_older_calibration_knows_of_a_new_store_is_any_store():
    calibration = calibrate(generated(seed=1))
    older = calibration[calibration["store_id"] != NEW_STORE]
    asked = pd.DataFrame({"model": "baseline", "store_id": [NEW_STORE], "h": 3, "forecast": 900.0})

    judged = add_intervals(asked, older)[BOUNDS]

    as_any = add_intervals(asked.assign(store_id=ANY_STORE), calibration)[BOUNDS]
    pd.testing.assert_frame_equal(judged, as_any)


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
        crossed[crossed["cutoff"] == first].drop(columns="crps").reset_index(drop=True),
        add_intervals(judged, calibrate(others, first)).reset_index(drop=True),
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


def drifting(seed, windows=6, growth=1.3):
    """Return a backtest whose errors grow from window to window."""
    backtest = generated(seed, windows=windows)
    grown = growth ** backtest.groupby("cutoff").ngroup()
    residual = np.log(backtest["sales"] / backtest["forecast"])
    return backtest.assign(sales=backtest["forecast"] * np.exp(grown * residual))


def test_recent_windows_count_more():
    backtest = drifting(seed=1)
    width = calibrate(backtest).eval("hi_80 - lo_80").mean()
    calm_since = calibrate(backtest, backtest["cutoff"].min()).eval("hi_80 - lo_80").mean()

    assert width > 1.05 * calm_since


def test_intervals_follow_a_drift_better_than_windows_that_all_count_alike(monkeypatch):
    backtest = drifting(seed=2)
    newest = backtest["cutoff"] == backtest["cutoff"].max()

    def coverage():
        calibration = calibrate(backtest[~newest], backtest["cutoff"].max())
        return covered(add_intervals(backtest[newest], calibration), 95).mean()

    aware = coverage()
    monkeypatch.setattr("sales_assets.forecasting.conformal.HALF_LIFE_DAYS", 1e9)
    assert 0.95 > aware > coverage() + 0.01


def test_a_window_of_one_half_life_ago_counts_half():
    near, far = (
        pd.Timestamp("2015-01-04"),
        pd.Timestamp("2015-01-04") - pd.Timedelta(days=HALF_LIFE_DAYS),
    )
    rows = pd.concat(
        [backtest_of([0.1] * 3).assign(cutoff=near), backtest_of([-0.1] * 5).assign(cutoff=far)]
    )

    weights = Predictive.fit(rows, near).weights

    assert sorted(weights.tolist()) == pytest.approx([0.5] * 5 + [1.0] * 3)


@pytest.mark.parametrize(("level", "tolerance"), [(80, 0.02), (95, 0.012)])
def test_stores_with_few_days_get_what_they_are_promised(level, tolerance):
    # A scale made from a dozen days fits those days better than any others.
    rng = np.random.default_rng(3)
    spread = {store: float(rng.uniform(0.03, 0.4)) for store in range(1, 401)}
    backtest = generated(seed=4, windows=4, spread=spread)
    backtest = backtest[backtest["h"] % 11 == 0]

    assert covered(cross_calibrated(backtest), level).mean() == pytest.approx(
        level / 100, abs=tolerance
    )


def test_days_on_which_the_members_differ_have_wider_intervals():
    calibration = calibrate(generated(seed=1))
    asked = pd.DataFrame({"model": "baseline", "store_id": 1, "h": 1, "forecast": [1_000.0] * 5})
    asked["spread"] = [TYPICAL_SPREAD, 4 * TYPICAL_SPREAD, np.nan, 0.0, 0.01]

    judged = add_intervals(asked, calibration)
    typical, doubtful, unknown, agreed, nearly = np.log(judged["hi_95"] / 1_000)

    assert doubtful / typical == pytest.approx(4**SPREAD_POWER)
    assert unknown == pytest.approx(typical)
    assert agreed == nearly < typical
    without = add_intervals(asked.drop(columns="spread"), calibration)
    assert np.log(without["hi_95"] / 1_000).tolist() == pytest.approx([typical] * 5)


def test_a_disagreement_that_tells_errors_narrows_the_intervals():
    rng = np.random.default_rng(8)
    backtest = generated(seed=8, spread=dict.fromkeys(range(1, 41), 0.1))
    apart = np.exp(rng.normal(0, 1, len(backtest)))
    residual = np.log(backtest["sales"] / backtest["forecast"]) * apart**SPREAD_POWER
    blind = backtest.assign(sales=backtest["forecast"] * np.exp(residual))
    aware = blind.assign(spread=TYPICAL_SPREAD * apart)

    for level in (80, 95):
        assert covered(cross_calibrated(aware), level).mean() == pytest.approx(
            level / 100, abs=0.015
        )
    width = [np.log(c["hi_95"] / c["lo_95"]).mean() for c in map(cross_calibrated, (aware, blind))]
    assert width[0] < width[1]


def test_intervals_of_constant_width_are_one_share_of_every_forecast_of_a_window():
    judged = cross_calibrated(generated(seed=1, windows=3), is_scaled=False)
    share = judged[BOUNDS].div(judged["forecast"], axis=0)

    spread = share.groupby(judged["cutoff"]).agg(lambda values: values.max() - values.min())
    assert spread.to_numpy() == pytest.approx(np.zeros(spread.shape), abs=1e-12)
    assert covered(judged, 80).mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("unseen", [(1, 2), (2,), (3, 4)])
def test_a_week_in_which_nothing_was_sold_is_given_the_bounds_of_one_beside_it(unseen):
    rng = np.random.default_rng(4)
    backtest = pd.concat(
        backtest_of(rng.normal(0, 0.05 * week, 40), h=7 * week)
        for week in range(1, 7)
        if week not in unseen
    )
    every_week = backtest_of(np.zeros(6), h=np.arange(7, 43, 7))
    bounds = add_intervals(every_week, calibrate(backtest))

    assert bounds[BOUNDS].notna().all(axis=None)
    beside = 3 if 1 in unseen else min(unseen) - 1
    width = bounds["hi_80"] - bounds["lo_80"]
    assert (width[[week - 1 for week in unseen]] == width[beside - 1]).all()
