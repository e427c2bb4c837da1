"""What questions are made of, a second time: in pandas, store by store."""

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

Floats = NDArray[np.float64]

ALIKE = ["store_id", "weekday", "is_promo"]
QUARTER = np.timedelta64(91, "D")
WEEK = pd.Timedelta(days=7)


def selling_days(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return a row a selling day: its store, its logs, and how far they are from the usual."""
    rows = con.execute("from cleaned.sales left join cleaned.stores using (store_id)").df()
    near = set()
    for row in rows[rows["state_holiday"] != "none"].itertuples():
        near |= {(row.store_id, row.date + pd.Timedelta(days=day)) for day in range(-7, 8)}
    sold = rows[rows["is_open"] & (rows["sales"] > 0)].reset_index(drop=True)
    sold["customers"] = sold["customers"].where(sold["customers"] > 0).astype(float)
    sold["basket"] = sold["sales"] / sold["customers"]
    sold["weekday"] = sold["date"].dt.dayofweek + 1
    is_near = np.array([key in near for key in zip(sold["store_id"], sold["date"], strict=True)])
    calendar = sold["date"].dt
    sold["is_usual"] = ~is_near & (calendar.month != 12) & (calendar.dayofyear > 7)
    for name in ("sales", "customers", "basket"):
        sold[f"log_{name}"] = np.log(sold[name])
        means = sold.groupby(ALIKE)[f"log_{name}"].transform("mean")
        sold[f"{name}_residual"] = sold[f"log_{name}"] - means
    for name in ("sales", "customers"):
        deviation = np.full(len(sold), np.nan)
        for _, alike in sold.groupby(ALIKE):
            deviation[alike.index] = _beyond_the_usual(alike, f"log_{name}")
        sold[f"{name}_deviation"] = deviation
    return sold


def _beyond_the_usual(alike: pd.DataFrame, column: str) -> Floats:
    """Return how far each day is from the mean of the usual ones around it, itself left out."""
    dates, logs = alike["date"].to_numpy(), alike[column].to_numpy()
    is_counted = alike["is_usual"].to_numpy() & ~np.isnan(logs)
    beyond = np.full(len(logs), np.nan)
    for place, date in enumerate(dates):
        is_other = is_counted & (np.abs(dates - date) <= QUARTER) & (dates != date)
        if is_other.any():
            beyond[place] = logs[place] - logs[is_other].mean()
    return beyond


def bounded(values: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the mean of each column as a share, and its 95 % interval over stores.

    Args:
        values: A row a store and a column a slice, in logs; NaN where a store has no such days.
        name: What the columns are named after.
    """
    mean, margin = values.mean(), t.ppf(0.975, values.count() - 1) * values.sem()
    return pd.DataFrame(
        {
            f"{name}_effect": np.expm1(mean),
            f"{name}_lo_95": np.expm1(mean - margin),
            f"{name}_hi_95": np.expm1(mean + margin),
        }
    )


def over_stores(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Return the effects of each slice, in which a store counts once, however many its days.

    Args:
        rows: A row a day: its store, the logs of its sales and customers beyond the usual.
        by: What the slices are told apart by.
    """
    keys = list(by)
    stores = rows.groupby([*keys, "store_id"])[["sales", "customers"]].mean()
    counts = rows.groupby(keys)["store_id"].agg(stores="nunique", days="size")
    effects = [bounded(stores[name].unstack(keys), name) for name in ("sales", "customers")]
    return pd.concat([counts, *effects], axis=1)


def means_over_stores(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Return what `over_stores` does but for the intervals, of what stores share the days of."""
    return over_stores(rows, *by).filter(regex="(?<!_95)$")


def deviating(days: pd.DataFrame, **slices: object) -> pd.DataFrame:
    """Return the days that have a usual one, as `over_stores` takes them."""
    known = days.assign(
        sales=days["sales_deviation"], customers=days["customers_deviation"], **slices
    )
    return known[known["sales"].notna()]


def welch(variance: float, freedom: float, other: float, other_freedom: float) -> float:
    """Return half of a 95 % interval from the variances of two means and their freedom."""
    total = variance + other
    joint = total**2 / (variance**2 / freedom + other**2 / other_freedom)
    return float(t.ppf(0.975, joint) * np.sqrt(total))


def agree(found: pd.DataFrame, expected: pd.DataFrame, sure: float = 1e-3) -> None:
    """Compare a question's rows with those expected, in all columns of the latter.

    Args:
        found: The rows.
        expected: Numbers by what the rows are told apart by.
        sure: By which share of its interval a bound may be off: the SQL's quantiles are no exact
            ones.
    """
    own = found.set_index(list(expected.index.names))
    assert len(own) == len(expected)
    assert set(own.index) == set(expected.index)
    own = own.loc[expected.index, expected.columns].astype(float)
    for column in expected:
        one, two = own[column], expected[column].astype(float)
        if not column.endswith("_95"):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9, err_msg=column)
            continue
        stem = column.removesuffix("_lo_95").removesuffix("_hi_95")
        width = expected[f"{stem}_hi_95"] - expected[f"{stem}_lo_95"]
        assert (one.isna() == two.isna()).all(), column
        off = (one - two).abs() > sure * width + 1e-9
        assert not off.any(), pd.concat([one, two], axis=1)[off]
