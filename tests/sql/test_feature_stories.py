"""Every feature is what its name says: in stories told by hand."""

import csv
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sales_assets import warehouse
from sales_assets.forecasting import features
from sales_assets.settings import Settings
from tests.conftest import load_and_clean

# The stories: each is one store of a made-up chain, told in days from the cutoff, a Friday.
CUTOFF = date(2014, 6, 6)
DAYS_BEFORE, DAYS_AFTER = 800, 60
LATER_SALES = 9_999
LN = math.log
# Values are float32 of logs in whole millionths.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Story:
    """A store that sells 1000 EUR to 100 customers every day, unless its story says otherwise.

    Attributes:
        tells: By days ahead, what some columns of that row must be.
        sales: EUR of a day up to the cutoff; what was sold later is `LATER_SALES`.
    """

    tells: dict[int, dict[str, Any]]
    closed: Collection[int] = ()
    promo: Collection[int] = ()
    school_holidays: Collection[int] = ()
    holidays: Collection[int] = ()
    sales: Callable[[int], float] = lambda day: 1_000
    basket: Callable[[int], float] = lambda day: 10
    attributes: dict[str, Any] = field(default_factory=dict)


EVER = range(-DAYS_BEFORE, DAYS_AFTER + 1)
ODD_WEEKS = [day for day in EVER if day // 7 % 2]

STORIES = {
    # Promotions.
    "a promotion in the plan has a first and a last day": Story(
        promo=range(30, 35),
        tells={
            29: {"promo_day": None, "promo_days_left": None, "days_until_promo": 1},
            30: {"promo_day": 0, "promo_days_left": 4, "days_until_promo": 30},
            34: {"promo_day": 4, "promo_days_left": 0, "days_since_promo": 30},
            35: {"promo_day": None, "promo_days_left": None, "days_since_promo": 1},
        },
    ),
    "a promotion that began before the cutoff is known from its beginning": Story(
        promo=range(-3, 3), tells={1: {"promo_day": 4, "promo_days_left": 1}}
    ),
    "how long a promotion beyond the plan's end lasts is unknown": Story(
        promo=range(38, 48),
        tells={
            38: {"promo_day": 0, "promo_days_left": None},
            42: {"promo_day": 4, "promo_days_left": None},
        },
    ),
    "how long a promotion on the plan's last day lasts is unknown": Story(
        promo=range(38, 43),
        tells={
            38: {"promo_day": 0, "promo_days_left": None},
            42: {"promo_day": 4, "promo_days_left": None},
        },
    ),
    "a promotion that begins on the plan's last day is seen": Story(
        promo=range(42, 48), tells={41: {"days_until_promo": 1}}
    ),
    "a promotion that begins after the plan's end is not seen": Story(
        promo=range(43, 48), tells={41: {"days_until_promo": 30}, 42: {"days_until_promo": 30}}
    ),
    "within a promotion, the next and the last are others": Story(
        promo=[-4, 1, 2, 10], tells={2: {"days_until_promo": 8, "days_since_promo": 6}}
    ),
    "the week before a day counts seven days and not the day": Story(
        promo=[-2, -1, 0, 1, 5, 6],
        closed=[-2, 4, 6],
        tells={6: {"promo_days_week_before": 4, "open_days_week_before": 6}},
    ),
    # School holidays and public holidays.
    "school holidays in the plan have a first and a last day": Story(
        school_holidays=range(30, 35),
        tells={
            29: {"school_holiday_day": None, "days_until_school_holiday": 1},
            31: {"school_holiday_day": 1, "school_holiday_days_left": 3},
            36: {"school_holiday_days_left": None, "days_since_school_holiday": 2},
        },
    ),
    "how long school holidays beyond the plan's end last is unknown": Story(
        school_holidays=range(38, 48),
        tells={40: {"school_holiday_day": 2, "school_holiday_days_left": None}},
    ),
    "how long school holidays on the plan's last day last is unknown": Story(
        school_holidays=range(38, 43),
        tells={40: {"school_holiday_day": 2, "school_holiday_days_left": None}},
    ),
    "school holidays after the plan's end are not seen": Story(
        school_holidays=range(43, 48), tells={42: {"days_until_school_holiday": 30}}
    ),
    "school holidays that begin on the plan's last day are seen": Story(
        school_holidays=range(42, 48), tells={41: {"days_until_school_holiday": 1}}
    ),
    "a holiday is neither before nor after itself": Story(
        holidays=[20],
        tells={
            19: {"days_since_holiday": 30, "days_until_holiday": 1, "state_holiday": "none"},
            20: {"days_since_holiday": 30, "days_until_holiday": 30, "state_holiday": "public"},
            21: {"days_since_holiday": 1, "days_until_holiday": 30},
        },
    ),
    "a holiday after the plan's end is not seen": Story(
        holidays=[43], tells={42: {"days_until_holiday": 30}}
    ),
    # Openings.
    "closed days are counted on both sides": Story(
        closed=[1, 2, 3],
        tells={
            2: {"days_since_open": 2, "days_until_open": 2, "open_days_ahead": 0},
            5: {"days_since_open": 1, "days_until_open": 1, "open_days_ahead": 2},
        },
    ),
    "an opening after the plan's end is not seen": Story(
        closed=range(40, 43),
        tells={39: {"days_until_open": 15}, 42: {"days_until_open": 15, "days_since_open": 3}},
    ),
    # The store's attributes.
    "a competitor's age and distance are as of the day": Story(
        attributes={
            "CompetitionDistance": 1_500,
            "CompetitionOpenSinceMonth": 5,
            "CompetitionOpenSinceYear": 2014,
        },
        tells={1: {"competition_age_months": 37 / 30.4, "log_competition_distance": LN(1_501)}},
    ),
    "a competitor that is yet to open has a negative age": Story(
        attributes={"CompetitionOpenSinceMonth": 7, "CompetitionOpenSinceYear": 2014},
        tells={
            1: {"competition_age_months": -24 / 30.4, "log_competition_distance": None},
            25: {"competition_age_months": 0},
        },
    ),
    "a competitor that opens after the plan's end is not known of": Story(
        # The plan ends on 18 July.
        attributes={
            "CompetitionDistance": 1_500,
            "CompetitionOpenSinceMonth": 8,
            "CompetitionOpenSinceYear": 2014,
        },
        tells={
            day: {"competition_age_months": None, "log_competition_distance": None}
            for day in (1, 42)
        },
    ),
    "the age of a competitor is unknown where its opening is": Story(
        attributes={"CompetitionDistance": 1_500},
        tells={1: {"competition_age_months": None}},
    ),
    "a competitor of more than five years is as old as one of five": Story(
        attributes={"CompetitionOpenSinceMonth": 7, "CompetitionOpenSinceYear": 2004},
        tells={1: {"competition_age_months": 60}},
    ),
    "the recurring promotion counts from its first week, in its months": Story(
        # Week 25 of 2014 begins on 16 June, ten days after the cutoff.
        attributes={
            "Promo2": 1,
            "Promo2SinceWeek": 25,
            "Promo2SinceYear": 2014,
            "PromoInterval": "Mar,Jun,Sept,Dec",
        },
        tells={
            9: {"is_promo2_month": False, "promo2_age_weeks": -1 / 7},
            10: {"is_promo2_month": True, "promo2_age_weeks": 0},
            25: {"is_promo2_month": False, "promo2_age_weeks": 15 / 7},
        },
    ),
    "a recurring promotion that begins after the plan's end is not known of": Story(
        # Week 30 of 2014 begins on 21 July, three days after the plan's end.
        attributes={
            "Promo2": 1,
            "Promo2SinceWeek": 30,
            "Promo2SinceYear": 2014,
            "PromoInterval": "Jan,Apr,Jul,Oct",
        },
        tells={day: {"is_promo2_month": False, "promo2_age_weeks": None} for day in (1, 42)},
    ),
    "a store without the recurring promotion has none": Story(
        tells={1: {"is_promo2_month": False, "promo2_age_weeks": None}}
    ),
    # Days like this one.
    "a store that sold nothing before the cutoff has no anchor and no level": Story(
        closed=range(-DAYS_BEFORE, 1),
        tells={
            1: {
                "anchor": None,
                "profile_last": None,
                "profile_deviation": None,
                "profile_occurrences": None,
                "profile_age_days": 365,
                "level_14": None,
                "level_364": None,
                "growth_364": None,
                "surprise_13_last_28": None,
                "customers_28": None,
                "season_7": None,
                "open_days_ahead": 1,
            }
        },
    ),
    "profiles count occurrences, across half a year of closure": Story(
        # The 13 occurrences before day 1 are those of days -6 and -13 and eleven before.
        closed=range(-200, -14),
        sales=lambda day: 2_000 if day >= -14 else 1_000,
        tells={
            1: {
                "anchor": LN(1_000) + 2 / 13 * LN(2),
                "profile_last": 11 / 13 * LN(2),
                "profile_median_4": (1 / 2 - 2 / 13) * LN(2),
                "profile_median_8": -2 / 13 * LN(2),
                "profile_mean_52": (2 / 52 - 2 / 13) * LN(2),
                "profile_occurrences": 52,
                "profile_age_days": 6,
                "level_14": 11 / 13 * LN(2),
            }
        },
    ),
    "profiles tell promotions from other days": Story(
        promo=ODD_WEEKS,
        sales=lambda day: 2_000 if day in ODD_WEEKS else 1_000,
        tells={
            6: {"is_promo": False, "anchor": LN(1_000), "profile_age_days": 8},
            7: {"is_promo": True, "anchor": LN(2_000), "profile_age_days": 7},
            8: {"level_28": -LN(2) / 2, "promo_lift_182": LN(2), "promo_days_14": 7},
        },
    ),
    "a deviation is that of the last 26 occurrences": Story(
        sales=lambda day: 1_000 if day < 1 - 26 * 7 or day // 7 % 2 else 4_000,
        tells={1: {"profile_deviation": LN(2), "profile_customers": LN(100) + 6 / 13 * LN(4)}},
    ),
    "without a day like it, the anchor is the level of the last 56 days": Story(
        promo=[5],
        sales=lambda day: 2_000 if day > -56 else 1_000,
        tells={5: {"anchor": LN(2_000), "profile_last": None, "profile_age_days": 365}},
    ),
    "a store shut for 56 days is anchored to the last 182": Story(
        promo=[5],
        closed=range(-55, 1),
        sales=lambda day: 2_000 if day > -182 else 1_000,
        tells={5: {"anchor": LN(2_000), "level_56": None, "level_182": 0}},
    ),
    "a store shut for 182 days is anchored to the last 364": Story(
        promo=[5],
        closed=range(-181, 1),
        sales=lambda day: 2_000 if day > -364 else 1_000,
        tells={5: {"anchor": LN(2_000), "level_182": None, "level_364": 0}},
    ),
    "a store shut for 364 days is anchored to all of its history": Story(
        promo=[5],
        closed=range(-363, 1),
        tells={5: {"anchor": LN(1_000), "level_364": None}, 6: {"profile_age_days": 365}},
    ),
    # How the store stood at the cutoff.
    "an open day without sales is no selling day": Story(
        sales=lambda day: 0 if day in (-1, -3) else 1_000,
        tells={1: {"level_14": 0, "open_days_week_before": 7}},
    ),
    "a day without counted customers tells nothing about them": Story(
        basket=lambda day: 1e9 if day == -1 else 10,
        tells={1: {"customers_28": LN(100), "basket_28": LN(10)}},
    ),
    "a surprise is against the days like it before": Story(
        sales=lambda day: 2_000 if day > -7 else 1_000,
        tells={
            1: {
                "surprise_13_last_7": LN(2),
                "surprise_13_last_14": LN(2) / 2,
                "surprise_13_last_28": LN(2) / 4,
                "surprise_26_last_14": LN(2) / 2,
                "surprise_26_last_28": LN(2) / 4,
                "surprise_26_last_56": LN(2) / 8,
                "volatility_98": LN(2) / 14,
            }
        },
    ),
    "a basket is what one customer buys": Story(
        basket=lambda day: 20 if day > -28 else 10,
        tells={
            1: {
                "basket_28": LN(20),
                "basket_trend": LN(2) * (1 - 28 / 182),
                "customers_28": LN(50),
                "customers_trend": -LN(2) * (1 - 28 / 182),
            }
        },
    ),
    # The year before.
    "growth compares with the same days a year before": Story(
        sales=lambda day: 1_100 if day > -364 else 1_000,
        tells={1: {"growth_364": LN(1.1), "growth_28": LN(1.1), "growth_56": LN(1.1)}},
    ),
    "the same weekday a year before is 364 days ago": Story(
        sales=lambda day: 3_000 if day == 10 - 364 else 1_000,
        tells={
            10: {
                "season_day": LN(3),
                "season_7": LN(3) / 7,
                "season_14": LN(3) / 14,
                "season_28": LN(3) / 28,
                "deviation_same_weekday": LN(3),
            },
            11: {"season_day": 0, "deviation_same_date": LN(3)},
            14: {"season_7": 0, "season_14": LN(3) / 14},
            17: {"season_14": LN(3) / 14},
            18: {"season_14": 0, "season_28": LN(3) / 28},
        },
    ),
    "what moves with Easter is found where it was a year before": Story(
        # Corpus Christi is 60 days after Easter: 30 May 2013 and 19 June 2014.
        sales=lambda day: 200 if day == (date(2013, 5, 30) - CUTOFF).days else 1_000,
        tells={
            13: {"deviation_same_easter_day": -LN(5), "deviation_same_weekday": LN(5) / 16},
            16: {"deviation_same_easter_day": 0},
            17: {"deviation_same_easter_day": None},
        },
    ),
}


def write_stories(directory: Path, last_day: int) -> None:
    """Write the stories as a delivery whose sales are known up to a day."""
    train, test, stores = [], [], []
    for number, story in enumerate(STORIES.values(), start=1):
        stores.append({"Store": number, "StoreType": "a", "Assortment": "a"} | story.attributes)
        for day in EVER:
            row = {
                "Store": number,
                "Date": CUTOFF + timedelta(days=day),
                "Open": int(day not in story.closed),
                "Promo": int(day in story.promo),
                "StateHoliday": "a" if day in story.holidays else "0",
                "SchoolHoliday": int(day in story.school_holidays),
            }
            sales = (story.sales(day) if day <= 0 else LATER_SALES) * row["Open"]
            customers = round(sales / story.basket(day))
            if day <= last_day:
                train.append(row | {"Sales": sales, "Customers": customers})
            else:
                test.append(row)
    columns = {name: None for story in STORIES.values() for name in story.attributes}
    stores[0] = dict.fromkeys(columns) | stores[0]
    files = {"train.csv": train, "test.csv": test, "store.csv": stores}
    for name, rows in files.items():
        if rows:
            with (directory / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)


@pytest.fixture(scope="module", params=[0, DAYS_AFTER], ids=["as planned", "as known by now"])
def told(request, settings, tmp_path_factory) -> dict[tuple[int, int], dict[str, Any]]:
    """The stories' rows by number and days ahead: on the cutoff, or when all of it is history."""
    directory = tmp_path_factory.mktemp("stories")
    write_stories(directory, last_day=request.param)
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, directory, settings, directory / "scratch")
        return {(row["store_id"], row["h"]): row for row in rows_at_the_cutoff(con, settings)}


def rows_at_the_cutoff(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[dict[str, Any]]:
    con.execute(
        "create temporary table targets as"
        " select cast($cutoff as date) as cutoff, store_id, date, false as is_training"
        " from (select store_id, date from cleaned.sales"
        " union all select store_id, date from cleaned.plan)"
        " where date between $cutoff + 1 and $cutoff + cast($horizon as integer)",
        {"cutoff": CUTOFF, "horizon": settings.horizon},
    )
    features.create_steps(con)
    cursor = warehouse.query(con, "features/rows", horizon=settings.horizon)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("story", STORIES)
def test_features_are_as_told(told, story):
    number = [*STORIES].index(story) + 1
    for h, expected in STORIES[story].tells.items():
        row = told[number, h]
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=TOLERANCE)
