"""How long the LSTM takes to answer for one store: milliseconds on one core.

Asked of the newest version in a refreshed home, or else of a network of the configured size that
has learnt little of a made-up chain: what it has learnt does not change how long it takes. `serve`
is the SavedModel's network alone, `predict` the store's windows as well, from feature rows and
history to log sales, and `warm` the same once the network is compiled for one store, as where it
serves. `cpu` is what the core worked a call, which other programs on the machine change less than
the clock.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import windows
from sales_assets.errors import SalesError
from sales_assets.forecasting import features
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.forecasting.lstm import LSTM
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.windows import sliding_windows
from sales_assets.settings import LSTMSettings, Settings
from sales_assets.sources.sample import write_sample

DAYS = 42
WARM_UP = 20


def main() -> None:
    """Print the median and the 95th percentile of many calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="A refreshed home; otherwise a made-up chain.")
    parser.add_argument("--calls", type=int, default=200)
    arguments = parser.parse_args()
    _take_one_core()
    settings = Settings.choose(home=arguments.home, horizon=DAYS, threads=1)
    try:
        member, asked = _newest(settings) if arguments.home else _made_up(settings)
    except SalesError as error:
        parser.exit(1, f"lstm_latency: {error}\n")

    asked = _of_one_store(asked)
    assert member.inputs is not None
    assert member.reference is not None
    reference = member.reference.at(asked.rows)
    one = sliding_windows(asked, member.inputs, reference, member.parameters.past_days, DAYS)
    print(f"{len(asked.rows)} days of one store, {arguments.calls} calls on one core, ms")
    _measure(
        "serve",
        lambda: member.served.serve(one.past, one.future, one.store).numpy(),
        arguments.calls,
    )
    _measure("predict", lambda: member.predict(asked), arguments.calls)
    member.warm_up()
    _measure("warm", lambda: member.predict(asked), arguments.calls)


def _take_one_core() -> None:
    """Stay on one core, where the system lets a process choose."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _newest(settings: Settings) -> tuple[LSTM, Frames]:
    """Return the newest version of a home, and what it is asked there."""
    store = ModelStore(settings.models)
    versions = store.versions(LSTM.name)
    if not versions:
        raise SalesError(f"There is no version of {LSTM.name} in {settings.models}; refresh first.")
    newest = versions[-1]
    settings = settings.model_copy(update={"lstm": LSTMSettings(**newest.parameters)})
    with windows.from_home(settings) as con:
        features.build_future(con, settings)
        asked = read_frames(con, "features.future")
    print(f"{LSTM.name} {newest.version} of {settings.home}")
    return LSTM.load(store.verified(LSTM.name, newest.version), settings), asked


def _made_up(settings: Settings) -> tuple[LSTM, Frames]:
    """Return a network of the configured size, saved and loaded, and what it is asked."""
    little = settings.lstm.model_copy(update={"windows": 256, "epochs": 1, "last_epochs": 1})
    settings = settings.model_copy(update={"lstm": little})
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        write_sample(directory / "source", stores=12, days=500, seed=1)
        with windows.from_source(directory / "source", settings, directory) as con:
            features.build_training(con, settings)
            features.build_future(con, settings)
            learnt, asked = (
                read_frames(con, f"features.{table}") for table in ("training", "future")
            )
            cutoff = features.last_sales_day(con)
        saved = directory / LSTM.name
        saved.mkdir()
        LSTM(settings).fit(learnt.known_at(cutoff), cutoff).save(saved)
        print(
            f"{LSTM.name} of {little.units} units, the mean of {little.seeds}, on a made-up chain"
        )
        return LSTM.load(saved, settings), asked


def _of_one_store(frames: Frames) -> Frames:
    """Return the rows and the history of the first store."""
    rows, history = frames.rows, frames.history
    first = rows["store_id"].min()
    return Frames(rows[rows["store_id"] == first], history[history["store_id"] == first])


def _measure(name: str, call: Callable[[], object], calls: int) -> None:
    took, worked = _milliseconds(call, calls)
    middle, slow = np.percentile(took, [50, 95])
    print(f"  {name:8s} p50 {middle:5.1f}   p95 {slow:5.1f}   cpu {worked:5.1f}", flush=True)


def _milliseconds(call: Callable[[], object], calls: int) -> tuple[NDArray[np.float64], float]:
    """Return what each call took by the clock, and what one of them worked."""
    for _ in range(WARM_UP):
        call()
    took, worked = [], time.process_time()
    for _ in range(calls):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return np.array(took) * 1000, (time.process_time() - worked) * 1000 / calls


if __name__ == "__main__":
    main()
