"""A recurrent network for all stores at once; the only module that imports TensorFlow."""

import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting import effects as effects_module
from sales_assets.forecasting import lookup as lookup_module
from sales_assets.forecasting import reference as reference_module
from sales_assets.forecasting import windows as windows_module
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.reference import Reference
from sales_assets.forecasting.windows import (
    PAST_INPUTS,
    UNKNOWN_STORE,
    Inputs,
    Windows,
    recent,
    sliding_windows,
)
from sales_assets.settings import LSTMSettings, Settings

log = logging.getLogger("sales_assets.models")

INPUTS = "inputs.json"
SAVED_MODEL = "saved_model"
# So often a window's store is hidden, so that the network learns what to make of a new one.
HIDDEN_STORES = 0.05
# Windows that are forecast at a time.
CHUNK = 512
# So few windows are sooner forecast one by one, by what is compiled for one.
FEW_WINDOWS = 4
# The judging window's cutoffs: as many days as the weekly cutoffs lie apart.
WEEK = 7
LAST_RATE = 0.25
FIRST_RATE = 0.1
LOWEST_RATE = 0.02
WEIGHT_DECAY = 1e-4

# What TensorFlow says of itself at every start without a graphics card, at any log level.
GREETING = (b"before absl::InitializeLog() is called", b"Could not find cuda drivers")

# Inputs of the network, as arrays or tensors: past, future, store.
Batch = tuple[Any, Any, Any]


def tensorflow(threads: int) -> Any:
    """Import TensorFlow, quiet, on the CPU, with results that repeat.

    The first call of a process decides on the threads, since they cannot be changed later.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    # Its kernels are chosen by the processor, and each rounds in its own way.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    with _without_greeting():
        import tensorflow as tf

    if not tf.config.threading.get_intra_op_parallelism_threads():
        # Whatever CUDA_VISIBLE_DEVICES says: a card would give other bits.
        tf.config.set_visible_devices([], "GPU")
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.experimental.enable_op_determinism()
    return tf


@contextmanager
def _without_greeting() -> Iterator[None]:
    """Keep the greeting off a terminal; whatever else is written there comes afterwards.

    Libraries write to the descriptor, past `sys.stderr`. Where that is a file or a pipe it is left
    alone, so that a log holds even the last words of a process that is killed.
    """
    if not os.isatty(2):
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not any(words in line for words in GREETING):
                    os.write(2, line)


class LSTM(Member):
    """An encoder-decoder of LSTM layers on windows of all stores, averaged over seeds.

    The encoder reads the last weeks of a store, the decoder the plan of the coming days in both
    directions, beside an embedding of the store; it gives the log ratio to the reference, which is
    made of anchor and calendar, of all days at once. Closed days have no part in the loss.

    Sources: Hochreiter and Schmidhuber (1997), Long short-term memory; Sutskever, Vinyals and Le
    (2014), Sequence to sequence learning with neural networks; Guo and Berkhahn (2016), Entity
    embeddings of categorical variables.
    """

    name: ClassVar[str] = "lstm"
    parts: ClassVar[tuple[ModuleType, ...]] = (
        windows_module,
        effects_module,
        reference_module,
        lookup_module,
    )

    def __init__(
        self,
        settings: Settings,
        inputs: Inputs | None = None,
        networks: list[Any] | None = None,
        served: Any = None,
        reference: Reference | None = None,
    ) -> None:
        super().__init__(settings)
        self.inputs = inputs
        self.reference = reference
        self.networks = networks or []
        self.served = served
        self._serve_one: Callable[..., Any] | None = None

    @property
    def parameters(self) -> LSTMSettings:
        """Size of the network and how it is trained."""
        return self.settings.lstm

    def fit(self, known: Frames, cutoff: date) -> Self:
        """Train on the windows of every learnable row with a known anchor.

        The last horizon is held back to choose the number of epochs, then learnt as well.
        """
        rows = known.rows[known.rows["anchor"].notna()]
        self.reference = Reference.fit(Frames(rows, known.history), cutoff)
        rows = _sampled(rows, self.parameters.windows, self.settings.seed)
        # A store of which no window is drawn would keep a place that was never learnt.
        self.inputs = Inputs.learn(rows)
        learnt = Frames(rows, known.history)
        windows = self._windows(learnt, self.reference.at(rows))
        seeds = range(self.settings.seed, self.settings.seed + self.parameters.seeds)
        trained = [self._trained(windows, cutoff, seed) for seed in seeds]
        self.networks = [one.network for one in trained]
        self.served = _mean(tensorflow(self.settings.threads), trained)
        return self

    def predict(self, asked: Frames) -> NDArray[np.float64]:
        """Add what the networks say to the reference."""
        assert self.reference is not None, "fit or load comes first"
        reference = self.reference.at(asked.rows)
        windows = self._windows(asked, reference)
        serve, chunk = self.served.serve, CHUNK
        if self._serve_one and len(windows.store) <= FEW_WINDOWS:
            serve, chunk = self._serve_one, 1
        outputs = np.concatenate(
            [
                serve(*_batch(windows, np.arange(start, end))).numpy()
                for start, end in _chunks(len(windows.store), chunk)
            ]
        )
        ratios = outputs[windows.window, windows.step].astype(np.float64)
        return reference + ratios

    @classmethod
    def history_read(cls, history: pd.DataFrame, settings: Settings) -> pd.DataFrame:
        """Return the last days of each store, and those that its level is taken over."""
        return recent(history, settings.lstm.past_days)

    def warm_up(self) -> None:
        """Compile the networks for a single store, which takes seconds and makes a fifth of it.

        Each other number of stores would have to be compiled anew.
        """
        assert self.inputs is not None, "fit or load comes first"
        tf = tensorflow(self.settings.threads)
        serve = tf.function(self.served.serve, jit_compile=True)
        past = np.zeros((1, self.parameters.past_days, PAST_INPUTS), dtype=np.float32)
        future = np.zeros((1, self.settings.horizon, self.inputs.width), dtype=np.float32)
        serve(past, future, np.zeros(1, dtype=np.int32))
        self._serve_one = serve

    def save(self, directory: Path) -> None:
        """Write scales, the reference, each network's weights, and all as a SavedModel."""
        assert self.inputs is not None, "fit or load comes first"
        assert self.reference is not None, "fit or load comes first"
        text = json.dumps(asdict(self.inputs), indent=1)
        (directory / INPUTS).write_text(text + "\n", encoding="utf-8")
        self.reference.save(directory)
        for number, network in enumerate(self.networks):
            network.save_weights(directory / f"network_{number:03d}.weights.h5")
        tf = tensorflow(self.settings.threads)
        handlers = logging.root.handlers[:]
        tf.saved_model.save(
            self.served, str(directory / SAVED_MODEL), signatures={"serve": self.served.serve}
        )
        # TensorFlow gives the root logger a handler here, which would print every line twice.
        logging.root.handlers[:] = handlers

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> Self:
        """Read the SavedModel; weights are for those who want to train on."""
        values = json.loads((directory / INPUTS).read_text(encoding="utf-8"))
        inputs = Inputs(**{**values, "stores": tuple(values["stores"])})
        tf = tensorflow(settings.threads)
        served = tf.saved_model.load(str(directory / SAVED_MODEL))
        return cls(settings, inputs, served=served, reference=Reference.load(directory))

    def _windows(self, frames: Frames, reference: NDArray[np.float64]) -> Windows:
        assert self.inputs is not None, "fit or load comes first"
        return sliding_windows(
            frames, self.inputs, reference, self.parameters.past_days, self.settings.horizon
        )

    def _trained(self, windows: Windows, cutoff: date, seed: int) -> Any:
        """Return a network trained on the windows, compiled."""
        assert self.inputs is not None, "fit comes first"
        chosen, horizon = self.parameters, np.timedelta64(self.settings.horizon, "D")
        last = np.datetime64(cutoff)
        tf = tensorflow(self.settings.threads)
        tf.keras.utils.set_random_seed(seed)
        compiled = _compiled(tf, _network(tf, chosen, self.inputs))
        training = _Training(tf, compiled, windows, _weights(windows, last, chosen), chosen, seed)

        ended = windows.cutoff + horizon <= last - horizon
        judged = ~ended & (windows.cutoff <= last - horizon)
        judged &= windows.cutoff > last - horizon - np.timedelta64(WEEK, "D")
        if ended.any() and judged.any():
            training.until_worse(np.flatnonzero(ended), np.flatnonzero(judged))
            epochs, rate = chosen.last_epochs, chosen.learning_rate * LAST_RATE
        else:
            # Too short a history to hold anything back.
            epochs, rate = chosen.epochs, chosen.learning_rate
        training.run(np.arange(len(windows.store)), epochs, rate)
        return compiled


class _Training:
    """One network's way through the windows."""

    def __init__(
        self,
        tf: Any,
        compiled: Any,
        windows: Windows,
        weights: NDArray[np.float32],
        chosen: LSTMSettings,
        seed: int,
    ) -> None:
        self.serve, self.windows, self.weights = compiled.serve, windows, weights
        self.chosen, self.seed = chosen, seed
        self.draw = np.random.default_rng(seed)
        self.optimizer = tf.keras.optimizers.AdamW(
            chosen.learning_rate, weight_decay=WEIGHT_DECAY, clipnorm=1.0
        )
        self.step = _step(tf, compiled.network, self.optimizer)

    def until_worse(self, learnt: NDArray[np.int64], judged: NDArray[np.int64]) -> None:
        """Train until the error on the judged windows has not fallen for some epochs.

        The last weights stay, not those of the best epoch: while the rate is high single epochs
        jump about, and six weeks are too few to choose between them.
        """
        best, waited = np.inf, 0
        for epoch, loss, seconds in self._epochs(
            learnt, self.chosen.epochs, self.chosen.learning_rate
        ):
            error = self._error(judged)
            log.info(
                "lstm, seed %s: epoch %s of %s, loss %.5f, held back %.4f, %.0f s",
                self.seed, epoch, self.chosen.epochs, loss, error, seconds,
            )  # fmt: skip
            best, waited = (error, 0) if error < best else (best, waited + 1)
            if waited == self.chosen.patience:
                break

    def run(self, learnt: NDArray[np.int64], epochs: int, rate: float) -> None:
        """Train for a number of epochs."""
        for epoch, loss, seconds in self._epochs(learnt, epochs, rate):
            log.info(
                "lstm, seed %s: last epochs, %s of %s, loss %.5f, %.0f s",
                self.seed, epoch, epochs, loss, seconds,
            )  # fmt: skip

    def _epochs(
        self, learnt: NDArray[np.int64], epochs: int, rate: float
    ) -> Iterator[tuple[int, float, float]]:
        """Train epoch after epoch; the rate rises for one and falls as a cosine."""
        size = min(self.chosen.batch, len(learnt))
        batches = len(learnt) // size
        for epoch in range(1, epochs + 1):
            started, losses = time.perf_counter(), []
            order = self.draw.permutation(learnt)[: batches * size].reshape(batches, size)
            for number, chunk in enumerate(order):
                done = (epoch - 1) * batches + number
                self.optimizer.learning_rate = rate * _share_of_rate(done, batches, epochs)
                losses.append(float(self.step(*self._hidden(chunk), *self._answers(chunk))))
            yield epoch, float(np.mean(losses)), time.perf_counter() - started

    def _hidden(self, chunk: NDArray[np.int64]) -> Batch:
        past, future, store = _batch(self.windows, chunk)
        hidden = self.draw.random(len(chunk)) < HIDDEN_STORES
        return past, future, np.where(hidden, UNKNOWN_STORE, store).astype(np.int32)

    def _answers(self, chunk: NDArray[np.int64]) -> tuple[Any, Any]:
        return self.windows.target[chunk], self.weights[chunk]

    def _error(self, judged: NDArray[np.int64]) -> float:
        """Return the mean absolute error of log sales over the judged windows."""
        outputs = np.concatenate(
            [
                self.serve(*_batch(self.windows, judged[start:end])).numpy()
                for start, end in _chunks(len(judged), CHUNK)
            ]
        )
        known = self.windows.weight[judged] > 0
        return float(np.mean(np.abs(outputs - self.windows.target[judged])[known]))


def _network(tf: Any, chosen: LSTMSettings, inputs: Inputs) -> Any:
    """Return the untrained network: past, future and store in, log ratios to the reference out."""
    layers = tf.keras.layers
    past = tf.keras.Input((None, PAST_INPUTS), name="past")
    future = tf.keras.Input((None, inputs.width), name="future")
    store = tf.keras.Input((), dtype="int32", name="store")

    _, *state = layers.LSTM(chosen.units, return_state=True)(past)
    embedding = layers.Embedding(len(inputs.stores) + 1, chosen.embedding)(store)
    # The store's embedding joins each day by way of a sum of two dense layers, which is the dense
    # layer of both side by side.
    day = layers.Dense(chosen.units)(future)
    of_store = layers.Dense(chosen.units, use_bias=False)(embedding)
    day = layers.ReLU()(layers.Add()([day, layers.Reshape((1, chosen.units))(of_store)]))
    day = layers.Dropout(chosen.dropout)(day)
    decoded = layers.Bidirectional(layers.LSTM(chosen.units, return_sequences=True))(
        day, initial_state=[*state, *state]
    )
    decoded = layers.Concatenate()([layers.Dropout(chosen.dropout)(decoded), day])
    hidden = layers.Dense(chosen.units // 2, activation="relu")(decoded)
    # Zeros at first: an untrained network says the reference.
    ratio = layers.Dense(1, kernel_initializer="zeros")(hidden)
    return tf.keras.Model([past, future, store], ratio[:, :, 0])


def _share_of_rate(done: int, batches: int, epochs: int) -> float:
    """Return the share of the highest rate after so many steps: up in an epoch, down as a cosine.

    Source: Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts.
    """
    if done < batches:
        return FIRST_RATE + (1 - FIRST_RATE) * done / batches
    way = (done - batches) / max(batches * (epochs - 1), 1)
    return LOWEST_RATE + (1 - LOWEST_RATE) * (1 + math.cos(math.pi * way)) / 2


def _step(tf: Any, network: Any, optimizer: Any) -> Callable[..., Any]:
    """Return the compiled function that learns one batch and returns its loss."""
    optimizer.build(network.trainable_variables)

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def step(past: Any, future: Any, store: Any, target: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            output = network([past, future, store], training=True)
            loss = tf.reduce_sum(weight * (target - output) ** 2) / tf.reduce_sum(weight)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    step_of_batch: Callable[..., Any] = step
    return step_of_batch


def _compiled(tf: Any, network: Any) -> Any:
    """Return a module that holds the network, and whose `serve` asks it, compiled."""
    module = tf.Module()
    module.network = network

    def serve(past: Any, future: Any, store: Any) -> Any:
        return network([past, future, store], training=False)

    signature = [tf.TensorSpec(part.shape, part.dtype, name=part.name) for part in network.inputs]
    module.serve = _function(tf, serve, signature)
    return module


def _mean(tf: Any, compiled: list[Any]) -> Any:
    """Return a module whose `serve` gives the mean of the compiled networks."""
    module = tf.Module()
    module.compiled = compiled

    def serve(past: Any, future: Any, store: Any) -> Any:
        return tf.add_n([one.serve(past, future, store) for one in compiled]) / len(compiled)

    module.serve = _function(tf, serve, compiled[0].serve.input_signature)
    return module


def _function(tf: Any, serve: Callable[..., Any], signature: Sequence[Any]) -> Any:
    """Compile a function once; at its first calls TensorFlow would warn of fit after fit."""
    function = tf.function(serve, input_signature=signature, autograph=False)
    function.get_concrete_function()
    return function


def _batch(windows: Windows, chunk: NDArray[np.int64]) -> Batch:
    return windows.past[chunk], windows.future[chunk], windows.store[chunk]


def _chunks(windows: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, windows, size):
        yield start, min(start + size, windows)


def _weights(windows: Windows, last: np.datetime64, chosen: LSTMSettings) -> NDArray[np.float32]:
    """Return what each day of the windows counts: recent windows more, on average 1."""
    age = (last - windows.cutoff) / np.timedelta64(chosen.half_life_days, "D")
    weights = windows.weight * (0.5**age)[:, None]
    mean = weights.sum() / windows.weight.sum()
    return (weights / mean).astype(np.float32)


def _sampled(rows: pd.DataFrame, windows: int, seed: int) -> pd.DataFrame:
    """Return the rows of at most so many windows, drawn with the seed."""
    window = rows.groupby(["cutoff", "store_id"]).ngroup().to_numpy()
    count = int(window.max()) + 1
    if count <= windows:
        return rows
    drawn = np.random.default_rng(seed).permutation(count)[:windows]
    return rows[np.isin(window, drawn)]
