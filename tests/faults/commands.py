"""Commands in processes of their own, in which something happens at a chosen moment."""

import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import dagster as dg

from tests.processes import CONTEXT

FILLER = "filler"
# Whatever is learnt, it is learnt again alike.
TINY = {
    "SALES_LIGHTGBM__TREES": "5",
    "SALES_LSTM__UNITS": "4",
    "SALES_LSTM__WINDOWS": "100",
    "SALES_LSTM__EPOCHS": "1",
    "SALES_RANDOM_FOREST__TREES": "2",
}


@dataclass(frozen=True)
class Moment:
    """A call of a function.

    Attributes:
        function: Its module and name, as in `pathlib:Path.replace`.
        mentions: What one of its arguments has in it.
        call: Which of those calls.
        is_after: Whether the function has done its work.
    """

    function: str
    mentions: str = ""
    call: int = 1
    is_after: bool = False


def renamed(name: str) -> Moment:
    """The moment before a file or directory gets its final name, which has `name` in it."""
    return Moment("pathlib:Path.replace", mentions=name)


def die(home: Path) -> None:
    """End as by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk(home: Path) -> None:
    """Leave no room on the home's disk."""
    with (home / FILLER).open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue


def remove_the_home(home: Path) -> None:
    """Take the home away."""
    shutil.rmtree(home)


def wait_for_a_word(home: Path) -> None:
    """Wait until the block of `held` ends."""
    with _meeting_point(home).open(encoding="utf-8") as place:
        place.read()


@contextmanager
def held(home: Path, **choices: Any) -> Iterator["Command"]:
    """Start a command, hold it at a moment while the block lasts, and let it go on then."""
    os.mkfifo(_meeting_point(home))
    command = Command(home, **choices, happens=wait_for_a_word)
    # Opening it for writing waits for the one that reads.
    with _meeting_point(home).open("w", encoding="utf-8"):
        yield command


def _meeting_point(home: Path) -> Path:
    return home.parent / f"{home.name}.meeting"


Happening = Callable[[Path], None]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    exit_status: int
    text: str

    @property
    def sentence(self) -> str:
        """The only thing that a command said of what was wrong."""
        assert self.exit_status == 1, self.text
        assert "Traceback" not in self.text
        last = self.text.strip().splitlines()[-1]
        assert last.startswith("sales: "), self.text
        return last

    @property
    def last_line(self) -> str:
        """What it said last."""
        return self.text.strip().splitlines()[-1]


class Command:
    """A command that is under way.

    Args:
        home: The home, by the environment.
        arguments: What follows `sales`; of a run that someone else starts, nothing.
        steps: Of a run: these steps of the weekly refresh alone.
        source: Of a run: what it loads.
        at: When something happens.
        happens: What happens.
    """

    def __init__(
        self,
        home: Path,
        *arguments: str,
        steps: list[str] | None = None,
        source: Path | None = None,
        is_foreign: bool = False,
        at: Moment | None = None,
        happens: Happening = die,
    ) -> None:
        # Not beside the home, whose disk may be full.
        self.output = Path(tempfile.mkstemp(prefix="sales-", suffix=".output")[1])
        environment = {
            **{name: value for name, value in os.environ.items() if name.startswith("SALES_")},
            **TINY,
            "SALES_HOME": str(home),
            **({"SALES_SOURCE": str(source)} if source else {}),
        }
        work = _run_elsewhere if is_foreign else _command if arguments else _run
        self.process = CONTEXT.Process(
            target=_work,
            args=(self.output, environment, home, at, happens, work, arguments or (steps,)),
        )
        self.process.start()

    def wait(self) -> Done:
        """Wait for its end."""
        self.process.join(300)
        status = self.process.exitcode
        assert status is not None, "the command has not ended"
        done = Done(status, self.output.read_text(encoding="utf-8"))
        self.output.unlink()
        return done


def sales(home: Path, *arguments: str) -> Done:
    """Run a command to its end."""
    return Command(home, *arguments).wait()


def _work(
    output: Path,
    environment: dict[str, str],
    home: Path,
    at: Moment | None,
    happens: Happening,
    work: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    with output.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    if at:
        _arrange(at, lambda: happens(home))
    work(*arguments)


def _command(*arguments: str) -> None:
    from sales_assets.cli import main

    main(list(arguments))


def _run(steps: list[str] | None) -> None:
    """Run steps as the command does that runs all of them, errors told as it tells them."""
    from sales_assets.errors import SalesError
    from sales_assets.runs import run_job
    from sales_assets.settings import Settings

    try:
        run_job("weekly_refresh", Settings.load(), steps)
    except SalesError as error:
        print(f"sales: {error}", flush=True)
        sys.exit(1)


def _run_elsewhere(steps: list[str] | None) -> None:
    """Run steps as the Dagster UI and its daemon do, without the command line's precautions."""
    from sales_assets.definitions import defs
    from sales_assets.runs import prepare_instance
    from sales_assets.settings import Settings

    prepare_instance(Settings.load())
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("weekly_refresh").execute_in_process(
            instance=instance, op_selection=steps, raise_on_error=False
        )
        print(f"{'succeeded' if result.success else 'failed'} as {result.run_id}")


def _arrange(at: Moment, happens: Callable[[], None]) -> None:
    """Replace a function by one that does the same, and lets something happen at the moment."""
    module, path = at.function.split(":")
    *owners, name = path.split(".")
    owner = reduce(getattr, owners, importlib.import_module(module))
    function, calls = getattr(owner, name), [0]

    def replaced(*arguments: Any, **named: Any) -> Any:
        if at.mentions and not any(at.mentions in str(argument) for argument in arguments):
            return function(*arguments, **named)
        calls[0] += 1
        is_now = calls[0] == at.call
        if is_now and not at.is_after:
            happens()
        result = function(*arguments, **named)
        if is_now and at.is_after:
            happens()
        return result

    setattr(owner, name, replaced)
