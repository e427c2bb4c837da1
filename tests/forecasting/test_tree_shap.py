"""Contributions are LightGBM's own, whatever its trees look like."""

import lightgbm
import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.tree_shap import grouped_contributions

ROWS = 3_000


@pytest.fixture(scope="module")
def matrix():
    """Numbers with holes and zeros, flags, and categories of which some are unknown."""
    random = np.random.default_rng(3)
    numbers = random.normal(size=(ROWS, 3))
    numbers[random.random(numbers.shape) < 0.15] = np.nan
    numbers[random.random(numbers.shape) < 0.15] = 0.0
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    frame["flag"] = random.integers(0, 2, ROWS)
    frame["kind"] = random.integers(-1, 40, ROWS)
    return frame.astype("float32")


def boosted(matrix, **params):
    known = matrix.fillna(0.3)
    label = known["a"] * known["b"] + 0.2 * (known["kind"] % 7) * known["flag"] - known["c"] ** 2
    learnable = matrix.assign(kind=matrix["kind"].clip(lower=0))
    data = lightgbm.Dataset(
        learnable, label=label, categorical_feature=["kind"], free_raw_data=False
    )
    return lightgbm.train({"verbosity": -1, "num_threads": 1, "seed": 1, **params}, data, 20)


def own(booster, matrix):
    """Return LightGBM's mean and contributions."""
    values = booster.predict(matrix, pred_contrib=True, num_threads=1)
    return values[0, -1], values[:, :-1]


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"num_leaves": 31}, id="unknown values"),
        pytest.param({"num_leaves": 150, "min_data_in_leaf": 5}, id="more nodes than a word"),
        pytest.param({"use_missing": False}, id="unknown taken for zero"),
        pytest.param({"zero_as_missing": True}, id="zero taken for unknown"),
        pytest.param({"bagging_fraction": 0.5, "bagging_freq": 1}, id="bagged"),
        pytest.param({"min_data_in_leaf": ROWS}, id="trees without a split"),
    ],
)
def test_contributions_are_those_that_lightgbm_computes(matrix, params):
    booster = boosted(matrix, **params)
    mean, contributions = own(booster, matrix)

    base, result = grouped_contributions(booster, matrix, np.arange(5))

    assert base == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(result, contributions, atol=1e-12)


def test_a_group_is_the_sum_of_its_features(matrix):
    booster = boosted(matrix)
    _, contributions = own(booster, matrix)

    _, result = grouped_contributions(booster, matrix, np.array([1, 0, 1, 2, 0]))

    expected = np.column_stack(
        [
            contributions[:, 1] + contributions[:, 4],
            contributions[:, 0] + contributions[:, 2],
            contributions[:, 3],
        ]
    )
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_a_row_is_explained_alike_alone_and_among_others(matrix):
    booster = boosted(matrix)
    _, among_others = grouped_contributions(booster, matrix, np.arange(5))

    _, alone = grouped_contributions(booster, matrix.iloc[[7]], np.arange(5))

    np.testing.assert_allclose(alone[0], among_others[7], atol=1e-12)


def test_without_rows_there_are_no_contributions(matrix):
    base, result = grouped_contributions(boosted(matrix), matrix.head(0), np.arange(5))

    assert base == pytest.approx(own(boosted(matrix), matrix)[0], abs=1e-12)
    assert result.shape == (0, 5)


def chained(features):
    """Return flags of which one is set in each row, and a tree that asks for one after another."""
    set_flag = np.repeat(np.arange(features), 20)
    matrix = pd.DataFrame(np.eye(features, dtype="float32")[set_flag]).add_prefix("flag_")
    params = {"num_leaves": features, "min_data_in_leaf": 1, "verbosity": -1, "num_threads": 1}
    # Each flag is worth more than the next, so that it is the one to split by.
    label = 1.3**-set_flag
    booster = lightgbm.train(
        {**params, "min_sum_hessian_in_leaf": 0, "feature_pre_filter": False},
        lightgbm.Dataset(matrix, label=label),
        num_boost_round=1,
    )
    return booster, matrix


def test_a_path_of_many_features_is_explained():
    booster, matrix = chained(30)
    mean, contributions = own(booster, matrix)

    base, result = grouped_contributions(booster, matrix, np.arange(30))

    assert base == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(result, contributions, atol=1e-12)


def test_a_path_of_more_features_than_a_number_has_bits_is_refused():
    booster, matrix = chained(64)

    with pytest.raises(ValueError, match=r"a path of \d\d features in a tree of 64 leaves"):
        grouped_contributions(booster, matrix, np.arange(64))
