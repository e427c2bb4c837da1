"""The table of coverage agrees with loops, and nothing that is judged calibrates itself."""

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.backtest import cross_fitted_ensemble
from sales_assets.forecasting.conformal import cross_calibrated
from sales_assets.forecasting.coverage import (
    COLUMNS,
    CONFORMAL,
    CONSTANT,
    SLICES,
    TREES,
    WORST,
    constant_width,
    run,
    trees,
)
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS, with_spread
from sales_assets.forecasting.random_forest import RandomForest
from sales_assets.settings import BOUNDS

STORES = pd.DataFrame({"store_id": range(1, 11), "store_type": list("aaaabbbccd")})


def generated(seed=1):
    """Return the members' forecasts of ten stores, of which the last errs most."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [pd.date_range("2014-01-05", periods=3, freq="42D"), STORES["store_id"], range(1, 43)],
        names=["cutoff", "store_id", "h"],
    ).to_frame(index=False)
    keys["date"] = keys["cutoff"] + pd.to_timedelta(keys["h"], unit="D")
    keys["sales"] = rng.lognormal(8.5, 0.4, len(keys))
    spread = np.where(keys["store_id"] == 10, 0.4, 0.1)
    parts = [
        keys.assign(
            model=name,
            forecast=keys["sales"] * np.exp(spread * rng.standard_normal(len(keys))),
            deviation=rng.uniform(0.05, 0.15, len(keys)) if name == "random_forest" else np.nan,
        )
        for name in ("random_forest", "lightgbm")
    ]
    return with_spread(pd.concat(parts, ignore_index=True))


def judged(members):
    return pd.concat([cross_calibrated(members), cross_fitted_ensemble(members)], ignore_index=True)


@pytest.fixture(scope="module")
def backtest():
    return judged(generated())


@pytest.fixture(scope="module")
def days():
    dates = pd.date_range("2014-01-05", periods=150)
    keys = pd.MultiIndex.from_product([STORES["store_id"], dates], names=["store_id", "date"])
    frame = keys.to_frame(index=False)
    return frame.assign(is_promo=frame["date"].dt.isocalendar().week % 2 == 0)


@pytest.fixture(scope="module")
def table(backtest, days):
    return run(backtest, STORES, days)


def test_every_model_method_level_and_slice_has_a_row(table, backtest):
    assert list(table.columns) == COLUMNS
    methods = table.groupby("model")["method"].agg(lambda values: set(values))
    assert methods[ENSEMBLE] == methods["lightgbm"] == {CONFORMAL, CONSTANT}
    assert methods["random_forest"] == {CONFORMAL, CONSTANT, TREES}
    assert set(table["slice"]) == set(SLICES)
    assert set(table.loc[table["slice"] == "weekday", "value"]) == set("1234567")
    assert np.isfinite(table[COLUMNS[6:]]).all(axis=None)
    for _, rows in table.groupby(["model", "method", "level", "slice"]):
        assert rows["days"].sum() == len(backtest) / 3


SLICED = [
    ("all", "all", lambda row, promo: True),
    ("horizon_week", "2", lambda row, promo: 8 <= row.h <= 14),
    ("store_type", "b", lambda row, promo: row.store_id in (5, 6, 7)),
    ("is_promo", "True", lambda row, promo: promo[row.store_id, row.date]),
    ("weekday", "1", lambda row, promo: row.date.isoweekday() == 1),
    ("stores", WORST, lambda row, promo: row.store_id == 10),
    ("cutoff", "2014-02-16", lambda row, promo: row.cutoff.date() == date(2014, 2, 16)),
]


@pytest.mark.parametrize("model", ["lightgbm", ENSEMBLE])
@pytest.mark.parametrize("level", [80, 95])
@pytest.mark.parametrize(("name", "value", "belongs"), SLICED, ids=[name for name, *_ in SLICED])
def test_a_slice_agrees_with_a_loop(table, backtest, days, model, level, name, value, belongs):
    promo = days.set_index(["store_id", "date"])["is_promo"].to_dict()
    own = [r for r in backtest.itertuples() if r.model == model and belongs(r, promo)]
    inside = width = euros = score = crps = 0.0
    for row in own:
        low, high = getattr(row, f"lo_{level}"), getattr(row, f"hi_{level}")
        inside += low <= row.sales <= high
        width += (high - low) / row.forecast
        euros += high - low
        score += math.log(high / low)
        score += 2 / (1 - level / 100) * max(math.log(low / row.sales), 0)
        score += 2 / (1 - level / 100) * max(math.log(row.sales / high), 0)
        crps += row.crps

    chosen = table[
        (table["model"] == model) & (table["method"] == CONFORMAL) & (table["level"] == level)
        & (table["slice"] == name) & (table["value"] == value)
    ]  # fmt: skip
    (said,) = chosen[COLUMNS[5:]].to_dict("records")
    n = len(own)
    widths = {"width": width, "width_eur": euros}
    expected = {"coverage": inside, **widths, "winkler": score, "crps": crps}
    assert said == pytest.approx({"days": n, **{key: v / n for key, v in expected.items()}})


def test_scaled_intervals_serve_the_worst_stores_where_a_constant_width_fails_them(table):
    worst = table[(table["value"] == WORST) & (table["model"] == "lightgbm")]
    coverage = worst.set_index(["method", "level"])["coverage"]
    overall = table[(table["slice"] == "all") & (table["model"] == "lightgbm")]

    assert coverage[CONFORMAL, 80] > coverage[CONSTANT, 80] + 0.2
    score = overall.set_index(["method", "level"])["winkler"]
    assert (score[CONFORMAL] < score[CONSTANT]).all()


@pytest.mark.parametrize("window", [0, 2])
def test_no_method_calibrates_a_window_with_its_own_sales(window):
    members = generated()
    own = members["cutoff"] == members["cutoff"].unique()[window]
    rng = np.random.default_rng(3)
    factor = np.tile(rng.lognormal(0.2, 0.5, len(members) // 2), 2)
    other = members.assign(sales=members["sales"].where(~own, members["sales"] * factor))
    keys = ["model", "cutoff", "store_id", "h"]

    for method in (judged, lambda frame: constant_width(judged(frame)), trees):
        before, after = (
            method(frame).set_index(keys)[BOUNDS].sort_index() for frame in (members, other)
        )
        of_window = before.index.get_level_values("cutoff") == members["cutoff"].unique()[window]
        pd.testing.assert_frame_equal(before[of_window], after[of_window], check_exact=True)


def test_the_trees_bounds_are_1_96_deviations_away(backtest):
    rows = trees(backtest)

    assert set(rows["model"]) == {"random_forest"}
    for side, sign in (("lo", -1), ("hi", 1)):
        reach = np.log(rows[f"{side}_95"] / rows["forecast"]) / rows["deviation"]
        assert reach.to_numpy() == pytest.approx(sign * 1.959964, abs=1e-5)
    # The CRPS of a normal distribution, as an integral over what it says of each threshold.
    row = rows.iloc[0]
    grid = np.linspace(-3, 3, 60_001)
    z = grid / row["deviation"]
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
    residual = math.log(row["sales"] / row["forecast"])
    integral = np.sum((below - (grid >= residual)) ** 2) * (grid[1] - grid[0])
    assert row["crps"] == pytest.approx(integral, abs=1e-3)


def test_a_forests_deviation_is_that_of_its_trees(training, settings):
    cutoff = training.rows["cutoff"].max().date()
    fitted = RandomForest(settings).fit(training.known_at(cutoff), cutoff)
    asked = training.asked_at(cutoff)

    said = fitted.deviation(asked)

    forest = fitted.pipeline.named_steps["forest"]
    alone = []
    for tree in forest.estimators_:
        fitted.pipeline.named_steps["forest"].estimators_ = [tree]
        alone.append(fitted.predict(asked))
    assert said == pytest.approx(np.std(alone, axis=0), rel=1e-6, abs=1e-9)
    assert (said > 0).any()


def test_other_members_have_no_deviation(training, settings):
    asked = training.asked_at(training.rows["cutoff"].max().date())

    assert np.isnan(MEMBERS["baseline"](settings).deviation(asked)).all()
