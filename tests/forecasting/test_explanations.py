"""Explanations add up to the forecast, speak a planner's words, and leave nothing out."""

import math
import re
from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from sales_assets import checks, warehouse
from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.explanations import (
    ALIKE,
    COLUMNS,
    PARTS,
    explain,
    part_numbers,
    percent,
    sentence,
)
from sales_assets.forecasting.features import last_sales_day
from sales_assets.forecasting.frames import Frames, anchors, model_matrix
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.resources import Home
from sales_assets.settings import Settings
from tests.conftest import sales

NOBODY = 999


@pytest.fixture(scope="module")
def member(training, con, settings):
    """Two boosters, so that an explanation is a mean."""
    chosen = settings.lightgbm.model_copy(update={"seeds": 2})
    settings = settings.model_copy(update={"lightgbm": chosen})
    cutoff = last_sales_day(con)
    return LightGBM(settings).fit(training.known_at(cutoff), cutoff)


@pytest.fixture(scope="module")
def explained(member, future):
    return explain(member, future)


@pytest.fixture(scope="module")
def open_rows(future):
    return future.rows[future.rows["is_open"]].reset_index(drop=True)


def a_day(**parts):
    return {"forecast": 1_234.4, "usual_day": 1_000.0, **dict.fromkeys(PARTS, 0.0), **parts}


def test_every_feature_belongs_to_exactly_one_part(future):
    features = list(model_matrix(future.rows).columns)
    assert sorted(feature for own in PARTS.values() for feature in own) == sorted(features)
    assert list(part_numbers(features)) == [
        next(number for number, part in enumerate(PARTS) if feature in PARTS[part])
        for feature in features
    ]


def test_features_without_a_part_are_named():
    with pytest.raises(ValueError, match="moon_phase, tide belong to no part"):
        part_numbers(["weekday", "moon_phase", "h", "tide"])


def test_every_open_day_is_explained_and_no_closed_one(explained, future, open_rows):
    assert list(explained.columns) == COLUMNS
    assert not future.rows["is_open"].all()
    keys = ["cutoff", "store_id", "date"]
    pd.testing.assert_frame_equal(explained[keys], open_rows[keys])


def test_the_parts_of_every_row_add_up_to_its_log_forecast(explained, member, future):
    log_forecast = member.predict(future)[future.rows["is_open"].to_numpy()]
    for row, expected in zip(explained.to_dict("records"), log_forecast, strict=True):
        total = math.log(row["usual_day"]) + math.fsum(row[part] for part in PARTS)
        assert total == pytest.approx(expected, abs=1e-9)
        assert row["forecast"] == pytest.approx(math.exp(expected), rel=1e-9)


def test_percentages_multiply_to_the_forecast(explained):
    for row in explained.to_dict("records"):
        product = row["usual_day"]
        for part in PARTS:
            product *= 1 + percent(row[part]) / 100
        assert product == pytest.approx(row["forecast"], rel=1e-9)


def test_parts_are_those_of_lightgbm_beside_anchors_and_calendar(
    explained, member, open_rows, future
):
    """Told twice: by LightGBM's own contributions, and by loops over the days of the store."""
    matrix = member.places.matrix_of(open_rows)
    chain = {
        name: effect / 2 for name, effect in member.reference.effects.of_chain(open_rows).items()
    }
    own = np.mean(
        [booster.predict(matrix, pred_contrib=True) for booster in member.boosters], axis=0
    )
    history = future.history
    for place in range(0, len(open_rows), 29):
        row = open_rows.iloc[place]
        past = history[
            (history["store_id"] == row["store_id"]) & history["is_open"] & (history["sales"] > 0)
        ]
        plain, alike = {}, []
        for day in past.sort_values("date", ascending=False).itertuples():
            if not day.is_promo:
                plain.setdefault(day.date.isoweekday(), []).append(math.log(day.sales))
            if (day.date.isoweekday(), day.is_promo) == (row["weekday"], row["is_promo"]):
                alike.append(math.log(day.sales))
        plain = {weekday: values[:ALIKE] for weekday, values in plain.items()}
        usual = np.mean([value for values in plain.values() for value in values])
        on_weekday = np.mean(plain[row["weekday"]])
        like_it = np.mean(alike[:ALIKE])
        beside = {"weekday": on_weekday - usual, "promotion": like_it - on_weekday}
        beside["level_and_trend"] = row["anchor"] - like_it + own[place, -1]
        beside["day_of_month"] = chain["month"][place]
        beside["holidays"] = sum(chain[name][place] for name in ("before", "after", "feast"))
        beside["season"] = chain["season"][place]
        told = explained.iloc[place]
        assert told["usual_day"] == pytest.approx(math.exp(usual))
        for part, features in PARTS.items():
            added = sum(own[place, matrix.columns.get_loc(name)] for name in features)
            assert told[part] == pytest.approx(beside.get(part, 0.0) + added, abs=1e-9), part


def test_the_split_of_the_anchors_knows_the_same_days_as_their_sql(explained, open_rows, member):
    """What days like this one sold is the anchor itself, so that the level starts from nothing."""
    matrix = member.places.matrix_of(open_rows)
    names = list(PARTS["level_and_trend"])
    own = np.zeros(len(open_rows))
    for booster in member.boosters:
        values = booster.predict(matrix, pred_contrib=True)
        own += values[:, -1] + values[:, [matrix.columns.get_loc(name) for name in names]].sum(1)
    rest = explained["level_and_trend"] - own / len(member.boosters)
    has_profile = open_rows["profile_occurrences"].notna()
    assert has_profile.mean() > 0.9
    np.testing.assert_allclose(rest[has_profile], 0, atol=2e-6)


def test_a_promotion_is_told_as_what_the_store_sells_more(explained, open_rows):
    promoted = open_rows["is_promo"].to_numpy()
    assert explained.loc[promoted, "promotion"].mean() > 0.1
    assert abs(explained.loc[~promoted, "promotion"].mean()) < 0.05


def test_nothing_after_the_cutoff_changes_an_explanation(member, future, explained):
    later = future.history.groupby("store_id").tail(1)
    later = later.assign(date=later["date"] + pd.Timedelta(days=1), sales=1.0, is_open=True)
    longer = Frames(future.rows, pd.concat([future.history, later]))
    pd.testing.assert_frame_equal(explain(member, longer), explained)


def test_a_row_is_explained_alike_alone_and_among_others(member, future, explained, open_rows):
    row = open_rows.iloc[[17]]
    alone = explain(member, replace(future, rows=row))
    pd.testing.assert_frame_equal(
        alone, explained.iloc[[17]].reset_index(drop=True), rtol=1e-9, atol=1e-12
    )


def test_a_store_without_history_is_explained(member, future, open_rows):
    new = open_rows.head(30).assign(store_id=NOBODY)
    from_history = [*PARTS["level_and_trend"][1:], *PARTS["recent_weeks"], "promo_lift_182"]
    new[from_history] = np.nan
    asked = Frames(new, future.history)

    result = explain(member, asked)

    assert not result.isna().any().any()
    np.testing.assert_allclose(result["usual_day"], math.exp(member.reference.typical[:, 0].mean()))
    np.testing.assert_allclose(np.log(result["forecast"]), member.predict(asked), atol=1e-9)


def test_a_promotion_on_a_weekday_that_never_had_one_claims_no_effect_of_the_past(member, future):
    """The anchor then stands for other days, and what it differs by is told with the level."""
    row = future.rows[future.rows["is_open"] & future.rows["is_promo"]].head(1)
    store_id, weekday = int(row["store_id"].iloc[0]), int(row["weekday"].iloc[0])
    history = future.history
    never = (history["store_id"] == store_id) & (history["date"].dt.dayofweek + 1 == weekday)
    without = Frames(row, history[~(never & history["is_promo"])])

    told, usual = explain(member, without).iloc[0], explain(member, replace(future, rows=row))

    assert told["promotion"] < usual["promotion"].iloc[0]
    assert told["forecast"] == pytest.approx(usual["forecast"].iloc[0])
    log_total = math.log(told["usual_day"]) + sum(told[part] for part in PARTS)
    assert log_total == pytest.approx(math.log(told["forecast"]))
    assert np.isfinite(anchors(row)).all()


def test_without_a_history_the_anchor_is_the_usual_day(member, future, open_rows):
    result = explain(member, Frames(future.rows, future.history.iloc[:0]))
    np.testing.assert_allclose(np.log(result["usual_day"]), anchors(open_rows), atol=1e-9)
    log_total = np.log(result["usual_day"]) + result[list(PARTS)].sum(axis=1)
    np.testing.assert_allclose(log_total, np.log(result["forecast"]), atol=1e-9)


def test_nothing_to_explain_is_an_empty_table(member, future):
    closed = Frames(future.rows[~future.rows["is_open"]], future.history)
    result = explain(member, closed)
    assert list(result.columns) == COLUMNS
    assert result.empty


@pytest.mark.parametrize(
    ("parts", "is_promo", "told"),
    [
        ({}, False, "; others +0 %"),
        ({"season": math.log(0.9)}, True, "; season −10 %, others +0 %"),
        (
            {"promotion": math.log(1.34), "weekday": math.log(1.12), "season": math.log(0.99)},
            True,
            "; promotion +34 %, Monday +12 %, others −1 %",
        ),
        ({"promotion": math.log(0.97)}, False, "; no promotion −3 %, others +0 %"),
        (
            {"weekday": math.log(0.5), "school_holidays": math.log(1.6)},
            False,
            "; Monday −50 %, school holidays +60 %, others +0 %",
        ),
    ],
)
def test_a_sentence_tells_percentages_the_largest_first(parts, is_promo, told):
    start = "EUR 1,234: a usual day of this store EUR 1,000"
    assert sentence(a_day(**parts), 1, is_promo) == start + told


def test_each_sentence_starts_and_ends_at_its_own_numbers(explained):
    for row in explained.head(50).to_dict("records"):
        start, usual = re.findall(r"EUR ([\d,]+)", row["explanation"])
        assert float(start.replace(",", "")) == round(row["forecast"])
        assert float(usual.replace(",", "")) == round(row["usual_day"])


def test_the_published_explanations_add_up_to_the_published_forecasts(home):
    with warehouse.connect_snapshot(Settings(home=home)) as con:
        assert warehouse.query(con, "checks/forecasts_explanations").fetchall() == []
        parts = con.execute("from forecasts.explanation_parts").df()
        ((days,),) = con.execute(
            "select count(*) from cleaned.plan where is_open and date > (select max(date)"
            " from cleaned.sales)"
        ).fetchall()
    assert set(parts["part"]) == set(PARTS)
    assert len(parts) == days * len(PARTS)
    np.testing.assert_allclose(
        parts["percent"], [percent(value) for value in parts["log_contribution"]], rtol=1e-9
    )


@pytest.mark.parametrize(
    "fault",
    [
        "update forecasts.explanations set promotion = promotion + 0.001 where h = 3",
        "update forecasts.explanations set forecast = forecast * 1.01 where h = 3",
        "delete from forecasts.explanations where h = 3",
    ],
)
def test_the_check_names_the_days_that_do_not_add_up(home_copy, monkeypatch, fault):
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    fault = fault.replace("h = 3", "date = (select min(date) from forecasts.explanations)")
    with warehouse.connect(Settings.load()) as con:
        con.execute(fault)
        ((wrong,),) = con.execute(
            "select count(*) from cleaned.plan where is_open"
            " and date = (select min(date) from forecasts.latest)"
        ).fetchall()

    job = dg.define_asset_job("check", selection=dg.AssetSelection.all_asset_checks())
    defs = dg.Definitions(
        asset_checks=[checks.forecasts_explanations], jobs=[job], resources={"home": Home()}
    )
    done = defs.resolve_job_def("check").execute_in_process()

    (check,) = done.get_asset_check_evaluations()
    assert not check.passed
    assert check.metadata["failed"].value == wrong


def test_the_command_tells_a_stores_days(home):
    out = sales("forecast", "--store", "3", "--explain", "--format", "csv", "--home", home).stdout
    head, *lines = out.splitlines()
    assert head == "store_id,date,weekday,forecast,explanation"
    assert all("a usual day of this store EUR" in line for line in lines)
    assert len(lines) > 30
    assert "usual day" in sales("forecast", "--store", "3", "--explain", "--home", home).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--store"),
        (["--format", "kaggle"], "no explanations"),
        (["--store", "9999"], "no forecast for store 9999"),
    ],
)
def test_what_cannot_be_explained_is_told_plainly(home, arguments, said):
    done = sales("forecast", "--explain", *arguments, "--home", home, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("sales: ")
    assert said in done.stderr


def test_the_ensembles_version_is_recorded_with_the_explanations(home):
    with warehouse.connect_snapshot(Settings(home=home)) as con:
        versions = con.execute(
            "select distinct version from forecasts.explanations"
            " union select distinct version from forecasts.latest where model = $model",
            {"model": ENSEMBLE},
        ).fetchall()
    assert len(versions) == 1
