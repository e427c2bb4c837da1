"""The yardstick: what this store sold, at the median, on days like this one."""

from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.member import Member
from sales_assets.settings import BaselineSettings, Settings

GRAINS = (("store_id", "weekday", "is_promo"), ("store_id",), ("weekday", "is_promo"), ())


class Baseline(Member):
    """Median sales by store, weekday and promotion over the last days before the cutoff.

    Where a store has no such day the median of the store stands in, then that of the chain.
    """

    name: ClassVar[str] = "baseline"

    def __init__(self, settings: Settings, medians: pd.DataFrame | None = None) -> None:
        super().__init__(settings)
        self.medians = medians

    @property
    def parameters(self) -> BaselineSettings:
        """Days of history that count."""
        return self.settings.baseline

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Take the medians of the selling days before the cutoff."""
        history = known.history
        first_day = pd.Timestamp(cutoff) - pd.Timedelta(days=self.parameters.days - 1)
        days = history[(history["date"] >= first_day) & history["is_open"] & (history["sales"] > 0)]
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
        for grain in GRAINS:
            unused = [key for key in keys.columns if key not in grain]
            known = self.medians[list(grain)].notna().all(axis=1)
            known &= self.medians[unused].isna().all(axis=1)
            if grain:
                found = keys.merge(self.medians.loc[known, [*grain, "sales"]], "left", list(grain))
                candidates = found["sales"].to_numpy()
            else:
                candidates = np.full(len(keys), self.medians.loc[known, "sales"].iloc[0])
            forecast = np.where(np.isnan(forecast), candidates, forecast)
        return np.log(forecast)

    def save(self, directory: Path) -> None:
        """Write the medians as Parquet."""
        assert self.medians is not None, "fit comes first"
        self.medians.to_parquet(directory / "medians.parquet", index=False)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read the medians."""
        return cls(settings, pd.read_parquet(directory / "medians.parquet"))
