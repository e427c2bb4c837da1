"""Pictures drawn by plotly, as the JSON that its script takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sales_assets.charts import GREY
from sales_assets.questions.picture import BAND_OPACITY, COLOURS, Panel, Picture, Series


def as_plotly(picture: Picture) -> dict[str, Any]:
    """Return the picture as plotly's JSON: `data` and `layout`, without colours of the page."""
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "showlegend": any(len(panel.series) > 1 for panel in picture.panels),
        "barmode": "stack" if any(panel.is_stacked for panel in picture.panels) else "group",
        "shapes": [],
        "annotations": [],
        "height": 380 * picture.height,
    }
    # What is in several panels has one entry in the legend, and is shown and hidden at once.
    named: set[str] = set()
    share = 1 / len(picture.panels)
    for number, panel in enumerate(picture.panels):
        suffix = "" if number == 0 else str(number + 1)
        left = number * share + (0.06 if number else 0)
        layout[f"xaxis{suffix}"] = {
            "title": {"text": panel.x_title}, "domain": [left, (number + 1) * share],
            "anchor": f"y{suffix}", "automargin": True,
        }  # fmt: skip
        layout[f"yaxis{suffix}"] = {
            "title": {"text": panel.y_title}, "anchor": f"x{suffix}", "automargin": True,
        }  # fmt: skip
        if panel.is_horizontal:
            layout[f"yaxis{suffix}"]["autorange"] = "reversed"
        category_axis = f"{'y' if panel.is_horizontal else 'x'}axis{suffix}"
        if panel.kind == "bars" or panel.is_horizontal or isinstance(panel.series[0].x[0], str):
            layout[category_axis]["type"] = "category"
        for place, series in enumerate(panel.series):
            colour = series.colour or COLOURS[place % len(COLOURS)]
            traces = _traces(panel, series, colour)
            for trace in traces:
                trace |= {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
                trace["legendgroup"] = series.name
                is_first = series.name not in named and trace is traces[-1]
                trace["showlegend"] = is_first and len(panel.series) > 1
            named.add(series.name)
            data += traces
        layout["shapes"] += _lines(panel, suffix)
        layout["annotations"] += _notes(panel, suffix, left)
    return {"data": data, "layout": layout}


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


def _lines(panel: Panel, suffix: str) -> list[dict[str, Any]]:
    style = {"type": "line", "line": {"color": GREY, "width": 1}, "layer": "below"}
    lines = [
        {**style, "xref": f"x{suffix}", "yref": f"y{suffix} domain", "x0": _plain([at])[0],
         "x1": _plain([at])[0], "y0": 0, "y1": 1, "line": {"color": GREY, "dash": "dot"}}
        for at, _ in panel.marks
    ]  # fmt: skip
    if panel.line_at is not None and panel.is_horizontal:
        at = {"x0": panel.line_at, "x1": panel.line_at, "y0": 0, "y1": 1}
        lines.append({**style, "xref": f"x{suffix}", "yref": f"y{suffix} domain", **at})
    elif panel.line_at is not None:
        at = {"x0": 0, "x1": 1, "y0": panel.line_at, "y1": panel.line_at}
        lines.append({**style, "xref": f"x{suffix} domain", "yref": f"y{suffix}", **at})
    return lines


def _notes(panel: Panel, suffix: str, left: float) -> list[dict[str, Any]]:
    notes: list[dict[str, Any]] = [
        {"text": says, "x": _plain([at])[0], "xref": f"x{suffix}", "y": 1,
         "yref": f"y{suffix} domain", "showarrow": False, "xanchor": "left", "yanchor": "top"}
        for at, says in panel.marks
    ]  # fmt: skip
    if panel.title:
        notes.append(
            {"text": panel.title, "x": left, "xref": "paper", "y": 1, "yref": "paper",
             "showarrow": False, "xanchor": "left", "yanchor": "bottom"}
        )  # fmt: skip
    return notes


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
