"""What `benchmarks.serving` sets beside Ray: the same interface in one process."""

from pathlib import Path

import pytest

from benchmarks.serving import plain
from tests.serving.conftest import Client


@pytest.fixture
def service(home: Path) -> plain.InProcess:
    return plain.InProcess(home)


def test_it_is_ready_and_answers_as_the_interface_does(client: Client) -> None:
    assert client.get("/readyz").json["status"] == "ready"
    assert client.get("/v1/model").json["missing"] == []
    assert len(client.get("/v1/stores/1/forecast").json["predictions"]) == 42
