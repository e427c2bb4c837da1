"""DuckDB without Dagster: connect, run a SQL file, publish the snapshot."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from sales_assets import faults
from sales_assets.columns import meaning
from sales_assets.errors import WarehouseError
from sales_assets.settings import REPOSITORY, Settings

SCHEMAS = (
    "raw", "quality", "cleaned", "insights", "features", "models", "intervals", "forecasts",
    "monitoring",
)  # fmt: skip

FUNCTIONS = ("t_95", "margin_95", "sum_margin_95", "effects")
# Published as Parquet too; deliveries and training rows are in the snapshot alone.
PARQUET_SCHEMAS = ("cleaned", "insights", "models", "intervals", "forecasts", "monitoring")


@contextmanager
def connect(settings: Settings, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the home's warehouse, for writing unless told otherwise, and close it again.

    Raises:
        WarehouseError: Another process holds the file, or it is not a usable warehouse.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"{settings.home} cannot be made a home: {error.strerror}; name another --home."
        ) from None
    with _opened(settings.warehouse_path, settings, read_only=read_only) as con:
        yield con


@contextmanager
def connect_snapshot(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published snapshot for reading.

    Raises:
        WarehouseError: Nothing has been published yet, or it is damaged.
    """
    if not settings.snapshot_path.exists():
        raise WarehouseError(
            f"Nothing is published in {settings.home} yet; run `sales refresh --source DIR` first."
        )
    with _opened(settings.snapshot_path, settings, read_only=True) as con:
        yield con


@contextmanager
def in_memory(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty warehouse that lives in memory, with every schema in place."""
    con = duckdb.connect(":memory:", config=_config(settings))
    try:
        create_schemas(con)
        yield con
    finally:
        con.close()


def recall(con: duckdb.DuckDBPyConnection, settings: Settings, tables: list[str]) -> None:
    """Copy tables of the published snapshot to a warehouse in memory that lacks them.

    Raises:
        WarehouseError: The snapshot cannot be read.
    """
    with beside_snapshot(con, settings):
        for table in tables:
            con.execute(f"create table {table} as from published.{table}")


@contextmanager
def beside_snapshot(con: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[None]:
    """Have the published snapshot beside another warehouse, as the database `published`.

    Raises:
        WarehouseError: The snapshot cannot be read.
    """
    try:
        con.execute(f"attach {_literal(settings.snapshot_path)} as published (read_only)")
    except duckdb.Error as error:
        raise _told(error, settings.snapshot_path, settings) from None
    try:
        yield
    finally:
        con.execute("detach published")


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block does, or undo all of it."""
    con.execute("begin transaction")
    try:
        yield
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")


def create_schemas(con: duckdb.DuckDBPyConnection) -> None:
    """Create the schemas of the warehouse where they are missing, and the functions of queries."""
    with transaction(con):
        for schema in SCHEMAS:
            con.execute(f"create schema if not exists {schema}")
        for function in FUNCTIONS:
            query(con, f"functions/{function}")


@cache
def read_sql(name: str) -> str:
    """Return the text of `sql/<name>.sql`."""
    return (REPOSITORY / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def headline(sql: str) -> str:
    """Return the comment at the head of a SQL file: what one row means."""
    lines = []
    for line in read_sql(sql).splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)


def query(con: duckdb.DuckDBPyConnection, name: str, **params: Any) -> duckdb.DuckDBPyConnection:
    """Run the select in `sql/<name>.sql`; parameters that it does not mention are left out."""
    text = read_sql(name)
    return con.execute(text, _mentioned(text, params))


def select(con: duckdb.DuckDBPyConnection, name: str, **params: Any) -> duckdb.DuckDBPyRelation:
    """Return what `query` would, to be printed or written by DuckDB."""
    text = read_sql(name)
    return con.sql(text, params=_mentioned(text, params))


def create_table(
    con: duckdb.DuckDBPyConnection, table: str, sql: str, *, temporary: bool = False, **params: Any
) -> int:
    """Replace `table` by the result of `sql/<sql>.sql` and return its number of rows."""
    text = read_sql(sql)
    kind = "temporary table" if temporary else "table"
    con.execute(f"create or replace {kind} {table} as {text}", _mentioned(text, params))
    return count(con, table)


@contextmanager
def in_order(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run the block's queries on one thread, which adds fractions in the order of the rows.

    Several add them in varying order, and the last bit differs from run to run.
    """
    ((threads,),) = con.execute("select current_setting('threads')").fetchall()
    con.execute("set threads = 1")
    try:
        yield
    finally:
        con.execute(f"set threads = {threads}")


def create_view(con: duckdb.DuckDBPyConnection, view: str, sql: str) -> None:
    """Replace `view` by the select in `sql/<sql>.sql`."""
    con.execute(f"create or replace view {view} as {read_sql(sql)}")


def replace_table(con: duckdb.DuckDBPyConnection, table: str, frame: pd.DataFrame) -> int:
    """Replace `table` by a frame and return its number of rows."""
    con.register("frame", frame)
    con.execute(f"create or replace table {table} as select * from frame")
    con.unregister("frame")
    return count(con, table)


def count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return the number of rows of a table."""
    ((rows,),) = con.execute(f"select count(*) from {table}").fetchall()
    return int(rows)


def read_through(con: duckdb.DuckDBPyConnection) -> None:
    """Read every value of every table, so that a damaged block is found."""
    tables = con.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = current_database() and table_type = 'BASE TABLE'"
    ).fetchall()
    for (table,) in tables:
        con.execute(f"select bit_xor(hash(whole)) from {table} as whole").fetchall()


def table_exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Tell whether `schema.name` is a table or view of the opened warehouse."""
    schema, name = table.split(".")
    return bool(
        con.execute(
            "select 1 from information_schema.tables"
            " where table_catalog = current_database() and table_schema = $schema"
            " and table_name = $name",
            {"schema": schema, "name": name},
        ).fetchall()
    )


def _mentioned(text: str, params: dict[str, Any]) -> dict[str, Any]:
    names = set(re.findall(r"\$([a-z_][a-z0-9_]*)", text))
    return {name: value for name, value in params.items() if name in names}


def _config(settings: Settings) -> dict[str, Any]:
    return {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


@contextmanager
def _opened(
    path: Path, settings: Settings, *, read_only: bool
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a file and close it again; what is wrong with it, or its disk, is told plainly."""
    con = _open(path, settings, read_only=read_only)
    try:
        if not read_only:
            create_schemas(con)
        yield con
    except duckdb.Error as error:
        if fault := faults.of_database(error, path, settings):
            raise WarehouseError(fault) from error
        raise
    finally:
        con.close()


def _open(path: Path, settings: Settings, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        con = duckdb.connect(path, read_only=read_only, config=_config(settings))
    except duckdb.Error as error:
        raise _told(error, path, settings) from None
    scratch = settings.scratch.absolute()
    con.execute("set temp_directory = $path", {"path": str(scratch)})
    con.execute("set preserve_insertion_order = true")
    # A slow query would draw its bar between the lines of what is printed.
    con.execute("set enable_progress_bar = false")
    return con


def _told(error: duckdb.Error, path: Path, settings: Settings) -> WarehouseError:
    """Return why a file cannot be opened."""
    if holder := re.search(r"PID (\d+)", str(error)):
        return WarehouseError(
            f"{path} is in use by process {holder[1]}; wait until it has finished."
        )
    fault = faults.of_database(error, path, settings)
    return WarehouseError(fault or f"{path} cannot be opened: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def publish(settings: Settings, described: Mapping[str, str] | None = None) -> Path:
    """Replace the snapshot and the Parquet files by the warehouse's present content.

    Everything is written beside its final name first; the snapshot is swapped last, so that a
    reader sees the old state or the new one, never a mixture.

    Args:
        settings: The home.
        described: What one row of a table means, which becomes the table's comment.
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    fresh = settings.snapshot_path.with_suffix(".duckdb.tmp")
    fresh.unlink(missing_ok=True)
    with connect(settings) as con:
        parquet = _write_parquet(con, _parquet_tables(con), settings.published)
        con.execute(f"attach {_literal(fresh)} as snapshot")
        try:
            con.execute("copy from database warehouse to snapshot")
            _comment(con, _relations(con), described or {})
        finally:
            con.execute("detach snapshot")
    return _swapped(fresh, parquet, settings.snapshot_path)


def publish_tables(settings: Settings, described: Mapping[str, str]) -> Path:
    """Replace some tables of the snapshot, and their Parquet files; all others stay as they are.

    For what is made between two refreshes: the warehouse may be in the middle of one.

    Args:
        settings: The home.
        described: The tables, each with what one row of it means.

    Raises:
        WarehouseError: Nothing has been published yet.
    """
    with connect_snapshot(settings):
        fresh = settings.snapshot_path.with_suffix(".duckdb.tmp")
        shutil.copyfile(settings.snapshot_path, fresh)
    with connect(settings) as con:
        parquet = _write_parquet(con, described, settings.published)
        con.execute(f"attach {_literal(fresh)} as snapshot")
        try:
            for table in described:
                con.execute(f"create or replace table snapshot.{table} as from warehouse.{table}")
            _comment(con, dict.fromkeys(described, "table"), described)
        finally:
            con.execute("detach snapshot")
    return _swapped(fresh, parquet, settings.snapshot_path)


def _swapped(fresh: Path, parquet: list[tuple[Path, Path]], snapshot: Path) -> Path:
    """Give what was written beside its final name that name, the snapshot last."""
    for written, final in parquet:
        written.replace(final)
    # Who writes into the published file leaves a log that would be held against the next one.
    of_others = snapshot.with_name(f"{snapshot.name}.wal")
    of_others.unlink(missing_ok=True)
    fresh.replace(snapshot)
    of_others.unlink(missing_ok=True)
    return snapshot


def _relations(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return each table and view of the snapshot, with which of the two it is."""
    rows = con.execute(
        "select schema_name || '.' || table_name, 'table' from duckdb_tables()"
        " where database_name = 'snapshot' union all"
        " select schema_name || '.' || view_name, 'view' from duckdb_views()"
        " where database_name = 'snapshot' and not internal"
    ).fetchall()
    return dict(rows)


def _comment(
    con: duckdb.DuckDBPyConnection, relations: Mapping[str, str], described: Mapping[str, str]
) -> None:
    """Write into the snapshot what its tables and their columns mean, for tools to show."""
    with transaction(con):
        for table, kind in relations.items():
            comments = {f"{kind} snapshot.{table}": described.get(table)}
            for column, *_ in con.execute(f"describe snapshot.{table}").fetchall():
                comments[f'column snapshot.{table}."{column}"'] = meaning(table, column)
            for place, text in comments.items():
                if text:
                    con.execute(f"comment on {place} is {_literal(text)}")


def _parquet_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    tables = con.execute(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = 'warehouse' and list_contains($schemas, table_schema) order by 1",
        {"schemas": list(PARQUET_SCHEMAS)},
    ).fetchall()
    return [table for (table,) in tables]


def _write_parquet(
    con: duckdb.DuckDBPyConnection, tables: Iterable[str], directory: Path
) -> list[tuple[Path, Path]]:
    files = []
    for table in tables:
        final = directory / f"{table}.parquet"
        written = final.with_suffix(".parquet.tmp")
        con.execute(f"copy {table} to {_literal(written)} (format parquet, compression zstd)")
        files.append((written, final))
    return files


def _literal(value: Path | str) -> str:
    return "'" + str(value).replace("'", "''") + "'"
