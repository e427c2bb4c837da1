"""What is written down is true of the code."""

import re
from pathlib import Path

import duckdb
import pytest

from sales_assets.questions.question import BASES, Question
from sales_assets.questions.themes import QUESTIONS
from sales_assets.settings import REPOSITORY, Settings, as_markdown
from sales_assets.warehouse import headline

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
SQL_FILES = sorted(path.relative_to(REPOSITORY / "sql") for path in REPOSITORY.glob("sql/*/*.sql"))


def test_the_table_of_settings_is_current() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8") == as_markdown()


def test_the_table_of_tables_is_current() -> None:
    from sales_assets import catalogue

    text = (REPOSITORY / "docs" / "tables.md").read_text(encoding="utf-8")
    assert text == catalogue.as_markdown()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"(?:`|\$ )make ([a-z]+)", README))))
def test_every_make_target_in_the_readme_exists(name: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{name}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", README))))
def test_every_link_in_the_readme_leads_somewhere(link: str) -> None:
    assert (REPOSITORY / link).exists()


@pytest.mark.parametrize("path", SQL_FILES, ids=str)
def test_every_sql_file_says_what_its_rows_are(path: Path) -> None:
    assert headline(str(path.with_suffix("")))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_insight_says_what_is_asked_what_one_row_is_and_what_it_leaves_out(
    question: Question,
) -> None:
    assert question.asks.endswith("?")
    assert question.meaning.startswith("One row")
    assert question.caveats.endswith(".")
    assert not question.needs.endswith(".")


def test_every_sql_file_of_an_insight_belongs_to_a_question_or_to_their_base() -> None:
    files = {path.stem for path in REPOSITORY.glob("sql/insights/*.sql")}
    assert files <= {question.name for question in QUESTIONS} | set(BASES)


QUERIES = re.findall(
    r"```sql\n(.*?)```",
    (REPOSITORY / "docs" / "querying.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def test_there_are_eleven_example_queries() -> None:
    assert len(QUERIES) == 11


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:60])
def test_every_example_query_returns_rows(home: Path, query: str) -> None:
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        assert con.sql(query).fetchall()
