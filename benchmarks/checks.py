"""Every check of a refresh: seconds and peak memory at full size, the import included.

Run by `make bench`; on a made-up chain of 1,115 stores × 942 days unless told otherwise. Tables
are made as in a refresh, but for backtest and forecasts, which are made up: fitting models would
take most of an hour and change nothing that the checks have to look at.
"""

import argparse
import importlib
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks import windows
from sales_assets import checks, warehouse
from sales_assets.forecasting import features
from sales_assets.forecasting.ensemble import MODELS
from sales_assets.settings import Settings
from sales_assets.sources.sample import write_sample
from sales_assets.suites import SUITES

BOUNDS = {"lo_80": 0.9, "hi_80": 1.1, "lo_95": 0.7, "hi_95": 1.3}


def make_up_forecasts(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Create a sound `models.backtest` and `forecasts.daily` from the feature tables."""
    cutoffs = features.backtest_cutoffs(features.last_sales_day(con), settings)
    bounds = ", ".join(f"{factor} * forecast as {name}" for name, factor in BOUNDS.items())
    # A fifth of the days lies outside the narrower bounds.
    con.execute(
        "create table models.backtest as select unnest($models) as model, cutoff, store_id,"
        " date, h, exp(log_sales) as sales,"
        " sales * if(hash(store_id, date) % 5 = 0, 1.2, 1.05) as forecast,"
        f" {bounds} from features.training"
        " where list_contains($cutoffs, cutoff) and log_sales is not null",
        {"models": list(MODELS), "cutoffs": cutoffs},
    )
    con.execute(
        "create table forecasts.daily as select cutoff, store_id, date,"
        " unnest($models) as model, h, if(is_open, exp(anchor), 0) as forecast,"
        f" {bounds}, '' as version from features.future",
        {"models": list(MODELS)},
    )


def main() -> None:
    """Print the seconds of each suite and of the import, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=1115)
    parser.add_argument("--days", type=int, default=942)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        source = home / "source"
        write_sample(source, stores=arguments.stores, days=arguments.days, seed=1)
        settings = Settings.choose(home=home)
        with warehouse.connect(settings) as con:
            _fill(con, source, settings)
            print(f"before any check: {_peak_gb():.1f} GB at the peak")
            started = time.perf_counter()
            importlib.import_module("great_expectations")
            _tell("import of Great Expectations", started, "")
            for suite in SUITES:
                suite_started = time.perf_counter()
                outcomes = checks.examine(con, suite, settings)
                missed = sum(not outcome.is_met for outcome in outcomes)
                _tell(suite.name, suite_started, f"{len(outcomes)} expectations, {missed} missed")
            _tell("in all", started, f"{_peak_gb():.1f} GB at the peak")


def _fill(con: duckdb.DuckDBPyConnection, source: Path, settings: Settings) -> None:
    windows.load(con, source, settings, settings.scratch)
    features.build_training(con, settings)
    features.build_future(con, settings)
    make_up_forecasts(con, settings)


def _tell(name: str, started: float, says: str) -> None:
    print(f"  {name:30s} {time.perf_counter() - started:6.1f} s  {says}", flush=True)


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
