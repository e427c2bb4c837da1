"""The suites of `expectations/`: what each is for, and what to do when it stops a refresh.

Great Expectations is not imported here, so that the code location can describe its checks.
"""

import importlib
from dataclasses import dataclass
from typing import Any

# The key of a suite's `meta` that names a table of an earlier refresh, which a first one lacks.
NEEDS = "needs"


@dataclass(frozen=True)
class Suite:
    """A checked table: `raw_sales` is the suite of table `raw.sales` and asset `raw/sales`.

    Attributes:
        key: Asset key of the table.
        says: What is true of a table that passes.
        remedy: What to do if it does not.
    """

    key: tuple[str, str]
    says: str
    remedy: str

    @property
    def name(self) -> str:
        """The name of the module in `expectations/`, of the check and of its rows in history."""
        return "_".join(self.key)

    @property
    def table(self) -> str:
        """The table in the warehouse."""
        return ".".join(self.key)


_DELIVERY = (
    "Correct these rows in {file} and refresh with it again; if the file is right, refresh from "
    "all files into a new home (--home)"
)
_AGAIN = "refresh again, and if it stays, report it with the validation report"
_PLATFORM = f"Files cannot cause this: {_AGAIN}"

SUITES = (
    Suite(
        ("raw", "sales"),
        "Delivered sales are usable, each store's day is there once, the newest weeks are there "
        "and like those before, and what was known before has not become something else.",
        f"{_DELIVERY.format(file='train.csv')}.",
    ),
    Suite(
        ("raw", "stores"),
        "Each store is there once, described in the codes of the layout.",
        f"{_DELIVERY.format(file='store.csv')}.",
    ),
    Suite(
        ("raw", "plan"),
        "Planned days are usable, and the plan speaks of the coming days.",
        f"{_DELIVERY.format(file='test.csv')}.",
    ),
    Suite(
        ("cleaned", "stores"),
        "Every delivered store is there, in the platform's vocabulary.",
        f"{_PLATFORM}.",
    ),
    Suite(
        ("cleaned", "sales"),
        "The calendar has no hole and no duplicate, no sales were lost, and closed days sold "
        "nothing.",
        f"{_PLATFORM}; a refresh that was killed is mended by the next one.",
    ),
    Suite(
        ("cleaned", "plan"),
        "Every store has each coming day up to the horizon, and stores that sell go on.",
        "Where stores are taken for closed, deliver their coming days in test.csv, which says "
        f"whether they open. Beyond that, files cannot cause this: {_AGAIN}.",
    ),
    Suite(
        ("features", "training"),
        "Rows lie after their cutoff and within the horizon, with finite features of the kinds "
        "that models read.",
        "Look at the rows of cleaned.sales of these stores, correct them in train.csv where they "
        "are wrong, and refresh again.",
    ),
    Suite(
        ("features", "future"),
        "Every planned day has its features, and none of them knows its sales.",
        "Look at the rows of cleaned.plan and cleaned.sales of these stores, correct them in the "
        "files where they are wrong, and refresh again.",
    ),
    Suite(
        ("models", "backtest"),
        "Every model forecast every selling day of every window, with its bounds in order.",
        "Refresh again; if it stays, set another SALES_SEED, which fits every model anew, and "
        "report it with the validation report.",
    ),
    Suite(
        ("forecasts", "daily"),
        "Every store, day and model has one forecast, its bounds in order, closed days at zero, "
        "none absurd against history.",
        "Look at the newest sales of these stores, correct them in train.csv and refresh again; "
        "if they are right, go back to an earlier ensemble by `sales models rollback`, and further "
        "back by `sales models promote`.",
    ),
)


def expected(suite: Suite) -> list[Any]:
    """Return the suites of Great Expectations, each named after its query in `sql/checks/`.

    Imports Great Expectations, which takes seconds.
    """
    module = importlib.import_module(f"expectations.{suite.name}")
    return list(module.build_suites())


def as_markdown() -> str:
    """Return every suite with its expectations, severity and remedy (`docs/quality.md`)."""
    lines = [
        "# What is checked",
        "",
        "Every refresh checks these tables with Great Expectations, as Dagster asset checks,",
        "before anything is built on them. A *critical* expectation that is not met stops the",
        "refresh: nothing is published, the last results stay, and the command says which check,",
        "which rows and what to do. A *warning* stops nothing. Either way `quality.results` keeps",
        "the outcome; `quality/validation.html` in the home and the Dagster UI show it with rows",
        "that fail.",
        "",
        "One more of these is a query: `forecasts_explanations` warns of days whose explanation",
        "is missing, or has parts that do not add up to the forecast. Three more checks look at",
        "no table of a refresh; they warn in the Dagster UI and in what a refresh prints, and are",
        "in no report: `newest_weeks` (`monitoring.drift`), `realised_weeks`",
        "(`monitoring.accuracy`) and `service_answers` (`serving/ensemble`).",
        "",
        "Written by `python -m sales_assets.suites > docs/quality.md`.",
    ]
    for suite in SUITES:
        lines += [
            "",
            f"## `{suite.table}`",
            "",
            suite.says,
            "",
            "| expectation | severity | looks at |",
            "| --- | --- | --- |",
            *(
                f"| {expectation.description} | {expectation.severity.value} | "
                f"[{part.name}](../sql/checks/{part.name}.sql) |"
                for part in expected(suite)
                for expectation in part.expectations
            ),
            "",
            f"If it stops a refresh: {suite.remedy}",
        ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(as_markdown(), end="")
