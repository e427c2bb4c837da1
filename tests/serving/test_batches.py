"""Questions that wait together are answered together, each by its own stores and release."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from serving import batches as batches_module
from serving.batches import AT_A_TIME, MOST_STORES, Batches, BusyError
from serving.changed_plans import Change
from serving.predictor import Answer, Predictor

Ask = Callable[[Batches], Awaitable[list[Any]]]


class Answering:
    """Notes what it is asked, and answers when it is let go on."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.batches = predictor, []
        self.go_on = asyncio.Event()

    async def __call__(
        self, predictor: Predictor, stores: list[int], changes: list[Change]
    ) -> Answer:
        self.batches.append((predictor, stores))
        await self.go_on.wait()
        assert self.predictor.planned is not None
        return self.predictor.planned.of(stores)


def change(predictor: Predictor, store: int, **plan: Any) -> list[Change]:
    return [Change(store, predictor.first_day, **({"is_promo": True} | plan))]


async def waiting(answering: Answering, questions: list[Awaitable[Answer]]) -> list[Any]:
    """Ask, let everything wait that waits, and return what came of it."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    for _ in range(5):
        await asyncio.sleep(0)
    answering.go_on.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_what_waits_is_answered_in_one_batch_and_each_hears_of_its_own(
    predictor: Predictor,
) -> None:
    async def run() -> None:
        answering = Answering(predictor)
        batches = Batches(answering)
        stores = [1, 2, 3, 4, 5]
        answers = await waiting(
            answering, [batches.answer(predictor, change(predictor, store)) for store in stores]
        )
        assert [asked for _, asked in answering.batches] == [stores]
        for store, answer in zip(stores, answers, strict=True):
            assert set(answer.forecasts["store_id"]) == set(answer.plan["store_id"]) == {store}

    asyncio.run(run())


def test_two_plans_for_a_store_and_two_releases_are_not_mixed(predictor: Predictor) -> None:
    async def run() -> None:
        answering = Answering(predictor)
        batches = Batches(answering)
        newer = replace(predictor)
        questions = [
            (predictor, change(predictor, 1)), (predictor, change(predictor, 2)),
            (predictor, change(predictor, 3)), (predictor, change(predictor, 3, is_promo=False)),
            (newer, change(predictor, 4)), (predictor, change(predictor, 5)),
        ]  # fmt: skip
        await waiting(answering, [batches.answer(*question) for question in questions])
        assert [asked for _, asked in answering.batches] == [[1, 2, 3, 5], [3], [4]]
        assert [release is newer for release, _ in answering.batches] == [False, False, True]

    asyncio.run(run())


def test_a_batch_has_only_so_many_stores(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.batches.MOST_STORES", 2)
    assert MOST_STORES > 2

    async def run() -> None:
        answering = Answering(predictor)
        batches = Batches(answering)
        questions = [batches.answer(predictor, change(predictor, store)) for store in range(1, 7)]
        await waiting(answering, questions)
        assert [asked for _, asked in answering.batches] == [[1, 2], [3, 4], [5, 6]]

    asyncio.run(run())


def test_an_error_is_told_to_everyone_in_the_batch_and_the_next_one_is_answered(
    predictor: Predictor,
) -> None:
    async def run() -> None:
        calls = 0

        async def forecast(release: Predictor, stores: list[int], _: list[Change]) -> Answer:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise RuntimeError("nothing works")
            assert release.planned is not None
            return release.planned.of(stores)

        batches = Batches(forecast)
        with pytest.raises(RuntimeError, match="nothing works"):
            await batches.answer(predictor, change(predictor, 1))
        answer = await batches.answer(predictor, change(predictor, 1))
        assert len(answer.plan) == 42

    asyncio.run(run())


def test_who_hangs_up_is_not_waited_for(predictor: Predictor) -> None:
    async def run() -> None:
        answering = Answering(predictor)
        batches = Batches(answering)
        tasks = []
        # Each of the first keeps a worker busy; the rest wait for one.
        for store in range(1, AT_A_TIME + 3):
            question = batches.answer(predictor, change(predictor, store))
            tasks.append(asyncio.ensure_future(question))
            for _ in range(5):
                await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[-2].cancel()
        answering.go_on.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in done] == [
            True, False, True, False,
        ]  # fmt: skip
        assert [asked for _, asked in answering.batches] == [[1], [2], [4]]

    asyncio.run(run())


def test_more_than_can_be_answered_in_time_is_refused(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "MOST_WAITING", 3)

    async def run() -> None:
        answering = Answering(predictor)
        batches = Batches(answering)
        # One alone is never too much, and what is being answered does not wait.
        batches.admit(100)
        about_one = [batches.answer(predictor, change(predictor, 1)) for _ in range(AT_A_TIME)]
        tasks = [asyncio.ensure_future(question) for question in about_one]
        await asyncio.sleep(0.01)
        batches.admit(100)
        tasks.append(asyncio.ensure_future(batches.answer(predictor, change(predictor, 2))))
        await asyncio.sleep(0)
        batches.admit(2)
        with pytest.raises(BusyError, match="1 stores wait"):
            batches.admit(3)
        answering.go_on.set()
        await asyncio.gather(*tasks)
        batches.admit(100)

    asyncio.run(run())
