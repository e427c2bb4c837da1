"""Sliding windows against loops over plain days, written from what the windows promise."""

from datetime import timedelta
from math import log

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import CATEGORIES, LABEL, Frames, anchors
from sales_assets.forecasting.windows import (
    LEVEL_DAYS,
    PAST_INPUTS,
    UNKNOWN_STORE,
    Inputs,
    past_of,
    recent,
    sliding_windows,
)

FIRST, LAST = pd.Timestamp(2014, 1, 6), pd.Timestamp(2015, 2, 28)
# 1 opens daily, 2 not on Sundays, 5 was shut for half a year until it opened again in January,
# 7 is a new store, 8 has not sold yet; 9 is not in the history at all.
SHUT = pd.date_range("2014-07-03", "2015-01-11")
NEW = pd.Timestamp(2015, 1, 20)
STORES, NOWHERE = (1, 2, 5, 7, 8), 9
PAST_DAYS, HORIZON = 70, 14


def made_up_history():
    rng = np.random.default_rng(11)
    days = []
    for store in STORES:
        for date in pd.date_range(NEW if store == 7 else FIRST, LAST):
            is_shut = store == 8 or (store == 5 and date in SHUT)
            is_open = not is_shut and (store == 1 or date.dayofweek < 6)
            is_holiday = date.dayofyear in (1, 51, 150)
            sales = rng.lognormal(7 + 0.2 * store, 0.5) if is_open else 0.0
            # Now and then a store opens and sells nothing, or a hundred times what it should.
            sales *= rng.choice([1, 1, 1, 1, 1, 1, 1, 1, 0, 100, 0.01])
            days.append(
                {
                    "store_id": store,
                    "date": date,
                    "sales": sales,
                    "is_open": is_open,
                    "is_promo": bool(rng.random() < 0.4),
                    "state_holiday": ("public", "easter", "christmas")[date.dayofyear % 3]
                    if is_holiday
                    else "none",
                    "is_school_holiday": date.month == 2,
                }
            )
    # Two days of store 2 were never delivered.
    is_lost = [day["store_id"] == 2 and day["date"].dayofyear in (33, 34) for day in days]
    return pd.DataFrame([day for day, gone in zip(days, is_lost, strict=True) if not gone])


@pytest.fixture(scope="module")
def history():
    return made_up_history()


def keys_of(stores, cutoffs):
    pairs = [(pd.Timestamp(cutoff), store) for cutoff in cutoffs for store in stores]
    return pd.DataFrame(pairs, columns=["cutoff", "store_id"])


CUTOFFS = ["2014-01-20", "2014-02-24", "2014-07-02", "2014-11-30", "2015-01-19", "2015-02-28"]
KEYS = keys_of((*STORES, NOWHERE), CUTOFFS)


def expected_past(days, cutoff, past_days):
    """The past of one store: a list of inputs for each day, from its days in any order."""
    by_date = {day["date"]: day for day in days if day["date"] <= cutoff}

    def log_sales(date):
        day = by_date.get(date)
        return log(day["sales"]) if day and day["is_open"] and day["sales"] > 0 else None

    selling = [date for date in sorted(by_date) if log_sales(date) is not None]
    last = [log_sales(date) for date in selling[-56:]]
    level = sum(last) / len(last) if last else 0.0

    dates = [cutoff - timedelta(days=ago) for ago in reversed(range(past_days))]
    relative, kinds = [], []
    for date in dates:
        sold = log_sales(date)
        relative.append(None if sold is None else min(max(sold - level, -2.0), 2.0))
        kinds.append((date.weekday(), bool(by_date[date]["is_promo"]) if date in by_date else None))

    inputs = []
    for date, value, kind in zip(dates, relative, kinds, strict=True):
        day = by_date.get(date)
        alike = [
            other
            for other, its_kind in zip(relative, kinds, strict=True)
            if other is not None and its_kind == kind
        ]
        inputs.append(
            [
                0.0 if value is None else value,
                0.0 if value is None else value - sum(alike) / len(alike),
                float(value is not None),
                float(bool(day and day["is_open"])),
                float(bool(day and day["is_promo"])),
                float(bool(day and day["is_school_holiday"])),
                float(bool(day and day["state_holiday"] != "none")),
                *(float(date.weekday() == weekday) for weekday in range(7)),
            ]
        )
    return inputs


def expected_pasts(history, keys, past_days):
    days = history.to_dict("records")
    return np.array(
        [
            expected_past(
                [day for day in days if day["store_id"] == key.store_id], key.cutoff, past_days
            )
            for key in keys.itertuples()
        ]
    )


@pytest.mark.parametrize("past_days", [56, PAST_DAYS])
def test_the_past_is_what_a_loop_over_days_says(history, past_days):
    past = past_of(history, KEYS, past_days)

    assert past.shape == (len(KEYS), past_days, PAST_INPUTS)
    assert past.dtype == np.float32
    np.testing.assert_allclose(past, expected_pasts(history, KEYS, past_days), atol=2e-6)


def test_the_past_of_the_sample_is_what_a_loop_over_days_says(training):
    every = training.rows[["cutoff", "store_id"]].drop_duplicates()
    keys = every.sample(12, random_state=1).reset_index(drop=True)

    np.testing.assert_allclose(
        past_of(training.history, keys, PAST_DAYS),
        expected_pasts(training.history, keys, PAST_DAYS),
        atol=2e-6,
    )


def test_the_order_of_the_days_does_not_matter(history):
    shuffled = history.sample(frac=1, random_state=2)

    np.testing.assert_array_equal(
        past_of(shuffled, KEYS, PAST_DAYS), past_of(history, KEYS, PAST_DAYS)
    )


@pytest.mark.parametrize(
    ("store", "cutoff", "zeros"),
    [(1, FIRST + timedelta(days=9), 60), (7, NEW + timedelta(days=4), 65), (9, LAST, 70)],
    ids=["before the history", "before the store", "a store without history"],
)
def test_days_that_are_not_in_the_history_are_zeros_but_for_their_weekday(
    history, store, cutoff, zeros
):
    (past,) = past_of(history, keys_of([store], [cutoff]), PAST_DAYS)

    assert not past[:zeros, :7].any()
    assert past[zeros:, 3].all() or store != 1
    np.testing.assert_array_equal(past[:, 7:].sum(axis=1), 1)


def test_a_store_that_was_shut_for_half_a_year_keeps_the_level_that_it_had(history):
    """The first days after a closure are told against those before it."""
    cutoff = SHUT[-1] + timedelta(days=1)
    of_store = history[(history["store_id"] == 5) & (history["date"] <= cutoff)]
    sold = of_store[of_store["is_open"] & (of_store["sales"] > 0)]
    assert (sold["date"] == cutoff).any()
    level = np.log(sold["sales"].iloc[-56:]).mean()

    (past,) = past_of(history, keys_of([5], [cutoff]), PAST_DAYS)

    assert not past[:-1, :4].any()
    expected = np.clip(np.log(sold["sales"].iloc[-1]) - level, -2, 2)
    assert past[-1, 0] == pytest.approx(expected, abs=1e-6)
    # The only one of its kind in the window is what is usual.
    assert past[-1, 1] == 0


def test_sales_far_from_the_level_are_clipped(history):
    relative = past_of(history, KEYS, PAST_DAYS)[:, :, 0]

    assert relative.max() == 2
    assert relative.min() == -2


@pytest.mark.parametrize("cutoff", [pd.Timestamp(cutoff) for cutoff in CUTOFFS[1:-1]])
def test_no_day_after_a_cutoff_is_in_its_past(history, cutoff):
    keys = keys_of((*STORES, NOWHERE), [cutoff])
    later = history["date"] > cutoff
    other = history.copy()
    rng = np.random.default_rng(3)
    other.loc[later, "sales"] = rng.choice([0.0, 1.0, 1e6], later.sum())
    for column in ("is_open", "is_promo", "is_school_holiday"):
        other.loc[later, column] = ~other.loc[later, column]
    other.loc[later, "state_holiday"] = "public"
    told = past_of(history, keys, PAST_DAYS)

    np.testing.assert_array_equal(past_of(other, keys, PAST_DAYS), told)
    np.testing.assert_array_equal(past_of(history[~later], keys, PAST_DAYS), told)


def test_a_store_is_told_apart_from_the_others(history):
    keys = keys_of([5], CUTOFFS[2:])
    alone = history[history["store_id"] == 5]

    np.testing.assert_allclose(
        past_of(alone, keys, PAST_DAYS), past_of(history, keys, PAST_DAYS), atol=1e-6
    )


def test_the_days_that_are_read_are_few_and_tell_the_same(history):
    keys = keys_of((*STORES, NOWHERE), [LAST])
    read = recent(history, PAST_DAYS)

    np.testing.assert_allclose(
        past_of(read, keys, PAST_DAYS), past_of(history, keys, PAST_DAYS), atol=1e-6
    )
    assert read["store_id"].value_counts().max() <= PAST_DAYS + LEVEL_DAYS
    # The level of a store that was shut is older than the window.
    shut = history[(history["store_id"] != 5) | ~history["date"].between("2015-01-12", LAST)]
    np.testing.assert_allclose(
        past_of(recent(shut, PAST_DAYS), keys, PAST_DAYS),
        past_of(shut, keys, PAST_DAYS),
        atol=1e-6,
    )


def test_no_store_needs_to_have_a_history(history):
    (past,) = past_of(history.iloc[:0], keys_of([3], [LAST]), PAST_DAYS)

    assert not past[:, :7].any()
    np.testing.assert_array_equal(past[:, 7:].argmax(axis=1)[-3:], [3, 4, 5])


def row(store, cutoff, h, **values):
    """A feature row with one number that varies, one that does not, and one often unknown."""
    cutoff = pd.Timestamp(cutoff)
    date = cutoff + timedelta(days=h)
    return {
        "cutoff": cutoff,
        "store_id": store,
        "date": date,
        "h": h,
        "is_training": True,
        "is_open": date.dayofweek < 6,
        "is_promo": date.day % 3 == 0,
        "state_holiday": "none",
        "weekday": date.dayofweek + 1,
        "store_type": "abcd"[store % 4],
        "assortment": ("basic", "extra", "extended")[store % 3],
        "day_of_year": date.dayofyear,
        "week_of_year": date.weekofyear,
        "anchor": 8 + 0.1 * store,
        "level": store - 0.01 * h,
        "constant": 3.0,
        "unknown": None,
        LABEL: 8 + 0.1 * store + 0.01 * h,
        **values,
    }


def frame(rows):
    """Rows as they are read from the warehouse."""
    made = pd.DataFrame(rows)
    for column, categories in CATEGORIES.items():
        made[column] = pd.Categorical(made[column], categories=categories)
    return made.astype(
        {"level": "float32", "constant": "float32", "unknown": "float32", LABEL: "float32"}
    )


# Store 2's first window ends early, as those near the last known day do; its second is whole.
KNOWN = frame(
    [row(2, "2015-01-19", h) for h in range(1, 6)]
    + [row(1, "2015-01-19", h, unknown=float(h) if h > 4 else None) for h in range(1, 15)]
    + [row(2, "2015-01-12", h, level=100.0 if h == 3 else 1.0) for h in range(1, 15)]
)
# The anchor of a store that has never sold.
TYPICAL = 8.2
NUMBERS = ["is_promo", "anchor", "level", "constant", "unknown", "h"]


@pytest.fixture(scope="module")
def inputs():
    return Inputs.learn(KNOWN)


def test_numbers_are_scaled_by_what_was_known(inputs):
    assert set(inputs.mean) == set(NUMBERS)
    for name in NUMBERS:
        values = [float(value) for value in KNOWN[name] if not pd.isna(value)]
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        assert inputs.mean[name] == pytest.approx(mean)
        assert inputs.deviation[name] == pytest.approx((squares / (len(values) - 1)) ** 0.5)
    assert inputs.stores == (1, 2)


def expected_inputs(one, inputs):
    """What a feature row becomes: whether it opens, indicators, scaled numbers."""
    if not one.is_open:
        return [0.0] * inputs.width
    indicators = {**CATEGORIES, "weekday": tuple(range(1, 8))}
    numbers = []
    for name in inputs.mean:
        value = getattr(one, name)
        if pd.isna(value) or not inputs.deviation[name]:
            numbers.append(0.0)
        else:
            scaled = (value - inputs.mean[name]) / inputs.deviation[name]
            numbers.append(min(max(scaled, -10.0), 10.0))
    return [
        1.0,
        *(float(getattr(one, name) == value) for name in indicators for value in indicators[name]),
        *numbers,
    ]


# What is asked has a closed day, a holiday, a new store, one that has never sold, and h = 15.
ASKED = frame(
    [row(1, "2015-02-28", h, **{LABEL: None}) for h in range(1, 15)]
    + [row(5, "2015-02-28", h, anchor=None, level=None) for h in range(1, 15)]
    + [row(9, "2015-02-28", 4, state_holiday="easter", level=-1e6, **{LABEL: None})]
    + [row(2, "2015-02-28", 15, constant=4.0, is_promo=True)]
).sample(frac=1, random_state=4)


@pytest.mark.parametrize("rows", [KNOWN, ASKED], ids=["known", "asked"])
def test_windows_are_what_a_loop_over_rows_says(history, inputs, rows):
    windows = sliding_windows(
        Frames(rows, history), inputs, anchors(rows, TYPICAL), PAST_DAYS, HORIZON
    )
    keys = sorted({(one.cutoff, one.store_id) for one in rows.itertuples()})
    days = max(HORIZON, rows["h"].max())
    future = np.zeros((len(keys), days, inputs.width))
    target, weight = np.zeros((len(keys), days)), np.zeros((len(keys), days))
    places = []
    for one in rows.itertuples():
        place = keys.index((one.cutoff, one.store_id)), one.h - 1
        places.append(place)
        future[place] = expected_inputs(one, inputs)
        label = getattr(one, LABEL)
        if not pd.isna(label):
            target[place] = label - (TYPICAL if pd.isna(one.anchor) else one.anchor)
            weight[place] = 1

    assert list(zip(windows.cutoff, windows.store, strict=True)) == [
        (cutoff, {1: 1, 2: 2}.get(store, UNKNOWN_STORE)) for cutoff, store in keys
    ]
    np.testing.assert_allclose(windows.future, future, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(windows.target, target, atol=1e-5)
    np.testing.assert_array_equal(windows.weight, weight)
    assert list(zip(windows.window, windows.step, strict=True)) == places
    np.testing.assert_array_equal(
        windows.past,
        past_of(history, pd.DataFrame(keys, columns=["cutoff", "store_id"]), PAST_DAYS),
    )


def test_a_window_near_the_last_known_day_is_empty_after_it(history, inputs):
    windows = sliding_windows(
        Frames(KNOWN, history), inputs, anchors(KNOWN, TYPICAL), PAST_DAYS, HORIZON
    )

    partial = windows.weight.sum(axis=1) == 5
    assert partial.sum() == 1
    assert not windows.weight[partial, 5:].any()
    assert not windows.target[partial, 5:].any()
    assert not windows.future[partial, 5:].any()


def test_rows_further_ahead_than_the_horizon_lengthen_every_window(history, inputs):
    windows = sliding_windows(
        Frames(ASKED, history), inputs, anchors(ASKED, TYPICAL), PAST_DAYS, HORIZON
    )

    assert windows.future.shape == (4, 15, inputs.width)
    assert windows.target.shape == windows.weight.shape == (4, 15)


def test_a_number_that_did_not_vary_or_was_never_known_tells_nothing(inputs):
    """Nothing was learnt of it, so that another value must not move the forecast either."""
    never = frame([row(1, "2015-01-19", h) for h in range(1, 15)])
    once = Inputs.learn(never)
    open_day = never.assign(constant=1e6, unknown=5.0)

    np.testing.assert_array_equal(once.of(open_day), once.of(never))
    assert np.isfinite(once.of(open_day)).all()


def test_no_number_is_further_than_ten_deviations_from_the_mean(inputs):
    rows = ASKED.assign(is_open=True)

    assert np.abs(inputs.of(rows)).max() == 10
    assert np.abs(inputs.of(rows.assign(level=np.inf))).max() == 10


@pytest.mark.parametrize(
    ("stores", "asked", "places"),
    [
        ((1, 2), [1, 2], [1, 2]),
        ((10, 30, 20), [30, 20, 10], [3, 2, 1]),
        ((10, 20), [5, 15, 25, 10], [UNKNOWN_STORE, UNKNOWN_STORE, UNKNOWN_STORE, 1]),
    ],
    ids=["all known", "in order of their numbers", "before, between and after"],
)
def test_stores_have_places_and_unknown_ones_share_the_first(stores, asked, places):
    rows = frame([row(store, "2015-01-19", 1) for store in stores])

    assert Inputs.learn(rows).place(np.array(asked)).tolist() == places


def test_days_and_weeks_of_the_year_are_no_inputs(inputs):
    rows = KNOWN.assign(day_of_year=1, week_of_year=1)

    np.testing.assert_array_equal(inputs.of(rows), inputs.of(KNOWN))
    assert Inputs.learn(rows) == inputs


def test_windows_of_the_sample_hold_every_row_at_its_step(training, con, settings):
    cutoff = backtest_cutoffs(last_sales_day(con), settings)[-1]
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    inputs = Inputs.learn(known.rows)
    windows = sliding_windows(asked, inputs, anchors(asked.rows), PAST_DAYS, settings.horizon)

    np.testing.assert_array_equal(
        windows.future[windows.window, windows.step], inputs.of(asked.rows)
    )
    is_open = asked.rows["is_open"].to_numpy()
    np.testing.assert_array_equal(windows.future[windows.window, windows.step, 0], is_open)
    assert (~is_open).any()
    assert windows.weight.sum() == asked.rows[LABEL].notna().sum()
    assert np.abs(windows.target).max() < 3
