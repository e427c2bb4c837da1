"""CSV in and CSV out, for who works with spreadsheets."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from serving.changed_plans import CHANGEABLE
from serving.problems import UnusableRowsError, message_of
from serving.schemas import Instance

NEEDED = ("store_id", "date")
WRITTEN = ("store_id", "date", "h", "forecast", "lo_80", "hi_80", "lo_95", "hi_95")
NUMBER = re.compile(r"[0-9]{1,10}")
FLAGS = {"true": True, "1": True, "false": False, "0": False}
# Every day of two thousand stores.
MAX_ROWS = 84_000


def read_instances(content: bytes) -> list[Instance]:
    """Return the days that a CSV file asks for; an empty field leaves the plan as it is.

    Raises:
        UnusableRowsError: Rows or columns cannot be used; each is named.
    """
    try:
        text = content.decode("utf-8-sig")
        # What spreadsheets write where a comma stands in numbers.
        first = text.partition("\n")[0]
        delimiter = ";" if ";" in first and "," not in first else ","
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        _check_columns(reader.fieldnames or [])
        instances: list[Instance] = []
        errors: list[dict[str, str]] = []
        for count, row in enumerate(reader, start=1):
            if count > MAX_ROWS:
                raise _unusable(f"a file has at most {MAX_ROWS:,} rows")
            try:
                instances.append(Instance.model_validate(_typed(row)))
            except ValidationError as error:
                # A row may take several lines; this is its last.
                errors += [_error(each, reader.line_num) for each in error.errors()]
    except UnicodeDecodeError:
        raise _unusable("the file is no UTF-8 text") from None
    except csv.Error as error:
        raise _unusable(f"the file is no CSV: {error}") from None
    if errors:
        raise UnusableRowsError(errors)
    if not instances:
        raise _unusable("the file has no rows")
    return instances


def lines(predictions: Iterable[dict[str, Any]], has_header: bool = True) -> str:
    """Return predictions as lines of CSV.

    Args:
        predictions: What `answers.predictions` returned.
        has_header: Whether the names of the columns come first.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if has_header:
        writer.writerow(WRITTEN)
    for found in predictions:
        bounds = [bound for level in ("80", "95") for bound in found["intervals"][level]]
        money = [f"{value:.2f}" for value in (found["forecast"], *bounds)]
        writer.writerow([found["store_id"], found["date"], found["h"], *money])
    return text.getvalue()


def _check_columns(names: Iterable[str]) -> None:
    found = list(names)
    known = (*NEEDED, *CHANGEABLE)
    wrong = [name for name in NEEDED if name not in found]
    if wrong:
        raise _unusable(f"the first line lacks {' and '.join(wrong)}")
    unknown = [name for name in found if name not in known]
    if unknown or len(set(found)) < len(found):
        raise _unusable(
            f"the columns are {', '.join(known)}, each once, and not {', '.join(found)}"
        )


def _typed(row: dict[str | None, Any]) -> dict[str, Any]:
    """Return a row's fields as JSON would have them; what is no number or flag stays a text."""
    values: dict[str, Any] = {}
    for name, text in row.items():
        if text in ("", None):
            continue
        if name == "store_id" and NUMBER.fullmatch(text.strip()):
            values[name] = int(text)
        elif name in CHANGEABLE and name != "state_holiday":
            values[name] = FLAGS.get(text.strip().lower(), text)
        else:
            # Fields beyond the header come without a name.
            values[name or "more fields than columns"] = text
    return values


def _error(error: Any, line: int) -> dict[str, str]:
    field = ".".join(map(str, error["loc"]))
    return {"field": f"line {line}: {field}", "message": message_of(error)}


def _unusable(message: str) -> UnusableRowsError:
    return UnusableRowsError([{"field": "body", "message": message}])
