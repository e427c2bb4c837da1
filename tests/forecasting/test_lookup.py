"""A lookup finds what a left join finds."""

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.lookup import Lookup


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "model": ["b", "a", "b", "a"],
            "store_id": np.array([7, 3, 8, 900], dtype=np.int32),
            "is_promo": [True, False, True, True],
            "value": [1.0, 2.0, 3.0, 4.0],
        }
    )


def rows(**columns):
    asked = {"model": ["a", "b", "b", "c", "a"], "store_id": [3, 3, 8, 3, 900]}
    return pd.DataFrame({**asked, "is_promo": [False, True, True, True, True], **columns})


@pytest.mark.parametrize(
    "keys", [["model", "store_id", "is_promo"], ["model", "store_id"], ["store_id", "model"]]
)
def test_values_are_those_of_a_left_join(table, keys):
    joined = rows().merge(table[[*keys, "value"]], "left", keys)["value"]
    np.testing.assert_array_equal(Lookup(table, keys, ["value"]).at(rows())["value"], joined)


def test_what_is_no_key_has_no_value(table):
    stores = [3.0, np.nan, 900.0, 7.5, -1.0]
    found = Lookup(table, ["store_id"], ["value"]).at(rows(store_id=stores))["value"]
    np.testing.assert_array_equal(found, [2.0, np.nan, 4.0, np.nan, np.nan])


def test_without_keys_there_is_one_value_for_all():
    one = Lookup(pd.DataFrame({"value": [5.0]}), [], ["value"])
    assert one.at(rows())["value"].tolist() == 5.0


def test_an_empty_table_has_no_values(table):
    found = Lookup(table.head(0), ["store_id", "model"], ["value"]).at(table)["value"]
    assert len(found) == len(table)
    assert np.isnan(found).all()
