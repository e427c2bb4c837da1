"""What is too much is refused at the gate, before anything of it is read."""

import asyncio
import json
from collections import deque
from typing import Any

import pytest

from serving import gate
from serving.gate import Gate, middlewares
from serving.schemas import Problem


class Behind:
    """Stands for the interface: answers once it is let go on."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        await self.go_on.wait()
        if scope["path"] == "/fails":
            raise RuntimeError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Queue:
    """Stands for the interface: answers one after the other, whenever it is told to."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Event] = deque()

    async def __call__(self, *_: Any) -> None:
        self.waiting.append(asyncio.Event())
        await self.waiting[-1].wait()

    async def answer(self) -> None:
        self.waiting.popleft().set()
        await asyncio.sleep(0)


async def ask(entrance: Gate, path: str) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("nothing is read at the gate")

    async def send(message: Any) -> None:
        sent.append(message)

    await entrance({"type": "http", "path": path, "headers": []}, receive, send)
    return sent


def test_so_many_are_let_in_and_the_rest_is_told_to_come_back() -> None:
    async def run() -> None:
        behind = Behind()
        entrance = Gate(behind, 2, 2)
        inside = [asyncio.create_task(ask(entrance, "/v1/predict")) for _ in range(2)]
        await asyncio.sleep(0)
        start, body = await ask(entrance, "/v1/predict")
        assert start["status"] == 503
        headers = dict(start["headers"])
        assert headers[b"content-type"] == b"application/problem+json"
        assert headers[b"retry-after"] == b"1"
        assert int(headers[b"content-length"]) == len(body["body"])
        assert Problem(**json.loads(body["body"])).status == 503
        assert len(behind.paths) == 2
        # Whoever looks after the service is let in all the same.
        watching = asyncio.create_task(ask(entrance, "/readyz"))
        await asyncio.sleep(0)
        behind.go_on.set()
        assert [(await task)[0]["status"] for task in (*inside, watching)] == [200, 200, 200]
        assert (await ask(entrance, "/v1/predict"))[0]["status"] == 200

    asyncio.run(run())


def test_while_the_interface_is_away_more_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is away where nobody inside has been answered for a while; busy where somebody was."""
    now = 0.0
    monkeypatch.setattr(gate.time, "monotonic", lambda: now)

    async def run() -> None:
        nonlocal now
        behind, more = Behind(), 2 * gate.TIMES_WHEN_AWAY - 2
        entrance = Gate(behind, 2, 2)
        now += 3600
        inside = [asyncio.create_task(ask(entrance, "/v1/predict")) for _ in range(2)]
        await asyncio.sleep(0)
        assert (await ask(entrance, "/v1/predict"))[0]["status"] == 503
        now += gate.AWAY_S + 0.1
        inside += [asyncio.create_task(ask(entrance, "/v1/predict")) for _ in range(more)]
        await asyncio.sleep(0)
        assert (await ask(entrance, "/v1/predict"))[0]["status"] == 503
        assert len(behind.paths) == 2 + more
        behind.go_on.set()
        assert {(await task)[0]["status"] for task in inside} == {200}
        # Who comes while those who waited are answered is not refused either.
        behind.go_on.clear()
        inside = [asyncio.create_task(ask(entrance, "/v1/predict")) for _ in range(3)]
        await asyncio.sleep(0)
        assert len(behind.paths) == 2 + more + 3
        now += gate.CATCH_UP_S
        behind.go_on.set()
        assert [(await task)[0]["status"] for task in inside] == [200] * 3
        behind.go_on.clear()
        inside = [asyncio.create_task(ask(entrance, "/v1/predict")) for _ in range(2)]
        await asyncio.sleep(0)
        assert (await ask(entrance, "/v1/predict"))[0]["status"] == 503
        behind.go_on.set()
        await asyncio.gather(*inside)

    asyncio.run(run())


def test_a_burst_waits_and_a_standing_queue_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """One stands that is still there when as many were answered as may wait."""
    now = 0.0
    monkeypatch.setattr(gate.time, "monotonic", lambda: now)
    # Somebody is answered all the time.
    monkeypatch.setattr(gate, "AWAY_S", 3600.0)

    async def run() -> None:
        nonlocal now
        behind = Queue()
        entrance = Gate(behind, max_in_flight=4, max_standing=2)

        async def enter() -> bool:
            """Ask, and tell whether that was let in."""
            asked = asyncio.create_task(ask(entrance, "/v1/stores"))
            await asyncio.sleep(0)
            return not asked.done()

        for _ in range(3):
            # A burst, and the next one after it.
            assert [await enter() for _ in range(5)] == [True] * 4 + [False]
            for _ in range(4):
                await behind.answer()
        assert [await enter() for _ in range(4)] == [True] * 4
        for _ in range(3):
            await behind.answer()
            assert await enter()
        await behind.answer()
        # Four were answered, and it is as long as it was.
        assert not await enter()
        await behind.answer()
        assert not await enter()
        await behind.answer()
        assert await enter()
        assert not await enter()
        # Once nobody was refused for a while, a burst is welcome again.
        now += gate.STANDING_S + 0.1
        for _ in range(2):
            await behind.answer()
        assert [await enter() for _ in range(5)] == [True] * 4 + [False]

    asyncio.run(run())


def test_who_finds_as_many_as_may_stand_before_it_is_never_refused() -> None:
    async def run() -> None:
        behind = Queue()
        entrance = Gate(behind, max_in_flight=4, max_standing=2)
        asked = []
        for number in range(50):
            asked.append(asyncio.create_task(ask(entrance, "/v1/stores")))
            await asyncio.sleep(0)
            if number >= 2:
                await behind.answer()
        assert len(behind.waiting) == 2
        assert [task.done() for task in asked] == [True] * 48 + [False] * 2

    asyncio.run(run())


def test_what_waits_for_a_member_that_died_is_no_standing_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long it waits: nobody in it is answered."""
    now = 0.0
    monkeypatch.setattr(gate.time, "monotonic", lambda: now)

    async def run() -> None:
        nonlocal now
        behind = Queue()
        entrance = Gate(behind, max_in_flight=4, max_standing=1)
        asked = []
        for _ in range(4):
            asked.append(asyncio.create_task(ask(entrance, "/v1/predict")))
            now += gate.AWAY_S / 2
            await asyncio.sleep(0)
        assert len(behind.waiting) == len(asked)

    asyncio.run(run())


def test_the_interface_learns_how_many_were_refused() -> None:
    """For `/metrics`; what a request says of itself does not get there."""
    scopes: list[Any] = []

    async def behind(scope: Any, *_: Any) -> None:
        scopes.append(scope)

    async def run() -> None:
        entrance = Gate(behind, 0, 0)
        for path in ("/v1/stores", "/v1/stores", "/metrics"):
            await ask(entrance, path)

    asyncio.run(run())
    assert [scope["state"][gate.REFUSED] for scope in scopes] == [2]


def test_who_has_read_the_whole_answer_has_left() -> None:
    async def run() -> None:
        read, done = asyncio.Event(), asyncio.Event()

        async def behind(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
            await read.wait()
            await send({"type": "http.response.body", "body": b"2"})
            await done.wait()

        entrance = Gate(behind, 1, 1)
        first = asyncio.create_task(ask(entrance, "/v1/stores"))
        await asyncio.sleep(0)
        assert (await ask(entrance, "/v1/stores"))[0]["status"] == 503
        read.set()
        await asyncio.sleep(0)
        second = asyncio.create_task(ask(entrance, "/v1/stores"))
        await asyncio.sleep(0)
        assert not first.done()
        done.set()
        assert [len(await task) for task in (first, second)] == [3, 3]
        # Each has left once.
        assert (await ask(entrance, "/v1/stores"))[0]["status"] == 200

    asyncio.run(run())


def test_a_request_that_fails_leaves_its_place() -> None:
    async def run() -> None:
        behind = Behind()
        behind.go_on.set()
        entrance = Gate(behind, 1, 1)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await ask(entrance, "/fails")

    asyncio.run(run())


def test_the_log_says_how_many_were_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gate, "TELL_S", 0.0)
    asyncio.run(ask(Gate(Behind(), 0, 0), "/v1/stores"))
    assert "more than could be answered: 1 requests" in caplog.text


def test_ray_is_given_the_gate_of_the_configuration() -> None:
    (middleware,) = middlewares()
    assert middleware.cls is Gate
    assert middleware.kwargs["max_in_flight"] >= middleware.kwargs["max_standing"] >= 1
