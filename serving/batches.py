"""Questions that wait are answered together: a batch of stores costs little more than one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sales_assets.errors import SalesError
from serving.changed_plans import Change
from serving.predictor import Answer, Predictor

# What forecasts changed plans of some stores.
Forecast = Callable[[Predictor, list[int], list[Change]], Awaitable[Answer]]
# Stores whose rows travel to the members together.
MOST_STORES = 100
# Stores that may wait for an answer: what is answered at all is answered within a second or two.
MOST_WAITING = 400
# While the members work on one batch, the features of the next are made.
AT_A_TIME = 2


class BusyError(SalesError):
    """More questions wait than can be answered in time."""


@dataclass(eq=False)
class _Question:
    predictor: Predictor
    changes: list[Change]
    answered: asyncio.Future[Answer]
    stores: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.stores = frozenset(change.store_id for change in self.changes)


class Batches:
    """Answers questions about changed plans, those about different stores at once.

    Two questions about one store have two plans for it, and are answered one after the other; so
    are those to two releases.

    Args:
        forecast: What answers a batch.
    """

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast
        self._waiting: deque[_Question] = deque()
        self._workers: set[asyncio.Task[None] | None] = set()

    def admit(self, stores: int) -> None:
        """Let a question begin about so many stores.

        Raises:
            BusyError: Too much waits already; a question is never too much alone.
        """
        waiting = sum(len(question.stores) for question in self._waiting)
        if waiting and waiting + stores > MOST_WAITING:
            raise BusyError(
                f"Changed plans of {waiting} stores wait for an answer; try again in a moment."
            )

    async def answer(self, predictor: Predictor, changes: list[Change]) -> Answer:
        """Return every coming day of the stores whose plan is changed.

        Args:
            predictor: The release that is asked.
            changes: What `Predictor.checked` returned, and of no more than `MOST_STORES`.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Question(predictor, changes, future))
        if len(self._workers) < AT_A_TIME:
            self._workers.add(asyncio.create_task(self._work()))
        return await future

    async def _work(self) -> None:
        try:
            await self._answer_all()
        finally:
            # At once, and not by a callback: who asks next must find a place free.
            self._workers.discard(asyncio.current_task())

    async def _answer_all(self) -> None:
        while batch := self._next():
            changes = [change for question in batch for change in question.changes]
            stores = sorted({change.store_id for change in changes})
            try:
                answer = await self._forecast(batch[0].predictor, stores, changes)
            except Exception as error:
                # It belongs to those who asked, each of whom tells it in their own answer.
                for question in batch:
                    if not question.answered.done():
                        question.answered.set_exception(error)
            else:
                for question in batch:
                    # Who hung up has cancelled theirs.
                    if not question.answered.done():
                        own = answer if len(batch) == 1 else answer.of(question.stores)
                        question.answered.set_result(own)

    def _next(self) -> list[_Question]:
        """Take the question that has waited longest, and those that go with it."""
        batch: list[_Question] = []
        stores: set[int] = set()
        left: deque[_Question] = deque()
        while self._waiting:
            question = self._waiting.popleft()
            if question.answered.done():
                continue
            goes_with = not batch or (
                question.predictor is batch[0].predictor
                and stores.isdisjoint(question.stores)
                and len(stores) + len(question.stores) <= MOST_STORES
            )
            if goes_with:
                batch.append(question)
                stores |= question.stores
            else:
                left.append(question)
        self._waiting = left
        return batch
