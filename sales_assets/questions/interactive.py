"""Pictures drawn by plotly, as the JSON that its script takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sales_assets.charts import GREY
from sales_assets.questions.picture import BAND_OPACITY, COLOURS, Panel, Picture, Series


def as_plotly(picture: Picture) -> list[dict[str, Any]]:
    """Return `data` and `layout` of each panel, without the colours of the page.

    Panels are plots of their own, so that a narrow screen can put one below the other.
    """
    return [_plot(panel, 380 * picture.height) for panel in picture.panels]


def _plot(panel: Panel, height: int) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    for place, series in enumerate(panel.series):
        own = _traces(panel, series, series.colour or COLOURS[place % len(COLOURS)])
        for trace in own:
            # A band is shown and hidden with its line, which alone is in the legend.
            trace |= {"legendgroup": series.name, "showlegend": trace is own[-1]}
        traces += own
    layout: dict[str, Any] = {
        "height": height,
        "showlegend": len(panel.series) > 1,
        "barmode": "stack" if panel.is_stacked else "group",
        # Dots of several series that share a name stand beside one another too.
        "scattermode": "group" if panel.kind == "dots" else "overlay",
        "scattergap": 0.6,
        "title": {"text": panel.title, "font": {"size": 13}, "x": 0, "xref": "paper"},
        "xaxis": {"title": {"text": panel.x_title}, "automargin": True},
        "yaxis": {"title": {"text": panel.y_title}, "automargin": True},
        "shapes": _lines(panel),
        "annotations": _notes(panel),
    }
    if panel.seen:
        layout["xaxis" if panel.is_horizontal else "yaxis"]["range"] = list(panel.seen)
    if panel.is_horizontal:
        layout["yaxis"]["autorange"] = "reversed"
    if panel.kind == "bars" or panel.is_horizontal or isinstance(panel.series[0].x[0], str):
        layout["yaxis" if panel.is_horizontal else "xaxis"]["type"] = "category"
    return {"data": traces, "layout": layout}


def _traces(panel: Panel, series: Series, colour: str) -> list[dict[str, Any]]:
    x = _plain(series.x)
    if panel.kind == "bars" or panel.is_horizontal:
        x = [str(value) for value in x]
    y = _plain(series.y)
    trace: dict[str, Any] = {"name": series.name, "x": x, "y": y}
    if series.labels is not None:
        trace["text"] = list(series.labels)
        trace["textposition"] = "none" if panel.kind == "bars" else "top center"
    traces = [trace]
    has_bounds = series.lo is not None and series.hi is not None
    if panel.kind == "bars":
        trace |= {"type": "bar", "marker": {"color": colour}}
    else:
        is_line = panel.kind == "line"
        trace |= {"type": "scatter", "mode": "lines" if is_line else "markers"}
        trace |= {"line": {"color": colour}} if is_line else {"marker": {"color": colour}}
    if has_bounds and panel.kind == "line":
        edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        lo = {**edge, "name": series.name, "x": x, "y": _plain(series.lo)}
        hi = {**edge, "name": series.name, "x": x, "y": _plain(series.hi)}
        hi |= {"fill": "tonexty", "fillcolor": _faint(colour)}
        traces = [lo, hi, trace]
    elif has_bounds:
        above = np.asarray(series.hi, dtype=float) - np.asarray(series.y, dtype=float)
        below = np.asarray(series.y, dtype=float) - np.asarray(series.lo, dtype=float)
        trace["error_x" if panel.is_horizontal else "error_y"] = {
            "type": "data", "symmetric": False, "array": _plain(above),
            "arrayminus": _plain(below), "thickness": 1, "width": 3,
            "color": "#777777" if panel.kind == "bars" else colour,
        }  # fmt: skip
    if panel.is_horizontal:
        trace["x"], trace["y"] = trace["y"], trace["x"]
        trace["orientation"] = "h"
    return traces


def _lines(panel: Panel) -> list[dict[str, Any]]:
    style = {"type": "line", "layer": "below"}
    across = {"yref": "y domain", "y0": 0, "y1": 1}
    lines = [
        {**style, **across, "x0": at, "x1": at, "line": {"color": GREY, "dash": "dot"}}
        for at in _plain([at for at, _ in panel.marks])
    ]
    if panel.line_at is not None:
        at = panel.line_at
        ends = (
            {**across, "x0": at, "x1": at}
            if panel.is_horizontal
            else {"xref": "x domain", "x0": 0, "x1": 1, "y0": at, "y1": at}
        )
        lines.append({**style, **ends, "line": {"color": GREY, "width": 1}})
    return lines


def _notes(panel: Panel) -> list[dict[str, Any]]:
    return [
        {"text": says, "x": _plain([at])[0], "y": 1, "yref": "y domain", "showarrow": False,
         "xanchor": "left", "yanchor": "top"}
        for at, says in panel.marks
    ]  # fmt: skip


def _plain(values: Sequence[Any] | None) -> list[Any]:
    """Return values as JSON knows them: dates as text, what is missing as null."""
    plain: list[Any] = []
    for value in values if values is not None else ():
        if pd.isna(value):
            plain.append(None)
        elif hasattr(value, "isoformat"):
            plain.append(value.isoformat()[:10])
        else:
            plain.append(value.item() if hasattr(value, "item") else value)
    return plain


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{BAND_OPACITY})"
