"""A version is complete or absent, and nothing is loaded that is not what was recorded."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.champion import Choice, judgements
from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.manifest import Draft, Window
from sales_assets.forecasting.model_store import (
    MANIFEST,
    ModelStore,
    fingerprint_of,
    sha256_of,
)
from tests.promoting import chosen, promoted, rolled_back

START = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """A store whose clock goes on by an hour each time someone looks at it."""
    hours = (START + timedelta(hours=hour) for hour in range(1_000))
    return ModelStore(tmp_path / "models", now=lambda: next(hours))


def draft(fingerprint="abcdef0123456789", **values):
    return Draft(cutoff=date(2026, 11, 21), fingerprint=fingerprint, **values)


def write(directory):
    (directory / "weights.txt").write_text("0.25 0.75\n")
    (directory / "table.parquet").write_bytes(bytes(range(256)))


def saved(store, name=ENSEMBLE, fingerprint="abcdef0123456789", **values):
    return store.save(name, draft(fingerprint, **values), write)


def ensembles(store, count):
    """Save ensembles, each with a member of its own; return their versions, oldest first."""
    versions = []
    for number in range(count):
        member = saved(store, "baseline", f"{number:016x}")
        members = {
            "baseline": {
                "version": member.version,
                "manifest_sha256": store.manifest_sha256("baseline", member.version),
            }
        }
        versions.append(saved(store, ENSEMBLE, f"{number:016x}", members=members).version)
    return versions


def files_below(path):
    return sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())


def test_a_version_is_named_after_its_time_in_utc_and_its_fingerprint(store):
    manifest = saved(store, "lightgbm", "0123abcd" + 56 * "f")

    assert manifest.version == "20261122T061500Z-0123abcd"
    assert (store.root / "lightgbm" / manifest.version / MANIFEST).is_file()


def test_the_clock_is_utc_unless_a_test_has_its_own(tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    manifest = saved(ModelStore(tmp_path))

    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", manifest.version)
    stamp = datetime.strptime(manifest.version[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert before <= stamp <= datetime.now(UTC)
    assert manifest.created_at.tzinfo == UTC


def test_a_version_records_every_file_and_what_made_it(store):
    recorded = {
        "parameters": {"trees": 30, "learning_rate": 0.05},
        "features": ["weekday", "anchor"],
        "scores": {"rmspe": 0.123},
        "members": {"baseline": {"version": "v", "manifest_sha256": "0" * 64}},
    }

    manifest = saved(store, "lightgbm", **recorded)

    directory = store.root / "lightgbm" / manifest.version
    assert manifest.files == {
        name: sha256_of(directory / name) for name in ("weights.txt", "table.parquet")
    }
    assert {name: getattr(manifest, name) for name in recorded} == recorded
    assert (manifest.cutoff, manifest.created_at) == (date(2026, 11, 21), START)
    assert manifest.libraries["lightgbm"]
    assert store.manifest("lightgbm", manifest.version) == manifest
    assert store.versions("lightgbm") == [manifest]
    assert store.verified("lightgbm", manifest.version) == directory


def test_a_writer_that_fails_leaves_no_version(store):
    def half_written(directory):
        write(directory)
        raise MemoryError("no room left")

    with pytest.raises(MemoryError):
        store.save("lightgbm", draft(), half_written)

    assert store.versions("lightgbm") == []
    assert store.find("lightgbm", draft().fingerprint) is None
    assert not [path for path in (store.root / "lightgbm").iterdir() if path.name[0] != "."]


def test_a_version_is_not_visible_before_it_is_complete(store):
    def look(directory):
        write(directory)
        assert store.versions("lightgbm") == []

    store.save("lightgbm", draft(), look)

    assert len(store.versions("lightgbm")) == 1


def test_what_a_killed_run_left_behind_is_ignored_and_replaced(tmp_path):
    store = ModelStore(tmp_path, now=lambda: START)
    version = saved(store).version
    left = tmp_path / ENSEMBLE / f".{version}.partial"
    (tmp_path / ENSEMBLE / version).rename(left)
    (left / "rubbish.txt").write_text("half a model")

    assert store.versions(ENSEMBLE) == []
    with pytest.raises(ModelStoreError, match="has no version"):
        store.manifest(ENSEMBLE, version)

    manifest = saved(store)

    assert store.versions(ENSEMBLE) == [manifest]
    assert files_below(tmp_path / ENSEMBLE) == [
        f"{version}/{name}" for name in (MANIFEST, "table.parquet", "weights.txt")
    ]


def test_a_directory_without_a_manifest_is_no_version(store):
    manifest = saved(store)
    (store.root / ENSEMBLE / "20261122T235959Z-ffffffff").mkdir()

    assert store.versions(ENSEMBLE) == [manifest]


def test_versions_are_listed_oldest_first(store):
    versions = [saved(store, fingerprint=f"{9 - number:016x}").version for number in range(4)]

    assert [manifest.version for manifest in store.versions(ENSEMBLE)] == versions
    assert store.versions("lightgbm") == []


def test_the_newest_version_with_a_fingerprint_is_found(store):
    saved(store, fingerprint="a" * 64)
    again = saved(store, fingerprint="a" * 64)
    saved(store, fingerprint="b" * 64)
    saved(store, fingerprint="a" * 8 + "c" * 56)

    assert store.find(ENSEMBLE, "a" * 64) == again
    assert store.find(ENSEMBLE, "d" * 64) is None
    assert store.find("lightgbm", "a" * 64) is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"\n"), id="one byte more"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="one byte less"),
        pytest.param(
            lambda path: path.write_bytes(
                bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]
            ),
            id="one bit changed",
        ),
        pytest.param(lambda path: path.unlink(), id="missing"),
    ],
)
@pytest.mark.parametrize("file", ["weights.txt", "table.parquet"])
def test_a_version_with_a_changed_file_is_refused_in_a_plain_sentence(store, file, damage):
    version = saved(store).version
    path = store.root / ENSEMBLE / version / file
    damage(path)

    with pytest.raises(ModelStoreError) as error:
        store.verified(ENSEMBLE, version)

    assert str(error.value).startswith(f"{path} is missing or was changed since it was saved; ")
    assert f"ensemble {version} is not loaded" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_version_with_another_manifest_than_the_recorded_one_is_refused(store):
    version = saved(store).version
    recorded = store.manifest_sha256(ENSEMBLE, version)
    path = store.root / ENSEMBLE / version
    # A forger who changes a file changes its hash in the manifest, too.
    (path / "weights.txt").write_text("1.0 0.0\n")
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"]["weights.txt"] = sha256_of(path / "weights.txt")
    (path / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelStoreError) as error:
        store.verified(ENSEMBLE, version, recorded)

    assert str(error.value) == (
        f"The manifest of ensemble {version} is not the one that was recorded; not loaded."
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "ensemble"}'])
def test_a_manifest_that_cannot_be_read_is_named(store, text):
    version = saved(store).version
    path = store.root / ENSEMBLE / version / MANIFEST
    path.write_text(text)

    with pytest.raises(ModelStoreError, match=re.escape(f"{path} cannot be read: ")):
        store.verified(ENSEMBLE, version)


@pytest.mark.parametrize("version", ["20200101T000000Z-00000000", "latest", ""])
def test_an_unknown_version_is_answered_with_those_there_are(store, version):
    with pytest.raises(ModelStoreError) as nothing:
        store.manifest(ENSEMBLE, version)
    first, second = ensembles(store, 2)

    for action in (store.manifest, store.verified):
        with pytest.raises(ModelStoreError) as error:
            action(ENSEMBLE, version)
        assert str(error.value) == (
            f"ensemble has no version {version!r}; versions there are: {first}, {second}."
        )
    assert str(nothing.value) == f"ensemble has no version {version!r}; versions there are: none."


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
    assert store.settle() == store.champion()
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
    assert (store.chosen().version, store.settle().is_pinned) == (second, True)
    assert [event.is_promoted for event in store.champion().history] == [True, True, True, False]

    assert chosen(store, third).history[-1].is_pinned
    assert (store.champion().version, store.champion().previous) == (third, second)


def test_the_champion_moves_when_what_was_decided_is_settled_and_once_only(store):
    first, second = ensembles(store, 2)
    store.decide(a_choice(first, first, None, first))
    assert store.champion() is None
    store.settle()
    store.decide(a_choice(second, second, first, second, rmspe=0.1, champion_rmspe=0.11))

    champion = store.settle()

    assert store.settle() == champion == store.champion()
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
        store.settle()
    assert store.champion() == replace(champion, history=store.champion().history)
    _, event = store.champion().history
    assert (event.version, event.is_promoted, event.against) == (second, False, first)
    assert (event.reason, event.rmspe, event.champion_rmspe) == ("its errors", 0.2, 0.1)

    store.decide(replace(refused, verdict="other errors"))
    store.settle()

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
        store.settle()

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


def test_a_manifest_from_before_there_were_windows_is_read(store):
    version = saved(store, windows={"2026-01-01": Window(9, 0.1, 0.2, "f" * 64)}).version
    assert store.manifest(ENSEMBLE, version).windows["2026-01-01"].rmspe == 0.1
    path = store.root / ENSEMBLE / version / MANIFEST
    old = json.loads(path.read_text())
    del old["windows"], old["continues"]
    path.write_text(json.dumps(old))

    assert (store.manifest(ENSEMBLE, version).windows, store.versions(ENSEMBLE)[0].continues) == (
        {}, None,
    )  # fmt: skip


def test_a_pinned_version_that_is_gone_is_named(store):
    first, second = ensembles(store, 2)
    chosen(store, first, "better in December")
    shutil.rmtree(store.root / ENSEMBLE / first)

    with pytest.raises(ModelStoreError, match=f"has no version '{first}'.*{second}"):
        store.chosen()


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ((1, "a"), (1, "a"), True),
        (({"a": 1, "b": 2},), ({"b": 2, "a": 1},), True),
        ((date(2015, 1, 5),), (date(2015, 1, 5),), True),
        ((1, "a"), (1, "b"), False),
        ((1, "a"), ("a", 1), False),
        (({"a": 1},), ({"a": 2},), False),
        ((["a", "b"],), (["b", "a"],), False),
        ((date(2015, 1, 5),), (date(2015, 1, 6),), False),
        (("ab", "c"), ("a", "bc"), False),
    ],
)
def test_a_fingerprint_tells_apart_whatever_differs(one, other, is_same):
    assert (fingerprint_of(*one) == fingerprint_of(*other)) is is_same
    assert re.fullmatch("[0-9a-f]{64}", fingerprint_of(*one))
