"""What is too much is refused at the gate, before anything of it is read."""

import asyncio
import json
from collections import deque
from types import SimpleNamespace
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the gate takes for the time."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(gate.time, "monotonic", lambda: clock.now)
    return clock


class Visitors:
    """Ask at a gate with a queue behind it."""

    def __init__(self, max_in_flight: int, max_standing: int) -> None:
        self.behind = Queue()
        self.entrance = Gate(self.behind, max_in_flight, max_standing)
        self._asked: list[asyncio.Task[Any]] = []

    async def enter(self, path: str = "/v1/stores") -> bool:
        """Ask, and tell whether that was let in."""
        self._asked.append(asyncio.create_task(ask(self.entrance, path)))
        await asyncio.sleep(0)
        return not self._asked[-1].done()

    async def answered(self, times: int = 1) -> None:
        """Let those be answered that came first."""
        for _ in range(times):
            await self.behind.answer()


async def a_standing_queue() -> Visitors:
    """Two of four are inside, and no more are let in."""
    visitors = Visitors(max_in_flight=4, max_standing=2)
    assert [await visitors.enter() for _ in range(5)] == [True] * 4 + [False]
    await visitors.answered()
    assert await visitors.enter()
    # When it was half full there were two in it, who are answered now.
    await visitors.answered()
    assert not await visitors.enter()
    await visitors.answered()
    assert not await visitors.enter()
    await visitors.answered()
    assert [await visitors.enter() for _ in range(2)] == [True, False]
    return visitors


def test_bursts_wait_one_after_the_other(clock: SimpleNamespace) -> None:
    async def run() -> None:
        visitors = Visitors(max_in_flight=4, max_standing=1)
        for _ in range(5):
            assert [await visitors.enter() for _ in range(5)] == [True] * 4 + [False]
            await visitors.answered(4)

    asyncio.run(run())


def test_a_queue_that_stands_is_cut_as_long_as_most_are_refused(clock: SimpleNamespace) -> None:
    async def run() -> None:
        visitors = await a_standing_queue()
        for _ in range(10):
            await visitors.answered()
            assert [await visitors.enter() for _ in range(4)] == [True, False, False, False]
        # Those who come now find it short more often than not.
        for _ in range(4):
            await visitors.answered()
            assert await visitors.enter()
        assert [await visitors.enter() for _ in range(3)] == [True, True, False]

    asyncio.run(run())


def test_one_at_a_time_is_let_in_where_far_more_ask(clock: SimpleNamespace) -> None:
    async def run() -> None:
        visitors = await a_standing_queue()
        assert not any([await visitors.enter() for _ in range(8)])
        await visitors.answered()
        # One is inside, where there was room for two before.
        assert not await visitors.enter()
        # Where three are refused for each that is let in, there is again.
        await visitors.answered()
        assert sum([await visitors.enter() for _ in range(4)]) == 2

    asyncio.run(run())


def test_one_long_question_of_a_cut_queue_is_no_interface_that_is_away(
    clock: SimpleNamespace,
) -> None:
    async def run() -> None:
        visitors = await a_standing_queue()
        assert not any([await visitors.enter() for _ in range(8)])
        await visitors.answered()
        clock.now += 2 * gate.AWAY_S
        assert not any([await visitors.enter() for _ in range(8)])
        clock.now += gate.AWAY_WHEN_CUT_S
        assert all([await visitors.enter() for _ in range(8)])

    asyncio.run(run())


def test_a_burst_is_welcome_again_after_a_quiet_moment(clock: SimpleNamespace) -> None:
    async def run() -> None:
        visitors = await a_standing_queue()
        await visitors.answered(2)
        clock.now += gate.QUIET_S
        assert [await visitors.enter() for _ in range(5)] == [True] * 4 + [False]

    asyncio.run(run())


def test_a_queue_is_never_cut_to_more_than_may_wait() -> None:
    assert Gate(Behind(), max_in_flight=1, max_standing=2).max_standing == 1


def test_half_as_many_as_may_wait_ask_all_the_time_and_are_never_refused(
    clock: SimpleNamespace,
) -> None:
    async def run() -> None:
        visitors = Visitors(max_in_flight=4, max_standing=1)
        assert await visitors.enter()
        for _ in range(50):
            assert await visitors.enter()
            await visitors.answered()

    asyncio.run(run())


def test_a_queue_that_waits_for_a_member_that_died_does_not_stand(clock: SimpleNamespace) -> None:
    """However many are answered meanwhile that do not need it."""

    async def run() -> None:
        visitors = Visitors(max_in_flight=4, max_standing=1)
        assert [await visitors.enter() for _ in range(3)] == [True] * 3
        waiting = [visitors.behind.waiting.popleft() for _ in range(3)]
        for _ in range(20):
            assert await visitors.enter()
            await visitors.answered()
        visitors.behind.waiting.extend(waiting)
        await visitors.answered(3)
        assert [await visitors.enter() for _ in range(4)] == [True] * 4

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


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        pytest.param(404, b"text/plain", 503, id="Ray knows no interface yet"),
        pytest.param(500, b"text/plain", 503, id="Ray failed"),
        pytest.param(408, b"text/plain", 504, id="Ray waited too long"),
        pytest.param(404, b"application/problem+json", 404, id="a problem of the interface"),
        pytest.param(200, b"text/csv", 200, id="an answer"),
    ],
)
def test_what_ray_itself_would_say_is_told_as_a_problem(
    status: int, kind: bytes, told: int
) -> None:
    async def behind(_: Any, __: Any, send: Any) -> None:
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"Path '/'", "more_body": True})
        await send({"type": "http.response.body", "body": b" not found."})

    async def run() -> None:
        for path in ("/v1/predict", "/readyz"):
            start, *bodies = await ask(Gate(behind, 2, 2), path)
            text = b"".join(body["body"] for body in bodies)
            assert start["status"] == told
            if told == status:
                assert text == b"Path '/' not found."
            else:
                assert (b"retry-after", b"1") in start["headers"] or told == 504
                assert Problem(**json.loads(text)).status == told
        start, *_ = await ask(Gate(behind, 2, 2), "/-/routes")
        assert start["status"] == status

    asyncio.run(run())


def test_a_request_that_died_with_the_interface_may_be_asked_again() -> None:
    """Ray's proxy says nothing of it at all."""

    async def behind(*_: Any) -> None:
        return

    async def run() -> None:
        for path in ("/v1/predict", "/readyz"):
            start, body = await ask(Gate(behind, 2, 2), path)
            assert start["status"] == 503
            assert dict(start["headers"])[b"retry-after"] == b"1"
            assert Problem(**json.loads(body["body"])).status == 503

    asyncio.run(run())


def test_who_reads_slowly_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "SLOW_S", 0.01)

    async def run() -> None:
        behind = Behind()
        behind.go_on.set()
        entrance = Gate(behind, 2, 2)
        go_on = asyncio.Event()
        read: list[Any] = []

        async def send(message: Any) -> None:
            await go_on.wait()
            read.append(message)

        scope = {"type": "http", "path": "/planner/plotly.min.js", "headers": []}
        slow = [asyncio.create_task(entrance(scope, None, send)) for _ in range(2)]
        await asyncio.sleep(0)
        start, _ = await ask(entrance, "/v1/stores")
        assert start["status"] == 503
        await asyncio.sleep(0.05)
        start, _ = await ask(entrance, "/v1/stores")
        assert start["status"] == 200
        # They get the rest all the same.
        go_on.set()
        await asyncio.gather(*slow)
        assert [message["type"] for message in read].count("http.response.body") == 2

    asyncio.run(run())


@pytest.mark.parametrize(("status", "told"), [(416, 416), (400, 400), (404, 503), (500, 503)])
def test_what_the_interface_says_of_a_file_is_passed_on(status: int, told: int) -> None:
    async def behind(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})

    async def run() -> None:
        start, body = await ask(Gate(behind, 2, 2), "/")
        assert start["status"] == told
        assert (body["body"] == b"no") == (status == told)

    asyncio.run(run())
