"""The calendar ends where enough stores tell of its days; what lies beyond waits for them."""

from datetime import timedelta

import pandas as pd
import pytest

from sales_assets.cleaned import last_told_day
from tests.cleaned.conftest import MONDAY, changed, dates_where, days_of

STORES = range(1, 8)
LAST = MONDAY + timedelta(days=69)
WRONG = LAST + timedelta(days=40)


@pytest.fixture
def calendar(con):
    """Read the first and the last day of the cleaned calendar."""

    def calendar():
        ((first, last),) = con.execute("select min(date), max(date) from cleaned.sales").fetchall()
        return first, last

    return calendar


def dated(days, store, day, other):
    """Return the rows with another date on a store's day."""
    return changed(days, store, day, Date=other)


@pytest.mark.parametrize("rows", [1, 20])
def test_rows_of_one_store_with_wrong_dates_neither_move_the_end_nor_close_stores(
    clean, con, calendar, rows
):
    days = days_of(STORES)
    for row in range(rows):
        days = dated(days, 3, LAST - timedelta(days=30 - row), WRONG + timedelta(days=row))
    clean(days)

    assert calendar() == (MONDAY, LAST)
    for store in STORES:
        assert len(dates_where(con, "is_open", store)) == 12


def test_what_waits_is_taken_or_replaced_once_the_other_stores_have_come(clean, con, one, calendar):
    day = LAST - timedelta(days=4)
    days = days_of(STORES, days=120)
    first = days[days["Date"] <= LAST]
    clean(dated(first.assign(Sales=2 * first["Sales"]), 3, day, WRONG))
    assert one("sales", "is_absent", 3, day) == (True,)

    clean(days)

    assert calendar() == (MONDAY, MONDAY + timedelta(days=119))
    wrong, right = (one("sales", "sales, is_absent", 3, each) for each in (WRONG, day))
    assert wrong == right == (5_000, False)
    assert dates_where(con, "is_open", 3) == dates_where(con, "is_open", 1) != []


@pytest.mark.parametrize(("days_ahead", "is_reached"), [(1, True), (6, True), (7, False)])
def test_stores_may_be_up_to_a_week_early(clean, con, calendar, days_ahead, is_reached):
    ahead = LAST + timedelta(days=days_ahead)
    early = days_of((3,), first=LAST + timedelta(days=1), days=days_ahead).tail(1)
    clean(pd.concat([days_of(STORES), early]))

    assert calendar()[1] == (ahead if is_reached else LAST)


@pytest.mark.parametrize(("stores", "is_reached"), [(1, False), (2, True)])
def test_a_fifth_of_the_usual_stores_is_enough(clean, calendar, stores, is_reached):
    new = days_of(range(1, stores + 1), first=LAST + timedelta(days=1), days=20)
    clean(pd.concat([days_of(range(1, 10)), new]))

    assert calendar()[1] == LAST + timedelta(days=20 if is_reached else 6)


@pytest.mark.parametrize(("days", "reached"), [(28, 6), (29, 29)])
def test_a_chain_that_has_shrunk_is_followed_after_four_weeks(clean, calendar, days, reached):
    new = days_of((1,), first=LAST + timedelta(days=1), days=days)
    clean(pd.concat([days_of(STORES), new]))

    assert calendar()[1] == LAST + timedelta(days=reached)


def test_the_whole_chain_may_come_back_after_a_pause(clean, calendar):
    back = days_of(STORES, first=LAST + timedelta(days=60), days=1)
    clean(pd.concat([days_of(STORES), back]))

    assert calendar()[1] == LAST + timedelta(days=60)


def test_a_first_day_is_enough(clean, con):
    clean(days_of((1,), days=1))

    assert last_told_day(con) == MONDAY
