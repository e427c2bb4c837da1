"""The deployments' own logic, without Ray: what is kept, tried again, left out and taken back."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.forecasting.release import FILE, Release
from serving import app
from serving.app import Ingress
from serving.arguments import Arguments
from serving.batches import BusyError
from serving.changed_plans import Change
from serving.members import Members
from serving.predictor import Predictor
from tests.serving.conftest import GROUPS, Client


@pytest.fixture
def arguments(own_home: Path) -> Arguments:
    return Arguments(home=own_home, members=GROUPS)


@pytest.fixture
def ingress(arguments: Arguments, groups: dict[str, Any]) -> Ingress:
    return Ingress(arguments, groups)


def write(home: Path, release: Release) -> None:
    (home / "serving" / FILE).write_text(release.to_json(), encoding="utf-8")


def broken(release: Release) -> Release:
    return replace(release, manifest_sha256="0" * 64)


def a_change(predictor: Predictor) -> list[Change]:
    day = next(day for day in range(1, 8) if (predictor.first_day.weekday() + day) % 7 < 5)
    date = predictor.first_day.fromordinal(predictor.first_day.toordinal() + day)
    return [Change(3, date, is_open=True)]


async def renewed(ingress: Ingress) -> Predictor:
    """Have it load the newest release, and return what answers then."""
    await ingress.renew()
    assert ingress.predictor is not None
    return ingress.predictor


def test_a_release_answers_once_every_member_has_forecast_every_store(ingress: Ingress) -> None:
    asyncio.run(ingress.renew())
    assert ingress.predictor is not None
    assert ingress.predictor.planned is not None
    assert ingress.predictor.planned.degraded == ()
    assert ingress.refused is None


def test_members_are_sent_only_the_days_that_they_read(
    ingress: Ingress, groups: dict[str, Any]
) -> None:
    async def run() -> None:
        await ingress.renew()
        assert ingress.predictor is not None
        await ingress.forecast(ingress.predictor, a_change(ingress.predictor))

    asyncio.run(run())
    past = ingress.predictor.features.history_of(3) if ingress.predictor else []
    assert groups["trees"].days_read[-1] == groups["statistical"].days_read[-1] == 0
    assert 56 <= groups["recurrent"].days_read[-1] < len(past) / 2


def test_a_group_that_fails_is_left_out_until_it_answers_again(
    ingress: Ingress, groups: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "REVIVE_S", 0.01)

    async def run() -> None:
        predictor = await renewed(ingress)
        groups["recurrent"].fails = lambda _: True
        first = await ingress.forecast(predictor, a_change(predictor))
        assert first.degraded == ("lstm",)
        asked = groups["recurrent"].asked
        assert (await ingress.forecast(predictor, a_change(predictor))).degraded == ("lstm",)
        assert groups["recurrent"].asked == asked
        groups["recurrent"].fails = lambda _: False
        revival = asyncio.create_task(ingress._revive())
        while ingress._down:
            await asyncio.sleep(0.01)
        revival.cancel()
        assert (await ingress.forecast(predictor, a_change(predictor))).degraded == ()

    asyncio.run(run())


def test_what_goes_wrong_while_groups_are_down_leaves_none_out_for_good(
    ingress: Ingress,
    groups: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(app, "REVIVE_S", 0.01)

    async def run() -> None:
        predictor = await renewed(ingress)
        groups["recurrent"].fails = lambda _: True
        await ingress.forecast(predictor, a_change(predictor))
        groups["recurrent"].fails = lambda _: False
        with monkeypatch.context() as patch:
            patch.setattr(Predictor, "asked", _out_of_memory)
            revival = asyncio.create_task(ingress._revive())
            while "the members that are down cannot be asked" not in caplog.text:
                await asyncio.sleep(0.01)
            assert ingress.missing == ["lstm"]
        while ingress._down:
            await asyncio.sleep(0.01)
        revival.cancel()
        assert ingress.missing == []

    asyncio.run(run())


def _out_of_memory(*_: object) -> None:
    raise MemoryError


def test_a_long_explanation_that_fails_costs_no_forecast(ingress: Ingress) -> None:
    async def run() -> None:
        predictor = await renewed(ingress)
        many = predictor.asked(sorted(predictor.stores))
        assert await ingress.explain(predictor, many) is None
        assert ingress.missing == []
        assert (await ingress.forecast(predictor, a_change(predictor))).degraded == ()

    asyncio.run(run())


def test_nobody_waits_for_an_explanation_by_who_is_down(
    ingress: Ingress, groups: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        predictor = await renewed(ingress)
        monkeypatch.setattr(groups["trees"], "_explain", never)
        asked = predictor.asked([3])
        # The first one waits no longer than a forecast would, the next not at all.
        ingress.arguments = ingress.arguments.model_copy(update={"member_timeout_s": 0.1})
        assert await asyncio.wait_for(ingress.explain(predictor, asked), 1) is None
        assert ingress.missing == ["lightgbm", "random_forest"]
        ingress.arguments = ingress.arguments.model_copy(update={"member_timeout_s": 60})
        assert await asyncio.wait_for(ingress.explain(predictor, asked), 1) is None

    asyncio.run(run())


def test_few_long_explanations_are_under_way_at_a_time(
    ingress: Ingress, groups: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def slow(*_: Any) -> str:
        await go_on.wait()
        return "told"

    monkeypatch.setattr(groups["trees"], "_explain", slow)

    async def run() -> None:
        predictor = await renewed(ingress)
        many, few = predictor.asked(sorted(predictor.stores)), predictor.asked([3])
        assert len(few.rows) <= app.FEW_EXPLAINED < len(many.rows)
        tasks = [
            asyncio.create_task(ingress.explain(predictor, many))
            for _ in range(app.EXPLAINED_AT_A_TIME)
        ]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await ingress.explain(predictor, many)
        # A planner's page does not wait for them.
        tasks.append(asyncio.create_task(ingress.explain(predictor, few)))
        await asyncio.sleep(0)
        go_on.set()
        assert [await task for task in tasks] == ["told"] * 3
        assert await ingress.explain(predictor, many) == "told"

    asyncio.run(run())


def test_a_candidate_that_fails_costs_the_release_that_answers_nothing(
    ingress: Ingress, groups: dict[str, Any], own_home: Path, predictor: Predictor
) -> None:
    candidate = replace(predictor.release, data=predictor.release.data, horizon=41)
    for group in groups.values():
        group.fails = lambda release: release == candidate

    async def run() -> None:
        await ingress.renew()
        write(own_home, candidate)
        await ingress.renew()
        assert ingress.refused
        present = ingress.predictor
        assert present is not None
        assert present.release == predictor.release
        assert (await ingress.forecast(present, a_change(present))).degraded == ()

    asyncio.run(run())


def test_what_was_refused_is_not_tried_again_at_once(
    ingress: Ingress, own_home: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    load = Predictor.without_members

    def counted(release: Release, *rest: Any) -> Predictor:
        nonlocal tries
        tries += 1
        return load(release, *rest)

    monkeypatch.setattr(Predictor, "without_members", counted)

    async def run() -> None:
        await ingress._renewal()
        write(own_home, broken(predictor.release))
        for _ in range(3):
            await ingress._renewal()
        assert tries == 2
        assert ingress.refused
        # Who asks for it is heard.
        await ingress.renew()
        assert tries == 3
        write(own_home, predictor.release)
        await ingress._renewal()
        assert ingress.refused is None

    asyncio.run(run())


def test_who_asks_for_a_reload_is_answered_by_a_look_that_began_after_that(
    ingress: Ingress, own_home: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, looked, begun, go_on = ingress._newest, [], threading.Event(), threading.Event()

    def look() -> Release:
        release = newest()
        looked.append(release.version)
        begun.set()
        assert go_on.wait(30)
        return release

    async def run() -> None:
        await ingress.renew()
        monkeypatch.setattr(ingress, "_newest", look)
        early = asyncio.create_task(ingress.renew())
        await asyncio.to_thread(begun.wait, 30)
        write(own_home, replace(predictor.release, data="data-20990101-000000000000"))
        late = asyncio.create_task(ingress.renew())
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(early, late)
        assert len(looked) >= 2
        assert ingress.refused is not None

    asyncio.run(run())


def test_a_plan_that_lacks_a_member_is_made_whole_and_never_worse(
    ingress: Ingress, groups: dict[str, Any]
) -> None:
    async def run() -> None:
        groups["recurrent"].fails = lambda _: True
        await ingress.renew()
        assert ingress.predictor is not None
        assert ingress.predictor.planned is not None
        assert ingress.predictor.planned.degraded == ("lstm",)
        groups["trees"].fails = lambda _: True
        await ingress.renew()
        assert ingress.predictor.planned.degraded == ("lstm",)
        for group in groups.values():
            group.fails = lambda _: False
        await ingress.renew()
        assert ingress.predictor.planned.degraded == ()

    asyncio.run(run())


def test_beside_a_broken_release_the_one_before_answers_after_a_start(
    ingress: Ingress,
    arguments: Arguments,
    groups: dict[str, Any],
    own_home: Path,
    predictor: Predictor,
) -> None:
    asyncio.run(ingress.renew())
    write(own_home, broken(predictor.release))
    again = Ingress(arguments, groups)
    asyncio.run(again.renew())
    assert again.predictor is not None
    assert again.predictor.release == predictor.release
    assert again.refused


def test_where_no_release_can_be_used_nothing_answers_until_one_can(
    ingress: Ingress, own_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = Release.read(own_home / "serving")
    write(own_home, broken(good))
    asyncio.run(ingress.renew())
    assert ingress.predictor is None
    assert ingress.refused is not None
    assert "the newest release is refused" in caplog.text
    assert "nor can the one before it be used" in caplog.text
    write(own_home, good)
    asyncio.run(ingress.renew())
    assert ingress.predictor is not None
    assert ingress.predictor.release == good
    assert ingress.refused is None


def test_a_number_that_is_none_counts_as_no_answer(predictor: Predictor) -> None:
    asked = predictor.asked([3])
    says = {name: member(asked) for name, member in predictor.members.items()}
    says["lstm"] = np.full(len(asked.rows), np.nan)
    says["lightgbm"] = says["lightgbm"][:-1]
    answer = predictor.answer(asked, says)
    assert answer.degraded == ("lightgbm", "lstm")
    assert np.isfinite(answer.forecasts["forecast"]).all()


# The mean of volumes is above the median; each model has a factor of its own.
FACTORS = {"lightgbm": 1.25, "lstm": 0.8, "statistical": 1.1, ENSEMBLE: 1.05}


def moved(predictor: Predictor, factors: Mapping[str, float]) -> Predictor:
    return replace(predictor, ensemble=replace(predictor.ensemble, factors=factors))


@pytest.mark.parametrize("factors", [{}, FACTORS], ids=["medians", "means"])
def test_an_answer_as_if_without_a_member_is_the_one_that_those_left_give(
    predictor: Predictor, factors: dict[str, float]
) -> None:
    predictor = moved(predictor, factors)
    asked = predictor.asked([3])
    says = {name: member(asked) for name, member in predictor.members.items()}
    whole = predictor.answer(asked, says)
    del says["lightgbm"]
    expected = predictor.answer(asked, says)
    found = predictor.as_if(whole, ["lightgbm"])
    assert found.degraded == expected.degraded == ("lightgbm",)
    columns = ["model", "store_id", "date", "h", "forecast", "lo_80", "hi_95"]
    left, right = (
        answer.forecasts[columns].sort_values(columns[:3]).set_index(columns[:3])
        for answer in (found, expected)
    )
    assert left.index.equals(right.index)
    np.testing.assert_allclose(left.to_numpy(), right.to_numpy(), rtol=1e-9)
    assert predictor.as_if(whole, []) is whole


def test_what_is_explained_is_the_forecast_and_not_its_median(
    ingress: Ingress,
    arguments: Arguments,
    groups: dict[str, Any],
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = moved(predictor, FACTORS)
    asked = predictor.asked([3])
    monkeypatch.setattr(groups["trees"], "_explain", Members(arguments, ["lightgbm"]).explain)
    explained = asyncio.run(ingress.explain(predictor, asked))
    assert explained is not None
    forecasts = predictor.forecast([3]).forecasts
    expected = forecasts[(forecasts["model"] == "lightgbm") & (forecasts["forecast"] > 0)]
    found = explained.dropna(subset=["promotion"])
    assert found["date"].tolist() == expected["date"].tolist()
    np.testing.assert_allclose(found["forecast"], expected["forecast"], rtol=1e-6)


class TestOverHTTP:
    @pytest.fixture(params=[True, False])
    def needs_key(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    def app(
        self,
        arguments: Arguments,
        groups: dict[str, Any],
        needs_key: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Any:
        # The logger is this process's own, and outlives the test.
        monkeypatch.setattr(app, "log_requests", lambda _: None)
        own = arguments.model_copy(update={"needs_key": needs_key})
        return Ingress(own, groups).__serve_build_asgi_app__()

    def test_a_key_is_needed_where_the_arguments_say_so(
        self, client: Client, needs_key: bool
    ) -> None:
        assert client.get("/v1/stores").status == (401 if needs_key else 200)
