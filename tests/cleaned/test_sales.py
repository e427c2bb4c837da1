"""Cleaning completes, translates and marks; it never makes sales up, nor takes any away."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tests.cleaned.conftest import MONDAY, changed, days_of, planned


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
