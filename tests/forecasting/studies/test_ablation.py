"""A group's worth is the error without it less the error with it, over the same store days."""

import math

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.feature_groups import GROUPS
from sales_assets.forecasting.studies import ablation
from sales_assets.forecasting.studies.ablation import COLUMNS, compared
from sales_assets.forecasting.studies.windows import Terms, boosted


def generated(stores=6, days=20):
    """Return squared errors of two windows, the second group's being no different without it."""
    rng = np.random.default_rng(2)
    rows = [
        {"feature_group": group, "cutoff": pd.Timestamp(cutoff), "store_id": store,
         "with_it": (one := float(rng.gamma(store, 0.01))),
         "without": one + (float(rng.gamma(1, 0.02)) if group == "helps" else 0.0)}
        for group in ("helps", "idle") for cutoff in ("2015-01-01", "2015-02-12")
        for store in range(1, stores + 1) for _ in range(days + store)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def by_loop(rows):
    """Return the difference of the two RMSPE, by a plain loop."""
    n, with_it, without = 0, 0.0, 0.0
    for row in rows.itertuples():
        n, with_it, without = n + 1, with_it + row.with_it, without + row.without
    return math.sqrt(without / n) - math.sqrt(with_it / n)


@pytest.mark.parametrize("cutoff", ["2015-01-01", "2015-02-12", None])
def test_difference_and_standard_error_are_those_of_a_loop_over_stores(cutoff):
    errors = generated()
    rows = errors[errors["feature_group"] == "helps"]
    table = compared(errors)
    of_group = table[table["feature_group"] == "helps"]
    if cutoff is None:
        row = of_group[of_group["cutoff"].isna()].iloc[0]
    else:
        rows = rows[rows["cutoff"] == pd.Timestamp(cutoff)]
        row = of_group[of_group["cutoff"] == pd.Timestamp(cutoff)].iloc[0]

    left_out = [by_loop(rows[rows["store_id"] != store]) for store in rows["store_id"].unique()]
    n = len(left_out)
    spread = sum((one - sum(left_out) / n) ** 2 for one in left_out)

    assert row["difference"] == pytest.approx(by_loop(rows))
    assert row["standard_error"] == pytest.approx(math.sqrt((n - 1) / n * spread))
    assert row["days"] == len(rows)


def test_a_group_without_effect_has_no_difference_and_no_error():
    table = compared(generated())
    idle = table[table["feature_group"] == "idle"]

    assert idle["difference"].tolist() == [0, 0, 0]
    assert idle["standard_error"].tolist() == pytest.approx([0, 0, 0])


def test_a_booster_sees_the_features_it_is_given_and_no_other(both, tiny):
    others = [name for name in both[0].known.columns if name not in GROUPS["store"]]

    booster = boosted(both[0], tiny, Terms(features=others))

    assert booster.feature_name() == others


def test_every_group_is_left_out_once_in_each_window(training, cutoffs, tiny):
    table = ablation.run(training, cutoffs, tiny)

    assert list(table.columns) == COLUMNS
    assert set(table["feature_group"]) == set(GROUPS)
    assert len(table) == len(GROUPS) * (len(cutoffs) + 1)
    assert (table["trees"] == tiny.studies.ablation_trees).all()
    by_window = table[table["cutoff"].notna()]
    assert by_window.groupby("cutoff")["rmspe"].nunique().tolist() == [1, 1]
    np.testing.assert_allclose(table["rmspe_without"] - table["rmspe"], table["difference"])
    # Without its calendar a chain with a weekly rhythm is forecast otherwise.
    assert (by_window.set_index("feature_group").loc["calendar", "difference"] != 0).all()
    assert dict(zip(table["feature_group"], table["features"], strict=True)) == {
        group: len(names) for group, names in GROUPS.items()
    }
