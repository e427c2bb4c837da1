"""Requests at a steady rate, or as fast as they are answered, and what became of them."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Ask:
    """A request: a body makes it a POST."""

    path: str
    body: Any = None
    key: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        started_s: When it was sent, after the load began.
        took_s: Until its answer was read.
        status: Of the answer; 0 where there was none.
        degraded: Members that were missing from it.
        version: Which release answered.
        forecast: The first forecast of the answer, in EUR.
        retry_after: Whether it was told when to come back.
    """

    started_s: float
    took_s: float
    status: int
    degraded: tuple[str, ...] = ()
    version: str | None = None
    forecast: float | None = None
    retry_after: bool = False


async def steady(
    port: int,
    asks: Callable[[int], Ask],
    per_second: float,
    seconds: float,
    *,
    at_random: bool = False,
) -> list[Outcome]:
    """Send requests at a rate, whether or not the ones before are answered.

    At random they come as people do, who do not know of each other.
    """
    requests = round(per_second * seconds)
    gaps = np.random.default_rng(1).exponential(1, requests) if at_random else np.ones(requests)
    began = time.perf_counter()
    async with _session() as session:
        tasks = []
        for number, after in enumerate(np.cumsum(gaps) / per_second):
            await asyncio.sleep(max(0.0, began + after - time.perf_counter()))
            tasks.append(asyncio.create_task(_sent(session, port, asks(number), began)))
        return list(await asyncio.gather(*tasks))


async def as_answered(
    port: int, asks: Callable[[int], Ask], clients: int, seconds: float
) -> list[Outcome]:
    """Let some clients each send the next request when the last one is answered."""
    began, numbers = time.perf_counter(), iter(range(10**9))
    found: list[Outcome] = []

    async def client(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() - began < seconds:
            found.append(await _sent(session, port, asks(next(numbers)), began))

    async with _session() as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return found


def quantiles_ms(outcomes: Iterable[Outcome]) -> tuple[float, float]:
    """Return the median and the 99th percentile of the requests that were answered, in ms."""
    took = [1000 * outcome.took_s for outcome in outcomes if outcome.status == 200]
    if not took:
        return float("nan"), float("nan")
    p50, p99 = np.percentile(took, [50, 99])
    return float(p50), float(p99)


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    return aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))


async def _sent(session: aiohttp.ClientSession, port: int, ask: Ask, began: float) -> Outcome:
    started = time.perf_counter()
    method = "GET" if ask.body is None else "POST"
    url = f"http://127.0.0.1:{port}{ask.path}"
    headers = {"Authorization": f"Bearer {ask.key}"} if ask.key else {}
    try:
        async with session.request(method, url, json=ask.body, headers=headers) as reply:
            content = await reply.read()
            took_s = time.perf_counter() - started
            body = json.loads(content) if reply.status == 200 else {}
            first: Any = next(iter(body.get("predictions", [])), {})
            # The other services' predictions are plain numbers.
            forecast = first.get("forecast") if isinstance(first, dict) else None
            return Outcome(
                started - began,
                took_s,
                reply.status,
                tuple(body.get("degraded", ())),
                body.get("model", {}).get("version"),
                forecast,
                "Retry-After" in reply.headers,
            )
    except (aiohttp.ClientError, TimeoutError):
        return Outcome(started - began, time.perf_counter() - started, 0)
