"""Numbers as sentences tell them: signs, units, thousands, and how sure they are."""

import math

import pandas as pd

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage: 0.123 is `12 %`."""
    return f"{100 * share:,.{digits}f} %"


def change(share: float, digits: int = 0) -> str:
    """Return a relative change with its sign: 0.123 is `+12 %`, -0.05 is `-5 %`."""
    text = f"{100 * share:+,.{digits}f}"
    return f"{text if text.strip('+-0.') else text[1:]} %"


def between(low: float, high: float, digits: int = 0) -> str:
    """Return bounds of a relative change: `95 % sure between +3 % and +8 %`."""
    return f"95 % sure between {change(low, digits)} and {change(high, digits)}"


def euros(amount: float) -> str:
    """Return an amount of money: 1234.5 is `EUR 1,234`; from a million on in millions."""
    if abs(amount) >= 1e6:
        return f"EUR {amount / 1e6:,.1f} million"
    return f"EUR {amount:,.0f}"


def number(value: float, digits: int = 0) -> str:
    """Return a count or measure with thousands set apart."""
    return f"{value:,.{digits}f}"


def counted(count: float, noun: str) -> str:
    """Return a count with its noun: `1 day`, `2 days`."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def listed(names: list[str]) -> str:
    """Return names as a sentence lists them: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def is_known(*values: float | None) -> bool:
    """Tell whether every value is a number."""
    return all(value is not None and not math.isnan(value) for value in values)


def is_sure(row: pd.Series) -> bool:
    """Tell whether the interval of a row's effect leaves out zero; an unknown one does not."""
    return bool(row["effect_lo_95"] > 0 or row["effect_hi_95"] < 0)
