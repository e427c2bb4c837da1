"""A release is complete and as it was written, or it is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from sales_assets import warehouse
from sales_assets.errors import ReleaseError
from sales_assets.forecasting.manifest import Draft
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.release import FILE, Release, write_release
from sales_assets.settings import Settings
from sales_assets.warehouse import read_sql


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def version(store: ModelStore, con: duckdb.DuckDBPyConnection) -> str:
    ((cutoff,),) = con.execute("select max(date) from cleaned.sales").fetchall()
    draft = Draft(cutoff=cutoff, fingerprint="0" * 64)
    return store.save(ENSEMBLE, draft, lambda path: (path / "weights.json").touch()).version


@pytest.fixture(autouse=True)
def _backtest(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        create or replace table models.backtest as
        select
            model, date '2014-01-01' + window_number as cutoff, 1 as store_id, 100.0 as sales,
            forecast, 90.0 as lo_80, 115.0 as hi_80, 80.0 as lo_95, 120.0 as hi_95
        from (values
            ('ensemble', 0, 110.0), ('ensemble', 42, 80.0), ('baseline', 0, 130.0),
            ('lightgbm', 0, 500.0)
        ) as judged (model, window_number, forecast)
        """
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def release(
    con: duckdb.DuckDBPyConnection, directory: Path, store: ModelStore, version: str
) -> Release:
    return write_release(con, directory, store, version)


def test_a_release_is_read_as_it_was_written(
    release: Release, directory: Path, store: ModelStore, version: str
) -> None:
    assert Release.read(directory) == release
    assert release.version == version
    assert release.manifest_sha256 == store.manifest_sha256(ENSEMBLE, version)
    assert release.horizon == 42
    assert {path.name for path in release.verified(directory).iterdir()} == set(release.files)


def test_the_data_are_the_cleaned_tables(
    release: Release, directory: Path, con: duckdb.DuckDBPyConnection
) -> None:
    for table in ("sales", "stores", "plan"):
        path = release.verified(directory) / f"{table}.parquet"
        expected = con.table(f"cleaned.{table}")
        ((differing,),) = con.execute(
            f"select count(*) from (from read_parquet('{path}') except all from cleaned.{table})"
        ).fetchall()
        assert differing == 0
        assert con.read_parquet(str(path)).shape == expected.shape


def test_how_well_a_store_was_forecast_goes_with_it(
    release: Release, directory: Path, con: duckdb.DuckDBPyConnection
) -> None:
    path = release.verified(directory) / "accuracy.parquet"
    (row,) = con.read_parquet(str(path)).df().to_dict("records")
    assert row == pytest.approx(
        {
            "store_id": 1, "days": 2, "windows": 2, "rmspe": math.sqrt((0.1**2 + 0.2**2) / 2),
            "wape": 30 / 200, "bias": -10 / 200, "coverage_80": 1.0, "coverage_95": 1.0,
            "baseline_rmspe": 0.3,
        }
    )  # fmt: skip


def test_the_same_data_are_written_once(
    release: Release,
    directory: Path,
    store: ModelStore,
    version: str,
    con: duckdb.DuckDBPyConnection,
) -> None:
    before = (directory / release.data / "sales.parquet").stat()
    assert write_release(con, directory, store, version) == release
    assert (directory / release.data / "sales.parquet").stat() == before
    assert {path.name for path in directory.iterdir()} == {FILE, release.data}


def test_data_that_were_changed_are_written_again(
    release: Release,
    directory: Path,
    store: ModelStore,
    version: str,
    con: duckdb.DuckDBPyConnection,
) -> None:
    (directory / release.data / "plan.parquet").write_bytes(b"")
    assert write_release(con, directory, store, version) == release
    release.verified(directory)


def test_the_data_of_the_release_before_and_of_what_answers_stay_and_older_ones_go(
    release: Release,
    directory: Path,
    store: ModelStore,
    version: str,
    con: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    answering = replace(release, data="data-20140201-000000000000")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / FILE).write_text(answering.to_json())
    (directory / answering.data).mkdir()
    (directory / "data-20140101-000000000000").mkdir()
    former = replace(release, data="data-20140601-111111111111")
    (directory / former.data).mkdir()
    (directory / FILE).write_text(former.to_json())

    write_release(con, directory, store, version, tmp_path / "served")

    assert {path.name for path in directory.iterdir()} == {
        FILE, release.data, former.data, answering.data,
    }  # fmt: skip


def test_what_a_killed_run_left_is_no_obstacle(
    directory: Path, store: ModelStore, version: str, con: duckdb.DuckDBPyConnection
) -> None:
    (directory / ".partial" / "sales.parquet").mkdir(parents=True)
    write_release(con, directory, store, version).verified(directory)
    assert not (directory / ".partial").exists()


def test_without_a_release_it_is_told_what_to_do(directory: Path) -> None:
    with pytest.raises(ReleaseError, match=r"There is no .*release\.json; run `sales refresh`"):
        Release.read(directory)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "x"}', '{"cutoff": "yesterday"}'])
def test_a_damaged_release_is_told(directory: Path, text: str) -> None:
    directory.mkdir()
    (directory / FILE).write_text(text)
    with pytest.raises(ReleaseError, match=r"release\.json cannot be read"):
        Release.read(directory)


@pytest.mark.parametrize(
    "name", ["sales.parquet", "stores.parquet", "plan.parquet", "accuracy.parquet"]
)
def test_a_changed_or_missing_file_is_refused(release: Release, directory: Path, name: str) -> None:
    path = directory / release.data / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match=f"{name} is not the file that was released"):
        release.verified(directory)
    path.unlink()
    with pytest.raises(ReleaseError, match=f"{name} is not the file that was released"):
        release.verified(directory)


@pytest.mark.parametrize(
    "data", ["..", "", "../elsewhere", "/tmp", "data-20140101-000000000000/.."]
)
def test_names_that_lead_elsewhere_are_refused(
    release: Release, directory: Path, data: str
) -> None:
    values = json.loads((directory / FILE).read_text())
    (directory / FILE).write_text(json.dumps({**values, "data": data}))
    with pytest.raises(ReleaseError, match="names other files"):
        Release.read(directory).verified(directory)


def test_what_is_released_of_many_forecasts_does_not_depend_on_threads(settings: Settings) -> None:
    """Threads add in varying order, and sums of fractions would tell: the release's name, too."""
    with warehouse.in_memory(settings.model_copy(update={"threads": 2})) as con:
        con.execute("create schema if not exists models; select setseed(0.4)")
        con.execute(
            """
            create or replace table models.backtest as
            select
                if(number % 2 = 0, 'ensemble', 'baseline') as model, date '2015-01-01' as cutoff,
                number // 2 % 7 as store_id, 100 + 9000 * random() as sales,
                100 + 9000 * random() as forecast, 50.0 as lo_80, 5000.0 as hi_80, 40.0 as lo_95,
                8000.0 as hi_95
            from range(800000) as numbers (number)
            """
        )
        sql = read_sql("serving/accuracy")
        found = {str(con.execute(sql).fetchall()) for _ in range(8)}
    assert len(found) == 1
