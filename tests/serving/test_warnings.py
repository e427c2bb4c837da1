"""A scenario unlike anything that the store has sold on is told, and one like it is not."""

from collections.abc import Collection
from datetime import date, timedelta

import pandas as pd
import pytest

from serving.answers import warnings
from serving.changed_plans import Change

FIRST, CUTOFF = date(2015, 5, 25), date(2015, 6, 21)
MONDAY, SATURDAY, SUNDAY = (CUTOFF + timedelta(days=days) for days in (1, 6, 7))
LAST_SATURDAY, LAST_SUNDAY = SATURDAY - timedelta(days=7), SUNDAY - timedelta(days=7)


def days(first: date, last: date, promotions: Collection[date] = ()) -> pd.DataFrame:
    """Return days that are open but on Sundays, with these promotions and no holidays."""
    dates = pd.Series(pd.date_range(first, last))
    is_open = dates.dt.dayofweek < 6
    return pd.DataFrame(
        {
            "date": dates, "is_open": is_open, "is_promo": dates.isin(pd.to_datetime(promotions)),
            "state_holiday": "none",
        }
    )  # fmt: skip


def past(promotions: Collection[date] = (FIRST,)) -> pd.DataFrame:
    """Return four weeks, from a Monday to a Sunday; the first day has a promotion."""
    rows = days(FIRST, CUTOFF, promotions)
    return rows.assign(sales=rows["is_open"] * 5000.0)


def with_day(rows: pd.DataFrame, day: date, **values: object) -> pd.DataFrame:
    """Return the rows with a day that is otherwise."""
    is_day = rows["date"] == pd.Timestamp(day)
    assert is_day.sum() == 1
    return rows.assign(**{name: rows[name].mask(is_day, value) for name, value in values.items()})


def told(history: pd.DataFrame, *changes: Change, promotions: Collection[date] = ()) -> list[str]:
    """Return what is told of changes to two weeks with these promotions planned."""
    plan = days(MONDAY, MONDAY + timedelta(days=13), promotions)
    for change in changes:
        wanted = {name: getattr(change, name) for name in ("is_open", "is_promo", "state_holiday")}
        given = {name: value for name, value in wanted.items() if value is not None}
        plan = with_day(plan, change.date, **given)
    return warnings(plan, history, list(changes))


def change(day: date, **values: object) -> Change:
    return Change(3, day, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({}, ["The store has never sold on Sundays."]),
        ({"is_open": True}, ["The store has never sold on Sundays."]),
        ({"is_open": True, "sales": 1.0}, []),
        # What was entered for a closed day is no sale.
        ({"sales": 1.0}, ["The store has never sold on Sundays."]),
    ],
)
def test_a_weekday_on_which_nothing_was_ever_sold_is_told(
    values: dict[str, object], messages: list[str]
) -> None:
    history = with_day(past(), LAST_SUNDAY, **values)
    assert told(history, change(SUNDAY, is_open=True)) == messages


def test_of_a_store_that_has_never_sold_the_weekday_is_told() -> None:
    history = past().assign(is_open=False, sales=0.0)
    assert told(history, change(MONDAY, is_promo=True)) == ["The store has never sold on Mondays."]


def test_a_day_that_stays_closed_is_unlike_nothing() -> None:
    assert told(past(), change(SUNDAY, is_promo=False, state_holiday="public")) == []


@pytest.mark.parametrize(
    ("promoted", "values", "messages"),
    [
        (LAST_SATURDAY, {}, []),
        (
            LAST_SATURDAY - timedelta(days=1),
            {},
            ["The store has never had a promotion on Saturdays."],
        ),
        (LAST_SATURDAY, {"sales": 0.0}, ["The store has never had a promotion on Saturdays."]),
    ],
    ids=["a Saturday", "a Friday", "a Saturday without sales"],
)
def test_a_promotion_on_a_weekday_that_never_had_one_is_told(
    promoted: date, values: dict[str, object], messages: list[str]
) -> None:
    history = with_day(past([promoted]), LAST_SATURDAY, **values)
    assert told(history, change(SATURDAY, is_promo=True)) == messages
    assert told(history, change(SATURDAY, is_school_holiday=True)) == []


def test_a_weekday_without_sales_is_told_once_and_needs_no_word_of_its_promotions() -> None:
    sundays = [change(SUNDAY + timedelta(days=7 * week), is_open=True) for week in (1, 0)]
    promoted = change(SUNDAY, is_open=True, is_promo=True)
    assert told(past([LAST_SATURDAY]), sundays[0], promoted) == [
        "The store has never sold on Sundays."
    ]


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({}, ["The store has never sold on a holiday of the kind easter."]),
        (
            {"state_holiday": "public"},
            ["The store has never sold on a holiday of the kind easter."],
        ),
        ({"state_holiday": "easter"}, []),
        (
            {"state_holiday": "easter", "is_open": False, "sales": 0.0},
            ["The store has never sold on a holiday of the kind easter."],
        ),
    ],
    ids=["none", "of another kind", "of this kind", "of this kind, closed"],
)
def test_a_kind_of_holiday_on_which_nothing_was_ever_sold_is_told(
    values: dict[str, object], messages: list[str]
) -> None:
    history = with_day(past(), LAST_SATURDAY, **values)
    assert told(history, change(MONDAY, state_holiday="easter")) == messages


@pytest.mark.parametrize(
    ("planned", "changed", "messages"),
    [
        (2, 1, []),
        (2, 2, ["The promotion lasts 4 days; the longest so far lasted 3."]),
        (3, 1, ["The promotion lasts 4 days; the longest so far lasted 3."]),
        # Long as it is, nobody has asked for it.
        (5, 0, []),
    ],
)
def test_a_promotion_longer_than_any_before_is_told(
    planned: int, changed: int, messages: list[str]
) -> None:
    history = past([FIRST + timedelta(days=day) for day in range(3)])
    promotions = [MONDAY + timedelta(days=day) for day in range(planned)]
    # A weekday that had a promotion, in a week without.
    changes = [change(MONDAY + timedelta(days=7), is_school_holiday=True)]
    changes += [
        change(MONDAY + timedelta(days=planned + day), is_promo=True) for day in range(changed)
    ]
    found = told(history, *changes, promotions=promotions)
    assert [message for message in found if "lasts" in message] == messages


def test_a_promotion_that_runs_across_the_cutoff_counts_as_one() -> None:
    former = [FIRST + timedelta(days=day) for day in range(3)]
    history = past([*former, CUTOFF - timedelta(days=1), CUTOFF])
    changes = [change(MONDAY, is_promo=True)]
    assert told(history, *changes) == []
    changes += [change(MONDAY + timedelta(days=1), is_promo=True)]
    assert told(history, *changes) == ["The promotion lasts 4 days; the longest so far lasted 3."]


def test_changes_are_told_in_the_order_of_their_days() -> None:
    history = past()
    changes = [
        change(SUNDAY, is_open=True),
        change(SATURDAY, is_promo=True),
        change(MONDAY, state_holiday="public"),
    ]
    assert told(history, *changes) == [
        "The store has never sold on a holiday of the kind public.",
        "The store has never had a promotion on Saturdays.",
        "The store has never sold on Sundays.",
    ]
