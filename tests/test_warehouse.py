"""The warehouse undoes what fails, swaps its snapshot at once, and says plainly what is wrong."""

import subprocess
import sys
from datetime import datetime

import duckdb
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.columns import COLUMNS
from sales_assets.errors import WarehouseError
from sales_assets.settings import Settings

# Holds a DuckDB file open until its standard input is closed.
HOLDER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""
LOAD = {
    "load_id": 1,
    "file": "store.csv",
    "kind": "stores",
    "sha256": "0a" * 32,
    "rows": 10,
    "refused": 2,
    "loaded_at": datetime(2026, 11, 22),
}


@pytest.fixture
def home(tmp_path):
    # The apostrophe is there because paths go into SQL as text.
    return Settings(home=tmp_path / "it's home", threads=1)


@pytest.fixture
def con(home):
    with warehouse.in_memory(home) as con:
        yield con


def numbers(con):
    return [
        number for (number,) in con.execute("select n from cleaned.numbers order by n").fetchall()
    ]


def write_numbers(home, *values):
    with warehouse.connect(home) as con:
        warehouse.replace_table(con, "cleaned.numbers", pd.DataFrame({"n": values}))


def published_files(home):
    return sorted(path.name for path in home.published.iterdir())


def test_a_transaction_keeps_what_its_block_did(con):
    with warehouse.transaction(con):
        con.execute("create table cleaned.numbers as select 1 as n")
        con.execute("insert into cleaned.numbers values (2)")

    assert numbers(con) == [1, 2]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_transaction_undoes_everything_when_its_block_fails(con, failure):
    con.execute("create table cleaned.numbers as select 1 as n")

    def work():
        with warehouse.transaction(con):
            con.execute("insert into cleaned.numbers values (2)")
            con.execute("create table cleaned.others as select 1 as n")
            raise failure

    with pytest.raises(failure):
        work()

    assert numbers(con) == [1]
    assert not warehouse.table_exists(con, "cleaned.others")


def test_a_transaction_undoes_everything_when_a_statement_fails(con):
    con.execute("create table cleaned.numbers as select 1 as n")

    def work():
        with warehouse.transaction(con):
            con.execute("delete from cleaned.numbers")
            con.execute("select cast('x' as integer)")

    with pytest.raises(duckdb.ConversionException):
        work()

    assert numbers(con) == [1]
    with warehouse.transaction(con):
        con.execute("insert into cleaned.numbers values (2)")
    assert numbers(con) == [1, 2]


def test_parameters_that_a_file_does_not_mention_are_left_out(con):
    warehouse.query(con, "raw/loads", horizon=42)
    warehouse.query(con, "raw/recorded_load", **LOAD, horizon=42, colour="blue")

    known = warehouse.query(con, "raw/known_load", **LOAD).fetchall()
    rows = warehouse.create_table(con, "cleaned.known", "raw/known_load", **LOAD, horizon=42)

    assert known == [(1, 10, 2, 1)]
    assert (rows, con.execute("from cleaned.known").fetchall()) == (1, known)


def test_a_parameter_that_a_file_needs_is_missed(con):
    warehouse.query(con, "raw/loads")

    with pytest.raises(duckdb.Error, match="sha256"):
        warehouse.query(con, "raw/known_load", kind="stores")


def test_a_table_is_replaced_and_its_rows_are_counted(con):
    assert warehouse.replace_table(con, "cleaned.numbers", pd.DataFrame({"n": [1, 2, 3]})) == 3
    assert warehouse.replace_table(con, "cleaned.numbers", pd.DataFrame({"n": [4]})) == 1
    assert numbers(con) == [4]


@pytest.mark.parametrize(
    ("table", "exists"),
    [
        ("cleaned.numbers", True),
        ("forecasts.view_of_numbers", True),
        ("cleaned.view_of_numbers", False),
        ("forecasts.numbers", False),
        ("nowhere.numbers", False),
    ],
)
def test_a_table_or_view_is_found_by_schema_and_name(con, table, exists):
    con.execute("create table cleaned.numbers as select 1 as n")
    con.execute("create view forecasts.view_of_numbers as from cleaned.numbers")

    assert warehouse.table_exists(con, table) is exists


def test_a_new_warehouse_has_every_schema(home):
    with warehouse.connect(home) as con:
        schemas = {
            name for (name,) in con.execute("select schema_name from duckdb_schemas()").fetchall()
        }

    assert set(warehouse.SCHEMAS) <= schemas


def test_the_warehouse_is_closed_when_the_work_fails(home):
    with pytest.raises(ValueError, match="midway"), warehouse.connect(home):
        raise ValueError("midway")

    # Another configuration would be refused if the first connection were still open.
    with warehouse.connect(home.model_copy(update={"threads": 2})) as con:
        assert con.execute("select 1").fetchall() == [(1,)]


def test_before_the_first_publication_the_reader_is_told_what_to_do(home):
    with pytest.raises(
        WarehouseError, match=r"Nothing is published in .*`sales refresh --source DIR`"
    ):
        warehouse.connect_snapshot(home).__enter__()


def test_the_snapshot_has_everything_and_can_only_be_read(home):
    write_numbers(home, 1, 2)
    with warehouse.connect(home) as con:
        con.execute("create table raw.deliveries as select 7 as n")
        con.execute("create view forecasts.latest as select max(n) as n from cleaned.numbers")

    assert warehouse.publish(home) == home.snapshot_path

    with warehouse.connect_snapshot(home) as con:
        assert numbers(con) == [1, 2]
        assert con.execute("from forecasts.latest").fetchall() == [(2,)]
        assert con.execute("from raw.deliveries").fetchall() == [(7,)]
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            con.execute("delete from cleaned.numbers")


def comments(home: Settings) -> dict[str, str | None]:
    with warehouse.connect_snapshot(home) as con:
        return dict(
            con.execute(
                "select table_name, comment from duckdb_tables() where not internal"
                " union all select view_name, comment from duckdb_views() where not internal"
                " union all select table_name || '.' || column_name, comment from duckdb_columns()"
                " where not internal"
            ).fetchall()
        )


def test_the_snapshot_says_what_its_tables_and_columns_mean(home):
    with warehouse.connect(home) as con:
        con.execute("create table forecasts.daily as select 1 as h, 2 as unheard_of")
        con.execute("create view forecasts.latest as from forecasts.daily")
        con.execute("create table models.one as select 3 as h")
    says = {
        "forecasts.daily": "A store's day.",
        "forecasts.latest": "The newest",
        "models.one": "?",
    }

    warehouse.publish(home, says)

    days_ahead = COLUMNS["h"]
    expected = {
        "daily": "A store's day.", "daily.h": days_ahead, "daily.unheard_of": None,
        "latest": "The newest", "latest.h": days_ahead, "latest.unheard_of": None,
        "one": "?", "one.h": days_ahead,
    }  # fmt: skip
    assert comments(home) == expected

    # What is published alone says it as well, and takes nothing from the others.
    warehouse.publish_tables(home, {"models.one": "One row."})
    assert comments(home) == expected | {"one": "One row."}


def test_tables_for_people_are_published_as_parquet_too(home):
    write_numbers(home, 1, 2)
    with warehouse.connect(home) as con:
        for schema in warehouse.SCHEMAS:
            con.execute(f"create table {schema}.content as select '{schema}' as name")
        con.execute("create view forecasts.latest as select max(n) as n from cleaned.numbers")

    warehouse.publish(home)

    expected = {f"{schema}.content.parquet" for schema in warehouse.PARQUET_SCHEMAS}
    expected |= {"cleaned.numbers.parquet", "forecasts.latest.parquet", "sales.duckdb"}
    assert published_files(home) == sorted(expected)
    assert pd.read_parquet(home.published / "cleaned.numbers.parquet")["n"].tolist() == [1, 2]
    assert pd.read_parquet(home.published / "forecasts.latest.parquet")["n"].tolist() == [2]


def test_a_reader_keeps_the_old_snapshot_while_the_new_one_takes_its_place(home):
    write_numbers(home, 1)
    warehouse.publish(home)
    write_numbers(home, 1, 2)

    with warehouse.connect_snapshot(home) as old:
        assert numbers(old) == [1]
        warehouse.publish(home)
        assert numbers(old) == [1]

    with warehouse.connect_snapshot(home) as new:
        assert numbers(new) == [1, 2]
    assert published_files(home) == ["cleaned.numbers.parquet", "sales.duckdb"]


def test_a_publication_that_fails_leaves_the_former_one(home):
    write_numbers(home, 1)
    warehouse.publish(home)
    write_numbers(home, 1, 2)
    with warehouse.connect(home) as con:
        con.execute("create table cleaned.passing as select 1 as n")
        con.execute("create view forecasts.broken as from cleaned.passing")
        con.execute("drop table cleaned.passing")

    with pytest.raises(duckdb.CatalogException):
        warehouse.publish(home)

    with warehouse.connect_snapshot(home) as con:
        assert numbers(con) == [1]
    assert pd.read_parquet(home.published / "cleaned.numbers.parquet")["n"].tolist() == [1]


def test_what_a_killed_publication_left_behind_does_not_stop_the_next(home):
    write_numbers(home, 1)
    home.published.mkdir()
    for name in ("sales.duckdb.tmp", "sales.duckdb.tmp.wal", "cleaned.numbers.parquet.tmp"):
        (home.published / name).write_bytes(b"half a file")

    warehouse.publish(home)

    with warehouse.connect_snapshot(home) as con:
        assert numbers(con) == [1]
    assert published_files(home) == ["cleaned.numbers.parquet", "sales.duckdb"]


def test_a_warehouse_in_use_names_the_process_that_holds_it(home):
    write_numbers(home, 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.warehouse_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(WarehouseError) as error:
            warehouse.connect(home).__enter__()
        holder.stdin.close()
        holder.wait(timeout=30)

    assert str(error.value) == (
        f"{home.warehouse_path} is in use by process {holder.pid}; wait until it has finished."
    )
    with warehouse.connect(home) as con:
        assert numbers(con) == [1]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda good: b"", id="empty"),
        pytest.param(lambda good: b"no database " * 1_000, id="another file"),
        pytest.param(lambda good: good[:4_096], id="cut after the header"),
        pytest.param(lambda good: good[: len(good) // 2], id="cut in the middle"),
        pytest.param(lambda good: good[:8] + b"NOPE" + good[12:], id="other magic bytes"),
        pytest.param(lambda good: good[:12_288] + bytes(len(good) - 12_288), id="zeros"),
    ],
)
def test_a_damaged_file_is_told_in_one_sentence(home, damage):
    write_numbers(home, *range(1_000))
    warehouse.publish(home)
    for path, connect in (
        (home.warehouse_path, warehouse.connect),
        (home.snapshot_path, warehouse.connect_snapshot),
    ):
        path.write_bytes(damage(path.read_bytes()))

        with pytest.raises(WarehouseError) as error:
            connect(home).__enter__()

        assert str(error.value).startswith(f"{path} is damaged (")
        assert "\n" not in str(error.value)


def test_a_home_that_is_a_file_is_told_plainly(tmp_path):
    (tmp_path / "home").write_text("not a directory")
    with (
        pytest.raises(WarehouseError, match="cannot be made a home"),
        warehouse.connect(Settings(home=tmp_path / "home")),
    ):
        pass


def test_no_progress_bar_is_drawn_between_what_is_printed(tmp_path):
    settings = Settings(home=tmp_path)
    with warehouse.connect(settings) as con:
        assert con.execute("select current_setting('enable_progress_bar')").fetchall() == [(False,)]


def test_some_tables_are_published_without_the_others(tmp_path):
    settings = Settings(home=tmp_path)
    with pytest.raises(WarehouseError, match="Nothing is published"):
        warehouse.publish_tables(settings, {"models.one": "A number."})
    with warehouse.connect(settings) as con:
        con.execute("create table models.one as select 1 as number")
        con.execute("create table models.two as select 1 as number")
    warehouse.publish(settings)
    with warehouse.connect(settings) as con:
        con.execute("update models.one set number = 2")
        con.execute("update models.two set number = 2")
        con.execute("create table models.three as select 3 as number")

    warehouse.publish_tables(settings, {"models.one": "A number.", "models.three": "Another."})

    with warehouse.connect_snapshot(settings) as con:
        said = [con.execute(f"from models.{name}").fetchall() for name in ("one", "two", "three")]
    assert said == [[(2,)], [(1,)], [(3,)]]
    numbers = {path.name: duckdb.sql(f"from '{path}'").fetchall()
               for path in settings.published.glob("*.parquet")}  # fmt: skip
    assert numbers == {
        "models.one.parquet": [(2,)], "models.two.parquet": [(1,)], "models.three.parquet": [(3,)],
    }  # fmt: skip
    assert not list(settings.published.glob("*.tmp"))


def test_in_order_one_thread_adds_and_then_as_many_as_before(home):
    with warehouse.in_memory(home.model_copy(update={"threads": 2})) as con:

        def threads():
            return con.execute("select current_setting('threads')").fetchall()

        with warehouse.in_order(con):
            assert threads() == [(1,)]
        assert threads() == [(2,)]
        with pytest.raises(duckdb.Error), warehouse.in_order(con):
            con.execute("from nothing")
        assert threads() == [(2,)]


WRITER = """
import duckdb, os, sys
con = duckdb.connect(sys.argv[1])
con.execute("create table of_my_own as select 1")
os._exit(9)
"""


def test_who_wrote_into_the_snapshot_spoils_none_that_is_published_later(home):
    with warehouse.connect(home) as con:
        con.execute("create table cleaned.numbers as select 1 as n")
    snapshot = warehouse.publish(home)
    subprocess.run([sys.executable, "-c", WRITER, snapshot], check=False)
    assert snapshot.with_name(f"{snapshot.name}.wal").exists()

    warehouse.publish(home)
    with warehouse.connect_snapshot(home) as con:
        assert con.execute("from cleaned.numbers").fetchall() == [(1,)]
        assert not warehouse.table_exists(con, "main.of_my_own")
