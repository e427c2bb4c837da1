"""A running service is told of a new release, tried by a real request, and looked at."""

import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from sales_assets.addresses import LOOPBACK
from sales_assets.forecasting.release import Release
from sales_assets.settings import Settings

ASK_S = 10.0
# A release is loaded, verified and tried with every member before it answers.
LOAD_S = 180.0
LOOK_S = 1.0
# A service that has too much to do is asked again after these.
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
PAUSES_S = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Tried:
    """What became of it.

    Attributes:
        is_running: Whether a service answers at all.
        says: What a person should know.
        version: The version that answers, if that is known.
        data: Which data it answers from.
        latency_ms: What a forecast of one store took.
    """

    is_running: bool
    says: str
    version: str | None = None
    data: str | None = None
    latency_ms: float | None = None

    def is_of(self, release: Release) -> bool:
        """Tell whether the service has given a forecast of that release."""
        same = (self.version, self.data) == (release.version, release.data)
        return same and self.latency_ms is not None


def point_at(release: Release, settings: Settings) -> Tried:
    """Point the service at `settings.service_url` at a release, and ask it for a forecast.

    Args:
        release: The release that is in place.
        settings: Where the service is, and the key to ask it with.
    """
    status, _ = _ask(settings, "/healthz")
    if status is None:
        return Tried(False, f"No service is running at {settings.service_url}.")
    has_looked = _has_looked(release, settings)
    deadline = time.monotonic() + LOAD_S
    while True:
        status, ready = _ask(settings, "/readyz")
        model, refused = ready.get("model", {}), ready.get("refused")
        if _is(model, release) and not refused:
            return _tried(settings)
        why = None
        # What was refused may be a release before this one, which is yet to be found.
        if refused and _is(ready.get("refused_model") or _named(release), release):
            why = refused
        elif has_looked:
            why = "it has looked for a new release and found none, so that it serves another home."
        elif time.monotonic() > deadline:
            why = (
                ready.get("detail") or "it has not loaded the new release, or serves another home."
            )
        if why:
            version = model.get("version")
            says = f"The service still answers with {version}: {why}"
            if status is None:
                says = f"The service at {settings.service_url} gives no answer any more."
            return Tried(True, says, version, model.get("data"))
        time.sleep(LOOK_S)


def look_at(release: Release, settings: Settings) -> tuple[bool, str]:
    """Return whether the service answers with a release and all its members, and a sentence on it.

    Args:
        release: The newest one.
        settings: Where the service is.
    """
    service = f"The service at {settings.service_url}"
    status, ready = _ask(settings, "/readyz")
    if status is None:
        return False, f"No service answers at {settings.service_url}; `sales serve` starts one."
    model, refused, missing = (ready.get(name) for name in ("model", "refused", "missing"))
    # Something else may listen there.
    if status != HTTPStatus.OK or not isinstance(model, dict):
        reason = ready.get("detail") or f"it answers by {status}."
        return False, f"{service} is not ready: {reason}"
    answers = f"{service} answers with {model.get('version')}"
    if refused:
        return False, f"{answers} still: {refused}"
    if not _is(model, release):
        return False, (
            f"{answers} and {model.get('data')}; it has not loaded the newest release yet, or "
            "serves another home."
        )
    if missing:
        return False, f"{answers}, without {', '.join(missing)}; its log says why."
    return True, f"{answers} and all its members"


def _has_looked(release: Release, settings: Settings) -> bool:
    """Have the service look for the release; tell whether it has, to the end and in vain.

    Without a key of the role admin it is left to find the release by itself.
    """
    # The first look may be one that began before the release was there.
    for _ in range(2):
        status, told = _ask(settings, "/v1/model/reload", method="POST", timeout_s=LOAD_S)
        if (
            status != HTTPStatus.OK
            or told.get("is_loading", True)
            or _is(told.get("model", {}), release)
        ):
            return False
    return True


def _is(model: dict[str, Any], release: Release) -> bool:
    return (model.get("version"), model.get("data")) == (release.version, release.data)


def _named(release: Release) -> dict[str, Any]:
    return {"version": release.version, "data": release.data}


def _tried(settings: Settings) -> Tried:
    """Ask for the coming days of the first store."""
    status, listed = _ask_until_free(settings, "/v1/stores")
    if status == HTTPStatus.UNAUTHORIZED:
        is_given = bool(settings.service_key.get_secret_value())
        wants = "does not know the key in" if is_given else "wants a key for a forecast: set"
        return Tried(True, f"The service has the new release, and {wants} SALES_SERVICE_KEY.")
    if status != HTTPStatus.OK or not listed.get("stores"):
        return Tried(True, f"The service answers a request for its stores by {status}.")
    store = listed["stores"][0]["store_id"]
    started = time.perf_counter()
    status, answer = _ask_until_free(settings, f"/v1/stores/{store}/forecast")
    latency_ms = 1000 * (time.perf_counter() - started)
    model = answer.get("model", {})
    version, data = model.get("version"), model.get("data")
    if status != HTTPStatus.OK:
        says = f"The service answers a request for store {store} by {status}."
        return Tried(True, says, version, data)
    degraded = answer["degraded"]
    without = f", without {', '.join(degraded)}" if degraded else ""
    says = f"The service answers with {version}{without}, in {latency_ms:.0f} ms."
    return Tried(True, says, version, data, latency_ms)


def _ask_until_free(settings: Settings, path: str) -> tuple[int | None, dict[str, Any]]:
    """Ask, and again as long as the service has too much to do."""
    for pause_s in PAUSES_S:
        status, body = _ask(settings, path)
        if status not in BUSY:
            return status, body
        time.sleep(pause_s)
    return _ask(settings, path)


def _ask(
    settings: Settings, path: str, method: str = "GET", timeout_s: float = ASK_S
) -> tuple[int | None, dict[str, Any]]:
    """Return status and body; no status where nothing answers."""
    headers = {}
    if key := settings.service_key.get_secret_value():
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(  # noqa: S310 - the setting allows http and https alone
        settings.service_url.rstrip("/") + path,
        data=b"" if method == "POST" else None,
        headers=headers,
        method=method,
    )
    try:
        with _opener(settings).open(request, timeout=timeout_s) as reply:
            return reply.status, _body(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, _body(error.read())
    except (OSError, http.client.HTTPException):
        return None, {}


def _opener(settings: Settings) -> urllib.request.OpenerDirector:
    """Return what opens the service's URL; on this machine no proxy, which would see the key."""
    is_here = urlsplit(settings.service_url).hostname in LOOPBACK
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_here else []))


def _body(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        # Something else listens there.
        return {}
    return body if isinstance(body, dict) else {}
