"""A replica of members: what it keeps, loads again, and how much it explains at a time."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sales_assets.forecasting.release import Release
from serving import members
from serving.arguments import Arguments
from serving.batches import BusyError
from serving.members import Members
from serving.predictor import Predictor
from tests.serving.conftest import GROUPS


@pytest.fixture
def arguments(own_home: Path) -> Arguments:
    return Arguments(home=own_home, members=GROUPS)


class Loading:
    """Counts what a replica loads, and may hold it up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.versions: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.missing: set[str] = set()
        monkeypatch.setattr(Members, "_load", self._load)

    def _load(self, release: Release) -> dict[str, Any]:
        self.versions.append(release.version)
        assert self.gate.wait(30)
        return {name: object() for name in ("a", "b") if name not in self.missing}


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Loading:
    return Loading(monkeypatch)


@pytest.fixture
def replica(arguments: Arguments, loading: Loading) -> Members:
    return Members(arguments, ["a", "b"])


def version(release: Release, name: str) -> Release:
    return replace(release, version=name)


def test_the_release_that_answers_is_kept_whatever_else_is_tried(
    replica: Members, loading: Loading, predictor: Predictor
) -> None:
    for name in ("A", "B", "A", "C", "A"):
        replica._members(version(predictor.release, name))
    assert loading.versions == ["A", "B", "C"]


def test_the_release_that_answers_does_not_wait_for_the_one_that_is_loaded(
    replica: Members, loading: Loading, predictor: Predictor
) -> None:
    replica._members(version(predictor.release, "A"))
    loading.gate.clear()
    newer = threading.Thread(
        target=replica._members, args=(version(predictor.release, "B"),), daemon=True
    )
    newer.start()
    while loading.versions != ["A", "B"]:
        assert newer.is_alive()
    assert set(replica._members(version(predictor.release, "A"))) == {"a", "b"}
    loading.gate.set()
    newer.join()


def test_a_member_that_is_missing_is_tried_again_after_a_while(
    replica: Members, loading: Loading, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading.missing = {"b"}
    release = version(predictor.release, "A")
    assert set(replica._members(release)) == {"a"}
    loading.missing = set()
    assert set(replica._members(release)) == {"a"}
    monkeypatch.setattr(members, "RELOAD_S", 0.0)
    assert set(replica._members(release)) == {"a", "b"}
    assert loading.versions == ["A", "A"]


def test_who_hangs_up_leaves_no_place_for_another_long_explanation(
    arguments: Arguments, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(members, "explain", lambda *_: go_on.wait(30))
    monkeypatch.setattr(members, "LightGBM", type("Any", (), {"name": "lightgbm"}))
    replica = Members(arguments, ["lightgbm"])
    monkeypatch.setattr(replica, "_members", lambda _: {"lightgbm": members.LightGBM()})
    many = predictor.asked(sorted(predictor.stores))

    async def run() -> None:
        asked = [
            asyncio.create_task(replica.explain(predictor.release, many, 1.0))
            for _ in range(members.EXPLAINED_AT_A_TIME)
        ]
        while replica._explaining._value:
            await asyncio.sleep(0.01)
        for task in asked:
            task.cancel()
        with pytest.raises(BusyError):
            await replica.explain(predictor.release, many, 1.0)
        go_on.set()
        while replica._explaining._value < members.EXPLAINED_AT_A_TIME:
            await asyncio.sleep(0.01)
        assert await replica.explain(predictor.release, many, 1.0) is True

    asyncio.run(run())
