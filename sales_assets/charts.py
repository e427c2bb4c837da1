"""Figures for people who would rather look than read. Colours: Okabe and Ito, colour-blind safe."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    figure, axes = _axes(
        "Sales of the chain: the last 12 weeks, and what is forecast", "EUR m a day"
    )
    axes.plot(sales.index, sales.to_numpy(), color=GREY, label="sales")
    axes.plot(coming.index, coming.to_numpy(), color=BLUE, label="forecast")
    axes.axvline(sales.index.max(), color=GREY, linewidth=0.8, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="lower left", ncols=2)
    return figure


def scores_by_cutoff(scores: pd.DataFrame) -> Figure:
    """Return each model's RMSPE in each backtest window; lower is better."""
    windows = scores[
        scores["cutoff"].notna() & scores["horizon_week"].isna() & scores["store_type"].isna()
    ]
    figure, axes = _axes("Error of the forecasts by backtest window", "RMSPE, %")
    for model, rows in windows.groupby("model", sort=False):
        dates = pd.to_datetime(rows["cutoff"]).dt.strftime("from %Y-%m-%d")
        colour = COLOURS.get(str(model), GREY)
        axes.plot(dates, 100 * rows["rmspe"], marker="o", color=colour, label=str(model))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, ncols=5, loc="lower left", fontsize=8)
    return figure
