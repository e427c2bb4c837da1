"""Every question, asked of deliveries that lack something: no error, no sentence with a hole."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sales_assets.questions.figure import as_figure
from sales_assets.questions.interactive import as_plotly
from sales_assets.questions.question import Question
from sales_assets.questions.themes import QUESTIONS
from sales_assets.settings import Settings
from sales_assets.sources.sample import write_sample
from tests.questions.conftest import Ask, asked

HOLE = re.compile(r"\b(nan|NaN|None|NaT|inf)\b|<NA>")


def _edit(directory: Path, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    rows = pd.read_csv(directory / name, dtype=str, keep_default_na=False)
    change(rows).to_csv(directory / name, index=False)


def _days(**columns: str) -> Callable[[Path], None]:
    return lambda source: _edit(source, "train.csv", lambda rows: rows.assign(**columns))


def _stores(**columns: str) -> Callable[[Path], None]:
    return lambda source: _edit(source, "store.csv", lambda rows: rows.assign(**columns))


def _without_plan(source: Path) -> None:
    (source / "test.csv").unlink()


def _one_store(source: Path) -> None:
    for name in ("train.csv", "test.csv", "store.csv"):
        _edit(source, name, lambda rows: rows[rows["Store"] == "1"])


def _one_year(source: Path) -> None:
    _edit(source, "train.csv", lambda rows: rows[rows["Date"] >= "2014-05-16"])


def _without_customers(source: Path) -> None:
    _edit(source, "train.csv", lambda rows: rows.drop(columns="Customers"))


POOR: dict[str, Callable[[Path], None]] = {
    "no plan": _without_plan,
    "one store": _one_store,
    "one year": _one_year,
    "no holidays": _days(StateHoliday="0", SchoolHoliday="0"),
    "no promotions": _days(Promo="0"),
    "no customers": _days(Customers=""),
    "no column of customers": _without_customers,
    "no competitors": _stores(
        CompetitionDistance="", CompetitionOpenSinceMonth="", CompetitionOpenSinceYear=""
    ),
    "no Promo2": _stores(Promo2="0", Promo2SinceWeek="", Promo2SinceYear="", PromoInterval=""),
}


@pytest.fixture(scope="session", params=POOR, ids=lambda name: name.replace(" ", "-"))
def poor(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse of eight stores, or one, made from files that lack something."""
    source = tmp_path_factory.mktemp("poor")
    write_sample(source, stores=8, days=865, seed=5)
    POOR[request.param](source)
    with asked(source, settings, tmp_path_factory.mktemp("scratch")) as con:
        yield con


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_poor_source_is_answered_or_told_to_be_too_poor(
    poor: duckdb.DuckDBPyConnection, question: Question
) -> None:
    rows = question.rows(poor)
    text, is_answered = question.answered(rows)
    assert text.endswith("."), text
    assert not HOLE.search(text), text
    if is_answered:
        picture = question.draw(rows)
        figure = as_figure(picture)
        figure.canvas.draw()
        plt.close(figure)
        json.dumps(as_plotly(picture), allow_nan=False)
    else:
        assert text.startswith("No answer: ")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_whole_source_is_answered_in_full(of_either: Ask, question: Question) -> None:
    rows = of_either(question.name)
    text, is_answered = question.answered(rows)
    assert is_answered, text
    assert not HOLE.search(text), text
    assert question.draw(rows).panels
