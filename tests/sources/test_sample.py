"""The built-in sample looks like Kaggle's files and behaves like the real stores."""

import numpy as np
import pandas as pd
import pytest

from sales_assets.errors import SalesError
from sales_assets.sources import sample
from sales_assets.sources.sample import make_calendar, make_days, make_stores, write_sample
from sales_assets.sources.sample_facts import EFFECTS

HEADERS = {
    "train.csv": "Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday",
    "test.csv": "Id,Store,DayOfWeek,Date,Open,Promo,StateHoliday,SchoolHoliday",
    "store.csv": "Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,"
    "CompetitionOpenSinceYear,Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval",
}
LAST_DAY = pd.Timestamp("2015-07-31")
LAST_SMALL_DAY = pd.Timestamp("2014-02-04")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    directory = tmp_path_factory.mktemp("small") / "made" / "on the way"
    write_sample(directory, stores=12, days=400, seed=7)
    return directory


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    directory = tmp_path_factory.mktemp("chain")
    write_sample(directory, stores=60, days=942, seed=20150619)
    return directory


@pytest.fixture(scope="module")
def train(chain):
    return read(chain / "train.csv")


@pytest.fixture(scope="module")
def traits():
    """A thousand stores on a hundred days, without their files."""
    dates = pd.date_range(sample.FIRST_DAY, periods=100)
    return make_stores(range(1, 1_001), make_calendar(dates), LAST_DAY, seed=3)[0]


def read(path):
    return pd.read_csv(path, dtype={"StateHoliday": str}, parse_dates=["Date"])


def bytes_of(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def sold(days):
    return days[(days.Open == 1) & (days.Sales > 0)]


def usual(train):
    """Sales on open days far from Christmas, Easter and other holidays."""
    dates = train.loc[train.StateHoliday != "0", "Date"].unique()
    near = {day + pd.Timedelta(days=shift) for day in dates for shift in range(-2, 3)}
    return sold(train[~train.Date.isin(near) & train.Date.dt.month.between(2, 10)])


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_kaggles_to_the_letter(small, name):
    assert (small / name).read_text().splitlines()[0] == HEADERS[name]


def test_only_the_three_files_are_left_in_the_directory(small):
    assert sorted(path.name for path in small.iterdir()) == ["store.csv", "test.csv", "train.csv"]


def test_fields_are_written_as_in_kaggles_files(small):
    train = pd.read_csv(small / "train.csv", dtype=str, keep_default_na=False)
    assert train.StateHoliday.isin(["0", "a", "b", "c"]).all()
    assert train.Date.str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    numbers = train.drop(columns=["Date", "StateHoliday"])
    assert numbers.stack().str.fullmatch(r"\d+").all()


def test_history_begins_in_2013_and_the_plan_follows_it(small):
    train, plan = read(small / "train.csv"), read(small / "test.csv")
    assert train.Date.min() == pd.Timestamp("2013-01-01")
    assert train.Date.nunique() == 400
    assert plan.Date.min() == train.Date.max() + pd.Timedelta(days=1)
    assert plan.Date.nunique() == 48
    assert (train.DayOfWeek == train.Date.dt.dayofweek + 1).all()


def test_rows_are_newest_first_and_by_store_within_a_date(small):
    for name in ("train.csv", "test.csv"):
        days = read(small / name)
        ordered = days.sort_values(["Date", "Store"], ascending=[False, True])
        assert ordered.index.equals(days.index)
    assert read(small / "test.csv").Id.tolist() == list(range(1, 12 * 48 + 1))


def test_each_store_has_one_row_a_date(small):
    train = read(small / "train.csv")
    assert not train.duplicated(["Store", "Date"]).any()
    assert len(train) == 12 * 400


def test_942_days_end_where_kaggles_do(train):
    assert train.Date.max() == LAST_DAY


def test_one_seed_gives_the_same_bytes_and_another_gives_others(small, tmp_path):
    write_sample(tmp_path / "same", stores=12, days=400, seed=7)
    write_sample(tmp_path / "other", stores=12, days=400, seed=8)
    assert bytes_of(tmp_path / "same") == bytes_of(small)
    other = bytes_of(tmp_path / "other")
    assert all(
        other[name] != content for name, content in bytes_of(small).items() if name != "test.csv"
    )


def test_writing_again_replaces_what_was_there(tmp_path):
    (tmp_path / "train.csv").write_text("old")
    write_sample(tmp_path, stores=1, days=100, seed=1, plan_days=1)
    assert (tmp_path / "train.csv").read_text().startswith(HEADERS["train.csv"])
    assert len(read(tmp_path / "test.csv")) == 1


def test_more_stores_leave_the_first_ones_as_they_are(small, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "BLOCK", 5)
    write_sample(tmp_path, stores=13, days=400, seed=7)
    more = read(tmp_path / "train.csv")
    first = more[more.Store <= 12].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, read(small / "train.csv"))


def test_a_longer_plan_leaves_the_history_as_it_is(small, tmp_path):
    write_sample(tmp_path, stores=12, days=400, seed=7, plan_days=100)
    assert (tmp_path / "train.csv").read_bytes() == (small / "train.csv").read_bytes()


# Weeks within the plan of the earlier files, and beyond it up to when a chain of today has stores
# away, which one that ended before knows nothing of.
@pytest.mark.parametrize("weeks", [1, 5, 25])
def test_weeks_after_continue_the_chain_and_leave_its_history_as_it_is(small, tmp_path, weeks):
    write_sample(tmp_path, stores=12, days=400, seed=7, weeks_after=weeks)
    assert bytes_of(tmp_path)["store.csv"] == bytes_of(small)["store.csv"]
    earlier = (small / "train.csv").read_text().splitlines()
    later = (tmp_path / "train.csv").read_text().splitlines()
    assert later[-len(earlier) + 1 :] == earlier[1:]
    train, plan = read(tmp_path / "train.csv"), read(tmp_path / "test.csv")
    first, last = pd.Timestamp("2014-02-05"), LAST_SMALL_DAY + pd.Timedelta(weeks=weeks)
    coming = train[train["Date"] >= first]
    assert sorted(coming["Date"].unique()) == list(pd.date_range(first, last))
    assert len(coming) == 12 * 7 * weeks
    assert plan["Date"].min() == last + pd.Timedelta(days=1)
    assert plan["Date"].nunique() == 48
    planned = read(small / "test.csv").drop(columns="Id").query("Date <= @last")
    columns = list(planned.columns)
    became = coming.loc[coming["Date"] <= planned["Date"].max(), columns]
    pd.testing.assert_frame_equal(became.reset_index(drop=True), planned.reset_index(drop=True))


def test_weeks_after_sell_as_the_weeks_before(tmp_path):
    write_sample(tmp_path, stores=12, days=400, seed=7, weeks_after=8)
    train = read(tmp_path / "train.csv")
    days = sold(train).set_index("Date").sort_index()
    after = days.loc[LAST_SMALL_DAY + pd.Timedelta(days=1) :].groupby("Store")["Sales"].mean()
    before = days.loc["2013-12-27":LAST_SMALL_DAY].groupby("Store")["Sales"].mean()
    assert (after / before).between(0.7, 1.4).all()


def test_closed_days_sell_nothing_and_open_days_something(train):
    closed = train[train.Open == 0]
    assert (closed[["Sales", "Customers"]] == 0).all(axis=None)
    assert (train.loc[train.Open == 1, ["Sales", "Customers"]] > 0).all(axis=None)


def test_promotions_run_from_monday_to_friday_in_alternating_weeks(chain, train):
    days = pd.concat([train, read(chain / "test.csv")]).drop_duplicates("Date")
    promo_days = days.groupby(days.Date.dt.to_period("W")).Promo.sum().iloc[1:-1]
    assert set(promo_days.iloc[::2]) == {5}
    assert set(promo_days.iloc[1::2]) == {0}
    assert days.loc[days.Promo == 1, "DayOfWeek"].max() == 5


def test_promotions_lift_sales_as_documented_and_most_on_monday(train):
    log_sales = usual(train).assign(log_sales=lambda days: np.log(days.Sales))
    mean = log_sales.groupby(["Store", "DayOfWeek", "Promo"]).log_sales.mean().unstack("Promo")
    lift = np.expm1((mean[1] - mean[0]).groupby("DayOfWeek").mean()).loc[1:5]
    assert lift.idxmax() == 1
    assert lift.to_numpy() == pytest.approx(EFFECTS.promo_lift, abs=0.08)


def test_public_holidays_are_those_of_each_stores_state(train):
    share = train.StateHoliday.eq("a").groupby(train.Date).mean()
    assert share["2014-05-01"] == share["2014-06-09"] == share["2015-01-01"] == 1
    assert 0 < share["2014-01-06"] < share["2014-06-19"] < 1
    assert share["2014-06-18"] == share["2014-12-25"] == 0


def test_easter_and_christmas_have_their_own_codes(train):
    code = train.groupby("Date").StateHoliday.unique()
    for day in ("2013-03-29", "2013-04-01", "2014-04-18", "2014-04-21", "2015-04-03", "2015-04-06"):
        assert list(code[day]) == ["b"]
    for day in ("2013-12-25", "2013-12-26", "2014-12-25", "2014-12-26"):
        assert list(code[day]) == ["c"]
    assert set(train[train.StateHoliday == "b"].Date.dt.month) == {3, 4}
    assert set(train[train.StateHoliday == "c"].Date.dt.month) == {12}


def test_nearly_all_stores_close_on_holidays(train):
    assert train[train.StateHoliday != "0"].Open.mean() < 0.1


def test_school_holidays_differ_by_state_and_spare_weekends(train):
    marked = train[train.SchoolHoliday == 1]
    assert marked.DayOfWeek.max() == 5
    by_month = train[train.DayOfWeek < 6].groupby(train.Date.dt.month).SchoolHoliday.mean()
    assert by_month[8] > 0.4
    assert by_month[11] < 0.1
    assert marked.groupby("Date").size().nunique() > 5


def test_few_stores_open_on_sundays_and_most_of_those_of_type_b(traits):
    is_b = traits["store_type"] == "b"
    assert 0.015 < traits["opens_sundays"].mean() < 0.04
    assert traits["opens_sundays"][is_b].mean() > 0.5
    assert traits["opens_sundays"][~is_b].mean() < 0.03


def test_store_types_and_missing_values_have_real_shares(traits):
    names, counts = np.unique(traits["store_type"], return_counts=True)
    shares = dict(zip(names, counts / 1_000, strict=True))
    assert shares == pytest.approx({"a": 0.54, "b": 0.015, "c": 0.13, "d": 0.31}, abs=0.05)
    distance_m, opened = traits["competition_distance_m"], traits["competition_open_since"]
    assert np.nanmedian(distance_m) == pytest.approx(2_330, rel=0.2)
    assert 0 < np.isnan(distance_m).sum() < 10
    assert np.isnat(opened).mean() == pytest.approx(0.32, abs=0.05)
    assert 0.05 < (opened >= np.datetime64("2013-01-01")).mean() < 0.25
    assert np.isnat(traits["promo2_since"]).mean() == pytest.approx(0.49, abs=0.05)


def test_promo2_is_described_only_for_stores_that_take_part(chain):
    stores = pd.read_csv(chain / "store.csv")
    details = stores[["Promo2SinceWeek", "Promo2SinceYear", "PromoInterval"]].notna()
    assert details.eq(stores.Promo2 == 1, axis=0).all(axis=None)
    assert set(stores.PromoInterval.dropna()) <= set(sample.PROMO2_MONTHS)
    assert stores.Promo2SinceWeek.dropna().between(1, 53).all()
    assert stores.CompetitionOpenSinceMonth.dropna().between(1, 12).all()


def test_a_sixth_of_the_stores_reports_nothing_during_its_refurbishment(chain, train):
    dates = pd.date_range("2013-01-01", LAST_DAY)
    missing = train.assign(is_there=1).pivot(index="Date", columns="Store", values="is_there")
    missing = missing.reindex(dates).isna()
    refurbished = missing.columns[missing.any()]
    assert 60 / 12 <= len(refurbished) <= 60 / 4
    for store in refurbished:
        assert dates[missing[store]].equals(pd.date_range("2014-07-01", "2014-12-31"))
    assert read(chain / "test.csv").Store.nunique() == 60


@pytest.mark.parametrize("days", [500, 600, 730])
def test_a_history_that_ends_before_the_reopening_knows_no_refurbishment(tmp_path, days):
    write_sample(tmp_path, stores=20, days=days, seed=1)
    assert len(read(tmp_path / "train.csv")) == 20 * days


def with_and_without(stores, trait, without):
    """Sales of the same stores on the same days, as they are and with one trait taken away."""
    calendar = make_calendar(pd.date_range(sample.FIRST_DAY, LAST_DAY))
    traits, noise = make_stores(range(1, stores + 1), calendar, LAST_DAY, seed=5)
    both = [make_days(traits | change, calendar, noise) for change in ({}, {trait: without})]
    keys = ["Store", "Date"]
    merged = both[0].merge(both[1], on=keys, suffixes=("", "_without"))
    merged = merged[merged.Open == 1]
    return traits, merged.assign(ratio=merged.Sales / merged.Sales_without)


def test_a_competitor_takes_its_share_from_its_opening_on():
    never = np.full(40, np.datetime64("NaT", "D"))
    traits, days = with_and_without(40, "competition_open_since", never)
    opened = traits["competition_open_since"]
    store = int(np.flatnonzero(opened > np.datetime64("2013-03-01"))[0])
    loss = sample.competitor_loss(traits["competition_distance_m"][store])
    ratio = days[days.Store == store + 1].set_index("Date").ratio
    day_before = opened[store] - np.timedelta64(1, "D")
    assert ratio[:day_before].to_numpy() == pytest.approx(1)
    assert ratio[opened[store] :].to_numpy() == pytest.approx(1 - loss, abs=0.002)


def test_a_refurbished_store_reopens_below_its_level_and_ends_above_it():
    traits, days = with_and_without(30, "is_refurbished", np.zeros(30, dtype=bool))
    stores = np.flatnonzero(traits["is_refurbished"]) + 1
    ratio = days[days.Store.isin(stores)].groupby("Date").ratio.mean()
    assert ratio[:"2014-06-30"].to_numpy() == pytest.approx(1)
    dip, gain = EFFECTS.refurbishment_dip, EFFECTS.refurbishment_gain
    assert ratio["2015-01-02"] == pytest.approx((1 + gain) * (1 - dip), abs=0.01)
    assert ratio["2015-07"].mean() == pytest.approx(1 + gain, abs=0.01)


def test_christmas_builds_up_and_ends_at_noon_on_its_eve(train):
    median = sold(train).groupby("Date").Sales.median()
    november, december = median["2013-11-18":"2013-11-23"], median["2013-12-16":"2013-12-21"]
    assert (december.to_numpy() > 1.2 * november.to_numpy()).all()
    assert median["2013-12-23"] > 1.5 * median["2013-12-24"]


def test_the_turn_of_the_month_sells_more_than_the_week_before(train):
    by_day = usual(train).groupby(train.Date.dt.day).Sales.mean()
    assert by_day[[30, 31, 1, 2]].mean() > 1.1 * by_day[21:26].mean()


def test_baskets_differ_by_store_type_and_grow_with_promotions(train, chain):
    stores = pd.read_csv(chain / "store.csv")
    days = sold(train).merge(stores, on="Store").assign(basket=lambda d: d.Sales / d.Customers)
    by_type = days.groupby("StoreType").basket.median()
    assert by_type["a"] < by_type["d"]
    by_promo = days.groupby("Promo").basket.median()
    assert by_promo[1] > 1.05 * by_promo[0]


def baseline_rmspe(train, cutoff):
    """The median of store x weekday x promotion in 182 days, scored on the 42 that follow."""
    series = ["Store", "DayOfWeek", "Promo"]
    days = sold(train)
    ahead = (days.Date - cutoff).dt.days
    medians = days[(ahead > -182) & (ahead <= 0)].groupby(series).Sales.median().rename("forecast")
    truth = days[(ahead > 0) & (ahead <= 42)].join(medians, on=series, how="inner")
    return np.sqrt((((truth.Sales - truth.forecast) / truth.Sales) ** 2).mean())


def test_the_median_baseline_scores_about_as_on_the_real_stores(train):
    cutoffs = [LAST_DAY - pd.Timedelta(days=days) for days in (42, 84, 126, 168)]
    there_all_along = train.groupby("Store").Date.transform("size") == 942
    assert 0.14 < np.mean([baseline_rmspe(train, cutoff) for cutoff in cutoffs]) < 0.17
    spared = train[there_all_along]
    assert 0.135 < np.mean([baseline_rmspe(spared, cutoff) for cutoff in cutoffs]) < 0.17


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"stores": 0}, "stores is 0 and must be between 1 and 100,000"),
        ({"stores": 100_001}, "stores is 100,001 and must be between 1 and 100,000"),
        ({"days": 99}, "days is 99 and must be between 100 and 3,650"),
        ({"plan_days": 0}, "plan_days is 0 and must be between 1 and 366"),
        ({"weeks_after": -1}, "weeks_after is -1 and must be between 0 and 521"),
        ({"days": 3_600, "weeks_after": 8}, "come to 3,656 days and may come to 3,650"),
        ({"seed": -1}, "seed is -1 and must be 0 or more"),
        ({"stores": -2, "seed": -1}, "stores is -2 .*; seed is -1 "),
    ],
)
def test_numbers_outside_their_limits_are_refused_by_name(tmp_path, numbers, message):
    with pytest.raises(SalesError, match=message):
        write_sample(tmp_path / "none", **({"stores": 5, "days": 200, "seed": 1} | numbers))
    assert not (tmp_path / "none").exists()


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SalesError, match=f"cannot be written to {tmp_path / 'file'}"):
        write_sample(tmp_path / "file", stores=5, days=200, seed=1)
