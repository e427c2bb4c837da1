"""Shapley values of boosted trees, summed by groups of features, for many rows at once.

The values are those of LightGBM's own `predict(pred_contrib=True)`, which takes milliseconds a
row. What a leaf says of a row depends only on which of the features on its path the row agrees
with, and rows agree in few ways; so each way is worked out once for all rows that share it.

Source: Lundberg et al. (2020), From local explanations to global understanding with explainable
AI for trees (path-dependent); the integral over coalition sizes is exact by Gauss's quadrature.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Words = NDArray[np.uint64]
WORD = 64
# So many rows LightGBM itself explains in less time than the trees take to be read.
FEW_ROWS = 500
# LightGBM takes what is this close to zero for zero.
ZERO = 1e-35


@dataclass(frozen=True)
class _Leaf:
    """A leaf and, for each feature on its path, what a row must do and how many rows do.

    Attributes:
        value: What the leaf adds to the score.
        features: Features on the path, each once.
        shares: Share of the training rows that goes the feature's way, of those that come by.
        asked: Nodes of the path that each feature decides, as bits, shape (features, words).
        wanted: Those of them where the path goes left, likewise.
    """

    value: float
    features: list[int]
    shares: Array
    asked: Words
    wanted: Words


def grouped_contributions(
    booster: Any, matrix: pd.DataFrame, groups: NDArray[np.int_]
) -> tuple[float, Array]:
    """Return what the booster says on average, and what each group of features adds to it.

    Args:
        booster: A LightGBM booster.
        matrix: Features in the booster's order, shape (rows, features).
        groups: The group of each feature, numbered from 0.

    Returns:
        The mean score of the training rows, and contributions of shape (rows, groups); for each
        row they add up to the booster's prediction.
    """
    totals = np.zeros((len(matrix), int(groups.max()) + 1))
    if 0 < len(matrix) <= FEW_ROWS:
        own = booster.predict(matrix, pred_contrib=True, num_threads=1)
        np.add.at(totals.T, groups, own[:, :-1].T)
        return float(own[0, -1]), totals
    columns = [matrix[name].to_numpy(dtype=np.float64) for name in matrix.columns]
    base = 0.0
    for tree in booster.dump_model()["tree_info"]:
        root = tree["tree_structure"]
        nodes = list(_splits(root))
        leaves = list(_leaves(root, {id(node): place for place, node in enumerate(nodes)}))
        base += sum(leaf.value * prod(leaf.shares) for leaf in leaves)
        if nodes:
            decisions = _decisions(nodes, columns)
            codes, distinct = _distinct(decisions)
            totals += _tree(leaves, distinct, groups, totals.shape[1])[codes]
    return base, totals


def _tree(leaves: list[_Leaf], decisions: Words, groups: NDArray[np.int_], width: int) -> Array:
    """Return one tree's contributions for each distinct set of decisions."""
    totals = np.zeros((len(decisions), width))
    for leaf in leaves:
        agrees = np.column_stack(
            [
                ((decisions & asked) == wanted).all(axis=1)
                for asked, wanted in zip(leaf.asked, leaf.wanted, strict=True)
            ]
        )
        places = np.left_shift(1, np.arange(len(leaf.features)))
        codes, patterns = pd.factorize(agrees @ places)
        ways = (patterns[:, None] & places) > 0
        members = np.zeros((len(leaf.features), width))
        members[np.arange(len(leaf.features)), groups[leaf.features]] = leaf.value
        totals += (_shapley(ways, leaf.shares) @ members)[codes]
    return totals


def _shapley(agrees: NDArray[np.bool_], shares: Array) -> Array:
    """Return each feature's Shapley value in a product of features.

    A feature that takes part is worth 1 or 0, as the row agrees or not, and its share otherwise.

    Args:
        agrees: Whether the row agrees with each feature, shape (ways, features).
        shares: What an absent feature is worth, shape (features,).
    """
    values = np.zeros(agrees.shape)
    for point, weight in _quadrature(len(shares) // 2 + 1):
        factors = point * agrees + (1 - point) * shares
        values += weight * factors.prod(axis=1, keepdims=True) / factors
    return (agrees - shares) * values


@cache
def _quadrature(size: int) -> list[tuple[float, float]]:
    """Return points and weights that integrate polynomials below degree 2 × size from 0 to 1."""
    points, weights = np.polynomial.legendre.leggauss(size)
    return list(zip((points + 1) / 2, weights / 2, strict=True))


def _splits(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "split_feature" in node:
        yield node
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _leaves(
    node: dict[str, Any],
    places: dict[int, int],
    path: tuple[tuple[int, int, bool, float], ...] = (),
) -> Iterator[_Leaf]:
    """Yield the leaves below a node; a path is of (feature, place, goes left, share) each."""
    if "split_feature" not in node:
        words = -(-len(places) // WORD)
        features = list(dict.fromkeys(feature for feature, *_ in path))
        steps = [[step for step in path if step[0] == feature] for feature in features]
        yield _Leaf(
            value=node["leaf_value"],
            features=features,
            shares=np.array([prod(share for *_, share in own) for own in steps]),
            asked=_as_words([sum(1 << place for _, place, *_ in own) for own in steps], words),
            wanted=_as_words(
                [sum(1 << place for _, place, left, _ in own if left) for own in steps], words
            ),
        )
        return
    for side in ("left_child", "right_child"):
        child = node[side]
        share = _rows(child) / _rows(node)
        step = (node["split_feature"], places[id(node)], side == "left_child", share)
        yield from _leaves(child, places, (*path, step))


def _rows(node: dict[str, Any]) -> int:
    return int(node["internal_count"] if "split_feature" in node else node["leaf_count"])


def _decisions(nodes: list[dict[str, Any]], columns: list[Array]) -> Words:
    """Return which nodes send each row to the left, as bits, shape (rows, words)."""
    rows = len(columns[0])
    decisions = np.zeros((rows, -(-len(nodes) // WORD)), dtype=np.uint64)
    for place, node in enumerate(nodes):
        goes_left = _goes_left(node, columns[node["split_feature"]])
        bit = np.uint64(place % WORD)
        decisions[:, place // WORD] |= goes_left.astype(np.uint64) << bit
    return decisions


def _goes_left(node: dict[str, Any], values: Array) -> NDArray[np.bool_]:
    """Decide as LightGBM does, unknown values and categories included."""
    if node["decision_type"] == "==":
        categories = [int(category) for category in node["threshold"].split("||")]
        return np.isin(np.trunc(values), categories)
    is_missing = np.isnan(values)
    if node["missing_type"] == "None":
        return np.where(is_missing, 0.0, values) <= node["threshold"]
    if node["missing_type"] == "Zero":
        is_missing |= np.abs(values) <= ZERO
    return np.where(is_missing, node["default_left"], values <= node["threshold"])


def _distinct(decisions: Words) -> tuple[NDArray[np.int64], Words]:
    """Return each row's number among the distinct rows, and those."""
    codes = np.zeros(len(decisions), dtype=np.int64)
    for word in decisions.T:
        pairs = codes * len(decisions) + pd.factorize(word)[0]
        codes = pd.factorize(pairs)[0]
    _, firsts = np.unique(codes, return_index=True)
    return codes, decisions[firsts]


def _as_words(bits: list[int], words: int) -> Words:
    mask = (1 << WORD) - 1
    return np.array(
        [[number >> (WORD * word) & mask for word in range(words)] for number in bits],
        dtype=np.uint64,
    )
