"""Pictures drawn by matplotlib, as images for the Dagster UI."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sales_assets.charts import GREY
from sales_assets.questions.picture import BAND_OPACITY, COLOURS, Panel, Picture, Series

WIDTH_INCHES, HEIGHT_INCHES = 9.0, 3.8
WHISKERS_OF_BARS = "#333333"


def as_figure(picture: Picture) -> Figure:
    """Return the picture drawn by matplotlib."""
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES * picture.height), layout="constrained")
    figure.suptitle(picture.title, x=0.01, ha="left", fontsize=11)
    grid = figure.subplots(ncols=len(picture.panels), squeeze=False)[0]
    for axes, panel in zip(grid, picture.panels, strict=True):
        _draw(axes, panel)
    shown = {
        name: handle
        for axes, panel in zip(grid, picture.panels, strict=True)
        if len(panel.series) > 1
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if shown:
        figure.legend(
            shown.values(), shown.keys(), loc="outside lower center", ncols=6, frameon=False,
            fontsize=8,
        )  # fmt: skip
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    stacked = np.zeros(len(panel.series[0].x))
    for place, series in enumerate(panel.series):
        colour = series.colour or COLOURS[place % len(COLOURS)]
        if panel.kind == "bars":
            _bars(axes, panel, place, series, colour, stacked)
            stacked = stacked + (np.asarray(series.y, dtype=float) if panel.is_stacked else 0)
        else:
            _points(axes, panel, place, series, colour)
    if panel.line_at is not None:
        draw = axes.axvline if panel.is_horizontal else axes.axhline
        draw(panel.line_at, color=GREY, linewidth=0.9)
    for at, says in panel.marks:
        axes.axvline(at, color=GREY, linewidth=0.9, linestyle=":")
        axes.annotate(
            says, (at, 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
            textcoords="offset points", va="top", fontsize=8, color=GREY,
        )  # fmt: skip
    axes.set_title(panel.title, loc="left", fontsize=10)
    axes.set_xlabel(panel.x_title)
    axes.set_ylabel(panel.y_title)
    if panel.seen:
        (axes.set_xlim if panel.is_horizontal else axes.set_ylim)(*panel.seen)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if panel.is_horizontal else "y", alpha=0.3)
    if panel.is_horizontal:
        axes.invert_yaxis()


def _bars(axes: Axes, panel: Panel, place: int, series: Series, colour: str, stacked: Any) -> None:
    categories = [str(value) for value in series.x]
    width = 0.8 / (1 if panel.is_stacked else len(panel.series))
    shift = 0 if panel.is_stacked else (place - (len(panel.series) - 1) / 2) * width
    places = np.arange(len(categories)) + shift
    y = np.asarray(series.y, dtype=float)
    if panel.is_horizontal:
        axes.barh(places, y, width, stacked, color=colour, label=series.name)
        axes.set_yticks(np.arange(len(categories)), categories)
    else:
        axes.bar(places, y, width, stacked, color=colour, label=series.name)
        axes.set_xticks(np.arange(len(categories)), categories)
    _whiskers(axes, panel, series, places, WHISKERS_OF_BARS)


def _points(axes: Axes, panel: Panel, place: int, series: Series, colour: str) -> None:
    y = np.asarray(series.y, dtype=float)
    if panel.kind == "line":
        axes.plot(list(series.x), y, color=colour, label=series.name, linewidth=1.6)
        if series.lo is not None and series.hi is not None:
            lo, hi = np.asarray(series.lo, dtype=float), np.asarray(series.hi, dtype=float)
            axes.fill_between(list(series.x), lo, hi, color=colour, alpha=BAND_OPACITY, linewidth=0)
        return
    is_named = panel.is_horizontal or isinstance(series.x[0], str)
    if is_named:
        # A series may lack some of the names that others have.
        names = list(dict.fromkeys(str(value) for one in panel.series for value in one.x))
        apart = min(0.2, 0.7 / len(panel.series))
        spread = (place - (len(panel.series) - 1) / 2) * apart
        places = np.array([names.index(str(value)) for value in series.x]) + spread
        ticks = np.arange(len(names))
        (axes.set_yticks if panel.is_horizontal else axes.set_xticks)(ticks, names)
    else:
        places = np.asarray(series.x)
    _whiskers(axes, panel, series, places, colour)
    across, up = (y, places) if panel.is_horizontal else (places, y)
    axes.plot(across, up, "o", color=colour, markersize=4, label=series.name)


def _whiskers(axes: Axes, panel: Panel, series: Series, places: Any, colour: str) -> None:
    if series.lo is None or series.hi is None:
        return
    ends = np.asarray(series.lo, dtype=float), np.asarray(series.hi, dtype=float)
    (axes.hlines if panel.is_horizontal else axes.vlines)(places, *ends, color=colour, linewidth=1)
