"""Every model of the platform beside other methods: the same rows, one run.

Each method runs in a process of its own, one after the other: as of each cutoff it learns from
the days up to it and forecasts the horizon from the plan. All are judged on the same rows, the
selling days after each cutoff; only the random split, which shows why not to judge so, is judged
on its own held-out days among them. The ensemble is the members' cross-fitted combination: a
window's weights come from the other windows.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import windows
from benchmarks.methods import LABELS, METHODS, available
from benchmarks.windows import DAY, Data
from sales_assets.errors import SalesError
from sales_assets.forecasting import features, metrics
from sales_assets.forecasting.ensemble import MEMBERS, out_of_fold
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.settings import Settings

STATUS = Path("/proc/self/status")
WIDTH = 240


@dataclass(frozen=True)
class Outcome:
    """What a method forecast, and what it cost.

    Attributes:
        forecasts: Rows of cutoff, store_id, date and forecast in EUR a day.
        seconds: Fit and forecast, the mean of the windows.
        cpu_seconds: Of them, and of every thread and process, what the cores worked.
        memory_mb: Peak of its process over what its imports take; its data are in it.
    """

    forecasts: pd.DataFrame
    seconds: float
    cpu_seconds: float
    memory_mb: float


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", type=Path, help="Kaggle's files.  [default: $SALES_SOURCE, or a made-up chain]"
    )
    parser.add_argument(
        "--home", type=Path, help="A refreshed home; its data are taken, unless --source."
    )
    parser.add_argument("--windows", type=int, help="How many of the last windows.")
    parser.add_argument(
        "--cutoffs", type=date.fromisoformat, nargs="+", metavar="DATE", help="Those, instead."
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="The same, for machines.")
    arguments = parser.parse_args()
    try:
        settings = Settings.choose(home=arguments.home, source=arguments.source)
        is_home_read = arguments.home and not arguments.source
        opened = windows.from_home if is_home_read else windows.delivered
        with opened(settings) as con:
            cutoffs = _cutoffs(con, arguments.cutoffs, arguments.windows, settings)
            started = time.perf_counter()
            data = windows.read(con, cutoffs, settings)
            feature_seconds = time.perf_counter() - started
    except SalesError as error:
        sys.exit(f"benchmarks.accuracy: {error}")
    names = available()
    if "mlforecast" not in names:
        print("mlforecast is left out: pip install --editable '.[bench]' adds it", file=sys.stderr)
    report = compare(data, cutoffs, names, settings)
    report["feature_seconds"] = feature_seconds
    print_report(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _cutoffs(
    con: duckdb.DuckDBPyConnection, chosen: list[date] | None, last: int | None, settings: Settings
) -> list[date]:
    if chosen:
        return sorted(set(chosen))
    if last is not None and last < 1:
        raise SalesError(f"--windows must be 1 or more, and {last} is not.")
    # The windows are those of models.backtest, or the last of them.
    return features.backtest_cutoffs(
        features.last_sales_day(con),
        settings.model_copy(update={"backtest_windows": last or settings.backtest_windows}),
    )


def run_method(name: str, directory: Path, cutoffs: list[date], settings: Settings) -> Outcome:
    """Run one method over the windows, in the process that this is called in."""
    method = METHODS[name]
    forecast = method.load()
    imported = _peak_memory_mb()
    data = Data.load(directory, with_features=method.with_features)
    clock = _Clock()
    forecasts = []
    if method.is_random_split:
        with clock:
            held_out = forecast(data, settings)
        for cutoff in cutoffs:
            days = data.judged(cutoff, settings.horizon)[["cutoff", *DAY]]
            forecasts.append(days.merge(held_out, on=DAY))
    else:
        for cutoff in cutoffs:
            window = data.window(cutoff, settings.horizon)
            with clock:
                values = forecast(window, settings)
            forecasts.append(window.plan[DAY].assign(cutoff=pd.Timestamp(cutoff), forecast=values))
    return Outcome(
        pd.concat(forecasts, ignore_index=True),
        seconds=clock.seconds / clock.starts,
        cpu_seconds=clock.cpu_seconds / clock.starts,
        memory_mb=_peak_memory_mb() - imported,
    )


class _Clock:
    """Adds up what its `with` blocks take."""

    def __init__(self) -> None:
        self.starts = 0
        self.seconds = self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        self.starts += 1
        self._change(-1)

    def __exit__(self, *_: object) -> None:
        self._change(1)

    def _change(self, sign: int) -> None:
        # The four times are of this process and of its finished children, user and system.
        self.seconds += sign * time.perf_counter()
        self.cpu_seconds += sign * sum(os.times()[:4])


def run_apart(name: str, directory: Path, cutoffs: list[date], settings: Settings) -> Outcome:
    """Run one method in a process of its own, whose peak memory is the method's."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
        return process.submit(run_method, name, directory, cutoffs, settings).result()


def compare(
    data: Data,
    cutoffs: list[date],
    names: list[str],
    settings: Settings,
    run: Callable[[str, Path, list[date], Settings], Outcome] = run_apart,
) -> dict[str, Any]:
    """Run the named methods, one after the other, and judge them on the same rows.

    Args:
        data: The chain, with the platform's features as of the cutoffs.
        cutoffs: Where the history is cut, oldest first.
        names: Of `METHODS`, every member among them.
        settings: The platform's.
        run: Runs one method on the data saved in a directory.

    Returns:
        The report: what was judged, and `methods`, one record each.
    """
    judged = pd.concat([data.judged(cutoff, settings.horizon) for cutoff in cutoffs])
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        data.save(directory)
        for method in names:
            outcomes[method] = run(method, directory, cutoffs, settings)
            cost = f"{outcomes[method].seconds:.1f} s a window"
            print(f"{LABELS[method]}: {cost}", file=sys.stderr, flush=True)
            if method == list(MEMBERS)[-1]:
                outcomes[ENSEMBLE] = _ensemble(outcomes, judged)
    records = [
        {"name": name, "label": LABELS[name], **_scores(name, outcome, judged, cutoffs)}
        for name, outcome in outcomes.items()
    ]
    (ours,) = [record["rmspe"] for record in records if record["name"] == ENSEMBLE]
    return {
        "cutoffs": [str(cutoff) for cutoff in cutoffs],
        "horizon": settings.horizon,
        "stores": int(judged["store_id"].nunique()),
        "days": len(judged),
        "threads": settings.threads,
        "versions": {
            package: version(package)
            for package in ("lightgbm", "scikit-learn", "statsforecast", "mlforecast")
            if package != "mlforecast" or "mlforecast" in names
        },
        "methods": [{**record, "ratio": record["rmspe"] / ours} for record in records],
    }


def _peak_memory_mb() -> float:
    """Return this process's maximum resident memory since it started its program.

    Where there is /proc its record is taken: getrusage's may be that of the process before the
    program was started, which is the parent's.
    """
    if STATUS.exists():
        lines = STATUS.read_text(encoding="ascii").splitlines()
        (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        return int(kilobytes) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _ensemble(outcomes: dict[str, Outcome], judged: pd.DataFrame) -> Outcome:
    """Combine the members, which are fitted one after the other."""
    members = pd.concat(
        [
            judged.merge(outcome.forecasts, on=["cutoff", *DAY]).assign(model=name)
            for name, outcome in outcomes.items()
        ],
        ignore_index=True,
    )
    clock = _Clock()
    with clock:
        forecasts = out_of_fold(members)[["cutoff", *DAY, "forecast"]]
    windows_judged = judged["cutoff"].nunique()
    costs = list(outcomes.values())
    return Outcome(
        forecasts,
        seconds=sum(cost.seconds for cost in costs) + clock.seconds / windows_judged,
        cpu_seconds=sum(cost.cpu_seconds for cost in costs) + clock.cpu_seconds / windows_judged,
        memory_mb=max(cost.memory_mb for cost in costs),
    )


def _scores(
    name: str, outcome: Outcome, judged: pd.DataFrame, cutoffs: list[date]
) -> dict[str, Any]:
    days = judged.merge(outcome.forecasts, on=["cutoff", *DAY], validate="one_to_one")
    is_random_split = name in METHODS and METHODS[name].is_random_split
    assert is_random_split or len(days) == len(judged), f"{name} is judged on the rows of all"
    assert days["forecast"].gt(0).all(), f"{name} forecasts every selling day"
    by_cutoff = {
        str(cutoff): metrics.rmspe(group["sales"].to_numpy(), group["forecast"].to_numpy())
        for cutoff in cutoffs
        for group in [days[days["cutoff"] == pd.Timestamp(cutoff)]]
    }
    y, f = days["sales"].to_numpy(), days["forecast"].to_numpy()
    return {
        "is_honest": not is_random_split,
        "days": len(days),
        "rmspe_by_cutoff": by_cutoff,
        "rmspe": sum(by_cutoff.values()) / len(by_cutoff),
        "wape": metrics.wape(y, f),
        "bias": metrics.bias(y, f),
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "memory_mb": outcome.memory_mb,
    }


def print_report(report: dict[str, Any]) -> None:
    """Print the comparison as a table, with what its columns mean."""
    cutoffs = report["cutoffs"]
    table = Table(box=box.MARKDOWN)
    table.add_column("RMSPE of the days after")
    for heading in (*cutoffs, "mean", "ratio", "WAPE", "bias", "s", "CPU s", "MB"):
        table.add_column(heading, justify="right")
    for method in report["methods"]:
        table.add_row(
            method["label"] + ("" if method["is_honest"] else " *"),
            *(f"{method['rmspe_by_cutoff'][cutoff]:.4f}" for cutoff in cutoffs),
            f"{method['rmspe']:.4f}",
            f"{method['ratio']:.2f}",
            f"{method['wape']:.4f}",
            f"{method['bias']:+.3f}",
            f"{method['seconds']:.1f}",
            f"{method['cpu_seconds']:.1f}",
            f"{method['memory_mb']:.0f}",
        )
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(
        f"{report['days']} selling days of {report['stores']} stores, {report['horizon']} days "
        f"ahead; threads: {report['threads']}",
        highlight=False,
    )
    console.print(table, highlight=False)
    for line in (
        "ratio: mean RMSPE over that of the ensemble; s: fit and forecast of one window;",
        "CPU s: what the cores worked in them; MB: peak memory over that of the imports.",
        "The platform's features, which are not in its members' seconds, took "
        f"{report['feature_seconds']:.1f} s for all windows.",
    ):
        console.print(line, highlight=False)
    if len(cutoffs) == 1:
        console.print("Of a single window there are no others: the ensemble's weights are equal.")
    console.print("* Learnt from days around those it is judged on: what a random split flatters.")


if __name__ == "__main__":
    main()
