"""Two windows of the small chain, and settings that fit in a moment."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.studies.windows import Window, windows
from sales_assets.settings import Settings


@pytest.fixture(scope="package")
def tiny(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "lightgbm": settings.lightgbm.model_copy(update={"trees": 8}),
            "random_forest": settings.random_forest.model_copy(
                update={"trees": 3, "rows_per_tree": 500}
            ),
            "studies": settings.studies.model_copy(
                update={"ablation_trees": 5, "rows": 80, "repeats": 2, "trials": 3}
            ),
        }
    )


@pytest.fixture(scope="package")
def both(training: Frames, cutoffs: list[date]) -> list[Window]:
    return list(windows(training, cutoffs))


@pytest.fixture(scope="package")
def ensemble(both: list[Window]) -> pd.DataFrame:
    """A backtest of an ensemble whose forecasts are medians of what was sold."""
    rng = np.random.default_rng(4)
    return pd.concat(
        [
            window.keys.assign(
                model="ensemble",
                sales=window.sales * np.exp(rng.normal(0, 0.2, len(window.sales))),
                forecast=window.sales,
            )
            for window in both
        ],
        ignore_index=True,
    )
