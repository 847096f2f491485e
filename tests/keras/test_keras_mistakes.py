"""Mistakes of beginners, and their messages."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("keras.layers")

import keras
from keras import ops

import softmaxlib
import softmaxlib.keras as ours
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError
from softmaxlib.keras._missing import explain_missing

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

GRAPHS = keras.backend.backend() != "torch"
X = np.random.default_rng(0).standard_normal((12, 2)).astype(np.float32)
LABELS = np.arange(12) % 4
DTYPES = ["float16", "bfloat16", "float32", "float64"]
if keras.backend.backend() == "jax":  # which has float64 only where the whole program asks for it
    DTYPES.pop()
TWICE = "the loss takes logits and was given probabilities: softmax is applied twice"


def fit(*last, labels=LABELS, loss=None, **options):
    model = keras.Sequential([keras.layers.Input((2,)), *last])
    model.compile(loss=loss or ours.CrossEntropy(), **options)
    return model.fit(X, labels, verbose=0)


LAST_LAYERS = {
    "activation": lambda: [keras.layers.Dense(4, activation="softmax")],
    "layer": lambda: [keras.layers.Dense(4), keras.layers.Softmax()],
    "our activation": lambda: [keras.layers.Dense(4, activation="softmaxlib>softmax")],
    "our layer": lambda: [keras.layers.Dense(4), ours.Softmax()],
}


@pytest.mark.parametrize(
    "last",
    [
        lambda start: keras.layers.Dense(4, activation="softmax")(start),
        lambda start: ours.softmax(keras.layers.Dense(4)(start)),
    ],
    ids=["activation", "function"],
)
def test_mistake_two_softmaxes_in_a_functional_model_warn(last):
    start = keras.Input((2,))
    model = keras.Model(start, last(start))
    model.compile(loss=ours.CrossEntropy())
    with pytest.warns(SoftmaxlibWarning, match=TWICE):
        model.fit(X, LABELS, verbose=0)


@pytest.mark.parametrize("last", LAST_LAYERS)
def test_mistake_two_softmaxes_warn(last):
    with pytest.warns(SoftmaxlibWarning, match=TWICE):
        fit(*LAST_LAYERS[last]())


def test_mistake_probabilities_without_a_mark_warn():
    with pytest.warns(SoftmaxlibWarning, match=TWICE):
        ours.CrossEntropy()([0, 1], [[0.25, 0.75], [0.5, 0.5]])


def test_mistake_logits_and_log_probabilities_do_not_warn():
    fit(keras.layers.Dense(4))
    fit(keras.layers.Dense(4, activation="softmaxlib>log_softmax"))


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        ([0, 4], {}, r"target must lie in 0 to 3 \(4 classes\), got 4 in row 1; .* as ignore_index"),
        ([0, -1], {}, r"got -1 in row 1"),
        ([0, -2], {"ignore_index": -1}, r"got -2 in row 1; only ignore_index=-1 leaves a row out"),
    ],
)
def test_mistake_a_label_outside_the_classes(labels, options, words):
    with pytest.raises(InvalidInputError, match=words):
        ours.CrossEntropy(**options)(labels, np.zeros((2, 4), np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("labels", "place", "words"),
    [
        ([0, 1, np.nan, 1], 2, "got nan in row 2"),
        ([0, 1.5, 2, 1], 1, "got 1.5 in row 1"),
        ([np.inf, 1, 2, 1], 0, "got inf in row 0"),
        ([[0, 1], [2, -0.5]], (1, 1), r"got -0.5 in row \(1, 1\)"),
    ],
)
def test_mistake_labels_that_are_no_whole_numbers(labels, place, words, dtype):
    logits = np.random.default_rng(0).standard_normal((*np.shape(labels), 4))
    given = ops.cast(np.array(labels), dtype)
    with pytest.raises(
        InvalidInputError, match=rf"must be whole numbers in 0 to 3 \(4 classes\), {words}; to leave a row"
    ):
        ours.CrossEntropy()(given, logits)
    mended = np.array(labels)
    mended[place] = -1
    expected = softmaxlib.cross_entropy(logits, np.nan_to_num(mended).astype(int), ignore_index=-1)
    found = ours.CrossEntropy(ignore_index=-1)(ops.cast(mended, dtype), logits)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_mistake_labels_that_are_no_whole_numbers_are_of_no_class_in_a_graph():
    """There they can't be refused. They count as labels out of range, whose loss is 0.

    PyTorch has no graph here, and they are refused.
    """
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(4)])
    labels = np.arange(12) % 4 + np.where(np.arange(12) % 2, 0.5, 0.0)
    labels[0] = np.nan
    model.compile(loss=ours.CrossEntropy(reduction="sum"))
    given = X, labels.astype(np.float32)
    if not GRAPHS:
        with pytest.raises(InvalidInputError, match=r"must be whole numbers in 0 to 3 .* got nan in row 0"):
            model.evaluate(*given, batch_size=12, verbose=0)
        return
    found = model.evaluate(*given, batch_size=12, verbose=0)
    whole = np.flatnonzero(labels == np.floor(labels))
    logits = model.predict(X, verbose=0).astype(float)
    expected = softmaxlib.cross_entropy(logits[whole], labels[whole].astype(int), reduction="sum")
    assert found == pytest.approx(expected, rel=1e-5)


def test_mistake_a_target_that_is_no_distribution():
    with pytest.raises(
        InvalidInputError, match=r"each row of target must be probabilities: .* got the sum 2"
    ):
        ours.CrossEntropy()([[1.0, 1.0]], [[3.0, 1.0]])


def test_mistake_a_label_outside_the_classes_while_training():
    options = {"run_eagerly": True} if GRAPHS else {}
    if keras.backend.backend() == "jax":
        pytest.skip("JAX hides the labels of a training step")
    with pytest.raises(InvalidInputError, match=r"target must lie in 0 to 3 \(4 classes\), got 7 in row"):
        fit(keras.layers.Dense(4), labels=np.where(LABELS == 0, 7, LABELS), **options)


def test_mistake_labels_of_rows_that_are_left_out_are_not_looked_at():
    logits = ops.convert_to_tensor(np.zeros((1, 3, 4), np.float32))
    labels = [[1, 99, -99]]
    keras.src.backend.set_keras_mask(logits, ops.convert_to_tensor([[True, False, False]]))
    if keras.src.backend.get_keras_mask(logits) is not None:  # JAX's arrays carry none
        assert float(ours.CrossEntropy()(labels, logits)) == pytest.approx(np.log(4))
        assert float(ours.CrossEntropy()([[1.0, np.nan, 0.5]], logits)) == pytest.approx(np.log(4))
    ignoring = ours.CrossEntropy(ignore_index=-99)
    assert float(ignoring([1, -99], np.zeros((2, 4)))) == pytest.approx(np.log(4))


def test_the_loss_by_name():
    history = fit(keras.layers.Dense(4), loss="softmaxlib>CrossEntropy")
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize(
    ("missing", "installed", "words"),
    [
        ("keras", [], ["softmaxlib.keras needs keras; install it with: pip install 'softmaxlib[keras]'"]),
        ("tensorflow", ["torch", "jax"], ["is set to, tensorflow, is not installed", "KERAS_BACKEND=torch"]),
        ("torch", ["jax"], ["is set to, torch, is not installed", "KERAS_BACKEND=jax"]),
        ("tensorflow", [], ["install it, or another", "in the environment variable KERAS_BACKEND"]),
        ("h5py", [], ["No module named 'h5py'"]),
    ],
)
def test_a_missing_backend_says_how_another_is_chosen(monkeypatch, missing, installed, words):
    monkeypatch.setattr(
        "softmaxlib.keras._missing.find_spec", lambda name: object() if name in installed else None
    )
    text = explain_missing(ModuleNotFoundError(f"No module named '{missing}'", name=missing))
    for word in words:
        assert word in text


def test_the_import_without_a_backend_says_so(tmp_path):
    """In a process that can't find TensorFlow, whether or not it is installed."""
    code = (
        "import os, sys; os.environ.pop('KERAS_BACKEND', None); os.environ['KERAS_HOME'] = sys.argv[1]\n"
        "sys.modules['tensorflow'] = None\n"
        "try:\n    import softmaxlib.keras\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False, timeout=100
    )
    assert "the backend that Keras is set to, tensorflow, is not installed" in done.stdout, done.stderr
    assert "KERAS_BACKEND=" in done.stdout


MASKED = np.ma.masked_array(np.ones((2, 2), np.float32), mask=[[0, 1], [0, 0]])
PLAIN = np.ones((2, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: ours.softmax(MASKED), "x"),
        (lambda: ours.log_softmax(MASKED), "x"),
        (lambda: ours.logsumexp(MASKED), "x"),
        (lambda: ours.softmax(PLAIN, where=MASKED > 0), "where"),
        (lambda: ours.softmax(PLAIN, temperature=MASKED[:, 0]), "temperature"),
        (lambda: ours.CrossEntropy()([1, 0], MASKED), "y_pred"),
        (lambda: ours.CrossEntropy()(np.ma.masked_array([1, 0], mask=[0, 1]), PLAIN), "y_true"),
        (lambda: ours.CrossEntropy()([1, 0], PLAIN, np.ma.masked_array([1.0, 0.0])), "sample_weight"),
        (lambda: ours.SigmoidCrossEntropy()(PLAIN, MASKED), "y_pred"),
        (lambda: ours.SigmoidCrossEntropy()(MASKED, PLAIN), "y_true"),
    ],
)
def test_mistake_a_masked_array_whose_mask_would_be_lost(call, name):
    with pytest.raises(
        UnsupportedTypeError, match=rf"{name} must not be a masked array here; pass {name}.data"
    ):
        call()


@pytest.mark.parametrize("where", [[1.0, 0.0], [1, 0], np.array([np.nan, 1.0])])
def test_mistake_a_mask_that_is_not_bool(where):
    with pytest.raises(
        UnsupportedTypeError, match=r"where must be a bool mask \(True takes part\), got dtype"
    ):
        ours.softmax(PLAIN, where=where)
    with pytest.raises(UnsupportedTypeError, match="where must be a bool mask"):
        ours.softmax(keras.Input((2,)), where=where)


@pytest.mark.parametrize("labels", [np.eye(2, dtype=bool), np.array([True, False])])
def test_mistake_labels_that_are_bools(labels):
    with pytest.raises(UnsupportedTypeError, match="y_true must be numbers, got dtype bool"):
        ours.CrossEntropy()(labels, PLAIN)
