"""From images to decisions with Keras: a small network, our loss, our calibration, our policy."""

import pytest

pytest.importorskip("keras.layers")
pytest.importorskip("sklearn.datasets")

import keras
from digits_journey import check_calibrated_and_decided_beat_the_raw_network, shuffled_digits

import softmaxlib.keras as ours

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def trained_logits(seed=0):
    """Logits and labels of images that a network trained on 400 others has not seen."""
    X, label = shuffled_digits(seed)
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [keras.layers.Input((64,)), keras.layers.Dense(256, activation="relu"), keras.layers.Dense(10)]
    )
    network.compile(optimizer=keras.optimizers.Adam(0.01), loss=ours.CrossEntropy())
    network.fit(X[:400], label[:400], epochs=60, batch_size=400, shuffle=False, verbose=0)
    return network.predict(X[400:], batch_size=2000, verbose=0), label[400:]


def test_digits_trained_calibrated_and_decided_beat_the_raw_network():
    check_calibrated_and_decided_beat_the_raw_network(*trained_logits())
