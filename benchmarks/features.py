"""The features' SQL beside the same features in pandas, and its windows beside mlforecast's.

Run by `make bench`; on a made-up chain of 1,115 stores × 942 days unless told otherwise. Both
sides of a comparison must come to the same numbers, or the run stops. mlforecast makes lags and
rolling means of regular series, one time stamp after another; it is given what it takes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
import pandas as pd

from benchmarks import windows
from benchmarks.insights import peak_gb
from benchmarks.methods import available
from sales_assets import warehouse
from sales_assets.forecasting import features
from sales_assets.settings import Settings
from sales_assets.sources.sample import write_sample

T = TypeVar("T")
REPEATS = 3
LAGS = (7, 14, 21, 28, 35, 42, 56)
WINDOWS = (7, 14, 28, 56)
LAGGED = f"""
select store_id, date,
    {", ".join(f"lag(y, {lag}) over days as lag{lag}" for lag in LAGS)},
    {
    ", ".join(
        f"avg(y) over (days rows between {window} preceding and 1 preceding) as mean{window}"
        for window in WINDOWS
    )
}
from series
window days as (partition by store_id order by date)
"""


def main() -> None:
    """Print both comparisons, and what all the features cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=1115)
    parser.add_argument("--days", type=int, default=942)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        write_sample(home / "source", stores=arguments.stores, days=arguments.days, seed=1)
        settings = Settings.choose(home=home)
        with warehouse.connect(settings) as con:
            windows.load(con, home / "source", settings, home / "scratch")
            seconds, rows = timed(lambda: features.build_training(con, settings), repeats=1)
            print(f"features.training: {rows:,} rows, {seconds:.1f} s, peak {peak_gb():.1f} GB")
            print("| what | SQL, s | other, s | other / SQL |\n| --- | ---: | ---: | ---: |")
            beside_pandas(con)
            if "mlforecast" in available():
                beside_mlforecast(con, settings)
            else:
                print("mlforecast is missing: pip install --editable '.[bench]'")


def beside_pandas(con: duckdb.DuckDBPyConnection) -> None:
    """Compare the steps that windows of past sales make: profiles, levels and seasons."""
    days = con.execute("from days order by store_id, date").df()
    cutoffs = con.execute("select distinct cutoff from targets order by 1").df()["cutoff"]
    of_levels = {"profiles": con.execute("from profiles").df(), "cutoffs": cutoffs}
    for step, in_pandas in (
        ("profiles", partial(profiles, days)),
        ("seasons", partial(seasons, days)),
        ("levels", partial(levels, days, **of_levels)),
    ):
        create = partial(warehouse.create_table, con, step, f"features/{step}", temporary=True)
        of_sql, _ = timed(create)
        made = con.execute(f"from {step} order by all").df()
        of_pandas, told = timed(in_pandas)
        same(made, told, step)
        report(f"{step}, pandas", of_sql, of_pandas)


def profiles(days: pd.DataFrame) -> pd.DataFrame:
    """Return `sql/features/profiles.sql` by pandas: means and medians of days like each one."""
    keys = ["store_id", "weekday", "is_promo"]
    sold = days[days["micro_log_sales"].notna()].sort_values([*keys, "date"], ignore_index=True)
    sold["square"] = sold["micro_log_sales"] ** 2

    def rolling(column: str, window: int, how: str) -> pd.Series:
        windows = sold.groupby(keys, sort=False)[column].rolling(window, min_periods=1)
        return getattr(windows, how)().reset_index(drop=True)

    def before(values: pd.Series) -> pd.Series:
        return values.groupby([sold[key] for key in keys], sort=False).shift()

    mean_13, mean_26 = (rolling("micro_log_sales", window, "mean") for window in (13, 26))
    variance_26 = rolling("square", 26, "mean") - mean_26**2
    return (
        sold[["store_id", "date", "weekday", "is_promo", "micro_log_sales"]]
        .assign(
            median_4=rolling("micro_log_sales", 4, "median"),
            median_8=rolling("micro_log_sales", 8, "median"),
            mean_13=mean_13,
            median_26=rolling("micro_log_sales", 26, "median"),
            mean_52=rolling("micro_log_sales", 52, "mean"),
            deviation_26=np.sqrt(variance_26.clip(0)),
            occurrences=rolling("micro_log_sales", 52, "count"),
            prior_mean_13=before(mean_13),
            prior_mean_26=before(mean_26),
            customers_mean_13=rolling("micro_log_customers", 13, "mean"),
        )
        .sort_values(["store_id", "date"])
    )


def seasons(days: pd.DataFrame) -> pd.DataFrame:
    """Return `sql/features/seasons.sql` by pandas: log sales around each past day."""
    known = days[days["sales"].notna()].reset_index(drop=True)
    logs = known.groupby("store_id", sort=False)["micro_log_sales"]
    around = {
        f"around_{window}": logs.rolling(window, min_periods=1, center=True).mean().to_numpy() / 1e6
        for window in (7, 14, 28)
    }
    table = known[["store_id", "date"]].rename(columns={"date": "past_date"})
    return table.assign(log_sales=known["micro_log_sales"] / 1e6, **around)


def levels(days: pd.DataFrame, profiles: pd.DataFrame, cutoffs: pd.Series) -> pd.DataFrame:
    """Return `sql/features/levels.sql` by pandas: how each store stood at each cutoff."""
    known = days[days["sales"].notna()].merge(
        profiles[["store_id", "date", "prior_mean_13", "prior_mean_26"]],
        "left",
        ["store_id", "date"],
    )
    logs, customers = known["micro_log_sales"], known["micro_log_customers"]
    surprise_13 = (logs - known["prior_mean_13"]).round()
    surprise_26 = (logs - known["prior_mean_26"]).round()
    store = known["store_id"]

    def last(values: pd.Series, window: int) -> pd.Series:
        means = values.groupby(store, sort=False).rolling(window, min_periods=1).mean()
        return means.reset_index(drop=True) / 1e6

    def year_before(values: pd.Series) -> pd.Series:
        return values.groupby(store, sort=False).shift(364)

    level = {window: last(logs, window) for window in (14, 28, 56, 98, 182, 364)}
    ever = logs.groupby(store, sort=False).expanding().mean().reset_index(drop=True) / 1e6
    promo_days = known["is_promo"].groupby(store, sort=False).rolling(14, min_periods=1).sum()
    table = known[["store_id", "date"]].assign(
        open_days_at_cutoff=known["open_days_so_far"],
        **{f"level_{window}": values for window, values in level.items()},
        level_ever=ever,
        level_year_before=year_before(level[364]),
        last_years_level_28=year_before(level[28]),
        last_years_level_56=year_before(level[56]),
        **{f"surprise_13_last_{window}": last(surprise_13, window) for window in (7, 14, 28)},
        **{f"surprise_26_last_{window}": last(surprise_26, window) for window in (14, 28, 56)},
        volatility_98=last(surprise_13.abs(), 98),
        **{f"customers_{window}": last(customers, window) for window in (28, 182)},
        **{f"basket_{window}": last(logs - customers, window) for window in (28, 182)},
        promo_days_14=promo_days.reset_index(drop=True),
        promo_level_182=last(logs.where(known["is_promo"]), 182),
        usual_level_182=last(logs.where(~known["is_promo"]), 182),
    )
    return table[table["date"].isin(cutoffs)].rename(columns={"date": "cutoff"})


def beside_mlforecast(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Compare lags and rolling means of regular series, closed days counting as zero."""
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    con.execute(
        "create or replace temporary table series as select store_id, date,"
        " cast(coalesce(sales, 0) as double) as y from cleaned.sales order by store_id, date"
    )
    frame = con.execute("select store_id as unique_id, date as ds, y from series").df()
    maker = MLForecast(
        models=[],
        freq="D",
        lags=list(LAGS),
        lag_transforms={1: [RollingMean(window, min_samples=1) for window in WINDOWS]},
        num_threads=settings.threads,
    )
    of_sql, _ = timed(lambda: con.execute(f"create or replace temporary table lagged as {LAGGED}"))
    of_other, told = timed(
        lambda: maker.preprocess(frame, static_features=[], dropna=False).drop(columns="y")
    )
    made = con.execute("from lagged order by store_id, date").df()
    names = {"unique_id": "store_id", "ds": "date"}
    names |= {f"rolling_mean_lag1_window_size{n}_min_samples1": f"mean{n}" for n in WINDOWS}
    same(made, told.rename(columns=names).sort_values(["store_id", "date"]), "lags")
    report("lags and rolling means, mlforecast", of_sql, of_other)


def timed(work: Callable[[], T], repeats: int = REPEATS) -> tuple[float, T]:
    """Return the seconds of the quickest repeat, and its result."""
    best = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
    return best, result


def same(made: pd.DataFrame, told: pd.DataFrame, name: str) -> None:
    """Stop unless both tables hold the same numbers, up to rounding."""
    if len(made) != len(told) or set(made) != set(told):
        raise SystemExit(f"{name}: {made.shape} and {told.shape}, {set(made) ^ set(told)}")
    for column in made.columns:
        ours, theirs = made[column], told[column]
        if ours.dtype.kind in "biuf":
            is_same = np.allclose(
                ours.to_numpy(np.float64), theirs.to_numpy(np.float64), rtol=1e-6, atol=1e-5,
                equal_nan=True,
            )  # fmt: skip
        else:
            is_same = (ours.to_numpy() == theirs.to_numpy()).all()
        if not is_same:
            raise SystemExit(f"{name}: {column} is not the same.")


def report(name: str, of_sql: float, of_other: float) -> None:
    """Print a line of the table."""
    print(f"| {name} | {of_sql:.2f} | {of_other:.2f} | {of_other / of_sql:.1f} |", flush=True)


if __name__ == "__main__":
    main()
