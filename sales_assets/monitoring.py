"""What is watched from week to week.

Do the newest weeks still look like those learnt from, and has what was forecast come true as well
as the backtest promised?
"""

import logging
import math
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
from scipy import stats

from sales_assets import charts
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.metadata import chart, describe, markdown_table
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.warehouse import create_table, headline, in_order, query

log = logging.getLogger("sales_assets.monitoring")

# A block further from the others than this is told, were their deviation known; with fewer blocks
# nothing is.
MOST_DEVIATIONS = 3.0
FEWEST_BLOCKS = 6
# With fewer blocks that have one a year before, blocks tell more as they are, season and all: a
# change against the year before has the chance of two blocks in it.
FEWEST_YEARS_APART = 10
# Of more, twenty years, mean and deviation are known well enough.
MOST_BLOCKS = 260
# A share of days that is closer to its usual than this is not told: a store that is missing for a
# day is no drift of the chain, even if none was ever missing before.
LEAST_SHARE = 0.005
# With fewer weeks of backtest their range is a guess, and no realised week is told as outside.
FEWEST_WEEKS = 8


def measure_drift(con: duckdb.DuckDBPyConnection) -> None:
    """Replace `monitoring.drift`."""
    with in_order(con):
        create_table(
            con,
            "monitoring.drift",
            "monitoring/drift",
            most_deviations=[as_rare(blocks) for blocks in range(1, MOST_BLOCKS + 1)],
            fewest_blocks=FEWEST_BLOCKS,
            fewest_years_apart=FEWEST_YEARS_APART,
            least_share=LEAST_SHARE,
        )


def as_rare(blocks: int) -> float:
    """Return how many deviations of some blocks another one is away no more often than 3.

    Their mean and deviation are estimates, so that it is Student's t, times the error of both.
    """
    if blocks < 2:
        return math.inf
    rare = stats.norm.cdf(MOST_DEVIATIONS)
    return float(stats.t.ppf(rare, blocks - 1)) * math.sqrt(1 + 1 / blocks)


@dg.asset(
    key=["monitoring", "drift"],
    deps=[["cleaned", "sales"]],
    description=headline("monitoring/drift"),
    group_name="monitoring",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            "newest_weeks",
            asset=["monitoring", "drift"],
            description="The newest four weeks are as usual, for the season too once it is known.",
        )
    ],
)
def drift(home: Home) -> dg.MaterializeResult:
    """Compare the newest four weeks with the blocks of four weeks before them."""
    with home.warehouse() as con:
        measure_drift(con)
        rows = con.execute("from monitoring.drift").df()
        metadata = describe(con, "monitoring.drift")
    evidence = markdown_table(rows.columns.tolist(), rows.to_dict("records"))
    drifting = rows.loc[rows["is_drift"], "measure"].tolist()
    told = f"Not as usual: {', '.join(drifting)}" if drifting else None
    if told:
        log.warning("%s", told)
    return dg.MaterializeResult(
        metadata={**metadata, "table": evidence},
        check_results=[
            dg.AssetCheckResult(
                check_name="newest_weeks",
                passed=not drifting,
                severity=dg.AssetCheckSeverity.WARN,
                description=told,
                metadata={"drifting": len(drifting), "evidence": evidence},
            )
        ],
    )


def measure_accuracy(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Replace `monitoring.accuracy`; return the ensemble's newest weeks beside the backtest's.

    Returns:
        One row a horizon week that has come true: `sql/checks/monitoring_accuracy.sql`.
    """
    create_table(con, "monitoring.accuracy", "monitoring/accuracy")
    return query(
        con,
        "checks/monitoring_accuracy",
        model=ENSEMBLE,
        most_deviations=MOST_DEVIATIONS,
        fewest_weeks=FEWEST_WEEKS,
    ).df()


@dg.asset(
    key=["monitoring", "accuracy"],
    deps=[
        ["forecasts", "daily"], ["cleaned", "sales"], ["cleaned", "stores"], ["models", "scores"]
    ],
    description=headline("monitoring/accuracy"),
    group_name="monitoring",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            "realised_weeks",
            asset=["monitoring", "accuracy"],
            description="The newest weeks came true about as well as those of the backtest.",
        )
    ],
)  # fmt: skip
def accuracy(home: Home) -> dg.MaterializeResult:
    """Judge what was forecast at past cutoffs by what was sold since."""
    with home.warehouse() as con:
        newest = measure_accuracy(con)
        weeks = con.execute(
            "select * from monitoring.accuracy where model = $model and cutoff is not null"
            " and horizon_week is not null and days > 0"
            " and cutoff + 7 * horizon_week <= (select max(date) from cleaned.sales)",
            {"model": ENSEMBLE},
        ).df()
        scores = con.execute(
            "select * from models.scores where model = $model and cutoff is not null"
            " and horizon_week is not null",
            {"model": ENSEMBLE},
        ).df()
        metadata = describe(con, "monitoring.accuracy")
    evidence = markdown_table(newest.columns.tolist(), newest.to_dict("records"))
    if not weeks.empty:
        metadata["chart"] = chart(
            charts.realised(weeks, scores),
            "Realised error and coverage by week, and the backtest's",
        )
    outside = newest[newest["is_outside"]]
    told = _told(outside) if len(outside) else None
    if told:
        log.warning("%s", told)
    for week in newest.head(1).itertuples():
        log.info(
            "the week until %s, horizon week %d, came true: RMSPE %.4f, 80 %% intervals held "
            "%.1f %%, 95 %% held %.1f %%",
            f"{week.week_until:%Y-%m-%d}", week.horizon_week, week.rmspe,
            100 * week.coverage_80, 100 * week.coverage_95,
        )  # fmt: skip
    return dg.MaterializeResult(
        metadata={**metadata, "newest_weeks": evidence},
        check_results=[
            dg.AssetCheckResult(
                check_name="realised_weeks",
                passed=outside.empty,
                severity=dg.AssetCheckSeverity.WARN,
                description=told,
                metadata={"weeks": len(newest), "outside": len(outside), "evidence": evidence},
            )
        ],
    )


def _told(outside: pd.DataFrame) -> str:
    """Return which weeks came true worse than any of the backtest, and by what."""
    weeks = [
        f"the week until {week.week_until:%Y-%m-%d}, horizon week {week.horizon_week}, "
        + ", ".join(_beyond(week))
        for week in outside.itertuples()
    ]
    return f"Worse than every week of the backtest: {'; '.join(weeks)}."


def _beyond(week: Any) -> list[str]:
    errors = [f"RMSPE {week.rmspe:.3f} (at most {week.highest_rmspe:.3f} expected)"]
    coverages = [
        f"{level} % intervals held {share:.1%} (at least {lowest:.1%} expected)"
        for level, share, lowest in (
            (80, week.coverage_80, week.lowest_coverage_80),
            (95, week.coverage_95, week.lowest_coverage_95),
        )
        if share < lowest
    ]
    return (errors if week.rmspe > week.highest_rmspe else []) + coverages


ASSETS = [drift, accuracy]
