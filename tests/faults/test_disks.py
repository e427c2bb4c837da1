"""A disk that is full or can only be read, and a home that goes away, are told in a sentence."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sales_assets import leftovers
from sales_assets.settings import Settings
from tests.faults.commands import (
    FILLER,
    Command,
    Moment,
    fill_the_disk,
    remove_the_home,
    sales,
)
from tests.faults.conftest import LIGHT, Deliveries
from tests.processes import free_port


def mounted(*arguments: str) -> None:
    """Mount something, or skip the test where this user may not."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(light_home: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the home on a disk of 48 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk))
    try:
        yield Path(shutil.copytree(light_home, disk / "home"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def read_only_home(light_home: Path, tmp_path: Path) -> Iterator[Path]:
    """The home, on a disk that cannot be written."""
    home = tmp_path / "home"
    home.mkdir()
    mounted("--bind", str(light_home), str(home))
    try:
        mounted("-o", "remount,bind,ro", str(home))
        yield home
    finally:
        subprocess.run(["umount", str(home)], check=True)


def last_delivered_day(home: Path) -> str:
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        return str(con.execute("select max(date) from cleaned.sales").fetchall()[0][0])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Moment("sales_assets.runs:close_killed_runs"), id="record of the run"),
        pytest.param(Moment("sales_assets.sources.kaggle:_load"), id="delivery"),
        pytest.param(Moment("sales_assets.cleaned:clean_sales"), id="warehouse"),
        pytest.param(Moment("sales_assets.warehouse:_write_parquet"), id="publication, Parquet"),
        pytest.param(Moment("sales_assets.warehouse:_write_parquet", is_after=True), id="snapshot"),
    ],
)
def test_a_full_disk_is_named_and_stops_nothing_for_good(
    small_disk: Path, deliveries: Deliveries, moment: Moment
) -> None:
    snapshot = Settings(home=small_disk).snapshot_path
    before, day = digest(snapshot), last_delivered_day(small_disk)
    done = Command(
        small_disk, steps=LIGHT, source=deliveries.present, at=moment, happens=fill_the_disk
    ).wait()
    assert f"The disk of {small_disk}" in done.sentence
    assert "is full" in done.sentence
    assert "Make room, and run the same command again." in done.sentence
    assert digest(snapshot) == before
    # What was half-written does not keep the disk full.
    assert leftovers.found(Settings(home=small_disk)) == []
    assert "PROBLEM  0.0 GB of disk are free; 2 GB are needed, make room" in (
        sales(small_disk, "doctor").text
    )

    (small_disk / FILLER).unlink()
    again = Command(small_disk, steps=LIGHT, source=deliveries.present).wait()
    assert again.exit_status == 0, again.text
    assert last_delivered_day(small_disk) > day


def test_a_home_that_can_only_be_read_is_read_and_not_refreshed(
    read_only_home: Path, deliveries: Deliveries
) -> None:
    assert "6" in sales(read_only_home, "query", "select 6 from cleaned.stores").text
    for arguments in (
        ("refresh", "--source", str(deliveries.present)),
        ("models", "promote", "newest"),
        ("dev", "--port", str(free_port())),
    ):
        refused = sales(read_only_home, *arguments).sentence
        assert f"{read_only_home}" in refused
        assert "cannot be written: Read-only file system" in refused
    diagnosis = sales(read_only_home, "doctor").text
    assert f"PROBLEM  {read_only_home} cannot be written (Read-only file system)" in diagnosis
    assert "can be read throughout" in diagnosis


def test_a_home_that_goes_away_during_a_run_is_told(
    light_home: Path, deliveries: Deliveries, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(light_home, tmp_path / "home"))
    done = Command(
        home,
        steps=LIGHT,
        source=deliveries.present,
        at=Moment("sales_assets.cleaned:clean_sales"),
        happens=remove_the_home,
    ).wait()
    assert f"{home} was removed or moved while it was in use" in done.sentence


def test_a_home_that_is_a_file_is_told(tmp_path: Path, deliveries: Deliveries) -> None:
    file = tmp_path / "home"
    file.write_text("not a directory")
    refused = sales(file, "refresh", "--source", str(deliveries.present)).sentence
    assert f"{file}" in refused
    assert "cannot be written" in refused
