"""Combinations do what their names say, and none is judged by what it was fitted to."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting import ensemble, metrics
from sales_assets.forecasting.conformal import horizon_week
from sales_assets.forecasting.ensemble_study import (
    CHOSEN,
    CLIPPED_AT,
    COLUMNS,
    COMBINATIONS,
    Days,
    Weights,
    best_single,
    clustered_error,
    equal,
    equal_good,
    out_of_fold,
    run,
    simplex,
    simplex_by_week,
    simplex_clipped,
    simplex_half,
    simplex_pooled,
    stacking,
)

MEMBERS = ("baseline", "random_forest", "lightgbm")
ROW = ["cutoff", "store_id", "date"]


def generated(spreads=(0.3, 0.12, 0.1), seed=1, windows=3, stores=6):
    """Return a backtest of three members with independent errors of these spreads."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [pd.date_range("2014-01-05", periods=windows, freq="42D"), range(1, stores + 1),
         range(1, 43)],
        names=["cutoff", "store_id", "h"],
    ).to_frame(index=False)  # fmt: skip
    keys["date"] = keys["cutoff"] + pd.to_timedelta(keys["h"], unit="D")
    keys["sales"] = rng.lognormal(8.5, 0.4, len(keys))
    return pd.concat(
        [
            keys.assign(
                model=name, forecast=keys["sales"] * np.exp(rng.normal(0, spread, len(keys)))
            )
            for name, spread in zip(MEMBERS, spreads, strict=True)
        ],
        ignore_index=True,
    )


def days_of(backtest):
    forecasts, sales = ensemble.wide(backtest)
    index = forecasts.index
    ahead = (index.get_level_values("date") - index.get_level_values("cutoff")).days
    return Days(forecasts, sales, horizon_week(pd.Series(ahead)).to_numpy())


def with_errors(errors, weeks=None):
    """Return days with these log errors, shape (days, members)."""
    errors = np.asarray(errors, dtype=float)
    rng = np.random.default_rng(0)
    window = pd.Index(np.repeat(pd.Timestamp("2014-01-05"), len(errors)), name="cutoff")
    sales = pd.Series(rng.normal(8.5, 0.4, len(errors)), window)
    forecasts = pd.DataFrame(errors + sales.to_numpy()[:, None], window, list("abc"))
    return Days(forecasts, sales, np.ones(len(errors)) if weeks is None else np.asarray(weeks))


def test_the_best_member_takes_all_and_bad_ones_have_no_equal_share():
    days = days_of(generated())

    assert best_single(days).shares.tolist() == [[0, 0, 1]]
    assert equal(days).shares[0] == pytest.approx([1 / 3] * 3)
    assert equal_good(days).shares.tolist() == [[0, 0.5, 0.5]]


def test_simplex_shares_are_the_platforms_own():
    backtest = generated()

    shares = simplex(days_of(backtest)).shares[0]

    assert dict(zip(MEMBERS, shares, strict=True)) == ensemble.fit_weights(backtest)


def test_pooled_shares_follow_the_hardest_window():
    rng = np.random.default_rng(6)
    usual = [rng.normal(0, [0.3, 0.1, 0.3], (400, 3)) for _ in range(3)]
    hard = rng.normal(0, [0.5, 3.0, 3.0], (400, 3))
    days = with_errors(np.concatenate([*usual, hard]))
    windows = pd.Index(np.repeat(pd.date_range("2014-01-05", periods=4, freq="42D"), 400))
    windows.name = "cutoff"
    days = Days(days.forecasts.set_index(windows), days.sales.set_axis(windows), days.weeks)

    assert simplex_pooled(days).shares[0, 0] > 0.8
    assert simplex(days).shares[0, 1] > 0.5


def test_half_way_shares_are_between_both():
    days = days_of(generated())

    expected = (simplex(days).shares + equal_good(days).shares) / 2
    assert simplex_half(days).shares == pytest.approx(expected)


def test_clipped_shares_do_not_follow_a_few_wild_days():
    rng = np.random.default_rng(2)
    errors = rng.normal(0, [0.05, 0.1, 0.2], (1_000, 3))
    errors[:5, 0] = 3.0
    days = with_errors(errors)

    assert simplex(days).shares[0, 0] < 0.5 < simplex_clipped(days).shares[0, 0]
    within = with_errors(np.clip(errors, -CLIPPED_AT, CLIPPED_AT))
    assert simplex_clipped(days).shares == pytest.approx(simplex(within).shares)


def test_each_week_has_the_shares_that_suit_it():
    rng = np.random.default_rng(3)
    weeks = np.repeat([1, 2], 400)
    first = rng.normal(0, [0.01, 0.3, 0.3], (400, 3))
    days = with_errors(np.concatenate([first, first[:, ::-1]]), weeks)

    weights = simplex_by_week(days)

    assert weights.shares[0, 0] > 0.95
    assert weights.shares[1, 2] > 0.95
    later = Days(days.forecasts, days.sales, np.full(800, 9))
    assert weights.combine(later) == pytest.approx(
        (days.forecasts.to_numpy() @ weights.shares[1]).tolist()
    )


def test_stacking_finds_an_intercept_and_gives_no_negative_share():
    rng = np.random.default_rng(4)
    days = with_errors(0.2 + rng.normal(0, [0.05, 0.05, 0.5], (2_000, 3)))

    weights = stacking(days)

    assert (weights.shares >= 0).all()
    assert weights.shares[0, :2].sum() > 0.95
    assert np.mean(weights.combine(days) - days.sales) == pytest.approx(0, abs=1e-9)


def test_stacking_shares_alike_among_members_that_are_the_same():
    error = np.random.default_rng(5).normal(0, 0.1, (500, 1))

    shares = stacking(with_errors(np.repeat(error, 3, axis=1))).shares[0]

    assert shares == pytest.approx([shares[0]] * 3)


def test_an_intercept_is_added_to_the_weighted_sum():
    days = with_errors([[0.1, 0.2, 0.3]])

    said = Weights(np.array([[0.5, 0.5, 0.0]]), intercept=0.7).combine(days)

    assert said == pytest.approx(days.sales.to_numpy() + 0.15 + 0.7)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_changing_the_sales_of_a_window_leaves_its_own_combination_alone(name):
    backtest = generated()
    judged = backtest["cutoff"] == backtest["cutoff"].unique()[1]
    rng = np.random.default_rng(6)
    factor = np.tile(rng.lognormal(0.3, 0.4, len(backtest) // 3), 3)
    other = backtest.assign(sales=backtest["sales"].where(~judged, backtest["sales"] * factor))
    days = days_of(backtest)

    before = out_of_fold(days, COMBINATIONS[name])
    after = out_of_fold(days_of(other), COMBINATIONS[name])

    own = days.forecasts.index.get_level_values("cutoff") == backtest["cutoff"].unique()[1]
    assert (before[own] == after[own]).all()


def test_the_chosen_combination_is_what_the_platform_forecasts():
    backtest = generated()
    days = days_of(backtest)

    said = out_of_fold(days, COMBINATIONS[CHOSEN])

    platform = ensemble.out_of_fold(backtest).set_index(ROW)["forecast"]
    assert np.exp(said) == pytest.approx(platform.reindex(days.forecasts.index).to_numpy())


def test_the_error_of_a_mean_over_clusters_agrees_with_a_loop():
    rng = np.random.default_rng(7)
    clusters = rng.integers(0, 9, 200)
    values = rng.normal(0, 1, 200) + clusters

    mean = sum(values) / 200
    squared = 0.0
    for cluster in set(clusters.tolist()):
        squared += sum(v - mean for v, c in zip(values, clusters, strict=True) if c == cluster) ** 2
    assert clustered_error(values, clusters) == pytest.approx(math.sqrt(9 / 8 * squared) / 200)


def test_days_that_go_wrong_together_count_as_one():
    values = np.random.default_rng(8).normal(0, 1, 30)

    alone = clustered_error(values, np.arange(30))
    together = clustered_error(np.repeat(values, 20), np.repeat(np.arange(30), 20))

    assert together == pytest.approx(alone)
    assert alone == pytest.approx(values.std(ddof=1) / math.sqrt(30))
    assert math.isnan(clustered_error(values, np.zeros(30)))


def test_every_combination_is_scored_on_each_window_and_on_all():
    backtest = generated()
    table = run(backtest)

    assert list(table.columns) == COLUMNS
    assert list(table["combination"].unique()) == list(COMBINATIONS)
    assert len(table) == len(COMBINATIONS) * 4
    assert set(table.loc[table["is_chosen"], "combination"]) == {CHOSEN}
    overall = table[table["cutoff"].isna()].set_index("combination")
    assert (overall["days"] == len(backtest) / 3).all()
    chosen = overall.loc[CHOSEN]
    assert chosen["log_difference"] == chosen["percent_difference"] == 0
    assert not chosen["is_worse"]
    assert overall.loc["equal", "is_worse"]
    told = {name: json.loads(text) for name, text in overall["weights"].items()}
    assert told["best_single"] == {"baseline": 0, "random_forest": 0, "lightgbm": 1}
    assert set(told["simplex_by_week"]) == {f"week {week}" for week in range(1, 7)}


@pytest.mark.parametrize("name", ["equal", "stacking"])
def test_differences_to_the_chosen_one_agree_with_a_loop(name):
    backtest = generated()
    days = days_of(backtest)
    said = out_of_fold(days, COMBINATIONS[name]).tolist()
    chosen = out_of_fold(days, COMBINATIONS[CHOSEN]).tolist()
    sold = days.sales.tolist()

    table = run(backtest)
    row = table[(table["combination"] == name) & table["cutoff"].isna()].iloc[0]

    log = percent = 0.0
    for a, b, y in zip(said, chosen, sold, strict=True):
        log += (a - y) ** 2 - (b - y) ** 2
        percent += (1 - math.exp(a - y)) ** 2 - (1 - math.exp(b - y)) ** 2
    assert row["log_difference"] == pytest.approx(log / len(sold))
    assert row["percent_difference"] == pytest.approx(percent / len(sold))
    assert row["rmspe"] == pytest.approx(metrics.rmspe(np.exp(sold), np.exp(said)))


def test_a_difference_that_chance_explains_is_not_called_worse():
    # Two members alike and independent: half each is best, as equal shares among them say.
    table = run(generated(spreads=(0.5, 0.1, 0.1), seed=9, stores=12))

    good = table[(table["combination"] == "equal_good") & table["cutoff"].isna()].iloc[0]
    assert not good["is_worse"]
    assert good["log_error_of_stores"] > 0
