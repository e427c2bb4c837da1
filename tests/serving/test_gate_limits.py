"""What the gate lets nobody do away with, and what it lets in when others are refused."""

import asyncio
from typing import Any

import pytest

from serving import gate
from serving.gate import Gate
from tests.serving.test_gate import Behind, ask


def test_nobody_asks_without_a_limit_of_time() -> None:
    seen: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        headers = [
            (b"x-request-timeout-seconds", b"0"),
            (b"X-Request-Disconnect-Disabled", b"?1"),
            (b"authorization", b"Bearer key"),
        ]
        await Gate(behind, 2, 2)(
            {"type": "http", "path": "/v1/stores", "headers": headers}, None, _taken
        )
        assert seen == [(b"authorization", b"Bearer key")]

    asyncio.run(run())


def test_who_reads_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "GONE_S", 0.05)

    async def never(message: Any) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        behind = Behind()
        behind.go_on.set()
        scope = {"type": "http", "path": "/v1/stores", "headers": []}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Gate(behind, 2, 2)(scope, None, never), 5)

    asyncio.run(run())


def test_a_page_is_let_in_whole_when_others_are_refused() -> None:
    async def run() -> None:
        behind = Behind()
        entrance = Gate(behind, 1, 1)
        inside = asyncio.create_task(ask(entrance, "/v1/stores"))
        await asyncio.sleep(0)
        page = [asyncio.create_task(ask(entrance, path)) for path in ("/", "/planner/main.js")]
        await asyncio.sleep(0)
        (start, *_) = await ask(entrance, "/v1/stores")
        assert start["status"] == 503
        most = gate.TIMES_WHEN_AWAY
        more = [asyncio.create_task(ask(entrance, "/planner/api.js")) for _ in range(most)]
        await asyncio.sleep(0)
        behind.go_on.set()
        answered = [(await task)[0]["status"] for task in (inside, *page, *more)]
        # The page has bounds, too.
        assert answered.count(200) == most

    asyncio.run(run())


async def _taken(message: Any) -> None:
    """Take a part of an answer."""
