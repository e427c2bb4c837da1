"""The interface over HTTP: what is asked is answered, and what cannot be is told which field."""

import asyncio
import http.client
import io
import json
import math
import re
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.settings import Settings
from serving import answers, api, doorway
from serving.batches import BusyError
from serving.predictor import Answer, NoMemberError, Predictor
from serving.security import Keys, RateLimit
from tests.serving.conftest import Client, InProcess, Reply


@pytest.fixture(scope="module")
def latest(home: Path, settings: Settings) -> pd.DataFrame:
    with warehouse.connect_snapshot(settings.model_copy(update={"home": home})) as con:
        days = con.table("forecasts.latest").df()
    return days.assign(date=days["date"].dt.strftime("%Y-%m-%d"))


def day(predictor: Predictor, h: int) -> str:
    return str(predictor.release.cutoff + timedelta(days=h))


def instances(*days: tuple[int, str], **plan: Any) -> dict[str, Any]:
    return {"instances": [{"store_id": store, "date": day, **plan} for store, day in days]}


def assert_problem(reply: Reply, status: int, *words: str) -> None:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert reply.json["title"]
    for word in words:
        assert word in reply.json["detail"]


def test_planned_days_are_answered_as_published_and_in_the_order_asked(
    client: Client, predictor: Predictor, latest: pd.DataFrame
) -> None:
    days = [(7, day(predictor, 3)), (3, day(predictor, 42)), (7, day(predictor, 1))]
    body = client.post("/v1/predict", instances(*days)).json

    assert body["model"] == {
        "version": predictor.release.version, "cutoff": str(predictor.release.cutoff),
        "data": predictor.release.data,
    }  # fmt: skip
    assert body["degraded"] == []
    assert [(found["store_id"], found["date"]) for found in body["predictions"]] == days
    for found in body["predictions"]:
        rows = latest[(latest["store_id"] == found["store_id"]) & (latest["date"] == found["date"])]
        rows = rows.set_index("model")
        expected = rows.loc[ENSEMBLE]
        assert found["h"] == expected["h"]
        assert found["forecast"] == pytest.approx(expected["forecast"], rel=1e-6)
        for level in ("80", "95"):
            bounds = [expected[f"lo_{level}"], expected[f"hi_{level}"]]
            assert found["intervals"][level] == pytest.approx(bounds, rel=1e-6)
        members = rows["forecast"].drop(ENSEMBLE).to_dict()
        assert found["members"] == pytest.approx(members, rel=1e-6)
        assert found["contributions"] is None


def test_a_closed_day_is_exactly_zero(client: Client, predictor: Predictor) -> None:
    body = client.post("/v1/predict", instances((3, day(predictor, 2)), is_open=False)).json
    (found,) = body["predictions"]
    assert found["forecast"] == 0
    assert found["intervals"] == {"80": [0, 0], "95": [0, 0]}
    assert found["plan"]["is_open"] is False


def test_levels_and_explanations_are_given_where_they_are_asked_for(
    client: Client, predictor: Predictor
) -> None:
    open_day = next(
        h for h in range(1, 8) if (predictor.release.cutoff + timedelta(days=h)).weekday() == 2
    )
    asked = instances((3, day(predictor, open_day)), is_open=True, state_holiday="none")
    body = client.post("/v1/predict", {**asked, "level": [95], "explain": True}).json
    (found,) = body["predictions"]
    assert set(found["intervals"]) == {"95"}
    shares = found["contributions"]
    together = math.prod(1 + share / 100 for share in shares.values())
    usual_day = found["members"]["lightgbm"] / together
    assert 0.2 < usual_day / found["forecast"] < 5
    assert "promotion" in shares


def test_the_stores_and_their_days_are_listed(client: Client, predictor: Predictor) -> None:
    body = client.get("/v1/stores").json
    assert [store["store_id"] for store in body["stores"]] == list(range(1, 13))
    assert (body["first_day"], body["last_day"]) == (day(predictor, 1), day(predictor, 42))


@pytest.mark.parametrize(("days", "expected"), [(1, 1), (10, 10), (42, 42), (366, 42)])
def test_a_stores_forecast_stands_beside_its_last_eight_weeks(
    client: Client, predictor: Predictor, days: int, expected: int
) -> None:
    body = client.get(f"/v1/stores/5/forecast?days={days}").json
    assert [found["date"] for found in body["predictions"]] == [
        day(predictor, h) for h in range(1, expected + 1)
    ]
    assert len(body["history"]) == 56
    assert body["history"][-1]["date"] == str(predictor.release.cutoff)
    assert body["store"]["store_id"] == 5


def test_a_scenario_is_told_beside_the_plan(
    client: Client, predictor: Predictor, latest: pd.DataFrame
) -> None:
    shut = [{"date": day(predictor, h), "is_open": False} for h in (8, 9, 10)]
    body = client.post("/v1/stores/5/scenario", {"changes": shut}).json

    rows = latest[(latest["store_id"] == 5) & (latest["model"] == ENSEMBLE)]
    assert body["planned_total"] == pytest.approx(rows["forecast"].sum())
    assert body["scenario_total"] == pytest.approx(
        sum(found["forecast"] for found in body["predictions"])
    )
    differences = [found["difference"] for found in body["days"]]
    assert body["difference"] == pytest.approx(sum(differences))
    assert [found["scenario"] for found in body["days"]][7:10] == [0, 0, 0]
    assert body["difference"] < 0


def test_a_scenario_unlike_the_past_is_answered_with_a_warning(
    client: Client, predictor: Predictor
) -> None:
    past = predictor.features.history_of(5)
    sundays = past[past["date"].dt.dayofweek == 6]
    assert not sundays["is_open"].any(), "the store of this test opens on Sundays"
    sunday = next(
        date
        for h in range(1, 8)
        if (date := predictor.release.cutoff + timedelta(days=h)).weekday() == 6
    )
    year, week, _ = sunday.isocalendar()
    body = client.post(
        "/v1/stores/5/scenario",
        {"changes": [{"week": f"{year}-W{week:02}", "is_open": True, "is_promo": True}]},
    ).json
    assert "The store has never sold on Sundays." in body["warnings"]

    assert [found["date"] for found in body["days"] if found["planned"] != found["scenario"]]

    past_week = {"changes": [{"week": "2013-W20", "is_promo": True}]}
    assert_problem(client.post("/v1/stores/5/scenario", past_week), 422, day(predictor, 1))
    usual = {"changes": [{"date": day(predictor, 1), "is_school_holiday": True}]}
    assert client.post("/v1/stores/5/scenario", usual).json["warnings"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": {}}, "instances"),
        ({"instances": [{"store_id": 3}]}, "instances.0.date"),
        ({"instances": [{"store_id": "3", "date": "2015-01-01"}]}, "instances.0.store_id"),
        ({"instances": [{"store_id": 0, "date": "2015-01-01"}]}, "instances.0.store_id"),
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
        (
            {"instances": [{"store_id": 3, "date": "2015-01-01"}] * 1001, "explain": True},
            "explain",
        ),
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
    reply = client.post(
        "/v1/predict", instances((3, str(service.predictor.first_day)), is_promo=True)
    )
    assert_problem(reply, 500)
    assert b"secret" not in reply.body


def test_a_file_of_days_is_answered_as_a_file(client: Client, predictor: Predictor) -> None:
    first, second = day(predictor, 1), day(predictor, 2)
    asked = f"store_id,date,is_open\n5,{second},\n3,{first},false\n5,{first},\n"
    reply = client.post("/v1/predict/csv", asked.encode(), "text/csv")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["x-model-version"] == predictor.release.version
    found = pd.read_csv(io.BytesIO(reply.body))
    assert list(zip(found["store_id"], found["date"], strict=True)) == [
        (5, second), (3, first), (5, first),
    ]  # fmt: skip
    assert found.loc[1, ["forecast", "lo_95", "hi_95"]].tolist() == [0, 0, 0]
    body = client.post("/v1/predict", instances((5, second))).json
    assert found.loc[0, "forecast"] == pytest.approx(body["predictions"][0]["forecast"], abs=0.01)

    wrong = client.post("/v1/predict/csv", b"store_id,date\n5,soon\n", "text/csv")
    assert_problem(wrong, 422, "line 2: date")
    unknown = client.post("/v1/predict/csv", f"store_id,date\n77,{first}\n".encode(), "text/csv")
    assert_problem(unknown, 404, "no store 77")


def test_a_long_file_is_told_in_parts(
    client: Client, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "store_id,date,is_promo\n" + "".join(
        f"{store},{day(predictor, h)},{'true' if store == 3 else ''}\n"
        for h in range(1, 8)
        for store in (5, 3, 1)
    )
    whole = client.post("/v1/predict/csv", asked.encode(), "text/csv")
    told: list[int] = []
    predictions = answers.predictions

    def in_part(answer: Answer, days: list[Any], *others: Any) -> list[dict[str, Any]]:
        told.append(len(days))
        return predictions(answer, days, *others)

    monkeypatch.setattr(answers, "predictions", in_part)
    monkeypatch.setattr(api, "DAYS_A_PART", 8)
    parts = client.post("/v1/predict/csv", asked.encode(), "text/csv")
    assert told == [8, 8, 5]
    assert parts.body == whole.body
    assert "sales_predictions_total 42.0" in client.get("/metrics").body.decode()


def test_a_file_that_cannot_be_forecast_has_a_status(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise NoMemberError("No member of the ensemble answers.")

    monkeypatch.setattr(service, "forecast", fail)
    asked = f"store_id,date,is_promo\n5,{day(predictor, 1)},\n3,{day(predictor, 1)},true\n"
    assert_problem(client.post("/v1/predict/csv", asked.encode(), "text/csv"), 503, "No member")


def test_the_chain_is_summed_up(client: Client, predictor: Predictor, latest: pd.DataFrame) -> None:
    body = client.get("/v1/overview").json
    coming = latest[latest["model"] == ENSEMBLE]
    assert body["forecast_total"] == pytest.approx(coming["forecast"].sum())
    assert len(body["days"]) == 42
    assert sum(found["forecast"] for found in body["days"]) == pytest.approx(body["forecast_total"])
    store = body["stores"][4]
    assert store["store_id"] == 5
    own = coming[coming["store_id"] == 5]["forecast"]
    assert store["forecast_total"] == pytest.approx(own.sum())
    past = predictor.features.history_of(5).tail(42)
    sold = past[past["sales"] > 0]["sales"]
    assert store["recent_total"] == pytest.approx(sold.sum())
    assert store["change_percent"] == pytest.approx(100 * (own[own > 0].mean() / sold.mean() - 1))
    assert 0 < store["rmspe"] < 1


def test_a_store_is_told_how_well_it_was_forecast_and_why(client: Client, home: Path) -> None:
    body = client.get("/v1/stores/5/forecast?explain=true").json
    with warehouse.connect_snapshot(Settings(home=home)) as con:
        judged = con.execute(
            "select * from models.backtest where model = 'ensemble' and store_id = 5 and sales > 0"
        ).df()
    relative = judged["forecast"] / judged["sales"] - 1
    assert body["accuracy"]["days"] == len(judged)
    assert body["accuracy"]["rmspe"] == pytest.approx(math.sqrt((relative**2).mean()))
    within = (judged["sales"] >= judged["lo_80"]) & (judged["sales"] <= judged["hi_80"])
    assert body["accuracy"]["coverage_80"] == pytest.approx(within.mean())
    for found in body["predictions"]:
        assert (found["contributions"] is not None) == found["plan"]["is_open"]


def test_without_reasons_the_forecasts_are_answered_all_the_same(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "member", None)
    body = client.get("/v1/stores/5/forecast?explain=true").json
    assert body["degraded"] == ["lightgbm"]
    assert all(found["contributions"] is None for found in body["predictions"])
    assert len(body["predictions"]) == 42


def test_a_scenario_may_be_explained(client: Client, predictor: Predictor) -> None:
    changes = [{"date": day(predictor, h), "is_promo": True} for h in range(1, 8)]
    body = client.post("/v1/stores/5/scenario", {"changes": changes, "explain": True}).json
    told = [found["contributions"] for found in body["predictions"][:7] if found["contributions"]]
    assert told
    assert all("promotion" in contributions for contributions in told)


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


def test_a_reload_needs_no_body(client: Client) -> None:
    url = f"http://127.0.0.1:{client.port}/v1/model/reload"
    assert client.ask(urllib.request.Request(url, method="POST")).status == 200


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
    assert_problem(Reply(reply.status, dict(reply.headers), reply.read()), 400)
    connection.close()
    assert "sales_requests_in_flight 1.0" in client.get("/metrics").body.decode()


def test_without_a_key_nothing_of_the_body_is_read(client: Client, keys: Keys) -> None:
    keys.add("planner")
    assert_problem(client.post("/v1/predict", b"{"), 401)


def test_without_keys_the_service_answers_by_its_own_name_alone(client: Client) -> None:
    elsewhere = replace(client, headers={"Host": "rebound.example"})
    assert_problem(elsewhere.get("/v1/stores"), 401, "127.0.0.1 and localhost")
    assert replace(client, headers={"Host": "localhost:8000"}).get("/v1/stores").status == 200


def test_a_scenario_without_a_member_compares_like_with_like(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forecast(release: Predictor, changes: list[Any]) -> Any:
        members = {name: ask for name, ask in release.members.items() if name != "lightgbm"}
        stores = sorted({change.store_id for change in changes})
        return replace(release, members=members).forecast(stores, changes)

    monkeypatch.setattr(service, "forecast", forecast)
    plan = client.get("/v1/stores/5/forecast").json["predictions"][0]
    same = {"date": plan["date"], "is_promo": plan["plan"]["is_promo"]}
    body = client.post("/v1/stores/5/scenario", {"changes": [same]}).json
    assert body["degraded"] == ["lightgbm"]
    assert body["difference"] == pytest.approx(0, abs=1e-6)


def test_what_is_counted_is_told_to_prometheus(client: Client, predictor: Predictor) -> None:
    client.post("/v1/predict", instances((3, day(predictor, 1))))
    client.get("/v1/stores/77/forecast")
    text = client.get("/metrics").body.decode()
    assert 'sales_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in text
    path = "/v1/stores/{store_id}/forecast"
    assert f'sales_requests_total{{method="GET",path="{path}",status="404"}} 1.0' in text
    assert "sales_predictions_total 1.0" in text
    assert f'version="{predictor.release.version}"' in text
    assert "sales_requests_in_flight 1.0" in text


def test_requests_are_logged_without_the_key(
    client: Client, keys: Keys, predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    text = keys.add("planner")
    caplog.set_level("INFO", "serving.requests")
    known = replace(client, headers={"Authorization": f"Bearer {text}"})
    known.get("/v1/stores/5/forecast")
    client.get("/v1/stores/5/forecast")
    # A line is written when its answer has gone out.
    deadline = time.monotonic() + 30
    while len(caplog.records) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lines = [json.loads(record.message) for record in caplog.records]
    assert [(line["status"], line["key"]) for line in lines] == [(200, "planner"), (401, None)]
    assert lines[0]["version"] == predictor.release.version
    assert lines[0]["ms"] > 0
    assert text not in caplog.text


def test_a_changed_plan_that_would_wait_too_long_is_told_to_come_back(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(stores: int) -> None:
        raise BusyError(f"{stores} are too many")

    monkeypatch.setattr(service, "admit", refuse)
    reply = client.post("/v1/predict", instances((3, day(predictor, 1)), is_promo=True))
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
        body = instances((3, str(service.predictor.first_day)), is_promo=True)
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


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_pages_load_nothing_from_elsewhere(client: Client, path: str) -> None:
    reply = client.get(path)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    loaded = re.findall(r"(?:src|href)=\"([^\"#]+)", reply.body.decode())
    assert loaded
    for address in loaded:
        assert address.startswith(("/", "data:")), address
        if address.startswith("/"):
            assert client.get(address).status == 200, address


def test_the_model_is_told(client: Client, predictor: Predictor) -> None:
    body = client.get("/v1/model").json
    assert body["horizon"] == 42
    assert body["weights"] == dict(predictor.ensemble.weights)
    assert body["refused"] is None


def test_every_answer_has_the_headers_that_browsers_go_by(client: Client) -> None:
    for path in ("/healthz", "/v1/stores", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_the_description_names_every_path_and_its_problems(client: Client) -> None:
    body = client.get("/openapi.json").json
    assert set(body["paths"]) == {
        "/healthz", "/readyz", "/metrics", "/v1/model", "/v1/model/reload", "/v1/stores",
        "/v1/overview", "/v1/predict", "/v1/predict/csv",
        "/v1/stores/{store_id}/forecast", "/v1/stores/{store_id}/scenario",
    }  # fmt: skip
    problem = body["paths"]["/v1/predict"]["post"]["responses"]["422"]
    assert "Problem" in str(problem)
