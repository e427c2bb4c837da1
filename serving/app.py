"""The deployments on Ray Serve: an ingress, and the members of the ensemble behind it.

Each answer comes from one release: the ingress says which with every call, and the members keep
the release before the newest, so that requests that were under way are answered by what they
began with.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pandas as pd
from ray import serve
from ray.serve.handle import DeploymentHandle

from sales_assets.errors import SalesError
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.release import FILE, Release
from serving.api import create_app
from serving.arguments import Arguments
from serving.batches import MOST_STORES, Batches, BusyError
from serving.changed_plans import Change
from serving.garbage import settle
from serving.gate import TIMES_WHEN_AWAY
from serving.journal import Journal
from serving.members import (
    BUSY_EXPLAINING,
    EXPLAINED_AT_A_TIME,
    FEW_EXPLAINED,
    RELOAD_S,
    Members,
    packed,
)
from serving.mirror import pull
from serving.predictor import Answer, Predictor
from serving.security import Keys, RateLimit
from serving.service import Refusal

log = logging.getLogger("ray.serve")

INGRESS = "ingress"
# Whose features take no longer than a millisecond or two.
FEW_STORES = 4
# Seconds between looks after groups that gave no answer.
REVIVE_S = 1.0
# What a request for a new release waits for it, and what an explanation may take.
RENEW_S = 20.0
EXPLAIN_S = 20.0
LOG_BYTES, LOGS_KEPT = 10_000_000, 5


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


class Ingress:
    """Validation, features, weights and intervals; the members are asked side by side.

    A group of members that gave no answer is left out at once until it answers again: who asks is
    not to wait for a replica that is being started.
    """

    def __init__(self, arguments: Arguments, groups: dict[str, DeploymentHandle]) -> None:
        self.arguments, self.groups = arguments, groups
        self.predictor: Predictor | None = None
        self.refused: Refusal | None = None
        self._batches = Batches(self._changed)
        self._explaining = asyncio.Semaphore(EXPLAINED_AT_A_TIME)
        self._down: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._tried: tuple[Release, float] | None = None
        self._settings = settings = arguments.settings()
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
            # What has waited at the gate for this replica to start is answered, too.
            arguments.max_in_flight * TIMES_WHEN_AWAY,
        )

    def admit(self, stores: int) -> None:
        """Let a question begin about changed plans of so many stores.

        Raises:
            BusyError: Too much waits already.
        """
        self._batches.admit(stores)

    async def forecast(self, predictor: Predictor, changes: list[Change]) -> Answer:
        """Forecast every coming day of the stores whose plan is changed."""
        return await self._batches.answer(predictor, changes)

    async def _changed(
        self, predictor: Predictor, stores: list[int], changes: list[Change]
    ) -> Answer:
        if len(stores) <= FEW_STORES and not predictor.features.needs_queries:
            # Sooner done than another thread has begun.
            asked = predictor.asked(stores, changes)
        else:
            asked = await asyncio.to_thread(predictor.asked, stores, changes)
        return await self._forecast(predictor, asked, self.arguments.member_timeout_s)

    async def explain(self, predictor: Predictor, asked: Frames) -> pd.DataFrame | None:
        """Return what the forecasts of the release's `lightgbm` are made of, if it answers.

        Raises:
            BusyError: These are many, and others are being explained already.
        """
        if len(asked.rows) <= FEW_EXPLAINED:
            return await self._explained(predictor, asked)
        # Who waited here would keep a place at the gate.
        if self._explaining.locked():
            raise BusyError(BUSY_EXPLAINING)
        async with self._explaining:
            return await self._explained(predictor, asked)

    async def _explained(self, predictor: Predictor, asked: Frames) -> pd.DataFrame | None:
        group = next(
            group for group, names in self.arguments.members.items() if LightGBM.name in names
        )
        if group in self._down:
            return None
        ask = self.groups[group].explain
        question = asked, predictor.ensemble.factors.get(LightGBM.name, 1.0)
        # Of few days it takes no longer than a forecast; who does not give it is down.
        are_few = len(asked.rows) <= FEW_EXPLAINED
        timeout_s = self.arguments.member_timeout_s if are_few else EXPLAIN_S
        return await self._asked(
            group, ask, predictor.release, question, timeout_s, is_judged=are_few
        )

    async def renew(self) -> None:
        """Look for a new release, for as long as a request may take; it goes on after that."""
        await asyncio.wait({asyncio.create_task(self._look_anew())}, timeout=RENEW_S)

    @property
    def missing(self) -> list[str]:
        """The members that answers lack now, of planned days or of changed plans."""
        planned = self.predictor.planned if self.predictor else None
        down = {name for group in self._down for name in self.arguments.members[group]}
        return sorted(down | set(planned.degraded if planned else ()))

    @property
    def is_loading(self) -> bool:
        """Whether it looks for a new release, or loads one, now."""
        return self._renewing is not None and not self._renewing.done()

    async def _look_anew(self) -> None:
        """Look for a release after the look that is under way, which may have begun too early."""
        if self.is_loading:
            await self._renewal()
        self._tried = None
        await self._renewal()

    def _renewal(self) -> asyncio.Task[None]:
        """Return the task that looks for a new release, begun if there is none."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renewed())
        return self._renewing

    async def _renewed(self) -> None:
        """Load the newest release beside the present one, try it, and let it answer."""
        release = None
        try:
            release = await asyncio.to_thread(self._newest)
            await self._use(release)
        except Exception:
            # Whatever is wrong with it, the last good one goes on, and `/readyz` and a metric say
            # that it was refused; paths are for the log alone.
            log.exception("the newest release is refused")
            self.refused = Refusal(
                "The newest release cannot be used; the service's log says why.", release
            )
            if self.predictor is None:
                await self._use_last()

    def _newest(self) -> Release:
        settings = self._settings
        if self.arguments.release_url:
            try:
                pull(self.arguments.release_url, settings.home)
            except SalesError as error:
                # At a start the copy of before is better than nothing; later it answers anyway.
                if self.predictor is not None or not (settings.serving / FILE).exists():
                    raise
                log.warning("%s What was copied before answers.", error)
        return Release.read(settings.serving)

    async def _use(self, release: Release) -> None:
        """Let a release answer, once it is verified and every member has forecast with it.

        Raises:
            SalesError: It is not as it was released, or a member gives no answer that does so now.
        """
        present = self.predictor
        if present and release == present.release:
            self.refused = None
            assert present.planned is not None
            if not present.planned.degraded:
                return
        # What failed a moment ago costs the answers of now too much to be tried all the time.
        tried, tried_at = self._tried or (None, 0.0)
        if tried == release and time.monotonic() - tried_at < RELOAD_S:
            return
        self._tried = (release, time.monotonic())
        if present and release == present.release:
            # It had to begin without a member, which may be there by now.
            answer = await self._as_planned(present)
            assert present.planned is not None
            if set(answer.degraded) < set(present.planned.degraded):
                self.predictor = present.with_planned(answer)
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
        await asyncio.to_thread(settle)
        log.info("release %s answers", release.version)
        await asyncio.to_thread(self._remember, release)

    def _remember(self, release: Release) -> None:
        """Note which release answers, for a start beside a newer one that cannot."""
        served = self._settings.served
        try:
            served.mkdir(parents=True, exist_ok=True)
            (served / f"{FILE}.tmp").write_text(release.to_json(), encoding="utf-8")
            (served / f"{FILE}.tmp").replace(served / FILE)
        except OSError as error:
            log.warning("the release is not noted: %s", error)

    async def _use_last(self) -> None:
        """Answer with the release that answered before this process, if it is there."""
        refused = self.refused
        try:
            await self._use(await asyncio.to_thread(Release.read, self._settings.served))
        except Exception:
            # Then nothing answers, `/readyz` says so, and the next look tries again.
            log.exception("nor can the one before it be used")
        self.refused = refused

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
        answers = await self._predicted(groups, predictor, asked, timeout_s)
        says = {name: values for each in answers if each for name, values in each.items()}
        return predictor.answer(asked, says)

    async def _predicted(
        self, groups: list[str], predictor: Predictor, asked: Frames, timeout_s: float
    ) -> list[Any]:
        """Return what groups of members say of rows, each as `_asked` does."""
        rows = packed(asked.rows)
        stores = asked.rows["store_id"].unique().tolist()
        return await asyncio.gather(
            *(
                self._asked(
                    group,
                    self.groups[group].predict,
                    predictor.release,
                    (
                        rows,
                        packed(predictor.features.days_read(self.arguments.members[group], stores)),
                    ),
                    timeout_s,
                )
                for group in groups
            )
        )

    async def _asked(
        self,
        group: str,
        ask: Any,
        release: Release,
        asked: tuple[Any, ...],
        timeout_s: float,
        is_judged: bool = True,
    ) -> Any:
        """Return what a group of members says; None where it fails or takes too long.

        Only questions to the release that answers judge the group: what another one lacks is no
        fault of this one's.
        """
        answering = self.predictor.release if self.predictor else None
        is_judged = is_judged and release == answering

        async def answer() -> Any:
            return await ask.remote(release, *asked)

        try:
            said = await asyncio.wait_for(answer(), timeout_s)
        except BusyError:
            raise
        except Exception as error:
            # A replica that died, is full or too slow: the answer names its members as degraded.
            log.warning("%s gives no answer: %s", group, type(error).__name__)
            if is_judged:
                self._down.add(group)
            return None
        if is_judged:
            self._down.discard(group)
        return said

    @asynccontextmanager
    async def _watched(self, _: Any) -> AsyncIterator[None]:
        """Look for releases, and after groups that are down, as long as the interface is up."""
        self._journal.start()
        # No request is let in before there is something to answer it with.
        await self._renewal()
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._revive())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(self._journal.close)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.arguments.poll_s)
            await self._renewal()

    async def _revive(self) -> None:
        """Ask the groups that are down for one store, until they answer again."""
        while True:
            await asyncio.sleep(REVIVE_S)
            predictor = self.predictor
            if predictor is None or not self._down:
                continue
            try:
                asked = await asyncio.to_thread(predictor.asked, [min(predictor.stores)])
            except Exception:
                # Ending here would leave them out for good; `/readyz` and a metric name them.
                log.exception("the members that are down cannot be asked")
                continue
            timeout_s = self.arguments.member_timeout_s
            await self._predicted(list(self._down), predictor, asked, timeout_s)


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
