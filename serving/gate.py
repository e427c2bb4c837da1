"""What Ray's proxy asks before it passes a request on: whether there is room.

A request that reaches the interface has cost milliseconds by then, and so has its refusal. The gate
stands in the proxy's own process, reads nothing of a request but its path, and refuses what is too
much for a fraction of that. A burst may wait. A queue that was never half empty while everyone in
it was answered is no burst but stands, and makes every answer late: no more than a few are let in
then, for as long as more are refused than let in, and one at a time where far more are. A queue
that waits for a member that died does not stand, since not everyone in it is answered. While the
interface is away, since it died and starts anew, requests wait for it, as many as it can answer
once it is back.

Ray finds the gate by `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`; without it the interface refuses
by itself (`serving.doorway`).

Source of telling a standing queue from a burst: Nichols and Jacobson (2012), Controlling queue
delay.
"""

import asyncio
import json
import logging
import time
from functools import cache
from http import HTTPStatus
from pathlib import Path

import yaml
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("ray.serve")

IMPORT_PATH = "serving.gate:middlewares"
CONFIG = Path(__file__).parent / "config.yaml"
# What is Ray's own begins with this.
RAYS = "/-/"
# These are answered when nothing else is.
ALWAYS = ("/healthz", "/readyz", "/metrics")
RETRY_AFTER_S = 1
# Under which key of the scope's state the interface learns how many were refused.
REFUSED = "refused_at_gate"
BUSY = "The service has more to do than it can; try again in a moment."
NOT_STARTED = "The service has not started yet; try again in a moment."
NO_ANSWER = "No answer came; try again in a moment."
TOO_LONG = "The answer took too long; ask for fewer days at a time."
PROBLEM = b"application/problem+json"
# What is told instead of Ray's own errors: no interface is known yet, or it took too long.
IN_OUR_WORDS = {
    HTTPStatus.NOT_FOUND: (HTTPStatus.SERVICE_UNAVAILABLE, NOT_STARTED),
    HTTPStatus.REQUEST_TIMEOUT: (HTTPStatus.GATEWAY_TIMEOUT, TOO_LONG),
}
UNANSWERED = (HTTPStatus.SERVICE_UNAVAILABLE, NO_ANSWER)
# Where nobody inside was answered for so long, the interface is not busy but away. Where a queue
# was cut, a single long question may be all that is inside, and it takes longer to tell.
AWAY_S = 1.0
AWAY_WHEN_CUT_S = 10.0
# How many times as many may wait then, and be worked on when it is back.
TIMES_WHEN_AWAY = 6
# What it takes, once back, to answer who has waited.
CATCH_UP_S = 3.0
# Where more than so many are refused for each that is let in, far more is asked than can be
# answered.
FAR_MORE = 4
# Where nobody was refused for so long, no queue stands any more.
QUIET_S = 3.0
# Who has not taken a part of an answer in that time gives up the place, and in this one is left.
SLOW_S = 1.0
GONE_S = 30.0
# By these who asks could do away with Ray's limits.
NOT_PASSED_ON = (b"x-request-timeout-seconds", b"x-request-disconnect-disabled")
# A page is of no use by halves, and costs little: its files are let in when others are refused.
PAGE, PAGE_FILES = "/", "/planner/"
# How often the log says how many were refused.
TELL_S = 10.0


class Gate:
    """ASGI middleware that lets so many requests in at a time.

    Args:
        app: What is behind it.
        max_in_flight: Requests that are let in at a time; more are told to come back, or wait while
            the interface is away.
        max_standing: Requests that are let in at a time where a queue stands.
    """

    def __init__(self, app: ASGIApp, max_in_flight: int, max_standing: int) -> None:
        self.app = app
        self.max_in_flight = max_in_flight
        self.max_standing = min(max_standing, max_in_flight)
        # Numbers of the requests inside, the one that came first being the first.
        self._inside: dict[int, None] = {}
        self._newest = self._refused = self._untold = 0
        self._told_at = self._answered_at = self._refused_at = time.monotonic()
        self._is_patient_until = self._told_at
        # Fewer than `max_in_flight` where a queue stands.
        self._allowed = max_in_flight
        # While none stands, the last of those that were in a queue when it was half full.
        self._last_in_queue: int | None = None
        # While one stands, what became of the last few that came.
        self._of_late = {"let in": 0, "refused": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or tell it to come back."""
        if scope["type"] != "http" or scope["path"].startswith(RAYS):
            await self.app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in NOT_PASSED_ON]
        scope = {**scope, "headers": headers}
        if scope["path"] in ALWAYS:
            # For `/metrics`; nothing that a request says of itself gets here.
            scope["state"] = {**(scope.get("state") or {}), REFUSED: self._refused}
            await self._pass_on(scope, receive, send)
        elif len(self._inside) >= self._places(scope["path"]):
            self._count()
            await _tell(send, HTTPStatus.SERVICE_UNAVAILABLE, BUSY)
        else:
            await self._let_in(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._inside:
            # Who comes first after a quiet hour does not make the interface seem away.
            self._answered_at = time.monotonic()
        self._newest += 1
        number = self._newest
        self._inside[number] = None
        self._of_late["let in"] += 1

        loop = asyncio.get_running_loop()

        async def sent(message: Message) -> None:
            # Not when all is done: who has read it may be back before that.
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._leave(number)
            # Nor do those wait who could be answered while somebody reads slowly, or not at all.
            slow = loop.call_later(SLOW_S, self._leave, number)
            async with asyncio.timeout(GONE_S):
                await send(message)
            slow.cancel()

        try:
            await self._pass_on(scope, receive, sent)
        finally:
            self._leave(number)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask what is behind; an error of Ray's own, or none at all, is told as a problem."""
        has_begun = is_told = False

        async def sent(message: Message) -> None:
            nonlocal has_begun, is_told
            if message["type"] == "http.response.start":
                has_begun, is_told = True, _is_rays_own(message)
                if is_told:
                    await _tell(send, *IN_OUR_WORDS.get(message["status"], UNANSWERED))
            if not is_told:
                await send(message)

        await self.app(scope, receive, sent)
        # Ray says nothing where the interface died with the request.
        if not has_begun:
            await _tell(send, *UNANSWERED)

    def _leave(self, number: int) -> None:
        if number in self._inside:
            del self._inside[number]
            self._answered_at = time.monotonic()

    def _places(self, path: str) -> int:
        """Return how many may be inside for one more to be let in."""
        most = self.max_in_flight * TIMES_WHEN_AWAY
        places = self._allowed_now(most)
        return most if path == PAGE or path.startswith(PAGE_FILES) else places

    def _allowed_now(self, most: int) -> int:
        now = time.monotonic()
        is_cut = self._allowed < self.max_in_flight
        if self._inside and now - self._answered_at > (AWAY_WHEN_CUT_S if is_cut else AWAY_S):
            self._is_patient_until = now + CATCH_UP_S
        if now < self._is_patient_until:
            self._allowed, self._last_in_queue = self.max_in_flight, None
            return most
        if is_cut:
            self._allowed = self._still_allowed(now)
        elif self._has_stood():
            self._allowed = self.max_standing
        return self._allowed

    def _has_stood(self) -> bool:
        """Tell whether all that were in the queue were answered, and it was never half empty."""
        if 2 * len(self._inside) < self.max_in_flight:
            self._last_in_queue = None
            return False
        if self._last_in_queue is None:
            self._last_in_queue = self._newest
        if min(self._inside, default=0) <= self._last_in_queue:
            return False
        self._last_in_queue, self._of_late = None, dict.fromkeys(self._of_late, 0)
        return True

    def _still_allowed(self, now: float) -> int:
        """Return how many are let in after a queue was cut, by what became of those that came."""
        if now - self._refused_at >= QUIET_S:
            return self.max_in_flight
        let_in, refused = self._of_late.values()
        if let_in + refused < self.max_in_flight:
            return self._allowed
        self._of_late = dict.fromkeys(self._of_late, 0)
        if refused <= let_in:
            return self.max_in_flight
        return 1 if refused > FAR_MORE * let_in else self.max_standing

    def _count(self) -> None:
        self._refused += 1
        self._untold += 1
        self._of_late["refused"] += 1
        self._refused_at = now = time.monotonic()
        if now - self._told_at > TELL_S:
            log.warning("refused, being more than could be answered: %d requests", self._untold)
            self._untold, self._told_at = 0, now


def _is_rays_own(message: Message) -> bool:
    """Tell whether the start of an answer is an error that Ray put into words.

    Errors of files that a browser asks for are the interface's, and no problems in JSON.
    """
    kind = dict(message.get("headers", ())).get(b"content-type")
    status = message["status"]
    is_possible = status in IN_OUR_WORDS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return is_possible and kind != PROBLEM


async def _tell(send: Send, status: HTTPStatus, detail: str) -> None:
    """Send a problem; of one that passes, when to come back."""
    body = _body(status, detail)
    headers = [
        (b"content-type", PROBLEM),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


@cache
def _body(status: HTTPStatus, detail: str) -> bytes:
    problem = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    return json.dumps({**problem, "detail": detail}).encode()


def middlewares() -> list[Middleware]:
    """Return what Ray's proxy puts around everything: the gate, as `config.yaml` sets it."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    (application,) = config["applications"]
    numbers = {name: application["args"][name] for name in ("max_in_flight", "max_standing")}
    return [Middleware(Gate, **numbers)]
