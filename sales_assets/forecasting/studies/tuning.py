"""Hyper-parameters found by Optuna on the backtest's windows, from where it was left last time.

Trials are kept in an SQLite file, which survives a kill at any moment: what was under way then is
marked as failed and tried again. A study belongs to its data, cutoffs and fixed settings; other
data begin another study, and the old one stays in the table.

Searched is what fits into the time of a refresh: the number of trees stays as it is set, and what
else makes a fit slower is bounded.

Source: Akiba et al. (2019), Optuna: a next-generation hyperparameter optimization framework.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, Trial, TrialState

from sales_assets.forecasting import metrics
from sales_assets.forecasting.backtest import member_recipe
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.frames import LABEL, Frames, feature_names
from sales_assets.forecasting.model_store import fingerprint_of
from sales_assets.settings import LightGBMSettings, RandomForestSettings, Settings

log = logging.getLogger("sales_assets.studies")

FILE = "trials.sqlite"
TUNED = ("lightgbm", "random_forest")
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# Trials that run to the end before others are measured against them.
UNPRUNED_TRIALS = 5
# A logarithmic range has no zero.
SMALLEST_L2 = 0.001
COLUMNS = [
    "model", "study", "is_latest", "trial", "state", "value", "is_best", "fold_values",
    "parameters", "seconds",
]  # fmt: skip


def run(
    frames: Frames, cutoffs: list[date], data: str, settings: Settings, directory: Path
) -> pd.DataFrame:
    """Tune until every model has its trials or the time is up, and return all trials there are.

    Args:
        frames: The training rows; those at the cutoffs cover every day of their horizon.
        cutoffs: The folds, oldest first; every trial refits as of each.
        data: Fingerprint of the data behind the frames.
        settings: `studies.trials` and `studies.minutes` are the budget.
        directory: Where trials are kept.

    Returns:
        One row a (model, study, trial) with the columns `COLUMNS`. `value` is the mean RMSPE of
        the folds (a pruned trial's: of those it got to), `parameters` are settings as JSON.
    """
    directory.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{directory.absolute() / FILE}")
    started = time.monotonic()
    latest = []
    for place, model in enumerate(TUNED):
        # What one model leaves of its share of the time goes to the next.
        share = 60 * settings.studies.minutes * (place + 1) / len(TUNED)
        study = _study(model, frames, cutoffs, data, settings, storage)
        _tune(study, model, frames, cutoffs, settings, deadline=started + share)
        latest.append(study.study_name)
    return _trials(storage, latest)


def _trials(storage: optuna.storages.BaseStorage, latest: list[str]) -> pd.DataFrame:
    """Return every trial of every study in the storage, and which studies are those of now."""
    rows = []
    for name in sorted(optuna.get_all_study_names(storage)):
        study = optuna.load_study(study_name=name, storage=storage)
        best = _best(study)
        # A trial that is only waiting has not been tried.
        for trial in study.get_trials(states=(*FINISHED, TrialState.FAIL)):
            rows.append(
                {
                    "model": study.user_attrs["model"],
                    "study": name,
                    "is_latest": name in latest,
                    "trial": trial.number,
                    "state": trial.state.name.lower(),
                    "value": trial.value,
                    "is_best": best is not None and trial.number == best.number,
                    "fold_values": json.dumps(trial.user_attrs.get("folds", {})),
                    "parameters": json.dumps(trial.user_attrs.get("settings", {})),
                    "seconds": trial.duration.total_seconds() if trial.duration else None,
                }
            )
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"value": "float64", "seconds": "float64", "is_best": "bool"})


def _tune(
    study: optuna.Study,
    model: str,
    frames: Frames,
    cutoffs: list[date],
    settings: Settings,
    deadline: float,
) -> None:
    def objective(trial: Trial) -> float:
        return _mean_error(trial, model, frames, cutoffs, settings)

    while (done := _finished(study)) < settings.studies.trials and time.monotonic() < deadline:
        # With one seed alone, a study that goes on would draw its first random trials again.
        study.sampler = optuna.samplers.TPESampler(seed=settings.seed + len(study.trials))
        study.optimize(objective, n_trials=1)
        last, best = study.trials[-1], _best(study)
        log.info(
            "tuning %s: trial %d of %d %s, RMSPE %.4f, best %.4f, %.0f s",
            model, done + 1, settings.studies.trials, last.state.name.lower(),
            last.value if last.value is not None else float("nan"),
            best.value if best else float("nan"),
            last.duration.total_seconds() if last.duration else float("nan"),
        )  # fmt: skip


def _study(
    model: str,
    frames: Frames,
    cutoffs: list[date],
    data: str,
    settings: Settings,
    storage: optuna.storages.BaseStorage,
) -> optuna.Study:
    """Return the study of these data and settings, begun or continued."""
    recipe = member_recipe(MEMBERS[model], settings, feature_names(frames.rows))
    decides = fingerprint_of(data, cutoffs, recipe)
    study = optuna.create_study(
        study_name=f"{model}-{decides[:8]}",
        storage=storage,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS),
        load_if_exists=True,
    )
    study.set_user_attr("model", model)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        # Once only: a trial that the machine kills may be the one that it has no memory for.
        if not trial.user_attrs.get("is_second_try"):
            study.enqueue_trial(trial.params, user_attrs={"is_second_try": True})
    if not study.trials:
        # The settings of now come first: nothing is called better that was not compared to them.
        study.enqueue_trial(_as_trial(model, settings))
    return study


def _mean_error(
    trial: Trial, model: str, frames: Frames, cutoffs: list[date], settings: Settings
) -> float:
    chosen = SPACES[model](trial, settings)
    trial.set_user_attr("settings", chosen.model_dump())
    tried = settings.model_copy(update={model: chosen})
    folds: dict[str, float] = {}
    for step, cutoff in enumerate(cutoffs):
        asked = frames.asked_at(cutoff)
        fitted = MEMBERS[model](tried).fit(frames.known_at(cutoff), cutoff)
        forecast = np.exp(fitted.predict(asked))
        sales = np.exp(asked.rows[LABEL].to_numpy(dtype=np.float64))
        sold = ~np.isnan(sales)
        folds[str(cutoff)] = metrics.rmspe(sales[sold], forecast[sold])
        trial.set_user_attr("folds", folds)
        mean = float(np.mean(list(folds.values())))
        trial.report(mean, step)
        if cutoff != cutoffs[-1] and trial.should_prune():
            raise optuna.TrialPruned
    return mean


def _lightgbm(trial: Trial, settings: Settings) -> LightGBMSettings:
    # Rounds are what a refresh has time for: more of them at a lower rate are seldom worse.
    now = settings.lightgbm
    half_lives = sorted({180, 365, 730, now.half_life_days} - {None}, key=lambda days: days or 0)
    return now.model_copy(
        update={
            "learning_rate": _rounded(
                trial.suggest_float(
                    "learning_rate", *_around(now.learning_rate, 0.02, 0.12), log=True
                )
            ),
            "leaves": trial.suggest_int("leaves", *_around(now.leaves, 12, 64), log=True),
            "min_rows_in_leaf": trial.suggest_int(
                "min_rows_in_leaf", *_around(now.min_rows_in_leaf, 10, 400), log=True
            ),
            "feature_share": _rounded(
                trial.suggest_float("feature_share", *_around(now.feature_share, 0.15, 0.8))
            ),
            "row_share": _rounded(
                trial.suggest_float("row_share", *_around(now.row_share, 0.4, 1.0))
            ),
            "l2": _rounded(
                trial.suggest_float("l2", *_around(max(now.l2, SMALLEST_L2), 0.1, 100.0), log=True)
            ),
            "half_life_days": trial.suggest_categorical("half_life_days", [None, *half_lives]),
        }
    )


def _random_forest(trial: Trial, settings: Settings) -> RandomForestSettings:
    # More trees are never worse, only slower: their number is not tuned. Neither are rows and
    # features beyond what a refresh has time for.
    now = settings.random_forest
    return now.model_copy(
        update={
            "min_samples_leaf": trial.suggest_int(
                "min_samples_leaf", *_around(now.min_samples_leaf, 1, 20), log=True
            ),
            "max_features": _rounded(
                trial.suggest_float("max_features", *_around(now.max_features, 0.05, 0.5))
            ),
            "rows_per_tree": trial.suggest_int(
                "rows_per_tree", *_around(now.rows_per_tree, 10_000, 60_000), log=True
            ),
        }
    )


SPACES: dict[str, Callable[[Trial, Settings], Any]] = {
    "lightgbm": _lightgbm,
    "random_forest": _random_forest,
}


def _as_trial(model: str, settings: Settings) -> dict[str, Any]:
    """Return the settings of now as a trial's parameters."""
    now = getattr(settings, model)
    values: dict[str, Any] = now.model_dump()
    del values["trees"]
    if isinstance(now, LightGBMSettings):
        values["l2"] = max(now.l2, SMALLEST_L2)
        del values["seeds"]
    return values


def _rounded(value: float) -> float:
    """Return three significant digits, which is how settings are written down."""
    return float(f"{value:.3g}")


def _around(value: float, low: float, high: float) -> tuple[Any, Any]:
    """Return a range that holds the present value whatever it is."""
    return min(value, low), max(value, high)


def _finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=FINISHED))


def _best(study: optuna.Study) -> FrozenTrial | None:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return min(complete, key=lambda trial: (trial.value, trial.number), default=None)
