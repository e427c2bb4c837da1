"""Figures of the studies: bars, longest on top."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sales_assets.charts import BLUE, COLOURS, GREY, ORANGE, VERMILION

TOP = 20


def losses(table: pd.DataFrame) -> Figure:
    """Return each loss's RMSPE beside the volume that it would plan too much or too little."""
    rows = table[table["cutoff"].isna()].sort_values("rmspe", ascending=False)
    names = rows["model"] + ", " + rows["loss"] + ", " + rows["point"]
    figure, (left, right) = _two(len(rows))
    _bars(left, names, 100 * rows["rmspe"], BLUE, "RMSPE, %")
    _bars(right, names, 100 * rows["volume_error"], VERMILION, "Total volume error, %")
    right.axvline(0, color=GREY, linewidth=0.8)
    right.tick_params(labelleft=False)
    return figure


def ablation(table: pd.DataFrame) -> Figure:
    """Return how much the error rises without each group, with two standard errors."""
    rows = table[table["cutoff"].isna()].sort_values("difference")
    figure = Figure(figsize=(9, 1 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    _bars(
        axes, rows["feature_group"], 100 * rows["difference"], BLUE, "RMSPE without it, + %-points"
    )
    axes.errorbar(
        100 * rows["difference"],
        range(len(rows)),
        xerr=200 * rows["standard_error"],
        fmt="none",
        color=GREY,
    )
    axes.axvline(0, color=GREY, linewidth=0.8)
    return figure


def importance(table: pd.DataFrame) -> Figure:
    """Return each model's features whose permutation raises the error most, the first 20."""
    figure, panels = _two(TOP)
    for axes, (model, rows) in zip(panels, table.groupby("model"), strict=False):
        top = rows.nlargest(TOP, "permutation").iloc[::-1]
        unit = "RMSPE when permuted, + %-points"
        _bars(axes, top["feature"], 100 * top["permutation"], COLOURS[str(model)], unit)
        axes.set_title(str(model), loc="left", fontsize=11)
    return figure


def tuning(table: pd.DataFrame) -> Figure:
    """Return the trials of each model's last study, and the best so far."""
    figure, panels = _two(10)
    latest = table[table["is_latest"]]
    for axes, (model, trials) in zip(panels, latest.groupby("model"), strict=False):
        done = trials[trials["state"] == "complete"].sort_values("trial")
        axes.scatter(done["trial"], 100 * done["value"], color=COLOURS[str(model)], s=14)
        axes.step(done["trial"], 100 * done["value"].cummin(), color=ORANGE, where="post")
        axes.set_title(f"{model}: trials, and the best so far", loc="left", fontsize=11)
        axes.set_ylabel("mean RMSPE, %")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _two(rows: int) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(11, 1 + 0.28 * rows), layout="constrained")
    left, right = figure.subplots(ncols=2)
    return figure, (left, right)


def _bars(axes: Axes, names: pd.Series, values: pd.Series, colour: str, unit: str) -> None:
    axes.barh(range(len(names)), values.to_numpy(), color=colour)
    axes.set_yticks(range(len(names)), names.tolist(), fontsize=8)
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
