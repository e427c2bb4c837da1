"""A picture of a table, as data: what is drawn, not how.

plotly, which the report uses, needs a browser to make an image, and the Dagster UI shows images
alone; so that both show the same, a picture says what is seen, and `figure.py` (matplotlib) and
`interactive.py` (plotly) draw it. Colours are those of Okabe and Ito, which colour-blind readers
tell apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.charts import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, GREY, "#CC79A7", "#000000")
BAND_OPACITY = 0.2
# Names down the side that a picture of usual height has room for.
NAMES_IN_HEIGHT = 12

Kind = Literal["bars", "line", "dots"]


@dataclass(frozen=True)
class Series:
    """Values to be drawn in one colour.

    Attributes:
        name: For the legend, which a panel of a single series goes without.
        x: Categories, numbers or dates.
        y: Values.
        lo: Lower ends of the values' 95 % intervals, if they have any.
        hi: Upper ends.
        labels: What is told of each point beside its values, where it is pointed at.
        colour: None takes the next one.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    lo: Sequence[float] | None = None
    hi: Sequence[float] | None = None
    labels: Sequence[str] | None = None
    colour: str | None = None

    def __post_init__(self) -> None:
        """Make lists of columns, whose first value need not be at 0."""
        for name in ("x", "y", "lo", "hi", "labels"):
            values = getattr(self, name)
            object.__setattr__(self, name, None if values is None else list(values))


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        series: What is drawn, in the order of the legend.
        x_title: What the horizontal axis shows, with its unit.
        y_title: What the vertical axis shows, with its unit.
        kind: Bars stand side by side with whiskers for intervals, lines have bands, dots whiskers.
        title: Where there are several panels.
        is_horizontal: Categories go down the side: `x` is drawn on the vertical axis. The titles
            stay those of the axes as they are seen.
        is_stacked: Bars stand on one another.
        line_at: A line across the values to compare with, such as 0 for no effect.
        marks: Lines across the x axis, each with what it says.
    """

    series: tuple[Series, ...]
    x_title: str
    y_title: str
    kind: Kind = "bars"
    title: str = ""
    is_horizontal: bool = False
    is_stacked: bool = False
    line_at: float | None = None
    marks: tuple[tuple[Any, str], ...] = ()

    @property
    def seen(self) -> tuple[float, float] | None:
        """Ends of the axis of values where intervals reach too far; None shows all.

        The interval of two or three stores may be so long that no value could be told from another.
        It is shown no further from the values than they are apart, and runs out of the picture.
        """
        told = [series.y for series in self.series]
        values = _numbers([*told, [0.0] if self.kind == "bars" else []])
        bounds = _numbers([ends for series in self.series for ends in (series.lo, series.hi)])
        if self.is_stacked or not len(values) or not len(bounds):
            return None
        apart = np.ptp(values)
        first, last = values.min() - apart, values.max() + apart
        if apart == 0 or (first <= bounds.min() and bounds.max() <= last):
            return None
        shown = np.concatenate([values, bounds.clip(first, last)])
        return float(shown.min()), float(shown.max())


def _numbers(columns: Sequence[Sequence[float] | None]) -> NDArray[np.float64]:
    """Return all values of columns that are known."""
    together = [value for column in columns for value in column or () if not pd.isna(value)]
    values = np.array(together, dtype=np.float64)
    return values[np.isfinite(values)]


@dataclass(frozen=True)
class Picture:
    """Panels side by side under a title that says what is seen."""

    title: str
    panels: tuple[Panel, ...]

    @property
    def height(self) -> int:
        """Height in units of a panel's usual height, so that many names find room."""
        names = max(
            (len(panel.series[0].x) for panel in self.panels if panel.is_horizontal), default=0
        )
        return max(1, round(names / NAMES_IN_HEIGHT))
