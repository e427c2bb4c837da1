"""Releases that are made elsewhere: a running service copies them, and goes on while it cannot."""

import asyncio
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from sales_assets.forecasting.release import Release
from serving.app import Ingress
from serving.arguments import Arguments
from serving.members import Members, packed
from serving.mirror import pull
from serving.predictor import Predictor
from tests.serving.conftest import GROUPS, URL, release_again


@pytest.fixture
def arguments(tmp_path: Path) -> Arguments:
    return Arguments(home=tmp_path, members=GROUPS, release_url=URL)


@pytest.fixture
def ingress(
    remote: fsspec.AbstractFileSystem, arguments: Arguments, groups: dict[str, Any]
) -> Ingress:
    return Ingress(arguments, groups)


def answering(ingress: Ingress) -> Release | None:
    return ingress.predictor.release if ingress.predictor else None


def test_the_newest_release_there_answers(
    remote: fsspec.AbstractFileSystem, ingress: Ingress, predictor: Predictor
) -> None:
    async def run() -> None:
        await ingress.renew()
        assert answering(ingress) == predictor.release
        newer = release_again(remote, predictor.release, 1)
        await ingress.renew()
        assert answering(ingress) == newer
        assert ingress.refused is None

    asyncio.run(run())


def test_while_it_cannot_be_reached_what_answers_goes_on_and_says_so(
    remote: fsspec.AbstractFileSystem, ingress: Ingress, predictor: Predictor
) -> None:
    async def run() -> None:
        await ingress.renew()
        remote.store.clear()
        await ingress.renew()
        assert answering(ingress) == predictor.release
        assert ingress.refused

    asyncio.run(run())


def test_a_start_while_it_cannot_be_reached_answers_from_the_copy(
    remote: fsspec.AbstractFileSystem, ingress: Ingress, predictor: Predictor
) -> None:
    pull(URL, ingress.arguments.home)
    remote.store.clear()
    asyncio.run(ingress.renew())
    assert answering(ingress) == predictor.release
    assert ingress.refused is None


def test_without_a_copy_nothing_answers_until_it_can_be_reached(
    remote: fsspec.AbstractFileSystem, ingress: Ingress, predictor: Predictor
) -> None:
    there = dict(remote.store)

    async def run() -> None:
        remote.store.clear()
        await ingress.renew()
        assert answering(ingress) is None
        assert ingress.refused
        remote.store.update(there)
        await ingress.renew()
        assert answering(ingress) == predictor.release
        assert ingress.refused is None

    asyncio.run(run())


@pytest.mark.parametrize("is_reached", [True, False], ids=["reached", "copied before"])
def test_members_are_copied_where_they_run(
    remote: fsspec.AbstractFileSystem, arguments: Arguments, predictor: Predictor, is_reached: bool
) -> None:
    if not is_reached:
        pull(URL, arguments.home)
        remote.store.clear()
    asked = predictor.asked([3])
    says = asyncio.run(
        Members(arguments, ["baseline"]).predict(
            predictor.release, packed(asked.rows), packed(asked.history)
        )
    )
    np.testing.assert_array_equal(says["baseline"], predictor.members["baseline"](asked))
