"""Every question about what drives sales, and the report: seconds and peak memory at full size.

Run by `make bench`; on a made-up chain of 1,115 stores × 942 days unless told otherwise. The
questions are asked of a warehouse in a file, by the same functions as in a refresh.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import windows
from sales_assets import report, warehouse
from sales_assets.questions import answers
from sales_assets.questions.figure import as_figure
from sales_assets.questions.question import BASES, make_base
from sales_assets.questions.themes import QUESTIONS
from sales_assets.settings import Settings
from sales_assets.sources.sample import write_sample


def main() -> None:
    """Print the seconds of each question, of the report, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="Kaggle's files; a made-up chain otherwise.")
    parser.add_argument("--stores", type=int, default=1115)
    parser.add_argument("--days", type=int, default=942)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        source = arguments.source or home / "source"
        if not arguments.source:
            write_sample(source, stores=arguments.stores, days=arguments.days, seed=1)
        settings = Settings.choose(home=home)
        with warehouse.connect(settings) as con:
            windows.load(con, source, settings, home / "scratch")
            started = time.perf_counter()
            print(f"before any question: {peak_gb():.1f} GB at the peak")
            for base in BASES:
                with _timed(base):
                    make_base(con, base)
            for question in QUESTIONS:
                with _timed(question.name):
                    question.make(con)
                    rows = answers.table_of(con, question)
                    if question.answered(rows)[1]:
                        as_figure(question.draw(rows)).savefig(home / "chart.png")
            with _timed("answers"):
                answers.told(con)
            print(f"all questions: {time.perf_counter() - started:.1f} s")
            with _timed("report"):
                path = report.write(con, settings.reports / "insights.html")
            print(f"{path.stat().st_size / 1e6:.1f} MB; peak of memory {peak_gb():.1f} GB")


@contextmanager
def _timed(name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"  {name:24s} {time.perf_counter() - started:6.1f} s", flush=True)


def peak_gb() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
