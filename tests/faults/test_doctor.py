"""`sales doctor` names each lasting fault of a home together with its remedy."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.daemon import SensorDaemon
from dagster._daemon.types import DaemonHeartbeat

from sales_assets import doctor
from sales_assets.doctor import examine
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.forecasting.release import FILE, Release
from sales_assets.runs import DELIVERY_TAG, SENSOR_DAEMON
from sales_assets.settings import Settings
from tests.faults.commands import Command, sales

DAY_S = 86_400


def spoil(pattern: str) -> Callable[[Path], None]:
    """Change a file of the home."""

    def harm(home: Path) -> None:
        (path,) = sorted(home.glob(pattern))[:1]
        path.write_bytes(path.read_bytes()[:-2] + b"x")

    return harm


def remove(pattern: str) -> Callable[[Path], None]:
    """Remove a file of the home."""

    def harm(home: Path) -> None:
        for path in home.glob(pattern):
            path.unlink()

    return harm


def leave(name: str) -> Callable[[Path], None]:
    """Leave a file as a killed run does."""

    def harm(home: Path) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("half a file")

    return harm


def checked_days_ago(days: int) -> Callable[[Path], None]:
    """Let the newest refresh be as old, in a snapshot that was written now."""

    def harm(home: Path) -> None:
        with duckdb.connect(Settings(home=home).snapshot_path) as con:
            con.execute("update quality.results set checked_at = checked_at - to_days($1)", [days])

    return harm


def spoil_the_records(home: Path) -> None:
    path = Settings(home=home).dagster_home / "history" / "runs.db"
    path.write_bytes(b"no database" + path.read_bytes()[11:])


FAULTS = [
    (
        checked_days_ago(-1),
        "which is yet to come: this machine's clock is behind, or was ahead then",
    ),
    (spoil_the_records, "the record of the runs, is damaged; move it aside by `mv "),
    (leave("incoming/monday.zip"), "monday.zip in "),
    (leave("incoming/.taken/20150803T040000000000Z-monday/train.csv"), "-monday in "),
    (leave("rejected/20150803T040000000000Z-monday.txt"), "monday was not used"),
    (spoil("models/champion.json"), "champion.json cannot be read; remove it"),
    (spoil("models/choice.json"), "choice.json cannot be read; remove it"),
    (remove("models/champion.json"), "There is no champion yet; run `sales refresh`"),
    (spoil("models/ensemble/*/manifest.json"), "manifest.json cannot be read"),
    (spoil("models/lstm/*/manifest.json"), "manifest.json cannot be read"),
    (remove("models/lightgbm/*/booster_000.txt"), "Refresh to make a new version, or promote"),
    (spoil("serving/release.json"), "release.json cannot be read"),
    (remove("serving/release.json"), "release.json; run `sales refresh` first"),
    (spoil("serving/data-*/sales.parquet"), "is not the file that was released; refresh again"),
    (remove("quality/validation.html"), "the next `sales refresh` writes it"),
    (remove("published/sales.duckdb"), "Nothing is published in"),
    (remove("warehouse.duckdb"), "There is no warehouse yet; run `sales refresh --source DIR`"),
    (checked_days_ago(30), "is of a refresh 30 days ago"),
    (leave("published/forecasts.daily.parquet.tmp"), "forecasts.daily.parquet.tmp; the next"),
    (leave("models/lstm/.20260101T000000Z-00000000.partial/x"), "A killed run has left models/"),
    (leave("tmp/delivery-abc/numbered.csv"), "A killed run has left tmp/delivery-abc; the next"),
    (shutil.rmtree, "does not exist; `sales refresh --source DIR` creates it"),
]


def problems(home: Path, source: Path | None = None) -> list[str]:
    settings = Settings(home=home, source=source)
    return [found.text for found in examine(settings) if not found.is_well]


def test_a_home_after_a_refresh_is_well_and_stays_as_it_is(home_copy: Path, source: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home_copy.rglob("*") if path.is_file()}
    assert problems(home_copy, source) == []
    kept = {path: path.stat().st_mtime_ns for path in before}
    assert kept == before


@pytest.mark.parametrize(("harm", "told"), FAULTS, ids=[told for _, told in FAULTS])
def test_a_fault_is_told_with_its_remedy(
    home_copy: Path, harm: Callable[[Path], None], told: str
) -> None:
    harm(home_copy)
    assert [text for text in problems(home_copy) if told in text]


def test_a_source_that_is_not_there_is_told(home_copy: Path) -> None:
    (problem,) = problems(home_copy, Path("/nowhere/at all"))
    assert problem.startswith("SALES_SOURCE=/nowhere/at all does not exist")


def test_a_damaged_version_that_nothing_uses_is_given_up_by_what_the_doctor_says(
    home_copy: Path,
) -> None:
    (version,) = (home_copy / "models" / "lightgbm").iterdir()
    former = Path(shutil.copytree(version, version.with_name("20150801T000000Z-00000000")))
    spoil("models/lightgbm/20150801T000000Z-*/booster_000.txt")(home_copy)
    (problem,) = problems(home_copy)
    assert problem.startswith(f"{former}/booster_000.txt is missing or was changed since it was")
    remedy = re.search(r"by `(rm -r .*)`\.$", problem)
    assert remedy is not None
    subprocess.run(remedy[1], shell=True, check=True)
    assert problems(home_copy) == []
    assert version.is_dir()


@pytest.mark.parametrize("is_served", [True, False])
def test_a_damaged_version_that_a_service_answers_with_is_not_given_up(
    home_copy: Path, is_served: bool
) -> None:
    settings = Settings(home=home_copy)
    release = Release.read(settings.serving)
    former = replace(release, version="20150801T000000Z-00000000")
    versions = settings.models / ENSEMBLE
    shutil.copytree(versions / release.version, versions / former.version)
    if is_served:
        settings.served.mkdir()
        (settings.served / FILE).write_text(former.to_json())
    assert problems(home_copy) == []
    spoil(f"models/ensemble/{former.version}/weights.json")(home_copy)
    (problem,) = problems(home_copy)
    assert problem.startswith(f"{versions / former.version}/weights.json is missing or was changed")
    assert ("`rm -r " in problem) != is_served


def test_damaged_records_of_runs_are_mended_by_what_the_doctor_says(home_copy: Path) -> None:
    spoil_the_records(home_copy)
    (problem,) = problems(home_copy)
    refused = sales(home_copy, "refresh").sentence
    assert refused == f"sales: {problem}"
    remedy = re.search(r"by `(mv .*)`, and the next", problem)
    assert remedy is not None
    subprocess.run(remedy[1], shell=True, check=True)
    assert problems(home_copy) == []
    done = Command(home_copy, steps=["cleaned__stores"]).wait()
    assert done.exit_status == 0, done.text


def test_a_refresh_that_failed_is_told_until_one_succeeds(home_copy: Path) -> None:
    failed = sales(home_copy, "refresh", "--source", "/nowhere/at all").sentence
    (problem,) = problems(home_copy)
    assert problem.startswith("The newest refresh, run ")
    assert failed.removeprefix("sales: ") in problem
    assert problem.endswith("Once that is mended, `sales refresh` goes on.")
    done = Command(home_copy, steps=["cleaned__stores"]).wait()
    assert done.exit_status == 0, done.text
    assert problems(home_copy) == []


@pytest.mark.parametrize(
    ("job", "status", "tags", "is_told"),
    [
        ("weekly_refresh", dg.DagsterRunStatus.FAILURE, {}, True),
        ("__ASSET_JOB", dg.DagsterRunStatus.FAILURE, {}, False),
        ("publication", dg.DagsterRunStatus.FAILURE, {}, True),
        ("weekly_refresh", dg.DagsterRunStatus.CANCELED, {}, False),
        ("studies", dg.DagsterRunStatus.FAILURE, {}, False),
        # It is tried again, or its delivery lies in `rejected`, which is told.
        ("weekly_refresh", dg.DagsterRunStatus.FAILURE, {DELIVERY_TAG: "monday"}, False),
    ],
)
def test_only_what_a_person_has_to_mend_counts_as_a_failed_refresh(
    home_copy: Path, job: str, status: dg.DagsterRunStatus, tags: dict[str, str], is_told: bool
) -> None:
    with dg.DagsterInstance.from_config(str(Settings(home=home_copy).dagster_home)) as instance:
        instance.add_run(dg.DagsterRun(job, run_id="abcdef12" * 4, status=status, tags=tags))
    assert any("run abcdef12 of" in text for text in problems(home_copy)) == is_told


def test_a_run_that_was_cancelled_hides_no_failed_refresh(home_copy: Path) -> None:
    statuses = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
    with dg.DagsterInstance.from_config(str(Settings(home=home_copy).dagster_home)) as instance:
        for number, status in enumerate(statuses):
            run = dg.DagsterRun("weekly_refresh", run_id=f"{number}bcdef12" * 4, status=status)
            instance.add_run(run)
    assert any("run 0bcdef12 of" in text for text in problems(home_copy))


def test_an_asset_of_its_own_mends_no_failed_refresh(home_copy: Path) -> None:
    snapshot, insight = (
        frozenset({dg.AssetKey(key)}) for key in (["published", "snapshot"], ["insights", "a"])
    )
    with dg.DagsterInstance.from_config(str(Settings(home=home_copy).dagster_home)) as instance:
        instance.add_run(
            dg.DagsterRun(
                "weekly_refresh", run_id="abcdef12" * 4, status=dg.DagsterRunStatus.FAILURE
            )
        )
        for number, (selection, is_told) in enumerate([(insight, True), (snapshot, False)]):
            instance.add_run(
                dg.DagsterRun(
                    "__ASSET_JOB",
                    run_id=f"{number}bcdef12" * 4,
                    status=dg.DagsterRunStatus.SUCCESS,
                    asset_selection=selection,
                )
            )
            told = any("run abcdef12 of" in text for text in problems(home_copy))
            assert told == is_told


def sensor_state(name: str, status: InstigatorStatus) -> InstigatorState:
    code = LoadableTargetOrigin(module_name="sales_assets.definitions")
    origin = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(code), "__repository__")
    return InstigatorState(
        origin.get_instigator_origin(name), InstigatorType.SENSOR, status, SensorInstigatorData()
    )


def switch_off(name: str, settings: Settings) -> None:
    """Switch a sensor off, as a click in the UI does."""
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        instance.add_instigator_state(sensor_state(name, InstigatorStatus.STOPPED))


def switch_on(name: str, settings: Settings) -> None:
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        instance.update_instigator_state(sensor_state(name, InstigatorStatus.RUNNING))


def test_what_waits_in_incoming_is_well_while_someone_takes_it(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave("incoming/monday.zip")(home_copy)
    settings = Settings(home=home_copy)
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), SENSOR_DAEMON, "a daemon"))
    assert problems(home_copy) == []
    told = [found.text for found in examine(settings)]
    assert "a running `sales dev` takes monday.zip from incoming" in told
    monkeypatch.setattr(doctor, "LONGEST_WAIT", timedelta(0))
    (late,) = problems(home_copy)
    assert "monday.zip" in late
    switch_off("incoming", settings)
    assert "sensor `incoming` is switched off" in problems(home_copy)[0]
    switch_on("incoming", settings)
    assert "is not taken by the running `sales dev`" in late
    (home_copy / "incoming" / "monday.zip").rename(home_copy / "incoming" / "monday.zip.part")
    assert "monday.zip.part" in problems(home_copy)[0]
    (home_copy / "incoming" / "monday.zip.part").rename(home_copy / "incoming" / "monday.zip")
    monkeypatch.undo()
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        long_ago = time.time() - DAY_S
        instance.add_daemon_heartbeat(DaemonHeartbeat(long_ago, SENSOR_DAEMON, "a daemon"))
    (problem,) = problems(home_copy)
    assert SensorDaemon.daemon_type() == SENSOR_DAEMON
    assert problem.endswith("load it by `sales refresh --source`.")
