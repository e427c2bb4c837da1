"""Every feature belongs to exactly one group."""

from collections import Counter

from sales_assets.forecasting.feature_groups import GROUPS, UNGROUPED, grouped
from sales_assets.forecasting.frames import model_matrix


def test_every_feature_is_in_exactly_one_group_and_every_grouped_name_is_a_feature(training):
    counts = Counter(name for names in GROUPS.values() for name in names)

    assert set(counts) == set(model_matrix(training.rows.head(1)).columns)
    assert set(counts.values()) == {1}


def test_features_are_grouped_in_order_and_unknown_ones_are_not_lost():
    found = grouped(["store_id", "new_feature", "weekday", "day_of_year"])

    assert found == {
        "calendar": ["weekday", "day_of_year"], "store": ["store_id"], UNGROUPED: ["new_feature"],
    }  # fmt: skip
    assert list(found) == ["calendar", "store", UNGROUPED]
