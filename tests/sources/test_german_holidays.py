from datetime import date

import pandas as pd
import pytest

from sales_assets.sources.german_holidays import holiday_calendar


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
