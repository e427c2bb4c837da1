"""What the interface refuses, in which words, and to whom."""

import asyncio
import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from serving import doorway
from serving.batches import BusyError
from serving.gate import Gate
from serving.predictor import NoMemberError, Predictor
from serving.security import Keys, RateLimit
from tests.serving.conftest import (
    Client,
    InProcess,
    Reply,
    assert_problem,
    day,
    instances,
    other_plan,
)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": {}}, "instances"),
        ({"instances": [{"store_id": 3}]}, "instances.0.date"),
        ({"instances": [{"store_id": "3", "date": "2015-01-01"}]}, "instances.0.store_id"),
        ({"instances": [{"store_id": -1, "date": "2015-01-01"}]}, "instances.0.store_id"),
        ({"instances": [{"store_id": 3.5, "date": "2015-01-01"}]}, "instances.0.store_id"),
        ({"instances": [{"store_id": 3, "date": 20150101}]}, "instances.0.date"),
        ({"instances": [{"store_id": 3, "date": "2015-02-30"}]}, "instances.0.date"),
        ({"instances": [{"store_id": 3, "date": "2015-01-01", "promo": 1}]}, "instances.0.promo"),
        (
            {"instances": [{"store_id": 3, "date": "2015-01-01", "is_promo": 1}]},
            "instances.0.is_promo",
        ),
        (
            {"instances": [{"store_id": 3, "date": "2015-01-01", "state_holiday": "b"}]},
            "instances.0.state_holiday",
        ),
        ({"instances": [{"store_id": 3, "date": "2015-01-01"}], "level": [50]}, "level.0"),
        ({"instances": [{"store_id": 3, "date": "2015-01-01"}], "level": [80] * 3}, "level"),
        ({"instances": [{"store_id": 3, "date": "2015-01-01"}] * 5001}, "instances"),
        (b"{", "body"),
        (b'{"instances": [{"store_id": NaN, "date": "2015-01-01"}]}', "instances.0.store_id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_request_that_cannot_be_used_names_the_field(
    client: Client, body: Any, field: str
) -> None:
    reply = client.post("/v1/predict", body)
    assert_problem(reply, 422)
    assert any(error["field"].startswith(field) for error in reply.json["errors"])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"date": "2015-01-01", "week": "2015-W01"},
        {"week": "2015-W60"},
        {"week": "next"},
        {"week": "9999-W52"},
    ],
    ids=str,
)
def test_a_change_names_one_day_or_one_week(client: Client, change: dict[str, str]) -> None:
    reply = client.post("/v1/stores/5/scenario", {"changes": [{**change, "is_promo": True}]})
    assert_problem(reply, 422, "changes.0")


@pytest.mark.parametrize("path", ["/v1/stores/77/forecast", "/v1/nothing"])
def test_what_is_not_there_is_a_problem_too(client: Client, path: str) -> None:
    assert_problem(client.get(path), 404)


def test_unknown_stores_and_other_days_are_told(client: Client, predictor: Predictor) -> None:
    first, last = day(predictor, 1), day(predictor, 42)
    assert_problem(client.post("/v1/predict", instances((77, first))), 404, "no store 77")
    for h in (0, 43):
        reply = client.post("/v1/predict", instances((3, day(predictor, h))))
        assert_problem(reply, 422, first, last)
    both = instances((3, first), is_promo=True)
    both["instances"].append({**both["instances"][0], "is_promo": False})
    assert_problem(client.post("/v1/predict", both), 422, "Store 3", first)


def test_a_body_that_is_no_text_is_refused(client: Client) -> None:
    assert_problem(client.post("/v1/predict", b"\xff"), 400)


@pytest.mark.parametrize(
    ("header", "value", "status", "told"),
    [
        ("Content-Length", str(doorway.MAX_BODY + 1), 413, "5,000,000"),
        ("Transfer-Encoding", "chunked", 411, "length must be told"),
    ],
)
def test_bodies_are_limited(
    client: Client, header: str, value: str, status: int, told: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.putrequest("POST", "/v1/predict")
    connection.putheader(header, value)
    connection.endheaders()
    # It is answered before anything of the body was sent.
    reply = connection.getresponse()
    assert_problem(Reply(reply.status, dict(reply.headers), reply.read()), status, told)
    connection.close()


def test_with_keys_only_their_owners_are_answered(client: Client, keys: Keys) -> None:
    assert client.get("/v1/stores").status == 200
    text = keys.add("planner")
    for authorization in ("", "Bearer", "Bearer wrong", f"Basic {text}", text):
        reply = replace(client, headers={"Authorization": authorization}).get("/v1/stores")
        assert_problem(reply, 401, "key is needed")
        assert reply.headers["www-authenticate"] == "Bearer"
    known = replace(client, headers={"Authorization": f"Bearer {text}"})
    assert known.get("/v1/stores").status == 200
    assert client.get("/healthz").status == 200
    keys.revoke("planner")
    keys.add("another")
    assert known.get("/v1/stores").status == 401


class TestForOtherMachines:
    @pytest.fixture
    def needs_key(self) -> bool:
        return True

    def test_no_one_is_let_in_when_the_last_key_is_revoked(
        self, client: Client, keys: Keys
    ) -> None:
        assert_problem(client.get("/v1/stores"), 401)
        known = replace(client, headers={"Authorization": f"Bearer {keys.add('planner')}"})
        assert known.get("/v1/stores").status == 200
        keys.revoke("planner")
        assert_problem(known.get("/v1/stores"), 401)
        assert_problem(client.get("/v1/stores"), 401)


def test_a_damaged_file_of_keys_lets_no_one_in_and_is_not_named(client: Client, keys: Keys) -> None:
    keys.path.write_text("{")
    reply = client.get("/v1/stores")
    assert_problem(reply, 500)
    assert b"keys.json" not in reply.body


class TestWithALowLimit:
    @pytest.fixture
    def limit(self) -> RateLimit:
        return RateLimit(per_second=0.1, burst=2)

    def test_who_asks_too_often_is_told_when_to_come_back(self, client: Client) -> None:
        assert [client.get("/v1/stores").status for _ in range(2)] == [200, 200]
        reply = client.get("/v1/stores")
        assert_problem(reply, 429)
        assert 1 <= int(reply.headers["retry-after"]) <= 10
        assert client.get("/readyz").status == 200


def test_until_a_release_is_loaded_the_service_is_not_ready(
    client: Client, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "predictor", None)
    assert client.get("/healthz").status == 200
    for path in ("/readyz", "/v1/stores", "/v1/stores/3/forecast"):
        reply = client.get(path)
        assert_problem(reply, 503)
        assert int(reply.headers["retry-after"]) > 0


def test_an_error_of_ours_tells_nothing_of_the_inside(
    client: Client, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("secret path /x")

    monkeypatch.setattr(service, "forecast", fail)
    reply = client.post("/v1/predict", other_plan(service.predictor, 3, 1))
    assert_problem(reply, 500)
    assert b"secret" not in reply.body


def test_a_file_that_cannot_be_forecast_has_a_status(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise NoMemberError("No member of the ensemble answers.")

    monkeypatch.setattr(service, "forecast", fail)
    (changed,) = other_plan(predictor, 3, 1)["instances"]
    asked = f"store_id,date,is_promo\n5,{changed['date']},\n3,{changed['date']},"
    asked += f"{changed['is_promo']}\n".lower()
    assert_problem(client.post("/v1/predict/csv", asked.encode(), "text/csv"), 503, "No member")


def test_a_reload_is_for_keys_of_the_role_admin(
    client: Client, keys: Keys, service: InProcess
) -> None:
    as_reader = replace(client, headers={"Authorization": f"Bearer {keys.add('planner')}"})
    as_admin = replace(client, headers={"Authorization": f"Bearer {keys.add('ops', 'admin')}"})
    before = service.renewed
    assert_problem(as_reader.post("/v1/model/reload", {}), 403, "role admin")
    assert service.renewed == before
    assert as_admin.post("/v1/model/reload", {}).json["horizon"] == 42
    assert service.renewed == before + 1


def test_a_body_that_never_comes_keeps_no_place(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorway, "BODY_S", 0.2)
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.putrequest("POST", "/v1/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "10")
    connection.endheaders()
    reply = connection.getresponse()
    assert_problem(Reply(reply.status, dict(reply.headers), reply.read()), 408)
    connection.close()
    assert "sales_requests_in_flight 1.0" in client.get("/metrics").body.decode()


def test_without_a_key_nothing_of_the_body_is_read(client: Client, keys: Keys) -> None:
    keys.add("planner")
    assert_problem(client.post("/v1/predict", b"{"), 401)


def test_without_keys_the_service_answers_by_its_own_name_alone(client: Client) -> None:
    elsewhere = replace(client, headers={"Host": "rebound.example"})
    assert_problem(elsewhere.get("/v1/stores"), 401, "127.0.0.1 and localhost")
    assert replace(client, headers={"Host": "localhost:8000"}).get("/v1/stores").status == 200


def test_a_changed_plan_that_would_wait_too_long_is_told_to_come_back(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(stores: int) -> None:
        raise BusyError(f"{stores} are too many")

    monkeypatch.setattr(service, "admit", refuse)
    reply = client.post("/v1/predict", other_plan(predictor, 3, 1))
    assert_problem(reply, 503, "1 are too many")
    assert reply.headers["retry-after"] == "1"
    assert client.post("/v1/predict", instances((3, day(predictor, 1)))).status == 200


class TestAtItsLimit:
    @pytest.fixture
    def max_in_flight(self) -> int:
        return 1

    def test_more_than_it_can_is_told_to_come_back(
        self, client: Client, service: InProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        forecast = service.forecast

        async def slow(*arguments: Any) -> Any:
            begun.set()
            await asyncio.to_thread(go_on.wait, 60)
            return await forecast(*arguments)

        monkeypatch.setattr(service, "forecast", slow)
        body = other_plan(service.predictor, 3, 1)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(client.post, "/v1/predict", body)
            assert begun.wait(60)
            reply = client.get("/v1/stores")
            assert_problem(reply, 503, "more to do than it can")
            assert reply.headers["retry-after"] == "1"
            assert client.get("/readyz").status == 200
            go_on.set()
            assert first.result().status == 200
        assert client.get("/v1/stores").status == 200


class TestBehindTheGate:
    @pytest.fixture
    def app(self, app: FastAPI) -> Gate:
        return Gate(app, max_in_flight=0, max_standing=0)

    def test_what_is_refused_there_is_told_to_prometheus(self, client: Client) -> None:
        assert_problem(client.get("/v1/stores"), 503)
        assert_problem(client.get("/v1/stores"), 503)
        text = client.get("/metrics").body.decode()
        assert "sales_requests_refused_at_gate 2.0" in text
