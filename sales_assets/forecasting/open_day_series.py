"""The one door to statsforecast: series of open days in, paths of their models out.

Each model is fitted to each series on its own, so that one that fails takes nothing with it: the
seasonal naive stands in for it there, and the failure is told by name.
"""

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import statsforecast.models
from joblib import Parallel, delayed
from numpy.typing import NDArray
from statsforecast.utils import ConformalIntervals
from threadpoolctl import threadpool_limits

from sales_assets.errors import SalesError
from sales_assets.forecasting.series_cache import Entry, SeriesCache
from sales_assets.settings import BOUNDS, LEVELS, StatisticalModel

log = logging.getLogger("sales_assets.models")

# Two weeks of open days hold one round of the promotions' rhythm.
SEASON = 12
SHARD = 32
# Workers import statsforecast first, so work of fewer core-seconds than this is done here.
WORTH_WORKERS_S = 30.0
# Refits behind native intervals at most, and the days that the first of them has to learn from.
CONFORMAL_WINDOWS = 7
CONFORMAL_DAYS = 100
# Raised when a change here may change a path, so that nothing older is taken from a cache.
REVISION = 2

Series = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Paths:
    """What the models said of each series.

    Attributes:
        table: store_id, step (1 to h open days ahead) and level, the mean of the models.
        fallbacks: store_id, model and reason, one row for each model that failed on a series.
        hits: How many paths came from the cache.
    """

    table: pd.DataFrame
    fallbacks: pd.DataFrame
    hits: int


def forecast_paths(
    series: Series,
    models: Sequence[StatisticalModel],
    h: int,
    *,
    threads: int = 1,
    cache: SeriesCache | None = None,
) -> Paths:
    """Forecast every series by every model, and take the mean over models.

    Args:
        series: Values by store, oldest first, one or more each.
        models: The models of the settings.
        h: Steps ahead.
        threads: Processes at most; the result does not depend on it.
        cache: Where paths are looked up and kept, if anywhere.

    Raises:
        SalesError: A model's constructor refuses its parameters.
    """
    build(models)
    tasks = [(store, model) for store in sorted(series) for model in models]
    keys = [series_key(series[store], model, h) for store, model in tasks]
    found = cache.take(keys) if cache else {}
    missing = [place for place, key in enumerate(keys) if key not in found]
    work = [(series[tasks[place][0]], tasks[place][1], h) for place in missing]
    fitted = dict(zip((keys[place] for place in missing), _fit_all(work, threads), strict=True))
    if cache:
        cache.keep(fitted)
    entries = [found[key] if key in found else fitted[key] for key in keys]
    fallbacks = pd.DataFrame(
        [
            {"store_id": store, "model": label(model), "reason": entry.failure}
            for (store, model), entry in zip(tasks, entries, strict=True)
            if entry.failure
        ],
        columns=["store_id", "model", "reason"],
    ).astype({"store_id": "int64", "model": "str", "reason": "str"})
    paths = np.array([entry.path for entry in entries]).reshape(len(series), len(models), h)
    table = pd.DataFrame(
        {
            "store_id": np.repeat(np.array(sorted(series), dtype=np.int64), h),
            "step": np.tile(np.arange(1, h + 1), len(series)),
            "level": paths.mean(axis=1).ravel(),
        }
    )
    return Paths(table, fallbacks, len(keys) - len(missing))


def native_bounds(
    series: Series, models: Sequence[StatisticalModel], h: int, threads: int = 1
) -> pd.DataFrame:
    """Return statsforecast's own conformal bounds, about the path, the mean over models.

    Every model is refitted up to `CONFORMAL_WINDOWS` times a series; a series too short for two
    windows of h steps after `CONFORMAL_DAYS` has no bounds, nor has one that a model fails on.

    Returns:
        store_id, step and the columns lo_80, hi_80, lo_95, hi_95, relative to the path.
    """
    stores = sorted(series)
    work = [(series[store], tuple(models), h) for store in stores]
    bounds = [
        frame.assign(store_id=store)
        for store, frame in zip(stores, _in_shards(_bounds_of, work, threads), strict=True)
        if frame is not None
    ]
    columns = ["store_id", "step", *BOUNDS]
    return pd.concat(bounds)[columns] if bounds else pd.DataFrame(columns=columns, dtype="float64")


def build(models: Sequence[StatisticalModel], **also: object) -> list[Any]:
    """Return statsforecast's models as they are set.

    Raises:
        SalesError: A constructor refuses a parameter's value.
    """
    built = []
    for model in models:
        try:
            built.append(getattr(statsforecast.models, model.name)(**model.parameters, **also))
        except Exception as error:
            raise SalesError(
                f"SALES_STATISTICAL__MODELS cannot be used: {label(model)} says {error}"
            ) from error
    return built


def label(model: StatisticalModel) -> str:
    """Return a model as it would be written: AutoETS(season_length=12)."""
    parameters = ", ".join(f"{name}={value!r}" for name, value in model.parameters.items())
    return f"{model.name}({parameters})"


def series_key(values: NDArray[np.float64], model: StatisticalModel, h: int) -> str:
    """Return the hash of all that decides a path: values, model, steps and library."""
    said = json.dumps([model.model_dump(), h, version("statsforecast"), version("numpy"), REVISION])
    return hashlib.sha256(said.encode() + b"\0" + values.astype("<f8").tobytes()).hexdigest()


def seasonal_naive(values: NDArray[np.float64], h: int) -> NDArray[np.float64]:
    """Repeat the last season; of a series shorter than one, its mean."""
    if len(values) < SEASON:
        return np.full(h, values.mean())
    return np.resize(values[-SEASON:], h)


def _fit_all(
    work: list[tuple[NDArray[np.float64], StatisticalModel, int]], threads: int
) -> list[Entry]:
    return _in_shards(_entry_of, work, threads)


def _in_shards(function: Any, work: list, threads: int) -> list:
    """Apply a function to all pieces of work, in processes if the first shard says it pays."""
    if not work:
        return []
    started = time.process_time()
    done = _shard(function, work[:SHARD])
    rest = [work[first : first + SHARD] for first in range(SHARD, len(work), SHARD)]
    expected_s = (time.process_time() - started) * len(rest)
    workers = threads if expected_s >= WORTH_WORKERS_S else 1
    shards = Parallel(n_jobs=workers)(delayed(_shard)(function, shard) for shard in rest)
    return [*done, *(result for shard in shards for result in shard)]


def _shard(function: Any, work: list) -> list:
    # One thread of linear algebra, wherever it runs: sums in another order have other bits.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [function(*piece) for piece in work]


def _entry_of(values: NDArray[np.float64], model: StatisticalModel, h: int) -> Entry:
    try:
        (built,) = build([_no_longer_than(model, len(values))])
        path = np.asarray(built.forecast(y=values.copy(), h=h)["mean"], dtype=np.float64)
    except Exception as error:
        return Entry(seasonal_naive(values, h), f"{type(error).__name__}: {error}")
    if path.shape != (h,) or not np.isfinite(path).all():
        few = f"the forecast from {len(values)} open days is not finite"
        return Entry(seasonal_naive(values, h), few)
    return Entry(path, "")


def _no_longer_than(model: StatisticalModel, days: int) -> StatisticalModel:
    """Return the model; a mean of more days than a young store has is that of those it has."""
    if model.name != "WindowAverage" or model.parameters["window_size"] <= days:
        return model
    return StatisticalModel(**{**model.model_dump(), "window_size": days})


def _bounds_of(
    values: NDArray[np.float64], models: tuple[StatisticalModel, ...], h: int
) -> pd.DataFrame | None:
    total = np.zeros((h, len(BOUNDS)))
    windows = min(CONFORMAL_WINDOWS, (len(values) - CONFORMAL_DAYS) // h)
    if windows < 2:
        return None
    for model in build(models, prediction_intervals=ConformalIntervals(windows, h)):
        try:
            said = model.forecast(y=values.copy(), h=h, level=list(LEVELS))
        except Exception as error:
            log.debug("no native interval of %s: %s", model, error)
            return None
        total += np.column_stack([said[name.replace("_", "-")] - said["mean"] for name in BOUNDS])
    if not np.isfinite(total).all():
        return None
    frame = pd.DataFrame(total / len(models), columns=BOUNDS)
    frame.insert(0, "step", np.arange(1, h + 1))
    return frame
