"""The deployments of the members: each replica holds some of them, of the newest releases."""

import asyncio
import logging
import pickle
import threading
import time
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from sales_assets.errors import SalesError
from sales_assets.forecasting.explanations import explain
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.release import Release
from serving.arguments import Arguments
from serving.batches import BusyError
from serving.garbage import settle
from serving.mirror import pull
from serving.predictor import loaded_member

log = logging.getLogger("ray.serve")

# Log forecasts by member.
Said = dict[str, NDArray[Any]]
# Releases that a replica keeps: the newest and the one before it.
KEPT = 2
# Seconds after which what failed is tried again.
RELOAD_S = 30.0
# Explanations of more days than these take seconds, and so few may be under way: more would take
# the forecasts' places.
FEW_EXPLAINED = 100
EXPLAINED_AT_A_TIME = 2
BUSY_EXPLAINING = "Other forecasts are being explained; try again in a moment."


class Members:
    """Some members of the ensemble, of the newest releases."""

    def __init__(self, arguments: Arguments, names: list[str]) -> None:
        self.arguments, self.names = arguments, names
        self._lock, self._loading = threading.Lock(), threading.Lock()
        # The one that was asked last comes last.
        self._loaded: dict[str, dict[str, Member]] = {}
        self._tried_at: dict[str, float] = {}
        self._explaining = threading.Semaphore(EXPLAINED_AT_A_TIME)

    async def predict(self, release: Release, asked: bytes, history: bytes) -> Said:
        """Return the log forecasts of those members that can give them.

        Args:
            release: Whose members are asked.
            asked: Feature rows, packed.
            history: The days that these members read, packed.
        """
        return await asyncio.to_thread(self._predict, release, asked, history)

    async def explain(self, release: Release, asked: Frames, factor: float) -> pd.DataFrame | None:
        """Return what the forecasts of `lightgbm`, which is one of these, are made of.

        Args:
            release: Whose member is asked.
            asked: The rows.
            factor: What its ensemble multiplies the member's forecasts by.

        Raises:
            BusyError: These are many, and others are being explained already.
        """
        return await asyncio.to_thread(self._explain, release, asked, factor)

    def _predict(self, release: Release, rows: bytes, history: bytes) -> Said:
        asked, says = Frames(unpacked(rows), unpacked(history)), {}
        for name, member in self._members(release).items():
            try:
                says[name] = member.predict(asked)
            except Exception:
                # What fails in one member must not take the others with it; the answer names it.
                log.exception("%s gives no answer", name)
        return says

    def _explain(self, release: Release, asked: Frames, factor: float) -> pd.DataFrame | None:
        are_many = len(asked.rows) > FEW_EXPLAINED
        # The interface lets no more in either, but who hangs up there leaves this thread at work.
        if are_many and not self._explaining.acquire(blocking=False):
            raise BusyError(BUSY_EXPLAINING)
        try:
            member = self._members(release).get(LightGBM.name)
            return explain(member, asked, factor) if isinstance(member, LightGBM) else None
        finally:
            if are_many:
                self._explaining.release()

    def _members(self, release: Release) -> dict[str, Member]:
        """Return the release's members; those that cannot be loaded are left out for a while."""
        found = self._found(release)
        if found is not None and not self._is_due(release, found):
            return found
        # Who can be answered does not wait for what others need loaded.
        if not self._loading.acquire(blocking=found is None):
            assert found is not None
            return found
        try:
            found = self._found(release)
            if found is None or self._is_due(release, found):
                found = self._load(release)
                with self._lock:
                    self._loaded[release.version] = found
                    self._tried_at[release.version] = time.monotonic()
                    for version in list(self._loaded)[:-KEPT]:
                        del self._loaded[version], self._tried_at[version]
            return found
        finally:
            self._loading.release()

    def _found(self, release: Release) -> dict[str, Member] | None:
        with self._lock:
            found = self._loaded.pop(release.version, None)
            if found is not None:
                self._loaded[release.version] = found
            return found

    def _is_due(self, release: Release, found: dict[str, Member]) -> bool:
        """Tell whether something is missing that may have been mended since it was tried."""
        age_s = time.monotonic() - self._tried_at[release.version]
        return len(found) < len(self.names) and age_s > RELOAD_S

    def _load(self, release: Release) -> dict[str, Member]:
        settings = self.arguments.settings(release)
        if self.arguments.release_url:
            # The interface may have copied it on another machine.
            try:
                pull(self.arguments.release_url, settings.home)
            except SalesError as error:
                # What was copied before is enough, if it is there.
                log.warning("%s", error)
        store, loaded = ModelStore(settings.models), {}
        for name in self.names:
            try:
                loaded[name] = loaded_member(store, release, name, settings)
            except Exception:
                # The others of this replica answer without it, and the answer names it.
                log.exception("%s of %s cannot be loaded", name, release.version)
        settle()
        return loaded


def packed(frame: pd.DataFrame) -> bytes:
    """Return a frame as Ray would send it, made once for all groups that are asked.

    A copy has its many columns in a few blocks, and is read faster.
    """
    return pickle.dumps(frame.copy(), protocol=5)


def unpacked(sent: bytes) -> pd.DataFrame:
    """Return what was packed by the process that asks, and by no one else."""
    frame: pd.DataFrame = pickle.loads(sent)  # noqa: S301 - Ray unpickles its own messages too
    return frame
