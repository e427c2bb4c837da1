"""The method that many projects on these data begin with: a forest on the calendar alone.

A scaler and 50 trees on the calendar, the plan and the stores' attributes, nothing of what a
store has sold; judged by a random split of the days, which lets it learn from the days around
each day that it is asked for. Judged by time it has none of those.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.windows import DAY, Data, Window
from sales_assets.forecasting.frames import CATEGORIES
from sales_assets.settings import Settings
from sales_assets.sources.german_holidays import holiday_calendar

TREES = 50
HELD_OUT = 0.2
DAYS_A_MONTH = 30.4


def forecast(window: Window, settings: Settings) -> np.ndarray:
    """Learn from every day up to the cutoff and forecast the plan."""
    model = _pipeline(settings)
    model.fit(calendar_features(window.known, window.stores), window.known["sales"])
    return model.predict(calendar_features(window.plan, window.stores))


def split_at_random(data: Data, settings: Settings) -> pd.DataFrame:
    """Learn from four days in five, whenever they were, and forecast the fifth.

    Returns:
        One row a held-out day: `DAY` and forecast.
    """
    features = calendar_features(data.history, data.stores)
    learnt, held_out = train_test_split(
        features.index, test_size=HELD_OUT, random_state=settings.seed
    )
    model = _pipeline(settings).fit(features.loc[learnt], data.history.loc[learnt, "sales"])
    return data.history.loc[held_out, DAY].assign(forecast=model.predict(features.loc[held_out]))


def _pipeline(settings: Settings) -> Pipeline:
    forest = RandomForestRegressor(TREES, random_state=settings.seed, n_jobs=settings.threads)
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), forest)


def calendar_features(days: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """Return the features of planned days as numbers, in the order of `days`.

    Args:
        days: store_id, date, is_open, is_promo, state_holiday and is_school_holiday.
        stores: The stores' attributes.
    """
    date = days["date"].dt
    known = days[["store_id"]].merge(stores, "left", "store_id").set_index(days.index)
    since_holiday, until_holiday = _holiday_distances(days["date"])
    columns = {
        "store_id": days["store_id"],
        "weekday": date.dayofweek + 1,
        "day": date.day,
        "month": date.month,
        "year": date.year,
        "week": date.isocalendar().week,
        "is_weekend": date.dayofweek >= 5,
        "is_month_begin": date.day <= 10,
        "is_month_middle": date.day.between(11, 20),
        "is_month_end": date.day > 20,
        "days_since_holiday": since_holiday,
        "days_until_holiday": until_holiday,
        "is_open": days["is_open"],
        "is_promo": days["is_promo"],
        "state_holiday": _code(days["state_holiday"], "state_holiday"),
        "is_school_holiday": days["is_school_holiday"],
        "store_type": _code(known["store_type"], "store_type"),
        "assortment": _code(known["assortment"], "assortment"),
        "competition_distance_m": known["competition_distance_m"],
        "competition_months": (
            (days["date"] - known["competition_open_since"]).dt.days / DAYS_A_MONTH
        ).clip(lower=0),
        "is_promo2": known["promo2_since"] <= days["date"],
    }
    return pd.DataFrame({name: values.astype("float64") for name, values in columns.items()})


def _code(values: pd.Series, name: str) -> pd.Series:
    codes = pd.Categorical(values, categories=CATEGORIES[name]).codes
    return pd.Series(codes, index=values.index)


def _holiday_distances(dates: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the days since the last nationwide holiday, and until the next one."""
    year = timedelta(days=366)
    calendar = holiday_calendar((dates.min() - year).date(), (dates.max() + year).date())
    holidays = calendar.loc[calendar["is_national"], "date"].sort_values().to_numpy()
    values = dates.to_numpy().astype(holidays.dtype)
    last = holidays[np.searchsorted(holidays, values, side="right") - 1]
    following = holidays[np.searchsorted(holidays, values, side="left")]
    day = np.timedelta64(1, "D")
    return (
        pd.Series((values - last) / day, index=dates.index),
        pd.Series((following - values) / day, index=dates.index),
    )
