"""statsforecast's models on open-day series, freed of weekday and promotion effects."""

from datetime import date
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsforecast import StatsForecast
from statsforecast.models import AutoETS, SeasonalNaive, Theta

from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.member import Member
from sales_assets.settings import MAX_HORIZON, Settings, StatisticalSettings

CELL = ["store_id", "weekday", "is_promo"]
# Two weeks of open days hold one round of the promotions' rhythm.
SEASON = 12
WEEKS = 52
TABLES = ("effects", "season", "paths")
# Below this many series the workers cost more than they save.
PARALLEL_SERIES = 300


class Statistical(Member):
    """The mean of SeasonalNaive, exponential smoothing and Theta, plus effects and season.

    Sales in logs, less the store's effect of weekday and promotion and the chain's season, form
    one evenly spaced series of open days a store (`unique_id`, `ds`, `y`). The models see neither
    promotions nor closed days, which is what they are poor at; effects and season come back when
    a day is forecast.

    Sources: Hyndman et al. (2008), Forecasting with Exponential Smoothing; Assimakopoulos and
    Nikolopoulos (2000), The theta model.
    """

    name: ClassVar[str] = "statistical"

    def __init__(
        self,
        settings: Settings,
        effects: pd.DataFrame | None = None,
        season: pd.DataFrame | None = None,
        paths: pd.DataFrame | None = None,
    ) -> None:
        super().__init__(settings)
        self.effects = effects
        self.season = season
        self.paths = paths

    @property
    def parameters(self) -> StatisticalSettings:
        """How far back effects and series go."""
        return self.settings.statistical

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Estimate the effects, then forecast each store's series of open days."""
        history = known.history
        days = history[history["is_open"] & (history["sales"] > 0)]
        days = days.assign(
            weekday=days["date"].dt.dayofweek + 1, log_sales=np.log(days["sales"].to_numpy())
        )
        self.effects = _effects(days, cutoff, self.parameters.effect_days)
        series = days.merge(self.effects, "inner", CELL)
        series = series.assign(y=series["log_sales"] - series["effect"])
        self.season = _season(series, cutoff)
        series["y"] -= _season_at(self.season, series["date"])
        self.paths = self._paths(series)
        return self

    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Add a day's effect to the store's path at that many open days ahead.

        A row further ahead than the path takes the path's last value; a store without a path
        takes the chain's median.
        """
        assert self.effects is not None, "fit or load comes first"
        assert self.season is not None, "fit or load comes first"
        assert self.paths is not None, "fit or load comes first"
        rows = asked.rows[[*CELL, "open_days_ahead"]]
        rows = rows.assign(step=rows["open_days_ahead"].clip(1, int(self.paths["step"].max())))
        levels = rows.merge(self.paths, "left", ["store_id", "step"])["level"]
        effects = rows.merge(self.effects, "left", CELL)["effect"]
        chain = self.effects.groupby(["weekday", "is_promo"], as_index=False)["effect"].median()
        fallback = rows.merge(chain, "left", ["weekday", "is_promo"])["effect"].fillna(0.0)
        log_level = levels.fillna(self.paths["level"].median()) + effects.fillna(fallback)
        return log_level.to_numpy() + _season_at(self.season, asked.rows["date"])

    def save(self, directory: Path) -> None:
        """Write effects, season and paths as Parquet."""
        for name in TABLES:
            getattr(self, name).to_parquet(directory / f"{name}.parquet", index=False)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read effects, season and paths."""
        tables = {name: pd.read_parquet(directory / f"{name}.parquet") for name in TABLES}
        return cls(settings, **tables)

    def _paths(self, series: pd.DataFrame) -> pd.DataFrame:
        recent = (
            series.sort_values(["store_id", "date"]).groupby("store_id").tail(self.parameters.days)
        )
        frame = pd.DataFrame(
            {
                "unique_id": recent["store_id"],
                "ds": recent.groupby("store_id").cumcount(),
                "y": recent["y"],
            }
        )
        forecasts = StatsForecast(
            models=[
                SeasonalNaive(season_length=SEASON),
                AutoETS(season_length=1, model="ANN"),
                Theta(season_length=1),
            ],
            freq=1,
            n_jobs=self._workers(frame["unique_id"].nunique()),
            fallback_model=SeasonalNaive(season_length=1),
        ).forecast(df=frame, h=MAX_HORIZON)
        models = [name for name in forecasts.columns if name not in ("unique_id", "ds")]
        return pd.DataFrame(
            {
                "store_id": forecasts["unique_id"],
                "step": forecasts.groupby("unique_id").cumcount() + 1,
                "level": forecasts[models].mean(axis=1),
            }
        )

    def _workers(self, series: int) -> int:
        return self.settings.threads if series > PARALLEL_SERIES else 1


def _effects(days: pd.DataFrame, cutoff: date, effect_days: int) -> pd.DataFrame:
    """Return each store's median log sales by weekday and promotion, about the store's own mean."""
    recent = days[days["date"] > pd.Timestamp(cutoff) - pd.Timedelta(days=effect_days)]
    level = recent.groupby("store_id")["log_sales"].transform("mean")
    return (
        recent.assign(effect=recent["log_sales"] - level)
        .groupby(CELL, as_index=False)["effect"]
        .median()
    )


def _season(series: pd.DataFrame, cutoff: date) -> pd.DataFrame:
    """Return the chain's yearly season in logs: one row for each of the 52 weeks up to the cutoff.

    Classical decomposition: the chain's weekly mean less its centred mean of a year, averaged
    over the years. A history of less than two years has no season that could be told from trend.
    """
    weeks_ago = (pd.Timestamp(cutoff) - series["date"]).dt.days // 7
    by_store = series["y"] - series.groupby("store_id")["y"].transform("mean")
    chain = by_store.groupby(weeks_ago).mean().sort_index(ascending=False)
    season = pd.Series(0.0, index=range(WEEKS))
    if len(chain) >= 2 * WEEKS:
        trend = chain.rolling(WEEKS + 1, center=True, min_periods=WEEKS // 2).mean()
        season = (chain - trend).groupby(chain.index % WEEKS).mean()
    week_end = [pd.Timestamp(cutoff) - pd.Timedelta(weeks=week) for week in season.index]
    return pd.DataFrame({"week_end": week_end, "season": (season - season.mean()).to_numpy()})


def _season_at(season: pd.DataFrame, days: pd.Series) -> NDArray[np.float64]:
    weeks_ago = (season["week_end"].iloc[0] - days).dt.days // 7
    values: NDArray[np.float64] = season["season"].to_numpy()[(weeks_ago % WEEKS).to_numpy()]
    return values
