"""The plan covers the horizon: as it was delivered, and completed by what is usual."""

from datetime import date, timedelta

import pandas as pd
import pytest

from sales_assets.settings import MAX_HORIZON
from sales_assets.sources.german_holidays import holiday_calendar
from tests.cleaned.conftest import MONDAY, changed, dates_where, days_of, planned


@pytest.mark.parametrize("horizon", [1, 14, MAX_HORIZON])
def test_the_plan_has_every_day_up_to_the_horizon(clean, con, horizon):
    clean(days_of((1, 2)), plan=planned((1, 2), days=20), horizon=horizon)

    rows = con.execute("select store_id, date from cleaned.plan order by all").fetchall()

    cutoff = MONDAY + timedelta(days=69)
    assert rows == [
        (store, cutoff + timedelta(days=h)) for store in (1, 2) for h in range(1, horizon + 1)
    ]
    derived = con.execute("select count(*) from cleaned.plan where is_derived").fetchall()
    assert derived == [(2 * max(horizon - 20, 0),)]


def test_stores_open_on_their_usual_weekdays(clean, con):
    days = days_of((1, 2, 3), days=147)
    weekday = pd.to_datetime(days["Date"]).dt.dayofweek
    # Store 2 opens on Sundays and not on Mondays; store 3 used to, more than eight weeks ago.
    long_ago = days["Date"] < MONDAY + timedelta(days=91)
    other = (days["Store"] == 2) | ((days["Store"] == 3) & long_ago)
    days.loc[other & (weekday == 6), ["Open", "Sales"]] = [1, 4_000]
    days.loc[other & (weekday == 0), ["Open", "Sales"]] = [0, 0]
    clean(days)

    for store, weekdays in ((1, range(6)), (2, range(1, 7)), (3, range(6))):
        opened = dates_where(con, "is_open", store)
        assert sorted({day.weekday() for day in opened}) == list(weekdays)
        assert len(opened) == 12


@pytest.mark.parametrize("days", range(70, 84))
def test_promotions_go_on_in_their_rhythm_of_two_weeks(clean, con, days):
    clean(days_of(days=days), horizon=MAX_HORIZON)

    expected = days_of(first=MONDAY, days=days + MAX_HORIZON).tail(MAX_HORIZON)

    assert dates_where(con, "is_promo") == expected.loc[expected["Promo"] == 1, "Date"].tolist()


def test_a_rhythm_that_has_changed_goes_on_as_it_was_in_the_last_two_weeks(clean, con):
    days = days_of(days=84)
    since = MONDAY + timedelta(days=70)
    days.loc[days["Date"] >= since, "Promo"] = 0
    days.loc[days["Date"] == since + timedelta(days=2), "Promo"] = 1
    clean(days, horizon=MAX_HORIZON)

    wednesday = MONDAY + timedelta(days=86)
    assert dates_where(con, "is_promo") == [wednesday + timedelta(days=14 * n) for n in range(4)]


def test_school_holidays_are_those_of_the_same_days_a_year_ago(clean, con):
    days = days_of(days=400)
    cutoff = days["Date"].max()
    holidays = [cutoff + timedelta(days=h - 364) for h in (3, 4, 5, 20)]
    days.loc[days["Date"].isin(holidays), "SchoolHoliday"] = 1
    clean(days, horizon=42)

    assert dates_where(con, "is_school_holiday") == [
        cutoff + timedelta(days=h) for h in (3, 4, 5, 20)
    ]


def test_national_holidays_are_kept_even_by_stores_that_have_not_seen_one(clean, con):
    # No holiday of the spring came round in a history of ten weeks.
    clean(days_of(first=date(2015, 1, 19)), horizon=MAX_HORIZON)

    holidays = con.execute(
        "select date, state_holiday, is_open from cleaned.plan"
        " where state_holiday <> 'none' order by date"
    ).fetchall()

    assert holidays == [
        (date(2015, 4, 3), "easter", False),
        (date(2015, 4, 6), "easter", False),
        (date(2015, 5, 1), "public", False),
        (date(2015, 5, 14), "public", False),
    ]


def test_christmas_is_told_apart_from_other_holidays(clean, con):
    clean(days_of(first=date(2014, 9, 29)), horizon=MAX_HORIZON)

    holidays = con.execute(
        "select date, state_holiday from cleaned.plan where state_holiday <> 'none' order by date"
    ).fetchall()

    assert holidays == [
        (date(2014, 12, 25), "christmas"),
        (date(2014, 12, 26), "christmas"),
        (date(2015, 1, 1), "public"),
    ]


@pytest.fixture
def spring(clean):
    """Clean a year up to 10 May 2015 that holds Corpus Christi, which only some states keep.

    Store 1 kept it and store 2 did not, store 3 was away on that day and on Ascension; store 4
    keeps it and opens on all holidays, as shops in railway stations do.
    """

    def spring(plan=None):
        days = days_of((1, 2, 3, 4), first=date(2014, 5, 1), days=375)
        calendar = holiday_calendar(days["Date"].min(), days["Date"].max())
        letters = {"public": "a", "easter": "b", "christmas": "c"}
        for holiday in calendar[calendar["is_national"]].itertuples():
            day, letter = holiday.date.date(), letters[holiday.kind]
            days = changed(days, None, day, StateHoliday=letter, Open=0, Sales=0)
            days = changed(days, 4, day, Open=1, Sales=3_000)
        corpus_christi = date(2014, 6, 19)
        days = changed(days, 1, corpus_christi, StateHoliday="a", Open=0, Sales=0)
        days = changed(days, 4, corpus_christi, StateHoliday="a")
        away = (days["Store"] == 3) & days["Date"].isin([corpus_christi, date(2014, 5, 29)])
        clean(days[~away], plan=plan, horizon=42)

    return spring


@pytest.mark.parametrize(
    ("store", "corpus_christi"),
    [
        pytest.param(1, ("public", False), id="kept it last year"),
        pytest.param(2, ("none", True), id="did not keep it"),
        pytest.param(3, ("none", True), id="was away"),
        pytest.param(4, ("public", True), id="keeps it and opens"),
    ],
)
def test_a_regional_holiday_is_kept_by_the_stores_that_kept_it_last(
    spring, one, store, corpus_christi
):
    spring()

    assert one("plan", "state_holiday, is_open", store, date(2015, 6, 4)) == corpus_christi


def test_stores_that_open_on_holidays_do_so_again(spring, one):
    spring()

    ascension = date(2015, 5, 14)
    for store, is_open in ((1, False), (2, False), (3, False), (4, True)):
        assert one("plan", "state_holiday, is_open", store, ascension) == ("public", is_open)


def test_a_history_and_horizon_without_any_holiday_have_a_plan(clean, con):
    clean(days_of(first=date(2015, 7, 6), days=14), horizon=1)

    plan = con.execute("select date, is_open, state_holiday from cleaned.plan").fetchall()

    assert plan == [(date(2015, 7, 20), True, "none")]


def test_a_delivered_plan_counts_more_than_what_is_usual(clean, one):
    sunday, monday = MONDAY + timedelta(days=76), MONDAY + timedelta(days=77)
    plan = changed(planned(), 1, sunday, Open=1, Promo=1, SchoolHoliday=1)
    plan = changed(plan, 1, monday, Open=0, StateHoliday="a")
    clean(days_of(), plan=plan)

    columns = "is_open, is_promo, state_holiday, is_school_holiday, is_derived, is_open_inferred"
    assert one("plan", columns, 1, sunday) == (True, True, "none", True, False, False)
    assert one("plan", columns, 1, monday) == (False, False, "public", False, False, False)


def test_a_delivered_plan_that_knows_no_holiday_counts_more_than_the_calendar(clean, one):
    days = days_of(first=date(2015, 1, 19))
    plan = planned(first=date(2015, 3, 30))
    clean(days, plan=plan)

    good_friday = date(2015, 4, 3)
    assert one("plan", "is_open, state_holiday", 1, good_friday) == (True, "none")


def test_a_plan_that_ends_early_or_lacks_a_store_is_completed(clean, con):
    clean(days_of((1, 2)), plan=planned((1,), days=10), horizon=28)

    cutoff = MONDAY + timedelta(days=69)
    for store, first_derived in ((1, 11), (2, 1)):
        assert dates_where(con, "is_derived", store) == [
            cutoff + timedelta(days=h) for h in range(first_derived, 29)
        ]
    # The delivered days are without promotion; the derived ones go on with those of history.
    promotions = dates_where(con, "is_promo", 1)
    assert promotions == [
        day for day in dates_where(con, "is_promo", 2) if day > cutoff + timedelta(10)
    ]
    assert promotions


@pytest.mark.parametrize(("silent_days", "is_open"), [(7, True), (13, True), (14, False)])
def test_a_store_of_which_nothing_is_heard_for_two_weeks_is_taken_for_closed(
    clean, con, silent_days, is_open
):
    days = days_of((1, 2))
    heard_until = MONDAY + timedelta(days=69 - silent_days)
    clean(days[(days["Store"] == 1) | (days["Date"] <= heard_until)])

    assert len(dates_where(con, "is_open", 1)) == 12
    assert len(dates_where(con, "is_open", 2)) == (12 if is_open else 0)


def test_a_silent_store_opens_again_when_a_later_plan_says_so(clean, con):
    days = days_of((1, 2))
    silent = (days["Store"] == 2) & (days["Date"] > MONDAY + timedelta(days=30))
    clean(days[~silent], plan=planned((1, 2)))

    assert dates_where(con, "is_open", 2) == dates_where(con, "is_open", 1)


def test_a_plan_that_came_after_the_silence_holds_when_the_whole_history_comes_again(clean, con):
    days = days_of((1, 2), days=77)
    silent = (days["Store"] == 2) & (days["Date"] > MONDAY + timedelta(days=30))
    plan = planned((1, 2), days=21)
    last_week = days["Date"] >= MONDAY + timedelta(days=70)
    clean(days[~silent & ~last_week], plan=plan)
    clean(days[~silent], plan=plan)

    assert dates_where(con, "is_open", 2) == dates_where(con, "is_open", 1) != []


def test_a_store_that_opened_last_week_goes_on_as_it_began(clean, con):
    days = days_of((1, 2))
    before = (days["Store"] == 2) & (days["Date"] < MONDAY + timedelta(days=63))
    clean(days[~before])

    assert dates_where(con, "is_open", 2) == dates_where(con, "is_open", 1)


def test_planned_days_that_are_known_by_now_are_left_out(clean, con):
    plan = planned(first=MONDAY + timedelta(days=60), days=14)
    clean(days_of(), plan=plan, horizon=7)

    cutoff = MONDAY + timedelta(days=69)
    assert dates_where(con, "not is_derived") == [cutoff + timedelta(days=h) for h in (1, 2, 3, 4)]
    assert dates_where(con, "is_derived") == [cutoff + timedelta(days=h) for h in (5, 6, 7)]


@pytest.mark.parametrize(
    ("days_ahead", "holiday", "is_open"),
    [
        pytest.param(1, "0", True, id="usually open"),
        pytest.param(7, "0", False, id="usually closed"),
        pytest.param(1, "a", False, id="public holiday"),
        pytest.param(1, "b", False, id="easter"),
        pytest.param(1, "c", False, id="christmas"),
    ],
)
def test_a_blank_open_in_the_plan_is_what_is_usual_but_closed_on_holidays(
    clean, one, con, days_ahead, holiday, is_open
):
    day = MONDAY + timedelta(days=69 + days_ahead)
    clean(days_of(), plan=changed(planned(), 1, day, Open="", StateHoliday=holiday))

    assert one("plan", "is_open, is_open_inferred, is_derived", 1, day) == (is_open, True, False)
    assert dates_where(con, "is_open_inferred") == [day]


STORES = pd.DataFrame({"Store": [1, 2], "StoreType": "a", "Assortment": "a"})


def test_a_store_that_is_planned_before_it_sells_is_planned_as_delivered(clean, con):
    clean(days_of((1,)), stores=STORES, plan=planned((1, 2), days=14))

    assert dates_where(con, "is_open", 2) == dates_where(con, "is_open", 1) != []
    history = con.execute(
        "select count(*), bool_and(is_absent), bool_or(is_open), sum(sales) from cleaned.sales"
        " where store_id = 2"
    ).fetchall()
    assert history == [(70, True, False, 0)]


def test_a_store_whose_planned_opening_has_passed_without_sales_is_no_store(clean, con):
    """Nobody has sent anything of it, and its plan has ended."""
    past = planned((2,), first=MONDAY + timedelta(days=50), days=14)
    clean(days_of((1,)), stores=STORES, plan=past)

    assert con.execute("select distinct store_id from cleaned.plan").fetchall() == [(1,)]
    assert con.execute("select distinct store_id from cleaned.sales").fetchall() == [(1,)]
