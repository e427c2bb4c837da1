"""What the data hold: spans, gaps, repairs, days out of the ordinary."""

import pandas as pd

from sales_assets.charts import GREY, VERMILION
from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import SALES_AND_STORES, Question
from sales_assets.questions.words import WEEKDAYS, counted, euros, number, percent

UNEXPLAINED = "unexplained"


def _overview(rows: pd.DataFrame) -> str:
    facts = rows.set_index("fact")
    days, selling = facts.loc["store days"], facts.loc["selling days"]
    absent = facts.loc["days that no file speaks of"]
    in_stores = f" in {counted(absent['stores'], 'store')}" if absent["rows"] else ""
    is_repair = (rows["kind"] == "repair") & (rows["table_name"] == "cleaned.sales")
    repairs = rows.loc[is_repair, "rows"].sum()
    return (
        f"{counted(days['stores'], 'store')} from {_day(days['first_day'])} to "
        f"{_day(days['last_day'])}: {counted(selling['rows'], 'selling day')} "
        f"({percent(selling['share'])} of all), and {counted(absent['rows'], 'day')} that no "
        f"file speaks of ({percent(absent['share'], 1)}{in_stores}). "
        f"{counted(repairs, 'opening')} had to be repaired and "
        f"{counted(facts.loc['rows refused', 'rows'], 'row')} refused; "
        f"{_counting(facts, selling['rows'])}{_planning(facts)}."
    )


def _counting(facts: pd.DataFrame, selling_days: int) -> str:
    uncounted = facts.loc["selling days without a count of customers", "rows"]
    if selling_days == 0:
        return "nothing was sold"
    if uncounted == 0:
        return "customers were counted on every selling day"
    if uncounted == selling_days:
        return "customers were never counted"
    share = uncounted / selling_days
    return f"customers were not counted on {percent(share, 1)} of the selling days"


def _planning(facts: pd.DataFrame) -> str:
    if "planned store days" not in facts.index:
        return ""
    plan, derived = facts.loc["planned store days"], facts.loc["days that no plan speaks of"]
    until = f"{plan['last_day'].day} {plan['last_day']:%B %Y}"
    if derived["rows"] == 0:
        return f", and the plan until {until} was delivered"
    if derived["rows"] == plan["rows"]:
        return f", and the plan until {until} is derived from the past"
    return f", and {percent(derived['share'], 1)} of the plan until {until} is derived"


def _draw_overview(rows: pd.DataFrame) -> Picture:
    faults = rows[(rows["kind"] != "rows") & rows["share"].notna()]
    shares = Series("rows", faults["fact"], 100 * faults["share"])
    most = faults.loc[faults["share"].idxmax()]
    panel = Panel((shares,), "% of the table's rows", "", is_horizontal=True)
    if most["rows"] == 0:
        return Picture("Nothing is missing, repaired or odd", (panel,))
    return Picture(
        f"Missing, repaired or odd; most of all: {most['fact']} ({percent(most['share'], 1)})",
        (panel,),
    )


def _outliers(rows: pd.DataFrame) -> str:
    explained = rows[rows["reason"] != UNEXPLAINED]
    share = len(rows) / rows["selling_days"].iloc[0]
    furthest = rows.loc[rows["outlier_score"].abs().idxmax()]
    on = f"store {furthest['store_id']} on {_day(furthest['date'])}"
    return (
        f"{counted(len(rows), 'day')} of {number(rows['selling_days'].iloc[0])} "
        f"({percent(share, 1)}) sold far more or less than usual; "
        f"{_reasons(explained, len(rows))}. The furthest is {on}: "
        f"{euros(furthest['sales'])}, usually {euros(furthest['usual_sales'])} "
        f"({furthest['reason']})."
    )


def _reasons(explained: pd.DataFrame, days: int) -> str:
    if explained.empty:
        return "none of them has a reason that these data know"
    reasons = explained.groupby("reason").agg(
        days=("date", "size"), share_of_other_days=("share_of_other_days", "first")
    )
    main = reasons["days"].idxmax()
    return (
        f"{percent(len(explained) / days)} of them have a likely reason, which would also fit "
        f"{percent(reasons['share_of_other_days'].sum())} of the other days, most often "
        f"{main} ({counted(reasons.loc[main, 'days'], 'day')})"
    )


def _draw_outliers(rows: pd.DataFrame) -> Picture:
    reasons = (
        rows.groupby("reason")
        .agg(days=("date", "size"), other=("share_of_other_days", "first"))
        .sort_values("days", ascending=False, kind="stable")
    )
    names = reasons.index.tolist()
    shares = (
        Series("days far from usual", names, 100 * reasons["days"] / len(rows), colour=VERMILION),
        Series("all other days", names, 100 * reasons["other"], colour=GREY),
    )
    share = (rows["reason"] != UNEXPLAINED).mean()
    return Picture(
        f"{percent(share)} of the days far from usual have a likely reason",
        (Panel(shares, "% of days", "", is_horizontal=True),),
    )


def _day(day: pd.Timestamp) -> str:
    return f"{WEEKDAYS[day.weekday()]} {day.day} {day:%B %Y}"


QUESTIONS = (
    Question(
        name="data_overview",
        asks="What do we know, and how good is it?",
        needs="a delivered day",
        answer=_overview,
        draw=_draw_overview,
        caveats="What a file leaves out without a trace is not seen here: a day that it reports as "
        "closed counts as closed. A missing opening of a competitor may also mean that there is "
        "none. Refused rows and their faults are in `quality.quarantine`.",
        reads=(*SALES_AND_STORES, "cleaned.plan", "quality.quarantine"),
    ),
    Question(
        name="outliers",
        asks="Which days were out of the ordinary, and why?",
        needs="days whose sales are far from their store's usual",
        answer=_outliers,
        draw=_draw_outliers,
        caveats="The reason is the first that fits, in the order: half day, Christmas, carnival, "
        "promotion, basket, closure, holiday, other stores. That a reason fits does not prove it. "
        "Usual is the median over all years, so a store that grew or was rebuilt has more such "
        "days.",
        reads=("cleaned.sales",),
        shows=(
            "store_id", "date", "sales", "usual_sales", "deviation", "outlier_score", "reason",
        ),
    ),
)  # fmt: skip
