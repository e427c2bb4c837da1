"""What models see: feature rows and history, cut so that nothing is later than the cutoff."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

KEYS = ("cutoff", "store_id", "date")
LABEL = "log_sales"
CATEGORIES = {
    "state_holiday": ("none", "public", "easter", "christmas"),
    "store_type": ("a", "b", "c", "d"),
    "assortment": ("basic", "extra", "extended"),
}
# What members see of the days before a cutoff.
HISTORY = "store_id, date, sales, is_open, is_promo, state_holiday, is_school_holiday"
# Columns of a feature row that say which row it is, or what came of it; the rest are features.
NOT_FEATURES = (*KEYS, "is_training", "is_open", LABEL)


@dataclass(frozen=True)
class Frames:
    """Feature rows and the history that they were made from.

    Attributes:
        rows: One row a (cutoff, store_id, date), columns as in `sql/features/rows.sql`.
        history: One row a (store_id, date): date, sales, is_open, is_promo and the holidays.
    """

    rows: pd.DataFrame
    history: pd.DataFrame

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """What `model_matrix` makes of the rows, once for every member that asks."""
        return model_matrix(self.rows)

    def known_at(self, cutoff: date) -> "Frames":
        """Return what can be learnt from at a cutoff: labelled rows and days up to it."""
        day = pd.Timestamp(cutoff)
        learnable = (self.rows["date"] <= day) & self.rows["is_training"]
        return Frames(self.rows[learnable], self._history_at(day))

    def asked_at(self, cutoff: date) -> "Frames":
        """Return the rows to forecast from a cutoff, beside the history up to it."""
        day = pd.Timestamp(cutoff)
        return Frames(self.rows[self.rows["cutoff"] == day], self._history_at(day))

    def _history_at(self, day: pd.Timestamp) -> pd.DataFrame:
        """Return the days up to one of the stores that had opened by then."""
        past = self.history[self.history["date"] <= day]
        opened = past.loc[past["is_open"], "store_id"].unique()
        return past[past["store_id"].isin(opened)]


def read_frames(con: duckdb.DuckDBPyConnection, table: str) -> Frames:
    """Read `features.training` or `features.future` with the cleaned history beside it."""
    rows = as_rows(con.execute(f"select * from {table} order by cutoff, store_id, date"))
    history = con.execute(f"select {HISTORY} from cleaned.sales order by store_id, date").df()
    return Frames(rows, history)


def as_rows(result: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return the feature rows of an executed query, texts as categories."""
    rows = result.df()
    for column, categories in CATEGORIES.items():
        rows[column] = pd.Categorical(rows[column], categories=categories)
    return rows


def feature_names(rows: pd.DataFrame) -> list[str]:
    """Return the columns that models learn from, in their order in the table."""
    return [column for column in rows.columns if column not in NOT_FEATURES]


def model_matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the features as numbers: categories as codes, flags as 0 and 1, unknown as NaN.

    Returns:
        Frame of shape (rows, features + 1), float32, the last column being `store_id`.
    """
    names = [*feature_names(rows), "store_id"]
    # Column by column into one array: a frame of as many columns takes several times as long.
    matrix = np.empty((len(rows), len(names)), dtype=np.float32, order="F")
    for column, name in enumerate(names):
        values = rows[name].array
        if isinstance(values, pd.Categorical):
            matrix[:, column] = values.codes
        else:
            matrix[:, column] = values.to_numpy(dtype=np.float32, na_value=np.nan)
    return pd.DataFrame(matrix, rows.index, names, copy=False)


def anchors(
    rows: pd.DataFrame, typical: float | NDArray[np.float64] = np.nan
) -> NDArray[np.float64]:
    """Return the level that a forecast is relative to, in log EUR.

    Args:
        rows: Feature rows.
        typical: What stands in for a store that has never sold, for all rows or for each.
    """
    own = rows["anchor"].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(own), typical, own)


def typical_anchors(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the median anchor by weekday and promotion, for stores that have never sold.

    Each store's anchors are taken against its median, since few stores open on Sundays and they
    are not like the others.

    Returns:
        Array of shape (7, 2), Monday first, days without promotion first; a kind of day that no
        row has takes the median of all.
    """
    level = rows.groupby("store_id")["anchor"].transform("median")
    beside = (rows["anchor"] - level).groupby([rows["weekday"], rows["is_promo"]]).median()
    kinds = pd.MultiIndex.from_product([range(1, 8), (False, True)])
    found = beside.reindex(kinds).fillna(0.0).to_numpy(dtype=np.float64)
    return float(rows["anchor"].median()) + found.reshape(7, 2)
