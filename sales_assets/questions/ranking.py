"""Ranks with how sure they are: which stores a promotion pays most in."""

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.warehouse import query

Floats = NDArray[np.float64]

DRAWS = 1_000
SEED = 20150731
TOP_SHARE = 0.1
# The spread between stores is not told from fewer.
FEWEST_STORES = 3
SURE = 1.96


def ranked_promotions(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return `sql/insights/promo_targeting.sql` with shrunken lifts, gains in EUR and ranks.

    A store's lift is drawn towards the mean of all by how little is known of it (empirical Bayes,
    after Efron and Morris, 1975), so that a rank is not won by noise. Ranks' bounds and chances
    are those of draws from what is then known of each store.
    """
    found = query(con, "insights/promo_targeting").df()
    lift, error = shrunken(
        found["log_lift"].to_numpy(dtype=float), found["log_lift_error"].to_numpy(dtype=float)
    )
    usual = found["plain_sales"].to_numpy(dtype=float)
    normal = np.random.default_rng(SEED).standard_normal((DRAWS, len(found)))
    drawn = np.expm1(lift + error * normal)
    places = _places(usual * drawn)
    low, high = np.quantile(places, (0.025, 0.975), axis=0, method="nearest")
    table = pd.DataFrame(
        {
            "rank": _places((usual * np.expm1(lift))[None, :])[0],
            "rank_lo_95": low,
            "rank_hi_95": high,
            **{
                name: found[name]
                for name in (
                    "store_id", "store_type", "assortment", "promo_days", "days_of_promo_week",
                    "plain_sales",
                )
            },
            "gain_eur": usual * np.expm1(lift),
            "gain_lo_95": usual * np.expm1(lift - SURE * error),
            "gain_hi_95": usual * np.expm1(lift + SURE * error),
            "chance_of_top_tenth": _chance_of_top(places),
            "measured_lift": np.expm1(found["log_lift"]),
            "lift": np.expm1(lift),
            "lift_lo_95": np.expm1(lift - SURE * error),
            "lift_hi_95": np.expm1(lift + SURE * error),
            "lift_rank": _places(lift[None, :])[0],
            "chance_of_top_tenth_lift": _chance_of_top(_places(drawn)),
        }
    )  # fmt: skip
    return table.sort_values(["rank", "store_id"], ignore_index=True)


def shrunken(measured: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Return effects drawn towards their mean, and the standard errors that they then have.

    Args:
        measured: An effect a store.
        errors: The standard error of each.
    """
    if len(measured) < FEWEST_STORES:
        return measured, errors
    between = max(float(np.var(measured, ddof=1) - np.mean(errors**2)), 0.0)
    total = between + errors**2
    trust = np.divide(between, total, out=np.ones_like(total), where=total > 0)
    return measured.mean() + trust * (measured - measured.mean()), np.sqrt(trust) * errors


def top_size(stores: int) -> int:
    """Return how many stores are a tenth of them, at least one."""
    return max(1, round(TOP_SHARE * stores))


def _places(values: Floats) -> NDArray[np.int64]:
    """Return ranks along each row, in which 1 is the largest value."""
    order = np.argsort(-values, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(1, values.shape[1] + 1)[None, :], axis=1)
    return places


def _chance_of_top(places: NDArray[np.int64]) -> Floats:
    return np.asarray((places <= top_size(places.shape[1])).mean(axis=0))
