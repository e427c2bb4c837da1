"""A very small chain, whose home is refreshed before its last week of sales is delivered."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from sales_assets.sources.sample import write_sample
from tests.faults.commands import Command, sales
from tests.sharing import made_once

STORES, DAYS = 4, 410
# Steps that need no model.
LIGHT = ["delivery", "cleaned__stores", "cleaned__sales", "cleaned__plan", "published__snapshot"]


@dataclass(frozen=True)
class Deliveries:
    """What the chain delivers: first without the last week and with a slip, then all of it."""

    former: Path
    present: Path


@dataclass(frozen=True)
class Chain(Deliveries):
    """Its deliveries, and its home as the former left it; tests take a copy."""

    home: Path


@pytest.fixture(scope="session")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    # What paths go into takes quotes, blanks and umlauts.
    root = made_once(tmp_path_factory, 'it\'s a "chain" für alle', write_deliveries)
    return Deliveries(root / "former", root / "present")


def write_deliveries(root: Path) -> None:
    write_sample(root / "present", stores=STORES, days=DAYS, seed=7)
    shutil.copytree(root / "present", root / "former")
    header, *rows = (root / "present" / "train.csv").read_text().splitlines()
    last_week = sorted({row.split(",")[2] for row in rows})[-7:]
    former = [row for row in rows if row.split(",")[2] not in last_week]
    # What was corrected is in every window, so that all of them are fitted again.
    by_day = sorted(range(len(former)), key=lambda place: former[place].split(",")[2])
    sold = next(place for place in by_day if former[place].split(",")[3] != "0")
    store, weekday, day, _, *rest = former[sold].split(",")
    former[sold] = ",".join([store, weekday, day, "77", *rest])
    (root / "former" / "train.csv").write_text("\n".join([header, *former]) + "\n")


@pytest.fixture(scope="session")
def chain(deliveries: Deliveries, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    def refresh(home: Path) -> None:
        done = sales(home, "refresh", "--source", str(deliveries.former))
        assert done.exit_status == 0, done.text

    home = made_once(tmp_path_factory, 'its "home" für alle', refresh)
    return Chain(deliveries.former, deliveries.present, home)


@pytest.fixture(scope="session")
def light_home(deliveries: Deliveries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose former delivery was cleaned and published, and nothing learnt from."""

    def load(home: Path) -> None:
        done = Command(home, steps=LIGHT, source=deliveries.former).wait()
        assert done.exit_status == 0, done.text

    return made_once(tmp_path_factory, "light home", load)
