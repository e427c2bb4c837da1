"""The refresh on real stores: models that earn their place.

The settings are the defaults, but for smaller models, which learn from a quarter of the rows: one
network and one booster, where the defaults average two, with fewer windows, epochs and trees, and
a smaller forest; and for one thread, since other tests run beside them.

Needs the files of Kaggle's Rossmann competition, or part of them, in `../shared/data/rossmann`.
"""

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import REAL_DATA, SMALL, sales
from tests.test_refresh import MODELS, ask, frame

pytestmark = pytest.mark.skipif(
    not (REAL_DATA / "train.csv").is_file(), reason=f"needs Rossmann's files in {REAL_DATA}"
)


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        for name in SMALL:
            if name != "SALES_THREADS":
                patch.delenv(name)
        patch.setenv("SALES_TRAINING_ROWS", "80000")
        patch.setenv("SALES_LIGHTGBM__TREES", "120")
        patch.setenv("SALES_LIGHTGBM__SEEDS", "1")
        patch.setenv("SALES_RANDOM_FOREST__TREES", "10")
        patch.setenv("SALES_LSTM__SEEDS", "1")
        patch.setenv("SALES_LSTM__WINDOWS", "1500")
        patch.setenv("SALES_LSTM__EPOCHS", "3")
        sales("refresh", "--source", REAL_DATA, "--home", directory)
    return directory


@pytest.fixture(scope="module")
def by_window(real_home: Path) -> pd.DataFrame:
    """RMSPE by cutoff (rows) and model (columns)."""
    scores = frame(
        real_home,
        "from models.scores where cutoff is not null and horizon_week is null"
        " and store_type is null",
    )
    return scores.pivot_table(index="cutoff", columns="model", values="rmspe")


def test_every_delivered_row_is_used(real_home: Path) -> None:
    assert ask(real_home, "select count(*) from quality.quarantine") == [(0,)]
    assert ask(real_home, "select count(*) from raw.sales") == [(86_871,)]


def test_nothing_in_it_fails_a_check_or_is_warned_of(real_home: Path) -> None:
    told = "select suite, expectation, observed from quality.results where not success"
    assert ask(real_home, told) == []


def test_each_store_has_42_days_of_every_model(real_home: Path) -> None:
    counts = dict(ask(real_home, "select model, count(*) from forecasts.latest group by model"))
    assert counts == dict.fromkeys(MODELS, 100 * 42)


def test_the_windows_are_the_last_four_of_42_days(by_window: pd.DataFrame) -> None:
    assert [str(day.date()) for day in by_window.index] == [
        "2015-01-02", "2015-02-13", "2015-03-27", "2015-05-08",
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["statistical", "random_forest", "lightgbm", "lstm", "ensemble"])
def test_each_model_beats_the_baseline_on_the_mean_of_the_windows(
    by_window: pd.DataFrame, model: str
) -> None:
    assert by_window[model].mean() < by_window["baseline"].mean()


def test_the_ensemble_beats_the_baseline_on_every_window(by_window: pd.DataFrame) -> None:
    assert (by_window["ensemble"] < by_window["baseline"]).all()


def test_the_ensemble_is_as_good_as_is_promised(by_window: pd.DataFrame) -> None:
    assert by_window["ensemble"].mean() <= 0.122


@pytest.mark.parametrize("level", [80, 95])
def test_the_ensembles_intervals_cover_what_they_promise_to_two_points(
    real_home: Path, level: int
) -> None:
    ((coverage,),) = ask(
        real_home,
        f"select coverage_{level} from models.scores where cutoff is null and horizon_week is null"
        " and store_type is null and model = 'ensemble'",
    )
    assert coverage == pytest.approx(level / 100, abs=0.02)


@pytest.mark.parametrize("model", MODELS)
def test_80_percent_intervals_cover_76_to_84_percent_of_days_that_did_not_calibrate_them(
    real_home: Path, model: str
) -> None:
    ((coverage,),) = ask(
        real_home,
        "select coverage_80 from models.scores where cutoff is null and horizon_week is null"
        f" and store_type is null and model = '{model}'",
    )
    assert 0.76 <= coverage <= 0.84
