"""Trials are kept, counted and gone on from; none is drawn twice."""

import json

import numpy as np
import optuna
import pytest

from sales_assets.forecasting import backtest
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.studies import tuning
from sales_assets.forecasting.studies.tuning import COLUMNS, FILE, TUNED
from sales_assets.settings import LightGBMSettings, RandomForestSettings

KINDS = {"lightgbm": LightGBMSettings, "random_forest": RandomForestSettings}


@pytest.fixture(scope="package")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("tuning")


def budget(settings, **changes):
    return settings.model_copy(update={"studies": settings.studies.model_copy(update=changes)})


@pytest.fixture(scope="package")
def table(training, cutoffs, tiny, kept):
    return tuning.run(training, cutoffs, "data", budget(tiny, trials=2), kept)


def test_every_model_gets_its_trials(table):
    assert list(table.columns) == COLUMNS
    assert table.groupby("model")["trial"].apply(list).to_dict() == {name: [0, 1] for name in TUNED}
    assert set(table["state"]) == {"complete"}
    assert table["is_latest"].all()


def test_the_first_trial_is_the_settings_of_now_and_the_best_is_never_worse(table, tiny):
    for name, rows in table.groupby("model"):
        first, best = rows.iloc[0], rows[rows["is_best"]]
        assert json.loads(first["parameters"]) == getattr(tiny, name).model_dump()
        assert len(best) == 1
        assert best["value"].item() == rows["value"].min() <= first["value"]


def test_a_value_is_the_mean_rmspe_of_the_folds_by_a_plain_loop(table, training, cutoffs, tiny):
    row = table[(table["model"] == "lightgbm") & (table["trial"] == 1)].iloc[0]
    chosen = LightGBMSettings(**json.loads(row["parameters"]))
    settings = tiny.model_copy(update={"lightgbm": chosen})
    folds = {}
    for cutoff in cutoffs:
        asked = training.asked_at(cutoff)
        said = LightGBM(settings).fit(training.known_at(cutoff), cutoff).predict(asked)
        squared = [
            (1 - np.exp(forecast - sold)) ** 2
            for forecast, sold in zip(said, asked.rows["log_sales"], strict=True)
            if not np.isnan(sold)
        ]
        folds[str(cutoff)] = (sum(squared) / len(squared)) ** 0.5

    assert json.loads(row["fold_values"]) == pytest.approx(folds, rel=1e-5)
    assert row["value"] == pytest.approx(sum(folds.values()) / len(folds), rel=1e-5)


@pytest.mark.parametrize("name", TUNED)
def test_what_was_tried_can_be_set(table, name):
    for text in table.loc[table["model"] == name, "parameters"]:
        KINDS[name](**json.loads(text))


def test_a_tuning_goes_on_where_it_was_killed(table, training, cutoffs, tiny, kept):
    before = (kept / FILE).read_bytes()
    storage = optuna.storages.RDBStorage(f"sqlite:///{kept / FILE}")
    name = table.loc[table["model"] == "lightgbm", "study"].iloc[0]
    # What a killed process leaves behind: a trial that is under way for ever.
    killed = optuna.load_study(study_name=name, storage=storage).ask()
    killed.suggest_int("leaves", 8, 192, log=True)

    again = tuning.run(training, cutoffs, "data", budget(tiny, trials=4), kept)

    assert before != (kept / FILE).read_bytes()
    rows = again[again["model"] == "lightgbm"]
    assert rows["state"].tolist()[:3] == ["complete", "complete", "fail"]
    assert rows["state"].isin(["complete", "pruned"]).sum() == 4
    # What was under way is tried again, and what was done is still the same.
    second_try = json.loads(rows["parameters"].iloc[3])
    assert second_try["leaves"] == killed.params["leaves"]
    old = table[table["model"] == "lightgbm"].drop(columns="is_best")
    assert rows.head(2).drop(columns="is_best").equals(old)
    finished = again[again["state"].isin(["complete", "pruned"])]
    assert not finished.duplicated(["model", "parameters"]).any()

    at_once = tuning.run(training, cutoffs, "data", budget(tiny, trials=4), kept)
    assert len(at_once) == len(again)


def test_other_data_begin_another_study_and_the_old_trials_stay(training, cutoffs, tiny, tmp_path):
    first = tuning.run(training, cutoffs, "data", budget(tiny, trials=1), tmp_path)
    second = tuning.run(training, cutoffs, "other data", budget(tiny, trials=1), tmp_path)

    assert len(second) == 2 * len(first)
    assert set(second.loc[~second["is_latest"], "study"]) == set(first["study"])


def test_other_libraries_begin_another_study_too(training, cutoffs, tiny, tmp_path, monkeypatch):
    first = tuning.run(training, cutoffs, "data", budget(tiny, trials=1), tmp_path)
    monkeypatch.setattr(backtest, "library_versions", lambda: {"lightgbm": "another one"})
    second = tuning.run(training, cutoffs, "data", budget(tiny, trials=1), tmp_path)

    assert len(second) == 2 * len(first)


def test_a_budget_of_minutes_ends_the_search(training, cutoffs, tiny, tmp_path):
    table = tuning.run(
        training, cutoffs, "data", budget(tiny, trials=1_000, minutes=1e-6), tmp_path
    )

    assert len(table) == 0


def test_a_trial_that_is_worse_than_most_is_pruned_after_a_fold(
    training, cutoffs, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(tuning, "UNPRUNED_TRIALS", 1)

    table = tuning.run(training, cutoffs, "data", budget(tiny, trials=5), tmp_path)

    pruned = table[table["state"] == "pruned"]
    assert len(pruned) > 0
    assert {len(json.loads(text)) for text in pruned["fold_values"]} == {1}
    assert not pruned["is_best"].any()
