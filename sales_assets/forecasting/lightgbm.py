"""Gradient-boosted trees, with the store as a native category."""

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting import effects as effects_module
from sales_assets.forecasting import lookup as lookup_module
from sales_assets.forecasting import places as places_module
from sales_assets.forecasting import reference as reference_module
from sales_assets.forecasting.frames import CATEGORIES, LABEL, Frames
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.places import Places
from sales_assets.forecasting.reference import Reference
from sales_assets.settings import LightGBMSettings, Settings

CATEGORICAL = [*CATEGORIES, "store_id"]


def recency_weights(
    days: pd.Series, cutoff: date, half_life_days: int | None
) -> NDArray[np.float64]:
    """Return how much each row counts: 1 at the cutoff, half as much every half-life before it.

    Args:
        days: The rows' own dates, the ones that are forecast, none after the cutoff.
        cutoff: Last day that is learnt from.
        half_life_days: None lets all rows count alike.
    """
    if half_life_days is None:
        return np.ones(len(days))
    age = (pd.Timestamp(cutoff) - days).dt.days.to_numpy(dtype=np.float64)
    weights: NDArray[np.float64] = 0.5 ** (age / half_life_days)
    return weights


class LightGBM(Member):
    """LightGBM on log sales relative to anchor and calendar, averaged over seeds."""

    name: ClassVar[str] = "lightgbm"
    parts: ClassVar[tuple[ModuleType, ...]] = (
        effects_module, reference_module, lookup_module, places_module,
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        boosters: list[Any] | None = None,
        reference: Reference | None = None,
        places: Places | None = None,
    ) -> None:
        super().__init__(settings)
        self.boosters: list[Any] = boosters or []
        self.reference = reference
        self.places = places

    @property
    def parameters(self) -> LightGBMSettings:
        """Size and shrinkage of the boosters."""
        return self.settings.lightgbm

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Boost on every learnable row with a known anchor; the reference is the initial score."""
        rows = known.rows[known.rows["anchor"].notna()]
        self.reference = Reference.fit(Frames(rows, known.history), cutoff)
        self.places = Places.learn(rows)
        data = lightgbm.Dataset(
            self.places.matrix_of(rows),
            label=rows[LABEL].to_numpy(dtype=np.float64) - self.reference.at(rows),
            weight=recency_weights(rows["date"], cutoff, self.parameters.half_life_days),
            categorical_feature=CATEGORICAL,
            free_raw_data=False,
        )
        self.boosters = [
            lightgbm.train(self.params(seed), data, num_boost_round=self.parameters.trees)
            for seed in range(self.settings.seed, self.settings.seed + self.parameters.seeds)
        ]
        return self

    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Add what the boosters say to the reference."""
        assert self.reference is not None, "fit or load comes first"
        assert self.places is not None, "fit or load comes first"
        # As an array: a frame's columns would be looked at again by each booster.
        matrix = self.places.matrix(asked).to_numpy()
        ratios = [booster.predict(matrix, num_threads=1) for booster in self.boosters]
        return self.reference.at(asked.rows) + np.mean(ratios, axis=0)

    def save(self, directory: Path) -> None:
        """Write each booster in LightGBM's own text format, the reference and the stores."""
        assert self.reference is not None, "fit comes first"
        assert self.places is not None, "fit comes first"
        for number, booster in enumerate(self.boosters):
            booster.save_model(directory / f"booster_{number:03d}.txt")
        self.reference.save(directory)
        self.places.save(directory)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read the boosters, the reference and the stores."""
        files = sorted(directory.glob("booster_*.txt"))
        boosters = [lightgbm.Booster(model_file=file) for file in files]
        return cls(settings, boosters, Reference.load(directory), Places.load(directory))

    def params(self, seed: int) -> dict[str, Any]:
        """Return the settings in LightGBM's own words."""
        chosen = self.parameters
        return {
            "objective": "regression",
            "learning_rate": chosen.learning_rate,
            "num_leaves": chosen.leaves,
            "min_data_in_leaf": chosen.min_rows_in_leaf,
            "feature_fraction": chosen.feature_share,
            "bagging_fraction": chosen.row_share,
            "bagging_freq": 1,
            "lambda_l2": chosen.l2,
            "cat_smooth": 20,
            "cat_l2": 20,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": self.settings.threads,
            "verbosity": -1,
        }
