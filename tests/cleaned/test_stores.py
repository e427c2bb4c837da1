"""Letters, weeks and months of the stores' file become names, dates and numbers."""

from datetime import date

import pandas as pd
import pytest

from tests.cleaned.conftest import STORE_COLUMNS, days_of


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
