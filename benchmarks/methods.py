"""The methods that are compared: the platform's members, and what others would do."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.windows import DAY, Window
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.settings import Settings

Forecast = NDArray[np.float64]


@dataclass(frozen=True)
class Method:
    """One row of the comparison.

    Attributes:
        label: What the table calls it.
        load: Imports what it needs and returns the function that forecasts a window's plan in
            EUR a day, one value a row; imports count neither as seconds nor as memory.
        with_features: Whether it is shown the platform's features.
        is_random_split: Whether its function takes `Data` and judges itself on held-out days.
    """

    label: str
    load: Callable[[], Callable[..., Any]]
    with_features: bool = False
    is_random_split: bool = False


def member_forecast(name: str, window: Window, settings: Settings) -> Forecast:
    """Fit a member of the platform as of the cutoff and forecast the plan."""
    assert window.frames is not None, "members need the platform's features"
    asked = window.frames.asked_at(window.cutoff)
    same = asked.rows[DAY].reset_index(drop=True).equals(window.plan[DAY].reset_index(drop=True))
    assert same, "the feature rows of a cutoff are the days of its plan"
    member = MEMBERS[name](settings).fit(window.frames.known_at(window.cutoff), window.cutoff)
    return np.exp(member.predict(asked))


def seasonal_naive(season_days: int, window: Window, settings: Settings) -> Forecast:
    """Repeat the store's last selling day at the same place of the season.

    Closed days are stepped over, a season at a time. Where a store has never sold at that place,
    its mean stands in, then that of the chain.
    """
    sold = window.known[window.known["is_open"] & (window.known["sales"] > 0)]
    last = sold.groupby(["store_id", _place(sold, season_days)])["sales"].last()
    wanted = pd.MultiIndex.from_arrays([window.plan["store_id"], _place(window.plan, season_days)])
    of_store = window.plan["store_id"].map(sold.groupby("store_id")["sales"].mean())
    forecast = last.reindex(wanted).to_numpy()
    forecast = np.where(np.isnan(forecast), of_store.to_numpy(), forecast)
    return np.where(np.isnan(forecast), sold["sales"].mean(), forecast)


def _place(days: pd.DataFrame, season_days: int) -> pd.Series:
    return (days["date"] - pd.Timestamp(0)).dt.days % season_days


def _original() -> Callable[..., Any]:
    from benchmarks import original

    return original.forecast


def _original_random_split() -> Callable[..., Any]:
    from benchmarks import original

    return original.split_at_random


def _mlforecast() -> Callable[..., Any]:
    from benchmarks import nixtla

    return nixtla.forecast


METHODS: dict[str, Method] = {
    **{
        name: Method(name, partial(partial, member_forecast, name), with_features=True)
        for name in MEMBERS
    },
    "mlforecast": Method("mlforecast, LightGBM", _mlforecast),
    "original": Method("original, by time", _original),
    "original_random_split": Method(
        "original, random split", _original_random_split, is_random_split=True
    ),
    **{
        f"seasonal_naive_{days}": Method(
            f"seasonal naive, {days} days", partial(partial, seasonal_naive, days)
        )
        for days in (7, 14)
    },
}
LABELS = {**{name: method.label for name, method in METHODS.items()}, ENSEMBLE: ENSEMBLE}


def available() -> list[str]:
    """Return the names of the methods that can be run here, in the table's order."""
    has_nixtla = importlib.util.find_spec("mlforecast") is not None
    return [name for name in METHODS if name != "mlforecast" or has_nixtla]
