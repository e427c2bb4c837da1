"""What is known of a day in advance: effects of weekday and promotion, the calendar, the season.

Log sales are taken for a sum: the store's slowly moving level, its effect of (weekday, promotion),
the chain's effects of the calendar, and the chain's yearly season. Effects are estimated about a
local level by backfitting, so that a store that grows or was rebuilt does not blur them.

Source: Hastie and Tibshirani (1986), Generalized additive models (backfitting).
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from dateutil.easter import easter
from numpy.typing import NDArray

from sales_assets.forecasting.lookup import Lookup

CELL = ["store_id", "weekday", "is_promo"]
GAP_KEYS = ["store_id", "weekday"]
GAPS = ["before", "after"]
# Days before the last one that tell when a store usually opens.
GAP_DAYS = 364
TABLES = ("effects", "calendar", "season", "gaps")
PARTS = ("month", "before", "after", "feast")
SEASON = "season"
WEEKS = 52
SEASON_YEARS = 3
ROUNDS = 4
# Two weeks of open days on either side hold a round of the promotions' rhythm each.
LEVEL_DAYS = 24
# A cell of fewer days than this is drawn to the chain's effect.
FEW_DAYS = 4
# A calendar effect seen on so many days of stores counts half.
PRIOR_DAYS = 50
MONTH_END = 5
# Days from Easter Sunday on which sales are unlike those of other years' weeks: carnival, Easter,
# Ascension, Whitsun and Corpus Christi.
FEASTS = ((-52, -46), (-13, 13), (36, 40), (46, 51), (58, 61))
ORDINARY = 0
# A longer gap is a closure of the store, or what the plan does not tell.
LONGEST_GAP = 4


@dataclass(frozen=True)
class Effects:
    """Fitted effects, to be taken out of a history and added to a forecast.

    Attributes:
        effects: store_id, weekday, is_promo, effect; of each store's recent days.
        calendar: part, key, effect; of the chain, keys as in `calendar_keys`.
        season: week_end and season, one row for each of the 52 weeks up to the cutoff.
        gaps: store_id, weekday, before and after: days from and to the open days beside it, as
            they usually are in the store.
    """

    effects: pd.DataFrame
    calendar: pd.DataFrame
    season: pd.DataFrame
    gaps: pd.DataFrame

    @classmethod
    def fit(cls, days: pd.DataFrame, cutoff: date, effect_days: int) -> Self:
        """Estimate all effects from selling days up to the cutoff.

        Args:
            days: What `selling_days` returned.
            cutoff: The last known day.
            effect_days: Days before the cutoff that effects of weekday and promotion use; those
                of the calendar use all.
        """
        gaps = usual_gaps(days)
        keys = calendar_keys(days, UsualGaps(gaps))
        effects, calendar = _backfit(days, keys, cutoff, effect_days)
        without_season = cls(effects, calendar, _no_season(cutoff), gaps)
        rest = days["log_sales"] - without_season.at(days)
        return cls(effects, calendar, _season(days.assign(y=rest), cutoff), gaps)

    def at(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the sum of all effects on each row.

        Args:
            rows: store_id, date, weekday, is_promo, days_since_open and days_until_open.
        """
        own = self._own.at(rows)["effect"]
        others = np.nan_to_num(self._chain.at(rows)["effect"])
        total: NDArray[np.float64] = np.where(np.isnan(own), others, own)
        for effect in self.of_chain(rows).values():
            total = total + effect
        return total

    def of_chain(self, rows: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        """Return what the calendar and the season add on each row in any store, by part.

        Args:
            rows: store_id, date, weekday, days_since_open and days_until_open.
        """
        parts = {
            part: np.nan_to_num(self._calendar[part].at({"key": keys})["effect"])
            for part, keys in calendar_keys(rows, self._usual_gaps).items()
        }
        last = self.season["week_end"].to_numpy(dtype="datetime64[D]")[0]
        weeks_ago = (last - rows["date"].to_numpy(dtype="datetime64[D]")).astype(np.int64) // 7
        season: NDArray[np.float64] = self.season["season"].to_numpy()
        return {**parts, SEASON: season[weeks_ago % WEEKS]}

    @cached_property
    def _own(self) -> Lookup:
        return Lookup(self.effects, CELL, ["effect"])

    @cached_property
    def _chain(self) -> Lookup:
        chain = self.effects.groupby(CELL[1:], as_index=False)["effect"].median()
        return Lookup(chain, CELL[1:], ["effect"])

    @cached_property
    def _usual_gaps(self) -> "UsualGaps":
        return UsualGaps(self.gaps)

    @cached_property
    def _calendar(self) -> dict[str, Lookup]:
        part = self.calendar["part"]
        return {name: Lookup(self.calendar[part == name], ["key"], ["effect"]) for name in PARTS}

    def save(self, directory: Path) -> None:
        """Write the tables as Parquet."""
        for name in TABLES:
            getattr(self, name).to_parquet(directory / f"{name}.parquet", index=False)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote."""
        return cls(*(pd.read_parquet(directory / f"{name}.parquet") for name in TABLES))


class UsualGaps:
    """How far the open days beside a day usually are: 2 where the store rests a day in between.

    Args:
        table: store_id, weekday, before and after, in days.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self._own = Lookup(table, GAP_KEYS, GAPS)
        chain = _usual(table, ["weekday"])
        self._chain = Lookup(chain, ["weekday"], GAPS)

    def at(self, rows: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
        """Return the gaps before and after each row; of a store without any, the chain's.

        Args:
            rows: store_id and weekday.
        """
        own, chain = self._own.at(rows), self._chain.at(rows)
        found = {name: np.where(np.isnan(own[name]), chain[name], own[name]) for name in GAPS}
        return {name: np.nan_to_num(days, nan=1.0).astype(np.int64) for name, days in found.items()}


def usual_gaps(days: pd.DataFrame) -> pd.DataFrame:
    """Return the usual gaps of each store and weekday in the chain's last year of sales.

    Args:
        days: What `selling_days` returned.
    """
    recent = days[days["date"] > days["date"].max() - pd.Timedelta(days=GAP_DAYS)]
    gaps = recent.rename(columns={"days_since_open": "before", "days_until_open": "after"})
    return _usual(gaps, GAP_KEYS)


def _usual(gaps: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the longest gaps that a quarter has: every other Sunday of rest is usual, too."""
    return gaps.groupby(keys, as_index=False)[GAPS].quantile(0.75, interpolation="lower")


def selling_days(history: pd.DataFrame) -> pd.DataFrame:
    """Return the open days with sales, as rows that effects can be taken of.

    The gaps to the open days before and after are those of the feature table; the last day of a
    history has no day after it and counts as ordinary.
    """
    days = history[history["is_open"]].sort_values(["store_id", "date"], kind="stable")
    by_store = days.groupby("store_id")["date"]
    days = days.assign(
        weekday=days["date"].dt.dayofweek + 1,
        days_since_open=by_store.diff().dt.days,
        days_until_open=-by_store.diff(-1).dt.days,
    )
    days = days[days["sales"] > 0].reset_index(drop=True)
    return days.assign(log_sales=np.log(days["sales"].to_numpy(dtype=np.float64)))


def calendar_keys(rows: pd.DataFrame, usual: UsualGaps) -> dict[str, NDArray[np.int64]]:
    """Return what the calendar says of each row, by part; 0 stands for an ordinary day.

    Parts: `month`, the day of the month or, for its last days, minus the days left, minus one;
    `before` and `after`, the days closed next to it other than the store's days of rest; `feast`,
    the days from Easter Sunday, counted from 1,000.
    """
    # Arrays throughout: of one store's days, pandas would take most of the time of a forecast.
    days = rows["date"].to_numpy(dtype="datetime64[D]")
    months = days.astype("datetime64[M]")
    day = (days - months).astype(np.int64) + 1
    left = ((months + 1).astype("datetime64[D]") - days).astype(np.int64) - 1
    since_easter = (days - _easters(days)).astype(np.int64)
    is_feast = np.logical_or.reduce(
        [(since_easter >= first) & (since_easter <= last) for first, last in FEASTS]
    )
    gaps = usual.at(rows)
    return {
        "month": np.where(left < MONTH_END, -1 - left, day),
        "before": _gap(rows["days_until_open"], gaps["after"]),
        "after": _gap(rows["days_since_open"], gaps["before"]),
        "feast": np.where(is_feast, 1000 + since_easter, ORDINARY),
    }


def _easters(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return Easter Sunday of each day's year."""
    years, place = np.unique(days.astype("datetime64[Y]"), return_inverse=True)
    found = [easter(int(year) + 1970) for year in years.astype(np.int64)]
    return np.array(found, dtype="datetime64[D]")[place]


def _gap(days: pd.Series, usual: NDArray[np.int64]) -> NDArray[np.int64]:
    known = days.to_numpy(dtype=np.float64, na_value=np.nan)
    gap = np.where(np.isnan(known), 1, known).astype(np.int64)
    return np.where((gap > usual) & (gap <= LONGEST_GAP), 10 * gap + (usual - 1), ORDINARY)


def _backfit(
    days: pd.DataFrame,
    calendar_of: dict[str, NDArray[np.int64]],
    cutoff: date,
    effect_days: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the effects of store cells and of the calendar, each estimated beside the others."""
    y = days["log_sales"].to_numpy()
    span = pd.Timedelta(days=effect_days)
    recent = (days["date"] > pd.Timestamp(cutoff) - span).to_numpy()
    if not recent.any():
        # The whole chain has been closed since: its last days are the nearest that there are.
        recent = (days["date"] > days["date"].max() - span).to_numpy()
    cells, cell_keys = _codes(days[CELL])
    kinds, _ = _codes(days[CELL[1:]])
    parts = {part: pd.factorize(keys, sort=True) for part, keys in calendar_of.items()}
    seen = np.bincount(cells[recent], minlength=len(cell_keys))
    own_share = np.minimum(seen / FEW_DAYS, 1.0)
    calendar = np.zeros(len(days))
    # Medians about the store's mean are close already, and not led astray by a Christmas.
    by_cell = days.assign(y=y - days.groupby("store_id")["log_sales"].transform("mean"))[recent]
    medians = by_cell["y"].groupby(cells[recent]).median()
    effect = medians.reindex(range(len(cell_keys))).fillna(0.0).to_numpy()
    tables: dict[str, NDArray[np.float64]] = {}
    for _ in range(ROUNDS):
        rest = y - _local_level(days["store_id"], y - effect[cells] - calendar) - calendar
        chain = _means(rest[recent], kinds[recent], int(kinds.max()) + 1)[kinds]
        own = _means((rest - chain)[recent], cells[recent], len(cell_keys)) * own_share
        effect = np.zeros(len(cell_keys))
        effect[cells] = chain + own[cells]
        rest = rest + calendar - effect[cells]
        calendar = np.zeros(len(days))
        for part, (codes, keys) in parts.items():
            tables[part] = _part(rest - calendar, codes, keys)
            calendar = calendar + tables[part][codes]
    is_seen = seen > 0
    return cell_keys.assign(effect=effect)[is_seen].reset_index(drop=True), pd.concat(
        [
            pd.DataFrame({"part": part, "key": keys, "effect": tables[part]})
            for part, (_, keys) in parts.items()
        ],
        ignore_index=True,
    )


def _part(
    rest: NDArray[np.float64], codes: NDArray[np.int64], keys: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the effects of one part of the calendar, drawn to zero where few days tell."""
    seen = np.bincount(codes, minlength=len(keys))
    table = np.bincount(codes, rest, len(keys)) / (seen + PRIOR_DAYS)
    table[keys == ORDINARY] = 0.0
    # Every day is one of the month, so that the effects of the month are about their mean.
    return table if ORDINARY in keys else table - np.average(table, weights=seen)


def _codes(keys: pd.DataFrame) -> tuple[NDArray[np.int64], pd.DataFrame]:
    groups = keys.groupby(list(keys.columns), sort=True)
    codes: NDArray[np.int64] = groups.ngroup().to_numpy()
    return codes, keys.drop_duplicates().sort_values(list(keys.columns)).reset_index(drop=True)


def _means(values: NDArray[np.float64], codes: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return the mean of each code, zero where there is none."""
    return np.bincount(codes, values, size) / np.maximum(np.bincount(codes, minlength=size), 1)


def _local_level(stores: pd.Series, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each store's centred mean of its days around, rows being sorted by store and date."""
    rolling = pd.Series(values).groupby(stores.to_numpy(), sort=False)
    level = rolling.rolling(LEVEL_DAYS, center=True, min_periods=1).mean()
    return level.to_numpy()


def _no_season(cutoff: date) -> pd.DataFrame:
    week_end = [pd.Timestamp(cutoff) - pd.Timedelta(weeks=week) for week in range(WEEKS)]
    return pd.DataFrame({"week_end": week_end, "season": 0.0})


def _season(series: pd.DataFrame, cutoff: date) -> pd.DataFrame:
    """Return the chain's yearly season in logs: one row for each of the 52 weeks up to the cutoff.

    Classical decomposition: the chain's weekly mean less its centred mean of a year, averaged over
    the last years and, lightly, over neighbouring weeks. A history of less than two years has no
    season that could be told from trend.
    """
    weeks_ago = (pd.Timestamp(cutoff) - series["date"]).dt.days // 7
    by_store = series["y"] - series.groupby("store_id")["y"].transform("mean")
    chain = by_store.groupby(weeks_ago).mean()
    # A week in which the whole chain was closed stays in its place.
    chain = chain.reindex(range(int(weeks_ago.max()), -1, -1))
    table = _no_season(cutoff)
    if len(chain) >= 2 * WEEKS:
        trend = chain.rolling(WEEKS + 1, center=True, min_periods=WEEKS // 2).mean()
        # A year is a day or two longer than its weeks, so that older seasons lie beside the newest.
        around = (chain - trend)[chain.index < SEASON_YEARS * WEEKS]
        weekly = around.groupby(around.index % WEEKS).mean().to_numpy()
        is_known = ~np.isnan(weekly)
        if not is_known.any():
            return table
        # Where it is closed every year, the weeks around say what one would be like.
        week = np.arange(WEEKS)
        weekly = np.interp(week, week[is_known], weekly[is_known], period=WEEKS)
        smooth = (np.roll(weekly, 1) + 2 * weekly + np.roll(weekly, -1)) / 4
        table["season"] = smooth - smooth.mean()
    return table
