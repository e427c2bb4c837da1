"""Which version is forecast with: promotions, ways back, and what a refresh has decided."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.champion import Choice, judgements
from sales_assets.forecasting.ensemble import ENSEMBLE
from tests.promoting import chosen, promoted, rolled_back, settle
from tests.saved_versions import START, ensembles, store_with_a_clock


@pytest.fixture
def store(tmp_path):
    return store_with_a_clock(tmp_path)


def test_before_the_first_publication_there_is_no_champion(store):
    assert store.champion() is None
    assert store.chosen() is None
    with pytest.raises(ModelStoreError, match=r"There are no ensembles in .*; refresh first"):
        chosen(store, "newest", "why not")
    with pytest.raises(ModelStoreError, match="no earlier champion"):
        rolled_back(store, "why not")


def test_a_promoted_version_is_the_champion_with_reason_time_and_hash(store):
    (version,) = ensembles(store, 1)

    champion = promoted(store, version, "newest complete version")

    assert store.champion() == champion
    assert (champion.version, champion.reason) == (version, "newest complete version")
    assert champion.manifest_sha256 == store.manifest_sha256(ENSEMBLE, version)
    assert champion.promoted_at == START + timedelta(hours=2)
    assert (champion.is_pinned, champion.previous) == (False, None)
    files = sorted(path.name for path in store.root.iterdir() if path.is_file())
    assert files == ["champion.json", "choice.json"]


def test_a_promotion_that_is_interrupted_leaves_the_former_champion(store):
    first, second = ensembles(store, 2)
    champion = promoted(store, first, "first")
    (store.root / "champion.json.tmp").write_text('{"version": ')

    assert store.champion() == champion

    promoted(store, second, "second")

    assert store.champion().version == second
    assert not (store.root / "champion.json.tmp").exists()


@pytest.mark.parametrize("name", [ENSEMBLE, "baseline"])
def test_a_version_that_was_changed_or_whose_member_was_is_not_promoted(store, name):
    first, second = ensembles(store, 2)
    champion = promoted(store, first, "first")
    changed = store.versions(name)[-1].version
    (store.root / name / changed / "weights.txt").write_text("1.0 0.0\n")

    with pytest.raises(ModelStoreError, match=f"{name} {changed} is not loaded"):
        chosen(store, second, "second")

    assert store.champion() == champion


def test_a_version_whose_member_is_gone_is_not_promoted(store):
    first, second = ensembles(store, 2)
    champion = promoted(store, first, "first")
    shutil.rmtree(store.root / "baseline" / store.versions("baseline")[-1].version)

    with pytest.raises(ModelStoreError, match="baseline has no version"):
        chosen(store, second, "second")

    assert store.champion() == champion


def test_an_unknown_version_is_not_promoted(store):
    (version,) = ensembles(store, 1)
    champion = promoted(store, version, "first")

    with pytest.raises(ModelStoreError, match=f"versions there are: {version}"):
        chosen(store, "20200101T000000Z-00000000", "typing error")

    assert store.champion() == champion


def test_promoting_the_champion_again_changes_nothing(store):
    first, second = ensembles(store, 2)
    promoted(store, first, "first")
    champion = promoted(store, second, "second")

    again = promoted(store, second, "refreshed")

    assert again == champion == store.champion()


def test_rolling_back_pins_the_champion_before(store):
    first, second, third = ensembles(store, 3)
    for version in (first, second, third):
        promoted(store, version, "newest complete version")

    champion = rolled_back(store, "sales look odd")

    assert (champion.version, champion.previous) == (second, third)
    assert (champion.is_pinned, champion.reason) == (True, "sales look odd")
    assert store.champion() == champion


def test_rolling_back_after_a_refresh_was_stopped_keeps_what_is_published(store):
    first, second, third = ensembles(store, 3)
    promoted(store, first)
    promoted(store, second)
    # Decided for, and stopped by a check before it was published.
    store.decide(Choice(third, third, second, third, "better", "", False, store.now()))

    champion = rolled_back(store)

    assert (champion.version, champion.is_pinned) == (second, True)
    assert store.chosen().version == second
    # Once more, and it goes back as ever.
    assert rolled_back(store).version == first


@pytest.mark.parametrize("is_stopped_by_a_check", [False, True])
def test_a_rollback_that_did_not_come_to_its_end_is_the_same_once_more(
    store, is_stopped_by_a_check
):
    first, second, third = ensembles(store, 3)
    promoted(store, first)
    promoted(store, second)
    aim, before = first, second
    if is_stopped_by_a_check:
        store.decide(a_choice(third, third, second, third))
        aim, before = second, first

    assert store.roll_back("odd").version == aim
    # What it decided for is published neither way as long as that is not so.
    store.finish()
    assert store.roll_back("odd").version == aim
    # The snapshot is swapped, and the release does not come about.
    store.crown(store.settled())
    assert (store.champion().version, store.champion().is_pinned) == (aim, True)
    assert store.roll_back("odd").version == aim

    assert settle(store).version == aim
    assert [event.reason for event in store.champion().history].count("odd") == 1
    assert rolled_back(store).version == before


def test_a_choice_from_before_rollbacks_were_told_apart_is_read(store):
    first, second = ensembles(store, 2)
    promoted(store, first)
    promoted(store, second)
    path = store.root / "choice.json"
    old = {name: value for name, value in json.loads(path.read_text()).items()
           if name != "goes_back"}  # fmt: skip
    path.write_text(json.dumps(old))

    assert rolled_back(store).version == first


def test_rolling_back_twice_returns(store):
    first, second = ensembles(store, 2)
    for version in (first, second):
        promoted(store, version, "newest complete version")

    assert rolled_back(store, "try").version == first
    assert rolled_back(store, "return").version == second


def test_rolling_back_after_pinning_the_present_champion_goes_to_the_one_before(store):
    first, second = ensembles(store, 2)
    for version in (first, second):
        promoted(store, version, "newest complete version")
    chosen(store, second, "keep it")

    assert rolled_back(store, "after all").version == first


def test_the_only_champion_there_was_cannot_be_rolled_back(store):
    (version,) = ensembles(store, 1)
    champion = promoted(store, version, "first")

    with pytest.raises(ModelStoreError, match="no earlier champion"):
        rolled_back(store, "why not")

    assert store.champion() == champion


def a_choice(version, champion, against, challenger, **values):
    return Choice(
        version, champion, against, challenger, "its errors", "why", False, START, **values
    )


def test_what_was_decided_is_forecast_with_unless_another_champion_was_chosen_since(store):
    first, second, third = ensembles(store, 3)
    assert store.chosen().version == third

    promoted(store, first, "the first")
    store.decide(a_choice(second, second, first, second))
    assert store.chosen().version == second
    assert store.champion().version == first

    chosen(store, first, "better in December")
    assert store.chosen().version == first
    assert settle(store) == store.champion()
    assert store.champion().version == first

    chosen(store, "newest", "back to normal")
    assert store.chosen().version == third
    assert store.champion().is_pinned is False
    assert store.champion().previous == first


def test_a_champion_chosen_by_hand_is_forecast_with_and_moves_when_that_is_published(store):
    first, second, third = ensembles(store, 3)
    for version in (first, second):
        promoted(store, version)
    chosen(store, second, "keep it")
    champion = store.champion()

    store.choose(third, "better in December")
    assert (store.chosen().version, store.champion()) == (third, champion)
    # Its forecasts were stopped by a check; the next refresh decides anew.
    store.decide(a_choice(second, second, second, third))
    assert (store.chosen().version, settle(store).is_pinned) == (second, True)
    assert [event.is_promoted for event in store.champion().history] == [True, True, True, False]

    assert chosen(store, third).history[-1].is_pinned
    assert (store.champion().version, store.champion().previous) == (third, second)


def test_the_champion_moves_when_what_was_decided_is_settled_and_once_only(store):
    first, second = ensembles(store, 2)
    store.decide(a_choice(first, first, None, first))
    assert store.champion() is None
    settle(store)
    store.decide(a_choice(second, second, first, second, rmspe=0.1, champion_rmspe=0.11))

    champion = settle(store)

    assert settle(store) == champion == store.champion()
    assert (champion.version, champion.previous) == (second, first)
    assert [(event.version, event.is_promoted, event.rmspe) for event in champion.history] == [
        (first, True, None), (second, True, 0.1),
    ]  # fmt: skip


def test_a_challenger_that_is_refused_is_noted_once_for_each_reason(store):
    first, second = ensembles(store, 2)
    champion = promoted(store, first, "the first")
    refused = a_choice(first, first, first, second, rmspe=0.2, champion_rmspe=0.1)
    for _ in range(2):
        store.decide(refused)
        settle(store)
    assert store.champion() == replace(champion, history=store.champion().history)
    _, event = store.champion().history
    assert (event.version, event.is_promoted, event.against) == (second, False, first)
    assert (event.reason, event.rmspe, event.champion_rmspe) == ("its errors", 0.2, 0.1)

    store.decide(replace(refused, verdict="other errors"))
    settle(store)

    told = judgements([first, second, "unheard of"], store.champion())
    assert told["status"].tolist() == ["champion", "challenger", "challenger"]
    assert told["reason"].tolist() == ["the first", "other errors", None]
    assert told["worse_by"].tolist()[1] == pytest.approx(1.0)
    assert len(store.champion().history) == 3


def test_what_was_decided_moves_no_champion_to_a_version_that_was_changed(store):
    first, second = ensembles(store, 2)
    champion = promoted(store, first, "the first")
    store.decide(a_choice(second, second, first, second))
    (store.root / ENSEMBLE / second / "weights.txt").write_text("1.0 0.0\n")

    with pytest.raises(ModelStoreError, match=f"{ENSEMBLE} {second} is not loaded"):
        settle(store)

    assert store.champion() == champion


def test_a_champion_from_before_there_was_a_history_is_read_and_its_history_begun(store):
    first, second, third = ensembles(store, 3)
    for version in (first, second):
        promoted(store, version, f"promoted {version}")
    path = store.root / "champion.json"
    old = {name: value for name, value in json.loads(path.read_text()).items() if name != "history"}
    path.write_text(json.dumps(old))

    before = store.champion()
    chosen(store, third, "by hand")

    assert (before.version, before.previous, before.ever()) == (second, first, {first, second})
    assert [event.reason for event in store.champion().history] == [f"promoted {second}", "by hand"]
    assert judgements([first, second, third], store.champion())["status"].tolist() == [
        "challenger", "former champion", "champion",
    ]  # fmt: skip


def test_a_pinned_version_that_is_gone_is_named(store):
    first, second = ensembles(store, 2)
    chosen(store, first, "better in December")
    shutil.rmtree(store.root / ENSEMBLE / first)

    with pytest.raises(ModelStoreError, match=f"has no version '{first}'.*{second}"):
        store.chosen()
