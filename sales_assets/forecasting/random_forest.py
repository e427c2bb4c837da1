"""A random forest as a scikit-learn pipeline."""

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sales_assets.forecasting import effects as effects_module
from sales_assets.forecasting import lookup as lookup_module
from sales_assets.forecasting import places as places_module
from sales_assets.forecasting import reference as reference_module
from sales_assets.forecasting.frames import CATEGORIES, LABEL, Frames
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.places import Places
from sales_assets.forecasting.reference import Reference
from sales_assets.settings import RandomForestSettings, Settings

FILE = "pipeline.skops"
# A forged tree can crash the process; the caller has checked the file's hash. Nothing else is
# trusted than a tree and the dtype that the imputer remembers.
TRUSTED = ["sklearn.tree._tree.Tree", "numpy.dtype"]


class RandomForest(Member):
    """Scaled and encoded features into a forest; log sales relative to anchor and calendar."""

    name: ClassVar[str] = "random_forest"
    parts: ClassVar[tuple[ModuleType, ...]] = (
        effects_module, reference_module, lookup_module, places_module,
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        pipeline: Any = None,
        reference: Reference | None = None,
        places: Places | None = None,
    ) -> None:
        super().__init__(settings)
        self.pipeline = pipeline
        self.reference = reference
        self.places = places

    @property
    def parameters(self) -> RandomForestSettings:
        """Size of the forest."""
        return self.settings.random_forest

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Grow the forest on every learnable row with a known anchor."""
        rows = known.rows[known.rows["anchor"].notna()]
        self.places = Places.learn(rows)
        matrix = self.places.matrix_of(rows)
        self.reference = Reference.fit(Frames(rows, known.history), cutoff)
        self.pipeline = self._pipeline(list(matrix.columns), len(matrix))
        target = rows[LABEL].to_numpy(dtype=np.float64) - self.reference.at(rows)
        self.pipeline.fit(matrix, target)
        # Threads add trees in the order they finish; one thread keeps the bits the same.
        self.pipeline.set_params(forest__n_jobs=1)
        return self

    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Add what the forest says to the reference."""
        assert self.reference is not None, "fit or load comes first"
        ratios: NDArray[np.float64] = self._said(asked).mean(axis=0)
        return self.reference.at(asked.rows) + ratios

    def deviation(self, asked: Frames) -> NDArray[np.float64]:
        """Return the standard deviation of what the trees say of each row, in logs."""
        deviation: NDArray[np.float64] = self._said(asked).std(axis=0)
        return deviation

    def _said(self, asked: Frames) -> NDArray[np.float64]:
        """Return what each tree says, shape (trees, rows).

        The pipeline's own way says the same, and of a store's days spends most of its time on
        checking them again at every step and for every tree.
        """
        assert self.places is not None, "fit or load comes first"
        columns, forest = self.pipeline.named_steps.values()
        matrix = prepared(columns, self.places.matrix(asked))
        return np.stack([tree.tree_.predict(matrix)[:, 0] for tree in forest.estimators_])

    def save(self, directory: Path) -> None:
        """Write the pipeline with skops, the reference and the stores."""
        assert self.reference is not None, "fit comes first"
        assert self.places is not None, "fit comes first"
        skops.io.dump(self.pipeline, directory / FILE)
        self.reference.save(directory)
        self.places.save(directory)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read the pipeline; skops refuses any type that is not trusted."""
        pipeline = skops.io.load(directory / FILE, trusted=TRUSTED)
        return cls(settings, pipeline, Reference.load(directory), Places.load(directory))

    def _pipeline(self, columns: list[str], rows: int) -> Pipeline:
        chosen = self.parameters
        numbers = [column for column in columns if column not in CATEGORIES]
        return Pipeline(
            [
                (
                    "columns",
                    ColumnTransformer(
                        [
                            (
                                "numbers",
                                make_pipeline(
                                    SimpleImputer(strategy="median", keep_empty_features=True),
                                    StandardScaler(),
                                ),
                                numbers,
                            ),
                            (
                                "categories",
                                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                                list(CATEGORIES),
                            ),
                        ]
                    ),
                ),
                (
                    "forest",
                    RandomForestRegressor(
                        n_estimators=chosen.trees,
                        min_samples_leaf=chosen.min_samples_leaf,
                        max_features=chosen.max_features,
                        max_samples=min(1.0, chosen.rows_per_tree / rows),
                        random_state=self.settings.seed,
                        n_jobs=self.settings.threads,
                    ),
                ),
            ]
        )


def prepared(columns: ColumnTransformer, matrix: pd.DataFrame) -> NDArray[np.float32]:
    """Return the inputs of the trees: what the fitted `columns` make of a matrix.

    Args:
        columns: Those of `RandomForest.pipeline`.
        matrix: What `Places.matrix` returned.
    """
    _, scaling, numbers = columns.transformers_[0]
    _, encoder, categories = columns.transformers_[1]
    imputer, scaler = scaling.named_steps.values()
    values = matrix[numbers].to_numpy()
    values = np.where(np.isnan(values), imputer.statistics_.astype(np.float32), values)
    values -= scaler.mean_.astype(np.float32)
    values /= scaler.scale_.astype(np.float32)
    codes = matrix[categories].to_numpy()
    places = [codes[:, [place]] == known for place, known in enumerate(encoder.categories_)]
    return np.hstack([values, *places], dtype=np.float32)
