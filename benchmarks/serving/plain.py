"""The same interface and predictor in one process under uvicorn: what Ray adds is seen beside it.

Its members are asked by threads of this process, of which Python lets one run at a time.
"""

import asyncio
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import uvicorn
from numpy.typing import NDArray

from sales_assets.forecasting.explanations import explain
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.settings import Settings
from serving.api import create_app
from serving.batches import Batches
from serving.changed_plans import Change
from serving.predictor import Answer, Predictor, loaded_member
from serving.security import Keys, RateLimit


class InProcess:
    """The service that `serving.service` describes, without Ray."""

    refused = None
    missing: ClassVar[list[str]] = []
    is_loading = False

    def __init__(self, home: Path) -> None:
        settings = Settings.load().model_copy(update={"home": home, "threads": 1})
        self.predictor = Predictor.load(home, settings)
        store = ModelStore(settings.models)
        explained = loaded_member(store, self.predictor.release, LightGBM.name, settings)
        assert isinstance(explained, LightGBM)
        self._explained = explained
        self._batches = Batches(self._changed)

    def admit(self, stores: int) -> None:
        """Let a question begin, unless too much waits already."""
        self._batches.admit(stores)

    async def forecast(self, predictor: Predictor, changes: list[Change]) -> Answer:
        """Forecast stores whose plan is changed."""
        return await self._batches.answer(predictor, changes)

    async def _changed(
        self, predictor: Predictor, stores: list[int], changes: list[Change]
    ) -> Answer:
        asked = await asyncio.to_thread(predictor.asked, stores, changes)
        names = list(predictor.members)
        says: list[NDArray[np.float64]] = await asyncio.gather(
            *(asyncio.to_thread(predictor.members[name], asked) for name in names)
        )
        return predictor.answer(asked, dict(zip(names, says, strict=True)))

    async def explain(self, _: Predictor, asked: Frames) -> pd.DataFrame:
        """Say what the forecasts of `lightgbm` are made of."""
        return await asyncio.to_thread(explain, self._explained, asked)

    async def renew(self) -> None:
        """Stay with the release that was there."""


def main() -> None:
    """Serve a home on a port."""
    home, port = Path(sys.argv[1]), int(sys.argv[2])
    limit = RateLimit(per_second=1e6, burst=10**6)
    app = create_app(InProcess(home), Keys(home / "no-keys.json"), limit, needs_key=False)
    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    main()
