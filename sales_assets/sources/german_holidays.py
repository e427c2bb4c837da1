"""Public holidays of the German states, for plans that no one has delivered."""

from datetime import date

import holidays
import pandas as pd

CHRISTMAS = ("Christmas Day", "Second Day of Christmas")
EASTER = ("Good Friday", "Easter Monday", "Easter Sunday")


def holiday_calendar(first: date, last: date) -> pd.DataFrame:
    """Return the holidays of any German state between two days.

    Returns:
        One row a day: date, name (English), kind (`public`, `easter` or `christmas`) and
        is_national, true where all sixteen states keep it.
    """
    years = range(first.year, last.year + 1)
    states = holidays.country_holidays("DE").subdivisions
    kept = pd.DataFrame(
        [
            {"date": day, "name": name, "state": state}
            for state in states
            for day, name in holidays.country_holidays(
                "DE", subdiv=state, years=years, language="en_US"
            ).items()
            if first <= day <= last
        ],
        columns=["date", "name", "state"],
    )
    by_day = kept.groupby("date", as_index=False).agg(
        name=("name", "first"), states=("state", "nunique")
    )
    return pd.DataFrame(
        {
            "date": pd.to_datetime(by_day["date"]),
            "name": by_day["name"].astype("string"),
            "kind": by_day["name"].map(_kind).astype("string"),
            "is_national": by_day["states"] == len(states),
        }
    )


def _kind(name: str) -> str:
    if name in CHRISTMAS:
        return "christmas"
    return "easter" if name in EASTER else "public"
