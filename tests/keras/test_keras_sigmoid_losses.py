"""The binary cross-entropy as a loss of Keras: Keras's own, its options, a mask, saving."""

import numpy as np
import pytest

pytest.importorskip("keras.layers")

import keras
from keras import ops

import softmaxlib
import softmaxlib.keras as ours
from softmaxlib.errors import InvalidInputError

rng = np.random.default_rng(0)
X = (2 * rng.normal(size=(6, 4))).astype(np.float32)
Y = rng.integers(0, 2, (6, 4))
POSITIVE = [0.5, 1.0, 3.0, 20.0]
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def test_it_is_keras_own_and_the_plain_function():
    weight = rng.random(6)
    for gamma, kind in ((0.0, "BinaryCrossentropy"), (2.0, "BinaryFocalCrossentropy")):
        more = {"gamma": gamma} if gamma else {}
        theirs = getattr(keras.losses, kind)(from_logits=True, **more)(Y, X, sample_weight=weight)
        found = ours.SigmoidCrossEntropy(focal_gamma=gamma)(Y, X, sample_weight=weight)
        assert float(found) == pytest.approx(float(theirs), rel=1e-5)
    options = {"pos_weight": POSITIVE, "label_smoothing": 0.1, "focal_gamma": 1.5}
    found = ours.SigmoidCrossEntropy(**options)(Y, X)
    assert float(found) == pytest.approx(softmaxlib.sigmoid_cross_entropy(X, Y, **options), rel=3e-6)
    one = ours.SigmoidCrossEntropy()(Y[:, 0], X[:, :1])  # a model of one output, targets without its axis
    assert float(one) == pytest.approx(softmaxlib.sigmoid_cross_entropy(X[:, 0], Y[:, 0]), rel=3e-6)


def test_a_mask_that_keras_carries_leaves_rows_out():
    words = ops.convert_to_tensor(np.array([[1, 2, 0], [3, 0, 0]]))
    states = keras.layers.Embedding(5, 2, mask_zero=True)(words)
    target = rng.integers(0, 2, (2, 3, 2))
    found = ours.SigmoidCrossEntropy()(target, states)
    kept = np.array([[True, True, False], [True, False, False]])
    logits = ops.convert_to_numpy(states)
    expected = softmaxlib.sigmoid_cross_entropy(logits[kept], target[kept])
    assert ops.convert_to_numpy(found) == pytest.approx(expected, rel=3e-6)


def test_a_model_learns_with_it_and_it_is_saved():
    keras.utils.set_random_seed(0)
    features = rng.normal(size=(200, 3)).astype(np.float32)
    labels = (features[:, :2] > 0).astype(np.float32)
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile(loss=ours.SigmoidCrossEntropy(pos_weight=2.0), optimizer=keras.optimizers.Adam(0.1))
    history = model.fit(features, labels, epochs=4, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    again = ours.SigmoidCrossEntropy.from_config(ours.SigmoidCrossEntropy(pos_weight=POSITIVE).get_config())
    expected = softmaxlib.sigmoid_cross_entropy(X, Y, pos_weight=POSITIVE)
    assert float(again(Y, X)) == pytest.approx(expected, rel=3e-6)


def test_what_is_refused():
    with pytest.raises(
        InvalidInputError, match=r"target must have the shape of logits, \(6, 4\), got \(6, 3\)"
    ):
        ours.SigmoidCrossEntropy()(Y[:, :3], X)
    with pytest.raises(InvalidInputError, match=r"pos_weight must be finite and not negative, got -1"):
        ours.SigmoidCrossEntropy(pos_weight=[1.0, -1.0])
    with pytest.raises(InvalidInputError, match="focal_gamma must be finite and not negative, got -1"):
        ours.SigmoidCrossEntropy(focal_gamma=-1)
