"""A forecast made at a cutoff uses nothing after it but the plan, and no store uses another's.

The same deliveries are loaded twice, the second time with every later sale changed. What was
made at the cutoff must be the same, bit by bit.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.cleaned import clean_plan, clean_sales
from sales_assets.forecasting import backtest as backtesting
from sales_assets.forecasting import features, lstm
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS, MODELS
from sales_assets.forecasting.frames import KEYS, LABEL, Frames, anchors, read_frames
from sales_assets.forecasting.reference import Reference
from sales_assets.forecasting.windows import UNKNOWN_STORE, Inputs, sliding_windows
from sales_assets.settings import BOUNDS
from tests.conftest import load_and_clean

# What came of a day, rather than what was known of it: these may change with later sales.
OUTCOMES = [LABEL, "is_training"]
# Sales and customers between a fifth and five times as high, and none on one open day in nine.
LATER_SALES = """
update raw.sales
set
    sales = if(
        hash(store_id, date) % 9 = 0,
        0, round(sales * (0.2 + hash(date, store_id) % 480 / 100), 2)
    ),
    customers = customers * (1 + hash(store_id, date, 'customers') % 5)
where date > $cutoff and sales > 0
"""


@pytest.fixture(scope="module")
def last_day(con):
    return features.last_sales_day(con)


@pytest.fixture(scope="module", params=[2, 1], ids=["first window", "second window"])
def cutoff(request, last_day, settings):
    return features.backtest_cutoffs(last_day, settings)[-request.param]


@pytest.fixture(scope="module")
def changed(cutoff, source, settings, tmp_path_factory):
    """The training frames of a chain whose sales after the cutoff were others."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, tmp_path_factory.mktemp("scratch"))
        con.execute(LATER_SALES, {"cutoff": cutoff})
        clean_sales(con)
        clean_plan(con, settings)
        features.build_training(con, settings)
        yield read_frames(con, "features.training")


def training_of(con, settings, change, **values):
    """Return the training frames of the same cleaned tables after a change of them."""
    with warehouse.in_memory(settings) as other:
        for name in ("stores", "sales", "plan"):
            other.register("delivered", con.sql(f"from cleaned.{name}").arrow())
            other.execute(f"create table cleaned.{name} as from delivered")
        other.execute(change, values)
        features.build_training(other, settings)
        return read_frames(other, "features.training")


def asked_of(frames, cutoff):
    """Return what is asked at a cutoff, without what came of it."""
    return frames.asked_at(cutoff).rows.drop(columns=OUTCOMES).reset_index(drop=True)


def until(frame, column, day):
    return frame[frame[column] <= pd.Timestamp(day)].reset_index(drop=True)


def test_later_sales_are_others_and_the_plan_is_the_same(training, changed, cutoff):
    plan = ["is_open", "is_promo", "state_holiday", "is_school_holiday"]
    before, after = training.history, changed.history
    later = (before["date"] > pd.Timestamp(cutoff)) & (before["sales"] > 0)

    pd.testing.assert_frame_equal(
        before[["store_id", "date", *plan]], after[["store_id", "date", *plan]]
    )
    assert (before["sales"][later] != after["sales"][later]).mean() > 0.99
    assert (after["sales"][later] == 0).any()
    assert (before["sales"][~later] == after["sales"][~later]).all()


def test_features_that_were_known_at_the_cutoff_are_the_same(training, changed, cutoff):
    # A later day without sales is no row to learn from, so some rows are only in one of them.
    before = until(training.rows, "cutoff", cutoff).set_index(list(KEYS))
    after = until(changed.rows, "cutoff", cutoff).set_index(list(KEYS))

    pd.testing.assert_frame_equal(
        before.drop(columns=OUTCOMES).loc[after.index],
        after.drop(columns=OUTCOMES),
        check_exact=True,
    )
    gone = before.index.difference(after.index)
    assert len(gone) < 0.2 * len(before)
    assert (gone.get_level_values("date") > pd.Timestamp(cutoff)).all()


def test_what_was_learnt_from_until_the_cutoff_is_the_same(training, changed, cutoff):
    before, after = training.known_at(cutoff), changed.known_at(cutoff)

    for one, other in ((before.rows, after.rows), (before.history, after.history)):
        pd.testing.assert_frame_equal(
            one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True
        )


def test_what_is_asked_at_the_cutoff_is_the_same_but_for_what_came_of_it(training, changed, cutoff):
    before, after = training.asked_at(cutoff), changed.asked_at(cutoff)

    assert len(before.rows) == 12 * 42
    pd.testing.assert_frame_equal(
        before.rows.drop(columns=OUTCOMES).reset_index(drop=True),
        after.rows.drop(columns=OUTCOMES).reset_index(drop=True),
        check_exact=True,
    )
    pd.testing.assert_frame_equal(before.history, after.history, check_exact=True)


def test_features_and_labels_of_later_cutoffs_do_change(training, changed, last_day):
    """Without this the tests above could pass because nothing was changed at all."""
    later = pd.Timestamp(last_day - timedelta(weeks=4))
    before = training.rows[training.rows["cutoff"] == later].set_index(list(KEYS))
    after = changed.rows[changed.rows["cutoff"] == later].set_index(list(KEYS))
    both = before.index.intersection(after.index)

    assert len(both) > 100
    for column in ("anchor", "level_14", "level_28", "customers_28", "volatility_98", LABEL):
        assert (before.loc[both, column] != after.loc[both, column]).mean() > 0.9, column


@pytest.mark.parametrize("weeks_later", [0, 1, 2, 3])
def test_a_plan_further_ahead_than_the_horizon_changes_no_feature(
    con, training, last_day, settings, weeks_later
):
    """Four weeks, so that the horizon ends within runs of promotions, at their end and between."""
    cutoff = last_day - timedelta(days=84 - 7 * weeks_later)
    after = training_of(
        con,
        settings,
        "update cleaned.sales set is_promo = not is_promo, state_holiday = 'public',"
        " is_school_holiday = not is_school_holiday, is_open = false where date > $plan_end",
        plan_end=cutoff + timedelta(days=settings.horizon),
    )

    asked, other_asked = (asked_of(frames, cutoff) for frames in (training, after))
    assert not asked.empty
    pd.testing.assert_frame_equal(asked, other_asked, check_exact=True)


def test_what_a_store_begins_after_the_horizon_changes_no_feature(con, last_day, settings):
    """A competitor and a recurring promotion: neither is known before the plan reaches them."""
    cutoff = last_day - timedelta(days=84)
    without = training_of(
        con,
        settings,
        "update cleaned.stores set competition_distance_m = null, competition_open_since = null,"
        " promo2_since = null, promo2_months = null",
    )
    later = training_of(
        con,
        settings,
        "update cleaned.stores set competition_distance_m = 500, competition_open_since = $begin,"
        " promo2_since = $begin, promo2_months = range(1, 13)",
        begin=cutoff + timedelta(days=settings.horizon + 1),
    )

    asked, other_asked = (asked_of(frames, cutoff) for frames in (without, later))
    assert not asked.empty
    pd.testing.assert_frame_equal(asked, other_asked, check_exact=True)
    a_week_later = asked_of(later, cutoff + timedelta(days=7))
    begun = ["log_competition_distance", "competition_age_months", "promo2_age_weeks"]
    assert a_week_later[begun].notna().all(axis=None)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_members_forecasts_at_the_cutoff_are_the_same(training, changed, cutoff, settings, name):
    """Of what it learns from, and of the rows and the history that it is asked with."""
    fitted, other = (
        MEMBERS[name](settings).fit(frames.known_at(cutoff), cutoff)
        for frames in (training, changed)
    )
    asked, asked_later = training.asked_at(cutoff), changed.asked_at(cutoff)
    told = fitted.predict(asked)

    assert np.isfinite(told).all()
    assert not asked.rows[LABEL].equals(asked_later.rows[LABEL])
    np.testing.assert_array_equal(fitted.predict(asked_later), told)
    np.testing.assert_array_equal(other.predict(asked_later), told)


def windows_of(frames, inputs, settings):
    level = anchors(frames.rows, 8.0)
    return sliding_windows(frames, inputs, level, settings.lstm.past_days, settings.horizon)


def test_what_learners_begin_from_at_the_cutoff_is_the_same(training, changed, cutoff):
    before, after = (
        Reference.fit(frames.known_at(cutoff), cutoff).at(frames.asked_at(cutoff).rows)
        for frames in (training, changed)
    )

    np.testing.assert_array_equal(before, after)
    later = Reference.fit(changed, cutoff).at(changed.asked_at(cutoff).rows)
    assert (later != before).mean() > 0.5


def test_scales_places_and_windows_of_a_network_at_the_cutoff_are_the_same(
    training, changed, cutoff, settings
):
    before, after = training.known_at(cutoff), changed.known_at(cutoff)
    inputs = Inputs.learn(before.rows)
    assert Inputs.learn(after.rows) == inputs

    learnt, others = (windows_of(known, inputs, settings) for known in (before, after))
    for name, array in vars(learnt).items():
        np.testing.assert_array_equal(getattr(others, name), array, err_msg=name)
    weights, other_weights = (
        lstm._weights(windows, np.datetime64(cutoff), settings.lstm) for windows in (learnt, others)
    )
    np.testing.assert_array_equal(other_weights, weights)


def test_a_networks_inputs_at_the_cutoff_are_the_same_but_for_what_came_of_it(
    training, changed, cutoff, settings
):
    """With the later history beside them too: a window itself looks no further than its cutoff."""
    inputs = Inputs.learn(training.known_at(cutoff).rows)
    asked, *others = (
        windows_of(frames, inputs, settings)
        for frames in (
            training.asked_at(cutoff),
            changed.asked_at(cutoff),
            Frames(changed.asked_at(cutoff).rows, changed.history),
        )
    )

    for other in others:
        for name in ("cutoff", "store", "past", "future", "window", "step"):
            np.testing.assert_array_equal(getattr(other, name), getattr(asked, name), err_msg=name)
        assert (other.target != asked.target).mean() > 0.5


def test_a_store_whose_first_sales_are_later_has_no_place_of_its_own(training, cutoff):
    """Its own rows from before are dropped here; those of later cutoffs and days stay."""
    rows = training.rows
    is_later = (rows["store_id"] != 5) | (rows["date"] > pd.Timestamp(cutoff))
    inputs = Inputs.learn(Frames(rows[is_later], training.history).known_at(cutoff).rows)

    places = inputs.place(np.array([1, 4, 5, 6, 12])).tolist()
    assert places == [1, 4, UNKNOWN_STORE, 5, 11]


def test_a_backtest_windows_forecasts_weights_and_intervals_never_saw_its_sales(
    con, training, last_day, settings, source, tmp_path
):
    cutoffs = features.backtest_cutoffs(last_day, settings)
    with warehouse.in_memory(settings) as other:
        load_and_clean(other, source, settings, tmp_path)
        other.execute(LATER_SALES, {"cutoff": cutoffs[-1]})
        clean_sales(other)
        features.build_training(other, settings)
        changed = read_frames(other, "features.training")

    before, after = (
        backtesting.run(frames, cutoffs, dict.fromkeys(cutoffs, "data"), settings).set_index(
            ["model", *KEYS]
        )
        for frames in (training, changed)
    )

    # Days on which nothing was sold are not judged, so compare those that both have judged.
    last = before.index.get_level_values("cutoff") == pd.Timestamp(cutoffs[-1])
    both = before.index[last].intersection(after.index)
    assert set(both.get_level_values("model")) == set(MODELS)
    assert len(both) > 0.8 * last.sum()
    pd.testing.assert_frame_equal(
        before.loc[both, ["h", "forecast"]], after.loc[both, ["h", "forecast"]], check_exact=True
    )
    pd.testing.assert_frame_equal(
        before.loc[both, BOUNDS], after.loc[both, BOUNDS], check_exact=True
    )
    assert (before.loc[both, "sales"] != after.loc[both, "sales"]).mean() > 0.99
    # The first window is weighted and bounded by the last one, so it does change.
    ensemble = before.index[~last & (before.index.get_level_values("model") == ENSEMBLE)]
    assert (before.loc[ensemble, "forecast"] != after.loc[ensemble, "forecast"]).all()


@pytest.mark.parametrize("table", ["training", "future"])
@pytest.mark.parametrize("stores", [[1], [7], [2, 5, 12]], ids=str)
def test_features_of_whole_stores_are_the_same_without_the_others(con, settings, stores, table):
    with warehouse.in_memory(settings) as alone:
        for name in ("stores", "sales", "plan"):
            rows = con.sql(f"select * from cleaned.{name}").arrow()
            alone.register("delivered", rows)
            alone.execute(
                f"create table cleaned.{name} as"
                " select * from delivered where list_contains($stores, store_id)",
                {"stores": stores},
            )
        getattr(features, f"build_{table}")(alone, settings)
        subset = read_frames(alone, f"features.{table}")
    chain = read_frames(con, f"features.{table}")

    for part, whole in ((subset.rows, chain.rows), (subset.history, chain.history)):
        expected = whole[whole["store_id"].isin(stores)].reset_index(drop=True)
        assert not expected.empty
        pd.testing.assert_frame_equal(part, expected, check_exact=True)
