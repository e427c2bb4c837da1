"""The calendar, counted a second way: all that is told of it or drawn."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from tests.questions.conftest import Ask
from tests.questions.oracle import WEEK, agree, bounded, deviating, means_over_stores

DAY = pd.Timedelta(days=1)


def test_the_usual_day_is_that_of_a_loop(
    either: duckdb.DuckDBPyConnection, days: pd.DataFrame
) -> None:
    found = either.execute("from insights.deviations").df()
    both = days.merge(found, on=["store_id", "date"], validate="one_to_one")
    assert len(both) == len(days) == len(found)
    assert (both["is_usual_x"] == both["is_usual_y"]).all()
    for name in ("sales", "customers"):
        for column in (f"log_{name}", f"{name}_deviation", f"{name}_residual"):
            np.testing.assert_allclose(both[f"{column}_x"], both[f"{column}_y"], atol=1e-9)
        beyond = both[f"log_{name}_x"] - both[f"usual_log_{name}"]
        np.testing.assert_allclose(beyond, both[f"{name}_deviation_x"], atol=1e-9)


# Weekdays.


def against_the_week(days: pd.DataFrame, column: str, first: int, last: int) -> pd.DataFrame:
    """Return stores x weekdays: how far their mean logs are from those of some weekdays."""
    means = days.groupby(["store_id", "weekday"])[column].mean().unstack()
    return means.sub(means.loc[:, first:last].mean(axis=1), axis=0)


def test_weekdays_are_those_of_a_loop(days: pd.DataFrame, of_either: Ask) -> None:
    counted = days[days["customers"].notna()]
    calm = days[~days["is_promo"]]
    sales = against_the_week(days, "log_sales", 1, 6)
    means = days.groupby(["store_id", "weekday"])["sales"].mean()
    expected = pd.concat(
        [
            bounded(sales, "sales"),
            bounded(against_the_week(calm, "log_sales", 1, 6), "without_promo"),
            bounded(against_the_week(counted, "log_customers", 1, 6), "customers"),
            bounded(against_the_week(counted, "log_basket", 1, 6), "basket"),
            sales.count().rename("stores"),
            days.groupby("weekday").size().rename("open_days"),
            means.groupby("weekday").mean().rename("mean_sales"),
        ],
        axis=1,
    )
    agree(of_either("weekday_pattern"), expected)


@pytest.mark.parametrize("opens_sundays", [True, False])
def test_stores_by_their_sundays_are_those_of_a_loop(
    opens_sundays: bool, either: duckdb.DuckDBPyConnection, of_either: Ask, days: pd.DataFrame
) -> None:
    sundays = either.execute(
        "from cleaned.sales where not is_absent and dayname(date) = 'Sunday'"
    ).df()
    sells = sundays["is_open"] & (sundays["sales"] > 0)
    is_open = sells.groupby(sundays["store_id"]).mean() > 0.5
    calm = days[~days["is_promo"] & (days["store_id"].map(is_open) == opens_sundays)]
    if not opens_sundays:
        calm = calm[calm["weekday"] < 7]
    sales = against_the_week(calm, "log_sales", 2, 5)
    means = calm.groupby(["store_id", "weekday"])["sales"].mean().unstack()
    expected = bounded(sales, "sales").assign(
        customers_effect=np.expm1(against_the_week(calm, "log_customers", 2, 5).mean()),
        week_share=means.div(means.sum(axis=1), axis=0).mean(),
        stores=sales.count(),
        open_days=calm.groupby("weekday").size(),
    )
    assert expected["stores"].max() > 1
    found = of_either("sunday_stores")
    group = "open on Sundays" if opens_sundays else "closed on Sundays"
    agree(found[found["stores_are"] == group], expected)


# Seasons and holidays.


def test_seasons_are_those_of_a_loop(
    either: duckdb.DuckDBPyConnection, of_either: Ask, days: pd.DataFrame
) -> None:
    (extent,) = either.execute("select min(date), max(date) from cleaned.sales").fetchall()
    first, last = map(pd.Timestamp, extent)
    mondays = either.execute(
        "select distinct date from cleaned.sales"
        " where state_holiday = 'easter' and dayname(date) = 'Monday'"
    ).df()["date"]
    of_stores = days.groupby(["store_id", days["date"].dt.year])["date"]
    is_whole = of_stores.transform(lambda dates: dates.dt.month.nunique()) == 12
    whole = days[is_whole]
    alike = whole.groupby(["store_id", whole["date"].dt.year, "weekday", "is_promo"])
    whole = whole.assign(
        sales=whole["log_sales"] - alike["log_sales"].transform("mean"),
        customers=whole["log_customers"] - alike["log_customers"].transform("mean"),
    )
    known = deviating(days)
    usual = known[known["is_usual"]]
    day, length = usual["date"].dt.day, usual["date"].dt.days_in_month
    from_end = day.where(day <= 10, day - length)
    parts = [
        whole.assign(slice="month", value=whole["date"].dt.month),
        whole.assign(slice="ISO week", value=whole["date"].dt.isocalendar().week.astype(int)),
        usual.assign(slice="day of the month", value=day),
        usual.assign(slice="around pay-day", value=from_end)[from_end >= -10],
    ]
    seasons = [("Easter season", monday - 2 * WEEK, monday - DAY) for monday in mondays]
    for year in range(first.year, last.year + 1):
        advent = pd.Timestamp(year, 11, 27), pd.Timestamp(year, 12, 24)
        seasons.append(("Christmas season", *advent))
    for name, begin, end in seasons:
        if first <= begin and end <= last:
            own = known[known["date"].between(begin, end)]
            parts.append(own.assign(slice=name, value=begin.year))
    agree(of_either("season_effect"), means_over_stores(pd.concat(parts), "slice", "value"))


def test_days_around_holidays_are_those_of_a_loop(
    either: duckdb.DuckDBPyConnection, of_either: Ask, days: pd.DataFrame
) -> None:
    holidays = either.execute(
        "select store_id, state_holiday as kind, date from cleaned.sales"
        " where state_holiday <> 'none' and strftime(date, '%m-%d') <> '01-01'"
    ).df()
    nearest: dict[tuple[int, pd.Timestamp], tuple[bool, int, pd.Timestamp, str, int]] = {}
    for (store, kind), own in holidays.sort_values("date").groupby(["store_id", "kind"]):
        for _, together in own.groupby((own["date"].diff() > 4 * DAY).cumsum()):
            first, last = together["date"].min(), together["date"].max()
            for date in pd.date_range(first - WEEK, last + WEEK):
                day = min((date - first).days, 0) + max((date - last).days, 0)
                place = (kind == "public", abs(day), first, str(kind), day)
                nearest[store, date] = min(place, nearest.get((store, date), place))
    around = pd.DataFrame(
        [(*key, kind, day) for key, (*_, kind, day) in nearest.items()],
        columns=["store_id", "date", "kind", "day"],
    )
    placed = deviating(days).merge(around, on=["store_id", "date"])
    side = np.sign(placed["day"]).map({-1: "before", 1: "after"})
    is_between = placed["state_holiday"] == "none"
    placed["part"] = side.fillna(is_between.map({True: "between", False: "on the holiday"}))
    expected = means_over_stores(placed, "kind", "part", "day")
    for kind in ("public", "easter", "christmas"):
        for part, day in (("before", -1), ("after", 1)):
            assert (kind, part, day) in expected.index
    agree(of_either("holiday_effect"), expected)


# Closures and school holidays.


def test_days_beside_closures_are_those_of_a_loop(
    either: duckdb.DuckDBPyConnection, of_either: Ask, days: pd.DataFrame
) -> None:
    every = either.execute("from cleaned.sales").df()
    is_feast = every["state_holiday"].isin(["easter", "christmas"])
    is_feast |= every["date"].dt.strftime("%m-%d") == "01-01"
    feasts = set(every.loc[is_feast, ["store_id", "date"]].itertuples(index=False, name=None))
    is_absent = every["is_absent"]
    absent = set(every.loc[is_absent, ["store_id", "date"]].itertuples(index=False, name=None))
    known = every[~is_absent]
    sells = known["is_open"] & (known["sales"] > 0)
    share = sells.groupby([known["store_id"], known["date"].dt.dayofweek]).mean()
    beside = []
    for store, own in days.sort_values("date").groupby("store_id"):
        rows = own[["date", "sales_deviation", "customers_deviation"]].to_numpy()
        for place, (last, first) in enumerate(zip(rows[:-1, 0], rows[1:, 0], strict=True)):
            if first - last == DAY:
                continue
            gap = pd.date_range(last + DAY, first - DAY)
            near = pd.date_range(last - 3 * DAY, first + 3 * DAY)
            is_lone_sunday = len(gap) == 1 and gap[0].dayofweek == 6
            if (
                is_lone_sunday
                or all(share[store, date.dayofweek] <= 0.5 for date in gap)
                or any((store, date) in absent for date in gap)
                or any((store, date) in feasts for date in near)
            ):
                continue
            names = ((4, "one to three days"), (7, "four to six days"), (999, "a week or more"))
            closure = next(name for end, name in names if len(gap) < end)
            for day in (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5):
                other = place + day + (day < 0)
                if 0 <= other < len(rows):
                    beside.append((closure, day, store, *rows[other, 1:]))
    found = pd.DataFrame(beside, columns=["closure", "day", "store_id", "sales", "customers"])
    found = found.astype({"sales": float, "customers": float}).dropna(subset="sales")
    expected = means_over_stores(found, "closure", "day")
    assert {"one to three days", "a week or more"} <= {*found["closure"]}
    agree(of_either("opening_pattern"), expected)


SEASONS = ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3 + ["winter"]


def test_school_holidays_are_those_of_a_loop(of_either: Ask, days: pd.DataFrame) -> None:
    usual = deviating(days[days["is_usual"]])
    measures = ["sales", "customers"]
    at_school = usual[~usual["is_school_holiday"]].groupby(["date", "store_type"])[measures].mean()
    both = usual[usual["is_school_holiday"]].merge(
        at_school.reset_index(), on=["date", "store_type"], suffixes=("", "_of_others")
    )
    for measure in measures:
        both[measure] -= both[f"{measure}_of_others"]
    season = both["date"].dt.month.map(dict(enumerate(SEASONS, start=1)))
    parts = [
        both.assign(slice="all", value="all"),
        both.assign(slice="weekday", value=both["date"].dt.day_name()),
        both.assign(slice="season", value=season),
    ]
    agree(of_either("school_holiday_effect"), means_over_stores(pd.concat(parts), "slice", "value"))


WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@pytest.mark.parametrize(
    ("name", "column", "order"),
    [
        ("weekday_pattern", "weekday", range(1, 8)),
        ("sunday_stores", "stores_are", ["open on Sundays", "closed on Sundays"]),
        ("sunday_stores", "weekday", range(1, 8)),
        ("season_effect", "slice", ["Christmas season", "Easter season", "month"]),
        ("holiday_effect", "day", range(-7, 8)),
        ("opening_pattern", "closure", ["one to three days", "four to six days", "a week or more"]),
        ("opening_pattern", "day", range(-5, 6)),
        ("school_holiday_effect", "value", WEEKDAYS),
        ("school_holiday_effect", "value", ["winter", "spring", "summer", "autumn"]),
    ],
)
def test_rows_come_in_the_order_in_which_they_are_drawn(
    name: str, column: str, order: list[object], of_either: Ask
) -> None:
    rows = of_either(name)
    keys = [key for key in ("kind", "closure", "stores_are") if key in rows and key != column]
    for _, own in rows.groupby(keys) if keys else [((), rows)]:
        found = own[column].drop_duplicates().tolist()
        shown = [value for value in found if value in order]
        assert shown == [value for value in order if value in found]


def test_months_come_in_order(of_either: Ask) -> None:
    months = of_either("season_effect").set_index("slice").loc["month", "value"]
    assert months.tolist() == list(range(1, 13))
