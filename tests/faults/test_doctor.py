"""`sales doctor` names each lasting fault of a home together with its remedy."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sales_assets.doctor import examine
from sales_assets.settings import Settings

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


def grow_old(home: Path) -> None:
    path = Settings(home=home).snapshot_path
    os.utime(path, (time.time() - 30 * DAY_S,) * 2)


FAULTS = [
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
    (grow_old, "was published 30 days ago"),
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
