"""The newest versions, every champion and what is served are kept; the rest goes, whole."""

import shutil
from datetime import UTC, date, datetime, timedelta

import pytest

from sales_assets.forecasting.champion import Choice
from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.manifest import Draft
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.release import Release
from sales_assets.forecasting.retention import clean_up, released
from tests.promoting import promoted

START = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """Six ensembles, each with a member of its own; the second and the fifth were champions."""
    hours = (START + timedelta(hours=hour) for hour in range(1_000))
    store = ModelStore(tmp_path / "models", now=lambda: next(hours))
    for number in range(6):
        members = {"baseline": saved(store, "baseline", number)}
        saved(store, ENSEMBLE, number, members=store.references(members))
    versions = ensembles(store)
    promoted(store, versions[1], "the first")
    promoted(store, versions[4], "better")
    return store


def saved(store, name, number, **values):
    draft = Draft(cutoff=date(2026, 11, 21), fingerprint=f"{number:064x}", **values)
    return store.save(name, draft, lambda path: (path / "a.txt").write_text(f"{number}"))


def ensembles(store):
    return [manifest.version for manifest in store.versions(ENSEMBLE)]


def numbers(store, name):
    """Which of the six are left."""
    return [int(manifest.fingerprint, 16) for manifest in store.versions(name)]


def test_the_newest_versions_and_every_champion_are_kept_with_their_members(store):
    removed = clean_up(store, 2, ())

    assert numbers(store, ENSEMBLE) == numbers(store, "baseline") == [1, 4, 5]
    assert len(removed) == 6
    for version in ensembles(store):
        store.verify_whole(version)
    assert clean_up(store, 2, ()) == []


def test_what_is_served_and_what_was_decided_last_is_kept(store):
    versions = ensembles(store)
    store.decide(Choice(versions[3], versions[4], versions[4], versions[2], "", "", False, START))

    clean_up(store, 2, {versions[0]})

    assert numbers(store, ENSEMBLE) == numbers(store, "baseline") == [0, 1, 2, 3, 4, 5]


def test_members_that_belong_to_no_ensemble_are_kept_while_they_are_new(store):
    for number in (10, 11, 12):
        saved(store, "baseline", number)

    clean_up(store, 2, ())

    # The fourth and the fifth ensemble's own, and the newest two.
    assert numbers(store, "baseline") == [1, 4, 5, 11, 12]


def test_what_killed_runs_left_is_removed_and_a_version_that_was_being_removed_is_gone(store):
    versions = ensembles(store)
    directory = store.root / ENSEMBLE
    shutil.copytree(directory / versions[0], directory / ".20261122T000000Z-00000000.partial")
    (directory / versions[5]).rename(directory / f".{versions[5]}.removed")
    assert versions[5] not in ensembles(store)

    clean_up(store, 2, ())

    assert sorted(path.name for path in directory.iterdir()) == ensembles(store)


def test_while_a_champion_cannot_be_read_it_is_kept_with_every_member(store, caplog):
    version = ensembles(store)[1]
    path = store.root / ENSEMBLE / version / "manifest.json"
    good = path.read_text()
    path.write_text("{")

    clean_up(store, 2, ())

    assert (store.root / ENSEMBLE / version).is_dir()
    assert numbers(store, ENSEMBLE) == [4, 5]
    assert numbers(store, "baseline") == [0, 1, 2, 3, 4, 5]
    assert f"those of {version} are not known" in caplog.text

    path.write_text(good)
    clean_up(store, 2, ())

    assert numbers(store, "baseline") == [1, 4, 5]
    store.verify_whole(version)


def test_a_champion_that_was_given_up_keeps_no_members(store):
    shutil.rmtree(store.root / ENSEMBLE / ensembles(store)[1])

    clean_up(store, 2, ())

    assert numbers(store, ENSEMBLE) == numbers(store, "baseline") == [4, 5]


def test_what_a_release_names_counts_as_served(tmp_path):
    release = Release("20261122T061500Z-00000000", "0" * 64, date(2026, 11, 21), 42, "data", {})
    (tmp_path / "release.json").write_text(release.to_json())

    assert released([tmp_path, tmp_path / "nowhere"]) == {release.version}
