"""A version is complete or absent, and nothing is loaded that is not what was recorded."""

import json
import re
from datetime import UTC, date, datetime

import pytest

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.manifest import Window
from sales_assets.forecasting.model_store import (
    MANIFEST,
    ModelStore,
    fingerprint_of,
    sha256_of,
)
from tests.saved_versions import START, draft, ensembles, saved, store_with_a_clock, write


@pytest.fixture
def store(tmp_path):
    return store_with_a_clock(tmp_path)


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
