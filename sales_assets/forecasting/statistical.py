"""statsforecast's models on open-day series, freed of what the calendar explains."""

import logging
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting import effects as effects_module
from sales_assets.forecasting import lookup as lookup_module
from sales_assets.forecasting import open_day_series
from sales_assets.forecasting.effects import Effects, selling_days
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lookup import Lookup
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.open_day_series import Series, forecast_paths, native_bounds
from sales_assets.forecasting.series_cache import SeriesCache
from sales_assets.settings import BOUNDS, MAX_HORIZON, Settings, StatisticalSettings

log = logging.getLogger("sales_assets.models")

# Open days ahead that native intervals are made for; a bound further ahead is the last one's.
INTERVAL_STEPS = 42
NAMED_STORES = 5
PATH = ["store_id", "step"]


class Statistical(Member):
    """The mean of some models of statsforecast, plus effects of weekday, promotion and calendar.

    Sales in logs, less the store's effect of weekday and promotion, the chain's of the calendar
    (month's end, neighbouring holidays, moving feasts) and its yearly season, form one evenly
    spaced series of open days a store. The models see neither promotions nor closed days, which
    is what they are poor at; the effects come back when a day is forecast.

    Source: Hyndman et al. (2008), Forecasting with Exponential Smoothing.

    Args:
        settings: The home's settings; `statistical` names the models.
        effects: What was taken out of the series, once fitted.
        paths: store_id, step and level, once fitted; bounds beside it if they were asked for.
        fallbacks: store_id, model and reason of each model that failed on a series.
    """

    name: ClassVar[str] = "statistical"
    parts: ClassVar[tuple[ModuleType, ...]] = (effects_module, open_day_series, lookup_module)

    def __init__(
        self,
        settings: Settings,
        effects: Effects | None = None,
        paths: pd.DataFrame | None = None,
        fallbacks: pd.DataFrame | None = None,
    ) -> None:
        super().__init__(settings)
        self.effects = effects
        self.paths = paths
        self.fallbacks = fallbacks

    @property
    def paths(self) -> pd.DataFrame | None:
        """Each store's forecasts of its series: store_id, step, level, and bounds if any."""
        return self._paths

    @paths.setter
    def paths(self, paths: pd.DataFrame | None) -> None:
        self._paths = paths
        if paths is not None:
            values = [name for name in paths.columns if name not in PATH]
            self._steps = Lookup(paths, PATH, values)
            self._last_step = int(paths["step"].max())
            self._usual_level = float(paths["level"].median())

    @property
    def parameters(self) -> StatisticalSettings:
        """The models, and how far back effects and series go."""
        return self.settings.statistical

    @property
    def counts(self) -> dict[str, int]:
        """Series that a model failed on, and that took the seasonal naive instead."""
        return {"fallbacks": 0 if self.fallbacks is None else len(self.fallbacks)}

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Estimate the effects, then forecast each store's series of open days."""
        days = selling_days(known.history)
        self.effects = Effects.fit(days, cutoff, self.parameters.effect_days)
        said = forecast_paths(
            self.series(days),
            self.parameters.models,
            MAX_HORIZON,
            threads=self.settings.threads,
            cache=SeriesCache.of(self.settings),
        )
        self.paths, self.fallbacks = said.table, said.fallbacks
        if len(said.fallbacks):
            log.warning("%s: %s", self.name, _told(said.fallbacks))
        return self

    def fit_intervals(self, known: Frames) -> Self:
        """Add statsforecast's own conformal bounds to the paths, for comparison.

        Each model is refitted several times a series, which is why `fit` does not do it.
        """
        assert self.paths is not None, "fit comes first"
        series = self.series(selling_days(known.history))
        bounds = native_bounds(
            series, self.parameters.models, INTERVAL_STEPS, self.settings.threads
        )
        paths = self.paths.drop(columns=BOUNDS, errors="ignore")
        self.paths = paths.merge(bounds, "left", ["store_id", "step"])
        return self

    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Add a day's effects to the store's path at that many open days ahead.

        A row further ahead than the path takes the path's last value; a store without a path
        takes the chain's median.
        """
        assert self.effects is not None, "fit or load comes first"
        assert self.paths is not None, "fit or load comes first"
        level = self._at(asked, self._last_step)["level"]
        return np.where(np.isnan(level), self._usual_level, level) + self.effects.at(asked.rows)

    def predict_interval(self, asked: Frames) -> pd.DataFrame:
        """Return statsforecast's own bounds of each asked row in log EUR.

        A store without bounds of its own takes the chain's median width at that step.

        Returns:
            The columns lo_80, hi_80, lo_95, hi_95, in the order of the rows.
        """
        assert self.paths is not None, "fit or load comes first"
        assert set(BOUNDS) <= set(self.paths), "fit_intervals comes first"
        steps = asked.rows["open_days_ahead"].clip(1, INTERVAL_STEPS)
        chain = self.paths.groupby("step")[BOUNDS].median()
        median, own = self.predict(asked), self._at(asked, INTERVAL_STEPS)
        bounds = {}
        for bound in BOUNDS:
            others = steps.astype("int64").map(chain[bound]).to_numpy()
            bounds[bound] = median + np.where(np.isnan(own[bound]), others, own[bound])
        return pd.DataFrame(bounds)

    def _at(self, asked: Frames, last_step: int) -> dict[str, NDArray[np.float64]]:
        """Return what the paths say of each asked row; one further ahead takes the last step."""
        ahead = asked.rows["open_days_ahead"].to_numpy(dtype=np.int64)
        stores = asked.rows["store_id"].to_numpy()
        return self._steps.at({"store_id": stores, "step": ahead.clip(1, last_step)})

    def series(self, days: pd.DataFrame) -> Series:
        """Return each store's recent log sales without their effects, oldest first."""
        assert self.effects is not None, "fit or load comes first"
        rest = days["log_sales"].to_numpy() - self.effects.at(days)
        recent = self.parameters.days
        places = days.groupby("store_id").indices
        return {int(store): rest[rows][-recent:] for store, rows in places.items()}

    def save(self, directory: Path) -> None:
        """Write effects, paths and the models that failed as Parquet."""
        assert self.effects is not None, "fit comes first"
        assert self.paths is not None, "fit comes first"
        assert self.fallbacks is not None, "fit comes first"
        self.effects.save(directory)
        self.paths.to_parquet(directory / "paths.parquet", index=False)
        self.fallbacks.to_parquet(directory / "fallbacks.parquet", index=False)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read what `save` wrote."""
        return cls(
            settings,
            Effects.load(directory),
            pd.read_parquet(directory / "paths.parquet"),
            pd.read_parquet(directory / "fallbacks.parquet"),
        )


def _told(fallbacks: pd.DataFrame) -> str:
    stores = fallbacks["store_id"].unique()
    named = ", ".join(str(store) for store in stores[:NAMED_STORES])
    more = f" and {len(stores) - NAMED_STORES} more" if len(stores) > NAMED_STORES else ""
    first = fallbacks.iloc[0]
    return (
        f"the seasonal naive stands in on {len(stores)} series, stores {named}{more}; "
        f"{first['model']} on store {first['store_id']}: {first['reason']}"
    )
