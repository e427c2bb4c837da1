"""Models, intervals and versions where something is missing, damaged, odd or out of order."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.cleaned import clean_plan, clean_sales
from sales_assets.errors import ModelStoreError, SalesError
from sales_assets.forecasting import backtest, conformal, features
from sales_assets.forecasting.bundle import compose, fit_member, fitted_members
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.frames import KEYS, Frames, feature_names, read_frames
from sales_assets.forecasting.manifest import Draft
from sales_assets.forecasting.model_store import ModelStore, sha256_of
from sales_assets.settings import BOUNDS, Settings
from tests.conftest import load_and_clean
from tests.promoting import chosen, promoted, rolled_back

A_DAY = date(2026, 1, 1)


@pytest.fixture
def chain(source: Path, settings: Settings, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cleaned warehouse of the test's own."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, tmp_path / "scratch")
        yield con


@pytest.fixture(scope="module")
def last_day(con: duckdb.DuckDBPyConnection) -> date:
    return features.last_sales_day(con)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A model store whose clock goes forward an hour with each look."""
    hours = (datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=hour) for hour in range(999))
    return ModelStore(tmp_path / "models", now=lambda: next(hours))


def with_baseline_days(settings: Settings, days: int) -> Settings:
    return settings.model_copy(
        update={"baseline": settings.baseline.model_copy(update={"days": days})}
    )


NEVER_SOLD = {
    "delivered as closed": "update raw.sales set sales = 0, is_open = false where store_id = 12",
    "planned alone": "delete from raw.sales where store_id = 12",
}


@pytest.mark.parametrize("change", NEVER_SOLD.values(), ids=NEVER_SOLD)
@pytest.mark.parametrize("name", MEMBERS)
def test_a_store_that_never_sold_has_a_forecast_of_the_chains_size(
    chain: duckdb.DuckDBPyConnection, settings: Settings, last_day: date, name: str, change: str
) -> None:
    chain.execute(change)
    clean_sales(chain)
    clean_plan(chain, settings)
    features.build_training(chain, settings)
    features.build_future(chain, settings)
    known, asked = read_frames(chain, "features.training"), read_frames(chain, "features.future")
    fitted = MEMBERS[name](settings).fit(known.known_at(last_day), last_day)
    says = fitted.predict(asked)[asked.rows["is_open"]]
    stores = asked.rows.loc[asked.rows["is_open"], "store_id"].to_numpy()
    assert np.isfinite(says).all()
    assert (stores == 12).sum() > 30
    levels = pd.Series(says).groupby(stores).mean()
    assert levels.drop(12).min() < levels[12] < levels.drop(12).max()


def test_fewer_training_rows_make_another_version(
    training: Frames, settings: Settings, last_day: date, store: ModelStore
) -> None:
    fewer = settings.model_copy(update={"training_rows": 1_000})
    first, _ = fit_member(store, "lightgbm", training, last_day, "data", settings)
    second, is_new = fit_member(store, "lightgbm", training, last_day, "data", fewer)
    assert is_new
    assert second.fingerprint != first.fingerprint


def test_a_damaged_member_is_fitted_again(
    training: Frames, settings: Settings, last_day: date, store: ModelStore
) -> None:
    first, _ = fit_member(store, "baseline", training, last_day, "data", settings)
    (store.root / "baseline" / first.version / "medians.parquet").write_bytes(b"damaged")
    second, is_new = fit_member(store, "baseline", training, last_day, "data", settings)
    assert is_new
    assert store.verified("baseline", second.version)


def test_a_manifest_that_cannot_be_read_hides_its_version_only(store: ModelStore) -> None:
    first = store.save("baseline", Draft(A_DAY, "a" * 64), lambda directory: None)
    second = store.save("baseline", Draft(A_DAY, "b" * 64), lambda directory: None)
    (store.root / "baseline" / second.version / "manifest.json").write_text("{")
    assert store.versions("baseline") == [first]


def test_a_file_that_was_not_recorded_is_refused(
    training: Frames, settings: Settings, last_day: date, store: ModelStore
) -> None:
    manifest, _ = fit_member(store, "lightgbm", training, last_day, "data", settings)
    directory = store.root / "lightgbm" / manifest.version
    shutil.copy(directory / "booster_000.txt", directory / "booster_001.txt")
    with pytest.raises(ModelStoreError, match=r"holds booster_001\.txt, which lightgbm"):
        store.verified("lightgbm", manifest.version)


def test_an_ensemble_that_comes_back_is_the_newest_again(
    training: Frames, settings: Settings, last_day: date, store: ModelStore
) -> None:
    cutoffs = features.backtest_cutoffs(last_day, settings)
    composed, result = [], None
    for days in (182, 100, 182, 182):
        chosen = with_baseline_days(settings, days)
        result = backtest.run(training, cutoffs, dict.fromkeys(cutoffs, "data"), chosen, result)
        for name in MEMBERS:
            fit_member(store, name, training, last_day, "data", chosen)
        members = fitted_members(store, feature_names(training.rows), last_day, "data", chosen)
        assert members["baseline"].parameters == {"days": days}
        composed.append(compose(store, members, result, {}))
        assert store.chosen() == composed[-1]
    first, other, again, unchanged = composed
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert unchanged == again


def test_a_member_that_was_not_fitted_to_these_data_is_named(
    training: Frames, settings: Settings, last_day: date, store: ModelStore
) -> None:
    with pytest.raises(ModelStoreError, match="baseline is not fitted to the data"):
        fitted_members(store, feature_names(training.rows), last_day, "data", settings)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": "x"}'])
def test_a_damaged_champion_pointer_is_told_plainly(store: ModelStore, text: str) -> None:
    store.root.mkdir(parents=True)
    (store.root / "champion.json").write_text(text)
    with pytest.raises(ModelStoreError, match="cannot be read; remove it"):
        store.champion()


def test_a_version_is_no_path(store: ModelStore) -> None:
    manifest = store.save("baseline", Draft(A_DAY, "a" * 64), lambda directory: None)
    (store.root / "ensemble").mkdir()
    with pytest.raises(ModelStoreError, match="has no version"):
        chosen(store, f"../baseline/{manifest.version}", "a slip")


def test_a_pinned_ensemble_with_a_forged_manifest_is_refused(store: ModelStore) -> None:
    manifest = store.save(
        "ensemble",
        Draft(A_DAY, "a" * 64),
        lambda directory: (directory / "weights.json").write_text('{"a": 1}'),
    )
    chosen(store, manifest.version, "pinned")
    directory = store.root / "ensemble" / manifest.version
    (directory / "weights.json").write_text('{"a": 2}')
    forged = json.loads((directory / "manifest.json").read_text())
    forged["files"]["weights.json"] = sha256_of(directory / "weights.json")
    (directory / "manifest.json").write_text(json.dumps(forged))
    with pytest.raises(ModelStoreError, match="not the one that was recorded"):
        store.chosen()


def test_two_versions_of_one_second_have_two_names(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    store = ModelStore(tmp_path, now=lambda: noon)
    versions = [
        store.save("baseline", Draft(A_DAY, "a" * 64), lambda directory: None).version
        for _ in range(2)
    ]
    assert versions == ["20261122T120000Z-aaaaaaaa", "20261122T120001Z-aaaaaaaa"]


def test_the_newest_version_is_the_last_one_also_when_the_clock_has_jumped_back(
    tmp_path: Path,
) -> None:
    hours = iter([12, 9, 10])
    store = ModelStore(tmp_path, now=lambda: datetime(2026, 11, 22, next(hours), tzinfo=UTC))
    made = [
        store.save("ensemble", Draft(A_DAY, digit * 64), lambda directory: None) for digit in "abc"
    ]
    assert store.versions("ensemble") == made
    assert store.chosen() == made[-1]
    assert [manifest.version[:16] for manifest in made] == [
        "20261122T120000Z", "20261122T120001Z", "20261122T120002Z",
    ]  # fmt: skip


def test_rolling_back_goes_to_the_champion_before_whatever_the_clock_says(tmp_path: Path) -> None:
    moments = iter(datetime(2026, 11, day, tzinfo=UTC) for day in (22, 23, 24, 1, 1))
    store = ModelStore(tmp_path, now=lambda: next(moments))
    first, second = (
        store.save("ensemble", Draft(A_DAY, digit * 64), lambda directory: None) for digit in "ab"
    )
    promoted(store, first.version, "newest")
    promoted(store, second.version, "newest, at an earlier time")
    assert rolled_back(store, "a test").version == first.version


def test_eleven_boosters_are_the_same_after_loading(
    training: Frames, settings: Settings, last_day: date, tmp_path: Path
) -> None:
    many = settings.lightgbm.model_copy(update={"seeds": 11, "trees": 3})
    chosen = settings.model_copy(update={"lightgbm": many})
    fitted = MEMBERS["lightgbm"](chosen).fit(training.known_at(last_day), last_day)
    fitted.save(tmp_path)
    asked = training.asked_at(features.backtest_cutoffs(last_day, chosen)[-1])
    loaded = MEMBERS["lightgbm"].load(tmp_path, chosen)
    np.testing.assert_array_equal(loaded.predict(asked), fitted.predict(asked))


def test_the_ensembles_bounds_of_a_window_never_saw_its_sales() -> None:
    rng = np.random.default_rng(1)
    windows = pd.date_range("2014-01-05", periods=4, freq="42D")
    keys = pd.MultiIndex.from_product(
        [windows, range(1, 6), range(1, 43)], names=["cutoff", "store_id", "h"]
    ).to_frame(index=False)
    keys["date"] = keys["cutoff"] + pd.to_timedelta(keys["h"], unit="D")
    keys["sales"] = rng.lognormal(8.5, 0.4, len(keys))
    members = pd.concat(
        [
            keys.assign(
                model=name,
                forecast=keys["sales"] * np.exp(rng.normal(0, 0.1 + 0.03 * i, len(keys))),
            )
            for i, name in enumerate(MEMBERS)
        ],
        ignore_index=True,
    )
    judged = members["cutoff"] == windows[-1]
    factors = np.tile(rng.lognormal(0.2, 0.3, len(keys)), len(MEMBERS))
    changed = members.assign(sales=members["sales"].where(~judged, members["sales"] * factors))

    def bounds(frame: pd.DataFrame) -> pd.DataFrame:
        result = backtest.cross_fitted_ensemble(frame)
        last = result[result["cutoff"] == windows[-1]]
        return last.set_index(list(KEYS)).sort_index()[BOUNDS]

    pd.testing.assert_frame_equal(bounds(members), bounds(changed), check_exact=True)


def test_a_perfect_model_has_finite_bounds() -> None:
    rows = pd.DataFrame(
        {"model": "m", "store_id": 1, "h": range(1, 43), "sales": 100.0, "forecast": 100.0}
    ).assign(cutoff=pd.Timestamp("2015-01-04"))
    assert np.isfinite(conformal.calibrate(rows)[BOUNDS]).all(axis=None)


def test_the_conformal_ranks_are_exact() -> None:
    residuals = np.arange(1.0, 20.0) / 100
    rows = pd.DataFrame(
        {"model": "m", "store_id": 1, "h": 1, "sales": np.exp(residuals), "forecast": 1.0}
    ).assign(cutoff=pd.Timestamp("2015-01-04"))
    (row,) = conformal.calibrate(rows).query("store_id == 1").to_dict("records")
    # Of 19 scores and one unseen the 10 % quantile is the 2nd, the 90 % quantile the 18th.
    assert row["lo_80"] == pytest.approx(0.02)
    assert row["hi_80"] == pytest.approx(0.18)


def test_a_window_without_a_selling_day_is_told_plainly(
    chain: duckdb.DuckDBPyConnection, settings: Settings, last_day: date
) -> None:
    short = settings.model_copy(update={"horizon": 1})
    clean_plan(chain, short)
    features.build_training(chain, short)
    cutoff = last_day - timedelta(days=1)
    frames = read_frames(chain, "features.training")
    frames.rows.loc[frames.rows["cutoff"] == pd.Timestamp(cutoff), "log_sales"] = np.nan
    with pytest.raises(SalesError, match=f"No store sold anything in the 1 days after {cutoff}"):
        backtest.run(frames, [cutoff], {cutoff: "data"}, short)
