"""The Keras layers, losses and activations, on the backend that KERAS_BACKEND names (torch by default)."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("keras.layers")

import keras
from keras import ops

import softmaxlib
import softmaxlib.keras as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

FUNCTIONS = ["softmax", "log_softmax", "logsumexp"]
LOGITS = (3 * np.random.default_rng(0).standard_normal((4, 5))).astype(np.float32)
MASK = np.array([[True, False, True, True, False]] * 3 + [[False] * 5])
# Keras itself still converts its tensors with the signatures of NumPy 1
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def numpy(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axis", [0, -1, (0, 1), None])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3)])
def test_empty_arrays_give_what_the_numpy_function_gives(name, axis, shape):
    empty = np.zeros(shape, np.float32)
    expected = getattr(softmaxlib, name)(empty, axis=axis)
    np.testing.assert_array_equal(numpy(getattr(ours, name)(empty, axis)), expected)


@pytest.mark.parametrize("wrong", [None, "x", [[1], [2, 3]], object(), 10**400])
@pytest.mark.parametrize(
    "call",
    [
        lambda wrong: ours.softmax(wrong),
        lambda wrong: ours.logsumexp(LOGITS, where="x" if wrong is None else wrong),
        lambda wrong: ours.log_softmax(LOGITS, temperature="x" if wrong is None else wrong),
        lambda wrong: ours.CrossEntropy(class_weight="x" if wrong is None else wrong),
        lambda wrong: ours.CrossEntropy()(wrong, LOGITS),
        lambda wrong: ours.SigmoidCrossEntropy(pos_weight="x" if wrong is None else wrong),
        lambda wrong: ours.SigmoidCrossEntropy()(wrong, LOGITS),
    ],
)
def test_what_is_no_array_of_numbers_is_named(call, wrong):
    with pytest.raises((InvalidInputError, UnsupportedTypeError)):
        call(wrong)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axis", [0, -1, (0, 1), None])
@pytest.mark.parametrize("where", [None, MASK])
def test_values_are_those_of_the_numpy_function(name, axis, where):
    result = getattr(ours, name)(LOGITS, axis, where=where)
    expected = getattr(softmaxlib, name)(LOGITS.astype(float), axis=axis, where=where)
    np.testing.assert_allclose(numpy(result), expected, rtol=2e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes_go_in_and_out(name):
    function = getattr(ours, name)
    for dtype in ("float16", "bfloat16", "float32"):
        assert keras.backend.standardize_dtype(function(ops.cast(LOGITS, dtype)).dtype) == dtype
    assert keras.backend.standardize_dtype(function(ops.array([1, 2])).dtype) == keras.config.floatx()
    with pytest.raises(UnsupportedTypeError, match="x must be real numbers, got dtype bool"):
        function(ops.array([True, False]))


def test_a_temperature_that_is_not_positive_is_refused_with_the_way_out():
    for call in (lambda: ours.softmax(LOGITS, temperature=0), lambda: ours.Softmax(temperature=0)):
        with pytest.raises(InvalidInputError, match=r"temperature must .* above 0, got 0.* argmax"):
            call()


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("axis", "shape"), [(-1, (4,)), (-1, (4, 1)), (0, (5,)), (0, (1, 5)), (-1, ()), ((0, 1), (1, 1))]
)
def test_a_temperature_for_each_row(name, axis, shape):
    temperature = np.random.default_rng(1).uniform(0.5, 2, size=shape).astype(np.float32)
    for where in (None, MASK):
        result = getattr(ours, name)(LOGITS, axis, temperature=ops.array(temperature), where=where)
        expected = getattr(softmaxlib, name)(
            LOGITS.astype(float), axis=axis, temperature=temperature.astype(float), where=where
        )
        np.testing.assert_allclose(numpy(result), expected, rtol=2e-6)


def test_temperatures_of_rows_are_checked():
    with pytest.raises(InvalidInputError, match=r"temperature must be finite and above 0, got -1.0 at 2;"):
        ours.softmax(LOGITS, temperature=np.array([1.0, 2.0, -1.0, 1.0]))
    with pytest.raises(InvalidInputError, match=r"one per row: of shape \(4,\) or broad.*got shape \(5,\)"):
        ours.log_softmax(LOGITS, temperature=np.ones(5))


def test_a_mask_of_another_shape_is_refused():
    for shape in ((3,), (2, 4, 5)):
        with pytest.raises(InvalidInputError, match=r"where must broadcast to the shape \(4, 5\), got shape"):
            ours.softmax(LOGITS, where=np.ones(shape, bool))


def test_keras_own_expectations_of_softmax():
    """The cases of Keras's own tests: values, an axis, a tuple of axes, and extreme logits."""
    batch = np.random.default_rng(1).random((2, 5, 3))
    for axis in (-1, 1, (1, 2)):
        axes = axis if isinstance(axis, tuple) else (axis,)
        weight = np.exp(batch - batch.max(axis=axes, keepdims=True))
        expected = weight / weight.sum(axis=axes, keepdims=True)
        np.testing.assert_allclose(numpy(ours.softmax(batch, axis)), expected, rtol=1e-5)
        theirs = keras.activations.softmax(ops.convert_to_tensor(batch), axis)
        np.testing.assert_allclose(numpy(ours.softmax(batch, axis)), numpy(theirs), rtol=1e-5)
    np.testing.assert_array_equal(numpy(ours.softmax([[1000.0, -1000.0]])), [[1.0, 0.0]])
    np.testing.assert_allclose(numpy(ours.softmax(np.ones((1, 4)))), np.full((1, 4), 0.25), rtol=1e-6)


def test_the_layer_masks_and_scales_and_says_what_it_is_made_of():
    layer = ours.Softmax(axis=-1, temperature=2.0, name="probabilities")
    expected = softmaxlib.softmax(LOGITS, temperature=2.0, where=MASK)
    np.testing.assert_allclose(numpy(layer(LOGITS, mask=MASK)), expected, rtol=2e-6)
    again = ours.Softmax.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 5)) == (None, 5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_smoothing": 0.1, "class_weight": [1.0, 2.0, 3.0, 4.0, 5.0]},
        {"ignore_index": 1},
        {"focal_gamma": 2.0, "z_loss": 0.1},
    ],
    ids=str,
)
def test_the_loss_is_the_numpy_function(options):
    label = np.array([0, 1, 2, 3])
    soft = softmaxlib.softmax(np.random.default_rng(3).standard_normal((4, 5))).astype(np.float32)
    exact = LOGITS.astype(float)
    for target in (label, label[:, None], soft):
        if target is soft and "ignore_index" in options:
            continue
        truth = soft if target is soft else label
        expected = softmaxlib.cross_entropy(exact, truth, **options)
        assert float(ours.CrossEntropy(**options)(target, LOGITS)) == pytest.approx(expected, rel=2e-6)
        total = softmaxlib.cross_entropy(exact, truth, reduction="sum", **options)
        result = ours.CrossEntropy(**options, reduction="sum")(target, LOGITS)
        assert float(result) == pytest.approx(total, rel=2e-6)


def test_confident_rows_keep_every_digit_of_their_loss():
    loss = ours.CrossEntropy()([0], np.array([[0.0, -20.0]], np.float32))
    assert float(loss) == pytest.approx(np.log1p(np.exp(-20.0)), rel=1e-6)


def test_an_option_outside_its_range_is_refused():
    with pytest.raises(InvalidInputError, match=r"label_smoothing must lie in \[0, 1\), got 1"):
        ours.CrossEntropy(label_smoothing=1)


def blobs():
    generator = np.random.default_rng(0)
    label = generator.integers(4, size=400)
    centers = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    return (centers[label] + generator.standard_normal((400, 2))).astype(np.float32), label


def trained(model, loss):
    X, label = blobs()
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss, metrics=["accuracy"])
    model.fit(X[:300], label[:300], epochs=6, batch_size=50, verbose=0)
    return model.evaluate(X[300:], label[300:], verbose=0)[1]


def network(*last):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(8, activation="relu"), *last])


def test_four_blobs_train_as_well_as_with_keras_own_and_survive_saving(tmp_path):
    theirs = trained(network(keras.layers.Dense(4, activation="softmax")), "sparse_categorical_crossentropy")
    by_name = network(keras.layers.Dense(4, activation="softmaxlib>softmax"))
    by_layer = network(keras.layers.Dense(4), ours.Softmax())
    by_loss = network(keras.layers.Dense(4))
    losses = ["sparse_categorical_crossentropy"] * 2 + [ours.CrossEntropy(label_smoothing=0.05)]
    X, _ = blobs()
    for model, loss in zip((by_name, by_layer, by_loss), losses, strict=True):
        assert trained(model, loss) >= theirs - 0.02 > 0.85
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.loss.get_config() == by_loss.loss.get_config()
    assert again.loss.options.label_smoothing == 0.05


OTHERS = [name for name in ("torch", "jax", "tensorflow") if name != keras.backend.backend()]


@pytest.mark.skipif("SOFTMAXLIB_KERAS_INNER" in os.environ, reason="this is the run on the other backend")
@pytest.mark.parametrize(
    "other", [one if one == "tensorflow" else pytest.param(one, marks=pytest.mark.sweep) for one in OTHERS]
)
def test_the_same_on_another_backend(other):
    """Try what may differ in a process of its own: Keras chooses its backend when it is imported."""
    found = importlib.util.find_spec(other)
    if found is None or found.origin is None:  # a folder of tests is no package
        pytest.skip(f"{other} is not installed")
    environment = os.environ | {
        "KERAS_BACKEND": other,
        "SOFTMAXLIB_KERAS_INNER": "1",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # optimizing takes longer than it saves
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    chosen = "the_layer or the_loss_is or late or masked or mixed_bfloat16 or narrow or log_softmax-compiled"
    chosen += " or None-graph or outside or mistake_labels or without_a_mark or steps"
    command = [sys.executable, "-m", "pytest", os.path.dirname(__file__), "-k", chosen]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("temperature", [[1e-60, 1.0], np.array([1e-60, 1.0]), np.array([[5e-324], [1.0]])])
def test_a_temperature_of_a_row_that_is_too_small_for_the_dtype_gives_the_limit(temperature):
    x = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    for name in ("softmax", "log_softmax"):
        expected = getattr(softmaxlib, name)(x, temperature=np.asarray(temperature))
        np.testing.assert_allclose(
            numpy(getattr(ours, name)(x, temperature=temperature))[1], expected[1], 1e-6
        )
    np.testing.assert_array_equal(numpy(ours.softmax(x, temperature=temperature))[0], [0.0, 1.0])
    step = ours.softmax(keras.Input((2,)), temperature=np.array([[1e-60]]))
    assert step.shape == (None, 2)


def test_a_small_learned_temperature_of_a_row_gives_no_nan():
    x = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    temperature = keras.Variable([1e-30, 1.0])
    found = numpy(ops.stop_gradient(ours.softmax(x, temperature=temperature)))
    np.testing.assert_allclose(found, [[0.0, 1.0], softmaxlib.softmax([0.0, 1.0])], rtol=1e-6)


@pytest.mark.parametrize("focal_gamma", [0.1, 0.5, 2.0])
def test_a_focal_loss_of_a_certain_row_is_zero(focal_gamma):
    loss = ours.CrossEntropy(focal_gamma=focal_gamma, reduction="none")
    x = np.array([[0.0, -95.0], [0.0, -200.0], [0.3, 0.2]], np.float32)
    expected = softmaxlib.cross_entropy(x.astype(float), [0, 0, 0], focal_gamma=focal_gamma, reduction="none")
    np.testing.assert_allclose(numpy(loss([0, 0, 0], x)), expected, rtol=1e-6, atol=1e-37)
