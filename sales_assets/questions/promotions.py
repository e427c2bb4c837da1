"""What promotions do, and where."""

import pandas as pd

from sales_assets.charts import BLUE, GREY, ORANGE
from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import SALES_AND_STORES, NoAnswerError, Question
from sales_assets.questions.ranking import ranked_promotions, top_size
from sales_assets.questions.words import (
    WEEKDAYS,
    between,
    change,
    counted,
    euros,
    is_known,
    listed,
    number,
    percent,
)

SALES_STORES_AND_PLAN = (*SALES_AND_STORES, "cleaned.plan")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
UNEVEN = 0.1  # Cramér's V from which on a slice is said to matter.
RARE = 0.05
NAMES = {
    "is_open": "openings",
    "is_promo": "promotions",
    "state_holiday": "state holidays",
    "is_school_holiday": "school holidays",
    "weekday": "weekdays",
    "quarter": "quarters",
    "store_type": "store types",
    "assortment": "assortments",
    "competition_distance": "distances to competitors",
    "runs_promo2": "stores in Promo2",
    "promo2_starts_anew": "starts of a Promo2 round",
}
STORES_OF_A_RANKING = 10
SHOWN_STORES = 10


def _weekday(value: str) -> str:
    return WEEKDAYS[int(value) - 1]


def _one(rows: pd.DataFrame, column: str, value: str) -> pd.Series:
    """Return the first row with this value."""
    return rows.loc[rows[column] == value].iloc[0]


def _sure(low: float, high: float, digits: int = 0) -> str:
    """Return an interval in brackets; of what has none, nothing."""
    return f" ({between(low, high, digits)})" if is_known(low, high) else ""


def _distribution(rows: pd.DataFrame) -> str:
    chain = _one(rows, "slice", "all")
    if not 0 < chain["promo_share"] < 1:
        raise NoAnswerError("it needs open days with and without promotions")
    split = int(chain["split_days"])
    together = (
        f"on {number(split)} of {number(chain['promo_days'])} promotion days in some stores alone"
        if split
        else "the same days in all stores"
    )
    plan = (
        f", and in the plan on {percent(chain['planned_share'])}"
        if is_known(chain["planned_share"])
        else ""
    )
    values = rows["slice"].map(rows["slice"].value_counts())
    slices = rows[(rows["slice"] != "all") & (values > 1)].drop_duplicates("slice")
    names = slices["slice"].str.replace("_", " ")
    uneven = names[slices["cramers_v"] >= UNEVEN].tolist()
    even = names[slices["cramers_v"] < UNEVEN].tolist()
    week = rows[rows["slice"] == "weekday"]
    never = [f"{_weekday(value)}s" for value in week.loc[week["promo_share"] == 0, "value"]]
    spared = f" (never on {listed(never)})" if never and "weekday" in uneven else ""
    depends = []
    if uneven:
        depends.append(f"by {listed(uneven)} they differ{spared}")
    if even:
        depends.append(f"by {listed(even)} they {'hardly do' if uneven else 'hardly differ'}")
    return (
        f"Promotions are on {percent(chain['promo_share'])} of the open days{plan}: {together}"
        f"{'; ' if depends else ''}{', '.join(depends)}."
    )


def _draw_distribution(rows: pd.DataFrame) -> Picture:
    def panel(kind: str, names: list[str], title: str, y_title: str) -> Panel:
        some = rows[rows["slice"] == kind]
        series = tuple(
            Series(name, names, 100 * some[column], colour=colour)
            for name, column, colour in (
                ("history", "promo_share", None), ("plan", "planned_share", ORANGE),
            )
        )  # fmt: skip
        return Panel(series, "", y_title, title=title)

    week, year = rows[rows["slice"] == "weekday"], rows[rows["slice"] == "month"]
    title = f"{percent(_one(rows, 'slice', 'all')['promo_share'])} of open days have a promotion"
    panels = (
        panel(
            "weekday", [_weekday(day)[:3] for day in week["value"]], "weekdays", "% of open days"
        ),
        panel("month", [MONTHS[int(month) - 1] for month in year["value"]], "months", ""),
    )
    return Picture(title, panels)


def _drift(rows: pd.DataFrame) -> str:
    names = rows["covariate"].map(NAMES)
    apart = [
        f"{name} (PSI {psi:.1f})"
        for name, psi, verdict in zip(names, rows["psi"], rows["verdict"], strict=True)
        if verdict != "alike"
    ]
    if apart:
        told = f"{number(len(rows) - len(apart))} of {len(rows)} covariates are distributed alike "
        told += f"in the plan and in the history; not so {listed(apart)}"
    else:
        told = f"All {len(rows)} covariates are distributed alike in the plan and in the history"
    if rows["psi_same_weeks"].notna().any():
        seasonal = names[rows["verdict_same_weeks"].isin(["moved", "different"])].tolist()
        told += "; against the same weeks of former years "
        told += f"{listed(seasonal)} differ" if seasonal else "none differs"
    enough = rows["stretches"].fillna(0) >= 1 / RARE
    rare = names[enough & (rows["stretches_as_far"] < RARE)].tolist()
    if rare:
        told += f". In {listed(rare)} hardly any former stretch of that length was as far from the "
        told += "whole history as the plan is"
    derived = rows["derived_share"].iloc[0]
    if derived > 0:
        part = "The whole plan" if derived == 1 else f"{percent(derived, 1)} of the plan"
        told += f". {part} is derived from the history"
    return f"{told}."


def _draw_drift(rows: pd.DataFrame) -> Picture:
    names = [
        NAMES[row.covariate]
        if row.level == "yes"
        else f"{NAMES[row.covariate]}: {row.level.replace('none', 'no holiday')}"
        for row in rows.itertuples()
    ]
    samples = (
        ("history", "history_share", GREY),
        ("same weeks of former years", "same_weeks_share", BLUE),
        ("plan", "plan_share", ORANGE),
    )
    series = tuple(
        Series(name, names, 100 * rows[column].astype(float), colour=colour)
        for name, column, colour in samples
        if rows[column].notna().any()
    )
    panel = Panel(series, "% of store days", "", kind="dots", is_horizontal=True)
    alike = int((rows["verdict"] == "alike").sum())
    title = f"Plan and history are alike in {alike} of {len(rows)} covariates"
    return Picture(f"{title}; the farthest apart come first", (panel,))


def _effect(rows: pd.DataFrame) -> str:
    chain = _one(rows, "slice", "all")
    week = rows[rows["slice"] == "weekday"]
    best, least = week.loc[week["sales_lift"].idxmax()], week.loc[week["sales_lift"].idxmin()]
    told = (
        f"With a promotion a store sells {change(chain['sales_lift'])} compared with the same "
        f"weekday without"
        f"{_sure(chain['lift_lo_95'], chain['lift_hi_95'])}"
    )
    if is_known(chain["lift_lo_95"]) and chain["lift_lo_95"] <= 0 <= chain["lift_hi_95"]:
        told += ", which may be nothing"
    if len(week) > 1:
        told += (
            f": most on {_weekday(best['value'])}s ({change(best['sales_lift'])}), "
            f"least on {_weekday(least['value'])}s ({change(least['sales_lift'])})"
        )
    return f"{told}.{_composition(chain)}"


def _composition(chain: pd.Series) -> str:
    """Return whether a lift is one of customers or of baskets, where customers are counted."""
    customers, basket = chain["customer_lift"], chain["basket_lift"]
    if not is_known(customers, basket):
        return ""
    stores, all_stores = chain["counted_stores"], chain["stores"]
    where = (
        f" Customers are counted in {number(stores)} of {counted(all_stores, 'store')}: there"
        if stores < all_stores
        else ""
    )
    if customers > 0 and basket > 0:
        share = chain["customer_share"]
        return (
            f"{where} {percent(share)} of the lift are more customers ({change(customers)}), the "
            f"other {percent(1 - round(share, 2))} larger baskets ({change(basket)})."
        )
    return (
        f"{where} {'customers' if where else 'Customers'} change by {change(customers)}, "
        f"baskets by {change(basket)}."
    )


def _draw_effect(rows: pd.DataFrame) -> Picture:
    week = rows[rows["slice"] == "weekday"]
    kinds = rows[rows["slice"].isin(["store_type", "assortment"])]
    measures = (
        ("sales", "sales_lift", "lift_lo_95", "lift_hi_95"),
        ("customers", "customer_lift", "customer_lo_95", "customer_hi_95"),
        ("basket", "basket_lift", "basket_lo_95", "basket_hi_95"),
    )

    def panel(some: pd.DataFrame, names: list[str], title: str, y_title: str) -> Panel:
        series = tuple(
            Series(name, names, *(100 * some[column].astype(float) for column in columns))
            for name, *columns in measures
            if some[columns[0]].notna().any()
        )
        return Panel(series, "", y_title, kind="dots", title=title, line_at=0)

    days = [_weekday(day)[:3] for day in week["value"]]
    panels = [panel(week, days, "weekdays", "more with a promotion, %")]
    if len(kinds):
        names = [f"type {row.value}" if row.slice == "store_type" else row.value
                 for row in kinds.itertuples()]  # fmt: skip
        panels.append(panel(kinds, names, "store types and assortments", ""))
    chain = _one(rows, "slice", "all")
    title = f"Sales change by {change(chain['sales_lift'])} with a promotion"
    return Picture(title, tuple(panels))


def _targeting(rows: pd.DataFrame) -> str:
    if len(rows) < STORES_OF_A_RANKING:
        raise NoAnswerError(f"a ranking needs {STORES_OF_A_RANKING} stores, and has {len(rows)}")
    if rows["rank_hi_95"].min() >= rows["rank_lo_95"].max():
        return (
            f"Which of {number(len(rows))} stores gain most is not told from chance: the 95 % "
            f"intervals of all ranks overlap. In the median store a promotion day adds "
            f"{euros(rows['gain_eur'].median())} ({change(rows['lift'].median())})."
        )
    best, size = rows.iloc[0], top_size(len(rows))
    likely = int((rows["chance_of_top_tenth"] > 1 / 2).sum())
    days = rows["days_of_promo_week"].median()
    low, high = best["moved_week_lo_95"], best["moved_week_hi_95"]
    unsure = ": perhaps nothing" if low <= 0 <= high else ""
    ranks = f"{number(best['rank_lo_95'])} to {number(best['rank_hi_95'])} of {number(len(rows))}"
    are = "store is" if likely == 1 else "stores are"
    return (
        f"Store {int(best['store_id'])} gains most: {euros(best['gain_eur'])} a promotion day "
        f"({change(best['lift'])}), and its rank is 95 % sure within {ranks}; {number(likely)} "
        f"{are} more likely than not among the best {number(size)}. A promotion week of "
        f"{counted(days, 'day')} in a store of the best tenth instead of one of the last is worth "
        f"{euros(best['moved_week_eur'])} (95 % sure between {euros(low)} and {euros(high)}"
        f"{unsure})."
    )


def _draw_targeting(rows: pd.DataFrame) -> Picture:
    ends = pd.concat([rows.head(SHOWN_STORES), rows.tail(len(rows) - SHOWN_STORES)
                      .tail(SHOWN_STORES)])  # fmt: skip
    names = [f"{row.rank}. store {row.store_id}" for row in ends.itertuples()]
    gains = Series("gain", names, ends["gain_eur"], ends["gain_lo_95"], ends["gain_hi_95"])
    lifts = Series(
        "lift", names, *(100 * ends[column] for column in ("lift", "lift_lo_95", "lift_hi_95"))
    )
    panels = tuple(
        Panel((series,), title, "", kind="dots", is_horizontal=True, line_at=0)
        for series, title in ((gains, "EUR a promotion day"), (lifts, "% of a day without"))
    )
    return Picture("What a promotion adds, in the stores where it is most and least EUR", panels)


def _promo2(rows: pd.DataFrame) -> str:
    anew = rows[(rows["comparison"] == "starts anew") & (rows["value"] == "all rounds")]
    joins = rows[rows["comparison"] == "joins"]
    level = rows[rows["comparison"] == "takes part"]
    told = []
    if len(anew):
        row = anew.iloc[0]
        told.append(f"in the months in which Promo2 starts anew, {_told_effect(row)}")
    if len(joins):
        row = joins.iloc[0]
        told.append(f"in the half year from joining on, {_told_effect(row)}")
    if not told:
        raise NoAnswerError("no store's Promo2 can be compared with months or stores without it")
    text = f"Beyond what stores without it saw: {'; '.join(told)}."
    if len(level):
        row = level.iloc[0]
        gap, low, high = row["sales_effect"], row["sales_lo_95"], row["sales_hi_95"]
        text += f" The level of stores that take part differs by {change(gap)} from others of"
        unsure = f" ({between(low, high)}: perhaps none)" if low <= 0 <= high else _sure(low, high)
        text += f" their kind{unsure}."
    return text


def _told_effect(row: pd.Series) -> str:
    low, high = row["sales_lo_95"], row["sales_hi_95"]
    stores = counted(row["stores"], "store")
    effect = change(row["sales_effect"], 1)
    if not is_known(low, high):
        return f"{stores} sold {effect}, too few for an interval"
    sure = f"({between(low, high, 1)})"
    if low <= 0 <= high:
        return f"the sales of {stores} show no sure change: {effect} {sure}"
    return f"{stores} sold {effect} {sure}"


def _draw_promo2(rows: pd.DataFrame) -> Picture:
    def dots(some: pd.DataFrame, names: list[str]) -> tuple[Series, ...]:
        measures = (
            ("sales", ("sales_effect", "sales_lo_95", "sales_hi_95")),
            ("customers", ("customers_effect", "customers_lo_95", "customers_hi_95")),
        )
        return tuple(
            Series(name, names, *(100 * some[column].astype(float) for column in columns))
            for name, columns in measures
            if some[columns[0]].notna().any()
        )

    main = rows[rows["comparison"].isin(["starts anew", "joins"])]
    names = ["joining" if row.comparison == "joins" else row.value for row in main.itertuples()]
    names = [name.replace(", ", " ") for name in names]
    panels = [
        Panel(dots(main, names), "change, %", "", kind="dots", is_horizontal=True, line_at=0,
              title="months it starts anew, and joining")
    ]  # fmt: skip
    course = rows[rows["comparison"] == "weeks from joining"]
    if len(course):
        panels.append(
            Panel(dots(course, course["value"].tolist()), "first of eight weeks from joining", "",
                  kind="dots", line_at=0, title="against the eight weeks before joining, %")
        )  # fmt: skip
    first = main.iloc[0]
    is_sure = first["sales_lo_95"] > 0 or first["sales_hi_95"] < 0
    found = f"a change of {change(first['sales_effect'], 1)}" if is_sure else "no sure change"
    when = "once joined" if first["comparison"] == "joins" else "in months it starts anew"
    title = f"Promo2: {found} of sales {when}, against stores without it"
    return Picture(title, tuple(panels))


QUESTIONS = (
    Question(
        name="promo_distribution",
        asks="Are promotions spread evenly over the week, the year and the stores?",
        needs="open days",
        answer=_distribution,
        draw=_draw_distribution,
        caveats="Cramér's V from 0.1 on is called uneven. It is no test: promotions are planned "
        "for whole weeks, not drawn by lot, so what is uneven is so on purpose or by the calendar.",
        reads=SALES_STORES_AND_PLAN,
        shows=("slice", "value", "open_store_days", "promo_days", "promo_share", "planned_share",
               "cramers_v", "verdict"),
    ),
    Question(
        name="plan_drift",
        asks="Is the coming plan like the history that the models learnt from?",
        needs="a history and a plan",
        answer=_drift,
        draw=_draw_drift,
        caveats="A PSI from 0.1 on is called moved, from 0.25 on different. A plan of some weeks "
        "holds one season alone: the same weeks of former years tell whether more than that is "
        "behind it. Of many covariates one may look rare by chance.",
        reads=SALES_STORES_AND_PLAN,
        shows=("covariate", "level", "history_share", "same_weeks_share", "plan_share", "psi",
               "stretches_as_far", "verdict", "verdict_same_weeks"),
    ),
    Question(
        name="promo_effect",
        asks="How much more do stores sell with a promotion, and is it more customers?",
        needs="days with and without promotions on the same weekday",
        answer=_effect,
        draw=_draw_effect,
        caveats="Promotions are not drawn by lot, and what is bought earlier for their sake is not "
        "taken off. The intervals hold what stores differ by and what all stores of a week share; "
        "a kind with one store has none.",
        shows=("slice", "value", "stores", "sales_lift", "lift_lo_95", "lift_hi_95",
               "counted_stores", "customer_lift", "basket_lift", "customer_share"),
    ),
    Question(
        name="promo_targeting",
        asks="In which stores does a promotion pay most, and what would moving a week be worth?",
        needs="days with and without promotions on the same weekday",
        answer=_targeting,
        draw=_draw_targeting,
        caveats="Of sales, not of profit: neither margins nor the cost of a promotion are known. "
        "In EUR large stores come first. Where all stores have the same promotion days, what a "
        "promotion in one store alone would do was never seen. The intervals leave out what all "
        "stores share, which moves no rank.",
        compute=ranked_promotions,
        shows=("rank", "rank_lo_95", "rank_hi_95", "store_id", "gain_eur", "gain_lo_95",
               "gain_hi_95", "chance_of_top_tenth", "lift", "lift_rank"),
    ),
    Question(
        name="promo2_effect",
        asks="What does the recurring promotion Promo2 bring?",
        needs="stores in Promo2 and stores without it",
        answer=_promo2,
        draw=_draw_promo2,
        caveats="Stores are not in Promo2 by lot, so the difference of level is no effect of it. "
        "Stores that joined were perhaps already changing: the weeks before joining show it.",
        shows=("comparison", "value", "stores", "control_stores", "sales_effect", "sales_lo_95",
               "sales_hi_95", "customers_effect"),
    ),
)  # fmt: skip
