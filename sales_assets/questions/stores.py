"""What tells stores apart: customers, baskets, types, assortments, behaviour."""

from functools import partial

import pandas as pd

from sales_assets.questions.clustering import TRAITS, clustered, distances
from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import (
    SALES_AND_STORES,
    WITH_DEVIATIONS,
    NoAnswerError,
    Question,
)
from sales_assets.questions.words import between, change, counted, is_known, is_sure, listed, number

MEASURES = ("sales", "customers", "basket")
WITH_LEVELS = (*SALES_AND_STORES, "insights.store_levels")
# What Kaufman and Rousseeuw (1990) make of a mean silhouette above these.
STRUCTURES = (
    (0.5, "The groups are well apart"),
    (0.25, "The groups are not far apart"),
    (-1.0, "The groups overlap: they are shades rather than kinds of stores"),
)


def _customers(rows: pd.DataFrame) -> str:
    chain = rows[rows["slice"] == "chain"].iloc[0]
    if not is_known(chain["pearson"], chain["spearman"]):
        raise NoAnswerError("sales or customers are the same every day")
    bounds = ""
    if is_known(chain["pearson_lo_95"], chain["pearson_hi_95"]):
        low, high = chain["pearson_lo_95"], chain["pearson_hi_95"]
        bounds = f", 95 % sure between {low:.2f} and {high:.2f}"
    alone = rows.loc[rows["slice"] == "store", "pearson"].median()
    has_others = chain["stores"] > 1 and is_known(alone)
    within = f", {alone:.2f} in the median store alone" if has_others else ""
    return (
        f"Sales follow customers {_closeness(chain['pearson'])}: their correlation on an open day "
        f"is {chain['pearson']:.2f} (Pearson{bounds}; Spearman {chain['spearman']:.2f}){within}. "
        f"A customer spends EUR {chain['basket']:.2f}; on eight of ten store days of the chain the "
        f"mean basket is between EUR {chain['basket_p10']:.2f} and {chain['basket_p90']:.2f}."
    )


def _closeness(correlation: float) -> str:
    if abs(correlation) <= 0.3:
        return "hardly"
    how = "closely" if abs(correlation) > 0.7 else "loosely"
    return how if correlation > 0 else f"{how}, but the other way"


def _draw_customers(rows: pd.DataFrame) -> Picture:
    parts = rows[rows["slice"] != "store"]
    names = [
        "chain" if part["slice"] == "chain" else f"type {part['value']}"
        for _, part in parts.iterrows()
    ]
    pearson = Series(
        "Pearson, with 95 % interval over stores", names, parts["pearson"],
        parts["pearson_lo_95"], parts["pearson_hi_95"],
    )  # fmt: skip
    basket = Series(
        "basket, with the range of eight of ten store days", names, parts["basket"],
        parts["basket_p10"], parts["basket_p90"],
    )  # fmt: skip
    closely = _closeness(parts["pearson"].iloc[0])
    least, most = parts["basket"].argmin(), parts["basket"].argmax()
    spent = " to ".join(
        f"EUR {parts['basket'].iloc[place]:.2f} ({names[place]})"
        for place in dict.fromkeys((least, most))
    )
    return Picture(
        f"Sales follow customers {closely}; a customer spends {spent}",
        (
            Panel(
                (pearson, Series("Spearman", names, parts["spearman"])),
                "correlation of sales and customers", "", kind="dots", is_horizontal=True,
            ),
            Panel(
                (basket,), "EUR a customer, and range of 8 of 10 store days", "", kind="dots",
                is_horizontal=True,
            ),
        ),
    )  # fmt: skip


def _effects(rows: pd.DataFrame, trait: str, held: str) -> pd.DataFrame:
    """Return the effects over all kinds that were held the same: a row a level and measure."""
    pooled = rows[(rows[held] == "all") & rows["effect"].notna()]
    if pooled.empty:
        raise NoAnswerError(
            f"there are no two stores of the same {_words(held)} that differ in {_words(trait)}"
        )
    return pooled.set_index([trait, "measure"])


def _effect(rows: pd.DataFrame, trait: str, held: str) -> str:
    pooled = _effects(rows, trait, held)
    usual = pooled["compared_with"].iloc[0]
    compared = pooled.index.get_level_values(trait).unique().tolist()
    told = [f"{_named(level, trait)} sell {_told(pooled.loc[level])}" for level in compared]
    others = sorted({*rows[trait]} - {*compared, usual})
    left_out = ""
    if others:
        names = listed([_named(level, trait) for level in others])
        left_out = f" No {_words(held)} has both {_named(usual, trait)} and {names}."
    return (
        f"Compared with {_named(usual, trait)} of the same {_words(held)}, on an open day "
        f"{'; '.join(told)}.{left_out}"
    )


def _told(effects: pd.DataFrame) -> str:
    """Tell a level's effect on sales, how sure it is, and what it is made of."""
    sales = effects.loc["sales"]
    if not is_known(sales["effect_lo_95"], sales["effect_hi_95"]):
        sure = "too few stores for an interval"
    else:
        sure = between(sales["effect_lo_95"], sales["effect_hi_95"])
        sure += "" if is_sure(sales) else ": perhaps no difference"
    parts = [
        f"{name} {change(effects.loc[measure, 'effect'])}"
        for measure, name in (("customers", "customers"), ("basket", "baskets"))
        if measure in effects.index
    ]
    made_of = f", with {listed(parts)}" if parts else ""
    return f"{change(sales['effect'])} ({sure}){made_of}"


def _draw_effect(rows: pd.DataFrame, trait: str, held: str) -> Picture:
    pooled = _effects(rows, trait, held)
    effects = rows[rows["effect"].notna()]
    # Levels apart; of each, all stores first and then the kinds that are held the same.
    places = effects[[trait, held]].drop_duplicates()
    places = places.sort_values(trait, kind="stable")
    names = [
        f"{_short(level, trait)}, {'all' if kind == 'all' else _short(kind, held)}"
        for level, kind in places.itertuples(index=False)
    ]
    series = []
    for measure in MEASURES:
        own = effects[effects["measure"] == measure].set_index([trait, held])
        if own.empty:
            continue
        own = own.reindex(pd.MultiIndex.from_frame(places))
        lo, hi = 100 * own["effect_lo_95"], 100 * own["effect_hi_95"]
        series.append(Series(measure, names, 100 * own["effect"], lo, hi))
    usual = pooled["compared_with"].iloc[0]
    sales = pooled.xs("sales", level="measure")
    sure = [
        f"{_named(level, trait)} {change(row['effect'])}"
        for level, row in sales.iterrows()
        if is_sure(row)
    ]
    finding = listed(sure) if sure else "no difference is told from chance"
    return Picture(
        f"Sales against {_named(usual, trait)} of the same {_words(held)}: {finding}",
        (
            Panel(
                tuple(series), f"% more than {_named(usual, trait)}, on an open day", "",
                kind="dots", is_horizontal=True, line_at=0,
            ),
        ),
    )  # fmt: skip


def _named(level: str, trait: str) -> str:
    return f"stores of type {level}" if trait == "store_type" else f"{level} stores"


def _short(level: str, trait: str) -> str:
    return f"type {level}" if trait == "store_type" else level


def _words(trait: str) -> str:
    return {"store_type": "type"}.get(trait, trait)


def _clusters(rows: pd.DataFrame) -> str:
    described = rows.groupby("cluster")[["cluster_stores", "cluster_is"]].first()
    largest = described.index[0]
    oddest = (distances(rows) ** 2).sum(axis=1).drop(largest).idxmax()
    told = {
        group: f"{counted(described.loc[group, 'cluster_stores'], 'store')}: "
        f"{described.loc[group, 'cluster_is']}"
        for group in (largest, oddest)
    }
    silhouette = rows["silhouette"].mean()
    structure = next(words for least, words in STRUCTURES if silhouette > least)
    return (
        f"{number(len(rows))} stores fall into {len(described)} groups, the largest of "
        f"{told[largest]}; the most unusual of {told[oddest]}. "
        f"{structure} (silhouette {silhouette:.2f} of at most 1)."
    )


def _draw_clusters(rows: pd.DataFrame) -> Picture:
    away = distances(rows)
    sizes = rows["cluster"].value_counts()
    names = [TRAITS[trait].name for trait in away.columns]
    series = tuple(
        Series(f"{group}: {counted(sizes[group], 'store')}", names, away.loc[group])
        for group in away.index
    )
    panel = Panel(
        series, "standard deviations from the mean store", "", kind="dots", is_horizontal=True,
        line_at=0,
    )  # fmt: skip
    apart = TRAITS[str((away.max() - away.min()).idxmax())].name
    return Picture(f"{len(series)} groups of stores, most apart in their {apart}", (panel,))


QUESTIONS = (
    Question(
        name="sales_customers",
        asks="Do sales follow customers, and what does a customer spend?",
        needs="open days with counted customers",
        answer=_customers,
        draw=_draw_customers,
        caveats="The chain's correlation mixes large stores with good days; a single store's is "
        "that of good days alone. Customers are those who bought, so that the correlation does "
        "not tell what more visitors would bring.",
        shows=(
            "slice", "value", "stores", "pearson", "pearson_lo_95", "pearson_hi_95", "spearman",
            "basket", "basket_p10", "basket_p90",
        ),
    ),
    Question(
        name="assortment_effect",
        asks="Do stores with a larger assortment sell more?",
        needs="stores with sales whose assortment is known",
        answer=partial(_effect, trait="assortment", held="store_type"),
        draw=partial(_draw_effect, trait="assortment", held="store_type"),
        reads=WITH_LEVELS,
        caveats="Not what a change of the assortment would do: larger assortments were given to "
        "stores that differ in place and size too. Sundays and other days on which fewer than "
        "half of the stores sell are left out of the comparison.",
    ),
    Question(
        name="store_type_effect",
        asks="Which types of stores sell more?",
        needs="stores with sales whose type is known",
        answer=partial(_effect, trait="store_type", held="assortment"),
        draw=partial(_draw_effect, trait="store_type", held="assortment"),
        reads=WITH_LEVELS,
        caveats="Types differ in place, size and opening days too: not what a change of type would "
        "do. Sundays and other days on which fewer than half of the stores sell are left out of "
        "the comparison.",
    ),
    Question(
        name="store_clusters",
        asks="Which stores behave alike?",
        needs="at least eight stores that differ in how they sell",
        answer=_clusters,
        draw=_draw_clusters,
        caveats="Stores are grouped by how they sell, not how much. There are always groups: "
        "the silhouette tells how far they are apart. Traits are means over all years.",
        reads=WITH_DEVIATIONS,
        compute=clustered,
        shows=("store_id", "cluster", "cluster_is", *TRAITS),
        says="One row a store: the group of stores that it behaves like, what sets that group "
        "apart, and the traits by which stores are grouped. Shares and lifts are relative; "
        "`silhouette` is 1 for a store that is like its own group alone, below 0 for one that is "
        "more like another. The most typical store of each group comes first.",
    ),
)  # fmt: skip
