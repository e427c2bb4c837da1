"""Whatever is sent: no error of ours, and no answer that the interface's description lacks."""

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.api import create_app
from serving.predictor import Predictor
from serving.schemas import Instance, PredictRequest, ScenarioRequest
from serving.security import Keys, RateLimit
from tests.serving.conftest import InProcess

EXAMPLES = 30
# Without keys other names are refused.
HEADERS = {"Host": "localhost"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def described(app: FastAPI) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", app)


OPERATIONS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/model"),
    ("POST", "/v1/model/reload"),
    ("GET", "/v1/stores"),
    ("GET", "/v1/overview"),
    ("POST", "/v1/predict"),
    ("POST", "/v1/predict/csv"),
    ("GET", "/v1/stores/{store_id}/forecast"),
    ("POST", "/v1/stores/{store_id}/scenario"),
]


def test_no_operation_is_left_out(described: Any) -> None:
    found = {(each.ok().method.upper(), each.ok().path) for each in described.get_all_operations()}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize("needs_key", [True, False])
def test_what_wants_a_key_says_so(service: InProcess, keys: Keys, needs_key: bool) -> None:
    described = create_app(service, keys, RateLimit(1, 1), needs_key).openapi()
    (key,) = described["components"]["securitySchemes"].values()
    assert (key["type"], key["scheme"]) == ("http", "bearer")
    secured = {
        path: operation["security"]
        for path, operations in described["paths"].items()
        for operation in operations.values()
        if "security" in operation
    }
    # Or none, as long as there are none.
    assert all(({} in wanted) != needs_key for wanted in secured.values())
    assert set(secured) == {path for _, path in OPERATIONS if path not in ("/healthz", "/readyz")}


def test_a_file_is_described_as_one(app: FastAPI) -> None:
    answer = app.openapi()["paths"]["/v1/predict/csv"]["post"]["responses"]["200"]
    assert list(answer["content"]) == ["text/csv"]


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        *((*operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
        # What takes nothing cannot be asked for wrongly.
        *((*operation, GenerationMode.NEGATIVE) for operation in OPERATIONS[-4:]),
    ],
)
def test_every_answer_is_one_that_is_described(
    described: Any, method: str, path: str, mode: GenerationMode
) -> None:
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers=HEADERS)

    check()


def test_answers_of_a_known_store_are_as_described(described: Any, predictor: Predictor) -> None:
    first = str(predictor.first_day)
    instances = [{"store_id": 11, "date": first, "is_promo": True}]
    changes = [{"date": first, "is_open": False}]
    asked = {
        ("POST", "/v1/predict"): {"body": {"instances": instances, "explain": True}},
        ("GET", "/v1/stores/{store_id}/forecast"): {
            "path_parameters": {"store_id": 11}, "query": {"explain": "true"},
        },
        ("POST", "/v1/stores/{store_id}/scenario"): {
            "path_parameters": {"store_id": 11}, "body": {"changes": changes, "explain": True},
        },
    }  # fmt: skip
    for (method, path), told in asked.items():
        body = {"media_type": "application/json"} if "body" in told else {}
        case = described[path][method].Case(**told, **body)
        assert case.call_and_validate(checks=CHECKS, headers=HEADERS).status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DAYS = st.dates().map(str) | st.sampled_from(["2015-06-25", "2015-02-30", "20150625", 1435190400])
THINGS = st.fixed_dictionaries(
    {},
    optional={
        "store_id": st.integers() | JSON,
        "date": DAYS | JSON,
        "week": st.from_regex(r"\A\d{4}-W\d{2}\Z") | JSON,
        "is_open": st.booleans() | JSON,
        "state_holiday": st.sampled_from(["none", "public", "a"]) | JSON,
    },
)


@given(instances=st.lists(THINGS, max_size=3), level=JSON, explain=JSON)
def test_a_request_is_taken_as_it_was_meant_or_refused(
    instances: list[dict[str, Any]], level: Any, explain: Any
) -> None:
    sent = {"instances": instances, "level": level, "explain": explain}
    try:
        taken = PredictRequest.model_validate(sent)
    except ValidationError:
        return
    assert taken.explain is explain
    assert taken.level == level
    for instance, told in zip(taken.instances, instances, strict=True):
        assert instance.model_dump(mode="json", exclude_unset=True) == told


@given(changes=st.lists(THINGS, max_size=3))
def test_a_scenario_names_real_days_or_is_refused(changes: list[dict[str, Any]]) -> None:
    try:
        taken = ScenarioRequest.model_validate({"changes": changes})
    except ValidationError:
        return
    for part in taken.changes:
        days = part.days()
        assert len(days) in (1, 7)
        for day in days:
            change = part.change(1, day)
            assert change is None or change.date == day


@given(st.builds(dict, store_id=st.integers(1, 2**31 - 1), date=st.dates().map(str)))
def test_a_plain_instance_is_taken_and_changes_nothing(told: dict[str, Any]) -> None:
    instance = Instance.model_validate(told)
    assert instance.change(instance.store_id, instance.date) is None


def test_the_examples_of_the_description_are_answered(predictor: Predictor, app: FastAPI) -> None:
    example = app.openapi()["components"]["schemas"]["Instance"]["properties"]
    assert example["store_id"]["examples"] == [11]
    assert example["date"]["examples"] == ["2015-06-25"]
    assert 11 in predictor.stores
