"""What the calendar does to sales is found, and told from the level of a store."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.effects import (
    Effects,
    UsualGaps,
    calendar_keys,
    selling_days,
    usual_gaps,
)


def test_the_gaps_between_open_days_are_those_of_the_feature_table(training):
    days = selling_days(training.history)[
        ["store_id", "date", "days_since_open", "days_until_open"]
    ]
    rows = training.rows.loc[training.rows["is_open"], list(days)].drop_duplicates(
        ["store_id", "date"], keep="last"
    )
    both = rows.merge(days, on=["store_id", "date"], suffixes=("", "_here"))

    assert len(both) > 1000
    for gap in ("days_since_open", "days_until_open"):
        # The table counts no further than 15 days, or than its plan.
        told = (both[gap] < 15) & both[f"{gap}_here"].notna()
        assert told.mean() > 0.8
        assert (both.loc[told, gap] == both.loc[told, f"{gap}_here"]).all()


def additive(weeks=104, stores=(1, 2, 3), bump=lambda day: 0.0, closed=(), rests=6):
    """Return selling days of a level a store and a bump a day.

    The weekdays `rests` (of a store, by its number; 6 is Sunday) and `closed` are left out.
    """
    calendar = pd.date_range(end="2015-06-14", periods=7 * weeks)
    history = pd.DataFrame(
        [
            {"store_id": store, "date": day, "is_promo": False, "level": 8 + 0.1 * store}
            for store in stores
            for day in calendar
        ]
    )
    rest = history["store_id"].map(rests) if isinstance(rests, dict) else rests
    history["is_open"] = (history["date"].dt.dayofweek != rest) & ~history["date"].isin(closed)
    history["sales"] = np.exp(history["level"] + history["date"].map(bump))
    return selling_days(history)


def effect_of(effects, **row):
    usual = {"store_id": 1, "is_promo": False, "days_since_open": 1, "days_until_open": 1}
    rows = pd.DataFrame([{**usual, **row}, {**usual, **row, **row["instead"]}])
    rows["weekday"] = rows["date"].dt.dayofweek + 1
    first, second = effects.at(rows)
    return first - second


def test_a_day_that_sells_more_each_month_is_found():
    days = additive(bump=lambda day: 0.2 if day.day == 1 else 0.0, stores=range(1, 21))
    effects = Effects.fit(days, date(2015, 6, 14), 364)

    found = effect_of(
        effects,
        date=pd.Timestamp("2015-07-01"),
        instead={"date": pd.Timestamp("2015-07-08")},
    )
    assert found == pytest.approx(0.2, abs=0.04)


def test_the_day_before_a_closed_one_is_found():
    # Wednesdays far apart, on changing days of the month.
    holidays = pd.to_datetime([
        "2013-09-18", "2013-11-06", "2014-01-15", "2014-03-12", "2014-05-07",
        "2014-09-10", "2014-10-22", "2015-01-28", "2015-03-18", "2015-05-20",
    ])  # fmt: skip
    eves = set(holidays - pd.Timedelta(days=1))
    days = additive(
        bump=lambda day: 0.3 if day in eves else 0.0, closed=holidays, stores=range(1, 61)
    )
    effects = Effects.fit(days, date(2015, 6, 14), 364)

    found = effect_of(
        effects,
        date=pd.Timestamp("2015-07-07"),
        days_until_open=2,
        instead={"days_until_open": 1},
    )
    assert found == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("rest", [6, 0, 1])
@pytest.mark.parametrize("beside", [6, 0, 1])
def test_the_day_after_a_holiday_is_found_whichever_day_a_store_rests_on(rest, beside):
    """One-day holidays on Thursdays; half of the stores rest on another day than the rest."""
    holidays = pd.date_range("2013-07-04", "2015-06-01", freq="56D")
    mornings = set(holidays + pd.Timedelta(days=1))
    rests = {store: rest if store % 2 else beside for store in range(1, 21)}
    days = additive(
        bump=lambda day: 0.15 if day in mornings else 0.0,
        closed=holidays, stores=range(1, 21), rests=rests,
    )  # fmt: skip
    effects = Effects.fit(days, date(2015, 6, 14), 364)

    found = effect_of(
        effects,
        date=pd.Timestamp("2015-07-10"),
        days_since_open=2,
        instead={"days_since_open": 1},
    )
    assert found == pytest.approx(0.12, abs=0.03)
    after_rest = pd.Timestamp("2015-07-06") + pd.Timedelta(days=(rest + 1) % 7)
    assert (
        effect_of(effects, date=after_rest, days_since_open=2, instead={"days_since_open": 1}) == 0
    )


def test_a_store_that_opens_every_other_sunday_has_ordinary_mondays():
    sundays = pd.date_range("2013-06-16", "2015-06-14", freq="14D")
    days = additive(closed=sundays, rests=None)
    keys = calendar_keys(days, UsualGaps(usual_gaps(days)))

    assert set(days.loc[days["weekday"] == 1, "days_since_open"].dropna()) == {1, 2}
    assert set(keys["after"]) == set(keys["before"]) == {0}


@pytest.mark.parametrize("gap", [15, 8, None])
def test_a_gap_that_the_plan_does_not_tell_has_no_effect(gap):
    effects = Effects.fit(additive(weeks=30), date(2015, 6, 14), 364)
    day = pd.Timestamp("2015-07-07")

    assert effect_of(effects, date=day, days_until_open=gap, instead={"days_until_open": 1}) == 0


def test_a_store_that_was_rebuilt_keeps_its_effects():
    def structured(day):
        return {0: 0.3, 5: -0.2}.get(day.weekday(), 0.0) + 0.8 * (day > pd.Timestamp("2015-03-01"))

    effects = Effects.fit(additive(weeks=60, bump=structured), date(2015, 6, 14), 364)
    monday, tuesday = pd.Timestamp("2015-07-06"), pd.Timestamp("2015-07-07")

    found = effect_of(effects, date=monday, days_since_open=2, instead={"date": tuesday})
    assert found == pytest.approx(0.3, abs=0.03)


def season_of(effects):
    return effects.season.set_index("week_end")["season"]


@pytest.mark.parametrize("back", range(7))
def test_a_week_in_which_the_chain_is_closed_every_year_leaves_the_season_of_the_others(back):
    def bump(day):
        return 0.3 if day.month == 12 else 0.0

    closed = [day for year in (2013, 2014) for day in pd.date_range(f"{year}-08-04", periods=14)]
    cutoff = date(2015, 6, 14 - back)
    always, closed_in_august = (
        Effects.fit(days[days["date"] <= pd.Timestamp(cutoff)], cutoff, 364)
        for days in (additive(weeks=128, bump=bump), additive(128, bump=bump, closed=closed))
    )

    assert np.isfinite(season_of(closed_in_august)).all()
    assert (season_of(closed_in_august) - season_of(always)).abs().max() < 0.05
    assert season_of(always).max() > 0.2


@pytest.mark.parametrize("weeks", [134, 5 * 52, 10 * 52])
def test_a_long_history_does_not_blur_christmas(weeks):
    def bump(day):
        return 0.3 * (day.month == 12 and 11 <= day.day <= 24)

    effects = Effects.fit(additive(weeks, bump=bump), date(2015, 6, 14), 364)
    season = season_of(effects)

    assert season.max() - season.median() > 0.18
    assert season.idxmax() in pd.date_range("2014-12-14", "2014-12-27")


def test_a_season_needs_no_week_to_be_known():
    # Open every other half of a year for four weeks, too seldom for a mean of a year.
    days = additive(weeks=128)
    days = days[days["date"].dt.month.isin((1, 7)) & (days["date"].dt.day < 22)]
    effects = Effects.fit(days, date(2015, 6, 14), 364)

    assert (effects.season["season"] == 0).all()


def test_a_chain_that_was_closed_for_longer_than_effects_look_back_keeps_its_last_ones():
    days = additive()
    days["log_sales"] += 0.2 * (days["weekday"] == 1)
    last = days[days["date"] <= "2015-03-14"]
    late = Effects.fit(last, date(2015, 6, 14), 56)
    then = Effects.fit(last, date(2015, 3, 14), 56)

    monday, tuesday = pd.Timestamp("2015-06-22"), pd.Timestamp("2015-06-23")
    gained = effect_of(late, date=monday, instead={"date": tuesday})
    assert gained == pytest.approx(0.2, abs=0.05)
    pd.testing.assert_frame_equal(late.effects, then.effects)
