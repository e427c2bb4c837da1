"""statsforecast behind its door: effects, failing series, native intervals, and the cache."""

import logging
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets.errors import SalesError
from sales_assets.forecasting import open_day_series
from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.open_day_series import (
    forecast_paths,
    native_bounds,
    seasonal_naive,
    series_key,
)
from sales_assets.forecasting.series_cache import Entry, SeriesCache
from sales_assets.forecasting.statistical import Statistical
from sales_assets.settings import BOUNDS, Settings, StatisticalModel

TODAY = date(2026, 11, 22)
H = 56


def models(*given):
    return tuple(StatisticalModel.model_validate(model) for model in given)


ETS = {"name": "AutoETS", "season_length": 1, "model": "ANN"}
MEAN = {"name": "WindowAverage", "window_size": 24}
# Its decomposition refuses a series shorter than a season.
REFUSES_SHORT = {"name": "MSTL", "season_length": 12}


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(1)
    return {store: 8 + rng.normal(0, 0.1, 150 + store).cumsum() * 0.1 for store in range(1, 41)}


@pytest.fixture(scope="module")
def cutoff(con, settings):
    return backtest_cutoffs(last_sales_day(con), settings)[-1]


@pytest.fixture
def cache(tmp_path):
    return SeriesCache(tmp_path / "cache", megabytes=1, days=30, today=lambda: TODAY)


def same(first, second):
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
    pd.testing.assert_frame_equal(first.fallbacks, second.fallbacks)


def test_a_path_is_the_mean_of_the_models(series):
    both = forecast_paths(series, models(ETS, MEAN), H).table
    each = [forecast_paths(series, models(one), H).table for one in (ETS, MEAN)]

    np.testing.assert_allclose(both["level"], (each[0]["level"] + each[1]["level"]) / 2)
    means = [values[-24:].mean() for values in series.values()]
    np.testing.assert_allclose(each[1].groupby("store_id")["level"].last(), means)
    assert (each[1]["step"].unique() == np.arange(1, H + 1)).all()


def test_processes_change_no_bit(series, monkeypatch):
    alone = forecast_paths(series, models(ETS, REFUSES_SHORT), H, threads=1)
    monkeypatch.setattr(open_day_series, "WORTH_WORKERS_S", 0.0)

    same(forecast_paths(series, models(ETS, REFUSES_SHORT), H, threads=2), alone)


def test_a_series_does_not_depend_on_those_beside_it(series):
    among_all = forecast_paths(series, models(ETS, MEAN), H).table
    alone = forecast_paths({7: series[7]}, models(ETS, MEAN), H).table

    of_store = among_all[among_all["store_id"] == 7].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, of_store, check_exact=True)


def test_a_series_that_a_model_refuses_fails_no_other(series):
    short = {**series, 3: series[3][:8], 9: series[9][:1]}
    said = forecast_paths(short, models(REFUSES_SHORT, MEAN), H)
    whole = forecast_paths(series, models(REFUSES_SHORT, MEAN), H)

    refused = said.fallbacks[said.fallbacks["model"] == "MSTL(season_length=12)"]
    assert refused["store_id"].tolist() == [3, 9]
    assert refused["reason"].str.contains("ValueError|IndexError").all()
    assert np.isfinite(said.table["level"]).all()
    others = ~said.table["store_id"].isin([3, 9])
    pd.testing.assert_frame_equal(said.table[others], whole.table[others], check_exact=True)
    level = said.table.set_index(["store_id", "step"])["level"]
    assert level.loc[9].to_numpy() == pytest.approx(np.full(H, series[9][0]))


@pytest.mark.parametrize("days", [1, 12, 23, 24])
def test_the_mean_of_a_young_store_is_that_of_the_days_it_has(series, days):
    said = forecast_paths({1: series[1][:days]}, models(MEAN), H)

    assert said.fallbacks.empty
    assert said.table["level"].to_numpy() == pytest.approx(np.full(H, series[1][:days].mean()))


def test_a_model_without_a_finite_forecast_counts_as_failed(series):
    four_seasons = {"name": "SeasonalWindowAverage", "season_length": 12, "window_size": 4}
    said = forecast_paths({1: series[1][:20]}, models(four_seasons), H)

    assert said.fallbacks["reason"].tolist() == ["the forecast from 20 open days is not finite"]
    np.testing.assert_array_equal(said.table["level"], seasonal_naive(series[1][:20], H))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(20.0), [8.0, 9.0, 10.0]),
        (np.arange(12.0), [0.0, 1.0, 2.0]),
        (np.array([1.0, 3.0]), [2.0, 2.0, 2.0]),
    ],
)
def test_the_seasonal_naive_repeats_two_weeks_of_open_days(values, expected):
    assert seasonal_naive(values, 15)[:3].tolist() == expected


def test_a_value_that_a_constructor_refuses_is_told_plainly(series):
    refused = {"name": "MSTL", "season_length": None}

    with pytest.raises(SalesError, match=r"SALES_STATISTICAL__MODELS .* MSTL\(season_length=None"):
        forecast_paths(series, models(refused), H)


def test_failing_stores_are_counted_named_and_saved(
    training, cutoff, settings, tmp_path, caplog, monkeypatch
):
    group = settings.statistical.model_copy(update={"models": models(REFUSES_SHORT)})
    chosen = settings.model_copy(update={"statistical": group})
    known = training.known_at(cutoff)
    history = known.history
    is_new = history["date"] > pd.Timestamp(cutoff) - pd.Timedelta(days=6)
    known = Frames(known.rows, history[(history["store_id"] != 4) | is_new])

    with caplog.at_level(logging.WARNING, "sales_assets.models"):
        fitted = Statistical(chosen).fit(known, cutoff)

    assert fitted.fallbacks["store_id"].tolist() == [4]
    assert fitted.counts == {"fallbacks": 1}
    assert "on 1 series, stores 4; MSTL(season_length=12) on store 4" in caplog.text
    assert np.isfinite(fitted.predict(training.asked_at(cutoff))).all()
    fitted.save(tmp_path)
    loaded = Statistical.load(tmp_path, chosen)
    pd.testing.assert_frame_equal(loaded.fallbacks, fitted.fallbacks)


def test_the_second_time_everything_is_found(series, cache):
    short = {**series, 3: series[3][:8]}
    first = forecast_paths(short, models(REFUSES_SHORT, MEAN), H, cache=cache)
    again = forecast_paths(short, models(REFUSES_SHORT, MEAN), H, cache=cache)

    assert (first.hits, again.hits) == (0, 2 * len(series))
    same(first, forecast_paths(short, models(REFUSES_SHORT, MEAN), H))
    same(again, first)


def test_what_is_found_is_not_fitted(series, cache, monkeypatch):
    forecast_paths(series, models(ETS), H, cache=cache)
    fits = []
    monkeypatch.setattr(
        open_day_series, "_entry_of", lambda *work: fits.append(work) or Entry(np.zeros(H), "")
    )
    changed = {**series, 5: series[5] + np.eye(1, len(series[5]), 3)[0] * 1e-12}
    forecast_paths(changed, models(ETS), H, cache=cache)

    assert len(fits) == 1
    np.testing.assert_array_equal(fits[0][0], changed[5])


@pytest.mark.parametrize(
    ("model", "h", "library"),
    [
        (MEAN, H, "2.1.1"),
        ({**ETS, "damped": False}, H, "2.1.1"),
        (ETS, H - 1, "2.1.1"),
        (ETS, H, "9.9.9"),
    ],
)
def test_a_key_is_of_values_model_steps_and_library(series, model, h, library, monkeypatch):
    (ets,), (other,) = models(ETS), models(model)
    monkeypatch.setattr(open_day_series, "version", lambda name: "2.1.1")
    first = series_key(series[1], ets, H)
    monkeypatch.setattr(open_day_series, "version", lambda name: library)

    assert series_key(series[1], other, h) != first


def test_a_changed_list_fits_the_new_model_only(series, cache):
    forecast_paths(series, models(ETS), H, cache=cache)
    said = forecast_paths(series, models(MEAN, ETS), H, cache=cache)

    assert said.hits == len(series)
    same(said, forecast_paths(series, models(MEAN, ETS), H))


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"\0" * 5000], ids=len)
def test_a_damaged_file_is_ignored_with_a_warning_and_rebuilt(series, cache, content, caplog):
    first = forecast_paths(series, models(ETS), H, cache=cache)
    cache.path.write_bytes(content)

    again = forecast_paths(series, models(ETS), H, cache=cache)

    assert "cannot be read and is written anew" in caplog.text
    assert again.hits == 0
    same(again, first)
    assert forecast_paths(series, models(ETS), H, cache=cache).hits == len(series)


def test_a_file_of_other_columns_is_ignored(series, cache, caplog):
    cache.path.parent.mkdir()
    pd.DataFrame({"key": ["a"]}).to_parquet(cache.path)

    assert forecast_paths(series, models(ETS), H, cache=cache).hits == 0
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("column", ["path", "failure", "key"])
def test_an_entry_that_was_changed_is_not_believed(series, cache, column, caplog):
    first = forecast_paths(series, models(ETS), H, cache=cache)
    table = pd.read_parquet(cache.path)
    if column == "path":
        table.at[0, "path"] = table.at[0, "path"] + 1.0
    elif column == "failure":
        table.loc[0, "failure"] = "it never worked"
    else:
        # The paths of two series under one another's keys.
        table.loc[[0, 1], "key"] = table.loc[[1, 0], "key"].to_numpy()
    table.to_parquet(cache.path)

    again = forecast_paths(series, models(ETS), H, cache=cache)

    assert again.hits == len(series) - (2 if column == "key" else 1)
    assert "damaged entries are fitted again" in caplog.text
    same(again, first)
    assert forecast_paths(series, models(ETS), H, cache=cache).hits == len(series)


def entries(*names):
    return {name: Entry(np.arange(100.0), "") for name in names}


def on(cache, day, megabytes=1.0):
    return SeriesCache(cache.path.parent, megabytes, days=30, today=lambda: day)


def test_entries_that_are_not_used_are_forgotten(cache):
    cache.keep(entries("a", "b"))
    later = on(cache, TODAY + timedelta(days=20))
    later.take(["a"])
    later.keep(entries("c"))
    last = on(cache, TODAY + timedelta(days=40))
    last.keep(entries("d"))

    assert set(last.take(list("abcd"))) == {"a", "c", "d"}


def test_the_least_recently_used_go_when_it_is_full(cache):
    for place, name in enumerate("abcd"):
        # Two entries of 100 numbers fit.
        on(cache, TODAY + timedelta(days=place), megabytes=0.0021).keep(entries(name))

    assert set(cache.take(list("abcd"))) == {"c", "d"}


def test_nothing_half_written_is_left_or_read(cache, monkeypatch):
    cache.keep(entries("a"))
    before = cache.path.read_bytes()

    def killed(frame, path, **options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", killed)
        with pytest.raises(KeyboardInterrupt):
            cache.keep(entries("b"))

    assert cache.path.read_bytes() == before
    assert set(cache.take(["a", "b"])) == {"a"}


def test_a_cache_that_cannot_be_written_stops_no_fit(series, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = SeriesCache(tmp_path / "file" / "cache", megabytes=1, days=30)

    said = forecast_paths(series, models(MEAN), H, cache=cache)

    same(said, forecast_paths(series, models(MEAN), H))
    assert "cannot be written" in caplog.text


def test_a_member_keeps_its_cache_in_its_home_and_says_the_same(
    training, cutoff, settings, tmp_path
):
    chosen = settings.model_copy(update={"home": tmp_path, "cache_megabytes": 5})
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)

    said = [
        Statistical(each).fit(known, cutoff).predict(asked) for each in (chosen, chosen, settings)
    ]

    assert [path.name for path in (tmp_path / "cache" / "statistical").iterdir()] == [
        "paths.parquet"
    ]
    np.testing.assert_array_equal(said[0], said[2])
    np.testing.assert_array_equal(said[1], said[2])


def test_no_cache_is_kept_when_it_may_have_no_size(training, cutoff, settings, tmp_path):
    chosen = settings.model_copy(update={"home": tmp_path})
    Statistical(chosen).fit(training.known_at(cutoff), cutoff)

    assert chosen.cache_megabytes == 0
    assert not list(tmp_path.iterdir())


def test_native_bounds_are_around_the_path_and_wider_at_95_percent(series):
    bounds = native_bounds({**series, 99: series[1][:30]}, models(ETS, MEAN), 9)

    assert set(bounds["store_id"]) == set(series)
    assert bounds.groupby("store_id").size().eq(9).all()
    assert (bounds["lo_95"] <= bounds["lo_80"]).all()
    assert (bounds["lo_80"] <= 0).all()
    assert (bounds["hi_80"] >= 0).all()
    assert (bounds["hi_80"] <= bounds["hi_95"]).all()


def test_a_series_too_short_for_two_windows_has_no_native_bounds(series):
    bounds = native_bounds({1: series[1][:120], 40: series[40]}, models(ETS), 42)

    assert set(bounds["store_id"]) == {40}


def test_native_intervals_of_asked_rows_hold_the_forecast(training, cutoff, settings, tmp_path):
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    fitted = Statistical(settings).fit(known, cutoff)
    before = fitted.predict(asked)
    with pytest.raises(AssertionError, match="fit_intervals comes first"):
        fitted.predict_interval(asked)

    bounds = fitted.fit_intervals(known).predict_interval(asked)

    np.testing.assert_array_equal(fitted.predict(asked), before)
    assert list(bounds) == BOUNDS
    assert np.isfinite(bounds).all(axis=None)
    assert (bounds["lo_95"] <= before).all()
    assert (before <= bounds["hi_95"]).all()
    sales = asked.rows["log_sales"].to_numpy(dtype=np.float64)
    known_sales = np.isfinite(sales)
    inside = (bounds["lo_95"] <= sales) & (sales <= bounds["hi_95"])
    assert 0.6 < inside[known_sales].mean() <= 1
    fitted.save(tmp_path)
    loaded = Statistical.load(tmp_path, settings).predict_interval(asked)
    pd.testing.assert_frame_equal(loaded, bounds, check_exact=True)


def test_one_store_alone_is_forecast(training, cutoff, settings):
    known, asked = training.known_at(cutoff), training.asked_at(cutoff)
    alone = Frames(known.rows, known.history[known.history["store_id"] == 5])

    forecast = Statistical(settings).fit(alone, cutoff).predict(asked)

    assert np.isfinite(forecast).all()
    own = (asked.rows["store_id"] == 5).to_numpy() & asked.rows["log_sales"].notna().to_numpy()
    error = forecast[own] - asked.rows["log_sales"].to_numpy(dtype=np.float64)[own]
    assert np.abs(error).mean() < 0.25


def test_the_code_it_computes_with_is_part_of_the_fingerprint():
    assert {part.__name__.rsplit(".", 1)[1] for part in Statistical.parts} == {
        "effects", "open_day_series", "lookup"
    }  # fmt: skip


def test_the_default_list_is_hashed_into_the_fingerprint():
    first = Settings.load().statistical
    other = first.model_copy(update={"models": models(ETS)})

    assert first.model_dump()["models"][0]["name"] == "SimpleExponentialSmoothing"
    assert first.model_dump() != other.model_dump()
