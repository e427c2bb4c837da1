"""What learnt forecasts are relative to: the anchor, and half of what the whole chain shows."""

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import Frames, typical_anchors
from sales_assets.forecasting.reference import Reference


@pytest.fixture(scope="module")
def cutoff(con, settings):
    return backtest_cutoffs(last_sales_day(con), settings)[-1]


@pytest.fixture(scope="module")
def known(training, cutoff):
    frames = training.known_at(cutoff)
    return Frames(frames.rows[frames.rows["anchor"].notna()], frames.history)


@pytest.fixture(scope="module")
def reference(known, cutoff):
    return Reference.fit(known, cutoff)


@pytest.fixture(scope="module")
def asked(training, cutoff):
    return training.asked_at(cutoff).rows.reset_index(drop=True)


def test_it_is_the_anchor_and_half_of_the_chains_effects(reference, asked):
    effects = reference.effects.of_chain(asked)
    level = reference.at(asked)

    assert set(effects) == {"month", "before", "after", "feast", "season"}
    for place in range(0, len(asked), 31):
        day = asked.iloc[place]
        typical = reference.typical[day["weekday"] - 1, int(day["is_promo"])]
        expected = (typical if pd.isna(day["anchor"]) else day["anchor"]) + 0.5 * sum(
            float(effect[place]) for effect in effects.values()
        )
        # Anchors are stored with seven digits.
        assert level[place] == pytest.approx(expected, abs=1e-6)
    assert np.abs(level - asked["anchor"].to_numpy(dtype=float)).max() > 0.01


def test_a_store_that_never_sold_has_the_typical_level_of_such_days(reference, known, asked):
    new = asked.assign(store_id=999, anchor=np.nan)

    anchor = reference.at(new) - np.sum(list(reference.added(new).values()), axis=0)

    levels = {store: rows["anchor"].median() for store, rows in known.rows.groupby("store_id")}
    beside = {}
    for row in known.rows.itertuples():
        kind = beside.setdefault((row.weekday, row.is_promo), [])
        kind.append(row.anchor - levels[row.store_id])
    level = np.median(known.rows["anchor"])
    expected = [
        # No store of the sample has ever sold on a Sunday.
        level + np.median(beside.get((day.weekday, day.is_promo), [0.0]))
        for day in new.itertuples()
    ]
    np.testing.assert_allclose(anchor, expected, atol=1e-6)
    with_promo, without = (
        anchor[(new["weekday"] == 1) & (new["is_promo"] == is_promo)] for is_promo in (True, False)
    )
    # A promotion is worth as much in a store that nobody knows as in the others.
    assert 0.1 < with_promo.mean() - without.mean() < 0.8


def test_a_kind_of_day_that_no_store_had_has_the_level_of_all(known):
    rows = known.rows[(known.rows["weekday"] != 7) & ~known.rows["is_promo"]]

    typical = typical_anchors(rows)

    assert typical.shape == (7, 2)
    assert typical[6].tolist() == typical[:, 1].tolist()[:2] == [rows["anchor"].median()] * 2


def test_a_version_of_before_has_one_level_for_all_days(reference, asked, tmp_path):
    reference.save(tmp_path)
    (tmp_path / "typical_anchor.json").write_text("8.5")

    new = asked.assign(anchor=np.nan)

    assert Reference.load(tmp_path).anchors(new).tolist() == [8.5] * len(new)


def test_days_on_which_the_whole_chain_sells_more_are_expected_to(known, cutoff, asked):
    """A third more on each last day of a month, since the history began."""
    last_day = known.history["date"].dt.is_month_end
    boosted = known.history.assign(sales=known.history["sales"] * np.where(last_day, 4 / 3, 1.0))
    plain, more = (
        Reference.fit(Frames(known.rows, history), cutoff) for history in (known.history, boosted)
    )
    gained = more.added(asked)["month"] - plain.added(asked)["month"]

    is_last = asked["date"].dt.is_month_end.to_numpy()
    assert is_last.any()
    # Half of it, and a little less where twelve stores' days tell it.
    assert 0.6 * np.log(4 / 3) / 2 < (gained[is_last].mean() - gained[~is_last].mean())
    assert (gained[is_last].mean() - gained[~is_last].mean()) < np.log(4 / 3) / 2


def test_saved_and_loaded_it_gives_the_same_bits(reference, asked, tmp_path):
    reference.save(tmp_path)

    np.testing.assert_array_equal(Reference.load(tmp_path).at(asked), reference.at(asked))
