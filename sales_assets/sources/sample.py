"""The built-in sample: a made-up German drugstore chain in Kaggle's Rossmann file format.

No row is copied from a real store. What was measured on real ones are facts, such as the weekday
profile, the lift of a promotion or the build-up to Christmas; they stand in `sample_facts`.
"""

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.errors import SalesError
from sales_assets.sources.sample_facts import (
    ASSORTMENT_LEVEL,
    EFFECTS,
    PROMO2_LEVEL,
    SPREAD,
    STATES,
    TYPES,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Stores = dict[str, NDArray[Any]]  # The traits of some stores, one element a store.

FIRST_DAY = pd.Timestamp("2013-01-01")
FIRST_PROMO_WEEK = pd.Timestamp("2013-01-07")
REFURBISHMENT = (pd.Timestamp("2014-07-01"), pd.Timestamp("2014-12-31"))
STATE_HOLIDAYS = ("0", "a", "b", "c")  # None, public, Easter, Christmas.
FEASTS = {"Good Friday": 2, "Easter Monday": 2, "Christmas Day": 3, "Second Day of Christmas": 3}
PROMO2_MONTHS = ("Jan,Apr,Jul,Oct", "Feb,May,Aug,Nov", "Mar,Jun,Sept,Dec")
NEVER = np.datetime64("NaT", "D")
LIMITS = {
    "stores": (1, 100_000),
    "days": (100, 3_650),
    "weeks_after": (0, 521),
    "plan_days": (1, 366),
}
BLOCK = 1_000  # Stores that are simulated at once, which bounds the memory that is needed.

_DAYS = """
create table if not exists days as
select * replace (cast("Date" as date) as "Date") from block limit 0
"""
_TRAIN_CSV = 'select * from days where "Date" <= $last_day order by "Date" desc, "Store"'
_TEST_CSV = """
select row_number() over (order by "Date" desc, "Store") as "Id", * exclude ("Sales", "Customers")
from days
where "Date" > $last_day
order by "Id"
"""
_STORE_CSV = """
select
    store_id as "Store", store_type as "StoreType", assortment as "Assortment",
    cast(competition_distance_m as integer) as "CompetitionDistance",
    month(competition_open_since) as "CompetitionOpenSinceMonth",
    year(competition_open_since) as "CompetitionOpenSinceYear",
    cast(promo2_since is not null as integer) as "Promo2",
    week(promo2_since) as "Promo2SinceWeek", isoyear(promo2_since) as "Promo2SinceYear",
    $promo2_months[case when promo2_since is not null then promo2_group + 1 end] as "PromoInterval"
from stores
order by "Store"
"""


@dataclass(frozen=True)
class Calendar:
    """What is known of each date: arrays of dates, or of dates x states."""

    dates: pd.DatetimeIndex
    weekday: NDArray[np.int64]
    is_promo: Flags
    state_holiday: NDArray[np.int64]  # Position in STATE_HOLIDAYS.
    is_school_holiday: Flags
    easter: list[pd.Timestamp]  # Easter Sundays.


def write_sample(
    directory: Path, stores: int, days: int, seed: int, plan_days: int = 48, weeks_after: int = 0
) -> None:
    """Write `train.csv`, `store.csv` and `test.csv` of a made-up chain into `directory`.

    The history begins on 2013-01-01; with 942 days it ends on 2015-07-31. The plan follows it.
    One seed gives the same bytes each time, and more stores leave the first ones as they are, as
    do weeks after the history: they are what its plan becomes, and what follows.

    Args:
        directory: Where the files appear under their final names, once they are complete.
        stores: Number of stores.
        days: Days of history.
        seed: Seed of everything random.
        plan_days: Days in `test.csv`, without sales.
        weeks_after: Weeks by which the history goes on, the stores being those of `days` days.

    Raises:
        SalesError: A number is outside its limits, or the directory cannot be written.
    """
    _refuse_bad_numbers(
        seed, stores=stores, days=days, weeks_after=weeks_after, plan_days=plan_days
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sample-", dir=directory) as scratch:
            _write_files(Path(scratch), stores, days, seed, plan_days, weeks_after)
            for name in ("store.csv", "test.csv", "train.csv"):
                (Path(scratch) / name).replace(directory / name)
    except (OSError, duckdb.IOException) as error:
        raise SalesError(f"The sample cannot be written to {directory}: {error}") from None


def _refuse_bad_numbers(seed: int, **numbers: int) -> None:
    faults = [
        f"{name} is {value:,} and must be between {LIMITS[name][0]:,} and {LIMITS[name][1]:,}"
        for name, value in numbers.items()
        if not LIMITS[name][0] <= value <= LIMITS[name][1]
    ]
    if not faults and numbers["days"] + 7 * numbers["weeks_after"] > LIMITS["days"][1]:
        faults.append(
            f"days and weeks_after come to {numbers['days'] + 7 * numbers['weeks_after']:,} days "
            f"and may come to {LIMITS['days'][1]:,}"
        )
    if seed < 0:
        faults.append(f"seed is {seed:,} and must be 0 or more")
    if faults:
        raise SalesError("No sample can be made: " + "; ".join(faults) + ".")


def _write_files(
    scratch: Path, stores: int, days: int, seed: int, plan_days: int, weeks_after: int
) -> None:
    known_days = days + 7 * weeks_after
    calendar = make_calendar(pd.date_range(FIRST_DAY, periods=known_days + plan_days))
    # What is known of a store, such as since when it has a competitor, was known at first.
    last_day = calendar.dates[days - 1]
    chain = []
    with duckdb.connect(config={"temp_directory": str(scratch / "spill")}) as con:
        for first in range(1, stores + 1, BLOCK):
            numbers = range(first, min(first + BLOCK, stores + 1))
            block, noise = make_stores(numbers, calendar, last_day, seed)
            con.register("block", make_days(block, calendar, noise))
            con.execute(_DAYS)
            con.execute("insert into days select * from block")
            chain.append(pd.DataFrame({k: v for k, v in block.items() if v.ndim == 1}))
        con.register("stores", pd.concat(chain))
        history = {"last_day": calendar.dates[known_days - 1].date()}
        for name, select, params in (
            ("train.csv", _TRAIN_CSV, history),
            ("test.csv", _TEST_CSV, history),
            ("store.csv", _STORE_CSV, {"promo2_months": list(PROMO2_MONTHS)}),
        ):
            con.sql(select, params=params).write_csv(str(scratch / name))


def make_calendar(dates: pd.DatetimeIndex) -> Calendar:
    """Return weekdays, promotions in alternating weeks, and the holidays of each state."""
    weekday = dates.weekday.to_numpy().astype(np.int64)
    week = (dates - FIRST_PROMO_WEEK).days.to_numpy() // 7
    years = range(dates[0].year, dates[-1].year + 1)
    public = [_state_holidays(state, years, "public") for state in STATES]
    school = [_state_holidays(state, years, "school") for state in STATES]
    in_school_holiday = np.array([[day in h for h in school] for day in dates.date])
    return Calendar(
        dates=dates,
        weekday=weekday,
        is_promo=(week % 2 == 0) & (weekday < 5),
        state_holiday=np.array(
            [[FEASTS.get(h[day], 1) if day in h else 0 for h in public] for day in dates.date]
        ),
        # Kaggle's files mark school holidays from Monday to Friday alone.
        is_school_holiday=in_school_holiday & (weekday < 5)[:, None],
        easter=[
            pd.Timestamp(day) - pd.Timedelta(days=1)
            for day, name in public[0].items()
            if name == "Easter Monday"
        ],
    )


def _state_holidays(state: str, years: range, category: str) -> dict[date, str]:
    return dict(
        holidays.country_holidays(
            "DE", subdiv=state, years=years, categories=(category,), language="en_US"
        )
    )


def make_stores(
    numbers: range, calendar: Calendar, last_day: pd.Timestamp, seed: int
) -> tuple[Stores, Floats]:
    """Return the traits of stores, known on `last_day` or hidden, and their daily noise.

    The noise is standard normal: 4 series x dates x stores. What is random about a store depends
    on the seed and its number alone.
    """
    noise = np.empty((4, len(calendar.dates), len(numbers)))
    stores = []
    for column, number in enumerate(numbers):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        stores.append({"store_id": number} | _make_store(rng, last_day))
        noise[:, :, column] = rng.standard_normal((len(calendar.dates), 4)).T
    return {trait: np.array([store[trait] for store in stores]) for trait in stores[0]}, noise


def _make_store(rng: np.random.Generator, last_day: pd.Timestamp) -> dict[str, Any]:
    name = str(rng.choice(list(TYPES), p=[of_type.share for of_type in TYPES.values()]))
    of_type = TYPES[name]
    assortment = str(rng.choice(list(ASSORTMENT_LEVEL), p=of_type.assortments))
    has_promo2 = rng.random() < 0.51
    promo2_since = last_day.to_period("W").start_time - pd.Timedelta(weeks=rng.integers(1, 320))
    has_distance = rng.random() > 3 / 1_115
    distance_m = float(np.clip(round(rng.lognormal(np.log(2_330), 1.45), -1), 20, 75_860))
    opening_is_known = has_distance and rng.random() > 0.32
    opened = last_day - pd.Timedelta(days=int(365 * rng.lognormal(np.log(4.5), 0.8)))
    log_sales = np.log(of_type.sales) + ASSORTMENT_LEVEL[assortment] + PROMO2_LEVEL * has_promo2
    return {
        "store_type": name,
        "assortment": assortment,
        "state": rng.choice(len(STATES), p=list(STATES.values())),
        "opens_sundays": rng.random() < of_type.open_sundays,
        "competition_distance_m": distance_m if has_distance else np.nan,
        "competition_open_since": np.datetime64(opened.date().replace(day=1))
        if opening_is_known
        else NEVER,
        "promo2_since": np.datetime64(promo2_since.date()) if has_promo2 else NEVER,
        "promo2_group": rng.choice(len(PROMO2_MONTHS), p=(0.59, 0.23, 0.18)),
        "is_refurbished": (rng.random() < 1 / 6) and last_day > REFURBISHMENT[1],
        "level": log_sales + rng.normal(0, SPREAD.level),
        "basket": np.log(of_type.basket) + rng.normal(0, SPREAD.basket),
        "weekday": np.log(of_type.weekdays) + rng.normal(0, SPREAD.weekday),
        "promo_response": np.clip(rng.normal(1, SPREAD.promo_response), 0.3, 1.7),
        "summer": np.log1p(EFFECTS.summer) + rng.normal(0, SPREAD.summer),
        "growth": np.log1p(EFFECTS.growth) + rng.normal(0, SPREAD.growth),
        "shift": rng.normal(0, SPREAD.shift),
        "shift_day": rng.exponential(1_500),
    }


def make_days(stores: Stores, calendar: Calendar, noise: Floats) -> pd.DataFrame:
    """Return the columns of train.csv without the days on which a store is refurbished.

    Stores that open on Sundays, such as those in railway stations, open on every holiday too.
    """
    holiday = calendar.state_holiday[:, stores["state"]]
    closed_by_holiday = (holiday > 0) & ~stores["opens_sundays"]
    is_open = stores["opens_sundays"] | ((calendar.weekday != 6)[:, None] & (holiday == 0))
    promo = calendar.is_promo[:, None] & np.ones_like(is_open)
    school = calendar.is_school_holiday[:, stores["state"]]
    scatter = _scatter(noise)
    log_sales = (
        stores["level"]
        + _weekday_effect(stores, calendar, holiday)
        + _promo_effect(stores, calendar)
        + _promo2_effect(stores, calendar)
        + _column(_season_effect(calendar))
        + np.log1p(EFFECTS.around_closure) * _beside(closed_by_holiday)
        + np.log1p(EFFECTS.school_holiday) * school
        + _competitor_effect(stores, calendar)
        + _refurbishment_effect(stores, calendar)
        + _course(stores, calendar.dates)
        + scatter
    )
    log_basket = (
        stores["basket"]
        + np.log1p(EFFECTS.promo_basket) * promo
        + 0.2 * scatter  # A good day is one of more customers first, of larger baskets second.
        + SPREAD.basket_day * noise[3]
    )
    sales = np.rint(np.exp(log_sales)).clip(1)
    customers = np.rint(np.exp(log_sales - log_basket)).clip(1)
    days = pd.DataFrame(
        {
            "Store": np.tile(stores["store_id"], len(calendar.dates)),
            "DayOfWeek": np.repeat(calendar.weekday + 1, len(stores["store_id"])),
            "Date": np.repeat(calendar.dates, len(stores["store_id"])),
            "Sales": (sales * is_open).ravel().astype(np.int32),
            "Customers": (customers * is_open).ravel().astype(np.int32),
            "Open": is_open.ravel().astype(np.uint8),
            "Promo": promo.ravel().astype(np.uint8),
            "StateHoliday": np.array(STATE_HOLIDAYS)[holiday.ravel()],
            "SchoolHoliday": school.ravel().astype(np.uint8),
        }
    )
    return days[~_is_away(stores, calendar).ravel()]


def _weekday_effect(stores: Stores, calendar: Calendar, holiday: NDArray[np.int64]) -> Floats:
    """Return the effect of the weekday; who opens on a holiday sells as on a Sunday."""
    weekday = np.where(holiday > 0, 6, calendar.weekday[:, None])
    effect: Floats = stores["weekday"][np.arange(weekday.shape[1]), weekday]
    return effect


def _promo_effect(stores: Stores, calendar: Calendar) -> Floats:
    lift = np.log1p([*EFFECTS.promo_lift, 0.0, 0.0])[calendar.weekday]
    return np.outer(lift * calendar.is_promo, stores["promo_response"])


def _promo2_effect(stores: Stores, calendar: Calendar) -> Floats:
    starts_anew = _column(calendar.dates.month - 1) % 3 == stores["promo2_group"]
    runs = _days_since(stores["promo2_since"], calendar) >= 0
    return np.asarray(np.log1p(EFFECTS.promo2_lift) * (runs & starts_anew))


def _season_effect(calendar: Calendar) -> Floats:
    """Return what all stores share: pay-days, Christmas and Easter."""
    dates = calendar.dates
    day = np.where(dates.day <= 15, dates.day, dates.day - dates.days_in_month)
    pay_day = np.log1p(np.interp(day, *np.transpose(EFFECTS.pay_day)))
    return np.asarray(pay_day + _christmas_effect(dates) + _easter_effect(calendar))


def _christmas_effect(dates: pd.DatetimeIndex) -> Floats:
    december, day = dates.month == 12, dates.day
    days_to_peak = np.where(december, 23 - day, np.where(dates.month == 11, 53 - day, 99))
    build_up = (1 - days_to_peak / EFFECTS.christmas_days).clip(0) * (days_to_peak >= -1)
    return np.asarray(
        np.log1p(EFFECTS.christmas_peak) * build_up
        + np.log1p(EFFECTS.half_day) * (december & ((day == 24) | (day == 31)))
        + np.log1p(EFFECTS.between_the_years) * (december & (day >= 27))
        + np.log1p(EFFECTS.january) * (dates.month == 1)
    )


def _easter_effect(calendar: Calendar) -> Floats:
    effect = np.zeros(len(calendar.dates))
    for sunday in calendar.easter:
        day = (calendar.dates - sunday).days.to_numpy()
        build_up = (1 + (day + 1) / EFFECTS.easter_days).clip(0) * (day < 0)
        effect += np.log1p(EFFECTS.easter_peak) * build_up
        effect += np.log1p(EFFECTS.after_easter) * ((day >= 2) & (day <= 11))
    return effect


def _beside(closed: Flags) -> Flags:
    """Mark, in dates x stores, the days before and after a closed one."""
    beside = np.zeros_like(closed)
    beside[:-1] |= closed[1:]
    beside[1:] |= closed[:-1]
    return beside


def competitor_loss(distance_m: Floats) -> Floats:
    """Return the share of sales that a store loses to a competitor at this distance."""
    return EFFECTS.competitor_drop * np.exp(-distance_m / EFFECTS.competitor_reach_m)


def _competitor_effect(stores: Stores, calendar: Calendar) -> Floats:
    distance_m = np.nan_to_num(stores["competition_distance_m"], nan=np.inf)
    is_open = _days_since(stores["competition_open_since"], calendar) >= 0
    return np.log1p(-competitor_loss(distance_m)) * is_open


def _days_since(start: NDArray[np.datetime64], calendar: Calendar) -> Floats:
    """Return the days from each store's start, dates x stores; NaN where there is none."""
    return (_column(calendar.dates) - start) / np.timedelta64(1, "D")


def _is_away(stores: Stores, calendar: Calendar) -> Flags:
    """Mark the days on which a store is closed for refurbishment and reports nothing."""
    first, last = REFURBISHMENT
    return _column((calendar.dates >= first) & (calendar.dates <= last)) & stores["is_refurbished"]


def _refurbishment_effect(stores: Stores, calendar: Calendar) -> Floats:
    """Return the effect of a refurbishment: first below the former level, then above it."""
    days = _column((calendar.dates - REFURBISHMENT[1]).days - 1)
    dip = EFFECTS.refurbishment_dip * np.exp(-days.clip(0) / EFFECTS.refurbishment_recovery_days)
    effect = np.log1p(EFFECTS.refurbishment_gain) + np.log1p(-dip)
    return np.asarray(effect * (days >= 0) * stores["is_refurbished"])


def _course(stores: Stores, dates: pd.DatetimeIndex) -> Floats:
    """Return what is each store's own: its growth, its yearly wave and one sudden change."""
    day = _column((dates - FIRST_DAY).days)
    wave = np.cos(2 * np.pi * (_column(dates.dayofyear) - 180) / 365.25)
    return np.asarray(
        stores["growth"] * day / 365.25
        + stores["summer"] * wave
        + stores["shift"] * (day >= stores["shift_day"])
    )


def _scatter(noise: Floats) -> Floats:
    """Return the noise of log sales: a slow part, a fast part and each day's own."""
    return np.asarray(
        SPREAD.slow * _autocorrelated(noise[0], SPREAD.slow_days)
        + SPREAD.fast * _autocorrelated(noise[1], SPREAD.fast_days)
        + SPREAD.day * noise[2]
    )


def _autocorrelated(shocks: Floats, days: float) -> Floats:
    """Return series of unit variance whose autocorrelation falls to 1/e in so many days."""
    memory = np.exp(-1 / days)
    series = shocks.copy()
    for day in range(1, len(shocks)):
        series[day] = memory * series[day - 1] + np.sqrt(1 - memory**2) * shocks[day]
    return series


def _column(values: pd.Index | NDArray[Any]) -> NDArray[Any]:
    """Turn values a date into one column, to meet rows of values a store."""
    return np.asarray(values)[:, None]
