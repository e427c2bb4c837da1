"""Permuting what a model does not use changes nothing; what it does use, its error."""

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.feature_groups import GROUP_OF
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.random_forest import RandomForest
from sales_assets.forecasting.studies import importance
from sales_assets.forecasting.studies.importance import COLUMNS, permuted, split_shares


def test_only_the_feature_that_forecasts_depend_on_raises_the_error(both, tiny):
    rises = permuted(lambda matrix: 0.2 * (matrix["weekday"] == 1).to_numpy(), both[0], tiny)

    changed = rises[rises["rise"] != 0]
    assert set(changed["subject"]) == {"weekday", GROUP_OF["weekday"]}
    assert rises.groupby("subject").size().unique().tolist() == [tiny.studies.repeats]


def test_a_group_is_permuted_together(both, tiny):
    def predict(matrix):
        # Zero as long as the two are dealt out in the same order.
        return (matrix["weekday"] * 31 + matrix["day_of_month"] - together).to_numpy() / 100

    window = both[0]
    whole = tiny.model_copy(
        update={"studies": tiny.studies.model_copy(update={"rows": len(window.asked)})}
    )
    together = (window.asked["weekday"] * 31 + window.asked["day_of_month"]).reset_index(drop=True)
    rises = permuted(predict, window, whole).set_index(["subject", "repeat"])["rise"]

    alone = rises["weekday"] + rises["day_of_month"]
    assert (rises["calendar"] != 0).all()
    assert not np.allclose(rises["calendar"], alone)


def test_the_rise_is_that_of_the_rmspe_on_the_sampled_days(both, tiny):
    window = both[1]
    seen = []

    def predict(matrix):
        seen.append(matrix.copy())
        return np.full(len(matrix), 0.1)

    rises = permuted(predict, window, tiny)

    assert (rises["rise"] == 0).all()
    assert {len(matrix) for matrix in seen} == {tiny.studies.rows}
    before = seen[0]
    for matrix in seen[1:]:
        for name in matrix:
            np.testing.assert_array_equal(np.sort(matrix[name]), np.sort(before[name]))


@pytest.mark.parametrize("member", [LightGBM, RandomForest])
def test_shares_of_the_splits_cover_every_feature_and_sum_to_one(
    member, training, cutoffs, both, tiny
):
    fitted = member(tiny).fit(training.known_at(cutoffs[0]), cutoffs[0])

    shares = split_shares(fitted)

    # The imputer leaves out what has no value at all.
    empty = set(both[0].known.columns[both[0].known.isna().all()])
    assert set(shares.index) | empty == set(both[0].known.columns)
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()


def test_there_is_one_row_for_each_model_and_feature_the_same_every_time(
    training, cutoffs, both, tiny
):
    table = importance.run(training, cutoffs, tiny)
    again = importance.run(training, cutoffs, tiny)

    pd.testing.assert_frame_equal(table, again)
    assert list(table.columns) == COLUMNS
    assert not table.duplicated(["model", "feature"]).any()
    for _, rows in table.groupby("model"):
        assert set(rows["feature"]) == set(both[0].known.columns)
    assert (table["feature_group"] == table["feature"].map(GROUP_OF)).all()
    grouped = table.groupby(["model", "feature_group"])["group_permutation"].nunique()
    assert (grouped == 1).all()


def test_the_mean_rise_is_over_windows_and_its_error_too(training, cutoffs, both, tiny):
    rises = [
        permuted(
            lambda matrix, fitted=fitted: fitted.boosters[0].predict(matrix, num_threads=1),
            window,
            tiny,
        )
        for window in both
        for fitted in [LightGBM(tiny).fit(training.known_at(window.cutoff), window.cutoff)]
    ]
    of_windows = [rise.query("subject == 'day_of_month'")["rise"].mean() for rise in rises]
    expected = pd.Series(of_windows)

    table = importance.run(training, cutoffs, tiny).set_index(["model", "feature"])

    row = table.loc[("lightgbm", "day_of_month")]
    assert row["permutation"] == pytest.approx(expected.mean())
    assert row["permutation_error"] == pytest.approx(expected.std() / len(expected) ** 0.5)
    assert row["rows"] == tiny.studies.rows
