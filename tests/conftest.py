"""A small chain, generated once: as files, as a warehouse in memory, and as a refreshed home."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from sales_assets import cleaned, warehouse
from sales_assets.forecasting import backtest as backtesting
from sales_assets.forecasting import features
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.settings import Settings
from sales_assets.sources import kaggle
from sales_assets.sources.sample import write_sample
from tests.processes import run_command
from tests.sharing import made_once

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "rossmann"

# Small models: tests ask whether things hold, not how well they forecast.
SMALL = {
    "SALES_BACKTEST_WINDOWS": "2",
    # Small fits are slower on two threads when something else runs beside them: two that spin for
    # one another stall on a busy machine.
    "SALES_THREADS": "1",
    # A test that says nothing of the cache fits what it forecasts.
    "SALES_CACHE_MEGABYTES": "0",
    "SALES_LIGHTGBM__TREES": "30",
    "SALES_LIGHTGBM__SEEDS": "1",
    "SALES_RANDOM_FOREST__TREES": "5",
    "SALES_RANDOM_FOREST__ROWS_PER_TREE": "2000",
    "SALES_LSTM__UNITS": "8",
    "SALES_LSTM__WINDOWS": "200",
    "SALES_LSTM__BATCH": "32",
    "SALES_LSTM__EPOCHS": "2",
    "SALES_LSTM__LAST_EPOCHS": "1",
    "SALES_LSTM__SEEDS": "1",
    # Nothing listens there: a refresh of a test is not for a service of this machine.
    "SALES_SERVICE_URL": "http://127.0.0.1:9",
    "SALES_STUDIES__ABLATION_TREES": "5",
    "SALES_STUDIES__ROWS": "100",
    "SALES_STUDIES__REPEATS": "1",
}


# They take a minute or more each, and come first: what is left fills the other workers meanwhile.
LONGEST = (
    "test_real_data.py", "test_weeks.py", "test_kills.py", "test_refresh.py", "test_dagster.py",
    "test_champions.py", "test_no_peeking.py", "test_studies.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all else stays in order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def small_settings() -> Iterator[None]:
    """Forget the caller's own settings, and keep models small."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SALES_")]:
            patch.delenv(name)
        for name, value in SMALL.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def settings(small_settings: None) -> Settings:
    """The small settings, with the default home."""
    return Settings.load()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of 12 stores and 500 days, with a plan of 48 days."""
    return made_once(
        tmp_path_factory, "source", lambda path: write_sample(path, stores=12, days=500, seed=7)
    )


def load_and_clean(
    con: duckdb.DuckDBPyConnection, source: Path, settings: Settings, scratch: Path
) -> None:
    """Fill raw and cleaned tables from a source."""
    kaggle.deliver(con, source, max_refused_share=settings.max_refused_share, scratch=scratch)
    cleaned.clean_stores(con)
    cleaned.clean_sales(con)
    cleaned.clean_plan(con, settings)


@pytest.fixture(scope="session")
def con(
    source: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory with raw, cleaned and feature tables; tests only read it."""
    with warehouse.in_memory(settings) as connection:
        load_and_clean(connection, source, settings, tmp_path_factory.mktemp("scratch"))
        features.build_training(connection, settings)
        features.build_future(connection, settings)
        yield connection


@pytest.fixture(scope="session")
def training(con: duckdb.DuckDBPyConnection) -> Frames:
    """The training rows and their history."""
    return read_frames(con, "features.training")


@pytest.fixture(scope="session")
def cutoffs(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[date]:
    """Where the windows of the backtest begin."""
    return features.backtest_cutoffs(features.last_sales_day(con), settings)


@pytest.fixture(scope="session")
def window_data(con: duckdb.DuckDBPyConnection, cutoffs: list[date]) -> dict[date, str]:
    """Fingerprint of each window."""
    return features.window_fingerprints(con, cutoffs)


@pytest.fixture(scope="session")
def backtest(
    training: Frames, cutoffs: list[date], window_data: dict[date, str], settings: Settings
) -> pd.DataFrame:
    """Every model's out-of-fold forecasts; tests only read them."""
    return backtesting.run(training, cutoffs, window_data, settings)


@pytest.fixture(scope="session")
def future(con: duckdb.DuckDBPyConnection) -> Frames:
    """The rows to forecast and their history."""
    return read_frames(con, "features.future")


def sales(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, in a process of its own that begins with the imports done."""
    done = run_command([str(argument) for argument in arguments])
    assert not check or done.returncode == 0, done.stderr
    return done


def installed_sales(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command, imports and all."""
    command = [Path(sys.executable).parent / "sales", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def home(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after its first refresh; tests that change one take a copy of it."""
    return made_once(
        tmp_path_factory, "home", lambda path: sales("refresh", "--source", source, "--home", path)
    )


@pytest.fixture
def home_copy(home: Path, tmp_path: Path) -> Path:
    """A refreshed home of the test's own."""
    return Path(shutil.copytree(home, tmp_path / "home"))
