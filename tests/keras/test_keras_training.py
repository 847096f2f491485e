"""Layers, losses and activations inside models that train: graphs, masks, weights, precision, saving."""

import numpy as np
import pytest

pytest.importorskip("keras.layers")

import keras
from keras import ops

import softmaxlib
import softmaxlib.keras as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

WORDS = np.array([[1, 2, 0], [3, 0, 0], [1, 1, 1]])  # 0 is the padding
LOGITS = (3 * np.random.default_rng(0).standard_normal((3, 3, 4))).astype(np.float32)
CLASS_WEIGHT = [1.0, 2.0, 3.0, 0.5]
COMPILED = {} if keras.backend.backend() == "torch" else {"jit_compile": True}  # torch would call a compiler
POLICIES = ["mixed_bfloat16", "mixed_float16", "float64"]
if keras.backend.backend() == "jax":  # which has float64 only where the whole program asks for it
    POLICIES.pop()


def numpy(x):
    return ops.convert_to_numpy(x)


def masked_model(seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Embedding(5, 6, mask_zero=True), keras.layers.Dense(4)]
    return keras.Sequential([keras.layers.Input((None,), dtype="int32"), *layers])


def points():
    generator = np.random.default_rng(1)
    return generator.standard_normal((50, 2)).astype(np.float32), generator.integers(0, 4, 50)


def mean_of_rows(logits, label, keep, sample_weight=None, **options):
    """By the NumPy function: the losses of the rows to keep over what their labels weigh."""
    each = softmaxlib.cross_entropy(
        logits[keep].astype(float), label[keep], class_weight=CLASS_WEIGHT, reduction="none", **options
    )
    sample_weight = np.ones(label.shape) if sample_weight is None else sample_weight
    return each * sample_weight[keep], np.asarray(CLASS_WEIGHT)[label[keep]]


@pytest.mark.parametrize("options", [{}, COMPILED, {"run_eagerly": True}], ids=["graph", "compiled", "eager"])
@pytest.mark.parametrize("activation", [None, "softmaxlib>log_softmax"])
def test_a_model_trains(options, activation):
    X, label = points()
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(4, activation=activation)])
    model.compile(loss=ours.CrossEntropy(label_smoothing=0.1), **options)
    before = model.evaluate(X, label, verbose=0)
    model.fit(X, label, epochs=2, batch_size=20, verbose=0)
    assert model.evaluate(X, label, verbose=0) < before


@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
def test_rows_that_are_masked_or_ignored_do_not_count_in_the_mean(weight):
    model = masked_model()
    model.compile(loss=ours.CrossEntropy(ignore_index=0, class_weight=weight))
    found = model.evaluate(WORDS, WORDS, verbose=0)
    logits = model.predict(WORDS, verbose=0)
    expected = softmaxlib.cross_entropy(logits.astype(float), WORDS, ignore_index=0, class_weight=weight)
    assert found == pytest.approx(expected, rel=1e-5)
    if weight is None:
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0))
        assert found == pytest.approx(model.evaluate(WORDS, WORDS, verbose=0), rel=1e-5)


def test_a_mask_and_an_ignored_label_may_hide_different_rows():
    label = np.array([[1, 2, 3], [3, 0, 0], [0, 2, 0]])
    keep = (WORDS != 0) & (label != 0)
    model = masked_model()
    model.compile(loss=ours.CrossEntropy(ignore_index=0, class_weight=CLASS_WEIGHT))
    logits = model.predict(WORDS, verbose=0)
    losses, weights = mean_of_rows(logits, label, keep)
    assert model.evaluate(WORDS, label, verbose=0) == pytest.approx(losses.sum() / weights.sum(), rel=1e-5)
    share = np.array([[1.0, 0.5, 2.0], [3.0, 1.0, 1.0], [0.0, 1.5, 1.0]], np.float32)
    losses, weights = mean_of_rows(logits, label, keep, share)
    found = model.evaluate(WORDS, label, sample_weight=share, verbose=0)
    assert found == pytest.approx(losses.sum() / weights.sum(), rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_with_sample_weight", "none", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_reduction_of_masked_weighted_rows(reduction, weighted):
    label = np.array([[1, 2, 3], [3, 0, 0], [0, 2, 0]])
    share = np.array([[1.0, 0.5, 2.0], [3.0, 1.0, 1.0], [0.0, 1.5, 1.0]], np.float32) if weighted else None
    keep = label != 0
    losses, weights = mean_of_rows(LOGITS, label, keep, share)
    loss = ours.CrossEntropy(ignore_index=0, class_weight=CLASS_WEIGHT, reduction=reduction)
    found = numpy(loss(label, LOGITS, sample_weight=share))
    if reduction == "sum":
        expected = losses.sum()
    elif reduction == "mean":
        expected = losses.sum() / weights.sum()
    elif reduction == "mean_with_sample_weight":
        expected = losses.sum() / (weights * (1.0 if share is None else share[keep])).sum()
    else:
        expected = np.zeros(label.shape)
        expected[keep] = losses
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_a_batch_in_which_no_row_counts_has_loss_zero():
    for weight in (None, CLASS_WEIGHT):
        assert float(ours.CrossEntropy(ignore_index=0, class_weight=weight)([0, 0], LOGITS[0, :2])) == 0.0


def test_what_stands_in_a_masked_row_reaches_neither_the_loss_nor_the_training():
    class Spoiled(keras.layers.Layer):
        """Not a number where the mask hides a row."""

        supports_masking = True

        def call(self, inputs, mask=None):
            return ops.where(ops.expand_dims(mask, -1), inputs, float("nan"))

    model = masked_model()
    model.add(Spoiled())
    model.compile(loss=ours.CrossEntropy(), optimizer="sgd")
    model.fit(WORDS, WORDS, epochs=1, verbose=0)
    assert all(np.isfinite(one).all() for one in model.get_weights())


def test_a_mask_of_steps_hides_steps_only_where_the_softmax_runs_over_them():
    steps = np.array([[True, True, False]] * 3)
    over_steps = ours.Softmax(axis=1)(LOGITS, mask=steps)
    expected = softmaxlib.softmax(LOGITS.astype(float), axis=1, where=steps[..., None])
    np.testing.assert_allclose(numpy(over_steps), expected, rtol=2e-6)
    over_classes = ours.Softmax()(LOGITS, mask=steps)
    np.testing.assert_allclose(numpy(over_classes), softmaxlib.softmax(LOGITS.astype(float)), rtol=2e-6)
    model = masked_model()
    model.add(ours.Softmax())
    assert model.predict(WORDS, verbose=0).sum(axis=-1) == pytest.approx(np.ones((3, 3)), rel=1e-6)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
def test_lengths_that_a_graph_learns_late(axis):
    names = ["softmax", "log_softmax", "logsumexp"]
    inputs = keras.layers.Input((None, None))

    class All(keras.layers.Layer):
        def call(self, x):
            results = [getattr(ours, name)(x, axis) for name in names]
            return results[0] * 2 + results[1], ops.reshape(results[2], (-1,))

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape), keras.KerasTensor((None,))

    both, total = keras.Model(inputs, All()(inputs)).predict(LOGITS, batch_size=3, verbose=0)
    exact = LOGITS.astype(float)
    p, log_p, sums = (getattr(softmaxlib, name)(exact, axis=axis) for name in names)
    np.testing.assert_allclose(both, p * 2 + log_p, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, np.ravel(sums), rtol=2e-6)


def at_once(x):
    """Return all functions of logits (rows, 4), masked and with a temperature of each row, side by side."""
    cooling = 1 + ops.exp(x[:, 1])
    given = np.array([True, True, False, True])
    sums = [ours.logsumexp(x), ours.logsumexp(x, where=x > -1), ours.logsumexp(x, None, keepdims=True)]
    return [
        ours.softmax(x),
        ours.softmax(x, where=x > 0),
        ours.softmax(x, 0, where=given),
        ours.softmax(x, (0, 1), temperature=2.0),
        ours.softmax(x, temperature=cooling, where=ops.convert_to_tensor(given)),
        ours.log_softmax(x),
        ours.log_softmax(x, None, where=x > 0),
        ours.log_softmax(x, temperature=cooling),
        *sums,
        ours.softmax(np.ones((5, 4), np.float32), where=x > 0),
    ]


def test_functions_are_steps_of_a_functional_model_that_is_saved(tmp_path):
    """Of a batch whose length is not known; the values are those of the functions of numbers."""
    logits = np.random.default_rng(5).standard_normal((5, 4)).astype(np.float32)
    start = keras.Input((4,))
    steps = at_once(start)
    model = keras.Model(start, steps)
    found, expected = model(logits), at_once(ops.convert_to_tensor(logits))
    for step, one, other in zip(steps, found, expected, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=2e-6)
        assert keras.backend.standardize_dtype(one.dtype) == step.dtype
        pairs = zip(step.shape, one.shape, strict=True)
        assert all(size in (None, length) for size, length in pairs)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(again(logits), found, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
    both = keras.Model(start, steps[:2]).predict(logits, batch_size=2, verbose=0)
    for one, other in zip(both, found, strict=False):
        np.testing.assert_allclose(one, numpy(other), rtol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int32"])
def test_dtypes_of_steps_are_those_of_the_functions(dtype):
    start = keras.Input((4,), dtype=dtype)
    for name in ("softmax", "log_softmax", "logsumexp"):
        wanted = getattr(ours, name)(ops.cast(LOGITS[0], dtype)).dtype
        assert getattr(ours, name)(start).dtype == keras.backend.standardize_dtype(wanted)


def test_a_functional_model_learns_through_the_functions():
    X, label = points()
    start = keras.Input((2,))
    hidden = keras.layers.Dense(4)(start)
    cooling = ops.exp(keras.layers.Dense(1)(start))[:, 0]
    model = keras.Model(start, ours.log_softmax(hidden, temperature=cooling))
    model.compile(loss=ours.CrossEntropy(), optimizer=keras.optimizers.Adam(0.05))
    before = model.evaluate(X, label, verbose=0)
    model.fit(X, label, epochs=3, batch_size=20, verbose=0)
    assert model.evaluate(X, label, verbose=0) < before


def test_mistakes_are_named_while_a_functional_model_is_made():
    start = keras.Input((4,))
    with pytest.raises(InvalidInputError, match=r"where must broadcast to the shape \(None, 4\), got shape"):
        ours.softmax(start, where=np.ones(3, bool))
    with pytest.raises(InvalidInputError, match=r"temperature must be one number, or one per row"):
        ours.log_softmax(start, temperature=keras.Input((2, 3)))
    with pytest.raises(InvalidInputError, match=r"temperature must .* above 0, got 0.* argmax"):
        ours.log_softmax(start, temperature=0)
    with pytest.raises(InvalidInputError, match=r"temperature must be finite and above 0, got -1.0 at 1;"):
        ours.softmax(start, 0, temperature=ops.convert_to_tensor([1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(np.exceptions.AxisError):
        ours.logsumexp(start, 2)
    with pytest.raises(UnsupportedTypeError, match="x must be real numbers, got dtype bool"):
        ours.softmax(start > 0)


class Cooled(keras.layers.Layer):
    """Softmax with a temperature that is learned, and given as one number per row of the batch."""

    def build(self, shape):
        self.temperature = self.add_weight(shape=(), initializer=keras.initializers.Constant(1.7))

    def call(self, x):
        return ours.softmax(x, temperature=self.temperature * ops.ones_like(x[:, 0]))


def test_a_learned_temperature_of_rows_that_a_graph_learns_late():
    """One step of size 1 goes down by the derivative, also where a class is impossible."""
    logits = LOGITS.reshape(-1, 4)
    logits = np.where(np.arange(4) == 1, -np.inf, logits).astype(np.float32)
    cost = np.random.default_rng(3).random(logits.shape).astype(np.float32)
    layer = Cooled()
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda cost, p: ops.sum(cost * p, axis=-1))
    model.fit(logits, cost, batch_size=len(logits), verbose=0)

    def mean_cost(temperature):
        return (cost * softmaxlib.softmax(logits.astype(float), temperature=temperature)).sum(axis=1).mean()

    slope = (mean_cost(1.7 + 1e-5) - mean_cost(1.7 - 1e-5)) / 2e-5
    np.testing.assert_allclose(1.7 - numpy(layer.temperature), slope, rtol=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
def test_precision_policies(policy):
    X, label = points()
    layers = [keras.layers.Dense(4, dtype=policy), ours.Softmax(dtype=policy)]
    model = keras.Sequential([keras.layers.Input((2,)), *layers[:1]])
    raw = ops.convert_to_tensor(model(X))
    assert keras.backend.standardize_dtype(layers[1](raw).dtype) == policy.removeprefix("mixed_")
    loss = ours.CrossEntropy(dtype="float64" if policy == "float64" else None)
    exact = softmaxlib.cross_entropy(numpy(ops.cast(raw, "float32")).astype(float), label)
    assert float(numpy(loss(label, raw))) == pytest.approx(exact, rel=1e-6)
    model.compile(loss=loss)
    model.fit(X, label, epochs=1, verbose=0)


def test_a_loss_of_narrow_dtype_rounds_its_result_alone():
    """Keras converts labels to the loss's dtype, where 257 becomes 256."""
    logits = np.random.default_rng(4).standard_normal((5, 300)).astype(np.float32)
    label = np.array([257, 299, 0, 129, 131])
    found = ours.CrossEntropy(dtype="bfloat16")(label, logits)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert float(found) == pytest.approx(softmaxlib.cross_entropy(logits.astype(float), label), rel=4e-3)
    again = ours.CrossEntropy.from_config(ours.CrossEntropy(dtype="bfloat16").get_config())
    assert again.dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "uint32", "int64", "float32"])
def test_labels_of_any_dtype_do_not_wrap(dtype):
    logits = np.random.default_rng(4).standard_normal((2, 300)).astype(np.float32)
    label = np.array([5, 127]).astype(dtype)
    expected = softmaxlib.cross_entropy(logits.astype(float), [5, 127])
    assert float(ours.CrossEntropy()(label, logits)) == pytest.approx(expected, rel=1e-6)
    assert float(ours.CrossEntropy(ignore_index=-1)(label, logits)) == pytest.approx(expected, rel=1e-6)


def test_shapes_and_weights_that_do_not_fit_are_refused():
    with pytest.raises(
        InvalidInputError, match=r"target must be class indices of shape \(3, 3\) .* \(2, 3\)"
    ):
        ours.CrossEntropy()(np.zeros((2, 3), int), LOGITS)
    with pytest.raises(InvalidInputError, match=r"class_weight must hold one number per class, shape \(4,\)"):
        ours.CrossEntropy(class_weight=[1.0, 2.0])(WORDS, LOGITS)
    with pytest.raises(
        InvalidInputError, match=r"class_weight must be finite and not negative, got -1\.0 for class 1"
    ):
        ours.CrossEntropy(class_weight=[1.0, -1.0])


def test_a_masked_model_survives_saving(tmp_path):
    model = masked_model()
    model.compile(loss=ours.CrossEntropy(ignore_index=0, class_weight=CLASS_WEIGHT, focal_gamma=1.0))
    model.fit(WORDS, WORDS, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(WORDS, WORDS, verbose=0) == pytest.approx(model.evaluate(WORDS, WORDS, verbose=0))
