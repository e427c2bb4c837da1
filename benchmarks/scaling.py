"""What does not fit a model, at a quarter to four times the stores: seconds and peak memory.

Run by `make bench`. Each size is loaded, cleaned, checked, explored, turned into features and
published by the refresh's own steps, in one process, which may not hold more than 4 GB of memory
at any time. Training rows grow with the stores. The ratios are to the line before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.refresh import stages
from sales_assets.sources.sample import write_sample

GIGABYTES = 4
FACTORS = (0.25, 0.5, 1, 2, 4)
TRAINING_ROWS = 1_000_000
# Steps by what they do; those of models, intervals and forecasts are left out.
PARTS = {
    "load": ("delivery",),
    "clean": ("cleaned", "check_delivery", "check_cleaned", "check_plan"),
    "features": ("features", "check_features"),
    "insights": ("insights", "monitoring__drift", "quality"),
    "publish": ("published",),
}
RUN = """
import sys
from sales_assets.definitions import defs
from sales_assets.runs import run_job
from sales_assets.settings import Settings
parts = tuple(sys.argv[1].split(","))
names = [node.name for node in defs.resolve_job_def("weekly_refresh").nodes_in_topological_order]
run_job("weekly_refresh", Settings.load(), [name for name in names if name.startswith(parts)])
"""


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=1115)
    parser.add_argument("--days", type=int, default=942)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {GIGABYTES} GB; {arguments.days} days")
    columns = ["sales rows", *PARTS, "all, s", "ratio", "peak GB"]
    print(f"| stores | {' | '.join(columns)} |\n| ---: |{' ---: |' * len(columns)}")
    former = None
    for factor in FACTORS:
        stores = round(arguments.stores * factor)
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(temporary)
            write_sample(home / "source", stores=stores, days=arguments.days, seed=1)
            gigabytes = _peak_gb(home, round(TRAINING_ROWS * factor))
            by_part = dict.fromkeys(PARTS, 0.0)
            for stage, stage_seconds in stages(home):
                node = stage.replace(".", "__")
                (part,) = [name for name, prefixes in PARTS.items() if node.startswith(prefixes)]
                by_part[part] += stage_seconds
            seconds = sum(by_part.values())
        cells = [
            f"{stores:,}",
            f"{stores * arguments.days:,}",
            *(f"{value:.1f}" for value in by_part.values()),
            f"{seconds:.1f}",
            f"{seconds / former:.2f}" if former else "",
            f"{gigabytes:.1f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
        former = seconds


def _peak_gb(home: Path, training_rows: int) -> float:
    """Run the steps and return the peak of memory, imports included."""
    environment = os.environ | {
        "SALES_HOME": str(home),
        "SALES_SOURCE": str(home / "source"),
        "SALES_TRAINING_ROWS": str(training_rows),
    }
    prefixes = ",".join(prefix for part in PARTS.values() for prefix in part)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, prefixes],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    gigabytes = float(usage.ru_maxrss * 1024 / 1e9)
    if status != 0 or gigabytes > GIGABYTES:
        sys.exit(
            f"On {training_rows:,} training rows the steps failed or held over {GIGABYTES} GB: "
            f"status {status}, {gigabytes:.1f} GB."
        )
    return gigabytes


if __name__ == "__main__":
    main()
