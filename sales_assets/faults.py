"""What a machine refuses or a disk has lost, told in a sentence that names the remedy."""

import re
import shlex
import shutil
from pathlib import Path

import duckdb

from sales_assets.settings import Settings

FULL = re.compile(r"No space left on device|database or disk is full|quota exceeded", re.IGNORECASE)
READ_ONLY = re.compile(r"Read-only file system|readonly database", re.IGNORECASE)
# SQLite, which keeps the runs' records, does not say why.
UNSAID = "disk I/O error"
LEAST_FREE_BYTES = 10_000_000
BROKEN_RECORDS = re.compile(r"file is not a database|database disk image is malformed")
OUT_OF_MEMORY = "Out of Memory Error"
NEWER = "created with a newer version of DuckDB"
DAMAGED = re.compile(
    r"Corrupt|not a valid DuckDB database|Could not read enough bytes|replaying WAL|deserializ"
)
# Errors that DuckDB raises only where a file is not what it once wrote.
BROKEN = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
MENTIONED = re.compile(r"""["'](/[^"']+)""")


def of_machine(text: str, settings: Settings) -> str | None:
    """Return what an error says of the machine, or nothing if it is about something else."""
    home = settings.home.absolute()
    if not home.is_dir():
        return f"{home} was removed or moved while it was in use; the run cannot go on."
    free_bytes = shutil.disk_usage(home).free
    if FULL.search(text) or (UNSAID in text and free_bytes < LEAST_FREE_BYTES):
        mentioned = MENTIONED.search(text)
        place = Path(mentioned[1]) if mentioned else home
        return (
            f"The disk of {place} is full ({free_bytes / 1e6:,.0f} MB are free); the last results "
            "are untouched. Make room, and run the same command again."
        )
    if told := of_memory(text, settings):
        return told
    if READ_ONLY.search(text):
        return (
            f"{home} is on a file system that can only be read; mount it for writing or name "
            "another --home."
        )
    return None


def of_memory(text: str, settings: Settings) -> str | None:
    """Return what an error says of DuckDB's memory, or nothing if there is enough."""
    if OUT_OF_MEMORY not in text:
        return None
    return (
        f"DuckDB needs more memory than the {settings.memory_limit} that it may use; the last "
        "results are untouched. Set SALES_MEMORY_LIMIT to more, and run the same command again."
    )


def of_records(text: str, settings: Settings) -> str | None:
    """Return what an error of SQLite says of the runs' records, or nothing if they are sound."""
    if not BROKEN_RECORDS.search(text):
        return None
    directory = settings.dagster_home.absolute()
    aside = directory.with_name(f"{directory.name}.damaged")
    return (
        f"{directory}, the record of the runs, is damaged; move it aside by "
        f"`mv {shlex.quote(str(directory))} {shlex.quote(str(aside))}`, and the next command "
        "begins a new one. Results and models are elsewhere."
    )


def of_database(error: duckdb.Error, path: Path, settings: Settings) -> str | None:
    """Return what an error says of a DuckDB file, or nothing if it is about a query."""
    text = str(error)
    if NEWER in text:
        return (
            f"{path} was written by a newer DuckDB than {duckdb.__version__}, which is installed "
            f"here; install what wrote it (`make setup`), or {_remedy(path, settings)}."
        )
    if told := of_machine(text, settings):
        return told
    if DAMAGED.search(text) or isinstance(error, BROKEN):
        reason = text.splitlines()[0].rstrip(".!")
        return f"{path} is damaged ({reason}); {_remedy(path, settings)}."
    return None


def _remedy(path: Path, settings: Settings) -> str:
    if path != settings.warehouse_path:
        return "`sales refresh` publishes it anew"
    file, wal, snapshot = (
        shlex.quote(str(part.absolute()))
        for part in (path, path.with_name(path.name + ".wal"), settings.snapshot_path)
    )
    if settings.snapshot_path.exists():
        return (
            "go back to what was published last by "
            f"`rm -f {wal} && cp {snapshot} {file}`, and refresh with what was delivered since"
        )
    return (
        f"remove it by `rm -f {file} {wal}`, and refresh with everything that was delivered "
        "(--source)"
    )
