"""The backtest judges every model on days that it could not know, each exactly once."""

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.forecasting import backtest as backtesting
from sales_assets.forecasting.backtest import COLUMNS, scores
from sales_assets.forecasting.conformal import cross_calibrated, horizon_week
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS, MODELS, out_of_fold
from sales_assets.forecasting.features import (
    backtest_cutoffs,
    build_training,
    last_sales_day,
)
from sales_assets.forecasting.frames import read_frames
from sales_assets.settings import BOUNDS, Settings

KEYS = ["cutoff", "store_id", "date"]
SLICE = ["cutoff", "horizon_week", "store_type"]


@pytest.fixture(scope="module")
def stores(con):
    return con.execute("select store_id, store_type from cleaned.stores").df()


@pytest.fixture(scope="module")
def table(backtest, stores, training):
    return scores(backtest, stores, training.history)


@pytest.fixture
def fits(monkeypatch):
    """Names and cutoffs of the members that are fitted from now on, each to what was known then."""
    made = []
    for name, member in MEMBERS.items():

        def fit(self, known, cutoff, name=name, really=member.fit):
            assert known.rows["date"].max() == known.history["date"].max() == pd.Timestamp(cutoff)
            made.append((name, cutoff))
            return really(self, known, cutoff)

        monkeypatch.setattr(member, "fit", fit)
    return made


@pytest.mark.parametrize("horizon", [1, 7, 42, 56])
@pytest.mark.parametrize("windows", [2, 4, 12])
def test_windows_follow_one_another_without_overlap_as_late_as_they_are_complete(horizon, windows):
    last_day = date(2015, 7, 31)
    settings = Settings(horizon=horizon, backtest_windows=windows)

    cutoffs = backtest_cutoffs(last_day, settings)

    judged = [
        cutoff + timedelta(days=h) for cutoff in cutoffs for h in range(1, horizon + 1)
    ]  # fmt: skip
    days = horizon * windows
    end = judged[-1]
    assert judged == [end - timedelta(days=days - 1 - day) for day in range(days)]
    assert 0 <= (last_day - end).days < horizon
    assert len(cutoffs) == windows


@pytest.mark.parametrize("horizon", [1, 10, 48, 56])
def test_any_horizon_has_every_day_of_its_windows(con, settings, horizon):
    settings = settings.model_copy(update={"horizon": horizon})
    cutoffs = backtest_cutoffs(last_sales_day(con), settings)
    with warehouse.in_memory(settings) as other:
        for name in ("stores", "sales", "plan"):
            other.register("delivered", con.sql(f"from cleaned.{name}").arrow())
            other.execute(f"create table cleaned.{name} as from delivered")
        build_training(other, settings)
        frames = read_frames(other, "features.training")

    for cutoff in cutoffs:
        asked = frames.asked_at(cutoff).rows
        assert asked.groupby("store_id")["h"].apply(list).tolist() == (
            [list(range(1, horizon + 1))] * 12
        )


def test_every_model_forecasts_each_selling_day_of_each_window_once(backtest, training, cutoffs):
    history = training.history
    sold = history[history["is_open"] & (history["sales"] > 0)]
    expected = {
        (pd.Timestamp(cutoff), row.store_id, row.date)
        for cutoff in cutoffs
        for row in sold.itertuples()
        if 1 <= (row.date - pd.Timestamp(cutoff)).days <= 42
    }

    assert list(backtest.columns) == COLUMNS
    assert list(backtest["model"].unique()) == list(MODELS)
    for _, rows in backtest.groupby("model"):
        assert len(rows) == len(expected)
        assert set(rows[KEYS].itertuples(index=False, name=None)) == expected


def test_forecasts_are_judged_by_what_was_sold(backtest, training):
    sold = training.history.set_index(["store_id", "date"])["sales"]
    days = pd.MultiIndex.from_frame(backtest[["store_id", "date"]])

    np.testing.assert_allclose(backtest["sales"], sold.reindex(days), rtol=1e-5)
    assert ((backtest["date"] - backtest["cutoff"]).dt.days == backtest["h"]).all()
    assert backtest["h"].between(1, 42).all()


def test_every_number_is_finite_and_every_bound_in_order(backtest):
    ordered = backtest[["lo_95", "lo_80", "forecast", "hi_80", "hi_95"]].to_numpy()

    assert np.isfinite(ordered).all()
    assert (np.diff(ordered, axis=1) >= 0).all()
    assert (backtest["forecast"] > 0).all()
    assert (backtest["crps"] > 0).all()


def test_every_day_says_how_far_the_members_are_apart_and_the_forest_its_trees(backtest):
    members = backtest[backtest["model"] != ENSEMBLE]
    logs = np.log(members.pivot_table(index=KEYS, columns="model", values="forecast"))

    for _, rows in backtest.groupby("model"):
        said = rows.set_index(KEYS)["spread"].reindex(logs.index)
        assert said.to_numpy() == pytest.approx(logs.std(axis=1).to_numpy())
    has_deviation = backtest.groupby("model")["deviation"].agg(lambda values: values.notna().all())
    assert set(has_deviation[has_deviation].index) == {"random_forest"}
    assert backtest["deviation"].dropna().between(0.0001, 2).all()


def test_a_members_forecast_is_that_of_a_fit_at_the_cutoff(backtest, training, cutoffs, settings):
    cutoff = cutoffs[-1]
    asked = training.asked_at(cutoff)
    sold = asked.rows["log_sales"].notna().to_numpy()
    for name, member in MEMBERS.items():
        fitted = member(settings).fit(training.known_at(cutoff), cutoff)
        of_member = (backtest["model"] == name) & (backtest["cutoff"] == pd.Timestamp(cutoff))

        np.testing.assert_array_equal(
            backtest.loc[of_member, "forecast"], np.exp(fitted.predict(asked))[sold]
        )


def test_the_ensembles_weights_and_the_members_intervals_come_from_the_other_windows(backtest):
    members = backtest[backtest["model"] != ENSEMBLE]
    ensemble = out_of_fold(members).set_index(KEYS)["forecast"]
    said = backtest[backtest["model"] == ENSEMBLE].set_index(KEYS)["forecast"]
    pd.testing.assert_series_equal(ensemble.reindex(said.index), said, rtol=1e-12)

    order = ["model", *KEYS]
    bounds = cross_calibrated(members.drop(columns=BOUNDS)).set_index(order)[BOUNDS]
    expected = members.set_index(order)[BOUNDS]
    pd.testing.assert_frame_equal(bounds.reindex(expected.index), expected, rtol=1e-12)


def test_nothing_is_fitted_again_while_nothing_changed(
    backtest, training, cutoffs, window_data, settings, fits
):
    again = backtesting.run(training, cutoffs, window_data, settings, former=backtest)

    assert fits == []
    pd.testing.assert_frame_equal(again, backtest, check_exact=True)


def test_a_member_whose_settings_changed_is_fitted_again_and_no_other(
    backtest, training, cutoffs, window_data, settings, fits
):
    changed = settings.baseline.model_copy(update={"days": 100})
    settings = settings.model_copy(update={"baseline": changed})

    result = backtesting.run(training, cutoffs, window_data, settings, former=backtest)

    assert fits == [("baseline", cutoff) for cutoff in cutoffs]
    anew = backtesting.run(training, cutoffs, window_data, settings)
    pd.testing.assert_frame_equal(result, anew, check_exact=True)


def test_all_members_are_fitted_again_when_the_data_changed_and_give_the_same_bits(
    backtest, training, cutoffs, settings, fits
):
    result = backtesting.run(
        training, cutoffs, dict.fromkeys(cutoffs, "other data"), settings, former=backtest
    )

    assert fits == [(name, cutoff) for cutoff in cutoffs for name in MEMBERS]
    pd.testing.assert_frame_equal(
        result.drop(columns="fingerprint"), backtest.drop(columns="fingerprint"), check_exact=True
    )


def test_a_window_that_is_new_is_fitted_and_no_other(
    backtest, training, cutoffs, window_data, settings, fits
):
    former = backtest[backtest["cutoff"] > pd.Timestamp(cutoffs[0])]

    result = backtesting.run(training, cutoffs, window_data, settings, former=former)

    assert fits == [(name, cutoffs[0]) for name in MEMBERS]
    pd.testing.assert_frame_equal(result, backtest, check_exact=True)


def test_every_model_has_scores_for_every_slice(table, backtest, stores, cutoffs):
    types = sorted(stores["store_type"].unique())
    expected = [(None, None, None)]
    expected += [(cutoff, None, None) for cutoff in cutoffs]
    expected += [(None, week, None) for week in range(1, 7)]
    expected += [(None, None, store_type) for store_type in types]
    expected += [(cutoff, week, None) for cutoff in cutoffs for week in range(1, 7)]
    expected += [(cutoff, None, store_type) for cutoff in cutoffs for store_type in types]

    def key(row):
        return (
            None if pd.isna(row.cutoff) else row.cutoff.date(),
            None if pd.isna(row.horizon_week) else int(row.horizon_week),
            None if pd.isna(row.store_type) else row.store_type,
        )

    for model in MODELS:
        rows = list(table[table["model"] == model].itertuples())
        assert sorted(map(str, map(key, rows))) == sorted(map(str, expected))
    assert len(table) == len(MODELS) * len(expected)
    assert np.isfinite(table.drop(columns=["model", *SLICE])).all(axis=None)


def test_slices_of_one_kind_add_up_to_all_days(table, backtest):
    days = backtest.groupby("model").size()
    kinds = table[SLICE].notna().apply(tuple, axis=1)

    for _, rows in table.groupby(kinds):
        assert rows.groupby("model")["days"].sum().to_dict() == days.to_dict()


def naive_scale(history, store, cutoff):
    """Return a store's mean squared error of the naive of a week, by a plain loop."""
    series = history[(history["store_id"] == store) & (history["date"] <= cutoff)]["sales"]
    sales = series.tolist()
    errors = [
        (sold - before) ** 2
        for before, sold in zip(sales, sales[7:], strict=False)
        if before > 0 and sold > 0
    ]
    return sum(errors) / len(errors)


def winkler(sold, low, high, alpha):
    """Return the interval score of one day's log sales."""
    miss = max(math.log(low / sold), math.log(sold / high), 0.0)
    return math.log(high / low) + 2 / alpha * miss


@pytest.mark.parametrize("model", ["lightgbm", "ensemble"])
@pytest.mark.parametrize(
    ("window", "week", "with_type"),
    [(None, None, False), (0, None, False), (1, 6, False), (None, None, True), (1, None, True)],
)
def test_the_scores_of_a_slice_agree_with_a_loop(
    table, backtest, stores, training, cutoffs, model, window, week, with_type
):
    types = stores.set_index("store_id")["store_type"]
    store_type = types.iloc[0] if with_type else None
    cutoff = None if window is None else pd.Timestamp(cutoffs[window])
    scales = {
        (store, day): naive_scale(training.history, store, day)
        for store in stores["store_id"]
        for day in map(pd.Timestamp, cutoffs)
    }
    days = [
        row
        for row in backtest.itertuples()
        if row.model == model
        and cutoff in (None, row.cutoff)
        and week in (None, (row.h - 1) // 7 + 1)
        and store_type in (None, types[row.store_id])
    ]

    n = len(days)
    expected = {
        "days": n,
        "rmspe": math.sqrt(sum((1 - row.forecast / row.sales) ** 2 for row in days) / n),
        "mape": sum(abs(1 - row.forecast / row.sales) for row in days) / n,
        "wape": sum(abs(row.sales - row.forecast) for row in days) / sum(r.sales for r in days),
        "rmsse": math.sqrt(
            sum((row.sales - row.forecast) ** 2 / scales[row.store_id, row.cutoff] for row in days)
            / n
        ),
        "bias": sum(row.forecast for row in days) / sum(row.sales for row in days) - 1,
        "coverage_80": sum(row.lo_80 <= row.sales <= row.hi_80 for row in days) / n,
        "coverage_95": sum(row.lo_95 <= row.sales <= row.hi_95 for row in days) / n,
        "winkler_80": sum(winkler(row.sales, row.lo_80, row.hi_80, 0.2) for row in days) / n,
        "winkler_95": sum(winkler(row.sales, row.lo_95, row.hi_95, 0.05) for row in days) / n,
        "crps": sum(row.crps for row in days) / n,
    }

    chosen = table["model"] == model
    for column, value in (("cutoff", cutoff), ("horizon_week", week), ("store_type", store_type)):
        chosen &= table[column].isna() if value is None else table[column] == value
    (row,) = table[chosen].drop(columns=["model", *SLICE]).to_dict("records")
    assert row == pytest.approx(expected)


def test_a_store_without_a_scale_is_left_out_of_rmsse_alone(backtest, stores, training):
    unknown = training.history["store_id"] == 3
    history = training.history.assign(sales=training.history["sales"].where(~unknown, 0.0))

    with_all = scores(backtest, stores, history).iloc[0]
    without = scores(backtest[backtest["store_id"] != 3], stores, history).iloc[0]

    assert with_all["rmsse"] == pytest.approx(without["rmsse"])
    assert with_all["days"] > without["days"]


def test_weeks_of_the_scores_are_those_of_the_intervals(table, backtest):
    assert set(table["horizon_week"].dropna()) == set(horizon_week(backtest["h"]))
