"""The blockwise loss against the whole logits, and against torch with its autograd."""

import tracemalloc

import numpy as np
import pytest
import torch

from softmaxlib import cross_entropy, linear_cross_entropy, linear_cross_entropy_grad
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

rng = np.random.default_rng(21)
FEATURES = rng.normal(size=(30, 6))
WEIGHT = rng.normal(size=(17, 6))
BIAS = rng.normal(size=17)
TARGET = rng.integers(0, 17, size=30)
ROW = 8 * (2 * 17 + 2 * 6)  # bytes of a row with softcap
WEIGHT_ROW = 8 * 6

OPTIONS = [
    {},
    {"bias": BIAS},
    {"softcap": 1.5},
    {"bias": BIAS, "softcap": 2.0, "label_smoothing": 0.1, "z_loss": 0.01, "ignore_index": 3},
    {"ignore_index": 5, "label_smoothing": 0.2},
]


def _torch(reduction, bias=None, softcap=None, z_loss=0.0, ignore_index=-100, label_smoothing=0.0):
    leaves = [torch.tensor(array, requires_grad=True) for array in (FEATURES, WEIGHT)]
    logits = leaves[0] @ leaves[1].T
    if bias is not None:
        leaves.append(torch.tensor(bias, requires_grad=True))
        logits = logits + leaves[2]
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    target = torch.tensor(TARGET)
    loss = torch.nn.functional.cross_entropy(
        logits, target, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
    )
    counted = target != ignore_index
    loss = loss + z_loss * torch.logsumexp(logits, 1) ** 2 * counted
    if reduction != "none":
        loss = loss.sum() / (counted.sum() if reduction == "mean" else 1)
    return loss.detach().numpy(), [grad.numpy() for grad in torch.autograd.grad(loss.sum(), leaves)]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "plain")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_agrees_with_autograd_whatever_the_block(options, reduction, rows):
    loss, expected = _torch(reduction, **options)
    result = linear_cross_entropy_grad(
        FEATURES, WEIGHT, TARGET, reduction=reduction, memory_budget=rows * ROW + WEIGHT_ROW, **options
    )
    np.testing.assert_allclose(result.loss, loss, rtol=1e-12)
    np.testing.assert_allclose(result.features_grad, expected[0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(result.weight_grad, expected[1], rtol=1e-11, atol=1e-13)
    if "bias" in options:
        np.testing.assert_allclose(result.bias_grad, expected[2], rtol=1e-11, atol=1e-13)
    else:
        assert result.bias_grad is None
    alone = linear_cross_entropy(
        FEATURES, WEIGHT, TARGET, reduction=reduction, memory_budget=rows * ROW + WEIGHT_ROW, **options
    )
    np.testing.assert_allclose(alone, result.loss, rtol=1e-14)


def test_leading_axes_and_single_precision():
    features = FEATURES.astype(np.float32).reshape(5, 6, 6)
    weight, target = WEIGHT.astype(np.float32), TARGET.reshape(5, 6)
    losses = linear_cross_entropy(features, weight, target, reduction="none", memory_budget=700)
    assert losses.shape == (5, 6)
    assert losses.dtype == np.float32
    whole = cross_entropy(features @ weight.T, target, reduction="none")
    np.testing.assert_allclose(losses, whole, rtol=2e-5)
    grads = linear_cross_entropy_grad(features, weight, target)
    assert grads.features_grad.shape == features.shape
    assert grads.features_grad.dtype == grads.weight_grad.dtype == np.float32


def test_strided_operands_give_the_same_result():
    wide, tall = np.repeat(FEATURES, 2, axis=1)[:, ::2], np.repeat(WEIGHT, 3, axis=1)[:, ::3]
    assert not wide.flags.forc
    assert not tall.flags.forc
    expected = linear_cross_entropy_grad(FEATURES, WEIGHT, TARGET)
    for features, weight in ((wide, tall), (np.asfortranarray(FEATURES), np.asfortranarray(WEIGHT))):
        result = linear_cross_entropy_grad(features, weight, TARGET)
        np.testing.assert_allclose(result.loss, expected.loss, rtol=1e-14)
        np.testing.assert_allclose(result.features_grad, expected.features_grad, rtol=1e-12, atol=1e-16)
        np.testing.assert_allclose(result.weight_grad, expected.weight_grad, rtol=1e-12, atol=1e-16)


def test_what_an_ignored_row_holds_never_leaks():
    features = FEATURES.copy()
    features[[2, 11]] = np.nan
    target = TARGET.copy()
    target[[2, 11]] = -1
    kept = np.delete(np.arange(30), [2, 11])
    result = linear_cross_entropy_grad(features, WEIGHT, target, ignore_index=-1)
    expected = linear_cross_entropy_grad(FEATURES[kept], WEIGHT, TARGET[kept])
    np.testing.assert_allclose(result.loss, expected.loss, rtol=1e-15)
    np.testing.assert_array_equal(result.features_grad[[2, 11]], np.zeros((2, 6)))
    np.testing.assert_allclose(result.features_grad[kept], expected.features_grad, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(result.weight_grad, expected.weight_grad, rtol=1e-13, atol=1e-16)


def test_all_rows_ignored():
    target = np.full(30, -1)
    result = linear_cross_entropy_grad(FEATURES, WEIGHT, target, ignore_index=-1)
    assert np.isnan(result.loss)
    np.testing.assert_array_equal(result.weight_grad, np.zeros_like(WEIGHT))
    assert linear_cross_entropy(FEATURES, WEIGHT, target, ignore_index=-1, reduction="sum") == 0


@pytest.mark.parametrize(("rows", "columns"), [(0, 6), (4, 0), (0, 0)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "plain")
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict", "jax.numpy"])
def test_no_rows_or_no_features(rows, columns, reduction, options, library):
    """Without features each logit is the bias. Without rows the mean is NaN, and the gradients are 0."""
    xp = pytest.importorskip(library)
    features, weight = xp.zeros((rows, columns)), xp.zeros((17, columns))
    logits = np.zeros((rows, 17)) + options.get("bias", 0.0)
    if "softcap" in options:
        logits = options["softcap"] * np.tanh(logits / options["softcap"])
    others = {name: value for name, value in options.items() if name not in ("bias", "softcap")}
    expected = cross_entropy(logits, TARGET[:rows], reduction=reduction, **others)
    target = xp.asarray(TARGET[:rows])
    result = linear_cross_entropy_grad(features, weight, target, reduction=reduction, **options)
    alone = linear_cross_entropy(features, weight, target, reduction=reduction, **options)
    for found in (result.loss, alone):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
    assert tuple(result.features_grad.shape) == (rows, columns)
    assert tuple(result.weight_grad.shape) == (17, columns)
    assert not np.asarray(result.weight_grad).any()
    if not rows and "bias" in options:
        np.testing.assert_array_equal(np.asarray(result.bias_grad), np.zeros(17))


@pytest.mark.parametrize(("rows", "columns"), [(0, 6), (4, 0), (0, 0)])
def test_no_rows_or_no_features_are_differentiated_by_jax(rows, columns):
    jax = pytest.importorskip("jax")
    leaves = jax.numpy.zeros((rows, columns)), jax.numpy.zeros((17, columns))
    gradients = jax.grad(linear_cross_entropy, argnums=(0, 1))(*leaves, jax.numpy.asarray(TARGET[:rows]))
    for gradient, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_array_equal(gradient, leaf)


def test_integers_make_the_whole_layer_float64():
    features, weight = rng.integers(-4, 5, size=(30, 6)), WEIGHT.astype(np.float32)
    expected = linear_cross_entropy_grad(features.astype(float), weight.astype(float), TARGET, bias=BIAS)
    for dtype in (np.int8, np.int64):
        result = linear_cross_entropy_grad(features.astype(dtype), weight, TARGET, bias=BIAS)
        for one, other in zip(result, expected, strict=True):
            assert one.dtype == np.float64
            np.testing.assert_array_equal(one, other)
    result = linear_cross_entropy(weight, features[:17], TARGET[:17])
    assert result == linear_cross_entropy(weight.astype(float), features[:17].astype(float), TARGET[:17])


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_memory_stays_within_the_budget(softcap):
    budget, classes, columns, rows = 4 * 2**20, 6000, 32, 3000
    features = rng.normal(size=(rows, columns)).astype(np.float32)
    weight = rng.normal(size=(classes, columns)).astype(np.float32)
    target = rng.integers(0, classes, size=rows)
    linear_cross_entropy_grad(features[:2], weight, target[:2], softcap=softcap)
    tracemalloc.start()
    try:
        linear_cross_entropy_grad(features, weight, target, softcap=softcap, memory_budget=budget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    results = features.nbytes + weight.nbytes
    assert rows * classes * 4 > 10 * budget
    assert peak - results <= 1.1 * budget


ERRORS = [
    (
        {"memory_budget": 279},
        r"memory_budget must hold one row of 17 classes and 6 features, 280 bytes, got 279",
    ),
    ({"softcap": 0.0}, r"softcap must be finite and above 0, got 0.0"),
    ({"bias": BIAS[:3]}, r"bias must hold one number per class, shape \(17,\), got \(3,\)"),
    ({"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\), got 1.0"),
    ({"reduction": "avg"}, r"reduction must be one of mean, sum, none; got 'avg'"),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
def test_bad_options_are_named(options, message):
    with pytest.raises(InvalidInputError, match=message):
        linear_cross_entropy(FEATURES, WEIGHT, TARGET, **options)


def test_a_budget_is_a_number():
    with pytest.raises(UnsupportedTypeError, match=r"memory_budget must be one real number, got '64MB'"):
        linear_cross_entropy(FEATURES, WEIGHT, TARGET, memory_budget="64MB")


def test_bad_arrays_are_named():
    with pytest.raises(
        InvalidInputError, match=r"target must lie in 0 to 16 \(17 classes\), got 17 in row 4"
    ):
        linear_cross_entropy(FEATURES[:5], WEIGHT, [0, 1, 2, 3, 17])
    with pytest.raises(InvalidInputError, match=r"with one D and K > 0, got shapes \(30, 6\) and \(17, 5\)"):
        linear_cross_entropy(FEATURES, WEIGHT[:, :5], TARGET)
    with pytest.raises(InvalidInputError, match=r"without the last axis, \(30,\), got shape \(29,\)"):
        linear_cross_entropy(FEATURES, WEIGHT, TARGET[1:])
    with pytest.raises(
        UnsupportedTypeError, match=r"one dtype, got float64 and float32; convert the smaller"
    ):
        linear_cross_entropy(FEATURES, WEIGHT.astype(np.float32), TARGET)
    with pytest.raises(UnsupportedTypeError, match=r"features must be float32 or float64, got float16"):
        linear_cross_entropy(FEATURES.astype(np.float16), WEIGHT, TARGET)
