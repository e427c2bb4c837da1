"""Rehearse weekly refreshes: a generated chain, delivered week by week, not always as it should be.

Prints a row a week and draws realised error and coverage by week. `benchmarks/weeks.py` tells what
goes wrong. All refreshes run in this process, one after the other, so that only the first one
pays for imports; models are small unless the environment says otherwise, and the questions of
`insights` are asked in the last week alone.

    python -m benchmarks.rehearsal --stores 60 --weeks 8 --chart weeks.png
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.weeks import Story, make_chain, write_deliveries
from sales_assets import charts, warehouse
from sales_assets.definitions import defs
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.runs import run_job
from sales_assets.settings import Settings

QUICK = {
    "SALES_BACKTEST_WINDOWS": "2",
    "SALES_LIGHTGBM__TREES": "100",
    "SALES_RANDOM_FOREST__TREES": "10",
    "SALES_RANDOM_FOREST__ROWS_PER_TREE": "10000",
    "SALES_LSTM__UNITS": "16",
    "SALES_LSTM__WINDOWS": "500",
    "SALES_LSTM__BATCH": "64",
    "SALES_LSTM__SEEDS": "1",
    "SALES_LSTM__EPOCHS": "2",
    "SALES_LSTM__LAST_EPOCHS": "1",
    # No service is to follow a rehearsal.
    "SALES_SERVICE_URL": "http://127.0.0.1:9",
}
LEFT_OUT = ("insights", "reports")
WEEKS_OF_ENSEMBLE = (
    "where model = $model and cutoff is not null and horizon_week is not null"
    " and store_type is null"
)


@dataclass(frozen=True)
class Week:
    """How a week's refresh went; week 0 is the first one."""

    number: int
    seconds: float
    new_rows: int
    """Rows of sales that were new or corrected."""
    cutoff: str
    fitted_windows: list[str]
    """Cutoffs of the backtest that were not taken from the week before."""
    fitted_members: list[str]
    rmspe: float | None
    """The ensemble's, of the newest week of sales as forecast a week before; None at first."""
    coverage_80: float | None
    coverage_95: float | None
    warnings: list[str]
    """Checks that were not passed, with what they found."""


def main() -> None:
    """Print the weeks as a table and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=60)
    parser.add_argument("--days", type=int, default=427, help="Of history before the first week.")
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="Kept afterwards; a temporary one otherwise.")
    parser.add_argument("--chart", type=Path, default=Path("weeks.png"), help="PNG to write.")
    arguments = parser.parse_args()
    for name, value in QUICK.items():
        os.environ.setdefault(name, value)
    story = Story(arguments.stores)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        chain = make_chain(
            root / "chain", arguments.stores, arguments.days, arguments.weeks, arguments.seed
        )
        deliveries = write_deliveries(chain, story, arguments.weeks, root / "deliveries")
        home = arguments.home or root / "home"
        weeks = list(rehearse(home, deliveries, only_last=LEFT_OUT))
        print(f"\n{arguments.stores} stores × {arguments.days} days and {arguments.weeks} weeks\n")
        print(as_table(weeks, story))
        draw(Settings(home=home), arguments.chart)
    print(f"\n{arguments.chart} shows realised error and coverage by week.")


def rehearse(
    home: Path, deliveries: Sequence[Path | None], only_last: tuple[str, ...] = ()
) -> Iterator[Week]:
    """Refresh a home with each delivery in turn, and tell how it went.

    Where nothing is delivered, the refresh of that week finds the files of the week before.

    Args:
        home: Created where it is missing.
        deliveries: What arrives, week by week.
        only_last: Groups of assets, such as `insights`, that only the last week is asked for.
    """
    last: Path | None = None
    steps = [
        node.name
        for node in defs.resolve_job_def("weekly_refresh").nodes_in_topological_order
        if not node.name.startswith(only_last)
    ]
    for number, delivery in enumerate(deliveries):
        last = delivery or last
        settings = Settings.choose(home=home, source=last)
        models, load_id = _models(settings), _newest_load(settings)
        with _fitted_windows() as windows:
            started = time.perf_counter()
            run_job("weekly_refresh", settings, None if number == len(deliveries) - 1 else steps)
            seconds = time.perf_counter() - started
        rmspe, coverage_80, coverage_95 = _realised(settings)
        yield Week(
            number=number,
            seconds=seconds,
            new_rows=_rows_since(settings, load_id),
            cutoff=_cutoff(settings),
            fitted_windows=sorted(windows),
            fitted_members=sorted({path.parent.name for path in _models(settings) - models}),
            rmspe=rmspe,
            coverage_80=coverage_80,
            coverage_95=coverage_95,
            warnings=_warnings(settings),
        )


@contextmanager
def _fitted_windows() -> Iterator[set[str]]:
    """Collect the cutoffs of which the backtest logs that a member was fitted."""
    windows: set[str] = set()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if str(record.msg).startswith("backtest from") and isinstance(record.args, tuple):
                windows.add(str(record.args[0]))

    listener, logger = Listener(), logging.getLogger("sales_assets.backtest")
    logger.addHandler(listener)
    try:
        yield windows
    finally:
        logger.removeHandler(listener)


def _models(settings: Settings) -> set[Path]:
    return {path for path in settings.models.glob("*/*") if path.is_dir()}


def _newest_load(settings: Settings) -> int:
    if not settings.snapshot_path.exists():
        return 0
    with warehouse.connect_snapshot(settings) as con:
        ((load_id,),) = con.execute("select max(load_id) from raw.loads").fetchall()
    return int(load_id)


def _rows_since(settings: Settings, load_id: int) -> int:
    with warehouse.connect_snapshot(settings) as con:
        ((rows,),) = con.execute(
            "select count(*) from raw.sales where load_id > $load_id", {"load_id": load_id}
        ).fetchall()
    return int(rows)


def _cutoff(settings: Settings) -> str:
    with warehouse.connect_snapshot(settings) as con:
        ((cutoff,),) = con.execute("select max(cutoff) from forecasts.daily").fetchall()
    return str(cutoff)


def _realised(settings: Settings) -> tuple[float | None, float | None, float | None]:
    """Return the ensemble's error and coverage in the newest week forecast a week before."""
    with warehouse.connect_snapshot(settings) as con:
        row = con.execute(
            f"select rmspe, coverage_80, coverage_95 from monitoring.accuracy {WEEKS_OF_ENSEMBLE}"
            " and horizon_week = 1 order by cutoff desc limit 1",
            {"model": ENSEMBLE},
        ).fetchone()
    return row or (None, None, None)


def _warnings(settings: Settings) -> list[str]:
    """Return what the checks of the newest run found."""
    with dg.DagsterInstance.from_config(str(settings.dagster_home.absolute())) as instance:
        (run,) = instance.get_runs(limit=1)
        records = instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
    found = [record.event_log_entry.get_dagster_event() for record in records]
    checks = [event.asset_check_evaluation_data for event in found]
    return [
        f"{check.asset_key.to_user_string()}: {check.description}"
        for check in checks
        if not check.passed
    ]


def as_table(weeks: list[Week], story: Story) -> str:
    """Return the weeks as a Markdown table."""
    names = (
        "week", "what happens", "s", "new rows", "cutoff", "windows fitted", "new versions",
        "realised RMSPE", "in 80 %", "in 95 %", "warnings",
    )  # fmt: skip
    lines = [names, tuple("---" for _ in names)]
    for week in weeks:
        events = ", ".join(story.events(week.number)) or ("first refresh", "")[week.number > 0]
        warned = ", ".join(sorted({text.split(":")[0] for text in week.warnings}))
        realised = ("", "", "")
        if week.rmspe is not None:
            realised = (
                f"{week.rmspe:.3f}", f"{week.coverage_80:.0%}", f"{week.coverage_95:.0%}"
            )  # fmt: skip
        lines.append(
            (
                str(week.number), events, f"{week.seconds:.0f}", f"{week.new_rows:,}",
                week.cutoff, str(len(week.fitted_windows)), str(len(week.fitted_members)),
                *realised, warned,
            )
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(settings: Settings, path: Path) -> None:
    """Draw realised error and coverage by week, as the asset's chart does."""
    with warehouse.connect_snapshot(settings) as con:
        weeks = con.execute(
            f"select * from monitoring.accuracy {WEEKS_OF_ENSEMBLE}"
            " and cutoff + 7 * horizon_week <= (select max(date) from cleaned.sales)",
            {"model": ENSEMBLE},
        ).df()
        backtest = con.execute(
            f"select * from models.scores {WEEKS_OF_ENSEMBLE}", {"model": ENSEMBLE}
        ).df()
    path.parent.mkdir(parents=True, exist_ok=True)
    charts.realised(weeks, backtest).savefig(path, dpi=120)


if __name__ == "__main__":
    main()
