"""Every member of the ensemble: fitted, asked, saved and loaded, always with the same answer."""

import zipfile
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting.baseline import Baseline
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import Frames, model_matrix
from sales_assets.forecasting.lightgbm import LightGBM, recency_weights
from sales_assets.forecasting.random_forest import RandomForest, prepared
from sales_assets.forecasting.statistical import Statistical
from sales_assets.settings import Settings

# What a file of a version may be: none of these is ever unpickled.
SUFFIXES = {
    ".txt", ".json", ".parquet", ".skops", ".h5",
    # A SavedModel's graph and its variables.
    ".pb", ".index", ".data-00000-of-00001",
}  # fmt: skip
# First bytes of a pickle, protocol 2 and later; earlier ones are text that begins with "(" or "c".
PICKLE = (b"\x80", b"(", b"c")
CUTOFF = date(2015, 6, 14)


@pytest.fixture(scope="module")
def one_thread(settings):
    """Settings of one thread: two that spin for one another stall on a busy machine."""
    return settings.model_copy(update={"threads": 1})


@pytest.fixture(scope="module")
def cutoff(con, settings):
    return backtest_cutoffs(last_sales_day(con), settings)[-1]


@pytest.fixture(scope="module", params=MEMBERS)
def member(request):
    return MEMBERS[request.param]


@pytest.fixture(scope="module")
def fitted(member, one_thread, training, cutoff):
    return member(one_thread).fit(training.known_at(cutoff), cutoff)


@pytest.fixture(scope="module")
def asked(training, cutoff):
    return training.asked_at(cutoff)


def test_the_forest_prepares_rows_as_its_pipeline_does(one_thread, training, cutoff, asked):
    fitted = RandomForest(one_thread).fit(training.known_at(cutoff), cutoff)
    unlike = asked.rows.copy()
    unlike.loc[unlike.index[::3], ["anchor", "level_14", "state_holiday"]] = None
    for rows in (asked.rows, asked.rows.head(1), unlike):
        matrix = model_matrix(rows)
        columns = fitted.pipeline.named_steps["columns"]
        expected = columns.transform(matrix).astype(np.float32)
        np.testing.assert_array_equal(prepared(columns, matrix), expected)


def test_every_member_says_what_it_is_and_how_it_is_set(member, one_thread):
    assert member.name in MEMBERS
    assert member.__doc__
    assert member(one_thread).parameters == getattr(one_thread, member.name)


def test_a_forecast_is_finite_for_every_row(fitted, asked):
    forecast = fitted.predict(asked)

    assert forecast.shape == (len(asked.rows),)
    assert forecast.dtype == np.float64
    assert np.isfinite(forecast).all()


def test_a_closed_day_has_a_forecast_as_if_the_store_opened(fitted, asked):
    is_closed = ~asked.rows["is_open"].to_numpy()
    forecast = np.exp(fitted.predict(asked))

    assert is_closed.any()
    assert forecast[is_closed].min() > 100


def test_a_forecast_is_of_the_size_of_the_stores_sales(fitted, asked):
    known = asked.rows["log_sales"].notna().to_numpy()
    error = fitted.predict(asked)[known] - asked.rows["log_sales"].to_numpy()[known]

    assert np.abs(error).mean() < 0.25


def test_days_after_the_last_known_sales_are_forecast_too(fitted, future):
    assert np.isfinite(fitted.predict(future)).all()


def test_fitting_twice_gives_the_same_bits(member, fitted, one_thread, training, asked, cutoff):
    again = member(one_thread).fit(training.known_at(cutoff), cutoff)

    np.testing.assert_array_equal(again.predict(asked), fitted.predict(asked))


def test_asking_twice_gives_the_same_bits(fitted, asked):
    np.testing.assert_array_equal(fitted.predict(asked), fitted.predict(asked))


def test_fitting_and_asking_leave_the_frames_as_they_were(member, one_thread, training, cutoff):
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    copies = [frame.copy() for frame in (known.rows, known.history, asked.rows, asked.history)]

    member(one_thread).fit(known, cutoff).predict(asked)

    for frame, copy in zip(
        (known.rows, known.history, asked.rows, asked.history), copies, strict=True
    ):
        pd.testing.assert_frame_equal(frame, copy, check_exact=True)


def test_saved_and_loaded_it_gives_the_same_bits(member, fitted, one_thread, asked, tmp_path):
    fitted.save(tmp_path)
    loaded = member.load(tmp_path, one_thread)

    np.testing.assert_array_equal(loaded.predict(asked), fitted.predict(asked))


def test_nothing_is_pickled(fitted, tmp_path):
    fitted.save(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert files
    for path in files:
        assert path.suffix in SUFFIXES, path
        assert not path.read_bytes().startswith(PICKLE), path
        if path.suffix == ".skops":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    assert name.endswith((".npy", ".json")), name
                    assert not archive.read(name).startswith(PICKLE), name


@pytest.mark.parametrize("stores", [[5], [1, 7, 12], [12, 1]], ids=str)
def test_some_stores_are_forecast_as_among_all(fitted, asked, stores):
    some = asked.rows["store_id"].isin(stores).to_numpy()
    subset = Frames(asked.rows[some], asked.history[asked.history["store_id"].isin(stores)])

    # Products of matrices round by their size; the promise is 1e-6 of the forecast.
    np.testing.assert_allclose(
        fitted.predict(subset), fitted.predict(asked)[some], rtol=0, atol=3e-7
    )


def test_the_order_of_the_rows_does_not_matter(fitted, asked):
    order = np.random.default_rng(1).permutation(len(asked.rows))
    shuffled = Frames(asked.rows.iloc[order], asked.history)

    np.testing.assert_array_equal(fitted.predict(shuffled), fitted.predict(asked)[order])


@pytest.mark.parametrize("h", [1, 42])
@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "lstm"])
def test_one_day_is_forecast_as_among_all(name, one_thread, training, asked, cutoff, h):
    """Not the LSTM, whose decoder reads the plan of a whole window."""
    fitted = MEMBERS[name](one_thread).fit(training.known_at(cutoff), cutoff)
    chosen = ((asked.rows["h"] == h) & (asked.rows["store_id"] == 4)).to_numpy()

    alone = fitted.predict(Frames(asked.rows[chosen], asked.history))

    np.testing.assert_array_equal(alone, fitted.predict(asked)[chosen])


@pytest.mark.parametrize("name", ["random_forest", "lightgbm"])
def test_another_seed_grows_other_trees(name, one_thread, training, asked, cutoff):
    other = one_thread.model_copy(update={"seed": one_thread.seed + 1})
    first, second = (
        MEMBERS[name](chosen).fit(training.known_at(cutoff), cutoff).predict(asked)
        for chosen in (one_thread, other)
    )

    assert (first != second).any()


def test_a_forest_does_not_depend_on_the_number_of_threads(one_thread, training, asked, cutoff):
    forecasts = [
        MEMBERS["random_forest"](one_thread.model_copy(update={"threads": threads}))
        .fit(training.known_at(cutoff), cutoff)
        .predict(asked)
        for threads in (1, 2, 4)
    ]

    np.testing.assert_array_equal(forecasts[0], forecasts[1])
    np.testing.assert_array_equal(forecasts[0], forecasts[2])


def test_boosters_of_several_seeds_are_averaged(one_thread, training, asked, cutoff, tmp_path):
    small = one_thread.lightgbm.model_copy(update={"trees": 5})
    known = training.known_at(cutoff)

    def forecast(seed, seeds):
        chosen = one_thread.model_copy(
            update={"seed": seed, "lightgbm": small.model_copy(update={"seeds": seeds})}
        )
        fitted = MEMBERS["lightgbm"](chosen).fit(known, cutoff)
        directory = tmp_path / f"{seed}-{seeds}"
        directory.mkdir()
        fitted.save(directory)
        loaded = MEMBERS["lightgbm"].load(directory, chosen)
        np.testing.assert_array_equal(loaded.predict(asked), fitted.predict(asked))
        return fitted.predict(asked)

    np.testing.assert_allclose(
        forecast(3, 3), np.mean([forecast(3, 1), forecast(4, 1), forecast(5, 1)], axis=0)
    )


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


@pytest.mark.parametrize(("half_life", "expected"), [
    (None, [1, 1, 1]), (10, [1, 0.5, 0.25]), (20, [1, 0.5**0.5, 0.5]),
])  # fmt: skip
def test_a_row_counts_half_as_much_every_half_life_before_the_cutoff(half_life, expected):
    days = pd.Series(pd.to_datetime(["2015-06-14", "2015-06-04", "2015-05-25"]), index=[7, 3, 9])

    assert recency_weights(days, CUTOFF, half_life).tolist() == pytest.approx(expected)


def test_a_short_half_life_makes_lightgbm_follow_the_last_weeks(training, one_thread, cutoff):
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    # The level of the last eight weeks is another one, which no feature tells of.
    recent = known.rows["date"] > pd.Timestamp(cutoff) - pd.Timedelta(weeks=8)
    shifted = known.rows.assign(log_sales=known.rows["log_sales"] + 0.5 * recent)
    level = {}
    for half_life in (None, 7):
        chosen = one_thread.lightgbm.model_copy(update={"half_life_days": half_life})
        settings = one_thread.model_copy(update={"lightgbm": chosen})
        fitted = LightGBM(settings).fit(Frames(shifted, known.history), cutoff)
        level[half_life] = fitted.predict(asked).mean()

    assert level[7] > level[None] + 0.05
