"""The interface over HTTP: what is asked is answered, and what cannot be is told which field."""

import io
import json
import math
import re
import time
import urllib.request
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.settings import Settings
from serving import answers, api
from serving.changed_plans import Change
from serving.predictor import Answer, Predictor
from serving.security import Keys
from serving.service import Refusal
from tests.serving.conftest import Client, InProcess, assert_problem, day, instances


@pytest.fixture(scope="module")
def latest(home: Path, settings: Settings) -> pd.DataFrame:
    with warehouse.connect_snapshot(settings.model_copy(update={"home": home})) as con:
        days = con.table("forecasts.latest").df()
    return days.assign(date=days["date"].dt.strftime("%Y-%m-%d"))


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
    # The forecasts lack nothing.
    assert body["degraded"] == []
    assert all(found["contributions"] is None for found in body["predictions"])
    assert len(body["predictions"]) == 42


def test_a_scenario_may_be_explained(client: Client, predictor: Predictor) -> None:
    changes = [{"date": day(predictor, h), "is_promo": True} for h in range(1, 8)]
    body = client.post("/v1/stores/5/scenario", {"changes": changes, "explain": True}).json
    told = [found["contributions"] for found in body["predictions"][:7] if found["contributions"]]
    assert told
    assert all("promotion" in contributions for contributions in told)


def test_a_reload_needs_no_body(client: Client) -> None:
    url = f"http://127.0.0.1:{client.port}/v1/model/reload"
    assert client.ask(urllib.request.Request(url, method="POST")).status == 200


def test_a_scenario_without_a_member_compares_like_with_like(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forecast(release: Predictor, changes: list[Any]) -> Any:
        members = {name: ask for name, ask in release.members.items() if name != "lightgbm"}
        stores = sorted({change.store_id for change in changes})
        return replace(release, members=members).forecast(stores, changes)

    monkeypatch.setattr(service, "forecast", forecast)
    plan = client.get("/v1/stores/5/forecast").json["predictions"][0]
    changed = {"date": plan["date"], "is_promo": not plan["plan"]["is_promo"]}
    body = client.post("/v1/stores/5/scenario", {"changes": [changed]}).json
    members = {name: ask for name, ask in predictor.members.items() if name != "lightgbm"}
    without = replace(predictor, members=members).forecast([5]).forecasts
    total = without.loc[without["model"] == ENSEMBLE, "forecast"].sum()
    assert body["degraded"] == ["lightgbm"]
    assert body["planned_total"] == pytest.approx(total, rel=1e-9)


def test_what_was_planned_without_a_member_is_compared_without_it(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that began without a member asks it as soon as it is there."""
    members = {name: ask for name, ask in predictor.members.items() if name != "lstm"}
    poorer = replace(predictor, members=members)
    planned = poorer.forecast(sorted(predictor.stores))
    monkeypatch.setattr(service, "predictor", predictor.with_planned(planned))
    plan = client.get("/v1/stores/5/forecast").json["predictions"][0]
    changed = {"date": plan["date"], "is_school_holiday": not plan["plan"]["is_school_holiday"]}
    body = client.post("/v1/stores/5/scenario", {"changes": [changed]}).json

    change = Change(5, **{**changed, "date": date.fromisoformat(plan["date"])})
    both = [poorer.forecast([5]).forecasts, poorer.forecast([5], [change]).forecasts]
    totals = [found.loc[found["model"] == ENSEMBLE, "forecast"].sum() for found in both]
    assert body["degraded"] == ["lstm"]
    assert all("lstm" not in found["members"] for found in body["predictions"])
    assert [body["planned_total"], body["scenario_total"]] == pytest.approx(totals, rel=1e-9)


def test_what_is_planned_anyway_changes_nothing(
    client: Client, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered from memory, as a planned day is; of two plans for a day it is still one."""

    async def forecast(*_: Any) -> Any:
        raise AssertionError("no member is asked")

    planned = client.get("/v1/stores/5/forecast").json["predictions"][3]
    same = {"store_id": 5, "date": planned["date"], **planned["plan"]}
    monkeypatch.setattr(service, "forecast", forecast)
    assert client.post("/v1/predict", {"instances": [same]}).json["predictions"] == [planned]
    body = client.post(
        "/v1/stores/5/scenario",
        {"changes": [{name: value for name, value in same.items() if name != "store_id"}]},
    ).json
    assert body["difference"] == 0
    other = same | {"is_promo": not same["is_promo"]}
    assert_problem(client.post("/v1/predict", {"instances": [same, other]}), 422)


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
    assert body["refused_model"] is None
    assert body["is_loading"] is False


def test_a_refused_release_is_named(
    client: Client, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = replace(predictor.release, version="20990101T000000Z-00000000")
    monkeypatch.setattr(service, "refused", Refusal("It cannot be used.", newer))
    for path in ("/readyz", "/v1/model"):
        body = client.get(path).json
        assert body["refused"] == "It cannot be used."
        assert body["refused_model"]["version"] == newer.version
        assert body["model"]["version"] == predictor.release.version


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
