"""Each loss is the one on sales that its name says, and its scores are those of its forecasts."""

import lightgbm
import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting import metrics, point
from sales_assets.forecasting.frames import LABEL
from sales_assets.forecasting.lightgbm import CATEGORICAL, LightGBM
from sales_assets.forecasting.studies import loss
from sales_assets.forecasting.studies.loss import COLUMNS, LOSSES, PLATFORM, TWEEDIE_POWER

BY_NAME = {one.name: one for one in LOSSES}


@pytest.fixture(scope="package")
def table(training, cutoffs, tiny, ensemble):
    return loss.run(training, cutoffs, tiny, ensemble)


def deviance(y, f):
    p = TWEEDIE_POWER
    return 2 * (
        y ** (2 - p) / ((1 - p) * (2 - p)) - y * f ** (1 - p) / (1 - p) + f ** (2 - p) / (2 - p)
    )


@pytest.mark.parametrize(
    ("name", "measure", "on_sales"),
    [
        ("l2_sales", lambda y, f: (y - f) ** 2, lambda y, f: (y - f) ** 2),
        ("l1_sales", lambda y, f: abs(y - f), lambda y, f: abs(y - f)),
        ("quantile_50", lambda y, f: abs(y - f), lambda y, f: abs(y - f)),
        ("tweedie_sales", deviance, deviance),
        ("rmspe_l2", lambda y, f: (y - f) ** 2, lambda y, f: ((y - f) / y) ** 2),
    ],
)
def test_weights_turn_a_loss_on_ratios_into_the_loss_on_sales(name, measure, on_sales):
    rng = np.random.default_rng(1)
    anchor = rng.lognormal(8, 1, 50)
    y, f = anchor * rng.lognormal(0, 0.5, 50), anchor * rng.lognormal(0, 0.5, 50)

    weighted = BY_NAME[name].weight(anchor, y / anchor) * measure(y / anchor, f / anchor)

    np.testing.assert_allclose(weighted, on_sales(y, f))


def test_there_is_a_row_for_each_loss_and_point_in_each_window_and_in_all(table, cutoffs):
    subjects = {("lightgbm", one.name, "median") for one in LOSSES}
    subjects |= {("lightgbm", PLATFORM, name) for name in point.POINTS}
    subjects |= {("ensemble", PLATFORM, name) for name in ("median", *point.POINTS)}

    assert list(table.columns) == COLUMNS
    for cutoff in [*cutoffs, None]:
        rows = table[
            table["cutoff"].isna() if cutoff is None else table["cutoff"] == pd.Timestamp(cutoff)
        ]
        assert len(rows) == len(subjects)
        assert set(rows[["model", "loss", "point"]].itertuples(index=False, name=None)) == subjects
    numbers = table.drop(columns=["model", "loss", "point", "cutoff", "seconds"])
    assert np.isfinite(numbers).all(axis=None)


def test_a_row_is_what_a_plain_fit_and_a_loop_give(table, training, cutoffs, both, tiny):
    cutoff, window = cutoffs[0], both[0]
    rows = training.known_at(cutoff).rows
    rows = rows[rows["anchor"].notna()]
    start, sales = np.exp(window.known_reference), np.exp(rows[LABEL].astype("float64"))
    weight = start**2 / (start**2).mean()
    age = (pd.Timestamp(cutoff) - rows["date"]).dt.days
    booster = lightgbm.train(
        LightGBM(tiny).params(tiny.seed),
        lightgbm.Dataset(
            window.known,
            label=sales / start,
            weight=weight * 0.5 ** (age / tiny.lightgbm.half_life_days),
            categorical_feature=CATEGORICAL,
        ),
        num_boost_round=tiny.lightgbm.trees,
    )
    squared, absolute, total, volume = 0.0, 0.0, 0.0, 0.0
    ratios = booster.predict(window.asked)
    for ratio, a, y in zip(ratios, np.exp(window.asked_reference), window.sales, strict=True):
        squared += (1 - ratio * a / y) ** 2
        absolute += abs(y - ratio * a)
        total += y
        volume += ratio * a

    row = table[(table["loss"] == "l2_sales") & (table["cutoff"] == pd.Timestamp(cutoff))].iloc[0]

    assert row["days"] == len(window.sales)
    assert row["rmspe"] == pytest.approx((squared / len(window.sales)) ** 0.5, rel=1e-6)
    assert row["wape"] == pytest.approx(absolute / total, rel=1e-6)
    assert row["volume_error"] == pytest.approx(volume / total - 1, rel=1e-5)


def test_the_platforms_loss_is_the_members_own_fit(table, training, cutoffs, tiny):
    cutoff = cutoffs[1]
    asked = training.asked_at(cutoff)
    forecast = np.exp(LightGBM(tiny).fit(training.known_at(cutoff), cutoff).predict(asked))
    sales = np.exp(asked.rows[LABEL].to_numpy(dtype=np.float64))
    sold = ~np.isnan(sales)

    rows = table[(table["model"] == "lightgbm") & (table["cutoff"] == pd.Timestamp(cutoff))]
    said = rows.set_index(["loss", "point"])["rmspe"]

    assert said[PLATFORM, "median"] == pytest.approx(metrics.rmspe(sales[sold], forecast[sold]))


def test_a_windows_factor_does_not_see_its_own_sales(ensemble):
    first = ensemble["cutoff"] == ensemble["cutoff"].min()
    # Not all days by as much: a single window's common level is not believed at all.
    wilder = ensemble["sales"] * (1 + ensemble["h"] % 2)
    other = ensemble.assign(sales=ensemble["sales"].where(~first, wilder))

    before, after = loss.moved(ensemble, "mean"), loss.moved(other, "mean")

    assert (before.loc[first, "factor"] == after.loc[first, "factor"]).all()
    assert (before.loc[~first, "factor"] != after.loc[~first, "factor"]).all()


def test_the_optimum_for_percentages_gives_up_volume(ensemble):
    moved = [loss.moved(ensemble.assign(loss=PLATFORM, seconds=0.0), to) for to in point.POINTS]
    table = loss.scored(pd.concat(moved, ignore_index=True))
    said = table[table["cutoff"].isna()].set_index("point")

    assert said.loc["rmspe", "rmspe"] < said.loc["mean", "rmspe"]
    assert abs(said.loc["mean", "volume_error"]) < abs(said.loc["rmspe", "volume_error"])
