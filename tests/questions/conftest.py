"""What the questions are asked of: a sample whose effects are known, and the real stores."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.questions.question import BASES, make_base
from sales_assets.questions.themes import QUESTIONS
from sales_assets.settings import Settings
from sales_assets.sources.sample import write_sample
from tests.conftest import REAL_DATA, load_and_clean
from tests.questions import oracle
from tests.questions.blemishes import blemish
from tests.questions.tiny import empty_warehouse

# The rows of a question's table, by its name.
Ask = Callable[[str], pd.DataFrame]

BY_NAME = {question.name: question for question in QUESTIONS}


@contextmanager
def asked(source: Path, settings: Settings, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a warehouse in memory with the cleaned tables of a source, ready for questions."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, scratch)
        for base in BASES:
            make_base(con, base)
        yield con


def rows_of(con: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    """Return a question's rows, with the tables that some are made from."""
    for base in BASES:
        make_base(con, base)
    return BY_NAME[name].rows(con)


def answer(name: str, rows: pd.DataFrame) -> str:
    """Return a question's answer, which the rows must hold."""
    text, is_answered = BY_NAME[name].answered(rows)
    assert is_answered, text
    return text


def asking(con: duckdb.DuckDBPyConnection) -> Ask:
    """Return what asks a chain that stays as it is: once, however many tests want to know."""
    rows = cache(lambda name: BY_NAME[name].rows(con))
    return lambda name: rows(name).copy()


@pytest.fixture
def small(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with empty tables."""
    with empty_warehouse(settings) as con:
        yield con


@pytest.fixture(scope="session")
def sampled(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """200 stores of the sample, 942 days; `sources/sample_facts.py` tells what moves them."""
    source = tmp_path_factory.mktemp("sample")
    write_sample(source, stores=200, days=942, seed=3)
    with asked(source, settings, tmp_path_factory.mktemp("scratch")) as con:
        yield con


@pytest.fixture(scope="session")
def few(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """40 stores of the sample of all kinds, with blemishes."""
    source = tmp_path_factory.mktemp("few")
    write_sample(source, stores=40, days=942, seed=18)
    with asked(source, settings, tmp_path_factory.mktemp("scratch")) as con:
        blemish(con)
        for base in BASES:
            make_base(con, base)
        yield con


@pytest.fixture(scope="session")
def real(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The real stores that are there."""
    if not (REAL_DATA / "train.csv").is_file():
        pytest.skip(f"needs Rossmann's files in {REAL_DATA}")
    with asked(REAL_DATA, settings, tmp_path_factory.mktemp("scratch")) as con:
        yield con


@pytest.fixture(scope="session", params=["few", "real"])
def either(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """The few stores of the sample, and then the real ones."""
    con: duckdb.DuckDBPyConnection = request.getfixturevalue(request.param)
    return con


@pytest.fixture(scope="session")
def of_sample(sampled: duckdb.DuckDBPyConnection) -> Ask:
    """The rows of a question's table, of the sample."""
    return asking(sampled)


@pytest.fixture(scope="session")
def of_real(real: duckdb.DuckDBPyConnection) -> Ask:
    """The rows of a question's table, of the real stores."""
    return asking(real)


@pytest.fixture(scope="session")
def of_either(either: duckdb.DuckDBPyConnection) -> Ask:
    """The rows of a question's table, of either chain."""
    return asking(either)


@pytest.fixture(scope="session")
def days(either: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The selling days of either chain with all that is known of them; tests only read them."""
    return oracle.selling_days(either)
