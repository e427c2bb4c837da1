"""What tells stores apart, computed a second way, and found again where it was put in."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from sales_assets.questions.figure import as_figure
from sales_assets.sources.sample import make_calendar, make_stores
from sales_assets.sources.sample_facts import TYPES
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.oracle import agree
from tests.questions.tiny import describe, sell

MEASURES = ("sales", "customers", "basket")
NAMES = ("sales_customers", "assortment_effect", "store_type_effect", "store_clusters")
EFFECTS = {
    "assortment_effect": ("assortment", "store_type", "basic"),
    "store_type_effect": ("store_type", "assortment", "a"),
}


# Sales and customers.


def correlation_bounds(own: pd.DataFrame) -> tuple[float, float]:
    """Return the bounds of a correlation, from leaving out one store at a time."""
    stores = own["store_id"].unique()
    if len(stores) < 3:
        return np.nan, np.nan
    others = [own[own["store_id"] != store] for store in stores]
    z = np.arctanh([rest["sales"].corr(rest["customers"]) for rest in others])
    error = np.sqrt((len(stores) - 1) / len(stores) * ((z - z.mean()) ** 2).sum())
    margin = t.ppf(0.975, len(stores) - 1) * error
    centre = np.arctanh(own["sales"].corr(own["customers"]))
    return np.tanh(centre - margin), np.tanh(centre + margin)


def test_correlations_and_baskets_are_those_of_pandas(days: pd.DataFrame, of_either: Ask) -> None:
    counted = days[days["customers"].notna()]
    parts = {("chain", "all"): counted}
    parts |= {("store type", name): own for name, own in counted.groupby("store_type")}
    parts |= {("store", str(name)): own for name, own in counted.groupby("store_id")}
    rows = {}
    for part, own in parts.items():
        sales, customers = own["sales"], own["customers"]
        low, high = correlation_bounds(own)
        rows[part] = {
            "stores": own["store_id"].nunique(),
            "open_days": len(own),
            "pearson": sales.corr(customers),
            "pearson_lo_95": low,
            "pearson_hi_95": high,
            "spearman": sales.corr(customers, method="spearman"),
            "mean_customers": customers.mean(),
            "basket": sales.sum() / customers.sum(),
            "basket_p10": own["basket"].quantile(0.1),
            "basket_p90": own["basket"].quantile(0.9),
        }
    expected = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["slice", "value"])
    agree(of_either("sales_customers"), expected)


def test_the_baskets_of_the_sample_are_found_by_type(of_sample: Ask) -> None:
    rows = of_sample("sales_customers").set_index("value")
    for kind in ("a", "c", "d"):
        # Promotions add to baskets, and stores differ.
        assert rows.loc[kind, "basket"] == pytest.approx(1.04 * TYPES[kind].basket, rel=0.08)


@pytest.mark.parametrize(
    ("pearson", "says"),
    [
        (0.9, "closely"),
        (0.5, "loosely"),
        (-0.3, "hardly"),
        (-0.5, "loosely, but the other way"),
        (-0.9, "closely, but the other way"),
    ],
)
def test_the_answer_says_how_closely(of_either: Ask, pearson: float, says: str) -> None:
    rows = of_either("sales_customers")
    rows.loc[0, "pearson"] = pearson
    assert f"Sales follow customers {says}:" in answer("sales_customers", rows)
    assert f"{pearson:.2f}" in answer("sales_customers", rows)
    assert f"customers {says};" in BY_NAME["sales_customers"].draw(rows).title


def test_one_store_has_no_interval(small: duckdb.DuckDBPyConnection) -> None:
    describe(small, 1, "a", "basic")
    for day, customers in enumerate([100, 120, 90, 130], start=5):
        sell(small, 1, f"2015-01-0{day}", sales=9 * customers + day, customers=customers)
    rows = rows_of(small, "sales_customers")
    assert rows["slice"].tolist() == ["chain", "store type", "store"]
    text = answer("sales_customers", rows)
    assert "95 %" not in text
    assert "median store" not in text
    assert "nan" not in text
    assert as_figure(BY_NAME["sales_customers"].draw(rows))


def test_days_without_spread_have_no_correlation(small: duckdb.DuckDBPyConnection) -> None:
    describe(small, 1, "a", "basic")
    for day in range(5, 9):
        sell(small, 1, f"2015-01-0{day}")
    text, is_answered = BY_NAME["sales_customers"].answered(rows_of(small, "sales_customers"))
    assert not is_answered
    assert "the same every day" in text


# Assortments and types.


def log_levels(days: pd.DataFrame) -> pd.DataFrame:
    """Return each store's mean log distance from the chain's mean of the day, by measure."""
    full = days.groupby("date")["store_id"].transform("size") >= days["store_id"].nunique() / 2
    logs = np.log(days.loc[full, list(MEASURES)])
    logs = logs - logs.groupby(days["date"]).transform("mean")
    return logs.groupby(days["store_id"]).mean()


def levels(days: pd.DataFrame) -> pd.DataFrame:
    """Return each store's mean of an open day, by measure."""
    means = days.groupby("store_id")[["sales", "customers"]].mean()
    counted = days[days["customers"].notna()].groupby("store_id")[["sales", "customers"]].sum()
    return means.assign(basket=counted["sales"] / counted["customers"])


def difference(pairs: list[tuple[pd.Series, pd.Series]]) -> dict[str, float]:
    """Return how far the first ones are from the second ones, pair by pair, and its interval."""
    if not pairs:
        return dict.fromkeys(("effect", "effect_lo_95", "effect_hi_95"), np.nan)
    weights = [1 / (1 / len(one) + 1 / len(two)) for one, two in pairs]
    apart = np.average([one.mean() - two.mean() for one, two in pairs], weights=weights)
    squares = sum(((own - own.mean()) ** 2).sum() for pair in pairs for own in pair)
    freedom = sum(len(one) + len(two) - 2 for one, two in pairs)
    error = np.sqrt(squares / freedom / sum(weights)) if freedom else np.nan
    margin = t.ppf(0.975, freedom) * error
    return {
        "effect": np.expm1(apart),
        "effect_lo_95": np.expm1(apart - margin),
        "effect_hi_95": np.expm1(apart + margin),
    }


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_and_levels_are_those_of_a_loop_over_kinds(
    name: str, days: pd.DataFrame, of_either: Ask
) -> None:
    trait, held, usual = EFFECTS[name]
    traits = days.drop_duplicates("store_id").set_index("store_id")[[trait, held]]
    rows = []
    for measure in MEASURES:
        stores = traits.assign(log=log_levels(days)[measure], level=levels(days)[measure]).dropna()
        for value, own in stores.groupby(trait):
            pairs = {
                kind: (of_kind["log"], theirs)
                for kind, of_kind in own.groupby(held)
                if len(theirs := stores[(stores[trait] == usual) & (stores[held] == kind)]["log"])
                and value != usual
            }
            kinds = {"all": (own, list(pairs.values()))}
            for kind, of_kind in own.groupby(held):
                kinds[kind] = (of_kind, [pairs[kind]] if kind in pairs else [])
            rows += [
                {
                    trait: value, held: kind, "measure": measure, "stores": len(some),
                    "mean_level": some["level"].mean(), **difference(compared),
                }
                for kind, (some, compared) in kinds.items()
            ]  # fmt: skip
    found = of_either(name)
    agree(found, pd.DataFrame(rows).set_index([trait, held, "measure"]))
    assert set(found["compared_with"]) == {usual}


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_are_those_of_a_regression_on_both_traits(
    name: str, days: pd.DataFrame, of_either: Ask
) -> None:
    trait, held, usual = EFFECTS[name]
    traits = days.drop_duplicates("store_id").set_index("store_id")[[trait, held]]
    stores = traits.join(log_levels(days))
    rows = of_either(name)
    rows = rows[(rows[held] == "all") & rows["effect"].notna()]
    assert len(rows) >= 3
    for row in rows.to_dict("records"):
        pair = stores[stores[trait].isin([usual, row[trait]])].dropna(subset=row["measure"])
        dummies = pd.get_dummies(pair[held], dtype=float).to_numpy()
        design = np.column_stack([pair[trait] == row[trait], dummies]).astype(float)
        effect = np.linalg.lstsq(design, pair[row["measure"]], rcond=None)[0][0]
        assert row["effect"] == pytest.approx(np.expm1(effect))


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    """The traits that the stores of the sample were given, in logs."""
    days = make_calendar(pd.date_range("2013-01-01", periods=100))
    stores, _ = make_stores(range(1, 201), days, pd.Timestamp("2015-07-31"), seed=3)
    weekdays = stores["weekday"][:, :6].mean(axis=1)
    traits = {name: stores[name] for name in ("store_type", "basket")}
    names = pd.Series(stores["assortment"]).map({"a": "basic", "b": "extra", "c": "extended"})
    return pd.DataFrame({**traits, "assortment": names, "sales": stores["level"] + weekdays})


@pytest.mark.parametrize(
    ("name", "level", "measure", "certain"),
    [
        ("assortment_effect", "extended", "sales", True),
        ("assortment_effect", "extended", "basket", False),
        ("store_type_effect", "c", "sales", False),
        ("store_type_effect", "d", "sales", True),
        ("store_type_effect", "c", "basket", True),
        ("store_type_effect", "d", "basket", True),
    ],
)
def test_what_the_stores_of_the_sample_were_given_is_found_within_its_interval(
    name: str, level: str, measure: str, certain: bool, drawn: pd.DataFrame, of_sample: Ask
) -> None:
    """Not the mean that stores are drawn around: those drawn are away from it by chance."""
    trait, held, usual = EFFECTS[name]
    pair = drawn[drawn[trait].isin([usual, level])]
    own, others = pair[pair[trait] == level], pair[pair[trait] == usual]
    differences = own.groupby(held)[measure].mean() - others.groupby(held)[measure].mean()
    ours, theirs = own[held].value_counts(), others[held].value_counts()
    weights = 1 / (1 / ours + 1 / theirs)
    effect = np.expm1((differences * weights).sum() / weights.sum())
    rows = of_sample(name)
    rows = rows[(rows[held] == "all") & (rows["measure"] == measure)].set_index(trait)
    low, high = rows.loc[level, ["effect_lo_95", "effect_hi_95"]]
    assert low < effect < high
    assert (low > 0 or high < 0) == certain


@pytest.mark.parametrize("kind", ["c", "d"])
def test_baskets_of_the_types_are_those_that_the_sample_is_made_of(
    kind: str, of_sample: Ask
) -> None:
    rows = of_sample("store_type_effect")
    rows = rows[(rows["assortment"] == "all") & (rows["measure"] == "basket")]
    row = rows.set_index("store_type").loc[kind]
    effect = TYPES[kind].basket / TYPES["a"].basket - 1
    assert row["effect_lo_95"] < effect < row["effect_hi_95"]


def test_effects_are_told_as_sure_as_they_are(of_either: Ask) -> None:
    rows = of_either("assortment_effect")
    is_known = rows["effect"].notna()
    rows.loc[is_known, ["effect", "effect_lo_95", "effect_hi_95"]] = (0.21, 0.12, 0.31)
    assert "extended stores sell +21 %" in answer("assortment_effect", rows)
    assert "perhaps no difference" not in answer("assortment_effect", rows)
    unsure = answer("assortment_effect", rows.assign(effect_lo_95=-0.1))
    assert "between -10 % and" in unsure
    assert "perhaps no difference" in unsure
    unknown = rows.assign(effect_lo_95=np.nan, effect_hi_95=np.nan)
    assert "too few stores for an interval" in answer("assortment_effect", unknown)
    assert as_figure(BY_NAME["assortment_effect"].draw(unknown))
    assert "no difference is told from chance" in BY_NAME["assortment_effect"].draw(unknown).title


def few_stores(con: duckdb.DuckDBPyConnection, customers: int | None) -> None:
    """Insert a store of each assortment in types a and c, extended ones selling twice as much."""
    for store, (kind, assortment) in enumerate(
        [("a", "basic"), ("a", "extended"), ("c", "basic"), ("c", "extended")], start=1
    ):
        describe(con, store, kind, assortment)
        for day in range(5, 9):
            sales = 1_000 * (2 if assortment == "extended" else 1) * (3 if kind == "c" else 1)
            sell(con, store, f"2015-01-0{day}", sales=sales, customers=customers)


def test_a_store_of_each_kind_gives_an_effect_without_an_interval(
    small: duckdb.DuckDBPyConnection,
) -> None:
    few_stores(small, customers=100)
    rows = rows_of(small, "assortment_effect")
    effects = rows[rows["effect"].notna()].set_index("measure")
    assert set(effects.index) == {"sales", "customers", "basket"}
    assert np.allclose(effects.loc["sales", "effect"], 1)
    assert np.allclose(effects.loc["customers", "effect"], 0)
    assert effects["effect_lo_95"].isna().all()
    text = answer("assortment_effect", rows)
    assert "extended stores sell +100 %" in text
    assert "nan" not in text
    types = rows_of(small, "store_type_effect")
    assert "stores of type c sell +200 %" in answer("store_type_effect", types)


def test_without_customers_the_answer_speaks_of_sales_alone(
    small: duckdb.DuckDBPyConnection,
) -> None:
    few_stores(small, customers=None)
    rows = rows_of(small, "assortment_effect")
    assert set(rows["measure"]) == {"sales"}
    assert "customers" not in answer("assortment_effect", rows)
    assert as_figure(BY_NAME["assortment_effect"].draw(rows))
    assert rows_of(small, "sales_customers").empty


def test_without_stores_to_compare_there_is_no_answer(small: duckdb.DuckDBPyConnection) -> None:
    describe(small, 1, "a", "basic")
    describe(small, 2, "c", "extended")
    for store in (1, 2):
        sell(small, store, "2015-01-05")
    for name, says in (
        ("assortment_effect", "same type"),
        ("store_type_effect", "same assortment"),
    ):
        text, is_answered = BY_NAME[name].answered(rows_of(small, name))
        assert not is_answered
        assert says in text


@pytest.mark.parametrize("name", NAMES)
def test_no_day_is_no_answer(small: duckdb.DuckDBPyConnection, name: str) -> None:
    rows = rows_of(small, name)
    assert rows.empty
    assert BY_NAME[name].answered(rows) == (f"No answer: it needs {BY_NAME[name].needs}.", False)
