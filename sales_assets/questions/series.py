"""What the sales are like as time series: the ground that the forecasts stand on."""

from statistics import NormalDist

import duckdb
import pandas as pd

from sales_assets.charts import GREY, VERDICTS
from sales_assets.errors import SalesError
from sales_assets.forecasting import diagnostics
from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import NoAnswerError, Question
from sales_assets.questions.words import listed, percent

# What a verdict says of the stores that have it, in the order in which they are told.
SAID = {
    "stationary": "keep a level",
    "trend": "move along a line",
    "unit root": "wander",
    "inconclusive": "are undecided",
}
# Lags after which a peak is named, and the smallest one that is told.
WEEK = 7
SHOWN_SERIES = "chain"


def _selling_days(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return the selling days, without which there is no series, and nothing to forecast from."""
    days = diagnostics.read_selling_days(con)
    if days.empty:
        raise SalesError("No store sold anything on any delivered day; there is nothing to learn.")
    return days


def _stationarity(rows: pd.DataFrame) -> str:
    raw = rows[rows["transformation"] == "raw"]
    tested = raw[raw["verdict"] != "too short"]
    if tested.empty:
        raise NoAnswerError("every store's series is too short for the tests")
    differenced = rows[rows["transformation"] == "difference 14"]
    differenced = differenced[differenced["verdict"] != "too short"]
    told = [
        f"{percent(share)} {words}"
        for verdict, words in SAID.items()
        if (share := (tested["verdict"] == verdict).mean())
    ]
    text = f"Of the stores, by ADF and KPSS of log sales at 5 %, {listed(told)}."
    if differenced.empty:
        return text
    after = (differenced["verdict"] == "stationary").mean()
    return f"{text} Differences from a fortnight before keep a level in {percent(after)}."


def _draw_stationarity(rows: pd.DataFrame) -> Picture:
    shares = 100 * pd.crosstab(rows["transformation"], rows["verdict"], normalize="index")
    bars = tuple(
        Series(verdict, shares.index.tolist(), shares[verdict].tolist(), colour=colour)
        for verdict, colour in VERDICTS.items()
        if verdict in shares
    )
    panel = Panel(bars, "% of stores", "", is_horizontal=True, is_stacked=True)
    return Picture(f"{rows['store_id'].nunique():,} stores by the verdict of both tests", (panel,))


def _autocorrelation(rows: pd.DataFrame) -> str:
    weeks = _weeks(rows)
    # So many lags are tried that each has to be further from chance (Bonferroni).
    further = NormalDist().inv_cdf(1 - 0.025 / max(len(weeks), 1)) / NormalDist().inv_cdf(0.975)
    above = weeks[weeks["acf"] > further * weeks["bound_95"]].sort_values("acf", ascending=False)
    if above.empty:
        raise NoAnswerError("no lag of a week or more is told from chance")
    told = [f"{row.lag} days ({row.acf:.2f})" for row in above.head(3).itertuples()]
    return f"The chain's sales are most like those of {listed(told)} before."


def _weeks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the chain's lags of a week or more, of which at least twice as many pairs are known.

    Those are lags to about a third of the series: longer ones rest on the same few days.
    """
    chain = rows[(rows["series"] == SHOWN_SERIES) & (rows["lag"] >= WEEK)]
    return chain[(chain["n"] >= 2 * chain["lag"]) & chain["acf"].notna()]


def _draw_autocorrelation(rows: pd.DataFrame) -> Picture:
    chain = rows[rows["series"] == SHOWN_SERIES]
    lags, bound = chain["lag"].tolist(), chain["bound_95"]
    panels = tuple(
        Panel(
            (
                Series(title, lags, chain[column].tolist()),
                Series("chance, 95 of 100", lags, (0 * bound).tolist(), -bound, bound, colour=GREY),
            ),
            "lag, days",
            "correlation" if column == "acf" else "",
            kind="line",
            title=title,
            marks=tuple((day, str(day)) for day in range(WEEK * 2, 57, WEEK * 2)),
        )
        for column, title in (("acf", "autocorrelation"), ("pacf", "partial autocorrelation"))
    )
    weeks = _weeks(rows)
    if weeks.empty:
        return Picture("Too few days to tell which ones the chain's sales are like", panels)
    best = weeks.loc[weeks["acf"].idxmax(), "lag"]
    return Picture(f"The chain's sales are most like those of {best} days before", panels)


QUESTIONS = (
    Question(
        name="stationarity",
        asks="Do the sales have a steady level, or do they wander?",
        needs="selling days",
        answer=_stationarity,
        draw=_draw_stationarity,
        caveats="Both tests see a series of selling days as if they followed one another. Where "
        "they contradict each other, the verdict is inconclusive.",
        compute=lambda con: diagnostics.stationarity(_selling_days(con)),
        says=diagnostics.MEANINGS["stationarity"],
    ),
    Question(
        name="autocorrelation",
        asks="Which days before does a day resemble?",
        needs="two months of selling days",
        answer=_autocorrelation,
        draw=_draw_autocorrelation,
        caveats="Of the mean over stores, in which what is each store's own is averaged out.",
        compute=lambda con: diagnostics.autocorrelation(_selling_days(con)),
        says=diagnostics.MEANINGS["autocorrelation"],
    ),
)
