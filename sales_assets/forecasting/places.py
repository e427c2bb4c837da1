"""Stores by their place among those that a model has learnt from.

A chain's numbers may be of eight digits. Trees keep a bit for every category up to the largest,
and single precision merges large numbers that lie side by side.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.frames import Frames, model_matrix

FILE = "stores.json"
UNKNOWN = -1


@dataclass(frozen=True)
class Places:
    """The stores that were learnt from, in ascending order."""

    stores: NDArray[np.int64]

    @classmethod
    def learn(cls, rows: pd.DataFrame) -> Self:
        """Take the stores of the rows that are learnt from."""
        return cls(np.unique(rows["store_id"].to_numpy(dtype=np.int64)))

    def matrix(self, asked: Frames) -> pd.DataFrame:
        """Return `Frames.matrix` with places instead of store numbers; -1 where one is unknown."""
        return self._placed(asked.matrix, asked.rows)

    def matrix_of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the same of rows of which nothing else asks for a matrix."""
        return self._placed(model_matrix(rows), rows)

    def _placed(self, matrix: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
        numbers = rows["store_id"].to_numpy(dtype=np.int64)
        place = np.searchsorted(self.stores, numbers).clip(max=len(self.stores) - 1)
        is_known = self.stores[place] == numbers
        return matrix.assign(store_id=np.where(is_known, place, UNKNOWN).astype(np.float32))

    def save(self, directory: Path) -> None:
        """Write the stores into an existing directory."""
        (directory / FILE).write_text(f"{json.dumps(self.stores.tolist())}\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote."""
        stores = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return cls(np.array(stores, dtype=np.int64))
