"""From images to decisions with Keras: a small network, our loss, our calibration, our policy."""

import numpy as np
import pytest

pytest.importorskip("keras.layers")
pytest.importorskip("sklearn.datasets")

import keras
from sklearn.datasets import load_digits

import softmaxlib
import softmaxlib.keras as ours
from softmaxlib.calibration import Auto
from softmaxlib.decisions import SelectiveRisk

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def trained_logits(seed=0):
    """Logits and labels of images that a network trained on 400 others has not seen."""
    X, label = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(label))
    X, label = (X[order] / 16).astype(np.float32), label[order]
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [keras.layers.Input((64,)), keras.layers.Dense(256, activation="relu"), keras.layers.Dense(10)]
    )
    network.compile(optimizer=keras.optimizers.Adam(0.01), loss=ours.CrossEntropy())
    network.fit(X[:400], label[:400], epochs=60, batch_size=400, shuffle=False, verbose=0)
    return network.predict(X[400:], batch_size=2000, verbose=0), label[400:]


def test_digits_trained_calibrated_and_decided_beat_the_raw_network():
    logits, label = trained_logits()
    held_out, new = slice(0, 700), slice(700, None)
    policy = softmaxlib.Policy(Auto(), SelectiveRisk(0.05, 0.9)).fit(logits[held_out], label[held_out])
    raw = softmaxlib.cross_entropy(logits[new], label[new])
    calibrated = softmaxlib.cross_entropy(policy.transform(logits[new]), label[new])
    assert (logits[new].argmax(1) == label[new]).mean() > 0.9
    assert calibrated < 0.97 * raw
    decision = policy.decide(logits[new])
    kept = ~decision.abstained
    assert kept.mean() > 0.5
    assert (decision.action[kept] == label[new][kept]).mean() >= 0.95
