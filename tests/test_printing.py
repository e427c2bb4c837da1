"""What is printed of scores and forecasts is what is published, number by number."""

import re
from datetime import date
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from sales_assets import warehouse
from sales_assets.cli import main
from sales_assets.printing import print_scores
from sales_assets.settings import Settings
from tests.conftest import sales

COLUMNS = [
    "store_id", "date", "h", "forecast", "lo_80", "hi_80", "lo_95", "hi_95", "cutoff", "version",
]  # fmt: skip


def cells(table: str) -> list[list[str]]:
    """Return what a printed table shows, its head first."""
    lines = [line for line in table.splitlines() if line.startswith(("┃", "│"))]
    return [[cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in lines]


@pytest.fixture(scope="module")
def ensembles(home: Path) -> pd.DataFrame:
    """The ensemble's newest forecasts in the snapshot."""
    with warehouse.connect_snapshot(Settings(home=home)) as con:
        latest = con.execute("from forecasts.latest").df()
    own = latest[latest["model"] == "ensemble"]
    return own.sort_values(["store_id", "date"]).reset_index(drop=True)


@pytest.mark.parametrize("store", [None, 3])
def test_a_printed_forecast_is_the_ensembles(
    home: Path, ensembles: pd.DataFrame, store: int | None
) -> None:
    asked = [] if store is None else ["--store", str(store)]
    out = sales("forecast", *asked, "--format", "csv", "--home", home).stdout
    printed = pd.read_csv(
        StringIO(out), parse_dates=["date", "cutoff"], float_precision="round_trip"
    )
    own = ensembles if store is None else ensembles[ensembles["store_id"] == store]
    pd.testing.assert_frame_equal(
        printed, own[COLUMNS].reset_index(drop=True), check_dtype=False, check_exact=True
    )


def test_a_day_of_the_chain_is_the_sum_of_the_ensembles_stores(
    home: Path, ensembles: pd.DataFrame
) -> None:
    head, *rows = cells(sales("forecast", "--home", home).stdout)
    assert head == ["date", "weekday", "open_stores", "forecast"]
    by_day = ensembles.groupby("date")["forecast"]
    assert rows == [
        [f"{day:%Y-%m-%d}", f"{day:%A}", str((of_day > 0).sum()), f"{of_day.sum():,.2f}"]
        for day, of_day in by_day
    ]


# What three files planned: Id, store, day of June 2015 and load. The last has no Ids.
PLAN = [
    (1, 1, 15, 3),
    (2, 3, 16, 3),
    (3, 1, 16, 5),
    (1, 2, 16, 5),
    (2, 3, 15, 5),
    (4, 1, 14, 5),
    (None, 2, 15, 5),
    (None, 3, 17, 7),
]  # fmt: skip
# Days that are further away than the forecasts.
TOO_FAR = [(5, 1, 17, 5), (6, 2, 18, 5), (3, 3, 20, 3), (None, 2, 21, 7)]


def submission(home: Path, plan: list[tuple[int | None, int, int, int]]) -> Result:
    """Ask for the submission of a plan, with forecasts of three stores on two days."""
    with warehouse.connect(Settings(home=home)) as con:
        warehouse.query(con, "raw/plan")
        con.executemany(
            "insert into raw.plan values"
            " (?, ?, make_date(2015, 6, ?), true, false, '0', false, 'test.csv', 2, ?)",
            plan,
        )
        con.execute(
            "create table forecasts.latest as select date '2015-06-14' as cutoff, store_id,"
            " cutoff + h as date, model, (1000 * store_id + h + above)::double as forecast,"
            " forecast - 50 as lo_80, forecast + 50 as hi_80 from range(1, 4) as stores(store_id),"
            " (values (1), (2)) as days(h), (values ('baseline', 0.25), ('ensemble', 0.5),"
            " ('lightgbm', 0.75)) as models(model, above)"
        )
    warehouse.publish(Settings(home=home))
    return CliRunner().invoke(main, ["forecast", "--format", "kaggle", "--home", str(home)])


def test_a_submission_has_the_ensembles_forecast_of_each_row_of_the_last_file(
    tmp_path: Path,
) -> None:
    assert submission(tmp_path, PLAN).stdout.splitlines() == [
        "Id,Sales", "1,2002.5", "2,3001.5", "3,1002.5",
    ]  # fmt: skip


def test_a_submission_that_lacks_days_tells_how_many_of_the_last_file(tmp_path: Path) -> None:
    done = submission(tmp_path, PLAN + TOO_FAR)
    assert done.exit_code == 1
    assert done.stderr == (
        "sales: 2 of the 5 rows of test.csv have no forecast: it asks for days to 2015-06-18, and"
        " the forecasts end on 2015-06-16; refresh with a longer --horizon.\n"
    )


@pytest.mark.parametrize("plan", [[(1, 1, 14, 3), (2, 2, 14, 3)], [(None, 1, 15, 3)]])
def test_there_is_no_submission_of_days_that_are_past_or_rows_without_ids(
    tmp_path: Path, plan: list[tuple[int | None, int, int, int]]
) -> None:
    done = submission(tmp_path, plan)
    assert done.exit_code == 1
    assert "No test.csv with an Id column and days after the cutoff" in done.stderr


# Of all days, and of slices that are better or worse than all.
SCORES = [
    ("lightgbm", None, None, None, 0.16, 0.09, 0.82, 0.95),
    ("baseline", None, None, None, 0.2, 0.14, 0.8, 0.94),
    ("lstm", None, None, None, 0.25, 0.11, 0.83, 0.93),
    ("ensemble", None, None, None, 0.15, 0.1, 0.81, 0.96),
    ("baseline", date(2015, 5, 8), None, None, 0.9, 0.5, 0.4, 0.5),
    ("ensemble", None, 1, None, 0.01, 0.01, 0.9, 1.0),
    ("lightgbm", None, None, "extra", 0.02, 0.01, 0.9, 1.0),
]


def test_scores_are_told_over_all_windows_with_the_best_model_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=tmp_path)
    with warehouse.connect(settings) as con:
        con.execute(
            "create table models.scores (model varchar, cutoff date, horizon_week bigint,"
            " store_type varchar, rmspe double, mape double, coverage_80 double,"
            " coverage_95 double)"
        )
        con.executemany("insert into models.scores values (?, ?, ?, ?, ?, ?, ?, ?)", SCORES)
    warehouse.publish(settings)
    print_scores(settings)
    assert cells(capsys.readouterr().out) == [
        ["model", "rmspe", "mape", "coverage_80", "coverage_95", "gain"],
        ["ensemble", "0.1500", "0.1000", "0.8100", "0.9600", "0.2500"],
        ["lightgbm", "0.1600", "0.0900", "0.8200", "0.9500", "0.2000"],
        ["baseline", "0.2000", "0.1400", "0.8000", "0.9400", "0.0000"],
        ["lstm", "0.2500", "0.1100", "0.8300", "0.9300", "-0.2500"],
    ]
