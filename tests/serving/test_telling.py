"""A running service is told of a release, tried and looked at; without one nothing is amiss."""

import http.server
import threading
import time
from dataclasses import replace

import pytest
from pydantic import SecretStr

from sales_assets import service as telling
from sales_assets.service import look_at, point_at
from sales_assets.settings import Settings
from serving.predictor import Predictor
from serving.security import Keys
from serving.service import Refusal
from tests.serving.conftest import Client, InProcess


def at(client: Client, key: str = "") -> Settings:
    return Settings(service_url=f"http://127.0.0.1:{client.port}", service_key=SecretStr(key))


def test_a_service_with_the_release_is_asked_for_a_forecast(
    client: Client, predictor: Predictor, service: InProcess
) -> None:
    before = service.renewed
    tried = point_at(predictor.release, at(client))
    assert tried.is_of(predictor.release)
    assert service.renewed == before + 1
    assert tried.latency_ms is not None
    assert f"answers with {predictor.release.version}, in " in tried.says


def test_no_service_is_no_fault(predictor: Predictor) -> None:
    tried = point_at(predictor.release, Settings(service_url="http://127.0.0.1:9"))
    assert (tried.is_running, tried.says) == (
        False, "No service is running at http://127.0.0.1:9."
    )  # fmt: skip


def test_a_service_that_keeps_to_another_release_is_told(
    client: Client, predictor: Predictor, service: InProcess
) -> None:
    newer = replace(predictor.release, version="20990101T000000Z-00000000")
    before, started = service.renewed, time.monotonic()
    tried = point_at(newer, at(client))
    assert tried.is_running
    assert not tried.is_of(newer)
    assert predictor.release.version in tried.says
    assert "serves another home" in tried.says
    # It has looked, and once more in case the first look had begun too early.
    assert service.renewed == before + 2
    assert time.monotonic() - started < 5


def test_a_service_that_loads_for_long_is_waited_for(
    client: Client, predictor: Predictor, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(predictor.release, version="20990101T000000Z-00000000")
    monkeypatch.setattr(service, "is_loading", True)
    # Still refused is the release before, which this one is to mend.
    monkeypatch.setattr(service, "refused", Refusal("It cannot be used.", predictor.release))

    def loaded(_: float) -> None:
        service.refused = None
        service.predictor = replace(predictor, release=newer)

    monkeypatch.setattr(service, "predictor", predictor)
    monkeypatch.setattr(telling.time, "sleep", loaded)
    assert point_at(newer, at(client)).is_of(newer)


def test_a_service_of_another_home_may_have_a_refusal_of_its_own(
    client: Client, predictor: Predictor, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(predictor.release, version="20990101T000000Z-00000000")
    monkeypatch.setattr(service, "refused", Refusal("It cannot be used.", predictor.release))
    started = time.monotonic()
    assert "serves another home" in point_at(newer, at(client)).says
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("is_read", [True, False])
def test_a_refused_release_is_told_at_once(
    client: Client,
    predictor: Predictor,
    service: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    is_read: bool,
) -> None:
    newer = replace(predictor.release, version="20990101T000000Z-00000000")
    refusal = Refusal("It cannot be used.", newer if is_read else None)
    monkeypatch.setattr(service, "refused", refusal)
    started = time.monotonic()
    tried = point_at(newer, at(client))
    assert "It cannot be used." in tried.says
    assert not tried.is_of(newer)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("role", ["read", "admin"])
def test_with_a_key_the_service_is_asked_in_its_name(
    client: Client, keys: Keys, predictor: Predictor, role: str
) -> None:
    text = keys.add("dagster", role)  # type: ignore[arg-type]
    assert point_at(predictor.release, at(client, text)).is_of(predictor.release)
    tried = point_at(predictor.release, at(client))
    assert "SALES_SERVICE_KEY" in tried.says
    assert not tried.is_of(predictor.release)


def test_a_key_that_is_not_known_is_told_as_that(
    client: Client, keys: Keys, predictor: Predictor
) -> None:
    keys.add("another")
    tried = point_at(predictor.release, at(client, "sales_revoked"))
    assert "does not know the key in SALES_SERVICE_KEY" in tried.says


def test_no_proxy_stands_between_a_refresh_and_a_service_here(
    client: Client, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert point_at(predictor.release, at(client)).is_of(predictor.release)


def test_a_service_that_has_too_much_to_do_is_asked_again(
    client: Client, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(telling.time, "sleep", paused.append)
    ask, busy = telling._ask, iter([503, 429])

    def often_busy(settings: Settings, path: str, **options: object) -> tuple:
        status = next(busy, None) if path.startswith("/v1/stores") else None
        return (status, {}) if status else ask(settings, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(telling, "_ask", often_busy)
    assert point_at(predictor.release, at(client)).is_of(predictor.release)
    assert paused == list(telling.PAUSES_S[:2])


def test_something_else_on_the_port_is_told(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LOAD_S", 0.1)

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        tried = point_at(predictor.release, Settings(service_url=url))
        looked_at = look_at(predictor.release, Settings(service_url=url))
        server.shutdown()
    assert tried.is_running
    assert not tried.is_of(predictor.release)
    assert looked_at == (False, f"The service at {url} is not ready: it answers by 200.")
    monkeypatch.setattr(telling, "_ask", lambda *_: (200, {"model": "of something else"}))
    assert look_at(predictor.release, Settings(service_url=url)) == looked_at


def test_a_service_that_is_looked_at_answers_with_the_newest_release_whole(
    client: Client,
    keys: Keys,
    predictor: Predictor,
    service: InProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A monitor needs none of them.
    keys.add("another")
    release, url = predictor.release, f"http://127.0.0.1:{client.port}"
    answers = f"The service at {url} answers with {release.version}"
    assert look_at(release, at(client)) == (True, f"{answers} and all its members")

    newer = replace(release, version="20990101T000000Z-00000000")
    is_well, told = look_at(newer, at(client))
    assert not is_well
    assert told.startswith(f"{answers} and {release.data}; it has not loaded the newest release")

    monkeypatch.setattr(service, "missing", ["lstm", "statistical"])
    assert look_at(release, at(client)) == (
        False, f"{answers}, without lstm, statistical; its log says why."
    )  # fmt: skip

    monkeypatch.setattr(service, "refused", Refusal("It cannot be used.", newer))
    assert look_at(newer, at(client)) == (False, f"{answers} still: It cannot be used.")

    monkeypatch.setattr(service, "predictor", None)
    assert look_at(newer, at(client)) == (
        False, f"The service at {url} is not ready: It cannot be used."
    )  # fmt: skip
    monkeypatch.setattr(service, "refused", None)
    assert look_at(newer, at(client)) == (
        False, f"The service at {url} is not ready: No release is loaded yet."
    )  # fmt: skip
