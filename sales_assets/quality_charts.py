"""The history of the checks as a figure."""

import pandas as pd
from matplotlib.figure import Figure

from sales_assets.charts import BLUE, ORANGE, VERMILION

# Told apart by marker and number too, not by colour alone.
OUTCOMES = {
    "all met": (BLUE, "o"),
    "warnings": (ORANGE, "^"),
    "stopped the refresh": (VERMILION, "s"),
}


def outcomes(history: pd.DataFrame) -> Figure:
    """Return a mark for each run and suite: all met, or how many expectations were not.

    Args:
        history: run, run_at, suite, warnings, failed; the oldest run first.
    """
    runs = history.drop_duplicates("run")
    suites = sorted(history["suite"].unique(), reverse=True)
    column = {run: place for place, run in enumerate(runs["run"])}
    height = 1.6 + 0.5 * max(len(suites), 1)
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title("Checks by run (UTC), with the expectations not met", loc="left", fontsize=11)
    told = [_told(row) for row in history.to_dict("records")]
    for name, (colour, marker) in OUTCOMES.items():
        rows = history[[each == name for each in told]]
        if not rows.empty:
            axes.scatter(
                rows["run"].map(column),
                rows["suite"].map(suites.index),
                s=220,
                c=colour,
                marker=marker,
                label=name,
            )
    for row in history.to_dict("records"):
        if missed := row["failed"] + row["warnings"]:
            place = (column[row["run"]], suites.index(row["suite"]))
            colour = "white" if row["failed"] else "black"
            axes.annotate(f"{missed}", place, ha="center", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(suites)), suites)
    axes.set_xticks(range(len(runs)), [f"{at:%d %b\n%H:%M}" for at in runs["run_at"]], fontsize=8)
    axes.set_xlim(-0.6, max(len(runs), 6) - 0.4)
    axes.set_ylim(-0.6, len(suites) - 0.4)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if told:
        figure.legend(frameon=False, ncols=3, loc="outside lower left", fontsize=8, markerscale=0.5)
    return figure


def _told(row: dict) -> str:
    if row["failed"]:
        return "stopped the refresh"
    return "warnings" if row["warnings"] else "all met"
