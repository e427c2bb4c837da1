"""What the HTTP interface asks: on Ray Serve `serving.app`, in one process anything like it."""

from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.release import Release
from serving.changed_plans import Change
from serving.predictor import Answer, Predictor


@dataclass(frozen=True)
class Refusal:
    """A release that does not answer.

    Attributes:
        says: Why, in words for anyone.
        release: Which it is; None where not even that can be read.
    """

    says: str
    release: Release | None = None


class Service(Protocol):
    """What answers behind the interface."""

    @property
    def predictor(self) -> Predictor | None:
        """The release that answers now; None until the first one is loaded."""

    @property
    def refused(self) -> Refusal | None:
        """The release that was found last, if it does not answer."""

    @property
    def missing(self) -> list[str]:
        """The members that answers lack now, of planned days or of changed plans."""

    @property
    def is_loading(self) -> bool:
        """Whether it looks for a new release, or loads one, now."""

    def admit(self, stores: int) -> None:
        """Let a question begin about changed plans of so many stores; or raise a `BusyError`."""

    async def forecast(self, predictor: Predictor, changes: list[Change]) -> Answer:
        """Forecast every coming day of the stores whose plan is changed."""

    async def explain(self, predictor: Predictor, asked: Frames) -> pd.DataFrame | None:
        """Return what the forecasts of the release's `lightgbm` are made of, if it answers.

        Raises:
            BusyError: Others are being explained already.
        """

    async def renew(self) -> None:
        """Look for a new release now."""
