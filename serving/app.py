"""The deployments on Ray Serve: an ingress, and the members of the ensemble behind it.

Each answer comes from one release: the ingress says which with every call, and the members keep
the release before the newest, so that requests that were under way are answered by what they
began with.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve.handle import DeploymentHandle

from sales_assets.errors import SalesError
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.explanations import explain
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.release import Release
from sales_assets.settings import Settings
from serving.api import create_app
from serving.batches import MOST_STORES, Batches
from serving.features import Change
from serving.journal import Journal
from serving.mirror import pull
from serving.predictor import Answer, Predictor, member_directory
from serving.security import Keys, RateLimit

log = logging.getLogger("ray.serve")

INGRESS = "ingress"
# Releases that a replica keeps: the newest and the one before it.
KEPT = 2
# Seconds after which a member that could not be loaded is tried again.
RELOAD_S = 30.0
# Seconds between looks after groups that gave no answer.
REVIVE_S = 1.0
LOG_BYTES, LOGS_KEPT = 10_000_000, 5


class Arguments(BaseModel):
    """What `config.yaml` says of the application."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(Path("var"), description="The home whose release answers.")
    release_url: str = Field("", description="Where releases are copied from, if elsewhere.")
    members: dict[str, list[str]] = Field(description="Which deployment has which members.")
    threads: int = Field(1, ge=1, description="Threads of each replica.")
    member_timeout_s: float = Field(5.0, gt=0, description="What a member may take.")
    load_timeout_s: float = Field(120.0, gt=0, description="What loading a release may take.")
    poll_s: float = Field(5.0, gt=0, description="How often a new release is looked for.")
    needs_key: bool = Field(True, description="Whether callers need a key even if there is none.")
    requests_per_second: float = Field(50.0, gt=0, description="What a caller may ask for.")
    burst: int = Field(100, ge=1, description="What a caller may ask for at once.")
    max_in_flight: int = Field(32, ge=1, description="Requests worked on at a time.")
    journal_mb: int = Field(200, ge=1, description="What `served/` may take, in MB.")


def build(arguments: Arguments) -> serve.Application:
    """Return the application: one deployment for each group of members, and the ingress.

    Raises:
        ValueError: A member is in no deployment, or in two.
    """
    placed = sorted(name for names in arguments.members.values() for name in names)
    if placed != sorted(MEMBERS):
        raise ValueError(
            f"serving/config.yaml places {', '.join(placed)}; each of {', '.join(sorted(MEMBERS))} "
            "belongs in one deployment."
        )
    members: Any = serve.deployment(Members)
    ingress: Any = serve.deployment(serve.ingress()(Ingress))
    groups = {
        group: members.options(name=group).bind(arguments, names)
        for group, names in arguments.members.items()
    }
    application: serve.Application = ingress.options(name=INGRESS).bind(arguments, groups)
    return application


class Members:
    """Some members of the ensemble, of the newest releases."""

    def __init__(self, arguments: Arguments, names: list[str]) -> None:
        self.arguments, self.names = arguments, names
        self._lock = threading.Lock()
        self._loaded: dict[str, dict[str, Member]] = {}
        self._loaded_at: dict[str, float] = {}

    async def predict(self, release: Release, asked: Frames) -> dict[str, NDArray[Any]]:
        """Return the log forecasts of those members that can give them."""
        return await asyncio.to_thread(self._predict, release, asked)

    async def explain(self, release: Release, asked: Frames) -> pd.DataFrame:
        """Return what the forecasts of `lightgbm`, which is one of these, are made of."""
        return await asyncio.to_thread(self._explain, release, asked)

    def _predict(self, release: Release, asked: Frames) -> dict[str, NDArray[Any]]:
        says = {}
        for name, member in self._members(release).items():
            try:
                says[name] = member.predict(asked)
            except Exception:
                # Whatever fails in one member must not take the others with it.
                log.exception("%s gives no answer", name)
        return says

    def _explain(self, release: Release, asked: Frames) -> pd.DataFrame:
        member = self._members(release)[LightGBM.name]
        assert isinstance(member, LightGBM)
        return explain(member, asked)

    def _members(self, release: Release) -> dict[str, Member]:
        """Return the release's members, loaded once; those that cannot be are left out."""
        with self._lock:
            loaded = self._loaded.get(release.version)
            # What could not be loaded is tried again: its file may have been mended.
            is_whole = loaded is not None and len(loaded) == len(self.names)
            age_s = time.monotonic() - self._loaded_at.get(release.version, -math.inf)
            if loaded is None or (not is_whole and age_s > RELOAD_S):
                loaded = self._loaded[release.version] = self._load(release)
                self._loaded_at[release.version] = time.monotonic()
                for version in list(self._loaded)[:-KEPT]:
                    del self._loaded[version]
            return loaded

    def _load(self, release: Release) -> dict[str, Member]:
        settings = _settings(self.arguments, release)
        if self.arguments.release_url:
            # The interface may have copied it on another machine.
            try:
                pull(self.arguments.release_url, settings.home)
            except SalesError as error:
                log.warning("%s", error)
        store, loaded = ModelStore(settings.models), {}
        for name in self.names:
            try:
                directory = member_directory(store, release, name)
                loaded[name] = MEMBERS[name].load(directory, settings)
            except Exception:
                # The others of this replica answer without it, and the answer names it.
                log.exception("%s of %s cannot be loaded", name, release.version)
        return loaded


class Ingress:
    """Validation, features, weights and intervals; the members are asked side by side.

    A group of members that gave no answer is left out at once until it answers again: who asks is
    not to wait for a replica that is being started.
    """

    def __init__(self, arguments: Arguments, groups: dict[str, DeploymentHandle]) -> None:
        self.arguments, self.groups = arguments, groups
        self.predictor: Predictor | None = None
        self.refused: str | None = None
        self._batches = Batches(self._changed)
        self._down: set[str] = set()
        self._renewing = asyncio.Lock()
        self._settings = settings = _settings(arguments)
        self._journal = Journal(settings.served, arguments.journal_mb * 1_000_000)

    def __serve_build_asgi_app__(self) -> Any:
        arguments = self.arguments
        log_requests(self._settings.served)
        return create_app(
            self,
            Keys(self._settings.keys_path),
            RateLimit(arguments.requests_per_second, arguments.burst),
            arguments.needs_key,
            self._watched,
            self._journal,
            arguments.max_in_flight,
        )

    async def forecast(self, predictor: Predictor, changes: list[Change]) -> Answer:
        """Forecast every coming day of the stores whose plan is changed."""
        return await self._batches.answer(predictor, changes)

    async def _changed(
        self, predictor: Predictor, stores: list[int], changes: list[Change]
    ) -> Answer:
        asked = await asyncio.to_thread(predictor.asked, stores, changes)
        return await self._forecast(predictor, asked, self.arguments.member_timeout_s)

    async def explain(self, predictor: Predictor, asked: Frames) -> pd.DataFrame | None:
        """Return what the forecasts of the release's `lightgbm` are made of, if it answers."""
        group = next(
            group for group, names in self.arguments.members.items() if LightGBM.name in names
        )
        ask = self.groups[group].explain
        timeout_s = self.arguments.member_timeout_s
        return await self._asked(group, ask, predictor.release, asked, timeout_s)

    async def renew(self) -> None:
        """Load the newest release beside the present one, try it, and let it answer."""
        async with self._renewing:
            try:
                await self._renew()
            except Exception:
                # Whatever is wrong with it, the last good one goes on; paths are for the log alone.
                log.exception("the newest release is refused")
                self.refused = "The newest release cannot be used; the service's log says why."

    async def _renew(self) -> None:
        if self.arguments.release_url:
            await asyncio.to_thread(pull, self.arguments.release_url, self._settings.home)
        release = Release.read(self._settings.serving)
        present = self.predictor
        if present and release == present.release:
            self.refused = None
            assert present.planned is not None
            if present.planned.degraded:
                # It had to begin without a member, which may be there by now.
                self.predictor = present.with_planned(await self._as_planned(present))
            return
        predictor = await asyncio.to_thread(
            Predictor.without_members, release, self._settings.home, self._settings
        )
        answer = await self._as_planned(predictor)
        if answer.degraded:
            missing = f"{', '.join(answer.degraded)} of {release.version} give no answer"
            if present:
                raise SalesError(f"{missing}.")
            log.error("%s; the others answer without them", missing)
        # Requests that began with the former one hold on to it until they are answered.
        self.predictor, self.refused = predictor.with_planned(answer), None
        log.info("release %s answers", release.version)

    async def _as_planned(self, predictor: Predictor) -> Answer:
        """Return the answer to the plan as it is, for which every member has to load and work."""
        stores, whole = sorted(predictor.stores), None
        for first in range(0, len(stores), MOST_STORES):
            asked = await asyncio.to_thread(predictor.asked, stores[first : first + MOST_STORES])
            answer = await self._forecast(predictor, asked, self.arguments.load_timeout_s, True)
            whole = whole.joined(answer) if whole else answer
        assert whole is not None
        return whole

    async def _forecast(
        self, predictor: Predictor, asked: Frames, timeout_s: float, everyone: bool = False
    ) -> Answer:
        """Return what follows from the groups that are up, or from all of them."""
        groups = [group for group in self.groups if everyone or group not in self._down]
        answers = await asyncio.gather(
            *(
                self._asked(group, self.groups[group].predict, predictor.release, asked, timeout_s)
                for group in groups
            )
        )
        says = {name: values for each in answers if each for name, values in each.items()}
        return predictor.answer(asked, says)

    async def _asked(
        self, group: str, ask: Any, release: Release, asked: Frames, timeout_s: float
    ) -> Any:
        """Return what a group of members says; None where it fails or takes too long."""

        async def answer() -> Any:
            return await ask.remote(release, asked)

        try:
            said = await asyncio.wait_for(answer(), timeout_s)
        except Exception as error:
            # A replica that died, is full or too slow: the answer names its members as degraded.
            log.warning("%s gives no answer: %s", group, type(error).__name__)
            self._down.add(group)
            return None
        self._down.discard(group)
        return said

    @asynccontextmanager
    async def _watched(self, _: Any) -> AsyncIterator[None]:
        """Look for releases, and after groups that are down, as long as the interface is up."""
        self._journal.start()
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._revive())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(self._journal.close)

    async def _watch(self) -> None:
        while True:
            await self.renew()
            await asyncio.sleep(self.arguments.poll_s)

    async def _revive(self) -> None:
        """Ask the groups that are down for one store, until they answer again."""
        while True:
            await asyncio.sleep(REVIVE_S)
            predictor = self.predictor
            if predictor is None or not self._down:
                continue
            asked = await asyncio.to_thread(predictor.asked, [min(predictor.stores)])
            for group in list(self._down):
                ask, timeout_s = self.groups[group].predict, self.arguments.load_timeout_s
                await self._asked(group, ask, predictor.release, asked, timeout_s)


def log_requests(directory: Path) -> None:
    """Keep a line of JSON a request in files of bounded size."""
    directory.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        directory / "requests.log", maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, delay=True
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("serving.requests")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


def _settings(arguments: Arguments, release: Release | None = None) -> Settings:
    values: dict[str, Any] = {"home": arguments.home, "threads": arguments.threads}
    if release:
        values["horizon"] = release.horizon
    return Settings.load().model_copy(update=values)
