"""Every member of the ensemble: fitted, asked, saved and loaded, always with the same answer."""

import zipfile
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.cleaned import clean_plan, clean_sales
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.features import backtest_cutoffs, build_future, last_sales_day
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.forecasting.lightgbm import LightGBM, recency_weights
from sales_assets.forecasting.places import Places
from sales_assets.forecasting.random_forest import RandomForest, prepared
from tests.conftest import load_and_clean

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
def cutoff(con, settings):
    return backtest_cutoffs(last_sales_day(con), settings)[-1]


@pytest.fixture(scope="module")
def last_day(con):
    return last_sales_day(con)


@pytest.fixture(scope="module", params=MEMBERS)
def member(request):
    return MEMBERS[request.param]


@pytest.fixture(scope="module")
def fitted(member, settings, training, cutoff):
    return member(settings).fit(training.known_at(cutoff), cutoff)


@pytest.fixture(scope="module")
def asked(training, cutoff):
    return training.asked_at(cutoff)


def test_the_forest_prepares_rows_as_its_pipeline_does(settings, training, cutoff, asked):
    fitted = RandomForest(settings).fit(training.known_at(cutoff), cutoff)
    unlike = asked.rows.copy()
    unlike.loc[unlike.index[::3], ["anchor", "level_14", "state_holiday"]] = None
    for rows in (asked.rows, asked.rows.head(1), unlike):
        matrix = fitted.places.matrix_of(rows)
        columns = fitted.pipeline.named_steps["columns"]
        expected = columns.transform(matrix).astype(np.float32)
        np.testing.assert_array_equal(prepared(columns, matrix), expected)


def test_every_member_says_what_it_is_and_how_it_is_set(member, settings):
    assert member.name in MEMBERS
    assert member.__doc__
    assert member(settings).parameters == getattr(settings, member.name)


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


def future_after(change, source, settings, scratch):
    """Return what is asked after the last day, had the past of some stores been another."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, scratch)
        con.execute(change)
        clean_sales(con)
        clean_plan(con, settings)
        build_future(con, settings)
        return read_frames(con, "features.future")


def of_store(fitted, asked, store):
    rows = asked.rows[(asked.rows["store_id"] == store) & asked.rows["is_open"]]
    return fitted.predict(Frames(rows, asked.history))


# Their forecasts rest on the rows that they are asked with; the others keep each store's level.
LEARNERS = ("random_forest", "lightgbm", "lstm")


@pytest.mark.parametrize("member", LEARNERS, indirect=True)
def test_a_store_larger_than_any_before_is_forecast_at_its_own_level(
    fitted, future, source, settings, tmp_path
):
    """Trees alone cannot: no leaf of theirs is as high as eight times the sales."""
    change = "update raw.sales set sales = 8 * sales, customers = 8 * customers where store_id = 5"
    larger = future_after(change, source, settings, tmp_path)

    times = np.exp(of_store(fitted, larger, 5) - of_store(fitted, future, 5))
    assert np.exp(of_store(fitted, larger, 5).mean()) > 2 * future.history["sales"].max()
    np.testing.assert_allclose(np.median(times), 8, rtol=0.1)
    np.testing.assert_allclose(times, 8, rtol=0.25)


@pytest.mark.parametrize("member", LEARNERS, indirect=True)
def test_a_store_back_from_five_months_of_refurbishment_is_forecast_near_its_old_level(
    fitted, future, source, settings, last_day, tmp_path
):
    first, last = last_day - timedelta(days=155), last_day - timedelta(days=5)
    change = (
        "update raw.sales set sales = 0, customers = 0, is_open = false"
        f" where store_id = 5 and date between '{first}' and '{last}'"
    )
    back = future_after(change, source, settings, tmp_path)

    times = np.exp(of_store(fitted, back, 5) - of_store(fitted, future, 5))
    assert abs(np.log(np.median(times))) < 0.15


def test_days_after_the_last_known_sales_are_forecast_too(fitted, future):
    assert np.isfinite(fitted.predict(future)).all()


def test_asking_twice_gives_the_same_bits(fitted, asked):
    np.testing.assert_array_equal(fitted.predict(asked), fitted.predict(asked))


def test_fitting_again_gives_the_same_bits_and_leaves_the_frames_as_they_were(
    member, fitted, settings, training, cutoff
):
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    copies = [frame.copy() for frame in (known.rows, known.history, asked.rows, asked.history)]

    again = member(settings).fit(known, cutoff).predict(asked)

    np.testing.assert_array_equal(again, fitted.predict(asked))
    for frame, copy in zip(
        (known.rows, known.history, asked.rows, asked.history), copies, strict=True
    ):
        pd.testing.assert_frame_equal(frame, copy, check_exact=True)


def test_saved_and_loaded_it_gives_the_same_bits(member, fitted, settings, asked, tmp_path):
    fitted.save(tmp_path)
    loaded = member.load(tmp_path, settings)

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
def test_one_day_is_forecast_as_among_all(name, settings, training, asked, cutoff, h):
    """Not the LSTM, whose decoder reads the plan of a whole window."""
    fitted = MEMBERS[name](settings).fit(training.known_at(cutoff), cutoff)
    chosen = ((asked.rows["h"] == h) & (asked.rows["store_id"] == 4)).to_numpy()

    alone = fitted.predict(Frames(asked.rows[chosen], asked.history))

    np.testing.assert_array_equal(alone, fitted.predict(asked)[chosen])


@pytest.mark.parametrize("name", ["random_forest", "lightgbm"])
def test_another_seed_grows_other_trees(name, settings, training, asked, cutoff):
    other = settings.model_copy(update={"seed": settings.seed + 1})
    first, second = (
        MEMBERS[name](chosen).fit(training.known_at(cutoff), cutoff).predict(asked)
        for chosen in (settings, other)
    )

    assert (first != second).any()


def test_a_forest_does_not_depend_on_the_number_of_threads(settings, training, asked, cutoff):
    forecasts = [
        MEMBERS["random_forest"](settings.model_copy(update={"threads": threads}))
        .fit(training.known_at(cutoff), cutoff)
        .predict(asked)
        for threads in (1, 2, 4)
    ]

    np.testing.assert_array_equal(forecasts[0], forecasts[1])
    np.testing.assert_array_equal(forecasts[0], forecasts[2])


@pytest.mark.parametrize("kind", [LightGBM, RandomForest])
def test_large_store_numbers_change_no_forecast_and_cost_no_memory(
    kind, settings, training, asked, cutoff, tmp_path
):
    """Numbers of eight digits, which single precision cannot tell apart, in the same order."""

    def renumbered(frames):
        return Frames(
            frames.rows.assign(store_id=frames.rows["store_id"] + 99_999_000),
            frames.history.assign(store_id=frames.history["store_id"] + 99_999_000),
        )

    known = training.known_at(cutoff)
    small = kind(settings).fit(known, cutoff)
    large = kind(settings).fit(renumbered(known), cutoff)
    np.testing.assert_array_equal(large.predict(renumbered(asked)), small.predict(asked))
    large.save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5e6


def test_a_store_that_was_not_learnt_from_is_no_other_store(training, asked):
    places = Places.learn(training.rows[training.rows["store_id"] != 5])
    placed = places.matrix(asked)["store_id"]

    assert places.stores.tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert set(placed[asked.rows["store_id"] == 5]) == {-1}
    assert set(placed[asked.rows["store_id"] == 12]) == {10}
    pd.testing.assert_frame_equal(places.matrix(asked), places.matrix_of(asked.rows))


def test_boosters_of_several_seeds_are_averaged(settings, training, asked, cutoff, tmp_path):
    small = settings.lightgbm.model_copy(update={"trees": 5})
    known = training.known_at(cutoff)

    def forecast(seed, seeds):
        chosen = settings.model_copy(
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


@pytest.mark.parametrize(("half_life", "expected"), [
    (None, [1, 1, 1]), (10, [1, 0.5, 0.25]), (20, [1, 0.5**0.5, 0.5]),
])  # fmt: skip
def test_a_row_counts_half_as_much_every_half_life_before_the_cutoff(half_life, expected):
    days = pd.Series(pd.to_datetime(["2015-06-14", "2015-06-04", "2015-05-25"]), index=[7, 3, 9])

    assert recency_weights(days, CUTOFF, half_life).tolist() == pytest.approx(expected)


def test_a_short_half_life_makes_lightgbm_follow_the_last_weeks(training, settings, cutoff):
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    # The level of the last eight weeks is another one, which no feature tells of.
    recent = known.rows["date"] > pd.Timestamp(cutoff) - pd.Timedelta(weeks=8)
    shifted = known.rows.assign(log_sales=known.rows["log_sales"] + 0.5 * recent)
    level = {}
    for half_life in (None, 7):
        chosen = settings.lightgbm.model_copy(update={"half_life_days": half_life})
        shorter = settings.model_copy(update={"lightgbm": chosen})
        fitted = LightGBM(shorter).fit(Frames(shifted, known.history), cutoff)
        level[half_life] = fitted.predict(asked).mean()

    assert level[7] > level[None] + 0.05
