"""What Dagster hands to assets: one home, with its settings, warehouse and model store."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import duckdb

from sales_assets import leftovers, warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.lock import hold
from sales_assets.settings import Settings

# One writer at a time: DuckDB lets a single process write, and readers of the file none.
WRITER_POOL = "duckdb_writer"
OWNERS = ["team:forecasting"]


class Home(dg.ConfigurableResource):
    """The home that the environment names, read when an asset runs.

    A run holds the home's lock from before its first step to the end of its process, whether the
    command line, the UI, a schedule or a sensor has started it.
    """

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Lock the home for a run; a sensor, which has none, changes nothing that a run does."""
        if context.run is not None:
            settings = self.settings
            with told_plainly():
                hold(settings)
            leftovers.remove(settings)

    @property
    def settings(self) -> Settings:
        """The settings of this run."""
        with told_plainly():
            return Settings.load()

    @property
    def models(self) -> ModelStore:
        """The model versions."""
        return ModelStore(self.settings.models)

    @contextmanager
    def warehouse(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, open for writing; closed again whatever happens."""
        with told_plainly(), warehouse.connect(self.settings) as con:
            yield con


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what a user can mend into a failure with one sentence, which no retry would help."""
    try:
        yield
    except SalesError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
