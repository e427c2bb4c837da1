"""A random forest as a scikit-learn pipeline."""

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sales_assets.forecasting import effects as effects_module
from sales_assets.forecasting import reference as reference_module
from sales_assets.forecasting.frames import CATEGORIES, LABEL, Frames, model_matrix
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.reference import Reference
from sales_assets.settings import RandomForestSettings, Settings

FILE = "pipeline.skops"
# A forged tree can crash the process; the caller has checked the file's hash. Nothing else is
# trusted than a tree and the dtype that the imputer remembers.
TRUSTED = ["sklearn.tree._tree.Tree", "numpy.dtype"]


class RandomForest(Member):
    """Scaled and encoded features into a forest; log sales relative to anchor and calendar."""

    name: ClassVar[str] = "random_forest"
    parts: ClassVar[tuple[ModuleType, ...]] = (effects_module, reference_module)

    def __init__(
        self, settings: Settings, pipeline: Any = None, reference: Reference | None = None
    ) -> None:
        super().__init__(settings)
        self.pipeline = pipeline
        self.reference = reference

    @property
    def parameters(self) -> RandomForestSettings:
        """Size of the forest."""
        return self.settings.random_forest

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Grow the forest on every learnable row with a known anchor."""
        rows = known.rows[known.rows["anchor"].notna()]
        matrix = model_matrix(rows)
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
        """Return what each tree says, shape (trees, rows): the forest's own way costs a store more.

        It prepares threads, and checks the rows again for each tree.
        """
        columns, forest = self.pipeline.named_steps.values()
        matrix = columns.transform(model_matrix(asked.rows)).astype(np.float32)
        return np.stack([tree.tree_.predict(matrix)[:, 0] for tree in forest.estimators_])

    def save(self, directory: Path) -> None:
        """Write the pipeline with skops, and the reference."""
        assert self.reference is not None, "fit comes first"
        skops.io.dump(self.pipeline, directory / FILE)
        self.reference.save(directory)

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read the pipeline; skops refuses any type that is not trusted."""
        pipeline = skops.io.load(directory / FILE, trusted=TRUSTED)
        return cls(settings, pipeline, Reference.load(directory))

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
