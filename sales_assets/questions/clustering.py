"""Groups of stores that behave alike, and what sets each group apart."""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.questions.words import change, listed, percent
from sales_assets.warehouse import query

MIN_STORES = 8
GROUPS = range(3, 7)
# One odd store would else be a group of its own, however alike all others are.
MAX_DEVIATIONS = 3
# A group is described by the traits in which it is this many standard deviations from the mean.
TOLD_DEVIATIONS = 0.5
TOLD_TRAITS = 3
ORDINARY = "close to the average store"


@dataclass(frozen=True)
class Trait:
    """What a store does, and how a group is called that does more or less of it."""

    name: str
    more: str
    less: str
    told: Callable[[float], str] = change


TRAITS = {
    "promo_lift": Trait("lift of promotions", "stronger promotions", "weaker promotions"),
    "monday_lift": Trait("Mondays", "stronger Mondays", "weaker Mondays"),
    "saturday_lift": Trait("Saturdays", "stronger Saturdays", "weaker Saturdays"),
    "sunday_share": Trait("Sundays open", "more open Sundays", "fewer open Sundays", percent),
    "christmas_lift": Trait("Christmas", "stronger Christmas", "weaker Christmas"),
    "basket": Trait("basket", "larger baskets", "smaller baskets", lambda eur: f"EUR {eur:.2f}"),
    "yearly_growth": Trait("growth in a year", "faster growth", "slower growth"),
}


def clustered(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return a row a store with its traits, its group and what sets the group apart.

    The number of groups is the one by which stores are most like their own group compared with
    the next one, by silhouette (Rousseeuw 1987). The same stores make the same groups; the largest
    group is number 1.

    Returns:
        No rows where there are fewer than 8 stores, or too few that differ.
    """
    profiles = query(con, "insights/store_clusters").df()
    scores = standardised(profiles).to_numpy()
    if len(profiles) < MIN_STORES or len(np.unique(scores, axis=0)) <= min(GROUPS):
        unknown = profiles.head(0).assign(cluster=0, cluster_stores=0, silhouette=0.0)
        return unknown.assign(cluster_is="")
    cluster, silhouette = groups(scores)
    rows = profiles.assign(cluster=cluster, silhouette=silhouette)
    rows["cluster_stores"] = rows.groupby("cluster")["store_id"].transform("size")
    rows["cluster_is"] = rows["cluster"].map(descriptions(rows))
    first = ["store_id", "cluster", "cluster_stores", "cluster_is", "silhouette"]
    rows = rows[[*first, *(column for column in profiles if column not in first)]]
    # The most typical store of each group comes first.
    rows = rows.sort_values(["silhouette", "store_id"], ascending=[False, True])
    order = np.lexsort((rows["cluster"], rows.groupby("cluster").cumcount()))
    return rows.iloc[order].reset_index(drop=True)


def standardised(profiles: pd.DataFrame) -> pd.DataFrame:
    """Return the traits in which stores differ, in standard deviations from the mean store.

    A trait that a store lacks is taken for average.
    """
    traits = profiles[list(TRAITS)].astype(float)
    # Means of equal numbers may differ in their last digits.
    traits = traits.loc[:, traits.std() > 1e-9 * traits.abs().max()]
    scores = ((traits - traits.mean()) / traits.std()).fillna(0)
    return scores.clip(-MAX_DEVIATIONS, MAX_DEVIATIONS).round(9)


def groups(scores: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each store's group, numbered from 1 by size, and its silhouette.

    Args:
        scores: Stores x traits, with more than 3 different stores.
    """
    # Importing them takes a second, which other questions need not wait for.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_samples
    from threadpoolctl import threadpool_limits

    different = len(np.unique(scores, axis=0))
    tried = []
    with threadpool_limits(limits=1):
        for count in (count for count in GROUPS if count < different):
            labels = KMeans(count, n_init=20, random_state=0).fit_predict(scores)
            tried.append((labels, silhouette_samples(scores, labels)))
    labels, silhouette = max(tried, key=lambda labels_and: float(labels_and[1].mean()))
    _, firsts, sizes = np.unique(labels, return_index=True, return_counts=True)
    numbers = np.empty(len(sizes), dtype=np.int64)
    numbers[np.lexsort((firsts, -sizes))] = np.arange(1, len(sizes) + 1)
    return numbers[labels], silhouette


def distances(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how far each group's mean is from that of all stores, in standard deviations."""
    scores = standardised(rows.reset_index(drop=True))
    return scores.groupby(rows["cluster"].to_numpy()).mean()


def descriptions(rows: pd.DataFrame) -> dict[int, str]:
    """Return what sets each group apart: the traits in which it is furthest from the others."""
    mean = rows[list(TRAITS)].astype(float).mean()
    described = {}
    for group, away in distances(rows).iterrows():
        own = rows.loc[rows["cluster"] == group, list(TRAITS)].astype(float).mean()
        far = away[away.abs() >= TOLD_DEVIATIONS].sort_values(key=np.abs, ascending=False)
        told = [
            f"{TRAITS[name].more if distance > 0 else TRAITS[name].less} "
            f"({TRAITS[name].told(own[name])} against {TRAITS[name].told(mean[name])})"
            for name, distance in far.head(TOLD_TRAITS).items()
        ]
        described[int(group)] = listed(told) if told else ORDINARY
    return described
