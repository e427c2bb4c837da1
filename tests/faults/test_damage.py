"""A warehouse, snapshot, release or pointer that is damaged is told with what mends it."""

import random
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from sales_assets import warehouse
from sales_assets.doctor import examine
from sales_assets.errors import WarehouseError
from sales_assets.settings import Settings
from tests.faults.commands import Command
from tests.faults.conftest import LIGHT, Deliveries

Damage = Callable[[bytes], bytes]
NEWER_STORAGE = 1_000


def halved(good: bytes) -> bytes:
    return good[: len(good) // 2]


def scribbled_on(good: bytes) -> bytes:
    middle = len(good) // 2
    noise = random.Random(1).randbytes(len(good) // 4)
    return good[:middle] + noise + good[middle + len(noise) :]


def of_a_newer_duckdb(good: bytes) -> bytes:
    """The file with another number in its header, and the checksum that goes with it."""
    header = bytearray(good[8:4096])
    header[4:12] = struct.pack("<Q", NEWER_STORAGE)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", header):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return struct.pack("<Q", checksum) + bytes(header) + good[4096:]


DAMAGES = [
    pytest.param(halved, "is damaged", id="cut"),
    pytest.param(scribbled_on, "is damaged", id="random bytes in the middle"),
    pytest.param(lambda good: b"", "is damaged", id="empty"),
    pytest.param(lambda good: b"no database " * 1_000, "is damaged", id="another file"),
    pytest.param(of_a_newer_duckdb, "was written by a newer DuckDB", id="newer DuckDB"),
]


@pytest.fixture
def home(light_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(light_home, tmp_path / "it's a home"))


def problems(home: Path) -> list[str]:
    return [found.text for found in examine(Settings(home=home)) if not found.is_well]


def days(path: Path) -> list[tuple]:
    with duckdb.connect(path, read_only=True) as con:
        return con.execute("from cleaned.sales order by store_id, date").fetchall()


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_a_damaged_warehouse_is_restored_by_what_the_doctor_says(
    home: Path, damage: Damage, told: str
) -> None:
    settings = Settings(home=home)
    published = days(settings.snapshot_path)
    settings.warehouse_path.write_bytes(damage(settings.warehouse_path.read_bytes()))

    (problem,) = [text for text in problems(home) if str(settings.warehouse_path) in text]
    assert told in problem
    assert "\n" not in problem
    remedy = re.search(r"by `(rm -f .* && cp .*)`, and refresh", problem)
    assert remedy is not None
    subprocess.run(remedy[1], shell=True, check=True)

    assert not [text for text in problems(home) if str(settings.warehouse_path) in text]
    with warehouse.connect(settings) as con:
        assert con.execute("from cleaned.sales order by store_id, date").fetchall() == published


def test_without_a_snapshot_a_damaged_warehouse_is_to_be_filled_anew(home: Path) -> None:
    settings = Settings(home=home)
    shutil.rmtree(settings.published)
    settings.warehouse_path.write_bytes(b"")
    (problem,) = [text for text in problems(home) if str(settings.warehouse_path) in text]
    remedy = re.search(r"remove it by `(rm -f .*)`, and refresh with everything", problem)
    assert remedy is not None
    subprocess.run(remedy[1], shell=True, check=True)
    assert not settings.warehouse_path.exists()


def test_a_refresh_of_a_damaged_warehouse_stops_with_the_same_sentence_and_then_works(
    home: Path, deliveries: Deliveries
) -> None:
    settings = Settings(home=home)
    published = days(settings.snapshot_path)
    settings.warehouse_path.write_bytes(b"no database")
    refused = Command(home, steps=LIGHT, source=deliveries.present).wait().sentence
    assert refused.removeprefix("sales: ") in problems(home)
    assert days(settings.snapshot_path) == published
    remedy = re.search(r"by `(.*)`, and refresh", refused)
    assert remedy is not None
    subprocess.run(remedy[1], shell=True, check=True)
    done = Command(home, steps=LIGHT, source=deliveries.present).wait()
    assert done.exit_status == 0, done.text
    assert len(days(settings.snapshot_path)) > len(published)


def test_a_damaged_log_beside_the_warehouse_is_told(home: Path) -> None:
    settings = Settings(home=home)
    wal = settings.warehouse_path.with_name("warehouse.duckdb.wal")
    with warehouse.connect(settings) as con:
        con.execute("set checkpoint_threshold = '1TB'")
        for _ in range(9):
            con.execute("insert into raw.loads from raw.loads")
        logged = settings.warehouse_path.read_bytes(), wal.read_bytes()
    settings.warehouse_path.write_bytes(logged[0])
    wal.write_bytes(scribbled_on(logged[1]))
    (problem,) = [text for text in problems(home) if str(settings.warehouse_path) in text]
    assert "is damaged (Failure while replaying WAL" in problem
    assert f"rm -f '{wal}'".replace("it's", "it'\"'\"'s") in problem


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_a_damaged_snapshot_is_told_to_readers_and_published_anew(
    home: Path, deliveries: Deliveries, damage: Damage, told: str
) -> None:
    settings = Settings(home=home)
    settings.snapshot_path.write_bytes(damage(settings.snapshot_path.read_bytes()))
    (problem,) = [text for text in problems(home) if str(settings.snapshot_path) in text]
    assert told in problem
    assert problem.endswith("`sales refresh` publishes it anew.")
    with (
        pytest.raises(WarehouseError, match=told),
        warehouse.connect_snapshot(settings) as con,
    ):
        warehouse.read_through(con)
    warehouse.publish(settings)
    assert not [text for text in problems(home) if "published/" in text and told in text]
