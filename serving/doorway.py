"""What every request passes on its way in and out: limits, headers, measurement, a line of log."""

import asyncio
import json
import logging
import time
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sales_assets.errors import SalesError
from serving import gate
from serving.metrics import Metrics
from serving.problems import failed, problem, told
from serving.security import Access

requests_log = logging.getLogger("serving.requests")

MAX_BODY = 5_000_000
# What a body may take to arrive: who sends none must not keep a place for ever.
BODY_S = 10.0
TOO_SLOW = f"The body took longer than {BODY_S:.0f} s to arrive; ask for fewer days at a time."
# In log and metrics the status of an answer that failed after it had begun.
BROKEN_OFF = "broken off"
# What wants a key where there are keys.
KEPT = ("/v1/", "/metrics")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The page of the interface's description starts itself by a script within.
POLICIES = {"/docs": POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")}


class Doorway:
    """ASGI middleware around the whole interface.

    Args:
        app: What is behind it.
        access: Who is let in.
        metrics: What is counted.
        max_in_flight: Requests that are worked on at a time; more are told to come back.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics, max_in_flight: int) -> None:
        self.app, self.access = app, access
        self.metrics, self.max_in_flight = metrics, max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Handlers leave here whose request it is and which version answers.
        scope["state"] = state = dict(scope.get("state") or {})
        started, status, is_whole = time.perf_counter(), 0, True

        async def leave(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                is_file = scope["path"].startswith(gate.PAGE_FILES)
                headers.setdefault("Cache-Control", "no-cache" if is_file else "no-store")
                policy = POLICIES.get(scope["path"], POLICY)
                headers.setdefault("Content-Security-Policy", policy)
            await send(message)

        is_counted = False
        try:
            refusal = self._refusal(scope, state)
            if refusal is None:
                is_counted = True
                self._in_flight += 1
                self.metrics.in_flight.set(self._in_flight)
            await (refusal or self.app)(scope, _in_time(receive), leave)
        except Exception as error:
            response = failed(scope["method"], scope["path"], error)
            # Of an answer that has begun nothing can be taken back.
            is_whole = status == 0
            if is_whole:
                await response(scope, receive, leave)
        finally:
            self._in_flight -= is_counted
            self.metrics.in_flight.set(self._in_flight)
            outcome = status if is_whole else BROKEN_OFF
            self._tell(scope, state, outcome, time.perf_counter() - started)

    def _refusal(self, scope: Scope, state: dict[str, Any]) -> ASGIApp | None:
        """Return what is answered instead of letting the request through, if anything."""
        headers = Headers(scope=scope)
        if scope["path"].startswith(KEPT):
            try:
                caller = self.access.caller(
                    headers.get("authorization", ""),
                    headers.get("host", ""),
                    headers.get("origin", ""),
                    headers.get("sec-fetch-site", ""),
                )
            except SalesError as error:
                return told(scope["method"], scope["path"], error)
            state["caller"], state["role"] = caller.name, caller.role
        if self._in_flight >= self.max_in_flight and scope["path"] not in gate.ALWAYS:
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                gate.BUSY,
                retry_after_s=gate.RETRY_AFTER_S,
            )
        length = headers.get("content-length", "0")
        # Without a length the body would have to be read to be measured.
        if "transfer-encoding" in headers or not (length.isascii() and length.isdecimal()):
            return problem(HTTPStatus.LENGTH_REQUIRED, "The body's length must be told.")
        if int(length) > MAX_BODY:
            return problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MAX_BODY:,} bytes."
            )
        return None

    def _tell(self, scope: Scope, state: dict[str, Any], status: int | str, seconds: float) -> None:
        # The path as it is declared: one a store would be a series of its own each.
        path = getattr(scope.get("route"), "path", None) or "other"
        self.metrics.count(path, scope["method"], status, seconds)
        requests_log.info(
            json.dumps(
                {
                    "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                    "key": state.get("caller"),
                    "version": state.get("version"),
                    "degraded": state.get("degraded", []),
                }
            )
        )


def _in_time(receive: Receive) -> Receive:
    """Return what raises an HTTPException where the body takes too long to arrive."""
    deadline, is_whole = time.monotonic() + BODY_S, False

    async def arrive() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            # FastAPI would call any other error one of the body.
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW) from None
        is_whole = not message.get("more_body", False)
        return message

    return arrive
