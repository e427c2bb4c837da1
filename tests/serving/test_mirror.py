"""A release at a URL is copied whole, checked when it is loaded, and never led astray."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import fsspec
import pytest

from sales_assets.errors import ModelStoreError, ReleaseError
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.release import FILE, Release
from sales_assets.settings import Settings
from serving.mirror import pull
from serving.predictor import Predictor
from tests.serving.conftest import URL, release_again


def test_what_is_copied_answers_as_the_home_does(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path, settings: Settings
) -> None:
    pull(URL, tmp_path)
    copied = Predictor.load(tmp_path, settings)
    assert copied.release == predictor.release
    assert copied.planned is not None
    assert predictor.planned is not None
    assert copied.planned.forecasts.equals(predictor.planned.forecasts)
    assert not list(tmp_path.rglob(".pull-*"))
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "models").rglob("*"))
    pull(URL, tmp_path)
    assert before == sorted(path.stat().st_mtime_ns for path in (tmp_path / "models").rglob("*"))


def test_what_was_changed_on_the_way_is_refused_and_copied_again_once_it_is_mended(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    weights = f"/chain/home/models/{ENSEMBLE}/{predictor.release.version}/weights.json"
    good = remote.cat(weights)
    remote.pipe(weights, good.replace(b"0", b"1", 1))
    with pytest.raises(ModelStoreError, match=r"weights\.json"):
        pull(URL, tmp_path)
    remote.pipe(weights, good)
    pull(URL, tmp_path)
    assert Release.read(tmp_path / "serving") == predictor.release


def test_a_member_of_another_name_is_refused_before_anything_of_it_is_copied(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    directory = f"/chain/home/models/{ENSEMBLE}/{predictor.release.version}"
    manifest = json.loads(remote.cat(f"{directory}/manifest.json"))
    manifest["members"]["../../evil"] = manifest["members"].pop("lstm")
    remote.pipe(f"{directory}/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(ModelStoreError, match="is not the one that was recorded"):
        pull(URL, tmp_path)
    sha256 = hashlib.sha256(remote.cat(f"{directory}/manifest.json")).hexdigest()
    path = f"/chain/home/serving/{FILE}"
    released = json.loads(remote.cat(path)) | {"manifest_sha256": sha256}
    remote.pipe(path, json.dumps(released).encode())
    with pytest.raises(ReleaseError, match="unknown here"):
        pull(URL, tmp_path)
    assert not (tmp_path.parent / "evil").exists()


def test_a_member_whose_version_leads_elsewhere_takes_nothing_with_it(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (tmp_path / "victim").mkdir()
    directory = f"/chain/home/models/{ENSEMBLE}/{predictor.release.version}"
    manifest = json.loads(remote.cat(f"{directory}/manifest.json"))
    manifest["members"]["lstm"]["version"] = "../../../victim"
    remote.pipe(f"{directory}/manifest.json", json.dumps(manifest).encode())
    sha256 = hashlib.sha256(remote.cat(f"{directory}/manifest.json")).hexdigest()
    path = f"/chain/home/serving/{FILE}"
    remote.pipe(
        path, json.dumps(json.loads(remote.cat(path)) | {"manifest_sha256": sha256}).encode()
    )
    with pytest.raises(ReleaseError, match="names that no release has"):
        pull(URL, home)
    assert (tmp_path / "victim").is_dir()


def test_a_start_copies_again_what_was_damaged_here(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    pull(URL, tmp_path)
    weights = tmp_path / "models" / ENSEMBLE / predictor.release.version / "weights.json"
    good = weights.read_bytes()
    weights.write_bytes(b"{}")
    pull(URL, tmp_path, is_start=True)
    assert weights.read_bytes() == good


def test_a_copy_whose_release_cannot_be_read_is_made_anew(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    pull(URL, tmp_path)
    (tmp_path / "serving" / FILE).write_text("")
    pull(URL, tmp_path)
    assert Release.read(tmp_path / "serving") == predictor.release


@pytest.mark.parametrize(
    ("field", "value"), [("data", "../../elsewhere"), ("version", "../20150619T000000Z-00000000")]
)
def test_names_that_lead_elsewhere_are_refused(
    remote: fsspec.AbstractFileSystem, tmp_path: Path, field: str, value: str
) -> None:
    path = f"/chain/home/serving/{FILE}"
    remote.pipe(path, json.dumps({**json.loads(remote.cat(path)), field: value}).encode())
    with pytest.raises(ReleaseError, match="names that no release has"):
        pull(URL, tmp_path)


def test_a_copy_that_broke_off_leaves_the_release_before(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    pull(URL, tmp_path)
    present = Release.read(tmp_path / "serving")
    path = f"/chain/home/serving/{FILE}"
    newer = json.loads(remote.cat(path)) | {"version": "20990101T000000Z-00000000"}
    remote.pipe(path, json.dumps(newer).encode())
    with pytest.raises(ReleaseError, match="cannot be copied"):
        pull(URL, tmp_path)
    assert Release.read(tmp_path / "serving") == present


def test_copies_of_releases_before_the_last_are_removed(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path, settings: Settings
) -> None:
    releases = []
    for number in range(3):
        releases.append(release_again(remote, predictor.release, number))
        pull(URL, tmp_path)
    assert copied(tmp_path) == both(*releases[1:])
    assert Predictor.load(tmp_path, settings).release == releases[-1]


def test_a_copy_that_a_service_answers_with_is_kept(
    remote: fsspec.AbstractFileSystem, predictor: Predictor, tmp_path: Path
) -> None:
    pull(URL, tmp_path)
    (tmp_path / "served").mkdir()
    shutil.copy(tmp_path / "serving" / FILE, tmp_path / "served")
    releases = []
    for number in range(3):
        releases.append(release_again(remote, predictor.release, number))
        pull(URL, tmp_path)
    assert copied(tmp_path) == both(predictor.release, *releases[1:])
    predictor.release.verified(tmp_path / "serving")
    ModelStore(tmp_path / "models").verify_whole(predictor.release.version)


def both(*releases: Release) -> set[str]:
    """Return the names of the versions and of the data."""
    return {name for release in releases for name in (release.version, release.data)}


def copied(home: Path) -> set[str]:
    """Return the names of the ensembles and of the data that a home has."""
    versions = (home / "models" / ENSEMBLE).iterdir()
    return {path.name for path in (*versions, *(home / "serving").glob("data-*"))}


def test_what_killed_copies_left_is_removed_and_one_under_way_is_not(
    remote: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    places = [tmp_path, tmp_path / "serving", tmp_path / "models" / "lstm"]
    for place in places:
        (place / ".pull-dead").mkdir(parents=True)
        (place / ".pull-dead" / "half").write_text("of a file")
        os.utime(place / ".pull-dead", (0, 0))
        (place / ".pull-alive").mkdir()
    pull(URL, tmp_path)
    assert not list(tmp_path.rglob(".pull-dead"))
    assert len(list(tmp_path.rglob(".pull-alive"))) == len(places)


@pytest.mark.parametrize("url", ["memory://nothing", "nosuch://place", "file:///nowhere/at/all"])
def test_a_url_that_cannot_be_read_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=f"The release at {url} cannot be copied"):
        pull(url, tmp_path)


def test_a_home_with_releases_of_its_own_is_left_alone(home: Path, tmp_path: Path) -> None:
    shutil.copy(home / "warehouse.duckdb", tmp_path)
    with pytest.raises(ReleaseError, match="has releases of its own"):
        pull(URL, tmp_path)
