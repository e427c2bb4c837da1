"""The command `sales`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from sales_assets.errors import SalesError
from sales_assets.settings import MAX_HORIZON, Settings

FORMATS = ("table", "csv", "json", "parquet")
ROLES = ("read", "admin")
PORT = click.IntRange(1, 65_535)
STUDIES = ("loss", "ablation", "importance", "tuning")


class _PlainErrors(click.Group):
    """Tells what a user can mend in one sentence on stderr, with another exit status than 0."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        with _told_plainly():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: click.Context) -> Any:
        with _told_plainly():
            return super().invoke(ctx)


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except SalesError as error:
        _stop(str(error), 1)
    except click.exceptions.NoArgsIsHelpError:
        # Who names a group alone is shown its commands.
        raise
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "sales"
        mistake = error.format_message().rstrip(".")
        _stop(f"{mistake} (`{asked} --help` tells what can be asked).", error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has enough of it.
        raise
    except OSError as error:
        # What the machine refuses anywhere else: a directory, a disk, a port.
        place = f"{error.filename}: " if error.filename else ""
        _stop(f"{place}{error.strerror or error}.", 1)


def _stop(sentence: str, exit_status: int) -> NoReturn:
    click.echo(f"sales: {sentence}", err=True)
    sys.exit(exit_status)


home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of warehouse, models and results.  [default: $SALES_HOME or var]",
)
format_option = click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True
)


@click.group(cls=_PlainErrors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Forecast a retail chain's daily sales, and ask what drives them."""


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--stores", type=int, default=60, show_default=True, help="Number of stores.")
@click.option("--days", type=int, default=942, show_default=True, help="Days of history.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, same files.")
@click.option(
    "--weeks-after",
    type=int,
    default=0,
    show_default=True,
    help="Weeks by which the same chain's history goes on after those days.",
)
@home_option
def sample(
    directory: Path, stores: int, days: int, seed: int, weeks_after: int, home: Path | None
) -> None:
    """Write sample data in Kaggle's file format into DIRECTORY."""
    from sales_assets.sources.sample import write_sample

    write_sample(directory, stores=stores, days=days, seed=seed, weeks_after=weeks_after)
    click.echo(f"{stores} stores × {days + 7 * weeks_after} days written to {directory}", err=True)


@main.command()
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Directory or .zip with train.csv, store.csv and perhaps test.csv.  "
    "[default: $SALES_SOURCE, or what was delivered before]",
)
@click.option(
    "--horizon",
    type=click.IntRange(1, MAX_HORIZON),
    help="Days ahead.  [default: $SALES_HORIZON or 42]",
)
@home_option
def refresh(source: Path | None, horizon: int | None, home: Path | None) -> None:
    """Load a delivery, learn, forecast and publish: the job that runs every week."""
    settings = Settings.choose(home=home, source=source, horizon=horizon)
    from sales_assets.printing import print_choice, print_scores
    from sales_assets.runs import run_job

    run_job("weekly_refresh", settings)
    print_scores(settings)
    print_choice(settings)


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(STUDIES))
@click.option(
    "--trials", type=click.IntRange(1), help="Trials that tuning comes to.  [default: 30]"
)
@click.option("--minutes", type=float, help="Minutes that tuning may take.  [default: 60]")
@home_option
def study(
    names: tuple[str, ...], trials: int | None, minutes: float | None, home: Path | None
) -> None:
    """Justify the models' choices by their backtest: all studies but tuning, or those named.

    loss: what LightGBM should minimise. ablation: what each group of features is worth.
    importance: which features the trees rely on. tuning: better settings, searched for until the
    trials or the minutes are used up; run again, it goes on where it stopped.

    They refit models many times on what was last refreshed: count on minutes each, at full size
    on an hour and more.
    """
    settings = Settings.choose(home=home, studies__trials=trials, studies__minutes=minutes)
    chosen = [name for name in STUDIES if name in names] or [*STUDIES[:-1]]
    from sales_assets.printing import print_study
    from sales_assets.runs import run_job

    run_job("studies", settings, [*chosen, "publish"])
    for name in chosen:
        print_study(settings, name)


@main.command()
@click.argument("sql")
@format_option
@home_option
def query(sql: str, kind: str, home: Path | None) -> None:
    """Run SQL on the published results."""
    from sales_assets.printing import print_query

    print_query(Settings.choose(home=home), sql, kind)


@main.command()
@click.argument("name", required=False)
@format_option
@home_option
def insights(name: str | None, kind: str, home: Path | None) -> None:
    """List the questions that were answered, or print the answer called NAME."""
    from sales_assets.printing import print_insight, print_insights

    settings = Settings.choose(home=home)
    if name is None:
        print_insights(settings, kind)
    else:
        print_insight(settings, name, kind)


@main.command()
@click.option("--store", type=int, help="One store only.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a .csv or .parquet file."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("table", "csv", "json", "kaggle")),
    default="table",
    show_default=True,
    help="kaggle: a submission, Id and Sales for every row of test.csv.",
)
@click.option("--explain", is_flag=True, help="Why lightgbm forecasts what it does, by day.")
@home_option
def forecast(
    store: int | None, out: Path | None, kind: str, explain: bool, home: Path | None
) -> None:
    """Print the newest forecasts: of every store, or of one; as a table, the chain's days."""
    from sales_assets.printing import print_explanations, print_forecast

    settings = Settings.choose(home=home)
    if explain:
        print_explanations(settings, store, out, kind)
    else:
        print_forecast(settings, store, out, kind)


@main.group()
def models() -> None:
    """List the ensemble's versions, and choose the one in use."""


@models.command("list")
@home_option
def list_(home: Path | None) -> None:
    """List every version with its scores, and what became of it and why."""
    from sales_assets.printing import print_versions

    print_versions(Settings.choose(home=home))


@models.command()
@click.argument("version", required=False)
@click.option("--card", is_flag=True, help="Print its model card instead.")
@home_option
def show(version: str | None, card: bool, home: Path | None) -> None:
    """Print what is recorded of VERSION, or of the champion, and what became of it."""
    from sales_assets.printing import print_version

    print_version(Settings.choose(home=home), version, card=card)


@models.command()
@click.argument("version")
@click.option("--reason", default="chosen by hand", show_default=True, help="Kept with it.")
@home_option
def promote(version: str, reason: str, home: Path | None) -> None:
    """Make VERSION the champion until told otherwise; "newest" follows the newest again."""
    settings = Settings.choose(home=home)
    _change_champion(settings, lambda store: store.choose(version, reason))


@models.command()
@click.option("--reason", default="rolled back by hand", show_default=True, help="Kept with it.")
@home_option
def rollback(reason: str, home: Path | None) -> None:
    """Make the champion before this one the champion again."""
    settings = Settings.choose(home=home)
    _change_champion(settings, lambda store: store.roll_back(reason))


def _change_champion(settings: Settings, change: Callable[[Any], Any]) -> None:
    from sales_assets import quality, warehouse
    from sales_assets.forecasting.model_store import ModelStore
    from sales_assets.runs import run_job

    store = ModelStore(settings.models)

    def first() -> None:
        if settings.warehouse_path.exists():
            with warehouse.connect(settings) as con:
                quality.refuse_what_was_stopped(con)
        change(store)

    run_job("publication", settings, first=first)
    champion = store.champion()
    assert champion is not None, "it was chosen just now"
    click.echo(f"The champion is {champion.version}, and its forecasts are published.", err=True)


@main.command()
@click.option("--port", type=PORT, default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Others need --unprotected.")
@click.option("--unprotected", is_flag=True, help="Open it to whoever reaches HOST, without a key.")
@click.option("--source", type=click.Path(path_type=Path), help="What a refresh there loads.")
@home_option
def dev(port: int, host: str, unprotected: bool, source: Path | None, home: Path | None) -> None:
    """Open the Dagster UI on this machine, with the weekly schedule running."""
    settings = Settings.choose(home=home, source=source)
    # The UI's processes start elsewhere, so that paths must not depend on the directory.
    Settings.choose(
        home=settings.home.absolute(), source=settings.source and settings.source.absolute()
    )
    from sales_assets.runs import open_ui

    open_ui(Settings.load(), host, port, unprotected)


@main.command()
@click.option("--port", type=PORT, default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Others need a key.")
@click.option("--release", "url", help="URL of the home whose releases are copied to this one.")
@home_option
def serve(port: int, host: str, url: str | None, home: Path | None) -> None:
    """Answer over HTTP with the newest release, until stopped."""
    from serving.local import serve_here

    def tell(line: str) -> None:
        click.echo(line, err=True)

    serve_here(Settings.choose(home=home), host, port, tell, url)


@main.group()
def keys() -> None:
    """Add, list and revoke the keys that the service knows."""


@keys.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="read", show_default=True)
@home_option
def add_key(name: str, role: Any, home: Path | None) -> None:
    """Print a new key for NAME; it cannot be had again."""
    from serving.security import Keys

    click.echo(Keys(Settings.choose(home=home).keys_path).add(name, role))
    click.echo("Send it as the header  Authorization: Bearer KEY", err=True)


@keys.command("list")
@home_option
def list_keys(home: Path | None) -> None:
    """List the keys' names, roles and dates."""
    from serving.security import Keys

    for key in Keys(Settings.choose(home=home).keys_path).all():
        click.echo(f"{key.name}\t{key.role}\t{key.created_at}")


@keys.command("revoke")
@click.argument("name")
@home_option
def revoke_key(name: str, home: Path | None) -> None:
    """Forget the key of NAME; a running service refuses it from now on."""
    from serving.security import Keys

    Keys(Settings.choose(home=home).keys_path).revoke(name)


@main.command()
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Check this directory or .zip instead, and load nothing of it.",
)
@click.option("--service", is_flag=True, help="Ask the running service (SALES_SERVICE_URL) too.")
@home_option
def doctor(source: Path | None, service: bool, home: Path | None) -> None:
    """Check the home: can it be written, is it complete, are its models as they were saved?

    With --source, check a delivery: every row and file that a refresh would refuse, by line.
    """
    from sales_assets.doctor import examine, examine_delivery

    settings = Settings.choose(home=home)
    findings = (
        examine_delivery(settings, source) if source else examine(settings, asks_service=service)
    )
    for finding in findings:
        click.echo(f"{'ok     ' if finding.is_well else 'PROBLEM'}  {finding.text}")
    if not all(finding.is_well for finding in findings):
        sys.exit(1)
