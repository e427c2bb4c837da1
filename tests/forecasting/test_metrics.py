"""Every metric against a plain loop."""

import math

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting import metrics


def generated(days, seed):
    rng = np.random.default_rng(seed)
    y = rng.lognormal(8.5, 0.5, days)
    return y, y * rng.lognormal(0.02, 0.2, days)


CASES = [
    pytest.param(np.array([100.0]), np.array([100.0]), id="exact"),
    pytest.param(np.array([100.0]), np.array([0.0]), id="nothing forecast"),
    pytest.param(np.array([100.0, 200.0]), np.array([110.0, 180.0]), id="too high and too low"),
    pytest.param(np.array([1.0, 10_000.0]), np.array([3.0, 10_000.0]), id="a small store"),
    pytest.param(*generated(500, seed=1), id="generated"),
]


@pytest.mark.parametrize(("y", "f"), CASES)
def test_metrics_of_points_agree_with_a_loop(y, f):
    squared = absolute = error = sales = forecast = 0.0
    for sold, said in zip(y.tolist(), f.tolist(), strict=True):
        squared += ((sold - said) / sold) ** 2
        absolute += abs(sold - said) / sold
        error += abs(sold - said)
        sales += sold
        forecast += said

    assert metrics.rmspe(y, f) == pytest.approx(math.sqrt(squared / len(y)))
    assert metrics.mape(y, f) == pytest.approx(absolute / len(y))
    assert metrics.wape(y, f) == pytest.approx(error / sales)
    assert metrics.bias(y, f) == pytest.approx(forecast / sales - 1)


@pytest.mark.parametrize(("y", "f"), CASES)
def test_rmsse_agrees_with_a_loop(y, f):
    scale = np.linspace(10.0, 1_000.0, len(y))
    total = 0.0
    for sold, said, naive in zip(y.tolist(), f.tolist(), scale.tolist(), strict=True):
        total += (sold - said) ** 2 / naive

    assert metrics.rmsse(y, f, scale) == pytest.approx(math.sqrt(total / len(y)))


def test_a_forecast_that_errs_like_the_naive_has_an_rmsse_of_one():
    y, naive_error = np.array([100.0, 200.0]), np.array([20.0, 5.0])

    assert metrics.rmsse(y, y + naive_error, naive_error**2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("share", "rmspe", "bias"), [(1.0, 0.0, 0.0), (1.1, 0.1, 0.1), (0.8, 0.2, -0.2)]
)
def test_a_forecast_off_by_one_share_everywhere_scores_that_share(share, rmspe, bias):
    y, _ = generated(50, seed=2)

    assert metrics.rmspe(y, share * y) == pytest.approx(rmspe)
    assert metrics.mape(y, share * y) == pytest.approx(rmspe)
    assert metrics.wape(y, share * y) == pytest.approx(rmspe)
    assert metrics.bias(y, share * y) == pytest.approx(bias)


@pytest.mark.parametrize(
    ("lower", "y", "upper", "expected"),
    [
        ([1.0], [2.0], [3.0], 1.0),
        ([2.0], [2.0], [2.0], 1.0),
        ([1.0], [3.0], [3.0], 1.0),
        ([1.0], [0.9], [3.0], 0.0),
        ([1.0], [3.1], [3.0], 0.0),
        ([1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 4.0, 3.0], [3.0, 3.0, 3.0, 3.0], 0.5),
    ],
)
def test_coverage_is_the_share_of_days_within_their_bounds_ends_included(lower, y, upper, expected):
    assert metrics.coverage(np.array(y), np.array(lower), np.array(upper)) == expected


@pytest.mark.parametrize("level", [80, 95])
def test_the_score_of_intervals_agrees_with_a_loop(level):
    y, f = generated(300, seed=4)
    lower, upper = f * 0.85, f * 1.1

    total = 0.0
    for value, low, high in zip(y.tolist(), lower.tolist(), upper.tolist(), strict=True):
        total += math.log(high / low)
        if value < low:
            total += 2 / (1 - level / 100) * math.log(low / value)
        if value > high:
            total += 2 / (1 - level / 100) * math.log(value / high)

    assert metrics.winkler(y, lower, upper, level) == pytest.approx(total / 300)


def test_the_score_of_intervals_is_lowest_at_the_true_quantiles():
    y = np.random.default_rng(5).lognormal(0, 0.2, 50_000)

    scores = [
        metrics.winkler(y, np.full(50_000, np.exp(-k)), np.full(50_000, np.exp(k)), 80)
        for k in (0.5 * 0.2, 1.2816 * 0.2, 2.5 * 0.2)
    ]

    assert scores[1] == min(scores)


def history(**sales_by_store):
    """Return a history without holes from each store's series of sales."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "store_id": int(store.removeprefix("store_")),
                    "date": pd.date_range("2015-01-05", periods=len(sales)),
                    "sales": np.array(sales, dtype=float),
                }
            )
            for store, sales in sales_by_store.items()
        ],
        ignore_index=True,
    )


def test_the_naive_of_a_week_is_scored_on_days_that_sold_then_and_now():
    week = [100, 110, 120, 130, 140, 150, 0]
    # Errors: 10, 20, none (closed now), none (closed a week ago), 30, 0, none (Sundays).
    known = history(store_1=[*week[:3], 0, *week[4:], 110, 130, 0, 130, 170, 150, 0])

    scales = metrics.naive_scales(known, fewest_pairs=4)

    assert scales.to_dict() == {1: pytest.approx((10**2 + 20**2 + 30**2 + 0) / 4)}


def test_naive_scales_agree_with_a_loop():
    rng = np.random.default_rng(3)
    sales = rng.integers(0, 4, (3, 60)) * 1_000.0
    known = history(store_4=sales[0], store_2=sales[1], store_9=sales[2])

    expected = {}
    for store, series in zip((4, 2, 9), sales, strict=True):
        errors = [
            (series[day] - series[day - 7]) ** 2
            for day in range(7, 60)
            if series[day] > 0 and series[day - 7] > 0
        ]
        expected[store] = sum(errors) / len(errors)

    assert metrics.naive_scales(known).to_dict() == pytest.approx(expected)


@pytest.mark.parametrize(
    "sales",
    [
        pytest.param([0.0] * 40, id="never sold"),
        pytest.param([100.0] * 7, id="a week only"),
        pytest.param([100.0] * 7 + [0.0] * 30, id="closed since its first week"),
        pytest.param([5_000.0, *[0.0] * 6, 5_050.0], id="one pair of days"),
        pytest.param([*range(100, 134)], id="one pair less than it takes"),
        pytest.param([100.0] * 40, id="nothing ever differs"),
    ],
)
def test_a_store_without_weeks_to_compare_has_no_scale(sales):
    known = history(store_1=[*range(100, 135)], store_2=sales)

    assert metrics.naive_scales(known).index.tolist() == [1]


def test_stores_do_not_run_into_one_another():
    # The first week of store 2 follows the last week of store 1 in the table.
    weeks = np.repeat(np.arange(6), 7)
    known = history(store_1=100.0 + weeks, store_2=500.0 + 2 * weeks)

    assert metrics.naive_scales(known).to_dict() == {1: 1.0, 2: 4.0}
