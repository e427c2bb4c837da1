"""Whether the plan is like the history, counted a second way."""

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.questions.conftest import Ask, answer, rows_of
from tests.questions.oracle import agree
from tests.questions.promoted_stores import MONDAY, add_plan, add_store

DAY = pd.Timedelta(days=1)
DISTANCES = ["under 500 m", "500 m to 2 km", "2 to 10 km", "10 km or more"]


def yes_or_no(flags: pd.Series) -> pd.Series:
    return flags.map({True: "yes", False: "no"})


def covariates(days: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what each covariate was on each store day that it is known of."""
    opened = days[days["is_open"]]
    runs = opened["promo2_since"] <= opened["date"]
    anew = [
        runs and month in months
        for runs, month, months in zip(
            runs, opened["date"].dt.month, opened["promo2_months"], strict=True
        )
    ]
    distance = pd.cut(
        opened["competition_distance_m"], [0, 500, 2000, 10000, np.inf], right=False,
        labels=DISTANCES,
    )  # fmt: skip
    return {
        "is_open": yes_or_no(days["is_open"]),
        "state_holiday": days["state_holiday"],
        "is_promo": yes_or_no(opened["is_promo"]),
        "is_school_holiday": yes_or_no(opened["is_school_holiday"]),
        "weekday": opened["date"].dt.day_name(),
        "quarter": "Q" + opened["date"].dt.quarter.astype(str),
        "store_type": opened["store_type"],
        "assortment": opened["assortment"],
        "competition_distance": distance.astype(object).fillna("unknown"),
        "runs_promo2": yes_or_no(runs),
        "promo2_starts_anew": yes_or_no(pd.Series(anew, index=opened.index)),
    }


def psi(shares: pd.DataFrame | pd.Series, others: pd.Series) -> NDArray[np.float64]:
    """Return the population stability index of the shares, or of each row of them."""
    new, old = np.clip(shares.to_numpy(), 1e-4, None), np.clip(others.to_numpy(), 1e-4, None)
    return np.asarray(((new - old) * np.log(new / old)).sum(axis=-1))


def verdict(far: float) -> str:
    return "alike" if far < 0.1 else "moved" if far < 0.25 else "different"


def test_plan_and_history_are_as_far_apart_as_a_loop_over_covariates_says(
    either: duckdb.DuckDBPyConnection, of_either: Ask
) -> None:
    history, plan = (
        either.execute(f"from cleaned.{table} left join cleaned.stores using (store_id)").df()
        for table in ("sales", "plan")
    )
    first, last = history["date"].min(), history["date"].max()
    coming = plan["date"].drop_duplicates()
    former = [coming - 364 * year * DAY for year in range(1, 10)]
    same_days = pd.concat([dates for dates in former if dates.min() >= first])
    every = pd.date_range(first, last)
    reported = history[~history["is_absent"]]
    of_plan = covariates(plan)
    expected, verdicts = [], {}
    for name, values in covariates(reported).items():
        of_days = pd.crosstab(reported.loc[values.index, "date"], values)
        counts = pd.concat(
            [
                of_days.sum(),
                of_days[of_days.index.isin(same_days)].sum(),
                of_plan[name].value_counts(),
            ],
            axis=1, keys=["history", "same_weeks", "plan"],
        ).fillna(0)  # fmt: skip
        shares = counts / counts.sum()
        gaps = (shares["plan"] - shares["history"]).abs()
        level = "yes" if "yes" in gaps.index else gaps.idxmax()
        far = psi(shares["plan"], shares["history"])
        far_from_same_weeks = psi(shares["plan"], shares["same_weeks"])
        # Stretches as long as the plan, from the last one back, a week apart.
        stretches = of_days.reindex(every, fill_value=0).rolling(len(coming)).sum().dropna()[::-7]
        of_stretches = psi(
            stretches.div(stretches.sum(axis=1), axis=0), shares.loc[stretches.columns, "history"]
        )
        expected.append(
            {
                "covariate": name,
                "level": level,
                "history_share": shares.loc[level, "history"],
                "same_weeks_share": shares.loc[level, "same_weeks"],
                "plan_share": shares.loc[level, "plan"],
                "psi": far,
                "distance": gaps.sum() / 2,
                "stretches": len(stretches),
                "stretches_as_far": (of_stretches > far - 1e-9).mean(),
                "psi_same_weeks": far_from_same_weeks,
                "derived_share": plan["is_derived"].mean(),
            }
        )
        verdicts[name] = verdict(far), verdict(far_from_same_weeks)
    found = of_either("plan_drift")
    agree(found, pd.DataFrame(expected).set_index(["covariate", "level"]))
    for row in found.itertuples():
        assert (row.verdict, row.verdict_same_weeks) == verdicts[row.covariate]
    assert found["psi"].is_monotonic_decreasing


def test_a_plan_full_of_promotions_is_told(small: duckdb.DuckDBPyConnection) -> None:
    add_store(small, 1, weeks=60)
    first = MONDAY + timedelta(days=420)
    add_plan(small, first=first, days=14, is_promo=True)
    text = answer("plan_drift", rows_of(small, "plan_drift"))
    assert "promotions (PSI" in text
    assert "against the same weeks of former years promotions differ" in text
    assert "In promotions hardly any former stretch of that length was as far" in text
    assert "The whole plan is derived" in text
    small.execute("delete from cleaned.plan")
    add_plan(small, first=first, days=14, is_promo=False)
    small.execute("update cleaned.plan set is_promo = true where date < ? and is_open",
                 [first + timedelta(days=7)])  # fmt: skip
    text = answer("plan_drift", rows_of(small, "plan_drift"))
    assert "promotions" not in text
