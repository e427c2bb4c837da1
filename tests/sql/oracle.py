"""What the features mean: one row at a time, with loops over a plain list of days.

It is written from the names of the columns in `sql/features/rows.sql`, not from its windows, and
is slow on purpose. Whatever is not known at the cutoff is thrown away before anything is computed,
so that the oracle cannot peek.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import duckdb
from dateutil.easter import easter

WEEK = 7
YEAR = 364  # Whole weeks, so that a year before is the same weekday.


@dataclass(frozen=True)
class Day:
    """A day of one store; sales and customers are None where they are not known."""

    date: date
    is_open: bool
    is_promo: bool
    state_holiday: str
    is_school_holiday: bool
    sales: float | None
    customers: int | None

    @property
    def log_sales(self) -> float | None:
        """What models learn: nothing on days without sales."""
        return math.log(self.sales) if self.is_open and self.sales else None

    @property
    def log_customers(self) -> float | None:
        """The logarithm of the customers of a selling day, if they were counted."""
        return math.log(self.customers) if self.log_sales is not None and self.customers else None


@dataclass(frozen=True)
class Run:
    """Days in a row that share a flag; the end is None where it is beyond what is known."""

    start: date
    end: date | None


@dataclass(frozen=True)
class Chain:
    """Everything in the cleaned tables: attributes and days of each store."""

    stores: dict[int, dict[str, Any]]
    days: dict[int, list[Day]]


def read_chain(con: duckdb.DuckDBPyConnection) -> Chain:
    """Read the cleaned tables, sales and plan as one list of days a store."""
    cursor = con.execute("from cleaned.stores")
    names = [column[0] for column in cursor.description]
    stores = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    flags = "store_id, date, is_open, is_promo, state_holiday, is_school_holiday"
    rows = con.execute(
        f"select {flags}, sales, customers, is_absent from cleaned.sales"
        f" union all select {flags}, null, null, false from cleaned.plan order by store_id, date"
    ).fetchall()
    ((last_day,),) = con.execute("select max(date) from cleaned.sales").fetchall()
    return Chain(
        stores={store["store_id"]: store for store in stores},
        days={
            store["store_id"]: as_presumed(
                [(Day(*row[1:-1]), row[-1]) for row in rows if row[0] == store["store_id"]],
                last_day,
            )
            for store in stores
        },
    )


def as_presumed(days: list[tuple[Day, bool]], last_day: date) -> list[Day]:
    """Let a store whose last days have not come, of two weeks at most, open as it usually does."""
    told = [day for day, is_absent in days if day.date <= last_day and not is_absent]
    if not told or (last_day - told[-1].date).days >= 14:
        return [day for day, _ in days]
    presumed = []
    for day, _ in days:
        alike = [
            other.is_open
            for other, _ in days
            if other.date <= told[-1].date
            and other.date.weekday() == day.date.weekday()
            and other.state_holiday == "none"
        ]
        is_late = told[-1].date < day.date <= last_day
        presumed.append(replace(day, is_open=bool(alike) and alike[-1]) if is_late else day)
    return presumed


def expected_row(
    chain: Chain, cutoff: date, store_id: int, day: date, *, horizon: int
) -> dict[str, Any]:
    """Return every column of a feature row but `is_training`, which is the target's own."""
    known = known_at(cutoff, chain.days[store_id], horizon)
    (today,) = [known_day for known_day in known if known_day.date == day]
    (actual,) = [actual_day for actual_day in chain.days[store_id] if actual_day.date == day]
    past = [known_day for known_day in known if known_day.date <= cutoff]
    return {
        "cutoff": cutoff,
        "store_id": store_id,
        "date": day,
        "h": (day - cutoff).days,
        "is_open": today.is_open,
        "is_promo": today.is_promo,
        "state_holiday": today.state_holiday,
        "is_school_holiday": today.is_school_holiday,
        "weekday": day.isoweekday(),
        **about_the_store(chain.stores[store_id], day, cutoff + timedelta(days=horizon)),
        **about_the_calendar(day),
        **about_the_plan(known, today, cutoff),
        **about_sales(past, today, cutoff),
        "log_sales": actual.log_sales,
    }


def known_at(cutoff: date, days: list[Day], horizon: int) -> list[Day]:
    """Return the days that a forecast may use: no sales after the cutoff, no plan after its end."""
    plan_end = cutoff + timedelta(days=horizon)
    return [
        replace(day, sales=None, customers=None) if day.date > cutoff else day
        for day in days
        if day.date <= plan_end
    ]


def about_the_store(store: dict[str, Any], day: date, plan_end: date) -> dict[str, Any]:
    """Attributes of the store, as of a day; nobody knows of what begins after the plan's end."""
    distance_m = store["competition_distance_m"]
    opened, promo2_since = store["competition_open_since"], store["promo2_since"]
    if opened is not None and opened > plan_end:
        distance_m = opened = None
    if promo2_since is not None and promo2_since > plan_end:
        promo2_since = None
    return {
        "store_type": store["store_type"],
        "assortment": store["assortment"],
        "log_competition_distance": None if distance_m is None else math.log(1 + distance_m),
        "competition_age_months": None if opened is None else min((day - opened).days / 30.4, 60),
        "promo2_age_weeks": None if promo2_since is None else (day - promo2_since).days / 7,
        "is_promo2_month": promo2_since is not None
        and promo2_since <= day
        and day.month in (store["promo2_months"] or []),
    }


def about_the_calendar(day: date) -> dict[str, Any]:
    """Where a day stands in its month and year."""
    day_of_year = (day - date(day.year, 1, 1)).days + 1
    next_month = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    angle = 2 * math.pi * day_of_year / 365.25
    return {
        "day_of_month": day.day,
        "days_to_month_end": (next_month - day).days - 1,
        "day_of_year": day_of_year,
        "week_of_year": day.isocalendar().week,
        "year_sin_1": math.sin(angle),
        "year_cos_1": math.cos(angle),
        "year_sin_2": math.sin(2 * angle),
        "year_cos_2": math.cos(2 * angle),
    }


def about_the_plan(known: list[Day], today: Day, cutoff: date) -> dict[str, Any]:
    """What happens around a day, as far as the plan tells; distances in days."""
    day = today.date
    open_days = [known_day.date for known_day in known if known_day.is_open]
    holidays = [known_day.date for known_day in known if known_day.state_holiday != "none"]
    promos = runs(known, lambda known_day: known_day.is_promo)
    school_holidays = runs(known, lambda known_day: known_day.is_school_holiday)
    week_before = [
        known_day for known_day in known if day - timedelta(days=WEEK) <= known_day.date < day
    ]
    return {
        "days_since_open": since(day, open_days, at_most=15),
        "days_until_open": until(day, open_days, at_most=15),
        **within_run("promo", promos, day, at_most=30),
        **within_run("school_holiday", school_holidays, day, at_most=30),
        "days_since_holiday": since(day, holidays, at_most=30),
        "days_until_holiday": until(day, holidays, at_most=30),
        "open_days_ahead": sum(cutoff < open_day <= day for open_day in open_days),
        "open_days_week_before": sum(known_day.is_open for known_day in week_before),
        "promo_days_week_before": sum(known_day.is_promo for known_day in week_before),
    }


def within_run(name: str, found: list[Run], day: date, *, at_most: int) -> dict[str, Any]:
    """Where a day stands in a run of days, or between two; null where it stands in none."""
    ends = [run.end for run in found if run.end is not None]
    into, left = None, None
    for run in found:
        if run.start <= day and (run.end is None or day <= run.end):
            into = (day - run.start).days
            left = None if run.end is None else (run.end - day).days
    return {
        f"{name}_day": into,
        f"{name}_days_left": left,
        f"days_since_{name}": since(day, ends, at_most=at_most),
        f"days_until_{name}": until(day, [run.start for run in found], at_most=at_most),
    }


def runs(days: list[Day], flag: Callable[[Day], bool]) -> list[Run]:
    """Return the runs of flagged days; one that reaches the last known day may go on."""
    found, start = [], None
    for day in days:
        if flag(day) and start is None:
            start = day.date
        if not flag(day) and start is not None:
            found.append(Run(start, day.date - timedelta(days=1)))
            start = None
    return found if start is None else [*found, Run(start, None)]


def since(day: date, events: list[date], *, at_most: int, or_today: bool = False) -> int:
    """Return the days since the last event, `at_most` where it is longer ago or unknown."""
    past = [event for event in events if event < day or (or_today and event == day)]
    return min((day - max(past)).days, at_most) if past else at_most


def until(day: date, events: list[date], *, at_most: int) -> int:
    """Return the days until the next event, `at_most` where it is further or not in the plan."""
    coming = [event for event in events if event > day]
    return min((min(coming) - day).days, at_most) if coming else at_most


def about_sales(past: list[Day], today: Day, cutoff: date) -> dict[str, Any]:
    """What the store's sales up to the cutoff tell about a day."""

    def sold(days: int, years_ago: int = 0) -> list[Day]:
        """The selling days of so many days that end at the cutoff, or years before it."""
        last = cutoff - timedelta(days=YEAR * years_ago)
        first = last - timedelta(days=days - 1)
        return [day for day in past if first <= day.date <= last and day.log_sales is not None]

    def level(days: int, years_ago: int = 0) -> float | None:
        return mean(day.log_sales for day in sold(days, years_ago))

    alike = alike_before(past, today)
    logs = [day.log_sales for day in alike]
    anchor = first_known(mean(logs[-13:]), level(56), level(182), level(364), level(len(past)))
    return {
        "anchor": anchor,
        "profile_last": minus(logs[-1] if logs else None, anchor),
        "profile_median_4": minus(median(logs[-4:]), anchor),
        "profile_median_8": minus(median(logs[-8:]), anchor),
        "profile_median_26": minus(median(logs[-26:]), anchor),
        "profile_mean_52": minus(mean(logs[-52:]), anchor),
        "profile_deviation": statistics.pstdev(logs[-26:]) if logs else None,
        "profile_customers": mean(day.log_customers for day in alike[-13:]),
        "profile_occurrences": min(len(alike), 52) if alike else None,
        "profile_age_days": since(cutoff, [day.date for day in alike], at_most=365, or_today=True),
        **{f"level_{n}": minus(level(n), anchor) for n in (14, 28, 56, 98, 182, 364)},
        "growth_364": minus(level(364), level(364, years_ago=1)),
        "growth_28": minus(level(28), level(28, years_ago=1)),
        "growth_56": minus(level(56), level(56, years_ago=1)),
        **{
            f"surprise_{n}_last_{days}": mean(surprise(past, day, n) for day in sold(days))
            for n, days in ((13, 7), (13, 14), (13, 28), (26, 14), (26, 28), (26, 56))
        },
        "volatility_98": mean(size(surprise(past, day, 13)) for day in sold(98)),
        "customers_28": mean(day.log_customers for day in sold(28)),
        "customers_trend": minus(
            mean(day.log_customers for day in sold(28)),
            mean(day.log_customers for day in sold(182)),
        ),
        "basket_28": mean(basket(day) for day in sold(28)),
        "basket_trend": minus(
            mean(basket(day) for day in sold(28)), mean(basket(day) for day in sold(182))
        ),
        "promo_lift_182": minus(
            mean(day.log_sales for day in sold(182) if day.is_promo),
            mean(day.log_sales for day in sold(182) if not day.is_promo),
        ),
        "promo_days_14": sum(day.is_promo for day in past[-14:]),
        **about_last_year(past, today, level(28, years_ago=1), level(56, years_ago=1)),
    }


def about_last_year(
    past: list[Day], today: Day, level_28: float | None, level_56: float | None
) -> dict[str, Any]:
    """The season a year before against the levels then; null if that day is before the history."""
    that_day = today.date - timedelta(days=YEAR)

    def season(before: int, after: int) -> float | None:
        if that_day < past[0].date:
            return None
        return mean(day.log_sales for day in past if -before <= (day.date - that_day).days <= after)

    return {
        "season_day": minus(season(0, 0), level_28),
        "season_7": minus(season(3, 3), level_28),
        "season_14": minus(season(7, 6), level_28),
        "season_28": minus(season(14, 13), level_56),
        "deviation_same_weekday": deviation(past, that_day),
        "deviation_same_date": deviation(past, a_year_before(today.date)),
        "deviation_same_easter_day": deviation(past, same_easter_day_before(today.date)),
    }


def a_year_before(day: date) -> date:
    """Return the same date of the year before; 28 February for the 29th."""
    return date(day.year - 1, day.month, 28 if (day.month, day.day) == (2, 29) else day.day)


def same_easter_day_before(day: date) -> date | None:
    """Return the day that lay as far from Easter a year before, within nine weeks of Easter."""
    distance = day - easter(day.year)
    return easter(day.year - 1) + distance if abs(distance.days) <= 63 else None


def deviation(past: list[Day], when: date | None) -> float | None:
    """Return log sales of a past day less the mean of those like it, eight weeks each way."""
    found = [day for day in past if day.date == when]
    if not found:
        return None
    (that_day,) = found
    return minus(
        that_day.log_sales,
        mean(
            day.log_sales
            for day in past
            if day.date != when
            and abs((day.date - that_day.date).days) <= 8 * WEEK
            and day.date.weekday() == that_day.date.weekday()
            and day.is_promo == that_day.is_promo
        ),
    )


def alike_before(days: list[Day], today: Day) -> list[Day]:
    """Return the selling days before a day that share its weekday and promotion."""
    return [
        day
        for day in days
        if day.date < today.date
        and day.date.weekday() == today.date.weekday()
        and day.is_promo == today.is_promo
        and day.log_sales is not None
    ]


def surprise(past: list[Day], day: Day, occurrences: int) -> float | None:
    """Return a day's log sales against the mean of the last days like it."""
    alike = alike_before(past, day)[-occurrences:]
    return minus(day.log_sales, mean(other.log_sales for other in alike))


def basket(day: Day) -> float | None:
    """Return the log of what one customer buys."""
    return minus(day.log_sales, day.log_customers)


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the known values."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def median(values: list[float | None]) -> float | None:
    """Return the median of known values."""
    return statistics.median(values) if values else None


def minus(value: float | None, other: float | None) -> float | None:
    """Return a difference, unknown if either side is."""
    return None if value is None or other is None else value - other


def size(value: float | None) -> float | None:
    """Return the absolute value of a known one."""
    return None if value is None else abs(value)


def first_known(*values: float | None) -> float | None:
    """Return the first value that is known."""
    return next((value for value in values if value is not None), None)
