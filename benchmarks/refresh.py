"""Refreshes of a generated chain, stage by stage: the first, the next week's, one of nothing new.

Prints seconds and peak memory. Run by `make bench`; 1,115 stores × 942 days unless told
otherwise. Each refresh is a process of its own, as a user would start it; its stages are read
from the run's own record.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from sales_assets.settings import Settings


def main() -> None:
    """Print a table of stages for each refresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=1115)
    parser.add_argument("--days", type=int, default=942)
    parser.add_argument("--home", type=Path, help="Kept afterwards; a temporary one otherwise.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = arguments.home or Path(temporary)
        source = home / "source"
        size = ["--stores", str(arguments.stores), "--days", str(arguments.days)]
        seconds, _ = _timed(["sample", str(source), *size, "--seed", "1"])
        week_before = _week_before(source, home / "week_before")
        print(f"{arguments.stores} stores × {arguments.days} days on {os.cpu_count()} cores")
        print(f"\nsample: {seconds:.1f} s")
        print(f"import of the code location: {_import_seconds():.1f} s")
        for name, delivery in (
            ("first refresh", week_before),
            ("the next week", source),
            ("nothing new", source),
        ):
            seconds, gigabytes = _timed(["refresh", "--source", str(delivery), "--home", str(home)])
            took = stages(home)
            without = seconds - dict(took).get("models.lstm", 0.0) - _backtest_seconds(home, "lstm")
            print(
                f"\n{name}: {seconds / 60:.1f} min, peak {gigabytes:.1f} GB; without fits of lstm "
                f"{without / 60:.1f} min",
                flush=True,
            )
            for stage, stage_seconds in took:
                print(f"  {stage:32s} {stage_seconds:8.1f} s")


def _week_before(source: Path, directory: Path) -> Path:
    """Write what would have been delivered a week before: its last week is still a plan."""
    directory.mkdir()
    shutil.copy(source / "store.csv", directory)
    with duckdb.connect() as con:
        for name in ("train", "test"):
            con.read_csv(str(source / f"{name}.csv"), all_varchar=True).create(name)
        ((last_day,),) = con.execute('select cast(max("Date") as date) - 7 from train').fetchall()
        con.sql(
            'select * from train where "Date" <= $last_day',
            params={"last_day": str(last_day)},
        ).write_csv(str(directory / "train.csv"))
        plan = ", ".join(f'"{name}"' for name in con.table("test").columns if name != "Id")
        con.sql(
            f'select row_number() over () as "Id", * from (select {plan} from train'
            f' where "Date" > $last_day union all select {plan} from test)',
            params={"last_day": str(last_day)},
        ).write_csv(str(directory / "test.csv"))
    return directory


def _import_seconds() -> float:
    """Return the seconds until a new process knows the graph, as all of Dagster's do."""
    command = [sys.executable, "-c", "import sales_assets.definitions"]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def _timed(arguments: list[str]) -> tuple[float, float]:
    """Run `sales` and return its seconds and its peak memory in GB."""
    started = time.perf_counter()
    process = subprocess.Popen([Path(sys.executable).parent / "sales", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"sales {' '.join(arguments)} failed.")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e9


def stages(home: Path) -> list[tuple[str, float]]:
    """Return each step of the newest run with its seconds, in the order they ran."""
    with _instance(home) as instance:
        (run,) = instance.get_runs(limit=1)
        steps = instance.get_run_step_stats(run.run_id)
    return [
        (step.step_key.replace("__", "."), step.end_time - step.start_time)
        for step in sorted(steps, key=lambda step: step.start_time or 0)
        if step.start_time and step.end_time
    ]


def _backtest_seconds(home: Path, member: str) -> float:
    """Return what the newest run's backtest spent on a member, by its lines in the run's record."""
    line = re.compile(rf"backtest from \S+: {member} RMSPE \S+, (\d+) s")
    with _instance(home) as instance:
        (run,) = instance.get_runs(limit=1)
        told = [line.search(entry.user_message) for entry in instance.all_logs(run.run_id)]
    return float(sum(int(found[1]) for found in told if found))


def _instance(home: Path) -> Any:
    import dagster as dg

    return dg.DagsterInstance.from_config(str(Settings(home=home).dagster_home.absolute()))


if __name__ == "__main__":
    main()
