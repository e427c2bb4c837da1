"""What a check tells: of each failing row who it is, and whether the refresh must stop."""

import gc
import weakref
from dataclasses import replace

import dagster as dg
import pandas as pd
import pytest

from sales_assets.checks import EVIDENCE_ROWS, validate, verdict
from sales_assets.quality import Outcome
from sales_assets.settings import REPOSITORY
from sales_assets.suites import SUITES, as_markdown


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """What is found of thirty days, of which each but the first has a fault that only warns."""
    import great_expectations as gx
    from great_expectations import expectations as gxe

    days = pd.DataFrame(
        {
            "store_id": 1,
            "date": pd.date_range("2014-01-01", periods=30),
            "sales": [5.0, *[-3.0] * 29],
            "weather": "fine",
        }
    )
    suite = gx.ExpectationSuite(
        name="mild",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(description="Sales are known", column="sales"),
            gxe.ExpectColumnValuesToBeBetween(
                description="Sales are 0 or more", column="sales", min_value=0, severity="warning"
            ),
            gxe.ExpectTableRowCountToEqual(
                description="There are 31 days", value=31, severity="warning"
            ),
        ],
    )
    return validate(days, suite)


def test_each_frame_is_judged_by_its_own_rows_and_none_is_kept() -> None:
    import great_expectations as gx
    from great_expectations import expectations as gxe

    suite = gx.ExpectationSuite(
        name="count", expectations=[gxe.ExpectTableRowCountToEqual(description="2", value=2)]
    )
    frames = [pd.DataFrame({"sales": range(rows)}) for rows in (1, 2, 3)]
    assert [validate(frame, suite)[0].is_met for frame in frames] == [False, True, False]
    kept = [weakref.ref(frame) for frame in frames]
    del frames
    gc.collect()
    assert [frame() for frame in kept] == [None] * 3


def test_a_failing_row_is_told_by_what_identifies_it(outcomes: list[Outcome]) -> None:
    known, negative, count = outcomes
    assert known.is_met
    assert known.is_critical
    assert not negative.is_met
    assert not negative.is_critical
    assert negative.failing == 29
    assert len(negative.examples) == EVIDENCE_ROWS
    assert negative.examples[0] == {"store_id": 1, "date": "2014-01-02", "sales": -3.0}
    assert negative.told(1) == ["store_id 1, date 2014-01-02, sales -3"]
    assert count.seen == "30"


def test_a_warning_stops_nothing_and_an_error_tells_the_remedy(outcomes: list[Outcome]) -> None:
    remedy = "Correct them."
    warned = verdict(outcomes, remedy)
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert remedy not in str(warned.description)
    stopped = verdict([outcomes[0], replace(outcomes[1], is_critical=True), outcomes[2]], remedy)
    assert (stopped.passed, stopped.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert stopped.description == (
        "Sales are 0 or more: 29 rows fail, such as store_id 1, date 2014-01-02, sales -3 / "
        "store_id 1, date 2014-01-03, sales -3 / store_id 1, date 2014-01-04, sales -3. "
        "Correct them."
    )
    assert verdict(outcomes[:1]).passed


def test_the_evidence_is_a_table_of_failing_rows(outcomes: list[Outcome]) -> None:
    metadata = verdict(outcomes).metadata
    assert metadata["failed"].value == 2
    assert metadata["failing_rows"].value == 29
    lines = str(metadata["Sales are 0 or more"].value).splitlines()
    assert lines[:3] == ["warning, 29 rows", "", "| store_id | date | sales |"]
    assert lines[4] == "| 1 | 2014-01-02 | -3 |"
    assert len(lines) == 4 + EVIDENCE_ROWS
    assert str(metadata["There are 31 days"].value) == "warning, seen 30"


def test_the_list_of_what_is_checked_is_current() -> None:
    text = (REPOSITORY / "docs" / "quality.md").read_text(encoding="utf-8")
    assert text == as_markdown()
    assert [line[4:-1] for line in text.splitlines() if line.startswith("## ")] == [
        suite.table for suite in SUITES
    ]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_suite_says_what_it_is_for_and_what_to_do(suite) -> None:
    assert suite.says.endswith(".")
    assert suite.remedy.endswith(".")
