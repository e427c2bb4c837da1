"""Values of a table by its keys: what a left join finds, without the time that a join takes.

A question about one store has 42 rows, of which a join makes milliseconds, most of them for
finding out anew how its right side is laid out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Lookup:
    """Values by keys, one row of the table a combination of keys.

    Args:
        table: Keys and values; without keys one row.
        keys: Columns whose combinations name a row, each once.
        values: Columns of numbers.
    """

    def __init__(self, table: pd.DataFrame, keys: list[str], values: list[str]) -> None:
        self._known = {key: np.unique(table[key].to_numpy()) for key in keys}
        places = tuple(_places(known, table[key]) for key, known in self._known.items())
        shape = tuple(len(known) for known in self._known.values())
        self._values = {}
        for value in values:
            column = table[value].to_numpy(dtype=np.float64)
            self._values[value] = np.full(shape, np.nan)
            # Without keys there is one row, and one value for all.
            self._values[value][places] = column if keys else column[0]

    def at(self, rows: Mapping[str, Any] | pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        """Return the values of rows by name; NaN where the table has no such keys."""
        places = tuple(_places(known, rows[key]) for key, known in self._known.items())
        if not all(len(known) for known in self._known.values()):
            return {name: np.full(len(places[0]), np.nan) for name in self._values}
        is_known = np.logical_and.reduce([place >= 0 for place in places])
        return {
            name: np.where(is_known, values[places], np.nan)
            for name, values in self._values.items()
        }


def _places(known: NDArray[Any], values: Any) -> NDArray[np.int64]:
    """Return the place of each value among the known ones, ascending; -1 where it is not."""
    values = np.asarray(values)
    if not len(known):
        return np.full(len(values), -1)
    places = np.searchsorted(known, values).clip(max=len(known) - 1)
    return np.where(known[places] == values, places, -1)
