"""The yardstick: what this store sold, at the median, on days like this one."""

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting import lookup as lookup_module
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lookup import Lookup
from sales_assets.forecasting.member import Member
from sales_assets.settings import BaselineSettings, Settings

GRAINS = (("store_id", "weekday", "is_promo"), ("store_id",), ("weekday", "is_promo"), ())


class Baseline(Member):
    """Median sales by store, weekday and promotion over the last days before the cutoff.

    Where a store has no such day the median of the store stands in, then that of the chain.
    """

    name: ClassVar[str] = "baseline"
    parts: ClassVar[tuple[ModuleType, ...]] = (lookup_module,)

    def __init__(self, settings: Settings, medians: pd.DataFrame | None = None) -> None:
        super().__init__(settings)
        self.medians = medians

    @property
    def medians(self) -> pd.DataFrame | None:
        """Median sales at every grain; keys that a grain does not have are missing."""
        return self._medians

    @medians.setter
    def medians(self, medians: pd.DataFrame | None) -> None:
        self._medians = medians
        self._known = [] if medians is None else [_of_grain(medians, grain) for grain in GRAINS]

    @property
    def parameters(self) -> BaselineSettings:
        """Days of history that count."""
        return self.settings.baseline

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Take the medians of the selling days before the cutoff."""
        sold = known.history[known.history["is_open"] & (known.history["sales"] > 0)]
        span = pd.Timedelta(days=self.parameters.days - 1)
        days = sold[sold["date"] >= pd.Timestamp(cutoff) - span]
        if days.empty:
            # The whole chain has been closed since: its last days are the nearest that there are.
            days = sold[sold["date"] >= sold["date"].max() - span]
        days = days.assign(weekday=days["date"].dt.dayofweek + 1)
        self.medians = pd.concat(
            [
                days.groupby(list(grain), as_index=False)["sales"].median()
                if grain
                else pd.DataFrame({"sales": [days["sales"].median()]})
                for grain in GRAINS
            ],
            ignore_index=True,
        ).astype({"store_id": "float64", "weekday": "float64", "is_promo": "float64"})
        return self

    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Look the medians up, the finest grain first."""
        assert self.medians is not None, "fit or load comes first"
        forecast = np.full(len(asked.rows), np.nan)
        keys = asked.rows[["store_id", "weekday", "is_promo"]].astype("float64")
        for known in self._known:
            forecast = np.where(np.isnan(forecast), known.at(keys)["sales"], forecast)
        return np.log(forecast)

    def save(self, directory: Path) -> None:
        """Write the medians as Parquet."""
        assert self.medians is not None, "fit comes first"
        self.medians.to_parquet(directory / "medians.parquet", index=False)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read the medians."""
        return cls(settings, pd.read_parquet(directory / "medians.parquet"))


def _of_grain(medians: pd.DataFrame, grain: tuple[str, ...]) -> Lookup:
    others = [key for key in GRAINS[0] if key not in grain]
    is_own = medians[list(grain)].notna().all(axis=1) & medians[others].isna().all(axis=1)
    return Lookup(medians[is_own], list(grain), ["sales"])
