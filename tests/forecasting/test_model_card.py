"""A card tells what a version is and is worth, is recorded with it, and changes nothing else."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.bundle import compose, fit_member
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS, MODELS
from sales_assets.forecasting.features import (
    last_sales_day,
)
from sales_assets.forecasting.manifest import Draft
from sales_assets.forecasting.model_card import (
    CARD,
    LIMITS,
    MODEL_LIMITS,
    WORST_STORES,
    Facts,
    card,
    champions_own,
    find_card,
)
from sales_assets.forecasting.model_store import ModelStore, library_versions
from sales_assets.forecasting.promotion import fit_again
from sales_assets.settings import BOUNDS
from tests.conftest import sales
from tests.promoting import promoted

SCORES = {"rmspe": 0.15, "wape": 0.1, "coverage_80": 0.81, "days": 120.0}
DRAFT = Draft(
    cutoff=date(2026, 3, 1),
    fingerprint="ab" * 32,
    data="da7a",
    parameters={"trees": 700, "learning_rate": 0.05},
    features=["weekday", "anchor"],
    scores=SCORES,
)


def a_backtest(models=("baseline", "lightgbm"), stores=12, error=0.1):
    """Forecasts of two windows that are the further off, the higher the store's number."""
    days = pd.MultiIndex.from_product(
        [models, pd.to_datetime(["2026-01-01", "2026-02-01"]), range(1, stores + 1), range(1, 6)],
        names=["model", "cutoff", "store_id", "h"],
    ).to_frame(index=False)
    days["date"] = days["cutoff"] + pd.to_timedelta(days["h"], "D")
    off = error * days["store_id"] / stores * np.where(days["model"] == "baseline", 2, 1)
    off *= np.where(days["cutoff"] == days["cutoff"].min(), 1, 2)
    days["sales"] = 1_000.0
    days["forecast"] = 1_000 * (1 + off)
    # Bounds that hold the sales on the first two of five days, or on the first four.
    for bound in BOUNDS:
        is_held = days["h"] <= (2 if bound.endswith("80") else 4)
        days[bound] = np.where(is_held, 0.0 if bound.startswith("lo") else 9e9, days["forecast"])
    return days


def a_card(**changes):
    facts = Facts("What it is.", {"stores": 12}, a_backtest())
    return card("lightgbm", DRAFT, replace(facts, **changes))


def section(text, title):
    return text.split(f"## {title}\n\n")[1].split("\n\n##")[0]


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def a_store(root):
    """Return a store whose clock goes on by a minute each time someone looks at it."""
    start = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)
    minutes = (start + timedelta(minutes=minute) for minute in range(1_000))
    return ModelStore(root, now=lambda: next(minutes))


@pytest.fixture(scope="module")
def cutoff(con):
    return last_sales_day(con)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, training, cutoff, settings, backtest):
    store = a_store(tmp_path_factory.mktemp("models"))
    members = {
        name: fit_member(store, name, training, cutoff, "da7a", settings, SCORES, backtest)[0]
        for name in MEMBERS
    }
    return store, {**members, ENSEMBLE: compose(store, members, backtest, SCORES)}


@pytest.mark.parametrize("name", MODELS)
def test_every_version_has_a_card_that_its_manifest_records(fitted, name):
    store, manifests = fitted
    assert CARD in manifests[name].files
    text = find_card(store, name, manifests[name].version)
    assert text is not None
    assert text.startswith(f"# {name}, cutoff {manifests[name].cutoff}\n")
    assert manifests[name].fingerprint in text
    for title in ("Data", "Parameters", "Scores", "Scores by window", "Worst stores"):
        assert section(text, title), title
    for limit in (*MODEL_LIMITS[name], *LIMITS):
        assert limit in section(text, "Known limits")
    for library, version in library_versions().items():
        assert f"{library} {version}" in section(text, "Libraries")


def test_a_changed_card_is_refused_like_any_other_file(tmp_path, training, cutoff, settings):
    store = a_store(tmp_path)
    manifest, _ = fit_member(store, "baseline", training, cutoff, "da7a", settings)
    path = store.root / "baseline" / manifest.version / CARD
    path.write_text(path.read_text().replace("median", "mean"))
    with pytest.raises(ModelStoreError, match=r"card\.md is missing or was changed"):
        store.verified("baseline", manifest.version)


def test_a_card_changes_neither_what_a_version_is_nor_whether_it_is_kept(
    fitted, tmp_path, training, cutoff, settings, backtest
):
    store, manifests = fitted
    other = a_store(tmp_path)
    again, _ = fit_member(other, "baseline", training, cutoff, "da7a", settings, SCORES, backtest)
    first = manifests["baseline"]
    assert again.fingerprint == first.fingerprint
    assert again.files == first.files
    worse = backtest.assign(forecast=backtest["forecast"] * 2)
    assert fit_member(store, "baseline", training, cutoff, "da7a", settings, {}, worse) == (
        first,
        False,
    )


def test_an_unjudged_version_says_so(tmp_path, training, cutoff, settings):
    store = a_store(tmp_path)
    manifest, _ = fit_member(store, "baseline", training, cutoff, "da7a", settings)
    text = find_card(store, "baseline", manifest.version)
    assert text is not None
    assert "not judged" in section(text, "Scores")
    assert "Worst stores" not in text


def test_the_data_of_a_card_are_those_that_were_learnt_from(fitted, training, cutoff, con):
    store, manifests = fitted
    told = section(find_card(store, "lightgbm", manifests["lightgbm"].version) or "", "Data")
    rows = int((training.rows["is_training"] & (training.rows["date"] <= str(cutoff))).sum())
    ((first_day,),) = con.execute("select min(date) from cleaned.sales").fetchall()
    assert f"rows learnt from: {rows:,}\n" in told
    assert "stores: 12\n" in told
    assert f"history: {first_day} to {cutoff}\n" in told
    assert "fingerprint of the data: `da7a`" in told


def test_windows_stand_beside_the_baseline_on_the_same_days():
    head, _, *rows = cells(section(a_card(), "Scores by window"))
    assert head == [
        "cutoff", "days", "RMSPE", "baseline's", "lower by", "coverage 80 %", "coverage 95 %",
    ]  # fmt: skip
    relative = np.sqrt(np.mean([(store / 12) ** 2 for store in range(1, 13)]))
    assert rows == [
        ["2026-01-01", "60", f"{0.1 * relative:.4f}", f"{0.2 * relative:.4f}", "50.0%",
         "40.0%", "80.0%"],
        ["2026-02-01", "60", f"{0.2 * relative:.4f}", f"{0.4 * relative:.4f}", "50.0%",
         "40.0%", "80.0%"],
    ]  # fmt: skip


def test_the_worst_stores_are_the_worst_and_come_first():
    head, _, *rows = cells(section(a_card(), "Worst stores"))
    assert head == ["store", "days", "RMSPE", "coverage 80 %", "coverage 95 %"]
    assert [row[0] for row in rows] == [str(store) for store in range(12, 12 - WORST_STORES, -1)]
    # Two windows, off by 0.1 and by 0.2.
    assert rows[0][1:] == ["10", f"{np.sqrt((0.1**2 + 0.2**2) / 2):.4f}", "40.0%", "80.0%"]


def test_the_baseline_stands_beside_a_model_over_all_windows():
    _, _, own, baseline, *rest = cells(section(a_card(), "Scores").split("\n\n")[0])
    relative = np.sqrt(np.mean([(store / 12) ** 2 for store in range(1, 13)]))
    rmspe = relative * np.sqrt((0.2**2 + 0.4**2) / 2)
    assert own[0] == "this version"
    assert baseline == ["baseline", f"{rmspe:.4f}", f"{0.3 * 13 / 24:.4f}", "0.4000"]
    assert not rest
    alone = card("baseline", DRAFT, Facts("What it is.", {}, a_backtest()))
    assert "| baseline |" not in section(alone, "Scores")


def test_what_goes_on_tells_the_backtest_of_what_it_continues(
    fitted, tmp_path, training, cutoff, settings
):
    store = a_store(shutil.copytree(fitted[0].root, tmp_path / "models"))
    first = fitted[1][ENSEMBLE]
    again = fit_again(store, first, training, cutoff, "new", settings)
    # What goes on once more still tells of the first.
    once_more = fit_again(store, again, training, cutoff, "newer", settings)

    for ensemble in (again, once_more):
        versions = {ENSEMBLE: ensemble.version, "lightgbm": ensemble.members["lightgbm"]["version"]}
        for name, version in versions.items():
            continued = fitted[1][name]
            text = find_card(store, name, version)
            before = find_card(store, name, continued.version)
            assert "stores: 12\n" in section(text, "Data")
            for title in ("Scores by window", "Worst stores"):
                whose, told = section(text, title).split("\n\n", 1)
                assert whose == f"Of the version that this one continues, `{continued.version}`."
                assert told == section(before, title)


def test_a_lost_card_of_a_member_does_not_keep_the_champion_from_going_on(
    fitted, tmp_path, training, cutoff, settings
):
    store = a_store(shutil.copytree(fitted[0].root, tmp_path / "models"))
    (store.root / "lightgbm" / fitted[1]["lightgbm"].version / CARD).unlink()

    again = fit_again(store, fitted[1][ENSEMBLE], training, cutoff, "new", settings)

    text = find_card(store, "lightgbm", again.members["lightgbm"]["version"])
    assert "Worst stores" not in text
    assert section(text, "Known limits")


def test_a_model_without_a_baseline_to_compare_with_is_told_alone():
    _, _, *rows = cells(section(a_card(backtest=a_backtest(("lightgbm",))), "Scores by window"))
    assert [row[3:5] for row in rows] == [["", ""], ["", ""]]


def test_the_champion_stands_beside_a_new_version(fitted):
    store, manifests = fitted
    assert champions_own(store, "lightgbm") is None
    assert "champion" not in a_card()
    champion = replace(manifests["lightgbm"], scores={"rmspe": 0.25, "wape": 0.3})
    told = section(a_card(champion=champion), "Scores")
    head, _, own, _, theirs = cells(told.split("\n\n")[0])
    assert head == ["", "rmspe", "wape", "coverage_80"]
    assert own == ["this version", "0.1500", "0.1000", "0.8100"]
    assert theirs == ["champion", "0.2500", "0.3000", ""]
    assert champion.version in told


def test_the_champion_of_a_member_is_the_one_in_the_champions_ensemble(
    tmp_path, training, cutoff, settings, backtest
):
    store = a_store(tmp_path)
    members = {
        name: fit_member(store, name, training, cutoff, "da7a", settings, SCORES, backtest)[0]
        for name in ("baseline", "lightgbm")
    }
    judged = backtest[backtest["model"].isin([*members, ENSEMBLE])]
    ensemble = compose(store, members, judged, SCORES)
    promoted(store, ensemble.version, "a test")
    assert champions_own(store, "baseline") == members["baseline"]
    assert champions_own(store, "statistical") is None
    assert champions_own(store, ENSEMBLE) == ensemble
    newer, is_new = fit_member(
        store, "baseline", training, cutoff, "new", settings, SCORES, backtest
    )
    assert is_new
    text = find_card(store, "baseline", newer.version)
    assert members["baseline"].version in section(text or "", "Scores")


def test_a_card_tells_the_same_of_the_same():
    assert a_card() == a_card()
    assert a_card() != a_card(backtest=a_backtest(error=0.2))


def test_an_ensembles_card_names_its_members_and_weights(fitted):
    store, manifests = fitted
    text = find_card(store, ENSEMBLE, manifests[ENSEMBLE].version) or ""
    for name in MEMBERS:
        assert f"- {name}: `{manifests[name].version}`" in section(text, "Members")
        share = manifests[ENSEMBLE].parameters["weights"][name]
        assert f"{name} {share:.4g}" in section(text, "Parameters")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_limits_of_its_own(name):
    assert MODEL_LIMITS[name]


def test_a_version_from_before_there_were_cards_has_none(tmp_path):
    store = a_store(tmp_path)
    manifest = store.save("baseline", DRAFT, lambda directory: None)
    assert find_card(store, "baseline", manifest.version) is None
    with pytest.raises(ModelStoreError, match="no version"):
        find_card(store, "baseline", "20200101T000000Z-00000000")


def test_the_command_prints_the_champions_card(home):
    out = sales("models", "show", "--card", "--home", home).stdout
    version = json.loads(sales("models", "show", "--home", home).stdout)["version"]
    assert out.startswith("# ensemble, cutoff ")
    assert out == (home / "models" / ENSEMBLE / version / CARD).read_text()
