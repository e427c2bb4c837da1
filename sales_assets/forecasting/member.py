"""What every member of the ensemble can do."""

import inspect
from abc import ABC, abstractmethod
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from sales_assets.forecasting.frames import Frames
from sales_assets.settings import Settings


class Member(ABC):
    """A forecaster of daily log sales for whole stores.

    A new member is one subclass in a module of its own and one line in `ensemble.MEMBERS`.
    """

    name: ClassVar[str]
    # Modules besides its own whose code decides its forecasts: a change makes a new version.
    parts: ClassVar[tuple[ModuleType, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    @abstractmethod
    def parameters(self) -> BaseModel:
        """The member's own settings; a change of any of them makes a new version."""

    @property
    def counts(self) -> dict[str, int]:
        """What the fit counted that someone should know of."""
        return {}

    @classmethod
    def about(cls) -> str:
        """Return what the member is and does, for people."""
        return inspect.cleandoc((cls.__doc__ or "").split("Args:")[0]).strip()

    @abstractmethod
    def fit(self, known: Frames, cutoff: date) -> Self:
        """Learn from what was known at the cutoff."""

    @abstractmethod
    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Return the median forecast of each asked row in log EUR, as if the store opened.

        Args:
            asked: Whole windows, every planned day of a store after the cutoff: a member may let
                the plan of a day count for the days around it.

        Returns:
            Array of shape (rows,), finite for every row.
        """

    @classmethod
    def history_read(cls, history: pd.DataFrame, settings: Settings) -> pd.DataFrame:
        """Return the days of a history that `predict` looks at, of rows after its last day: none.

        What is asked in real time travels to another process; it takes no more along than this.
        """
        return history.head(0)

    def warm_up(self) -> None:  # noqa: B027 - most members have nothing to do
        """Do once what makes later calls of `predict` faster, where many are to come."""

    def deviation(self, asked: Frames) -> NDArray[np.float64]:
        """Return how far the member's parts are apart in logs; NaN where it has none."""
        return np.full(len(asked.rows), np.nan)

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write everything that `load` needs into an existing directory, without pickle."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read what `save` wrote; the caller has verified the files' hashes."""
