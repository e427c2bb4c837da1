"""Figures for people who would rather look than read. Colours: Okabe and Ito, colour-blind safe."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure

from sales_assets.forecasting.model_store import ENSEMBLE

BLUE, ORANGE, GREEN, VERMILION, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#777777"
)  # fmt: skip
COLOURS = {
    "baseline": GREY,
    "statistical": ORANGE,
    "random_forest": GREEN,
    "lightgbm": SKY,
    "lstm": VERMILION,
    "ensemble": BLUE,
}

VERDICTS = {
    "stationary": BLUE,
    "trend": SKY,
    "inconclusive": "#CCCCCC",
    "unit root": VERMILION,
    "too short": GREY,
}


def _axes(title: str, unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    return figure, axes


def forecast_against_history(history: pd.DataFrame, forecasts: pd.DataFrame) -> Figure:
    """Return the chain's daily sales of the last 12 weeks and the forecast after them.

    Args:
        history: store_id, date, sales.
        forecasts: One model's rows: date, forecast.
    """
    recent = history[history["date"] > history["date"].max() - pd.Timedelta(weeks=12)]
    sales = recent.groupby("date")["sales"].sum() / 1e6
    coming = forecasts.groupby("date")["forecast"].sum() / 1e6
    # Sundays and holidays, on which few stores open, would be a saw over everything else.
    usual = sales[sales > sales.median() / 4]
    expected = coming[coming > coming.median() / 4]
    figure, axes = _axes("The chain's days: the last 12 weeks, and what is forecast", "EUR m a day")
    axes.plot(usual.index, usual.to_numpy(), color=GREY, marker=".", label="sales")
    axes.plot(expected.index, expected.to_numpy(), color=BLUE, marker=".", label="forecast")
    axes.axvline(sales.index.max(), color=GREY, linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))  # type: ignore[no-untyped-call]
    axes.set_ylim(bottom=0)
    _legend(axes)
    return figure


def scores_by_cutoff(scores: pd.DataFrame) -> Figure:
    """Return each model's RMSPE in each backtest window; lower is better."""
    windows = scores[
        scores["cutoff"].notna() & scores["horizon_week"].isna() & scores["store_type"].isna()
    ]
    figure, axes = _axes("Error by backtest window", "RMSPE, %")
    present = set(windows["model"])
    # The ensemble is drawn last, over the others.
    for model in [name for name in COLOURS if name in present]:
        rows = windows[windows["model"] == model].sort_values("cutoff")
        dates = pd.to_datetime(rows["cutoff"]).dt.strftime("from %d %b %Y")
        width = 2.5 if model == ENSEMBLE else 1.2
        axes.plot(
            dates,
            100 * rows["rmspe"],
            marker="o",
            color=COLOURS[model],
            linewidth=width,
            label=model,
        )
    axes.set_ylim(bottom=0)
    _legend(axes)
    return figure


def coverage(table: pd.DataFrame) -> Figure:
    """Return one model's coverage against its promise, by horizon week and store type.

    Args:
        table: The model's rows of `intervals.coverage`.
    """
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = figure.subplots(ncols=2, sharey=True)
    methods = (("conformal", BLUE, "o", "-"), ("constant_width", GREY, "x", ":"))
    for axes, name in zip(panels, ("horizon_week", "store_type"), strict=True):
        for level, rows in table[table["slice"] == name].groupby("level"):
            promise = float(str(level))
            axes.axhspan(promise - 5, promise + 5, color=SKY, alpha=0.15, linewidth=0)
            axes.axhline(promise, color=SKY, linewidth=0.8)
            for method, colour, marker, line in methods:
                own = rows[rows["method"] == method].sort_values("value")
                label = method.replace("_", " ") if level == table["level"].min() else None
                axes.plot(
                    own["value"],
                    100 * own["coverage"],
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    label=label,
                )
        axes.set_xlabel(name.replace("_", " "))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_title("Coverage, and 5 points around its promise", loc="left", fontsize=11)
    panels[0].set_ylabel("days inside, %")
    _legend(panels[1])
    return figure


def realised(weeks: pd.DataFrame, backtest: pd.DataFrame) -> Figure:
    """Return one model's error and coverage by week of sales, beside the backtest's weeks.

    Args:
        weeks: Weeks that are over: the model's rows of `monitoring.accuracy` by cutoff and
            horizon week.
        backtest: The model's rows of `models.scores` by cutoff and horizon week.
    """
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    panels = figure.subplots(ncols=3)
    dated = weeks.assign(
        until=pd.to_datetime(weeks["cutoff"]) + pd.to_timedelta(7 * weeks["horizon_week"], "D")
    )
    shown = (
        ("rmspe", "RMSPE, %", None),
        ("coverage_80", "80 % intervals hold, %", 80),
        ("coverage_95", "95 % intervals hold, %", 95),
    )
    for axes, (measure, title, promise) in zip(panels, shown, strict=True):
        span = 100 * backtest[measure]
        axes.axhspan(
            span.min(), span.max(), color=SKY, alpha=0.2, linewidth=0, label="weeks of the backtest"
        )
        if promise:
            axes.axhline(promise, color=GREY, linewidth=1, linestyle="--", label="promised")
        _realised_lines(axes, dated, measure)
        axes.set_title(title, loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(DateFormatter("%d %b"))  # type: ignore[no-untyped-call]
        axes.set_xlabel("week until")
    panels[0].set_ylim(bottom=0)
    for axes in panels[1:]:
        axes.set_ylim(top=101)
    figure.legend(
        *panels[1].get_legend_handles_labels(),
        frameon=False,
        ncols=4,
        loc="outside upper right",
        fontsize=8,
    )
    return figure


def _realised_lines(axes: Axes, dated: pd.DataFrame, measure: str) -> None:
    """Draw the weeks as forecast from nearest, and from furthest ahead where there are more."""
    first, last = dated["horizon_week"].min(), dated["horizon_week"].max()
    styles = {last: (ORANGE, "s", ":"), first: (BLUE, "o", "-")}
    for ahead, (colour, marker, line) in styles.items():
        own = dated[dated["horizon_week"] == ahead].sort_values("until")
        axes.plot(
            own["until"],
            100 * own[measure],
            color=colour,
            marker=marker,
            markersize=4,
            linestyle=line,
            label=f"forecast {ahead} week{'s' if ahead > 1 else ''} ahead",
        )


def combinations(table: pd.DataFrame) -> Figure:
    """Return how much worse each combination is than the chosen one, with two standard errors."""
    rows = table[table["cutoff"].isna()].iloc[::-1]
    figure, axes = _axes("Squared log error beyond the chosen one's", "")
    places = np.arange(len(rows))
    for shift, cluster, colour in ((0.12, "stores", BLUE), (-0.12, "windows", ORANGE)):
        axes.errorbar(
            1e4 * rows["log_difference"],
            places + shift,
            xerr=2e4 * rows[f"log_error_of_{cluster}"].fillna(0),
            fmt="o",
            markersize=4,
            color=colour,
            label=f"2 standard errors, {cluster}",
        )
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(places, [name.replace("_", " ") for name in rows["combination"]])
    axes.set_xlabel("ten-thousandths; the chosen one is at 0")
    _legend(axes)
    return figure


def _legend(axes: Axes) -> None:
    """Put the legend above the axes, where it hides nothing."""
    axes.legend(frameon=False, ncols=6, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)
