"""What LightGBM should minimise: its settings kept, the loss changed, judged by the backtest.

A loss on sales in EUR gets as fair a start as the loss on logs: the target is sales over the level
that the member starts from (`Reference.at`), so that every model corrects the same, and each row is
weighted so that the loss is exactly the one on sales. With a that level in EUR, (y - f)² =
a² (y/a - f/a)², |y - f| = a |y/a - f/a|, and Tweedie's deviance of power p scales by a^(2-p). An
initial score of the level instead would leave the trees to learn, in EUR and for each store anew,
that a promotion adds a share.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from sales_assets.forecasting import metrics, point
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.forecasting.studies.windows import Array, Terms, Window, boosted, windows
from sales_assets.settings import Settings

log = logging.getLogger("sales_assets.studies")

TWEEDIE_POWER = 1.5
# Errors beyond a tenth of the level count linearly.
HUBER_DELTA = 0.1
# A squared loss may forecast less than nothing; no ratio that was ever seen is below this.
SMALLEST_RATIO = 0.01
PLATFORM = "l2_log"
COLUMNS = [
    "model", "loss", "point", "cutoff", "days", "rmspe", "wape", "log_bias", "log_spread",
    "volume_error", "factor", "seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Loss:
    """A loss, and the weights that make it a loss on sales when the target is sales / level.

    Attributes:
        name: Its name in the table.
        parameters: LightGBM's objective and what belongs to it.
        weight: From the level (EUR) and the ratio of sales to it; none: the target is the log.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    weight: Callable[[Array, Array], Array] | None = None

    def forecast(self, window: Window, settings: Settings) -> Array:
        """Fit as of the window's cutoff and return the forecasts of its days, in EUR."""
        if self.weight is None:
            booster = boosted(window, settings, Terms(parameters=self.parameters))
            return np.exp(window.asked_reference + _predicted(booster, window))
        ratio = np.exp(window.known_log_ratio)
        weight = self.weight(np.exp(window.known_reference), ratio)
        # Of mean 1, so that the L2 penalty on leaves means the same under every loss.
        terms = Terms(label=ratio, weight=weight / weight.mean(), parameters=self.parameters)
        predicted = _predicted(boosted(window, settings, terms), window)
        forecast: Array = np.exp(window.asked_reference) * np.maximum(predicted, SMALLEST_RATIO)
        return forecast


LOSSES = (
    Loss(PLATFORM, {"objective": "regression"}),
    Loss("l2_sales", {"objective": "regression"}, lambda level, ratio: level**2),
    Loss("l1_sales", {"objective": "regression_l1"}, lambda level, ratio: level),
    Loss(
        "huber_sales",
        {"objective": "huber", "alpha": HUBER_DELTA},
        lambda level, ratio: level**2,
    ),
    Loss(
        "tweedie_sales",
        {"objective": "tweedie", "tweedie_variance_power": TWEEDIE_POWER},
        lambda level, ratio: level ** (2 - TWEEDIE_POWER),
    ),
    Loss("quantile_50", {"objective": "quantile", "alpha": 0.5}, lambda level, ratio: level),
    Loss("rmspe_l2", {"objective": "regression"}, lambda level, ratio: ratio**-2),
)


def run(
    frames: Frames, cutoffs: list[date], settings: Settings, backtest: pd.DataFrame
) -> pd.DataFrame:
    """Return the scores of each loss, and of the platform's forecasts times their factors.

    Args:
        frames: The training rows; those at the cutoffs cover every day of their horizon.
        cutoffs: Where the history is cut, oldest first.
        settings: LightGBM's are those used.
        backtest: `models.backtest`, for the ensemble's rows.

    Returns:
        One row a (model, loss, point, cutoff) with the columns `COLUMNS`; without a cutoff: all.
        Factors of a window come from the residuals of the other windows.
    """
    forecasts = _forecasts(frames, cutoffs, settings)
    ensemble = backtest[backtest["model"] == ENSEMBLE].assign(loss=PLATFORM, seconds=np.nan)
    platform = forecasts[forecasts["loss"] == PLATFORM]
    parts = [forecasts.assign(point=point.MEDIAN, factor=1.0)]
    parts += [moved(platform, name) for name in point.POINTS]
    parts += [moved(ensemble, name) for name in (point.MEDIAN, *point.POINTS)]
    return scored(pd.concat(parts, ignore_index=True))


def moved(forecasts: pd.DataFrame, to: str) -> pd.DataFrame:
    """Return one model's forecasts times factors, each window's estimated on the others."""
    residuals = np.log(forecasts["sales"]) - np.log(forecasts["forecast"])
    judged_at = forecasts["cutoff"]
    by_window = {
        cutoff: point.factor(residuals[judged_at != cutoff], judged_at[judged_at != cutoff], to)
        for cutoff in judged_at.unique()
    }
    factor = judged_at.map(by_window)
    return forecasts.assign(forecast=forecasts["forecast"] * factor, point=to, factor=factor)


def scored(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of forecasts by model, loss and point: of each window, and of all."""
    rows = []
    for grouping in (["cutoff"], []):
        for key, days in forecasts.groupby(["model", "loss", "point", *grouping], sort=False):
            keys = dict(zip(["model", "loss", "point", *grouping], key, strict=True))
            rows.append({"cutoff": pd.NaT, **keys, **_scores(days)})
    return pd.DataFrame(rows)[COLUMNS]


def _scores(days: pd.DataFrame) -> dict[str, float]:
    y, f = days["sales"].to_numpy(), days["forecast"].to_numpy()
    errors = np.log(f) - np.log(y)
    return {
        "days": len(days),
        "rmspe": metrics.rmspe(y, f),
        "wape": metrics.wape(y, f),
        "log_bias": float(errors.mean()),
        "log_spread": float(errors.std()),
        "volume_error": metrics.bias(y, f),
        "factor": float(days["factor"].mean()),
        "seconds": float(days.drop_duplicates("cutoff")["seconds"].sum(min_count=1)),
    }


def _forecasts(frames: Frames, cutoffs: list[date], settings: Settings) -> pd.DataFrame:
    parts = []
    for window in windows(frames, cutoffs):
        for loss in LOSSES:
            started = time.perf_counter()
            forecast = loss.forecast(window, settings)
            seconds = time.perf_counter() - started
            log.info(
                "loss study from %s: %s RMSPE %.4f, volume %+.1f %%, %.0f s",
                window.cutoff, loss.name, metrics.rmspe(window.sales, forecast),
                100 * metrics.bias(window.sales, forecast), seconds,
            )  # fmt: skip
            parts.append(
                window.keys.assign(
                    model=LightGBM.name,
                    loss=loss.name,
                    sales=window.sales,
                    forecast=forecast,
                    seconds=seconds,
                )
            )
    return pd.concat(parts, ignore_index=True)


def _predicted(booster: Any, window: Window) -> Array:
    predicted: Array = booster.predict(window.asked, num_threads=1)
    return predicted
