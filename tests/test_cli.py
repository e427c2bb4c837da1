"""The command `sales`: help, formats, and one plain sentence for each mistake."""

import json
import shutil
import socket
from io import StringIO
from pathlib import Path

import click
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

from sales_assets.cli import main
from sales_assets.errors import SalesError
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.printing import print_forecast
from sales_assets.settings import Settings
from tests.conftest import sales


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
        else:
            found.append((*path, name))
    return found


@pytest.mark.parametrize("path", commands(main), ids=" ".join)
def test_every_command_has_help_and_takes_a_home(path: tuple[str, ...]) -> None:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help
    assert "home" in {parameter.name for parameter in command.params}
    assert "--home" in sales(*path, "--help").stdout


def test_a_sample_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    sales("sample", tmp_path / "new", "--stores", "2", "--days", "150", "--seed", "3")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "train.csv", "store.csv", "test.csv",
    }  # fmt: skip


QUERY = "select 1 as one, 'a,b' as text union all select 2, null order by one"


def test_query_prints_csv(home: Path) -> None:
    done = sales("query", QUERY, "--format", "csv", "--home", home)
    assert done.stdout == 'one,text\n1,"a,b"\n2,\n'


def test_query_prints_json(home: Path) -> None:
    done = sales("query", QUERY, "--format", "json", "--home", home)
    assert json.loads(done.stdout) == [{"one": 1, "text": "a,b"}, {"one": 2, "text": None}]


def test_json_tells_values_as_they_are(home: Path) -> None:
    sql = (
        "select timestamp '2015-01-04' - timestamp '2015-01-01' as span, 3.2e-15::double as small,"
        " 0.123456789012345::double as long, date '2015-01-04' as day,"
        " timestamp '2015-01-04 10:00:00' as at, 'nan'::double as none, [1, 2] as list,"
        " uuid '4a8f5375-cb58-410b-b65c-a0fb82581e93' as id, 'Köln' as town"
    )
    done = sales("query", sql, "--format", "json", "--home", home)
    assert json.loads(done.stdout) == [
        {
            "span": "3 days", "small": 3.2e-15, "long": 0.123456789012345, "day": "2015-01-04",
            "at": "2015-01-04 10:00:00", "none": None, "list": [1, 2],
            "id": "4a8f5375-cb58-410b-b65c-a0fb82581e93", "town": "Köln",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_the_days_of_a_forecast_are_dates(home: Path, kind: str) -> None:
    asked = ["forecast", "--store", "1", "--format", kind, "--home", str(home)]
    out = CliRunner().invoke(main, asked).stdout
    rows = json.loads(out) if kind == "json" else pd.read_csv(StringIO(out)).to_dict("records")
    assert len(rows) == 42
    assert all(len(row[name]) == len("2015-01-04") for row in rows for name in ("date", "cutoff"))


def test_what_is_not_made_yet_is_told(home: Path, tmp_path: Path) -> None:
    """Whoever materialises assets one by one publishes what there is."""
    snapshot = tmp_path / "published" / "sales.duckdb"
    snapshot.parent.mkdir()
    shutil.copy(home / "published" / "sales.duckdb", snapshot)
    commands = [
        "forecast", "forecast --store 1", "forecast --format kaggle",
        "forecast --store 1 --explain", "insights", "insights promo_effect",
        "insights --format json",
    ]  # fmt: skip
    for spoil in (
        "delete from forecasts.daily; delete from forecasts.explanations;"
        " delete from insights.answers",
        "drop schema forecasts cascade; drop schema insights cascade",
    ):
        with duckdb.connect(snapshot) as con:
            con.execute(spoil)
        for command in commands:
            done = CliRunner().invoke(main, [*command.split(), "--home", str(tmp_path)])
            assert done.exit_code == 1
            assert done.exception is None or isinstance(done.exception, SystemExit)
            assert "yet; run `sales refresh`" in done.stderr


def test_query_prints_a_table(home: Path) -> None:
    out = sales("query", QUERY, "--home", home).stdout
    assert "one" in out
    assert "a,b" in out


def test_a_table_shows_what_was_delivered_as_it_is(home: Path) -> None:
    """Square brackets are markup to Rich, and a null is nothing, whatever its type."""
    sql = (
        "select 'see [notes], [/b]' as \"x[i]\", null::integer as whole, null::date as day,"
        " [1, null] as list"
    )
    out = sales("query", sql, "--home", home).stdout
    assert "x[i]" in out
    assert "see [notes], [/b]" in out
    assert "NA" not in out


def test_the_answers_can_be_had_as_json(home: Path) -> None:
    answers = json.loads(sales("insights", "--format", "json", "--home", home).stdout)
    assert [answer["place"] for answer in answers] == list(range(1, len(answers) + 1))
    assert all(answer["answer"] for answer in answers)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["query", "selec 1"], "syntax error"),
        (["query", "select * from nothing_here"], "nothing_here does not exist"),
        (["query", "create table t (a int)"], "read-only"),
        (["insights", "nonsense"], "there are data_overview, "),
        (["forecast", "--store", "9999"], "no forecast for store 9999; there are 12 stores"),
        (["forecast", "--out", "x.xlsx"], "must end in .csv or .parquet"),
        (["forecast", "--format", "json", "--out", "x.csv"], "x.csv is not json; its ending"),
        (["forecast", "--format", "csv", "--out", "x.parquet"], "x.parquet is not csv"),
        (["forecast", "--format", "kaggle", "--store", "1"], "leave out --store"),
        (["models", "show", "nonsense"], "no version 'nonsense'; versions there are"),
        (["models", "promote", "nonsense"], "no version 'nonsense'"),
        (["models", "rollback"], "no earlier champion"),
    ],
)
def test_a_mistake_gets_one_sentence_on_stderr(
    home: Path, arguments: list[str], sentence: str
) -> None:
    done = sales(*arguments, "--home", home, check=False)
    assert done.returncode == 1
    assert not done.stdout
    assert done.stderr.startswith("sales: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frobnicate"], "No such command 'frobnicate' (`sales --help` tells"),
        (["--bogus"], "No such option '--bogus' (`sales --help` tells"),
        (["models", "demote"], "Did you mean 'promote'? (`sales models --help` tells"),
        (["query"], "Missing argument 'SQL' (`sales query --help` tells"),
        (["query", "select 1", "--format", "xml"], "'xml' is not one of 'table', 'csv', 'json'"),
        (["forecast", "--store", "one"], "'one' is not a valid integer"),
        (["refresh", "--horizon", "99"], "'--horizon': 99 is not in the range 1<=x<=56"),
        (["serve", "--port", "80000"], "'--port': 80000 is not in the range 1<=x<=65535"),
        (["dev", "--port", "0"], "'--port': 0 is not in the range 1<=x<=65535"),
        (["query", "select 1", "--home", __file__], "is a file"),
    ],
)
def test_a_command_that_is_not_understood_gets_one_sentence_too(
    arguments: list[str], sentence: str
) -> None:
    done = CliRunner().invoke(main, arguments, prog_name="sales")
    assert done.exit_code == 2
    assert not done.stdout
    assert done.stderr.startswith("sales: ")
    assert done.stderr.endswith("--help` tells what can be asked).\n")
    assert len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("group", [[], ["models"], ["keys"]])
def test_a_group_alone_lists_its_commands(group: list[str]) -> None:
    done = CliRunner().invoke(main, group)
    assert "Commands:" in done.output


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_the_ui_is_not_started_where_it_could_not_be_had(tmp_path: Path, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = sales(
            "dev", "--host", host, "--port", port, "--unprotected", "--home", tmp_path, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"sales: {host}:{port} cannot be bound: ")
    assert done.stderr.endswith("; name another --port or --host.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_the_ui_is_not_opened_to_others_unless_that_is_said(tmp_path: Path, host: str) -> None:
    done = sales("dev", "--host", host, "--home", tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("sales: The UI asks for no key")
    assert f"To open it on {host} all the same, add --unprotected" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_query_that_needs_more_memory_names_the_setting(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_MEMORY_LIMIT", "8MB")
    done = sales("query", "select list(range) from range(9000000)", "--home", home, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("sales: DuckDB needs more memory than the 8MB that it may use")
    assert "Set SALES_MEMORY_LIMIT to more" in done.stderr


def test_a_file_that_cannot_be_written_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "forecast.csv"
    (tmp_path / "forecast.csv").mkdir()
    (tmp_path / "forecast.csv" / "a file").touch()
    with pytest.raises(SalesError, match=r"forecast\.csv cannot be written"):
        print_forecast(Settings(home=home), None, out, "csv")
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("arguments", [["query", "select 1"], ["forecast"], ["insights"]])
def test_an_empty_home_says_what_to_run(tmp_path: Path, arguments: list[str]) -> None:
    done = sales(*arguments, "--home", tmp_path, check=False)
    assert done.returncode == 1
    assert "sales refresh --source" in done.stderr


def test_a_bad_setting_names_variable_and_value(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_HORIZON", "soon")
    done = sales("forecast", "--home", home, check=False)
    assert done.returncode == 1
    assert "SALES_HORIZON='soon'" in done.stderr


def test_the_forecast_of_one_store_has_its_days_and_bounds(home: Path) -> None:
    lines = sales("forecast", "--store", "3", "--format", "csv", "--home", home).stdout.splitlines()
    assert lines[0] == "store_id,date,h,forecast,lo_80,hi_80,lo_95,hi_95,cutoff,version"
    assert len(lines) == 1 + 42
    assert all(line.startswith("3,") for line in lines[1:])


def test_the_forecast_of_the_chain_is_a_row_a_day(home: Path) -> None:
    assert "open_stores" in sales("forecast", "--home", home).stdout


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_forecast_is_written_to_a_file(home: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"forecast{suffix}"
    sales("forecast", "--out", out, "--home", home)
    assert duckdb.sql(f"select count(*) from '{out}'").fetchall() == [(12 * 42,)]


def test_insights_are_listed_and_printed(home: Path) -> None:
    listed = sales("insights", "--home", home)
    assert "promo_effect" in listed.stdout
    assert "With a promotion a store sells" in " ".join(listed.stdout.split())
    assert str(home / "reports" / "insights.html") in listed.stderr
    assert (
        "With a promotion a store sells" in sales("insights", "promo_effect", "--home", home).stdout
    )
    done = sales("insights", "promo_effect", "--format", "csv", "--home", home)
    first = dict(zip(*(line.split(",") for line in done.stdout.splitlines()[:2]), strict=True))
    assert float(first["lift_lo_95"]) < float(first["sales_lift"]) < float(first["lift_hi_95"])


def test_the_champion_is_listed_and_shown(home: Path) -> None:
    listed = sales("models", "list", "--home", home).stdout
    assert "champion" in listed
    assert "no champion to compare it with; RMSPE" in listed
    manifest = json.loads(sales("models", "show", "--home", home).stdout)
    assert manifest["name"] == "ensemble"
    assert manifest["scores"]["rmspe"] > 0
    assert set(manifest["members"]) == set(MEMBERS)
    assert manifest["status"] == "champion"
    assert [event["is_promoted"] for event in manifest["history"]] == [True]


def test_a_promoted_version_stays_until_the_newest_is_followed_again(home_copy: Path) -> None:
    version = json.loads(sales("models", "show", "--home", home_copy).stdout)["version"]
    sales("models", "promote", version, "--reason", "a test", "--home", home_copy)
    assert "pinned" in sales("models", "list", "--home", home_copy).stdout
    sales("models", "promote", "newest", "--home", home_copy)
    assert "pinned" not in sales("models", "list", "--home", home_copy).stdout


def test_the_doctor_finds_a_refreshed_home_well(home: Path) -> None:
    assert "PROBLEM" not in sales("doctor", "--home", home).stdout


def test_the_doctor_asks_the_service_where_one_is_to_run(home: Path) -> None:
    done = sales("doctor", "--service", "--home", home, check=False)
    assert done.returncode == 1
    (problem,) = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert problem == (
        "PROBLEM  No service answers at http://127.0.0.1:9; `sales serve` starts one."
    )


def test_the_doctor_names_a_changed_model_file(home_copy: Path) -> None:
    file = next((home_copy / "models" / "lightgbm").glob("*/booster_000.txt"))
    file.write_text(file.read_text() + " ")
    done = sales("doctor", "--home", home_copy, check=False)
    assert done.returncode == 1
    assert "booster_000.txt is missing or was changed" in done.stdout
