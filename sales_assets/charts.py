"""Figures for people who would rather look than read. Colours: Okabe and Ito, colour-blind safe."""

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


def _legend(axes: Axes) -> None:
    """Put the legend above the axes, where it hides nothing."""
    axes.legend(frameon=False, ncols=6, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)
