"""Stores that have never sold: what the forecast of their first weeks is worth.

In each window a part of the stores is shown as a refresh sees a store before it opens: planned,
with its attributes, and without a day of sales. The parts take turns, so that most stores are new
once. All members are fitted as of the cutoff from the other stores; weights and intervals come
from what those sold in the other windows.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import windows
from benchmarks.windows import DAY
from sales_assets import cleaned
from sales_assets.errors import SalesError
from sales_assets.forecasting import features, metrics
from sales_assets.forecasting.conformal import calibrate
from sales_assets.forecasting.ensemble import (
    MEMBERS,
    MODELS,
    ROW,
    Ensemble,
    fit_weights,
    out_of_fold,
    wide,
    with_spread,
)
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.settings import LEVELS, Settings

# One store in so many is new in each window.
EVERY = 5
# What the tables read of a delivered day.
DELIVERED = (
    "store_id, date, is_open, is_promo, state_holiday, is_school_holiday, file, line, load_id"
)


def main() -> None:
    """Print how well new stores are forecast, beside the stores that have sold for long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", type=Path, help="Kaggle's files.  [default: $SALES_SOURCE, or a made-up chain]"
    )
    arguments = parser.parse_args()
    try:
        settings = Settings.choose(home=None, source=arguments.source)
        with windows.delivered(settings) as con:
            cutoffs = features.backtest_cutoffs(features.last_sales_day(con), settings)
            days = forecast(con, cutoffs, list(MEMBERS), settings)
    except SalesError as error:
        sys.exit(f"benchmarks.new_stores: {error}")
    print_report(judge(days))


def forecast(
    con: duckdb.DuckDBPyConnection, cutoffs: list[date], names: Sequence[str], settings: Settings
) -> pd.DataFrame:
    """Return what the named members say of each window's selling days.

    Args:
        con: A delivered chain; it is left as of the last cutoff.
        cutoffs: Where the history is cut, oldest first.
        names: Of the members.
        settings: The platform's.

    Returns:
        One row a (model, cutoff, store_id, date): h, sales, forecast, is_open, anchor and is_new.
    """
    con.execute("create or replace temporary table delivered as from raw.sales")
    found = con.execute("select distinct store_id from delivered order by store_id").fetchall()
    stores = [store for (store,) in found]
    sold = con.execute("select store_id, date, sales from delivered where sales > 0").df()
    said = []
    for place, cutoff in enumerate(cutoffs):
        new = stores[place % EVERY :: EVERY]
        known, asked = shown(con, cutoff, new, settings)
        days = asked.rows[[*ROW, "h", "is_open", "anchor"]]
        for name in names:
            member = MEMBERS[name](settings).fit(known, cutoff)
            of_member = days.assign(model=name, forecast=np.exp(member.predict(asked)))
            said.append(of_member.assign(is_new=days["store_id"].isin(new)))
            print(f"{cutoff}: {name}", file=sys.stderr, flush=True)
    return pd.concat(said, ignore_index=True).merge(sold, on=DAY)


def shown(
    con: duckdb.DuckDBPyConnection, cutoff: date, new: list[int], settings: Settings
) -> tuple[Frames, Frames]:
    """Return what a refresh at the cutoff learns from, and what it forecasts.

    Args:
        con: With the table `delivered`, all days of `raw.sales`.
        cutoff: The last day whose sales are known.
        new: The stores without sales.
        settings: The platform's.
    """
    con.execute(
        "create or replace table raw.sales as from delivered"
        " where date <= $cutoff and not list_contains($new, store_id)",
        {"cutoff": cutoff, "new": new},
    )
    con.execute(
        "create or replace table raw.plan as"
        f" select row_number() over (order by store_id, date) as id, {DELIVERED} from delivered"
        " where date > $cutoff and date <= $cutoff + cast($horizon as integer)",
        {"cutoff": cutoff, "horizon": settings.horizon},
    )
    cleaned.clean_sales(con)
    cleaned.clean_plan(con, settings)
    features.build_training(con, settings, [cutoff - timedelta(days=settings.horizon)])
    features.build_future(con, settings)
    known = read_frames(con, "features.training").known_at(cutoff)
    return known, read_frames(con, "features.future").asked_at(cutoff)


def judge(days: pd.DataFrame) -> pd.DataFrame:
    """Return each model's scores of new stores and of the others.

    Args:
        days: What `forecast` returned, of two windows or more.

    Returns:
        One row a (model, is_new): days, stores, rmspe, wape, bias, and by level coverage and
        width, the mean share of the forecast.
    """
    told = []
    for cutoff in sorted(days["cutoff"].unique()):
        is_own = days["cutoff"] == cutoff
        others = with_spread(days[~is_own & ~days["is_new"]])
        backtest = pd.concat([others, out_of_fold(others)], ignore_index=True)
        ensemble = Ensemble(fit_weights(others), calibrate(backtest, cutoff))
        own = days[is_own]
        log_forecasts, _ = wide(own)
        rows = own.drop_duplicates(ROW).set_index(ROW).loc[log_forecasts.index].reset_index()
        forecasts = ensemble.forecast(rows, log_forecasts.reset_index(drop=True))
        told.append(forecasts.merge(rows[[*ROW, "sales", "is_new"]], on=ROW))
    scores = []
    for (model, is_new), group in pd.concat(told).groupby(["model", "is_new"]):
        sales, said = group["sales"].to_numpy(), group["forecast"].to_numpy()
        score = {
            "model": model,
            "is_new": is_new,
            "days": len(group),
            "stores": group["store_id"].nunique(),
            "rmspe": metrics.rmspe(sales, said),
            "wape": metrics.wape(sales, said),
            "bias": metrics.bias(sales, said),
        }
        for level in LEVELS:
            lower, upper = group[f"lo_{level}"].to_numpy(), group[f"hi_{level}"].to_numpy()
            score[f"coverage_{level}"] = metrics.coverage(sales, lower, upper)
            score[f"width_{level}"] = float(np.mean((upper - lower) / said))
        scores.append(score)
    return pd.DataFrame(scores)


def print_report(scores: pd.DataFrame) -> None:
    """Print the scores as a table, models in their order."""
    table = Table(box=box.MARKDOWN)
    headings = ["stores", "model", "days", "RMSPE", "WAPE", "bias"]
    for level in LEVELS:
        headings += [f"{level} % cover", f"{level} % wide"]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("stores", "model") else "right")
    for is_new, who in ((True, "new"), (False, "known")):
        for model in MODELS:
            for row in scores[
                (scores["model"] == model) & (scores["is_new"] == is_new)
            ].itertuples():
                cells = [f"{row.rmspe:.4f}", f"{row.wape:.4f}", f"{row.bias:+.3f}"]
                for level in LEVELS:
                    of = row._asdict()
                    cells += [f"{of[f'coverage_{level}']:.3f}", f"{of[f'width_{level}']:.3f}"]
                table.add_row(f"{row.stores} {who}", model, str(row.days), *cells)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table, highlight=False)
    console.print(
        "cover: share of the days inside; wide: mean width as a share of the forecast.",
        highlight=False,
    )


if __name__ == "__main__":
    main()
