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
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]
Words = NDArray[np.uint64]
WORD = 64
# So many rows LightGBM itself explains in less time than the trees take to be read.
FEW_ROWS = 300
# LightGBM takes what is this close to zero for zero.
ZERO = 1e-35


@dataclass(frozen=True)
class _Tree:
    """A tree as arrays: for each leaf, what a row must do for every feature on the way to it.

    Leaves of fewer features than the longest path has are filled up with a feature that every row
    agrees with and whose share is 1, which adds nothing.

    Attributes:
        nodes: The splits.
        values: What each leaf adds to the score, shape (leaves,).
        features: Features on its path, each once, shape (leaves, features).
        shares: Share of the training rows that goes the feature's way, of those that come by.
        asked: Nodes of the path that a feature decides, as bits, shape (leaves, features, words).
        wanted: Those of them where the path goes left, likewise.
    """

    nodes: list[dict[str, Any]]
    values: Array
    features: NDArray[np.int_]
    shares: Array
    asked: Words
    wanted: Words

    @classmethod
    def of(cls, root: dict[str, Any]) -> Self:
        nodes = list(_splits(root))
        places = {id(node): place for place, node in enumerate(nodes)}
        leaves = list(_leaves(root, places))
        words = -(-len(nodes) // WORD)
        shape = len(leaves), max(len(ways) for _, ways in leaves)
        # A leaf, and which features a row agrees with, are told by one number.
        if shape[1] + len(leaves).bit_length() >= WORD:
            raise ValueError(f"a path of {shape[1]} features in a tree of {len(leaves)} leaves")
        features, shares = np.zeros(shape, dtype=np.int_), np.ones(shape)
        asked, wanted = (np.zeros((*shape, words), dtype=np.uint64) for _ in range(2))
        for leaf, (_, ways) in enumerate(leaves):
            for place, (feature, way) in enumerate(ways.items()):
                features[leaf, place], shares[leaf, place] = feature, way.share
                asked[leaf, place] = _as_words(way.asked, words)
                wanted[leaf, place] = _as_words(way.wanted, words)
        values = np.array([value for value, _ in leaves])
        return cls(nodes, values, features, shares, asked, wanted)

    @property
    def mean(self) -> float:
        """What the tree says of the training rows on average."""
        return float(self.values @ self.shares.prod(axis=1))

    def contributions(self, columns: list[Array], groups: NDArray[np.int_], width: int) -> Array:
        """Return what each group of features adds for each row, shape (rows, width)."""
        codes, decisions = _distinct(_decisions(self.nodes, columns))
        # Every leaf and every way in which a row may agree with its features has a number.
        numbers = np.zeros((len(decisions), len(self.values)), dtype=np.int64)
        bits = self.shares.shape[1]
        for place in range(bits):
            agrees = np.ones(numbers.shape, dtype=bool)
            for word, decided in enumerate(decisions.T):
                asked, wanted = self.asked[:, place, word], self.wanted[:, place, word]
                agrees &= (decided[:, None] & asked) == wanted
            numbers |= agrees.astype(np.int64) << place
        numbers |= np.arange(len(self.values)) << bits
        ways, distinct = pd.factorize(numbers.ravel())
        leaf, agreed = distinct >> bits, (distinct[:, None] >> np.arange(bits) & 1).astype(bool)
        values = _shapley(agreed, self.shares[leaf]) * self.values[leaf, None]
        added = np.zeros((len(distinct), width))
        np.add.at(added, (np.arange(len(leaf))[:, None], groups[self.features[leaf]]), values)
        # Which of them a row's leaves are, as a sparse matrix of ones.
        ends = np.arange(0, numbers.size + 1, numbers.shape[1])
        shape = len(decisions), len(distinct)
        of_leaves: Array = csr_array((np.ones(numbers.size), ways, ends), shape) @ added
        return of_leaves[codes]


@dataclass
class _Way:
    """What a path asks of one feature: its share of the training rows, and nodes as bits."""

    share: float = 1.0
    asked: int = 0
    wanted: int = 0


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
    for described in booster.dump_model()["tree_info"]:
        tree = _Tree.of(described["tree_structure"])
        base += tree.mean
        if tree.nodes:
            totals += tree.contributions(columns, groups, totals.shape[1])
    return base, totals


def _shapley(agrees: NDArray[np.bool_], shares: Array) -> Array:
    """Return each feature's Shapley value in a product of features.

    A feature that takes part is worth 1 or 0, as the row agrees or not, and its share otherwise.

    Args:
        agrees: Whether the row agrees with each feature, shape (ways, features).
        shares: What an absent feature is worth, of the same shape.
    """
    values = np.zeros(agrees.shape)
    for point, weight in _quadrature(shares.shape[1] // 2 + 1):
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
) -> Iterator[tuple[float, dict[int, _Way]]]:
    """Yield the leaves below a node: each one's value, and what its path asks of each feature.

    The path so far is of (feature, place, goes left, share) each.
    """
    if "split_feature" not in node:
        ways: dict[int, _Way] = {}
        for feature, place, goes_left, share in path:
            way = ways.setdefault(feature, _Way())
            way.share *= share
            way.asked |= 1 << place
            way.wanted |= goes_left << place
        yield node["leaf_value"], ways
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


def _as_words(bits: int, words: int) -> list[int]:
    mask = (1 << WORD) - 1
    return [bits >> (WORD * word) & mask for word in range(words)]
