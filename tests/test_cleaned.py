"""Cleaning completes, translates and marks; it never makes sales up, nor takes any away."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets import cleaned, warehouse
from sales_assets.settings import MAX_HORIZON, Settings
from sales_assets.sources import kaggle
from sales_assets.sources.german_holidays import holiday_calendar

MONDAY = date(2015, 1, 5)
STORE_COLUMNS = [
    "Store", "StoreType", "Assortment", "CompetitionDistance", "CompetitionOpenSinceMonth",
    "CompetitionOpenSinceYear", "Promo2", "Promo2SinceWeek", "Promo2SinceYear", "PromoInterval",
]  # fmt: skip


def days_of(stores=(1,), first=MONDAY, days=70):
    """Return train.csv of stores that open from Monday to Saturday, with promotions every other
    week and no holidays, a row a store and day."""
    dates = [first + timedelta(days=day) for day in range(days)]
    rows = pd.DataFrame({"Store": np.repeat(stores, days), "Date": dates * len(stores)})
    weekday = pd.to_datetime(rows["Date"]).dt.dayofweek
    week = pd.to_datetime(rows["Date"]).sub(pd.Timestamp(MONDAY)).dt.days // 7
    is_open = (weekday < 6).astype(int)
    return rows.assign(
        Sales=5_000 * is_open,
        Customers=(500 * is_open).astype(object),
        Open=is_open.astype(object),
        Promo=((week % 2 == 0) & (weekday < 5)).astype(int),
        StateHoliday="0",
        SchoolHoliday=0,
    )


def changed(rows, store, day, **values):
    """Return the rows with other values on a store's day; every store's if it is None."""
    rows = rows.copy()
    chosen = (rows["Date"] == day) & ((rows["Store"] == store) | (store is None))
    assert chosen.any(), f"there is no {day} of store {store}"
    rows.loc[chosen, list(values)] = list(values.values())
    return rows


def planned(stores=(1,), first=None, days=14):
    """Return test.csv of the days after `days_of`, all without promotion, none blank."""
    first = first or MONDAY + timedelta(days=70)
    plan = days_of(stores, first, days).assign(Promo=0).drop(columns=["Sales", "Customers"])
    return plan.assign(Id=range(1, len(plan) + 1))


@pytest.fixture
def con():
    with warehouse.in_memory(Settings(threads=1)) as con:
        yield con


@pytest.fixture
def clean(con, tmp_path):
    """Deliver files and clean them; read the cleaned tables with `table`."""

    def clean(days, stores=None, plan=None, horizon=14):
        source = tmp_path / "source"
        source.mkdir()
        if stores is None:
            stores = pd.DataFrame({"Store": days["Store"].unique()})
            stores = stores.assign(StoreType="a", Assortment="a")
        for name, rows in (("train", days), ("store", stores), ("test", plan)):
            if rows is not None:
                rows.to_csv(source / f"{name}.csv", index=False)
        loads = kaggle.deliver(con, source, max_refused_share=0, scratch=tmp_path / "scratch")
        assert sum(load.refused for load in loads) == 0
        cleaned.clean_stores(con)
        cleaned.clean_sales(con)
        cleaned.clean_plan(con, Settings(horizon=horizon))

    return clean


@pytest.fixture
def one(con):
    """Read columns of the one row of a store's day."""

    def one(table, columns, store, day):
        (row,) = con.execute(
            f"select {columns} from cleaned.{table} where store_id = $store and date = $day",
            {"store": store, "day": day},
        ).fetchall()
        return row

    return one


def dates_where(con, condition, store=1):
    found = con.execute(
        f"select date from cleaned.plan where store_id = {store} and {condition} order by date"
    ).fetchall()
    return [day for (day,) in found]


def test_the_calendar_has_every_day_of_every_store_from_the_chains_first_to_its_last(clean, con):
    days = days_of((1, 2, 3), days=30)
    late = (days["Store"] == 2) & (days["Date"] < MONDAY + timedelta(days=10))
    away = (days["Store"] == 3) & (days["Date"] > MONDAY + timedelta(days=20))
    clean(days[~late & ~away])

    rows = con.execute("select store_id, date from cleaned.sales order by all").fetchall()

    assert rows == [
        (store, MONDAY + timedelta(days=day)) for store in (1, 2, 3) for day in range(30)
    ]


def test_a_day_that_no_file_speaks_of_is_closed_and_marked_absent(clean, con, one):
    absent = [MONDAY + timedelta(days=day) for day in (1, 2, 8)]
    days = days_of((1, 2), days=14)
    clean(days[(days["Store"] == 1) | ~days["Date"].isin(absent)])

    marked = con.execute(
        "select store_id, date from cleaned.sales where is_absent order by all"
    ).fetchall()

    assert marked == [(2, day) for day in absent]
    columns = "is_open, sales, customers, state_holiday, is_open_inferred, is_open_corrected"
    for day in absent:
        assert one("sales", columns, 2, day) == (False, 0, 0, "none", False, False)


def test_an_absent_day_takes_the_promotion_of_the_chain(clean, one):
    promotion, none = MONDAY + timedelta(days=1), MONDAY + timedelta(days=8)
    days = days_of((1, 2, 3), days=14)
    clean(days[(days["Store"] != 2) | ~days["Date"].isin([promotion, none])])

    assert one("sales", "is_promo, is_absent", 2, promotion) == (True, True)
    assert one("sales", "is_promo, is_absent", 2, none) == (False, True)


@pytest.mark.parametrize(
    ("delivered_open", "sales", "is_open", "is_inferred", "is_corrected"),
    [
        (1, 700, True, False, False),
        (1, 0, True, False, False),
        (0, 0, False, False, False),
        (0, 700, True, False, True),
        ("", 700, True, True, False),
        ("", 0, False, True, False),
    ],
)
def test_whether_a_store_was_open_is_told_by_open_or_else_by_its_sales(
    clean, one, delivered_open, sales, is_open, is_inferred, is_corrected
):
    day = MONDAY + timedelta(days=3)
    clean(changed(days_of(days=14), 1, day, Open=delivered_open, Sales=sales))

    row = one("sales", "is_open, is_open_inferred, is_open_corrected, sales, is_absent", 1, day)

    assert row == (is_open, is_inferred, is_corrected, sales, False)


@pytest.mark.parametrize(
    ("letter", "name"), [("0", "none"), ("a", "public"), ("b", "easter"), ("c", "christmas")]
)
def test_letters_of_holidays_become_names(clean, one, letter, name):
    day = MONDAY + timedelta(days=3)
    plan = changed(planned(), 1, MONDAY + timedelta(days=73), StateHoliday=letter)
    clean(changed(days_of(), 1, day, StateHoliday=letter), plan=plan)

    assert one("sales", "state_holiday", 1, day) == (name,)
    assert one("plan", "state_holiday", 1, MONDAY + timedelta(days=73)) == (name,)


def test_unknown_customers_stay_unknown(clean, one):
    day = MONDAY + timedelta(days=3)
    clean(changed(days_of(days=14), 1, day, Customers=""))

    assert one("sales", "sales, customers", 1, day) == (5_000, None)


def test_outliers_are_flagged_and_never_changed(clean, con):
    rng = np.random.default_rng(1)
    days = days_of((1, 2), days=280)
    days["Sales"] = np.round(days["Sales"] * rng.lognormal(0, 0.05, len(days)), 2)
    high, low = MONDAY + timedelta(days=100), MONDAY + timedelta(days=205)
    days = changed(changed(days, 1, high, Sales=50_000), 2, low, Sales=500)
    clean(days)

    flagged = con.execute(
        "select store_id, date from cleaned.sales where is_outlier order by all"
    ).fetchall()
    kept = con.execute("select sales from cleaned.sales order by store_id, date").fetchnumpy()

    assert flagged == [(1, high), (2, low)]
    np.testing.assert_array_equal(kept["sales"], days["Sales"])


@pytest.mark.parametrize("day", [MONDAY + timedelta(days=101), MONDAY + timedelta(days=108)])
def test_an_outlier_is_measured_against_days_of_its_weekday_and_promotion(clean, one, day):
    rng = np.random.default_rng(2)
    days = days_of(days=280)
    days["Sales"] = np.round(days["Sales"] * rng.lognormal(0, 0.1, len(days)), 2)
    days.loc[days["Promo"] == 1, "Sales"] *= 1.4
    clean(days)

    weekday = pd.to_datetime(days["Date"]).dt.dayofweek
    chosen = days.set_index("Date").loc[day]
    alike = np.log(
        days.loc[(weekday == day.weekday()) & (days["Promo"] == chosen["Promo"]), "Sales"]
    )
    spread = np.median(np.abs(alike - np.median(alike)))
    expected = 0.6745 * (np.log(chosen["Sales"]) - np.median(alike)) / spread

    assert one("sales", "outlier_score", 1, day)[0] == pytest.approx(expected)


def test_days_that_never_vary_have_no_outliers(clean, con):
    clean(days_of(days=70))

    scores = con.execute("select distinct outlier_score, is_outlier from cleaned.sales").fetchall()

    assert scores == [(None, False)]


@pytest.fixture
def clean_store(clean, con):
    """Deliver one store with these attributes and read the cleaned one."""

    def clean_store(columns, **attributes):
        store = dict.fromkeys(STORE_COLUMNS, "") | {
            "Store": 1, "StoreType": "a", "Assortment": "a", "Promo2": 0
        }  # fmt: skip
        clean(days_of(days=7), stores=pd.DataFrame([store | attributes]))
        (row,) = con.execute(f"select {columns} from cleaned.stores").fetchall()
        return row[0] if len(row) == 1 else row

    return clean_store


@pytest.mark.parametrize(("letter", "name"), [("a", "basic"), ("b", "extra"), ("c", "extended")])
def test_letters_of_assortments_become_names(clean_store, letter, name):
    assert clean_store("assortment", Assortment=letter) == name


@pytest.mark.parametrize("letter", ["a", "b", "c", "d"])
def test_store_types_keep_their_letters(clean_store, letter):
    assert clean_store("store_type", StoreType=letter) == letter


@pytest.mark.parametrize(
    ("distance_m", "month", "year", "expected"),
    [
        (1270, 9, 2008, (1270.0, date(2008, 9, 1))),
        (1270, 12, 1999, (1270.0, date(1999, 12, 1))),
        (1270, "", "", (1270.0, None)),
        (1270, 9, "", (1270.0, None)),
        (1270, "", 2008, (1270.0, None)),
        ("", "", "", (None, None)),
        (0, 1, 1900, (0.0, date(1900, 1, 1))),
    ],
)
def test_a_competitor_has_a_distance_and_a_month_where_both_are_known(
    clean_store, distance_m, month, year, expected
):
    attributes = {
        "CompetitionDistance": distance_m,
        "CompetitionOpenSinceMonth": month,
        "CompetitionOpenSinceYear": year,
    }

    assert clean_store("competition_distance_m, competition_open_since", **attributes) == expected


@pytest.mark.parametrize(
    ("year", "week", "expected"),
    [
        pytest.param(2010, 13, date(2010, 3, 29), id="in spring"),
        pytest.param(2009, 1, date(2008, 12, 29), id="week 1 begins in December"),
        pytest.param(2015, 1, date(2014, 12, 29), id="week 1 begins in December, 53 weeks"),
        pytest.param(2010, 1, date(2010, 1, 4), id="week 1 begins on 4 January"),
        pytest.param(2012, 1, date(2012, 1, 2), id="week 1 of a leap year"),
        pytest.param(2018, 1, date(2018, 1, 1), id="week 1 begins on 1 January"),
        pytest.param(2009, 53, date(2009, 12, 28), id="week 53"),
        pytest.param(2015, 53, date(2015, 12, 28), id="week 53 of another year"),
        pytest.param(2012, 52, date(2012, 12, 24), id="last week of a leap year"),
    ],
)
def test_the_second_promotion_starts_on_the_monday_of_its_iso_week(
    clean_store, year, week, expected
):
    started = clean_store("promo2_since", Promo2=1, Promo2SinceYear=year, Promo2SinceWeek=week)

    assert started == expected == date.fromisocalendar(year, week, 1)


def test_a_week_53_that_the_year_does_not_have_is_the_next_years_first(clean_store):
    started = clean_store("promo2_since", Promo2=1, Promo2SinceYear=2014, Promo2SinceWeek=53)

    assert started == date.fromisocalendar(2015, 1, 1)


@pytest.mark.parametrize(
    ("interval", "months"),
    [
        ("Jan,Apr,Jul,Oct", [1, 4, 7, 10]),
        ("Feb,May,Aug,Nov", [2, 5, 8, 11]),
        ("Mar,Jun,Sept,Dec", [3, 6, 9, 12]),
        ("Mar,Jun,Sep,Dec", [3, 6, 9, 12]),
        ("Mar, Jun , Sept,Dec", [3, 6, 9, 12]),
        ("Sept", [9]),
        ("", None),
    ],
)
def test_the_months_of_the_second_promotion_become_numbers(clean_store, interval, months):
    assert clean_store("promo2_months", Promo2=1, PromoInterval=interval) == months


@pytest.mark.parametrize(
    ("promo2", "year", "week"), [(0, 2010, 13), (1, 2010, ""), (1, "", 13), (0, "", "")]
)
def test_a_store_without_the_second_promotion_has_no_start_of_it(clean_store, promo2, year, week):
    started, months = clean_store(
        "promo2_since, promo2_months",
        Promo2=promo2,
        Promo2SinceYear=year,
        Promo2SinceWeek=week,
        PromoInterval="Jan,Apr,Jul,Oct" if promo2 == 0 else "",
    )

    assert (started, months) == (None, None)


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


def test_the_calendar_of_holidays_ends_with_its_last_day():
    calendar = holiday_calendar(date(2015, 4, 3), date(2015, 5, 1)).set_index("date")

    assert calendar["kind"].to_dict() == {
        pd.Timestamp(2015, 4, 3): "easter",
        pd.Timestamp(2015, 4, 5): "easter",
        pd.Timestamp(2015, 4, 6): "easter",
        pd.Timestamp(2015, 5, 1): "public",
    }
    # Easter Sunday is a holiday by law in one state only.
    assert calendar["is_national"].tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("day", "is_national"),
    [
        (date(2016, 10, 31), False),
        (date(2017, 10, 31), True),
        (date(2015, 11, 1), False),
        (date(2015, 10, 3), True),
    ],
)
def test_a_holiday_is_national_where_all_states_keep_it_in_that_year(day, is_national):
    assert holiday_calendar(day, day)["is_national"].tolist() == [is_national]


def test_days_without_a_holiday_make_an_empty_calendar():
    calendar = holiday_calendar(date(2015, 7, 6), date(2015, 7, 20))

    assert calendar.empty
    assert list(calendar.columns) == ["date", "name", "kind", "is_national"]
