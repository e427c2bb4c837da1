"""What the baseline and `statistical` make of series that were made by hand."""

from datetime import date, timedelta
from itertools import product

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.baseline import Baseline
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.statistical import Statistical
from sales_assets.settings import BOUNDS, Settings

CUTOFF = date(2015, 6, 14)


def series(
    stores, days, log_level=lambda store, day: 8.0, is_open=lambda store, day: day.weekday() < 6
):
    """Return a history up to CUTOFF whose log sales are a function of store and day."""
    rows = [
        {"store_id": store, "date": day, "is_open": is_open(store, day), "is_promo": promo(day)}
        for store in stores
        for day in pd.date_range(end=pd.Timestamp(CUTOFF), periods=days)
    ]
    history = pd.DataFrame(rows)
    history["sales"] = [
        float(np.exp(log_level(row["store_id"], row["date"]))) if row["is_open"] else 0.0
        for row in rows
    ]
    return history


def promo(day):
    """Tell whether a day is in a week of promotions, which is every other one."""
    return day.weekday() < 5 and (pd.Timestamp(day) - pd.Timestamp(2013, 1, 7)).days // 7 % 2 == 0


def coming(stores, days=42):
    """Return the rows to ask after CUTOFF, in stores that open from Monday to Saturday."""
    rows = []
    for store in stores:
        ahead = 0
        for day in (pd.Timestamp(CUTOFF + timedelta(days=h)) for h in range(1, days + 1)):
            ahead += day.weekday() < 6
            rows.append(
                {
                    "store_id": store,
                    "date": day,
                    "weekday": day.weekday() + 1,
                    "is_promo": promo(day),
                    "open_days_ahead": ahead,
                    "days_since_open": 2 if day.weekday() == 0 else 1,
                    "days_until_open": 2 if day.weekday() == 5 else 1,
                }
            )
    return pd.DataFrame(rows)


def ask(member, history, rows):
    fitted = member(Settings(threads=1)).fit(Frames(pd.DataFrame(), history), CUTOFF)
    return fitted.predict(Frames(rows, history))


def test_the_baseline_is_the_median_of_days_alike():
    rng = np.random.default_rng(1)
    history = series((1, 2, 3), 300, lambda store, day: 8 + 0.2 * store + rng.normal(0, 0.3))
    rows = coming((1, 2, 3))
    first = pd.Timestamp(CUTOFF) - pd.Timedelta(days=181)

    said = np.exp(ask(Baseline, history, rows))

    for row, forecast in zip(rows.itertuples(), said, strict=True):
        if row.weekday == 7:
            continue
        alike = [
            day.sales
            for day in history.itertuples()
            if day.store_id == row.store_id
            and day.date >= first
            and day.date.weekday() + 1 == row.weekday
            and day.is_promo == row.is_promo
            and day.is_open
            and day.sales > 0
        ]
        assert forecast == pytest.approx(float(np.median(alike)))


def test_the_baseline_counts_no_day_without_sales_and_none_too_long_ago():
    days = Settings().baseline.days
    history = series((1,), days + 20, lambda store, day: 8.0)
    too_old = history["date"] <= pd.Timestamp(CUTOFF) - pd.Timedelta(days=days)
    history.loc[too_old, "sales"] = 1e9
    # More than half of the Mondays: a median that counted them would be zero.
    mondays = history.index[(history["date"].dt.dayofweek == 0) & ~too_old]
    history.loc[mondays[:-8], "sales"] = 0.0
    rows = coming((1,))

    assert ask(Baseline, history, rows) == pytest.approx(8.0)


def test_a_chain_that_was_closed_for_longer_than_the_baseline_looks_back_has_its_last_days():
    days = Settings().baseline.days
    closed_from = pd.Timestamp(CUTOFF) - pd.Timedelta(days=days + 5)
    history = series((1,), 3 * days, is_open=lambda store, day: day < closed_from)
    # What is older than that does not count.
    too_old = history["date"] < closed_from - pd.Timedelta(days=days)
    history.loc[too_old & history["is_open"], "sales"] = 1e9

    assert ask(Baseline, history, coming((1,))) == pytest.approx(8.0)


@pytest.mark.parametrize("days", [28, 29, 42])
def test_the_baseline_counts_as_many_days_as_it_is_told(days):
    rng = np.random.default_rng(days)
    history = series((1,), 100, lambda store, day: rng.normal(8, 0.5))
    rows = coming((1,), days=14)
    settings = Settings(baseline={"days": days})

    fitted = Baseline(settings).fit(Frames(pd.DataFrame(), history), CUTOFF)
    said = np.exp(fitted.predict(Frames(rows, history)))

    first = pd.Timestamp(CUTOFF - timedelta(days=days - 1))
    last = history[history["is_open"] & (history["date"] >= first)]
    for row, forecast in zip(rows.itertuples(), said, strict=True):
        alike = (last["date"].dt.dayofweek + 1 == row.weekday) & (last["is_promo"] == row.is_promo)
        if alike.any():
            assert forecast == pytest.approx(last.loc[alike, "sales"].median())


def test_the_baseline_asks_the_store_then_the_days_of_the_chain_where_it_knows_nothing():
    levels = {1: 8.0, 2: 9.0}
    history = series(
        (1, 2),
        100,
        lambda store, day: levels[store] + (0.5 if day.weekday() == 6 else 0.0),
        is_open=lambda store, day: store == 2 or day.weekday() < 6,
    )
    rows = coming((1, 3))
    said = rows.assign(said=ask(Baseline, history, rows)).set_index(["store_id", "weekday"])["said"]
    said = said.sort_index()

    # Store 1 has no Sunday, store 3 has nothing at all; on Sundays the chain is store 2.
    assert said.loc[1, 7].tolist() == pytest.approx([8.0] * 6)
    assert said.loc[3, 7].tolist() == pytest.approx([9.5] * 6)
    middle = np.log((np.exp(8.0) + np.exp(9.0)) / 2)
    assert said.loc[3, 1].tolist() == pytest.approx([middle] * 6)


EFFECTS = {0: 0.2, 1: 0.0, 2: -0.1, 3: 0.0, 4: 0.1, 5: -0.3}


def structured(store, day):
    """Return log sales of a level, an effect of the weekday and one of promotions."""
    return 7.5 + 0.25 * store + EFFECTS[day.weekday()] + (0.3 + 0.05 * store) * promo(day)


def test_effects_of_weekday_and_promotion_are_found_in_a_series_without_noise():
    stores = (1, 2, 3, 4)
    rows = coming(stores)
    opens = rows["weekday"] < 7

    said = ask(Statistical, series(stores, 364, structured), rows)

    expected = [structured(row.store_id, row.date) for row in rows[opens].itertuples()]
    np.testing.assert_allclose(said[opens], expected, atol=1e-6)


def test_a_level_that_changed_is_followed():
    shift = pd.Timestamp(CUTOFF) - pd.Timedelta(days=120)
    rows = coming((1, 2))
    opens = rows["weekday"] < 7

    said = ask(
        Statistical,
        series((1, 2), 364, lambda store, day: structured(store, day) + 0.4 * (day > shift)),
        rows,
    )

    expected = [structured(row.store_id, row.date) + 0.4 for row in rows[opens].itertuples()]
    # Medians of weekdays are mixed of both levels; most of the change is carried on all the same.
    assert np.mean(said[opens] - expected) == pytest.approx(0, abs=0.05)


def wave(day):
    """Return a season of 52 weeks that is highest now."""
    weeks = (pd.Timestamp(CUTOFF) - day).days / 7
    return 0.3 * np.cos(2 * np.pi * weeks / 52)


def test_a_yearly_season_is_found_in_three_years():
    fitted = Statistical(Settings(threads=1)).fit(
        Frames(
            pd.DataFrame(),
            series((1, 2), 3 * 364, lambda store, day: structured(store, day) + wave(day)),
        ),
        CUTOFF,
    )
    season = fitted.effects.season

    assert len(season) == 52
    assert season["week_end"].tolist() == [
        pd.Timestamp(CUTOFF - timedelta(weeks=week)) for week in range(52)
    ]
    middle = [wave(end - pd.Timedelta(days=3)) for end in season["week_end"]]
    assert season["season"].mean() == pytest.approx(0)
    np.testing.assert_allclose(season["season"], middle, atol=0.06)


def test_a_season_makes_the_forecast_of_the_coming_weeks_fall_or_rise():
    rows = coming((1, 2), days=56)
    opens = rows["weekday"] < 7
    history = series((1, 2), 3 * 364, lambda store, day: structured(store, day) + wave(day))

    said = ask(Statistical, history, rows)[opens]

    days = rows[opens]
    change = said - [structured(row.store_id, row.date) for row in days.itertuples()]
    expected = np.array([wave(day) for day in days["date"]])
    # From its top the season falls by 0.19 in eight weeks.
    assert np.corrcoef(change, expected)[0, 1] > 0.9
    np.testing.assert_allclose(change, expected, atol=0.08)


@pytest.mark.parametrize("days", [100, 364, 721])
def test_less_than_two_years_have_no_season(days):
    fitted = Statistical(Settings(threads=1)).fit(
        Frames(
            pd.DataFrame(),
            series((1,), days, lambda store, day: structured(store, day) + wave(day)),
        ),
        CUTOFF,
    )

    assert fitted.effects.season["season"].eq(0).all()


@pytest.mark.filterwarnings("ignore:Historical data")
@pytest.mark.parametrize("name", ["baseline", "statistical"])
def test_a_store_with_few_selling_days_or_none_has_a_finite_forecast(name):
    new = pd.Timestamp(CUTOFF) - pd.Timedelta(days=2)
    history = series((1, 2, 3), 364, structured)
    history.loc[(history["store_id"] == 2) & (history["date"] < new), ["sales", "is_open"]] = [
        0.0, False
    ]  # fmt: skip
    history.loc[history["store_id"] == 3, ["sales", "is_open"]] = [0.0, False]

    said = ask(MEMBERS[name], history, coming((1, 2, 3, 4)))

    assert np.isfinite(said).all()
    assert said.min() > 6
    assert said.max() < 10


def test_a_day_further_ahead_than_any_path_takes_its_last_step():
    history = series((1,), 364, structured)
    rows = coming((1,), days=84)
    opens = rows["weekday"] < 7

    said = ask(Statistical, history, rows)

    expected = [structured(row.store_id, row.date) for row in rows[opens].itertuples()]
    np.testing.assert_allclose(said[opens], expected, atol=1e-6)


# How wide the bounds of a store are to begin with; those of store 3 were not asked for.
WIDTHS = {1: 1.0, 2: 3.0, 3: np.nan}


@pytest.fixture
def rising():
    """Three stores whose paths rise by 0.1 a step for 50 of them, their bounds for 42."""
    history = series(WIDTHS, 364, structured)
    fitted = Statistical(Settings(threads=1)).fit(Frames(pd.DataFrame(), history), CUTOFF)
    paths = pd.DataFrame(product(WIDTHS, range(1, 51)), columns=["store_id", "step"])
    paths["level"] = paths["store_id"] + paths["step"] / 10
    width = paths["store_id"].map(WIDTHS) * paths["step"].where(paths["step"] <= 42)
    for place, bound in enumerate(BOUNDS, start=1):
        paths[bound] = place * width
    fitted.paths = paths
    return fitted


@pytest.mark.parametrize(
    ("ahead", "step"), [(0, 1), (1, 1), (2, 2), (41, 41), (42, 42), (43, 43), (50, 50), (51, 50)]
)
def test_a_day_takes_the_step_of_its_path_that_is_as_many_open_days_ahead(rising, ahead, step):
    rows = coming(WIDTHS, days=1).assign(open_days_ahead=ahead)

    said = rising.predict(Frames(rows, pd.DataFrame()))
    bounds = rising.predict_interval(Frames(rows, pd.DataFrame()))

    level = said - rising.effects.at(rows)
    assert level == pytest.approx([1 + step / 10, 2 + step / 10, 3 + step / 10])
    for place, bound in enumerate(BOUNDS, start=1):
        first = place * min(step, 42)
        # Store 3 takes the median of the others.
        assert (bounds[bound] - said).tolist() == pytest.approx([first, 3 * first, 2 * first])
