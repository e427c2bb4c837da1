"""statsforecast's models on open-day series, judged on the backtest's windows.

`python -m benchmarks.statistical --home var` prints RMSPE by window and core-seconds a thousand
series for each candidate and a few means of them, then the coverage and width of statsforecast's
own intervals beside ours. `--source` reads Kaggle's files instead of a refreshed home.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import windows
from sales_assets.forecasting import features, metrics
from sales_assets.forecasting.conformal import cross_calibrated
from sales_assets.forecasting.effects import Effects, selling_days
from sales_assets.forecasting.frames import LABEL, Frames, read_frames
from sales_assets.forecasting.open_day_series import forecast_paths, label
from sales_assets.forecasting.statistical import Statistical
from sales_assets.settings import LEVELS, MAX_HORIZON, Settings, StatisticalModel

CANDIDATES: dict[str, dict[str, object]] = {
    "SeasonalNaive 12": {"name": "SeasonalNaive", "season_length": 12},
    "mean of 24": {"name": "WindowAverage", "window_size": 24},
    "mean of 72": {"name": "WindowAverage", "window_size": 72},
    "mean of 144": {"name": "WindowAverage", "window_size": 144},
    "SES 0.03": {"name": "SimpleExponentialSmoothing", "alpha": 0.03},
    "SES 0.05": {"name": "SimpleExponentialSmoothing", "alpha": 0.05},
    "ETS ANN": {"name": "AutoETS", "season_length": 1, "model": "ANN"},
    "ETS AAN damped": {"name": "AutoETS", "season_length": 1, "model": "AAN", "damped": True},
    "ETS ANA 12": {"name": "AutoETS", "season_length": 12, "model": "ANA"},
    "AutoETS": {"name": "AutoETS", "season_length": 1},
    "AutoCES": {"name": "AutoCES", "season_length": 1},
    "Theta": {"name": "Theta", "season_length": 1},
    "DynamicOptimizedTheta": {"name": "DynamicOptimizedTheta", "season_length": 1},
    "ARIMA 101": {"name": "ARIMA", "order": [1, 0, 1]},
    "ARIMA 111": {"name": "ARIMA", "order": [1, 1, 1]},
    "MSTL 12": {"name": "MSTL", "season_length": 12},
    "AutoARIMA": {"name": "AutoARIMA", "season_length": 1},
}
COMBINATIONS = (
    ("SeasonalNaive 12", "ETS ANN", "Theta"),
    ("ETS ANN", "Theta"),
    ("ETS ANN", "mean of 72"),
    ("ETS ANN", "SES 0.03"),
    ("ETS ANN", "mean of 24", "mean of 72"),
    ("SES 0.05", "mean of 24", "mean of 72"),
    ("SES 0.05", "mean of 24", "ARIMA 101"),
    ("ARIMA 111", "mean of 24", "mean of 72"),
    ("AutoETS", "mean of 24", "mean of 72"),
    ("ETS ANN", "SES 0.05", "mean of 24", "mean of 72"),
)


def compare(
    frames: Frames,
    cutoffs: list[date],
    settings: Settings,
    candidates: Mapping[str, Mapping[str, object]],
    combinations: tuple[tuple[str, ...], ...],
) -> pd.DataFrame:
    """Return a row for each candidate and each mean of some: RMSPE by cutoff, core-seconds.

    Core-seconds are those of a thousand series at one cutoff, effects not counted.
    """
    scores: dict[str, dict[str, float]] = {}
    seconds = dict.fromkeys(candidates, 0.0)
    for cutoff in cutoffs:
        days = selling_days(frames.known_at(cutoff).history)
        asked = frames.asked_at(cutoff)
        effects = Effects.fit(days, cutoff, settings.statistical.effect_days)
        series = Statistical(settings, effects).series(days)
        said = {}
        for name, candidate in candidates.items():
            started = time.process_time()
            model = StatisticalModel.model_validate(candidate)
            paths = forecast_paths(series, [model], MAX_HORIZON)
            spent = (time.process_time() - started) * 1000 / len(series) / len(cutoffs)
            seconds[name] += spent
            said[name] = Statistical(settings, effects, paths.table).predict(asked)
        means = {" + ".join(names): names for names in combinations}
        for name, names in {**{name: (name,) for name in candidates}, **means}.items():
            log_forecast = np.mean([said[each] for each in names], axis=0)
            row = scores.setdefault(name, {})
            row[str(cutoff)] = _rmspe(asked, log_forecast)
            row["core_s"] = sum(seconds[each] for each in names)
    table = pd.DataFrame.from_dict(scores, orient="index")
    windows = [str(cutoff) for cutoff in cutoffs]
    table["mean"] = table[windows].mean(axis=1)
    return table[[*windows, "mean", "core_s"]].sort_values("mean")


def compare_intervals(frames: Frames, cutoffs: list[date], settings: Settings) -> pd.DataFrame:
    """Return coverage and mean width, relative to the forecast, of native intervals and ours.

    Ours are calibrated on the other windows; statsforecast's on each series before the cutoff.
    """
    windows = []
    for cutoff in cutoffs:
        known, asked = frames.known_at(cutoff), frames.asked_at(cutoff)
        member = Statistical(settings).fit(known, cutoff).fit_intervals(known)
        rows = asked.rows[["cutoff", "store_id", "date", "h"]].reset_index(drop=True)
        native = np.exp(member.predict_interval(asked)).add_prefix("native_")
        windows.append(
            pd.concat([rows, native], axis=1).assign(
                model=member.name,
                sales=_sales(asked),
                forecast=np.exp(member.predict(asked)),
            )
        )
    judged = pd.concat(windows, ignore_index=True)
    ours = cross_calibrated(judged[judged["sales"].notna()])
    table = []
    for who, prefix in (("statsforecast", "native_"), ("ours", "")):
        for level in LEVELS:
            lo, hi = ours[f"{prefix}lo_{level}"], ours[f"{prefix}hi_{level}"]
            table.append(
                {
                    "intervals": who,
                    "level": level,
                    "coverage": metrics.coverage(
                        ours["sales"].to_numpy(), lo.to_numpy(), hi.to_numpy()
                    ),
                    "mean_width": float(((hi - lo) / ours["forecast"]).mean()),
                }
            )
    return pd.DataFrame(table)


def _sales(asked: Frames) -> np.ndarray:
    return np.exp(asked.rows[LABEL].to_numpy(dtype=np.float64))


def _rmspe(asked: Frames, log_forecast: np.ndarray) -> float:
    sales = _sales(asked)
    is_selling = np.isfinite(sales)
    return metrics.rmspe(sales[is_selling], np.exp(log_forecast[is_selling]))


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Settings.load().home)
    parser.add_argument("--source", type=Path, help="Kaggle's files, instead of a home.")
    parser.add_argument("--slow", action="store_true", help="MSTL and AutoARIMA too.")
    arguments = parser.parse_args()
    settings = Settings.load().model_copy(update={"home": arguments.home, "cache_megabytes": 0})
    with tempfile.TemporaryDirectory() as scratch:
        data = (
            windows.from_source(arguments.source, settings, Path(scratch))
            if arguments.source
            else windows.from_home(settings)
        )
        with data as con:
            features.build_training(con, settings)
            frames = read_frames(con, "features.training")
            cutoffs = features.backtest_cutoffs(features.last_sales_day(con), settings)
    slow = {"MSTL 12", "AutoARIMA"}
    candidates = {
        name: model for name, model in CANDIDATES.items() if arguments.slow or name not in slow
    }
    print("RMSPE by cutoff, and core-seconds a thousand series\n")
    table = compare(frames, cutoffs, settings, candidates, COMBINATIONS)
    print(table.round({column: 1 if column == "core_s" else 4 for column in table}).to_string())
    used = ", ".join(label(model) for model in settings.statistical.models)
    print(f"\nIntervals around the mean of {used}\n")
    print(compare_intervals(frames, cutoffs, settings).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
