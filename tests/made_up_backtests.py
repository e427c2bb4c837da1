"""Backtests whose errors are drawn as they are said to be."""

import numpy as np
import pandas as pd

QUIET, NOISY = (1, 2, 3), (11, 12, 13)
SPREAD = dict.fromkeys(QUIET, 0.08) | dict.fromkeys(NOISY, 0.2)


def generated(seed, windows=4, models=("baseline",), spread=SPREAD):
    """Return a backtest of quiet and noisy stores whose errors grow with the horizon."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [models, pd.date_range("2014-01-05", periods=windows, freq="42D"), spread, range(1, 43)],
        names=["model", "cutoff", "store_id", "h"],
    ).to_frame(index=False)
    scale = keys["store_id"].map(spread) * np.sqrt(1 + keys["h"] / 14)
    forecast = rng.uniform(2_000, 9_000, len(keys))
    return keys.assign(
        date=keys["cutoff"] + pd.to_timedelta(keys["h"], unit="D"),
        forecast=forecast,
        sales=forecast * np.exp(scale * rng.standard_normal(len(keys))),
    )
