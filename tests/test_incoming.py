"""What appears in `<home>/incoming`: it is loaded by a run and filed, and nothing of it is lost."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from sales_assets.definitions import defs
from sales_assets.quality import Outcome
from sales_assets.resources import Home
from sales_assets.runs import DELIVERY_TAG
from sales_assets.schedules import MOST_ATTEMPTS, incoming
from sales_assets.settings import Settings
from sales_assets.sources.inbox import Inbox
from tests.sources.conftest import GOOD, HEADER, PLAN_HEADER, STORES, write

SOUND = {"store.csv": STORES, "train.csv": HEADER + GOOD}
DELIVERY = ("delivery",)
Tick = Callable[[], dg.SensorResult | dg.RunRequest | dg.SkipReason]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `incoming` of a new home."""
    monkeypatch.setenv("SALES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SALES_MAX_REFUSED_SHARE", "0.5")
    (tmp_path / "home" / "incoming").mkdir(parents=True)
    return tmp_path / "home" / "incoming"


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def tick(instance: dg.DagsterInstance) -> Tick:
    """One evaluation of the sensor after another, its cursor kept."""
    context = dg.build_sensor_context(instance=instance, definitions=defs)

    def evaluate() -> dg.SensorResult | dg.RunRequest | dg.SkipReason:
        result = incoming(context, home=Home())
        if isinstance(result, dg.SensorResult) and result.cursor:
            context.update_cursor(result.cursor)
        assert isinstance(result, (dg.SensorResult, dg.RunRequest, dg.SkipReason))
        return result

    return evaluate


def run(instance: dg.DagsterInstance, request: object, steps: Sequence[str] = DELIVERY) -> None:
    """Run what was asked for as far as it concerns the delivery."""
    assert isinstance(request, dg.RunRequest)
    defs.resolve_job_def("weekly_refresh").execute_in_process(
        instance=instance,
        run_config=request.run_config,
        tags=request.tags,
        op_selection=steps,
        raise_on_error=False,
    )


def skipped(result: object) -> str:
    reason = result.skip_reason if isinstance(result, dg.SensorResult) else result
    assert isinstance(reason, dg.SkipReason)
    return str(reason.skip_message)


def names(directory: Path) -> list[str]:
    """The names in a directory, without the stamps that they were given."""
    return sorted(path.name.split("-", 1)[-1] for path in directory.iterdir())


@pytest.mark.parametrize("form", ["loose", "directory", "zip", "directory of the loose ones' name"])
def test_a_delivery_is_loaded_and_archived(
    place: Path, tick: Tick, instance: dg.DagsterInstance, tmp_path: Path, form: str
) -> None:
    write(tmp_path / "week 31", SOUND)
    name = {"directory": "week 31", "zip": "week 31.zip"}.get(form, "files")
    if form == "zip":
        shutil.make_archive(str(place / "week 31"), "zip", tmp_path / "week 31")
    if form != "zip":
        shutil.copytree(
            tmp_path / "week 31", place if form == "loose" else place / name, dirs_exist_ok=True
        )

    assert name in skipped(tick())
    request = tick()
    run(instance, request)
    assert skipped(tick()) == "Empty."

    assert names(place) == [".taken"]
    assert names(Settings.load().archive) == [name]
    with duckdb.connect(Settings.load().warehouse_path) as con:
        assert con.execute("select count(*) from raw.sales").fetchall() == [(1,)]


def test_a_file_that_is_still_written_is_left_alone(place: Path, tick: Tick) -> None:
    write(place / "monday", SOUND)
    tick()
    with (place / "monday" / "train.csv").open("a") as file:
        file.write("1,1,2015-01-06,1,1,1,0,0,0\n")
    assert "monday" in skipped(tick())
    assert isinstance(tick(), dg.RunRequest)


def test_what_goes_on_being_written_after_it_was_taken_is_loaded_once_more(
    place: Path, tick: Tick, instance: dg.DagsterInstance
) -> None:
    write(place / "monday", SOUND)
    with (place / "monday" / "train.csv").open("a") as file:
        tick()
        run(instance, tick())
        file.write("1,1,2015-01-06,1,1,1,0,0,0\n")
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert names(place / ".taken") == ["monday"]
    run(instance, request)
    assert skipped(tick()) == "Empty."
    assert names(Settings.load().archive) == ["monday"]
    with duckdb.connect(Settings.load().warehouse_path) as con:
        assert con.execute("select count(*) from raw.sales").fetchall() == [(2,)]


def test_deliveries_that_have_piled_up_are_taken_as_they_are_counted(
    place: Path, tick: Tick
) -> None:
    for name in ("week10", "week9", "week100"):
        write(place / name, SOUND)
    assert list(Inbox(Settings.load()).arrived()) == ["week9", "week10", "week100"]


def test_loose_files_wait_for_one_another(place: Path, tick: Tick) -> None:
    write(place, {"Train.csv": SOUND["train.csv"], "store.csv.part": STORES})
    tick()
    assert skipped(tick()).endswith("files waits for store.csv.")
    (place / "store.csv.part").rename(place / "store.csv")
    tick()
    assert isinstance(tick(), dg.RunRequest)
    assert sorted(path.name for path in Inbox(Settings.load()).taken()[0].iterdir()) == [
        "Train.csv",
        "store.csv",
    ]


def test_a_take_that_was_killed_is_gone_on_with(place: Path, tick: Tick) -> None:
    # As if killed between the two renames, with a new train.csv since then.
    (place / ".taken").mkdir()
    write(place / ".taken" / ".files", {"train.csv": SOUND["train.csv"]})
    write(place, {"store.csv": STORES, "train.csv": HEADER})
    tick()
    request = tick()
    assert isinstance(request, dg.RunRequest)
    (taken,) = Inbox(Settings.load()).taken()
    assert (taken / "train.csv").read_text() == SOUND["train.csv"]
    assert (taken / "store.csv").read_text() == STORES
    assert (place / "train.csv").read_text() == HEADER


def test_one_delivery_is_loaded_after_another(
    place: Path, tick: Tick, instance: dg.DagsterInstance
) -> None:
    write(place / "b", SOUND)
    write(place / "a", SOUND)
    tick()
    first = tick()
    assert isinstance(first, dg.RunRequest)
    assert first.tags[DELIVERY_TAG].endswith("-a")
    run(instance, first)
    second = tick()
    assert isinstance(second, dg.RunRequest)
    assert second.tags[DELIVERY_TAG].endswith("-b")


def test_a_running_refresh_is_waited_for(
    place: Path, tick: Tick, instance: dg.DagsterInstance
) -> None:
    write(place / "a", SOUND)
    tick()
    request = tick()
    assert isinstance(request, dg.RunRequest)
    instance.create_run_for_job(
        defs.resolve_job_def("weekly_refresh"),
        run_config=request.run_config,
        tags=request.tags,
        status=dg.DagsterRunStatus.STARTED,
    )
    assert "refreshes from" in skipped(tick())
    assert len(Inbox(Settings.load()).taken()) == 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({**SOUND, "train.csv": "Store,Date\n1,2015-01-05\n"}, "lacks column"),
        ({"train.csv": HEADER + GOOD}, "has no store.csv"),
        ({**SOUND, "train.csv": HEADER + "1,1,x,-1,1,1,0,0,0\n"}, "line 2: Date 'x' is not a date"),
        ({**SOUND, "test.csv": PLAN_HEADER}, "test.csv has a header but no rows"),
    ],
)
def test_a_delivery_that_cannot_be_used_is_rejected_with_a_report(
    place: Path, tick: Tick, instance: dg.DagsterInstance, files: dict[str, str], told: str
) -> None:
    write(place / "monday", files)
    tick()
    run(instance, tick())
    assert skipped(tick()) == "Empty."

    rejected = Settings.load().rejected
    assert names(rejected) == ["monday", "monday.txt"]
    report = next(rejected.glob("*.txt")).read_text()
    assert told in report
    assert "nothing was loaded" in report or "no store.csv" in report
    assert {path.name: path.read_text() for path in next(rejected.glob("*monday")).iterdir()} == (
        files
    )


def test_what_is_no_delivery_at_all_is_rejected(
    place: Path, tick: Tick, instance: dg.DagsterInstance
) -> None:
    (place / "sales.xlsx").write_bytes(b"PK no archive")
    tick()
    run(instance, tick())
    tick()
    report = next(Settings.load().rejected.glob("*.txt")).read_text()
    assert "sales.xlsx cannot be read" in report
    assert "Traceback" not in report


def test_a_delivery_is_not_blamed_for_a_home_that_is_in_use(
    place: Path, tick: Tick, instance: dg.DagsterInstance
) -> None:
    write(place / "monday", SOUND)
    tick()
    request = tick()
    # Not a warehouse: what a run finds wrong has nothing to do with the delivery.
    Settings.load().warehouse_path.mkdir()
    for attempt in range(1, MOST_ATTEMPTS):
        run(instance, request)
        request = tick()
        assert isinstance(request, dg.RunRequest)
        assert request.run_key is not None
        assert request.run_key.endswith(f"-{attempt + 1}")
    run(instance, request)
    assert skipped(tick()) == "Empty."
    report = next(Settings.load().rejected.glob("*.txt")).read_text()
    assert f"attempt {MOST_ATTEMPTS}" in report
    assert "warehouse.duckdb" in report


def test_without_a_home_nothing_is_made(tick: Tick, place: Path) -> None:
    shutil.rmtree(place.parent)
    assert "does not exist" in skipped(tick())
    assert not place.parent.exists()


def test_hidden_and_unfinished_files_are_no_delivery(place: Path, tick: Tick) -> None:
    for name in (".DS_Store", "a.zip.part", "b.tmp", "C.PARTIAL"):
        (place / name).write_bytes(b"")
    tick()
    assert skipped(tick()) == "Empty."
    assert len(list(place.iterdir())) == 4


def test_a_delivery_that_a_check_stops_is_rejected_at_once_with_what_was_found(
    place: Path, tick: Tick, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    absurd = Outcome("Sales are plausible", False, "", 1, [{"store_id": 1}])
    monkeypatch.setattr("sales_assets.checks.examine", lambda *_: [absurd])
    write(place / "monday", SOUND)
    tick()
    run(instance, tick(), ["delivery", "check_delivery"])
    assert skipped(tick()) == "Empty."

    rejected = Settings.load().rejected
    assert names(rejected) == ["monday", "monday.txt"]
    report = next(rejected.glob("*.txt")).read_text()
    assert "attempt 1" in report
    assert (
        "The check of raw/sales stopped the refresh: Sales are plausible: 1 row fails: store_id 1."
    ) in report


def test_what_cannot_be_taken_keeps_nothing_else_waiting(
    place: Path, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place / "a", SOUND)
    write(place / "b", SOUND)
    replace = Path.replace

    def refused(path: Path, target: Path) -> Path:
        if path.name == "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refused)
    tick()
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.tags[DELIVERY_TAG].endswith("-b")
    shutil.rmtree(place / ".taken")
    tick()
    assert "a cannot be taken: Permission denied" in skipped(tick())


def test_any_name_is_taken(place: Path, tick: Tick, instance: dg.DagsterInstance) -> None:
    latin = "Verk\xe4ufe".encode("latin-1").decode("utf-8", "surrogateescape")
    write(place / latin, SOUND)
    write(place / ("long" * 60), SOUND)
    write(place / ("\N{DOG FACE}" * 60), SOUND)
    tick()
    for _ in range(3):
        request = tick()
        assert isinstance(request, dg.RunRequest)
        run(instance, request)
    assert skipped(tick()) == "Empty."
    assert names(Settings.load().archive) == sorted(
        ["Verk\ufffdufe", "long" * 30, "\N{DOG FACE}" * 30]
    )


def test_links_are_followed_nowhere(
    place: Path, tick: Tick, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of somebody else\n")
    write(place / "monday", {"store.csv": STORES})
    (place / "monday" / "train.csv").symlink_to(secret)
    (place / "train.csv").symlink_to(secret)
    (place / "tuesday").symlink_to(tmp_path)
    os.mkfifo(place / "wednesday.zip")
    tick()
    run(instance, tick())
    tick()
    report = next(Settings.load().rejected.glob("*.txt")).read_text()
    assert "has no train.csv" in report
    assert "somebody else" not in report
    assert Inbox(Settings.load()).arrived() == {}
    assert secret.exists()
