"""Answers about customers' behaviour: a table, a sentence and a picture for each question.

The questions are in `questions/`, their tables' SQL in `sql/insights/`.
"""

import logging

import dagster as dg
import pandas as pd

from sales_assets import report
from sales_assets.metadata import chart, describe, preview
from sales_assets.questions import answers
from sales_assets.questions.figure import as_figure
from sales_assets.questions.question import BASES, SALES_AND_STORES, Question, make_base
from sales_assets.questions.themes import QUESTIONS
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.warehouse import connect_snapshot, headline, replace_table

log = logging.getLogger("sales_assets.insights")


def base(name: str) -> dg.AssetsDefinition:
    """Return the asset of a table that several questions are asked of."""

    @dg.asset(
        key=["insights", name],
        deps=[table.split(".") for table in SALES_AND_STORES],
        description=headline(f"insights/{name}"),
        group_name="insights",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        pool=WRITER_POOL,
    )
    def table(home: Home) -> dg.MaterializeResult:
        with home.warehouse() as con:
            make_base(con, name)
            return dg.MaterializeResult(metadata=describe(con, f"insights.{name}"))

    return table


def insight(question: Question) -> dg.AssetsDefinition:
    """Return the asset that answers a question."""

    @dg.asset(
        key=question.table.split("."),
        deps=[table.split(".") for table in question.reads],
        description=question.meaning,
        group_name="insights",
        kinds={"duckdb", "python" if question.compute else "sql"},
        owners=OWNERS,
        pool=WRITER_POOL,
    )
    def answer(home: Home) -> dg.MaterializeResult:
        with home.warehouse() as con:
            question.make(con)
            rows = answers.table_of(con, question)
            metadata = {**describe(con, question.table), "table": preview(con, question.table)}
        told, is_answered = question.answered(rows)
        picture = {"chart": chart(as_figure(question.draw(rows)), told)} if is_answered else {}
        return dg.MaterializeResult(
            metadata={"question": question.asks, "answer": told, **picture, **metadata}
        )

    return answer


@dg.asset(
    key=["insights", "answers"],
    deps=[question.table.split(".") for question in QUESTIONS],
    group_name="insights",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def all_answers(home: Home) -> dg.MaterializeResult:
    """One row a question: its answer in words, and whether the data could give one."""
    with home.warehouse() as con:
        told = pd.DataFrame(answers.told(con))
        replace_table(con, "insights.answers", told)
        metadata = {**describe(con, "insights.answers"), "table": preview(con, "insights.answers")}
    log.info("insights: %d of %d questions answered", told["is_answered"].sum(), len(told))
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    key=["reports", "insights"],
    deps=[["published", "snapshot"]],
    group_name="insights",
    kinds={"html", "plotly"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def insights_report(home: Home) -> dg.MaterializeResult:
    """`reports/insights.html`: every answer with its picture, of what was published; one file."""
    settings = home.settings
    with told_plainly(), connect_snapshot(settings) as con:
        path = report.write(con, settings.reports / "insights.html")
    log.info("written %s", path)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(path.absolute())),
            "megabytes": path.stat().st_size / 1e6,
        }
    )


ASSETS = [
    *(base(name) for name in BASES),
    *(insight(question) for question in QUESTIONS),
    all_answers,
]
REPORTS = [insights_report]
