"""The LSTM: how it is trained, averaged, asked and saved. `test_members.py` asks what all share."""

import json
import logging
import os
import re
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets.forecasting import lstm
from sales_assets.forecasting.features import backtest_cutoffs, last_sales_day
from sales_assets.forecasting.frames import LABEL, Frames, anchors
from sales_assets.forecasting.lstm import LSTM, tensorflow
from sales_assets.forecasting.windows import UNKNOWN_STORE, sliding_windows

EPOCH = re.compile(
    r"lstm, seed (\d+): epoch (\d+) of (\d+), loss [\d.]+, held back ([\d.]+), \d+ s"
)
LAST_EPOCH = re.compile(r"lstm, seed (\d+): last epochs, (\d+) of (\d+), loss [\d.]+, \d+ s")


@pytest.fixture(scope="module")
def cutoff(con, settings):
    return backtest_cutoffs(last_sales_day(con), settings)[-1]


@pytest.fixture(scope="module")
def known(training, cutoff):
    return training.known_at(cutoff)


@pytest.fixture(scope="module")
def asked(training, cutoff):
    return training.asked_at(cutoff)


def chosen(settings, seed=None, **changes):
    """The small settings, one thread, with other ones of the LSTM."""
    seed = settings.seed if seed is None else seed
    parameters = settings.lstm.model_copy(update=changes)
    return settings.model_copy(update={"threads": 1, "seed": seed, "lstm": parameters})


@pytest.fixture(scope="module")
def two(settings, known, cutoff):
    """Networks of two seeds."""
    return LSTM(chosen(settings, seeds=2)).fit(known, cutoff)


@pytest.fixture(scope="module")
def one(settings, known, cutoff):
    """The first of them, trained alone."""
    return LSTM(chosen(settings)).fit(known, cutoff)


def fit_and_read(caplog, known, cutoff, settings):
    """Fit, and return what was logged of epochs that are judged, and of the last ones."""
    with caplog.at_level(logging.INFO, logger="sales_assets.models"):
        LSTM(settings).fit(known, cutoff)
    told = [record.getMessage() for record in caplog.records]
    judged = [match.groups() for match in map(EPOCH.fullmatch, told) if match]
    last = [match.groups() for match in map(LAST_EPOCH.fullmatch, told) if match]
    assert len(judged) + len(last) == len(told)
    return judged, last


def with_ratio(known, ratio):
    """The same rows, whose log sales stand off their anchors as the function of the date says."""
    rows = known.rows
    label = anchors(rows) + ratio(rows["date"].to_numpy())
    return Frames(rows.assign(**{LABEL: label.astype("float32")}), known.history)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(one, two):
    (alone,), (first, second) = one.networks, two.networks

    for weights, again in zip(alone.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, again)
    for weights, other in zip(first.get_weights(), second.get_weights(), strict=True):
        assert (weights != other).any()


def windows_of(frames, member):
    reference = member.reference.at(frames.rows)
    past_days, horizon = member.parameters.past_days, member.settings.horizon
    return sliding_windows(frames, member.inputs, reference, past_days, horizon)


def outputs(network, windows):
    return np.asarray(network([windows.past, windows.future, windows.store], training=False))


def test_networks_of_several_seeds_are_averaged(two, one, asked):
    windows = windows_of(asked, two)
    first, second = (outputs(network, windows) for network in two.networks)
    mean = (first + second) / 2

    assert np.abs(first - second).max() > 1e-4
    served = two.served.serve(windows.past, windows.future, windows.store).numpy()
    np.testing.assert_allclose(served, mean, atol=1e-6)
    expected = two.reference.at(asked.rows) + mean[windows.window, windows.step]
    np.testing.assert_allclose(two.predict(asked), expected, atol=1e-6)
    assert (one.predict(asked) != two.predict(asked)).any()


def test_training_stops_when_the_held_back_weeks_get_no_better(caplog, known, cutoff, settings):
    """Sales stood above their anchors until six weeks ago, and below since: the more is learnt of
    it, the worse.
    """
    turn = np.datetime64(cutoff - timedelta(days=settings.horizon))
    turned = with_ratio(known, lambda date: np.where(date <= turn, 1.0, -1.0))
    judged, last = fit_and_read(
        caplog, turned, cutoff, chosen(settings, epochs=9, patience=2, last_epochs=2)
    )

    assert [epoch for _, epoch, _ in (line[:3] for line in judged)] == ["1", "2", "3"]
    errors = [float(error) for *_, error in judged]
    assert min(errors) == errors[0] > 1
    assert [line[1:] for line in last] == [("1", "2"), ("2", "2")]


def test_training_goes_on_while_the_held_back_weeks_get_better(caplog, known, cutoff, settings):
    judged, _ = fit_and_read(
        caplog,
        with_ratio(known, lambda date: np.full(len(date), 0.5)),
        cutoff,
        chosen(settings, epochs=4, patience=1),
    )

    assert [line[:3] for line in judged] == [
        (str(settings.seed), str(epoch), "4") for epoch in range(1, 5)
    ]
    errors = [float(error) for *_, error in judged]
    # At first a network says the anchor, which is 0.5 off.
    assert [0.5, *errors] == sorted([0.5, *errors], reverse=True)


def test_too_short_a_history_is_learnt_without_holding_back(caplog, known, cutoff, settings):
    first = pd.Timestamp(cutoff - timedelta(days=2 * settings.horizon))
    short = Frames(known.rows[known.rows["cutoff"] > first], known.history)
    judged, last = fit_and_read(caplog, short, cutoff, chosen(settings, epochs=2, last_epochs=1))

    assert not judged
    # As many epochs as otherwise before the last ones.
    assert [line[1:] for line in last] == [("1", "2"), ("2", "2")]


def test_no_more_windows_are_drawn_than_are_asked_for(known):
    rows = known.rows
    drawn = lstm._sampled(rows, 100, seed=1)
    windows = drawn.groupby(["cutoff", "store_id"]).size()

    assert len(windows) == 100
    # Windows are drawn whole, from all stores and times alike.
    whole = rows.groupby(["cutoff", "store_id"]).size()
    pd.testing.assert_series_equal(windows, whole[windows.index])
    assert drawn["store_id"].nunique() == rows["store_id"].nunique()
    assert drawn["cutoff"].min() < rows["cutoff"].median() < drawn["cutoff"].max()
    pd.testing.assert_frame_equal(lstm._sampled(rows, 100, seed=1), drawn)
    assert not lstm._sampled(rows, 100, seed=2).index.equals(drawn.index)
    assert lstm._sampled(rows, len(whole), seed=1) is rows


def test_only_stores_that_are_learnt_have_a_place_of_their_own(settings, known, cutoff):
    """Of five windows, at least seven of twelve stores have none."""
    fitted = LSTM(chosen(settings, windows=5, epochs=1, last_epochs=1)).fit(known, cutoff)

    drawn = lstm._sampled(known.rows[known.rows["anchor"].notna()], 5, settings.seed)
    assert fitted.inputs.stores == tuple(sorted(drawn["store_id"].unique()))


def test_recent_windows_count_more_and_a_day_counts_one_on_average(known, cutoff, two, settings):
    windows = windows_of(known, two)
    short = settings.lstm.model_copy(update={"half_life_days": 28})
    weights = lstm._weights(windows, np.datetime64(cutoff), short)

    is_known = windows.weight > 0
    assert (weights[~is_known] == 0).all()
    assert weights[is_known].mean() == pytest.approx(1)
    by_cutoff = {
        cutoff: weights[windows.cutoff == cutoff].max() for cutoff in np.unique(windows.cutoff)
    }
    newest = max(by_cutoff)
    month_before = newest - np.timedelta64(28, "D")
    assert by_cutoff[month_before] == pytest.approx(by_cutoff[newest] / 2)


def test_training_counts_each_day_as_its_window_counts(known, cutoff, settings, monkeypatch):
    given = []

    def step(past, future, store, target, weight):
        given.append(np.hstack([target, weight]))
        return 0.0

    monkeypatch.setattr(lstm, "_step", lambda *of: step)
    few = chosen(settings, windows=20, batch=1, epochs=1)
    fitted = LSTM(few).fit(known, cutoff)

    drawn = lstm._sampled(known.rows[known.rows["anchor"].notna()], 20, settings.seed)
    windows = windows_of(Frames(drawn, known.history), fitted)
    weights = lstm._weights(windows, np.datetime64(cutoff), few.lstm)
    expected = np.unique(np.hstack([windows.target, weights]), axis=0)
    assert len(expected) == 20
    np.testing.assert_array_equal(np.unique(np.vstack(given), axis=0), expected)


def test_what_is_learnt_from_is_the_mean_square_by_weight(one, known, settings):
    """At first, when a network says the reference, its error is the target."""
    tf = tensorflow(1)
    windows = windows_of(known, one)
    weights = windows.weight * np.arange(1, len(windows.store) + 1, dtype=np.float32)[:, None]
    compiled = lstm._compiled(tf, lstm._network(tf, settings.lstm, one.inputs))
    training = lstm._Training(tf, compiled, windows, weights, settings.lstm, seed=1)
    some = np.arange(0, len(windows.store), 40)

    tf.config.run_functions_eagerly(True)
    try:
        loss = training.step(*lstm._batch(windows, some), *training._answers(some))
    finally:
        tf.config.run_functions_eagerly(False)

    target, weight = windows.target[some], weights[some]
    assert float(loss) == pytest.approx((weight * target**2).sum() / weight.sum(), rel=1e-5)
    assert float(loss) != pytest.approx((target**2).mean(), rel=1e-2)


def test_an_untrained_network_says_the_reference(one, asked, settings):
    network = lstm._network(tensorflow(1), settings.lstm, one.inputs)
    windows = windows_of(asked, one)

    assert not outputs(network, windows).any()


def test_a_store_that_was_not_learnt_is_forecast_from_its_own_history(two, asked):
    """As a new store is: it has a past and an anchor, and shares the place of the unknown."""
    number = 999
    renamed = Frames(
        asked.rows.assign(store_id=asked.rows["store_id"].replace(3, number)),
        asked.history.assign(store_id=asked.history["store_id"].replace(3, number)),
    )
    assert two.inputs.place(np.array([number])) == UNKNOWN_STORE
    is_renamed = (asked.rows["store_id"] == 3).to_numpy()
    known_as, unknown = two.predict(asked), two.predict(renamed)

    assert np.isfinite(unknown).all()
    assert 0 < np.abs(unknown - known_as)[is_renamed].max() < 0.2
    np.testing.assert_allclose(unknown[~is_renamed], known_as[~is_renamed], atol=1e-6)


def test_the_place_of_unknown_stores_is_learnt(two, settings):
    """A hidden store now and then; otherwise it would stay what chance made it."""
    tf = tensorflow(1)
    tf.keras.utils.set_random_seed(settings.seed)
    untrained = lstm._network(tf, settings.lstm, two.inputs)
    before, after = (
        next(layer for layer in network.layers if "embedding" in layer.name).get_weights()[0]
        for network in (untrained, two.networks[0])
    )

    moved = np.abs(after - before).max(axis=1)
    assert before.shape == (1 + 12, settings.lstm.embedding)
    # Weight decay alone would take a ten-thousandth at most.
    assert (moved > 1e-4).all()


def test_a_store_without_any_history_is_forecast(two, asked):
    of_one = asked.rows["store_id"] == 3
    rows = asked.rows[of_one].assign(store_id=999)
    own = [name for name in two.inputs.mean if name.startswith(("profile", "level", "season"))]
    rows[own] = np.nan
    rows["anchor"] = np.nan

    forecast = two.predict(Frames(rows, asked.history[asked.history["store_id"] == 999]))

    assert np.isfinite(forecast).all()
    assert np.abs(forecast - two.reference.anchors(rows)).max() < 1


def test_the_saved_model_answers_in_a_process_that_knows_tensorflow_alone(two, asked, tmp_path):
    two.save(tmp_path)
    of_one = asked.rows["store_id"] == 5
    frames = Frames(asked.rows[of_one], asked.history[asked.history["store_id"] == 5])
    windows = windows_of(frames, two)
    np.savez(
        tmp_path / "question.npz", past=windows.past, future=windows.future, store=windows.store
    )
    code = (
        "import json, sys, numpy as np, tensorflow as tf\n"
        "question = np.load('question.npz')\n"
        "serve = tf.saved_model.load('saved_model').signatures['serve']\n"
        "(answer,) = serve(**{name: tf.constant(question[name]) for name in question}).values()\n"
        "print(json.dumps({'answer': answer.numpy().tolist(),"
        " 'imported': sorted(name for name in sys.modules if name.startswith('sales_assets'))}))\n"
    )
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=quiet, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["imported"] == []
    assert np.shape(told["answer"]) == (1, 42)
    expected = two.predict(frames) - two.reference.at(frames.rows)
    np.testing.assert_allclose(
        np.array(told["answer"])[windows.window, windows.step], expected, atol=1e-6
    )


def test_what_is_compiled_for_one_store_says_the_same(two, asked, tmp_path, monkeypatch):
    two.save(tmp_path)
    loaded = LSTM.load(tmp_path, two.settings)
    stores = asked.rows["store_id"].unique()
    few = asked.rows["store_id"].isin(stores[: lstm.FEW_WINDOWS])
    questions = [
        asked,
        Frames(asked.rows[few], asked.history),
        Frames(asked.rows[asked.rows["store_id"] == stores[0]], asked.history),
    ]
    expected = [loaded.predict(question) for question in questions]

    loaded.warm_up()
    general, asked_of_it = loaded.served.serve, []

    def counted(past, *others):
        asked_of_it.append(len(past))
        return general(past, *others)

    monkeypatch.setattr(loaded.served, "serve", counted)
    found = [loaded.predict(question) for question in questions]
    assert asked_of_it == [len(stores)], "only many stores are asked for together"
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_saving_leaves_the_root_logger_as_it_was(two, tmp_path):
    """TensorFlow adds a handler to a root logger that has none, and each line comes twice."""
    handlers = logging.root.handlers[:]
    logging.root.handlers.clear()
    try:
        two.save(tmp_path)
        assert logging.root.handlers == []
    finally:
        logging.root.handlers[:] = handlers


def test_scales_and_the_weights_of_each_network_are_saved_beside_it(two, tmp_path, settings):
    two.save(tmp_path)
    loaded = LSTM.load(tmp_path, chosen(settings, seeds=2))

    assert loaded.inputs == two.inputs
    assert {path.name for path in tmp_path.iterdir()} == {
        "inputs.json", "network_000.weights.h5", "network_001.weights.h5", "saved_model",
        "typical_anchor.json", "calendar.parquet", "effects.parquet", "season.parquet",
        "gaps.parquet",
    }  # fmt: skip
    network = lstm._network(tensorflow(1), settings.lstm, two.inputs)
    network.load_weights(tmp_path / "network_001.weights.h5")
    for weights, saved in zip(network.get_weights(), two.networks[1].get_weights(), strict=True):
        np.testing.assert_array_equal(weights, saved)
