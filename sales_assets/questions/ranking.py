"""Ranks with how sure they are: which stores a promotion pays most in."""

from typing import Any, Literal

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from sales_assets.warehouse import query

Floats = NDArray[np.float64]
Method = Literal["linear", "nearest"]

DRAWS = 1_000
SEED = 20150731
TOP_SHARE = 0.1
# The spread between stores is not told from fewer.
FEWEST_STORES = 3
# The spreads that are tried, as shares of what measured effects are apart.
SPREADS = np.geomspace(1e-3, 10, 400)
# Draws with fewer are too wild to be averaged over stores.
LEAST_FREEDOM = 2
# What a store's own error counts at least: degrees of freedom are finite.
LEAST_OWN = 1e-6
# A variance as a share of the largest from which on it is none.
NO_ERROR = 1e-12
# Values of which one is larger by less are equal.
A_TIE = 1e-9
INTERVAL = (0.025, 0.975)


def ranked_promotions(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return `sql/insights/promo_targeting.sql` with shrunken lifts, gains in EUR and ranks.

    A store's lift is drawn towards the mean of all by how little is known of it, and so are its
    sales without promotion, so that a rank is not won by noise. Bounds and chances are those of
    draws from what is then known of each store. Lifts and sales are drawn apart, though one that
    was measured too high makes the other too low: bounds of gains are up to a fifth wider for it.
    """
    found = query(con, "insights/promo_targeting").df()
    rng = np.random.default_rng(SEED)
    log_lift, log_lift_error, usual, log_usual_error, freedom = (
        found[name].to_numpy(dtype=float)
        for name in ("log_lift", "log_lift_error", "plain_sales", "log_plain_error", "freedom")
    )
    lift, lifts = map(np.expm1, shrunken(log_lift, log_lift_error, freedom, rng))
    usual, usuals = map(np.exp, shrunken(np.log(usual), log_usual_error, freedom, rng))
    gain, gains = usual * lift, usuals * lifts
    rank, lift_rank = (_places(some[None, :])[0] for some in (gain, lift))
    ranks, lift_ranks = (_places(some, rng.random(some.shape)) for some in (gains, lifts))
    days = found["days_of_promo_week"].median()
    moved_week, moved_weeks = (days * _best_less_last(some, rank) for some in (gain, gains))
    table = pd.DataFrame(
        {
            "rank": rank,
            **_bounds("rank", ranks, method="nearest"),
            **{
                name: found[name]
                for name in (
                    "store_id", "store_type", "assortment", "promo_days", "days_of_promo_week",
                    "plain_sales",
                )
            },
            "gain_eur": gain,
            **_bounds("gain", gains),
            "chance_of_top_tenth": _chance_of_top(ranks),
            "measured_lift": np.expm1(log_lift),
            "lift": lift,
            **_bounds("lift", lifts),
            "lift_rank": lift_rank,
            "chance_of_top_tenth_lift": _chance_of_top(lift_ranks),
            "moved_week_eur": moved_week,
            **_bounds("moved_week", moved_weeks),
        }
    )  # fmt: skip
    return table.sort_values(["rank", "store_id"], ignore_index=True)


def shrunken(
    measured: Floats, errors: Floats, freedom: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return effects drawn towards their mean, and draws from what is then known of them.

    The model is that of random effects: stores are spread normally around a mean. Any mean and any
    spread is as likely beforehand as any other (Gelman, 2006), and both are drawn with the effects:
    a spread that is hardly told from none is not taken for none, which would make all stores one.
    Noise is Student's.

    Args:
        measured: An effect a store.
        errors: The standard error of each.
        freedom: The degrees of freedom that each error was estimated with.
        rng: Where draws come from.

    Returns:
        An effect a store, and draws x stores.
    """
    is_spread = len(measured) >= FEWEST_STORES and max(np.ptp(measured), errors.max()) > 0
    if is_spread:
        errors, freedom = steadied(errors, freedom)
    noise = errors * rng.standard_t(np.maximum(freedom, LEAST_FREEDOM), (DRAWS, len(measured)))
    if not is_spread:
        return measured, measured + noise
    spreads = SPREADS * np.hypot(measured.std(ddof=1), errors.mean())
    precisions = 1 / (spreads[:, None] ** 2 + errors**2)
    total = precisions.sum(axis=1)
    means = precisions @ measured / total
    away = measured - means[:, None]
    log_chances = (np.log(precisions) - precisions * away**2).sum(axis=1) / 2 - np.log(total) / 2
    # Larger spreads stand for more, being further apart.
    chances = spreads * np.exp(log_chances - log_chances.max())
    chances /= chances.sum()
    trust = spreads[:, None] ** 2 * precisions
    expected = means[:, None] + trust * away
    drawn = rng.choice(len(spreads), size=DRAWS, p=chances)
    mean_noise = rng.standard_normal(DRAWS) / np.sqrt(total[drawn])
    draws = (
        expected[drawn] + (1 - trust[drawn]) * mean_noise[:, None] + np.sqrt(trust[drawn]) * noise
    )
    return chances @ expected, draws


def steadied(errors: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Return standard errors drawn towards their mean, and the degrees of freedom they then have.

    A store's own error counts by how far errors differ beyond what so few degrees of freedom make
    them differ (moderated variances: Smyth, 2004): else the store whose error was by chance
    estimated too small would be the one that is told from the others.
    """
    variances = errors**2
    if variances.max() == 0:
        return errors, freedom
    least = NO_ERROR * variances.max()
    logs = np.log(np.maximum(variances, least)) - digamma(freedom / 2) + np.log(freedom / 2)
    by_chance = polygamma(1, freedom / 2)
    apart = max(float(logs.var(ddof=1) - by_chance.mean()), 0.0)
    own = np.maximum(apart / (apart + by_chance), LEAST_OWN)
    return np.exp((logs.mean() + own * (logs - logs.mean())) / 2), freedom / own


def top_size(stores: int) -> int:
    """Return how many stores are a tenth of them, at least one."""
    return max(1, round(TOP_SHARE * stores))


def _places(values: Floats, lots: Floats | None = None) -> NDArray[np.int64]:
    """Return ranks along each row, in which 1 is the largest value.

    Args:
        values: Rows of values.
        lots: What decides between equal values, from 0 to 1; none: their order.
    """
    drawn = values if lots is None else values * (1 + A_TIE * lots)
    order = np.argsort(-drawn, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(1, values.shape[1] + 1)[None, :], axis=1)
    return places


def _best_less_last(gains: Floats, rank: NDArray[np.int64]) -> Floats:
    """Return how much more stores of the best tenth gain than those of the last."""
    size = top_size(len(rank))
    best, last = gains[..., rank <= size], gains[..., rank > len(rank) - size]
    return np.asarray((best.sum(axis=-1) - last.sum(axis=-1)) / size)


def _bounds(name: str, draws: NDArray[Any], method: Method = "linear") -> dict[str, Floats]:
    """Return the columns of a 95 % interval of what was drawn."""
    low, high = np.quantile(draws, INTERVAL, axis=0, method=method)
    return {f"{name}_lo_95": low, f"{name}_hi_95": high}


def _chance_of_top(places: NDArray[np.int64]) -> Floats:
    return np.asarray((places <= top_size(places.shape[1])).mean(axis=0))
