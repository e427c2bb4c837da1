"""What a derived plan makes of pauses and closures: stores that sell go on as before."""

from datetime import timedelta

import pandas as pd
import pytest

from tests.cleaned.conftest import MONDAY, dates_where, days_of

DAYS = 273
CUTOFF = MONDAY + timedelta(days=DAYS - 1)
EVERY_DAY_BUT_SUNDAYS = [
    day for day in (CUTOFF + timedelta(days=h) for h in range(1, 15)) if day.weekday() < 6
]


def is_away(days, store, length, back):
    """Tell which rows lie in a stretch of days that ended `back` days ago, of a store or of all."""
    last = CUTOFF - timedelta(days=back)
    of_store = (days["Store"] == store) | (store is None)
    return of_store & (days["Date"] <= last) & (days["Date"] > last - timedelta(days=length))


def shut(days, store, length, back):
    """Return the rows with a closure of a store, or of all, that ended `back` days ago."""
    return days.assign(
        **{
            name: days[name].mask(is_away(days, store, length, back), 0)
            for name in ("Open", "Sales", "Customers")
        }
    )


@pytest.mark.parametrize("back", [1, 7, 20])
@pytest.mark.parametrize("length", [7, 28, 35, 90])
def test_after_a_pause_of_which_no_file_speaks_stores_open_as_before(clean, con, length, back):
    days = days_of((1, 2), days=DAYS)
    clean(days[~is_away(days, None, length, back)])

    for store in (1, 2):
        assert dates_where(con, "is_open", store) == EVERY_DAY_BUT_SUNDAYS


# The newest day is a Sunday, on which it does not show that a store has reopened.
@pytest.mark.parametrize("back", [2, 7, 14])
@pytest.mark.parametrize("length", [7, 28, 35, 182])
def test_a_store_that_reopened_opens_as_before_it_closed(clean, con, length, back):
    clean(shut(days_of((1, 2), days=DAYS), 2, length, back))

    for store in (1, 2):
        assert dates_where(con, "is_open", store) == EVERY_DAY_BUT_SUNDAYS


# A day less, and the closed Sunday before the same 27 days makes them 28.
@pytest.mark.parametrize(
    ("missing", "length", "is_open"),
    [(0, 13, True), (0, 27, True), (1, 27, False), (0, 60, False)],
)
def test_a_store_that_four_weeks_of_files_have_closed_is_taken_for_closed(
    clean, con, missing, length, is_open
):
    days = shut(days_of((1, 2), days=DAYS - missing), 2, length, back=missing)
    clean(days)

    opened = dates_where(con, "is_open", 1)
    assert len(opened) == 12
    assert dates_where(con, "is_open", 2) == (opened if is_open else [])


def test_a_store_that_is_told_as_closed_on_all_days_is_taken_for_closed(clean, con):
    clean(shut(days_of((1, 2), days=DAYS), 2, DAYS, back=0))

    assert dates_where(con, "is_open", 2) == []


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "left out"])
@pytest.mark.parametrize(
    ("weeks_ago", "is_open"),
    [([0, 4], False), ([0, 1, 2, 3], False), ([0, 2, 3, 5, 7], True), ([8, 9, 10, 11, 12], False)],
)
def test_a_store_opens_on_sundays_if_it_did_on_most_of_the_last_eight(
    clean, con, weeks_ago, is_open, is_told
):
    days = days_of((1, 2), days=DAYS)
    sundays = [CUTOFF - timedelta(weeks=weeks) for weeks in weeks_ago]
    days.loc[(days["Store"] == 1) & days["Date"].isin(sundays), ["Open", "Sales"]] = [1, 4_000]
    # Some chains leave closed days out: of those that stay, each Sunday is an open one.
    clean(days if is_told else days[days["Open"] == 1])

    found = [day for day in dates_where(con, "is_open") if day.weekday() == 6]
    assert len(found) == (2 if is_open else 0)
    assert [day for day in dates_where(con, "is_open") if day.weekday() < 6] == (
        EVERY_DAY_BUT_SUNDAYS
    )


def test_sundays_before_a_pause_count_as_the_last_ones(clean, con):
    days = days_of((1,), days=DAYS)
    is_sunday = pd.to_datetime(days["Date"]).dt.dayofweek == 6
    days.loc[is_sunday, ["Open", "Sales"]] = [1, 4_000]
    clean(days[~is_away(days, None, 49, back=7)])

    assert len(dates_where(con, "is_open")) == 14


@pytest.mark.parametrize(("told_since", "is_open"), [(13, True), (14, False)])
def test_a_pause_of_the_whole_chain_is_no_silence_of_a_store(clean, con, told_since, is_open):
    days = days_of((1, 2), days=DAYS)
    paused = is_away(days, None, 40, told_since)
    clean(days[~paused & ~is_away(days, 2, told_since, back=0)])

    assert dates_where(con, "is_open", 1) == EVERY_DAY_BUT_SUNDAYS
    assert dates_where(con, "is_open", 2) == (EVERY_DAY_BUT_SUNDAYS if is_open else [])
