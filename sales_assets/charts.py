"""Figures for people who would rather look than read. Colours: Okabe and Ito, colour-blind safe."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter
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


def verdicts(stationarity: pd.DataFrame) -> Figure:
    """Return the share of stores with each verdict, a bar a transformation of log sales."""
    shares = pd.crosstab(stationarity["transformation"], stationarity["verdict"], normalize="index")
    stores = stationarity["store_id"].nunique()
    figure, axes = _axes(f"{stores:,} stores by the verdict of ADF and KPSS", "")
    left = np.zeros(len(shares))
    for verdict in [name for name in VERDICTS if name in shares]:
        width = 100 * shares[verdict].to_numpy()
        bars = axes.barh(
            shares.index, width, left=left, color=VERDICTS[verdict], height=0.6, label=verdict
        )
        # A bar narrower than its number goes without.
        texts = [f"{share:.0f}" if share >= 3 else "" for share in width]
        colour = "white" if VERDICTS[verdict] in (BLUE, VERMILION, GREY) else "black"
        axes.bar_label(bars, texts, label_type="center", color=colour)
        left += width
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of stores")
    _legend(axes)
    return figure


def autocorrelations(table: pd.DataFrame) -> Figure:
    """Return ACF and PACF by lag, a row of panels a series; weeks and fortnights stand out."""
    names = list(dict.fromkeys(table["series"]))
    figure = Figure(figsize=(11, 0.8 + 1.6 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), 2, sharex=True, sharey=True, squeeze=False)
    for panels, name in zip(grid, names, strict=True):
        rows = table[table["series"] == name]
        for axes, kind in zip(panels, ("acf", "pacf"), strict=True):
            _stems(axes, rows, kind)
        panels[0].set_ylabel(name)
    grid[0, 0].set_title("Autocorrelation of selling days", loc="left", fontsize=11)
    grid[0, 1].set_title("Partial: beyond what the days between tell", loc="left", fontsize=11)
    grid[0, 0].set_xticks(range(0, 61, 7))
    figure.supxlabel("lag, days (grey: where chance alone would put 95 of 100 lags)", fontsize=10)
    return figure


def _stems(axes: Axes, rows: pd.DataFrame, kind: str) -> None:
    lag, value = rows["lag"].to_numpy(), rows[kind].to_numpy()
    bound = rows["bound_95"].to_numpy()
    axes.fill_between(lag, -bound, bound, color=GREY, alpha=0.2, linewidth=0, step="mid")
    is_fortnight = lag % 14 == 0
    is_week = (lag % 7 == 0) & ~is_fortnight
    others = ~is_week & ~is_fortnight
    for chosen, colour in ((others, GREY), (is_week, ORANGE), (is_fortnight, BLUE)):
        axes.vlines(lag[chosen], 0, value[chosen], color=colour, linewidth=1.6)
        axes.plot(lag[chosen], value[chosen], "o", color=colour, markersize=3)
    for day, height, edge in zip(lag, value, bound, strict=True):
        if day % 7 == 0 and height > edge:
            axes.annotate(
                f"{day}",
                (day, height),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=BLUE if day % 14 == 0 else ORANGE,
            )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.margins(y=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)


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
