"""The deployments on Ray Serve: an ingress, and the members of the ensemble behind it.

Each answer comes from one release: the ingress says which with every call, and the members keep
the release before the newest, so that requests that were under way are answered by what they
began with.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from serving.predictor import Answer, Predictor, member_directory
from serving.security import Keys, RateLimit

log = logging.getLogger("ray.serve")

INGRESS = "ingress"
# Releases that a replica keeps: the newest and the one before it.
KEPT = 2


class Arguments(BaseModel):
    """What `config.yaml` says of the application."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(Path("var"), description="The home whose release answers.")
    members: dict[str, list[str]] = Field(description="Which deployment has which members.")
    threads: int = Field(1, ge=1, description="Threads of each replica.")
    member_timeout_s: float = Field(5.0, gt=0, description="What a member may take.")
    load_timeout_s: float = Field(120.0, gt=0, description="What loading a release may take.")
    poll_s: float = Field(5.0, gt=0, description="How often a new release is looked for.")
    needs_key: bool = Field(True, description="Whether callers need a key even if there is none.")
    requests_per_second: float = Field(50.0, gt=0, description="What a caller may ask for.")
    burst: int = Field(100, ge=1, description="What a caller may ask for at once.")


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
            if loaded is None:
                loaded = self._load(release)
                # What could not be loaded is tried again: its file may have been mended.
                if len(loaded) == len(self.names):
                    self._loaded[release.version] = loaded
                for version in list(self._loaded)[:-KEPT]:
                    del self._loaded[version]
            return loaded

    def _load(self, release: Release) -> dict[str, Member]:
        settings = _settings(self.arguments, release)
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
    """Validation, features, weights and intervals; the members are asked side by side."""

    def __init__(self, arguments: Arguments, groups: dict[str, DeploymentHandle]) -> None:
        self.arguments, self.groups = arguments, groups
        self.predictor: Predictor | None = None
        self.refused: str | None = None
        self._settings = _settings(arguments)

    def __serve_build_asgi_app__(self) -> Any:
        arguments = self.arguments
        limit = RateLimit(arguments.requests_per_second, arguments.burst)
        keys = Keys(self._settings.keys_path)
        return create_app(self, keys, limit, arguments.needs_key, self._watched)

    async def forecast(self, predictor: Predictor, asked: Frames) -> Answer:
        """Ask the release's members, and put together what they say."""
        return await self._forecast(predictor, asked, self.arguments.member_timeout_s)

    async def explain(self, predictor: Predictor, asked: Frames) -> pd.DataFrame:
        """Return what the forecasts of the release's `lightgbm` are made of."""
        group = next(
            group for group, names in self.arguments.members.items() if LightGBM.name in names
        )
        explained: pd.DataFrame = await self.groups[group].explain.remote(predictor.release, asked)
        return explained

    async def _forecast(self, predictor: Predictor, asked: Frames, timeout_s: float) -> Answer:
        answers = await asyncio.gather(
            *(self._says(group, predictor.release, asked, timeout_s) for group in self.groups)
        )
        says = {name: values for each in answers for name, values in each.items()}
        return predictor.answer(asked, says)

    async def _says(
        self, group: str, release: Release, asked: Frames, timeout_s: float
    ) -> dict[str, NDArray[Any]]:
        """Return what a group of members says; nothing where it fails or takes too long."""

        async def ask() -> dict[str, NDArray[Any]]:
            says: dict[str, NDArray[Any]] = await self.groups[group].predict.remote(release, asked)
            return says

        try:
            return await asyncio.wait_for(ask(), timeout_s)
        except Exception as error:
            # A replica that died, is full or too slow: the answer names its members as degraded.
            log.warning("%s gives no answer: %s", group, type(error).__name__)
            return {}

    @asynccontextmanager
    async def _watched(self, _: Any) -> AsyncIterator[None]:
        """Look for releases as long as the interface is up."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            await self._renew()
            await asyncio.sleep(self.arguments.poll_s)

    async def _renew(self) -> None:
        """Load the newest release beside the present one, try it, and let it answer."""
        try:
            release = Release.read(self._settings.serving)
            if self.predictor and release == self.predictor.release:
                self.refused = None
                return
            predictor = await asyncio.to_thread(
                Predictor.without_members, release, self._settings.home, self._settings
            )
            await self._try(predictor)
        except Exception:
            # Whatever is wrong with it, the last good one goes on; paths are for the log alone.
            log.exception("the newest release is refused")
            self.refused = "The newest release cannot be used; the service's log says why."
        else:
            # Requests that began with the former one hold on to it until they are answered.
            self.predictor, self.refused = predictor, None
            log.info("release %s answers", predictor.release.version)

    async def _try(self, predictor: Predictor) -> None:
        """Forecast one store, with every member.

        Raises:
            SalesError: A member gives no answer.
        """
        asked = await asyncio.to_thread(predictor.asked, [min(predictor.stores)])
        answer = await self._forecast(predictor, asked, self.arguments.load_timeout_s)
        if answer.degraded:
            raise SalesError(
                f"{', '.join(answer.degraded)} of {predictor.release.version} give no answer."
            )


def _settings(arguments: Arguments, release: Release | None = None) -> Settings:
    values: dict[str, Any] = {"home": arguments.home, "threads": arguments.threads}
    if release:
        values["horizon"] = release.horizon
    return Settings.load().model_copy(update=values)
