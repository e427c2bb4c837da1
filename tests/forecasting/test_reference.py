"""What learnt forecasts are relative to: the anchor, and half of what the whole chain shows."""

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import Frames
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
        anchor = asked["anchor"].iloc[place]
        expected = (reference.typical if pd.isna(anchor) else anchor) + 0.5 * sum(
            float(effect[place]) for effect in effects.values()
        )
        # Anchors are stored with seven digits.
        assert level[place] == pytest.approx(expected, abs=1e-6)
    assert np.abs(level - asked["anchor"].to_numpy(dtype=float)).max() > 0.01


def test_a_store_that_never_sold_has_the_typical_level(reference, asked):
    new = asked.assign(store_id=999, anchor=np.nan)

    anchor = reference.at(new) - np.sum(list(reference.added(new).values()), axis=0)

    assert np.isfinite(reference.at(new)).all()
    np.testing.assert_allclose(anchor, reference.typical)


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
