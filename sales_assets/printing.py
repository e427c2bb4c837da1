"""What the command line prints of the published results."""

import json
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import duckdb
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sales_assets import faults
from sales_assets.errors import SalesError
from sales_assets.forecasting.champion import judgements, status
from sales_assets.forecasting.model_card import find_card
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.settings import Settings
from sales_assets.warehouse import connect_snapshot, headline, query, select, table_exists

TABLE_ROWS = 100
PIPE_WIDTH = 240


def print_scores(settings: Settings) -> None:
    """Print every model's backtest scores."""
    with connect_snapshot(settings) as con:
        _need(con, "models.scores")
        _print_table(query(con, "models/overview").df(), "Backtest, open days")


def print_choice(settings: Settings) -> None:
    """Print what the last refresh decided of the champion."""
    choice = ModelStore(settings.models).choice()
    if choice:
        click.echo(f"{'Look at this: ' if choice.is_warning else ''}{choice.reason}")


def print_study(settings: Settings, name: str) -> None:
    """Print what a study found; of a tuning, also its best settings as environment variables."""
    with connect_snapshot(settings) as con:
        found = query(con, f"studies/{name}").df()
    _print_table(found.drop(columns="parameters", errors="ignore"), headline(f"studies/{name}"))
    if name == "tuning":
        for row in found[found["is_best"]].to_dict("records"):
            for field, value in json.loads(row["parameters"]).items():
                click.echo(f"SALES_{row['model'].upper()}__{field.upper()}={value}")


def print_query(settings: Settings, sql: str, kind: str) -> None:
    """Run SQL on the snapshot and print what it returns.

    Raises:
        SalesError: DuckDB refuses the SQL; the message is DuckDB's.
    """
    with connect_snapshot(settings) as con:
        try:
            relation = con.sql(sql)
            if relation is None:
                raise SalesError("Only a query that returns rows can be printed.")
            _print(relation, kind)
        except duckdb.Error as error:
            reason = " ".join(str(error).split())
            raise SalesError(faults.of_memory(reason, settings) or reason) from None


def print_insights(settings: Settings, kind: str) -> None:
    """List the questions with their answers."""
    with connect_snapshot(settings) as con:
        _need(con, "insights.answers")
        if kind != "table":
            _print(con.sql("from insights.answers order by place"), kind)
            return
        answers = _answers(con)
    report = settings.reports / "insights.html"
    _print_table(answers[["name", "question", "answer"]], "`sales insights NAME` prints one")
    if report.exists():
        click.echo(f"{report} shows them all.", err=True)


def print_insight(settings: Settings, name: str, kind: str) -> None:
    """Print one insight.

    Raises:
        SalesError: There is no such insight; the message lists those there are.
    """
    with connect_snapshot(settings) as con:
        _need(con, "insights.answers")
        answers = _answers(con).set_index("name")
        if name not in answers.index:
            raise SalesError(f"There is no insight {name!r}; there are {', '.join(answers.index)}.")
        if kind == "table":
            told = answers.loc[name]
            click.echo(f"{told['question']}\n\n{told['answer']}\n{told['caveats']}\n")
            click.echo(told["one_row_is"])
        _print(con.sql(f"select * from insights.{name}"), kind)


def print_forecast(settings: Settings, store: int | None, out: Path | None, kind: str) -> None:
    """Print or write the ensemble's newest forecasts.

    Raises:
        SalesError: The store is unknown, the file's ending is not or is another format's, or the
            plan of a submission reaches beyond the horizon.
    """
    if kind == "kaggle" and store is not None:
        raise SalesError("A submission is of every row of test.csv; leave out --store.")
    with connect_snapshot(settings) as con:
        _need(con, "forecasts.latest")
        if store is not None:
            _check_store(con, store)
        if kind == "kaggle":
            _check_submission(con)
            name = "forecasts/submission"
        elif kind == "table" and store is None and out is None:
            name = "forecasts/by_day"
        else:
            name = "forecasts/by_store"
        found = select(con, name, store=store, model=ENSEMBLE)
        _print_or_write(found, out, "csv" if kind == "kaggle" else kind)


def print_explanations(settings: Settings, store: int | None, out: Path | None, kind: str) -> None:
    """Print why the newest forecasts of a store, or of every store, are what they are.

    Raises:
        SalesError: The store is unknown, the explanations are not published, or the format or the
            file's ending is not one that they can be told in.
    """
    if kind == "kaggle":
        raise SalesError("A submission has no explanations; leave out --explain.")
    if store is None and out is None and kind == "table":
        raise SalesError("Which store? Name it with --store, or ask for a file with --out.")
    with connect_snapshot(settings) as con:
        _need(con, "forecasts.explanations")
        if store is not None:
            _check_store(con, store)
        _print_or_write(select(con, "forecasts/explained", store=store), out, kind)


def print_versions(settings: Settings) -> None:
    """Print the ensemble's versions, and what became of each and why."""
    store = ModelStore(settings.models)
    manifests = store.versions(ENSEMBLE)
    if not manifests:
        raise SalesError(f"There are no models in {settings.home}; run `sales refresh` first.")
    told = judgements([manifest.version for manifest in manifests], store.champion())
    table = pd.DataFrame(
        {
            "version": told["version"],
            "cutoff": [manifest.cutoff for manifest in manifests],
            "status": told["status"].where(~told["is_pinned"], told["status"] + ", pinned"),
            "rmspe": [manifest.scores.get("rmspe") for manifest in manifests],
            "coverage_80": [manifest.scores.get("coverage_80") for manifest in manifests],
            "judged_at": told["judged_at"].dt.strftime("%Y-%m-%d %H:%M"),
            "reason": told["reason"],
        }
    )
    _print_table(table, "Versions of the ensemble")


def print_version(settings: Settings, version: str | None, *, card: bool = False) -> None:
    """Print the manifest and history, or the card, of one version, or of the champion.

    Raises:
        SalesError: There is no such version, or it was made before there were cards.
    """
    store = ModelStore(settings.models)
    champion = store.champion()
    if version is None:
        if champion is None:
            raise SalesError(f"There is no champion in {settings.home}; run `sales refresh` first.")
        version = champion.version
    if card:
        text = find_card(store, ENSEMBLE, version)
        if text is None:
            raise SalesError(f"{ENSEMBLE} {version} was made before there were cards.")
        click.echo(text, nl=False)
        return
    recorded = json.loads(store.manifest(ENSEMBLE, version).to_json())
    past = [event for event in (champion.history if champion else ()) if event.version == version]
    told = {"status": status(version, champion), "history": [asdict(event) for event in past]}
    click.echo(json.dumps({**recorded, **told}, indent=2, default=str))


def _answers(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return con.execute("select * from insights.answers order by place").df()


def _need(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Say what to do where a table is not published, since not all has been made yet."""
    if not table_exists(con, table) or not con.execute(f"from {table} limit 1").fetchall():
        raise SalesError(f"There is nothing in {table} yet; run `sales refresh`.")


def _check_store(con: duckdb.DuckDBPyConnection, store: int) -> None:
    known = [
        store_id
        for (store_id,) in con.execute(
            "select distinct store_id from forecasts.latest order by 1"
        ).fetchall()
    ]
    if store not in known:
        raise SalesError(
            f"There is no forecast for store {store}; there are {len(known)} stores, "
            f"from {known[0]} to {known[-1]}."
        )


def _check_submission(con: duckdb.DuckDBPyConnection) -> None:
    ((asked, last_asked, unanswered, last_day),) = query(
        con, "forecasts/submission_gaps"
    ).fetchall()
    if not asked:
        raise SalesError("No test.csv with an Id column and days after the cutoff was delivered.")
    if unanswered:
        raise SalesError(
            f"{unanswered} of the {asked} rows of test.csv have no forecast: it asks for days to "
            f"{last_asked}, and the forecasts end on {last_day}; refresh with a longer --horizon."
        )


def _print_or_write(relation: duckdb.DuckDBPyRelation, out: Path | None, kind: str) -> None:
    if out is None:
        _print(relation, kind)
    elif out.suffix not in (".csv", ".parquet"):
        raise SalesError(f"{out} must end in .csv or .parquet.")
    elif kind not in ("table", out.suffix[1:]):
        raise SalesError(f"{out} is not {kind}; its ending decides, so leave out --format.")
    else:
        _write(relation, out)


def _print(relation: duckdb.DuckDBPyRelation, kind: str) -> None:
    if kind == "table":
        _print_table(relation.limit(TABLE_ROWS + 1).df())
    elif kind == "json":
        click.echo(json.dumps(_records(relation), indent=2, ensure_ascii=False))
    elif kind == "parquet" and sys.stdout.isatty():
        raise SalesError(
            "Parquet is not for a terminal; send it to a file with `> result.parquet`."
        )
    else:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / f"result.{kind}"
            _write(relation, file)
            with file.open("rb") as content:
                sys.stdout.flush()
                shutil.copyfileobj(content, sys.stdout.buffer)


def _records(relation: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    """Return rows as JSON can tell them; what is no number in JSON is null."""
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/result.json"
        # Run before it gets a name, which a list of tables would hold.
        found = relation.materialize()
        found.query("found", f"copy (from found) to '{file}' (format json, array true)")
        text = Path(file).read_text(encoding="utf-8")
    records: list[dict[str, Any]] = json.loads(text, parse_constant=lambda _: None)
    return records


def _write(relation: duckdb.DuckDBPyRelation, path: Path) -> None:
    fresh = path.with_name(path.name + ".tmp")
    try:
        if path.suffix == ".parquet":
            relation.write_parquet(str(fresh), compression="zstd")
        else:
            relation.write_csv(str(fresh), header=True)
        fresh.replace(path)
    except (duckdb.IOException, OSError) as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise SalesError(f"{path} cannot be written: {str(error).splitlines()[0]}") from None


def _print_table(frame: pd.DataFrame, heading: str | None = None) -> None:
    # As text, since what was delivered may look like Rich's markup.
    title = Text(heading, style="bold") if heading else None
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, name in enumerate(frame.columns):
        is_number = pd.api.types.is_numeric_dtype(frame.dtypes.iloc[place])
        table.add_column(Text(str(name)), justify="right" if is_number else "left")
    decimals = [_decimals(column) for _, column in frame.items()]
    for row in frame.head(TABLE_ROWS).itertuples(index=False):
        cells = (_cell(value, places) for value, places in zip(row, decimals, strict=True))
        table.add_row(*map(Text, cells))
    # What is sent to a file or a pipe has no width that would cut it.
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    console.print(table)
    if len(frame) > TABLE_ROWS:
        console.print(f"The first {TABLE_ROWS} rows; `--format csv` prints all of them.")


def _decimals(column: pd.Series) -> int:
    """Return two places for amounts, four for shares and scores."""
    is_amount = pd.api.types.is_float_dtype(column) and column.abs().max() >= 10
    return 2 if is_amount else 4


def _cell(value: object, decimals: int) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() else str(value)
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    return str(value)
