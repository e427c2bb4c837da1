"""Who asks gets what is meant: by browsers, spreadsheets, slow lines, several plans at once."""

import http.client
import json
from typing import Any

import pytest

from serving import api, doorway
from serving.predictor import NoMemberError, Predictor
from tests.serving.conftest import Client, InProcess, Reply, assert_problem, day


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Origin": "http://elsewhere.example"}, 401),
        ({"Origin": "null"}, 401),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8000"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost:8000"}, 200),
        ({}, 200),
    ],
)
def test_without_keys_no_page_from_elsewhere_asks_by_the_browser_here(
    client: Client, headers: dict[str, str], status: int
) -> None:
    client.headers = {"Host": "localhost:8000", **headers}
    assert client.get("/v1/stores").status == status
    assert client.post("/v1/model/reload", {}).status == status


def test_what_is_said_of_a_day_is_taken_together(client: Client, predictor: Predictor) -> None:
    monday = predictor.first_day.isocalendar()
    week, closed = f"{monday.year}-W{monday.week + 1}", day(predictor, 9)
    changes = [
        {"week": week, "is_promo": True},
        {"week": week, "is_school_holiday": True},
        {"date": closed, "is_open": False},
    ]
    body = client.post("/v1/stores/3/scenario", {"changes": changes}).json
    plans = {found["date"]: found["plan"] for found in body["predictions"]}
    assert (plans[closed]["is_open"], plans[closed]["is_promo"]) == (False, True)
    contradicting = [*changes, {"date": closed, "is_promo": False}]
    reply = client.post("/v1/stores/3/scenario", {"changes": contradicting})
    assert_problem(reply, 422, f"two different plans on {closed}: is_promo is said to be True")


def test_a_spreadsheet_may_part_columns_by_semicolons(client: Client, predictor: Predictor) -> None:
    asked = f"store_id;date;is_promo\n3;{day(predictor, 1)};true\n".encode()
    reply = client.post("/v1/predict/csv", asked, "text/csv")
    commas = client.post("/v1/predict/csv", asked.replace(b";", b","), "text/csv")
    assert reply.status == 200
    assert reply.body == commas.body


def test_a_form_is_told_to_be_none(client: Client) -> None:
    reply = client.post("/v1/predict/csv", b"--x", "multipart/form-data; boundary=x")
    assert_problem(reply, 415, "--data-binary @FILE")


def test_a_body_that_comes_too_slowly_is_not_called_a_broken_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorway, "BODY_S", 0.1)
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.putrequest("POST", "/v1/predict/csv")
    connection.putheader("Content-Type", "text/csv")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"store_id,date\n")
    reply = connection.getresponse()
    assert_problem(Reply(reply.status, dict(reply.headers), reply.read()), 408, "took longer")
    connection.close()


def test_a_long_answer_without_a_member_counts_once_and_one_that_breaks_off_is_no_success(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor.planned is not None
    planned = predictor.planned.of([3])
    planned = planned.__class__(planned.forecasts, planned.plan, ("lstm",))
    monkeypatch.setattr(api, "_answer", _returning(planned))
    monkeypatch.setattr(api, "DAYS_A_PART", 2)
    days = "".join(f"3,{day(predictor, h)}\n" for h in range(1, 8))
    asked = f"store_id,date\n{days}".encode()
    assert client.post("/v1/predict/csv", asked, "text/csv").status == 200
    text = client.get("/metrics").body.decode()
    assert 'sales_degraded_answers_total{member="lstm"} 1.0' in text
    assert "sales_predictions_total 7.0" in text

    monkeypatch.setattr(api, "_told", _failing_after(api._told, 2))
    with pytest.raises(http.client.IncompleteRead):
        client.post("/v1/predict/csv", asked, "text/csv")
    text = client.get("/metrics").body.decode()
    of_files = 'sales_requests_total{method="POST",path="/v1/predict/csv"'
    assert f'{of_files},status="broken off"}} 1.0' in text
    assert f'{of_files},status="200"}} 1.0' in text


def test_who_asks_whether_it_is_ready_learns_what_is_missing(
    client: Client, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "missing", ["lstm"])
    assert client.get("/readyz").json["missing"] == ["lstm"]
    assert client.get("/v1/model").json["missing"] == ["lstm"]
    text = client.get("/metrics").body.decode()
    assert 'sales_member_up{member="lstm"} 0.0' in text
    assert 'sales_member_up{member="lightgbm"} 1.0' in text


def test_files_of_the_page_are_asked_for_again_only_if_they_changed(client: Client) -> None:
    first = client.get("/planner/main.js")
    assert first.headers["cache-control"] == "no-cache"
    client.headers = {"If-None-Match": first.headers["etag"]}
    assert client.get("/planner/main.js").status == 304
    assert client.get("/v1/stores").headers["cache-control"] == "no-store"


def test_every_reference_of_the_description_leads_somewhere(client: Client) -> None:
    text = client.get("/openapi.json").body.decode()
    described = json.loads(text)
    names = {part.split('"')[0] for part in text.split('"$ref":"#/')[1:]}
    assert "components/schemas/FieldError" in names
    for name in names:
        found: Any = described
        for key in name.split("/"):
            found = found[key]
    busy = described["paths"]["/v1/predict"]["post"]["responses"]["503"]
    assert busy["headers"]["Retry-After"]


def _returning(answer: Any) -> Any:
    async def returned(*_: Any) -> Any:
        return answer

    return returned


def _failing_after(function: Any, calls: int) -> Any:
    left = iter(range(calls))

    async def called(*arguments: Any) -> Any:
        if next(left, None) is None:
            raise NoMemberError("gone")
        return await function(*arguments)

    return called
