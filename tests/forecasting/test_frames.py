"""What models see: nothing later than the cutoff, and numbers that they understand."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import (
    CATEGORIES,
    KEYS,
    LABEL,
    Frames,
    anchors,
    feature_names,
    model_matrix,
    read_frames,
)


@pytest.fixture(scope="module", params=["first window", "second window", "any week"])
def cutoff(request, con, settings):
    first, second = backtest_cutoffs(last_sales_day(con), settings)
    return {
        "first window": first,
        "second window": second,
        "any week": first - timedelta(weeks=9),
    }[request.param]


def test_what_is_known_at_a_cutoff_ends_with_it(training, cutoff):
    known = training.known_at(cutoff)

    assert known.rows["date"].max() <= pd.Timestamp(cutoff)
    assert known.rows["cutoff"].max() < pd.Timestamp(cutoff)
    assert known.history["date"].max() == pd.Timestamp(cutoff)


def test_everything_up_to_the_cutoff_is_known(training, cutoff):
    known = training.known_at(cutoff)
    expected = [
        (row.cutoff, row.store_id, row.date)
        for row in training.rows.itertuples()
        if row.date.date() <= cutoff and row.is_training
    ]

    assert list(known.rows[list(KEYS)].itertuples(index=False, name=None)) == expected
    days = [row for row in training.history.itertuples(index=False) if row.date.date() <= cutoff]
    assert list(known.history.itertuples(index=False)) == days


def test_what_is_learnt_from_has_a_label(training, cutoff):
    known = training.known_at(cutoff).rows

    assert len(known) > 1_000
    assert known["is_training"].all()
    assert np.isfinite(known[LABEL]).all()


def test_what_is_asked_at_a_cutoff_is_the_horizon_of_every_store(training, settings, con):
    for cutoff in backtest_cutoffs(last_sales_day(con), settings):
        asked = training.asked_at(cutoff)

        assert (asked.rows["cutoff"] == pd.Timestamp(cutoff)).all()
        assert asked.rows.groupby("store_id")["h"].apply(list).tolist() == (
            [list(range(1, settings.horizon + 1))] * 12
        )
        assert (asked.rows["date"] - asked.rows["cutoff"]).dt.days.eq(asked.rows["h"]).all()
        assert asked.history["date"].max() == pd.Timestamp(cutoff)


def test_a_cutoff_that_no_one_asked_for_has_no_rows(training):
    assert training.asked_at(pd.Timestamp("2030-01-01").date()).rows.empty


def test_the_rows_to_forecast_come_after_the_last_known_day(future, con):
    last_day = pd.Timestamp(last_sales_day(con))

    assert (future.rows["cutoff"] == last_day).all()
    assert future.rows["date"].min() == last_day + pd.Timedelta(days=1)
    assert future.history["date"].max() == last_day
    assert future.rows[LABEL].isna().all()


def test_keys_labels_and_openings_are_no_features(training):
    names = feature_names(training.rows)

    assert not {*KEYS, LABEL, "is_training", "is_open"} & set(names)
    assert {"h", "weekday", "is_promo", "anchor", *CATEGORIES} <= set(names)
    assert len(names) == len(set(names)) == len(training.rows.columns) - 6


def test_training_and_future_have_the_same_features_in_the_same_order(training, future):
    assert feature_names(training.rows) == feature_names(future.rows)
    assert training.rows.dtypes.astype(str).to_dict() == future.rows.dtypes.astype(str).to_dict()


def test_the_matrix_has_every_feature_as_a_number_and_the_store_last(training):
    matrix = model_matrix(training.rows)

    assert list(matrix.columns) == [*feature_names(training.rows), "store_id"]
    assert set(matrix.dtypes) == {np.dtype("float32")}
    assert len(matrix) == len(training.rows)
    for name in ("is_promo", "is_school_holiday", "is_promo2_month"):
        assert set(matrix[name].unique()) <= {0.0, 1.0}
        assert (matrix[name] == 1).equals(training.rows[name])


def test_members_that_ask_for_the_same_rows_share_their_matrix(training):
    frames = Frames(training.rows, training.history)

    assert frames.matrix.equals(model_matrix(training.rows))
    assert frames.matrix is frames.matrix


@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_are_their_places_in_the_vocabulary(training, name):
    matrix = model_matrix(training.rows)

    expected = [CATEGORIES[name].index(value) for value in training.rows[name]]
    assert matrix[name].tolist() == expected


def test_categories_keep_their_codes_where_some_do_not_occur(training):
    one_type = training.rows[training.rows["store_type"] == "d"]

    assert not one_type.empty
    assert set(model_matrix(one_type)["store_type"]) == {3.0}


def test_what_is_unknown_is_nan_in_the_matrix(training):
    rows = training.rows
    matrix = model_matrix(rows)

    for name in ("promo_day", "competition_age_months", "profile_occurrences"):
        assert matrix[name].isna().equals(rows[name].isna())
    assert matrix["promo_day"].isna().any()


def test_anchors_are_unknown_for_a_store_that_never_sold(training):
    rows = training.rows.head(3).copy()
    rows["anchor"] = pd.array([8.5, None, 9.0], dtype="Float32")

    assert anchors(rows).tolist()[::2] == [8.5, 9.0]
    assert np.isnan(anchors(rows)[1])


def test_frames_are_read_in_the_order_of_their_keys(con, training):
    frames = read_frames(con, "features.training")

    for table, keys in ((frames.rows, list(KEYS)), (frames.history, ["store_id", "date"])):
        assert table[keys].equals(table.sort_values(keys)[keys].reset_index(drop=True))
        assert not table.duplicated(keys).any()
    pd.testing.assert_frame_equal(frames.rows, training.rows)
