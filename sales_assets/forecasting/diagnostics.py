"""Are the series stationary, and how far back do they remember? What the LSTM's design rests on.

statsmodels takes seconds to import and is imported where it is used.
"""

import warnings
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

MEANINGS = {
    "autocorrelation": (
        "One row a series (the chain, or a store type) and lag of 1 to 60 days: ACF and PACF of "
        "the mean of log sales less each store's own mean, on days when at least half of the "
        "stores sold. Other days are gaps: acf leaves them out (n pairs of days remain), pacf "
        "takes them for average days. Both stay within -1 and 1. By chance 5 of 100 lags, at most, "
        "leave ± bound_95."
    ),
    "stationarity": (
        "One row a store and transformation of its log sales on selling days (raw, and less those "
        "of 7 or 14 days before where both were sold): ADF and KPSS around a level and around a "
        "line (trend), and their verdict at 5 %: stationary, trend, unit root, inconclusive or too "
        "short. KPSS's p-values are clipped to 0.01 to 0.10."
    ),
}
WEEK = 7
SEASONS = {"difference 7": WEEK, "difference 14": 2 * WEEK}
LAGS = 60
# Below this the tests' lags no longer span a fortnight of selling days, the promotions' rhythm.
MIN_OBSERVATIONS = 100
SIGNIFICANCE = 0.05
# A share of the stores in business that must have sold for a day to speak for all of them.
QUORUM = 0.5
FLAT = 1e-9


@dataclass(frozen=True)
class UnitRootTests:
    """ADF and KPSS of one series, around a level (`c`) or a line (`ct`)."""

    adf_statistic: float = np.nan
    adf_p_value: float = np.nan
    kpss_statistic: float = np.nan
    kpss_p_value: float = np.nan

    @property
    def says_stationary(self) -> bool:
        """A unit root is rejected and stationarity is not."""
        return self.adf_p_value < SIGNIFICANCE <= self.kpss_p_value

    @property
    def says_unit_root(self) -> bool:
        """A unit root is not rejected and stationarity is."""
        return self.kpss_p_value < SIGNIFICANCE <= self.adf_p_value


def read_selling_days(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return one row a store and selling day: store_id, store_type, date, log_sales."""
    return con.execute(
        "select store_id, store_type, date, ln(sales) as log_sales from cleaned.sales"
        " left join cleaned.stores using (store_id)"
        " where is_open and sales > 0 order by store_id, date"
    ).df()


def stationarity(days: pd.DataFrame) -> pd.DataFrame:
    """Test each store's log sales, raw and seasonally differenced, for a unit root.

    Closed days are gaps, never zeros. The raw series leaves them out, so that Saturday is followed
    by Monday and the last day before a refurbishment by the first one after it. A seasonal
    difference compares dates, not places in the series: it exists where the store also sold 7 or
    14 days earlier, and the differences there are follow one another.

    Args:
        days: What `read_selling_days` returned.

    Returns:
        The table `insights.stationarity`.
    """
    rows = []
    for store_id, store in days.set_index("date").groupby("store_id"):
        for name, values in transformations(store["log_sales"]).items():
            rows.append({"store_id": store_id, "transformation": name, **judged(values)})
    return pd.DataFrame(rows)


def transformations(series: pd.Series) -> dict[str, Array]:
    """Return the values that are tested, by the name of their transformation.

    Args:
        series: Log sales of one store's selling days, indexed by date.
    """
    result = {"raw": series.to_numpy(dtype=np.float64)}
    for name, season in SEASONS.items():
        before = series.shift(freq=pd.Timedelta(days=season))
        # Subtraction aligns dates; a date that only one of the two has is unknown.
        result[name] = (series - before).dropna().to_numpy(dtype=np.float64)
    return result


def judged(values: Array) -> dict[str, object]:
    """Return observations, lags, standard deviation, both pairs of tests and the verdict.

    The tests share Schwert's fixed number of lags, int(12 (n / 100)^(1/4)): about 20 for two and
    a half years of selling days, hence more than the 12 of one round of the promotions.

    Sources: Said and Dickey (1984), Testing for unit roots in autoregressive-moving average models
    of unknown order; Kwiatkowski, Phillips, Schmidt and Shin (1992), Testing the null hypothesis
    of stationarity against the alternative of a unit root; Schwert (1989), Tests for unit roots:
    a Monte Carlo investigation.
    """
    n = len(values)
    lags = int(12 * (n / 100) ** 0.25)
    level = line = UnitRootTests()
    is_too_short = n < MIN_OBSERVATIONS
    if not is_too_short and np.ptp(values) > FLAT:
        level, line = _tests(values, lags, "c"), _tests(values, lags, "ct")
    return {
        "observations": n,
        "lags": lags,
        "deviation": float(np.std(values)) if n else np.nan,
        **vars(level),
        **{f"trend_{name}": value for name, value in vars(line).items()},
        "verdict": "too short" if is_too_short else verdict(level, line),
    }


def verdict(level: UnitRootTests, line: UnitRootTests) -> str:
    """Return what the two tests say together, first around a level and then around a line.

    ====================  ======================  ==========================
    ADF: no unit root     KPSS: stationary        verdict
    ====================  ======================  ==========================
    yes                   yes                     stationary (around a line: trend)
    no                    no                      unit root
    yes                   no                      inconclusive
    no                    yes                     inconclusive
    ====================  ======================  ==========================

    Each null hypothesis stands unless rejected at 5 %, so that about one series in ten is
    misjudged by chance. Where both are rejected or neither, the data do not decide (long memory, a
    break, too few days); a series without variation, which neither can judge, is inconclusive too.

    Source: Kwiatkowski et al. (1992), who read the two tests together in this way.
    """
    if level.says_stationary:
        return "stationary"
    if line.says_stationary:
        return "trend"
    return "unit root" if line.says_unit_root else "inconclusive"


def _tests(values: Array, lags: int, around: str) -> UnitRootTests:
    from statsmodels.tools.sm_exceptions import InterpolationWarning, SingularMatrixWarning
    from statsmodels.tsa.stattools import adfuller, kpss

    with warnings.catch_warnings():
        # KPSS's p-values end at 0.01 and 0.10, which the table's meaning says.
        warnings.simplefilter("ignore", InterpolationWarning)
        warnings.simplefilter("error", SingularMatrixWarning)
        try:
            adf = adfuller(values, lags, around, autolag=None, result_object=True)
        except SingularMatrixWarning:
            # A series that its own past explains exactly, as a line is, leaves nothing to test.
            return UnitRootTests()
        kpss_result = kpss(values, around, nlags=lags, result_object=True)
    return UnitRootTests(*(float(number) for number in (*adf, *kpss_result)))


def autocorrelation(days: pd.DataFrame) -> pd.DataFrame:
    """Return ACF and PACF of the chain and of each store type to 60 days.

    Args:
        days: What `read_selling_days` returned.

    Returns:
        The table `insights.autocorrelation`.
    """
    groups = {"chain": days}
    groups |= {f"store type {kind}": store for kind, store in days.groupby("store_type")}
    tables = [correlogram(mean_series(group)).assign(series=name) for name, group in groups.items()]
    table = pd.concat(tables, ignore_index=True)
    return table[["series", "lag", "acf", "pacf", "bound_95", "n"]]


def mean_series(days: pd.DataFrame) -> pd.Series:
    """Return the mean of log sales less the store's own mean, a value a calendar day.

    On Sundays and most holidays a handful of stores sells (at stations and airports), and their
    mean is not the others'. A day counts if at least half of the stores then in business sold;
    other days are NaN. A store is in business from a week before its first selling day, which may
    follow a holiday, to a week after its last.

    Args:
        days: store_id, date, log_sales of selling days.
    """
    by_store = days.groupby("store_id")
    relative = days["log_sales"] - by_store["log_sales"].transform("mean")
    calendar = pd.date_range(days["date"].min(), days["date"].max())
    by_day = relative.groupby(days["date"]).agg(["mean", "size"]).reindex(calendar)
    week = pd.Timedelta(days=WEEK)
    begin = (by_store["date"].min() - week).clip(lower=calendar[0])
    end = by_store["date"].max() + week
    begun = begin.value_counts().reindex(calendar, fill_value=0).cumsum()
    ended = end.value_counts().reindex(calendar, fill_value=0).cumsum().shift(fill_value=0)
    return by_day["mean"].where(by_day["size"] >= QUORUM * (begun - ended))


def correlogram(series: pd.Series) -> pd.DataFrame:
    """Return lag, acf, pacf, bound_95 and n of a daily series with gaps.

    The ACF is that of the pairs of days of which neither is a gap (Parzen 1963, On spectral
    analysis with missing observations): gaps every seventh day would otherwise make multiples of
    seven stand out. It is held against the squares of the same days, not of all, so that it stays
    within -1 and 1 where few pairs are left. These pairwise figures are no correlation matrix,
    though, and partial autocorrelations that follow from them leave -1 to 1. The PACF is therefore
    that of the series with its mean in the gaps, which is what a network sees whose scaled input is
    0 on closed days. A gap every seventh day alone then shows at lags 7 and 8 of a slowly moving
    series.

    Args:
        series: A value a calendar day, NaN in the gaps.
    """
    from statsmodels.tsa.stattools import levinson_durbin

    known = series.notna().to_numpy(dtype=float)
    centred = (series - series.mean()).fillna(0.0).to_numpy()
    pairs, products = _lagged_products(known, known), _lagged_products(centred, centred)
    later, earlier = _lagged_products(centred**2, known), _lagged_products(known, centred**2)
    acf, pacf = np.full(LAGS + 1, np.nan), np.full(LAGS + 1, np.nan)
    if np.abs(centred).max(initial=0) > FLAT:
        np.divide(products, np.sqrt(later * earlier), out=acf, where=later * earlier > 0)
        pacf = np.where(pairs > 0, levinson_durbin(products, LAGS, isacov=True)[2], np.nan)
    bound = np.full(LAGS + 1, np.nan)
    np.divide(1.96, np.sqrt(pairs), out=bound, where=pairs > 0)
    table = pd.DataFrame(
        {
            "lag": np.arange(LAGS + 1),
            "acf": acf,
            "pacf": pacf,
            "bound_95": bound,
            "n": pairs.astype(int),
        }
    )
    return table.iloc[1:].reset_index(drop=True)


def _lagged_products(later: Array, earlier: Array) -> Array:
    """Return the sum of products of each lag, from 0 on."""
    days = len(later)
    return np.array([later[lag:] @ earlier[: max(days - lag, 0)] for lag in range(LAGS + 1)])
