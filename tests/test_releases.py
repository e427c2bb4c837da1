"""A refresh hands its release to the service, and keeps what a service may still answer with."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from sales_assets import releases
from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.release import FILE, Release
from sales_assets.resources import Home
from sales_assets.service import Tried
from sales_assets.settings import Settings
from tests.saved_versions import ensembles, store_with_a_clock


@pytest.fixture
def refreshed(home_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    return Settings.load()


def note(directory: Path, version: str, data: str) -> None:
    """Note a release in a directory, as the refresh and the service do."""
    release = Release(version, "0" * 64, date(2015, 6, 19), 42, data, {})
    directory.mkdir(exist_ok=True)
    (directory / FILE).write_text(release.to_json())


@pytest.mark.parametrize(
    ("tried", "passes"),
    [
        (lambda _: Tried(False, "No service is running."), True),
        (lambda release: Tried(True, "", release.version, release.data, 7.0), True),
        (lambda release: Tried(True, "", release.version, release.data), False),
        (lambda release: Tried(True, "", release.version, "data-of-before", 7.0), False),
        (lambda release: Tried(True, "", "a version before", release.data, 7.0), False),
    ],
    ids=["no service", "it answers", "no forecast", "other data", "another version"],
)
def test_a_service_that_is_running_has_to_answer_with_the_release(
    refreshed: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tried: Callable[[Release], Tried],
    passes: bool,
) -> None:
    monkeypatch.setattr(releases, "point_at", lambda release, _: tried(release))
    done = dg.materialize([releases.ensemble], resources={"home": Home()})
    assert done.success
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (releases.ANSWERS, passes)
    assert check.severity == dg.AssetCheckSeverity.WARN


def test_the_data_that_a_service_answers_with_outlive_other_releases(refreshed: Settings) -> None:
    present = Release.read(refreshed.serving).data
    answering, older = "data-20140601-000000000000", "data-20140101-000000000000"
    for name in (answering, older):
        (refreshed.serving / name).mkdir()
    note(refreshed.served, "20140601T000000Z-00000000", answering)
    assert dg.materialize([releases.ensemble], resources={"home": Home()}).success
    assert {path.name for path in refreshed.serving.glob("data-*")} == {present, answering}


@pytest.mark.parametrize("place", ["serving", "served"])
def test_the_version_that_a_service_answers_with_outlives_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("SALES_HOME", str(tmp_path))
    monkeypatch.setenv("SALES_KEPT_VERSIONS", "2")
    store = store_with_a_clock(tmp_path)
    answering, _, *newest = ensembles(store, 4)
    note(tmp_path / place, answering, "data-20140601-000000000000")
    assert dg.materialize([releases.retention], resources={"home": Home()}).success
    assert [kept.version for kept in store.versions(ENSEMBLE)] == [answering, *newest]
    store.verify_whole(answering)
