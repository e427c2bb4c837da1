"""A generated chain as it would be delivered: a first history, then week by week what is new.

Not all goes well: a store's week comes late, days are corrected, a store opens, one closes as was
announced and another without a word, a week is not delivered at all, and one comes without a plan.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sales_assets.sources.sample import write_sample

PLAN_DAYS = 42
# The corrected days are the first of their week, and first told as half as much again.
CORRECTED_DAYS = 3
WRONG_FACTOR = 1.5


@dataclass(frozen=True)
class Story:
    """What happens to which store in which week; weeks count from 1, the first after the history.

    The stores of the events are the last of the chain, which must have six or more.
    """

    stores: int
    late_week: int = 2
    """Its days of one store come with the next week's."""
    wrong_week: int = 2
    """The first days of it, of another store, are delivered wrong."""
    corrected_week: int = 4
    """The delivery that corrects them."""
    last_week: int = 3
    """The last one of the two stores that close."""
    first_week: int = 4
    """The first one of the store that opens; store.csv and the plan name it a week before."""
    missing_week: int = 5
    """Not delivered, and so delivered with the next."""
    planless_week: int = 7
    """Delivered without test.csv."""

    @property
    def opening(self) -> int:
        """The store that opens."""
        return self.stores

    @property
    def closing(self) -> int:
        """The store that closes for good, as the plan announces."""
        return self.stores - 1

    @property
    def vanishing(self) -> int:
        """The store that closes for good, of which no file ever speaks again."""
        return self.stores - 2

    @property
    def late(self) -> int:
        """The store one week of which comes late."""
        return self.stores - 3

    @property
    def corrected(self) -> int:
        """The store of which some days are corrected."""
        return self.stores - 4

    def events(self, week: int) -> list[str]:
        """Return what happens in a week, in words."""
        told = (
            (self.late_week, f"store {self.late} is late"),
            (self.wrong_week, f"{CORRECTED_DAYS} days of store {self.corrected} are wrong"),
            (self.late_week + 1, f"store {self.late}'s week arrives"),
            (self.last_week, f"stores {self.closing} and {self.vanishing} close"),
            (self.first_week, f"store {self.opening} opens"),
            (self.corrected_week, f"store {self.corrected} is corrected"),
            (self.missing_week, "no delivery"),
            (self.missing_week + 1, "two weeks at once"),
            (self.planless_week, "no plan"),
        )
        return [text for when, text in told if when == week]


@dataclass(frozen=True)
class Chain:
    """The files of a whole chain, the weeks after its history included."""

    train: pd.DataFrame
    plan: pd.DataFrame
    stores: pd.DataFrame
    last_day: pd.Timestamp
    """Of the history, before week 1."""

    def until(self, week: int) -> pd.Timestamp:
        """Return the last day of a week; week 0 ends with the history."""
        return self.last_day + pd.Timedelta(weeks=week)


def make_chain(directory: Path, stores: int, days: int, weeks: int, seed: int) -> Chain:
    """Generate a chain in `directory` and read it, all values as text but stores and dates."""
    write_sample(
        directory, stores=stores, days=days, seed=seed, plan_days=PLAN_DAYS, weeks_after=weeks
    )
    kinds = {"dtype": str, "keep_default_na": False}
    train, plan = (
        pd.read_csv(directory / name, **kinds).astype({"Store": int, "Date": "datetime64[ns]"})
        for name in ("train.csv", "test.csv")
    )
    chain = pd.read_csv(directory / "store.csv", **kinds).astype({"Store": int})
    return Chain(train, plan, chain, train["Date"].max() - pd.Timedelta(weeks=weeks))


def write_deliveries(chain: Chain, story: Story, weeks: int, directory: Path) -> list[Path | None]:
    """Write what arrives at the end of each week, from week 0, the history; None: nothing does."""
    true = _as_it_happened(chain, story)
    arrives = _weeks_of_arrival(true, chain, story)
    deliveries: list[Path | None] = []
    for week in range(weeks + 1):
        if week == story.missing_week:
            deliveries.append(None)
            continue
        rows = true[arrives == week]
        if week == story.wrong_week:
            rows = _wrong(rows, chain, story)
        if week == story.corrected_week:
            rows = pd.concat([rows, true[_is_corrected(true, chain, story)]])
        known = chain.stores
        if week < story.first_week - 1:
            known = known[known["Store"] != story.opening]
        files = {"train": rows, "store": known}
        if week != story.planless_week:
            files["test"] = _plan(chain, story, week)
        deliveries.append(directory / f"week_{week:02d}")
        _write(files, directory / f"week_{week:02d}")
    return deliveries


def _as_it_happened(chain: Chain, story: Story) -> pd.DataFrame:
    """Return the history without days before a store opened and after it closed."""
    days = chain.train
    too_early = (days["Store"] == story.opening) & (
        days["Date"] <= chain.until(story.first_week - 1)
    )
    too_late = days["Store"].isin([story.closing, story.vanishing]) & (
        days["Date"] > chain.until(story.last_week)
    )
    return days[~too_early & ~too_late]


def _weeks_of_arrival(days: pd.DataFrame, chain: Chain, story: Story) -> pd.Series:
    week = ((days["Date"] - chain.last_day).dt.days + 6) // 7
    arrival = week.clip(lower=0)
    arrival += (week == story.late_week) & (days["Store"] == story.late)
    return arrival + (arrival == story.missing_week)


def _is_corrected(days: pd.DataFrame, chain: Chain, story: Story) -> pd.Series:
    first = chain.until(story.wrong_week - 1) + pd.Timedelta(days=1)
    return (days["Store"] == story.corrected) & days["Date"].between(
        first, first + pd.Timedelta(days=CORRECTED_DAYS - 1)
    )


def _wrong(days: pd.DataFrame, chain: Chain, story: Story) -> pd.DataFrame:
    days = days.copy()
    chosen = _is_corrected(days, chain, story)
    wrong = days.loc[chosen, "Sales"].astype(int) * WRONG_FACTOR
    days.loc[chosen, "Sales"] = wrong.astype(int).astype(str)
    return days


def _plan(chain: Chain, story: Story, week: int) -> pd.DataFrame:
    """Return the plan as of the end of a week: the days after it, closures that are known by then.

    The store that closes is planned as closed in the delivery of its last week, and then named no
    more; the one that vanishes is planned as if nothing were to happen.
    """
    columns = [name for name in chain.plan.columns if name != "Id"]
    days = pd.concat([chain.plan[columns], chain.train[columns]])
    first = chain.until(week)
    days = days[(days["Date"] > first) & (days["Date"] <= first + pd.Timedelta(days=PLAN_DAYS))]
    gone = []
    if week < story.first_week - 1:
        gone.append(story.opening)
    if week > story.last_week:
        gone += [story.closing, story.vanishing]
    days = days[~days["Store"].isin(gone)].sort_values(["Date", "Store"], ascending=[False, True])
    is_shut = (days["Store"] == story.closing) & (week == story.last_week)
    before_opening = (days["Store"] == story.opening) & (
        days["Date"] <= chain.until(story.first_week - 1)
    )
    days["Open"] = days["Open"].mask(is_shut | before_opening, "0")
    days.insert(0, "Id", range(1, len(days) + 1))
    return days


def _write(files: dict[str, pd.DataFrame], directory: Path) -> None:
    directory.mkdir(parents=True)
    for name, rows in files.items():
        rows.to_csv(directory / f"{name}.csv", index=False, date_format="%Y-%m-%d")
