"""Unit roots are told from trends, and seasons from gaps, on series of a known kind."""

import base64
import io
import re
from pathlib import Path

import dagster as dg
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import acf, pacf

from sales_assets.forecasting.diagnostics import (
    LAGS,
    MEANINGS,
    MIN_OBSERVATIONS,
    UnitRootTests,
    autocorrelation,
    correlogram,
    judged,
    mean_series,
    read_selling_days,
    stationarity,
    transformations,
    verdict,
)
from sales_assets.questions import series
from sales_assets.questions.figure import as_figure
from sales_assets.settings import Settings
from tests.conftest import sales
from tests.test_refresh import frame

DAYS = 800


def noise(seed=1, n=DAYS):
    return np.random.default_rng(seed).standard_normal(n)


def autoregressive(phi, lag=1, seed=1, n=DAYS):
    """Return a series that is phi times itself `lag` days before, plus noise."""
    shocks = noise(seed, n + 200)
    values = np.zeros(len(shocks))
    for day in range(lag, len(values)):
        values[day] = phi * values[day - lag] + shocks[day]
    return values[200:]


def daily(values, start="2013-01-01"):
    return pd.Series(values, pd.date_range(start, periods=len(values)), dtype=float)


def days_of(series_by_store, store_type="a"):
    """Return selling days, as read from the warehouse, of series with gaps."""
    frames = [
        series.dropna().rename("log_sales").rename_axis("date").reset_index().assign(store_id=store)
        for store, series in series_by_store.items()
    ]
    return pd.concat(frames, ignore_index=True).assign(store_type=store_type)


def without_sundays(series):
    return series.where(series.index.dayofweek < 6)


SEASONAL_WALK = "seasonal walk"
GENERATED = {
    "random walk": (lambda seed: np.cumsum(noise(seed)), "unit root"),
    "walk with drift": (lambda seed: np.cumsum(0.2 + noise(seed)), "unit root"),
    SEASONAL_WALK: (lambda seed: autoregressive(1.0, lag=7, seed=seed), "unit root"),
    "autoregressive": (lambda seed: autoregressive(0.5, seed=seed), "stationary"),
    "weekly pattern": (
        lambda seed: 3 * np.sin(np.arange(DAYS) * 2 * np.pi / 7) + autoregressive(0.5, seed=seed),
        "stationary",
    ),
    "rising": (
        lambda seed: 0.01 * np.arange(DAYS) + autoregressive(0.5, seed=seed),
        "trend",
    ),
    "falling": (lambda seed: -0.003 * np.arange(DAYS) + 0.3 * noise(seed), "trend"),
}


@pytest.mark.parametrize("kind", GENERATED)
def test_most_series_are_told_for_what_they_are(kind) -> None:
    # Tests at 5 % misjudge a series now and then, and two of them about one in ten.
    make, expected = GENERATED[kind]
    verdicts = [judged(make(seed))["verdict"] for seed in range(40)]
    assert verdicts.count(expected) >= 32, verdicts


@pytest.mark.parametrize("season", [7, 14])
def test_a_seasonal_difference_makes_a_seasonal_walk_stationary(season) -> None:
    make, _ = GENERATED[SEASONAL_WALK]
    values = [transformations(daily(make(seed)))[f"difference {season}"] for seed in range(40)]
    assert [judged(series)["verdict"] for series in values].count("stationary") >= 32


def test_a_difference_is_taken_between_dates_and_only_where_both_were_sold() -> None:
    values = noise()
    gone = set(range(300, 480)) | set(range(6, DAYS, 7)) | {10, 100, 103}
    series = daily([np.nan if day in gone else value for day, value in enumerate(values)])
    found = transformations(series.dropna())
    kept = [day for day in range(DAYS) if day not in gone]
    assert found["raw"] == pytest.approx([values[day] for day in kept])
    for season in (7, 14):
        expected = [values[day] - values[day - season] for day in kept if day - season in kept]
        assert found[f"difference {season}"] == pytest.approx(expected)


def adf_by_hand(values, lags, has_line):
    """Return the t-value of the level before, in a regression of the changes."""
    changes = np.diff(values)
    rows, answers = [], []
    for day in range(lags, len(changes)):
        past = [changes[day - lag] for lag in range(1, lags + 1)]
        rows.append([values[day], 1.0, *([float(day)] if has_line else []), *past])
        answers.append(changes[day])
    x, y = np.array(rows), np.array(answers)
    inverse = np.linalg.inv(x.T @ x)
    coefficients = inverse @ x.T @ y
    left = y - x @ coefficients
    variance = left @ left / (len(y) - x.shape[1])
    return coefficients[0] / np.sqrt(variance * inverse[0, 0])


def kpss_by_hand(values, lags, has_line):
    """Return the squared partial sums of the residuals, relative to their long-run variance."""
    n = len(values)
    residuals = values - np.polyval(np.polyfit(np.arange(n), values, int(has_line)), np.arange(n))
    long_run = sum(residual**2 for residual in residuals) / n
    for lag in range(1, lags + 1):
        product = sum(residuals[day] * residuals[day - lag] for day in range(lag, n)) / n
        long_run += 2 * (1 - lag / (lags + 1)) * product
    partial = 0.0
    squares = 0.0
    for residual in residuals:
        partial += residual
        squares += partial**2
    return squares / n**2 / long_run


@pytest.mark.parametrize("make", [lambda: autoregressive(0.9), lambda: np.cumsum(noise(n=300))])
def test_the_statistics_are_those_of_the_textbook(make) -> None:
    values = make()
    found = judged(values)
    lags = {800: 20, 300: 15}[len(values)]
    assert (found["observations"], found["lags"]) == (len(values), lags)
    assert found["deviation"] == pytest.approx(values.std())
    for prefix, has_line in (("", False), ("trend_", True)):
        assert found[f"{prefix}adf_statistic"] == pytest.approx(adf_by_hand(values, lags, has_line))
        assert found[f"{prefix}kpss_statistic"] == pytest.approx(
            kpss_by_hand(values, lags, has_line)
        )
        assert 0.01 <= found[f"{prefix}kpss_p_value"] <= 0.1


YES_YES, NO_NO, YES_NO, NO_YES, UNKNOWN = (
    UnitRootTests(0.0, adf_p, 0.0, kpss_p)
    for adf_p, kpss_p in ((0.01, 0.1), (0.3, 0.01), (0.01, 0.01), (0.3, 0.1), (np.nan, np.nan))
)


@pytest.mark.parametrize(
    ("level", "line", "expected"),
    [
        (YES_YES, NO_NO, "stationary"),
        (NO_NO, YES_YES, "trend"),
        (YES_NO, YES_YES, "trend"),
        (NO_NO, NO_NO, "unit root"),
        (YES_NO, NO_NO, "unit root"),
        (NO_NO, YES_NO, "inconclusive"),
        (NO_YES, NO_YES, "inconclusive"),
        (UNKNOWN, UNKNOWN, "inconclusive"),
    ],
)
def test_two_tests_make_a_verdict(level, line, expected) -> None:
    assert verdict(level, line) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.empty(0), "too short"),
        (noise(n=1), "too short"),
        (noise(n=MIN_OBSERVATIONS - 1), "too short"),
        (noise(n=MIN_OBSERVATIONS), "stationary"),
        (np.full(DAYS, 8.5), "inconclusive"),
        (np.full(3, 8.5), "too short"),
    ],
)
def test_short_and_constant_series_have_a_verdict(values, expected) -> None:
    found = judged(values)
    assert found["verdict"] == expected
    assert np.isnan(found["adf_statistic"]) == (expected != "stationary")


@pytest.mark.parametrize("values", [0.01 * np.arange(DAYS), np.tile(np.arange(7.0), 100)])
def test_a_series_that_its_past_explains_exactly_does_no_harm(values) -> None:
    assert judged(values)["verdict"] == "inconclusive"


def test_every_store_has_a_row_a_transformation() -> None:
    long, short = daily(autoregressive(0.5)), daily(noise(n=50))
    table = stationarity(days_of({7: long, 3: short, 5: daily([8.0])}))
    keys = table[["store_id", "transformation"]].itertuples(index=False, name=None)
    assert list(keys) == [
        (store, name) for store in (3, 5, 7) for name in ("raw", "difference 7", "difference 14")
    ]
    verdicts = table.set_index(["store_id", "transformation"])["verdict"]
    assert verdicts[7, "raw"] == "stationary"
    assert set(verdicts[[3, 5]]) == {"too short"}


def test_without_gaps_the_correlogram_is_that_of_statsmodels() -> None:
    values = autoregressive(0.8)
    table = correlogram(daily(values))
    assert table["lag"].tolist() == list(range(1, LAGS + 1))
    # Which holds lags against the squares of all days, not of those that the lag leaves.
    expected = acf(values, adjusted=True, nlags=LAGS)[1:]
    assert table["acf"].to_numpy() == pytest.approx(expected, rel=0.1, abs=1e-3)
    assert table["pacf"].to_numpy() == pytest.approx(pacf(values, LAGS, method="ldbiased")[1:])
    assert table["n"].tolist() == [DAYS - lag for lag in table["lag"]]
    assert table["bound_95"].to_numpy() == pytest.approx(1.96 / np.sqrt(table["n"]))


def test_with_gaps_the_acf_is_that_of_the_pairs() -> None:
    series = without_sundays(daily(autoregressive(0.8)))
    series.iloc[100:130] = np.nan
    table = correlogram(series).set_index("lag")
    centred = (series - series.mean()).tolist()
    for lag in (1, 6, 7, 60):
        both = [(centred[day], centred[day - lag]) for day in range(lag, DAYS)]
        known = np.array([pair for pair in both if not np.isnan(pair).any()])
        assert table.loc[lag, "n"] == len(known)
        later, earlier = known.T
        expected = later @ earlier / np.sqrt((later @ later) * (earlier @ earlier))
        assert table.loc[lag, "acf"] == pytest.approx(expected)
    filled = pacf(np.nan_to_num(centred), LAGS, method="ldbiased")
    assert table["pacf"].to_numpy() == pytest.approx(filled[1:])


def test_closed_sundays_make_no_week_where_there_is_none() -> None:
    values = autoregressive(0.97, n=3000)
    whole = correlogram(daily(values)).set_index("lag")["acf"]
    gaps = correlogram(without_sundays(daily(values))).set_index("lag")["acf"]
    assert np.abs(gaps - whole).max() < 0.02
    # A pattern of the weeks stands out of it, as the average of the neighbours does not.
    assert abs(gaps[7] - (gaps[6] + gaps[8]) / 2) < 0.02


def test_partial_autocorrelations_stay_within_one_where_pairs_alone_would_not() -> None:
    fortnight = np.tile(np.r_[np.ones(7), -np.ones(7)], 60)
    series = without_sundays(daily(fortnight + np.tile(np.arange(7.0), 120) / 3))
    assert correlogram(series)["pacf"].abs().max() <= 1


@pytest.mark.parametrize("days", [40, 62, 90])
def test_autocorrelations_stay_within_one_however_few_pairs_are_left(days) -> None:
    for seed in range(50):
        table = correlogram(without_sundays(daily(noise(seed, days))))
        assert table["acf"].abs().max() <= 1 + 1e-12


def test_noise_leaves_the_bounds_once_in_20_times() -> None:
    tables = [correlogram(without_sundays(daily(noise(seed)))) for seed in range(20)]
    table = pd.concat(tables)
    assert 0.93 <= (table["acf"].abs() <= table["bound_95"]).mean() <= 0.97
    # Gaps that count as average days leave less to chance.
    assert (table["pacf"].abs() <= table["bound_95"]).mean() >= 0.95


def test_a_rhythm_of_two_weeks_peaks_at_its_multiples() -> None:
    rhythm = np.resize(np.r_[np.zeros(7), np.ones(7)], DAYS)
    table = correlogram(without_sundays(daily(rhythm + 0.3 * noise()))).set_index("lag")
    assert (table.loc[[14, 28, 42, 56], "acf"] > 0.6).all()
    assert (table.loc[[7, 21, 35, 49], "acf"] < -0.6).all()
    assert table.loc[14, "pacf"] > table.loc[14, "bound_95"]


@pytest.mark.parametrize(
    "series", [daily([3.0] * 200), daily([3.0]), daily([3.0, np.nan] * 50)], ids=len
)
def test_a_series_without_variation_has_no_correlations(series) -> None:
    table = correlogram(series)
    assert len(table) == LAGS
    assert table[["acf", "pacf"]].isna().all(axis=None)


def test_lags_beyond_a_short_series_are_unknown() -> None:
    table = correlogram(daily(noise(n=30))).set_index("lag")
    assert table.loc[:29, ["acf", "pacf"]].notna().all(axis=None)
    assert table.loc[30:, ["acf", "pacf", "bound_95"]].isna().all(axis=None)
    assert (table.loc[30:, "n"] == 0).all()


def test_the_mean_series_knows_no_levels_and_waits_for_a_quorum() -> None:
    calendar = pd.date_range("2014-01-06", periods=6)
    stores = {
        1: pd.Series([1, -1, 1, -1, 0, np.nan], calendar),
        2: pd.Series([102, 98, np.nan, 100, np.nan, 100], calendar),
        3: pd.Series([5, 5, np.nan, 5, np.nan, np.nan], calendar),
    }
    found = mean_series(days_of(stores))
    assert found.index.equals(calendar)
    # From the third day on one store of three is too few to speak for them.
    expected = [1.0, -1.0, np.nan, -1 / 3, np.nan, np.nan]
    assert found.to_numpy() == pytest.approx(expected, nan_ok=True)


def test_a_store_counts_from_a_week_before_its_first_day_to_a_week_after_its_last() -> None:
    early, late = daily(np.zeros(100)), daily(np.zeros(100), "2013-07-01")
    lone = daily(noise(n=400))
    found = mean_series(days_of({1: early, 2: early, 3: late, 4: late, 5: lone}))
    gaps = [
        ("2013-04-11", "2013-04-17"),
        ("2013-06-24", "2013-06-30"),
        ("2013-10-09", "2013-10-15"),
    ]
    expected = [day for first, last in gaps for day in pd.date_range(first, last)]
    assert found.index[found.isna()].tolist() == expected


def test_a_day_on_which_few_of_the_stores_sell_is_a_gap() -> None:
    # The first and the last day are Sundays, on which the first three have not sold yet, or again.
    values = {store: daily(noise(store, 99), "2013-01-06") for store in (1, 2, 3, 4)}
    stores = {store: without_sundays(series) for store, series in values.items()}
    stores[4] = values[4]
    series = mean_series(days_of(stores))
    assert (series.isna() == (series.index.dayofweek == 6)).all()
    assert mean_series(days_of({4: stores[4]})).notna().all()


def test_the_chain_comes_first_and_then_its_types() -> None:
    first = days_of({1: daily(noise(1)), 2: daily(noise(2))}, "d")
    second = days_of({3: daily(noise(3))}, "a")
    table = autocorrelation(pd.concat([first, second]))
    assert table["series"].unique().tolist() == ["chain", "store type a", "store type d"]
    alone = correlogram(mean_series(second))
    of_type = table[table["series"] == "store type a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_type[alone.columns], alone)


def test_only_selling_days_are_read(con) -> None:
    days = read_selling_days(con)
    ((expected,),) = con.execute("select count(*) from cleaned.sales where sales > 0").fetchall()
    assert len(days) == expected
    assert np.isfinite(days["log_sales"]).all()
    assert days["store_type"].notna().all()


def test_charts_of_stores_without_history_are_drawn() -> None:
    days = days_of({1: daily(noise(n=20)), 2: daily([8.0])})
    for question, rows in zip(
        series.QUESTIONS, (stationarity(days), autocorrelation(days)), strict=True
    ):
        as_figure(question.draw(rows)).savefig(io.BytesIO(), format="png")


def test_a_home_has_both_tables(home: Path) -> None:
    tests = frame(home, "from insights.stationarity")
    stores = frame(home, "select distinct store_id from cleaned.sales")["store_id"]
    assert set(tests["store_id"]) == set(stores)
    assert len(tests) == 3 * len(stores)
    assert "too short" not in set(tests["verdict"])
    table = frame(home, "from insights.autocorrelation")
    types = frame(home, "select distinct store_type from cleaned.stores")["store_type"]
    assert set(table["series"]) == {"chain", *(f"store type {kind}" for kind in types)}
    assert len(table) == LAGS * table["series"].nunique()
    chain = table[table["series"] == "chain"].set_index("lag")
    # The sample's promotions, like the real ones, come every other week.
    assert set(chain["acf"].loc[8:].nlargest(4).index) == {14, 28, 42, 56}


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_the_command_tells_what_a_row_is_and_the_ui_shows_a_chart(home: Path, name: str) -> None:
    listed = sales("insights", "--home", home).stdout
    assert name in listed
    assert MEANINGS[name] in sales("insights", name, "--home", home).stdout
    with dg.DagsterInstance.from_config(str(Settings(home=home).dagster_home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["insights", name]))
    assert event is not None
    assert event.asset_materialization is not None
    text = str(event.asset_materialization.metadata["chart"].value)
    image = re.fullmatch(r"!\[.+\]\(data:image/png;base64,(.+)\)", text)
    assert image
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(image[1])))
    assert pixels.shape[1] >= 900
