import re

import numpy as np
import pytest

from softmaxlib import adjust_prior, adjust_prior_vjp, log_softmax, softmax
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

SOURCE = np.array([0.7, 0.2, 0.1])
TARGET = np.array([0.2, 0.3, 0.5])


def test_is_exact_for_a_population_whose_posterior_is_known():
    """Three Gaussians: the posterior under each prior is known, and one turns into the other."""
    points = np.linspace(-4, 6, 50)[:, None]
    likelihood = -0.5 * (points - np.array([-1.0, 1.0, 2.5])) ** 2
    trained = log_softmax(likelihood + np.log(SOURCE))
    expected = softmax(likelihood + np.log(TARGET))
    np.testing.assert_allclose(softmax(adjust_prior(trained, SOURCE, TARGET)), expected, rtol=1e-13)


def test_there_and_back():
    x = np.random.default_rng(0).normal(size=(5, 3))
    there = adjust_prior(x, SOURCE, TARGET)
    np.testing.assert_allclose(adjust_prior(there, TARGET, SOURCE), x, atol=1e-15)


def test_strength():
    x = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_array_equal(adjust_prior(x, SOURCE, TARGET, 0.0), x)
    half = adjust_prior(x, SOURCE, TARGET, 0.5)
    np.testing.assert_allclose(half, (x + adjust_prior(x, SOURCE, TARGET)) / 2, atol=1e-15)
    np.testing.assert_array_equal(adjust_prior(x, SOURCE, [0.5, 0.5, 0], 0.0), x)


def test_axis_and_dtype():
    x = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    result = adjust_prior(x, SOURCE, TARGET, axis=0)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, adjust_prior(x.T, SOURCE, TARGET).T)


def test_class_that_cannot_occur_is_ruled_out():
    x = np.array([[1.0, 2.0, 3.0]])
    result = adjust_prior(x, SOURCE, [0.5, 0.5, 0])
    assert result[0, 2] == -np.inf
    np.testing.assert_allclose(softmax(result).sum(), 1)
    gradient = adjust_prior_vjp(np.array([[0.5, -0.25, 9.0]]), SOURCE, [0.5, 0.5, 0])
    np.testing.assert_array_equal(gradient, [[0.5, -0.25, 0]])
    both = adjust_prior(x, [0.5, 0.5, 0], [0.25, 0.75, 0])
    assert both[0, 2] == -np.inf


def test_vjp_is_the_adjoint_of_the_difference():
    rng = np.random.default_rng(3)
    x, direction, cotangent = rng.normal(size=(3, 4, 3))
    moved = adjust_prior(x + direction, SOURCE, TARGET, 0.7) - adjust_prior(x, SOURCE, TARGET, 0.7)
    expected = (cotangent * moved).sum()
    result = (adjust_prior_vjp(cotangent, SOURCE, TARGET, 0.7) * direction).sum()
    assert result == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([70, 20, 10], TARGET, "source must sum to 1, got 100; divide counts by their total"),
        (SOURCE, [1.2, -0.2, 0], "target must not be negative or NaN, got -0.2 for class 1"),
        (SOURCE, [np.nan, 0.5, 0.5], "target must not be negative or NaN, got nan for class 0"),
        ([1, 0, 0], TARGET, "target must be 0 where source is 0, got 0.3 for class 1"),
        (SOURCE, [0.5, 0.5], "must name the same classes, got 3 and 2 of them"),
        ([0.5, 0.5], [0.4, 0.6], "one frequency per class, 3 along axis -1, got 2"),
        ([[0.7, 0.2, 0.1]], TARGET, "source must have one frequency per class, shape (K,), got shape (1, 3)"),
    ],
)
def test_refuses_impossible_frequencies(source, target, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        adjust_prior(np.zeros((2, 3)), source, target)


def test_other_errors():
    with pytest.raises(InvalidInputError, match=r"strength must be .* got -1; to go back, exchange source"):
        adjust_prior(np.zeros(3), SOURCE, TARGET, -1)
    with pytest.raises(UnsupportedTypeError, match="source must be real numbers, got dtype"):
        adjust_prior(np.zeros(3), ["a", "b", "c"], TARGET)
    with pytest.raises(np.exceptions.AxisError):
        adjust_prior(np.zeros(3), SOURCE, TARGET, axis=1)
    with pytest.raises(np.exceptions.AxisError):
        adjust_prior(0.0, SOURCE, TARGET)


def perturbed(x, source, target, strength, axis):
    """Return central differences of a weighted sum of the result, by each frequency of source and target."""
    step, weight = 1e-6, np.cos(np.arange(x.size)).reshape(x.shape)

    def energy(source, target):
        # the frequencies are divided by their sum, as what is perturbed no longer sums to 1
        shift = strength * (np.log(target / target.sum()) - np.log(source / source.sum()))
        return (weight * (x + np.expand_dims(shift, 1 - axis))).sum()

    moves = step * np.eye(source.size)
    return (
        [(energy(source + one, target) - energy(source - one, target)) / (2 * step) for one in moves],
        [(energy(source, target + one) - energy(source, target - one)) / (2 * step) for one in moves],
    )


@pytest.mark.parametrize("learned", [("source",), ("target",), ("source", "target")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_frequencies_that_are_learned_get_their_gradient_and_change_no_value(learned, dtype, axis):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(5).normal(size=(3, 3))
    logits = torch.tensor(x, dtype=getattr(torch, dtype))
    given = {"source": torch.tensor(SOURCE), "target": torch.tensor(TARGET)}
    constant = adjust_prior(logits, **given, strength=0.7, axis=axis)
    for name in learned:
        given[name].requires_grad_()
    result = adjust_prior(logits, **given, strength=0.7, axis=axis)
    torch.testing.assert_close(result, constant, rtol=4 * torch.finfo(constant.dtype).eps, atol=0)
    weight = torch.cos(torch.arange(x.size)).view(3, 3)
    found = torch.autograd.grad((weight * result).sum(), [given[name] for name in learned])
    expected = dict(zip(given, perturbed(x, SOURCE, TARGET, 0.7, axis), strict=True))
    for name, one in zip(learned, found, strict=True):
        np.testing.assert_allclose(one, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own
def test_forward_mode_and_rounded_frequencies_of_tensors():
    torch = pytest.importorskip("torch")
    logits, source, target = torch.zeros(1, 3), torch.tensor(SOURCE), torch.tensor(TARGET)
    direction = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(source, direction)
        moved = torch.autograd.forward_ad.unpack_dual(adjust_prior(logits, dual, target)).tangent
    np.testing.assert_allclose(moved[0], direction.sum() - direction / source, rtol=1e-6)
    single = torch.tensor(SOURCE, dtype=torch.float32)
    exact = adjust_prior(logits.double(), single, target)
    for frequencies in (single.clone().requires_grad_(), torch.nn.Parameter(single)):
        found = adjust_prior(logits.double(), frequencies, target)
        torch.testing.assert_close(found, exact, rtol=1e-14, atol=0)


def test_frequencies_that_are_learned_are_checked_and_may_be_zero():
    torch = pytest.importorskip("torch")
    learned = torch.tensor([0.7, 0.2, 0.2], requires_grad=True)
    with pytest.raises(InvalidInputError, match=r"source must sum to 1, got 1\.1; divide counts"):
        adjust_prior(torch.zeros(3), learned, TARGET)
    target = torch.tensor([0.4, 0.6, 0.0], requires_grad=True)
    result = adjust_prior(torch.zeros(3), SOURCE, target)
    assert result[2] == -torch.inf
    (gradient,) = torch.autograd.grad(torch.softmax(result, 0)[0], target)
    assert torch.isfinite(gradient).all()
    assert isinstance(adjust_prior(np.zeros(3), SOURCE, target), np.ndarray)


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
def test_rounded_frequencies_are_judged_by_their_own_dtype(library):
    xp = pytest.importorskip(library)
    fifteenths = xp.asarray([1, 2, 3, 4, 5], dtype=xp.float32) / 15
    rounded, logits = xp.asarray(fifteenths, dtype=xp.bfloat16), xp.zeros((1, 5))
    assert abs(float(rounded.sum(dtype=xp.float32)) - 1) > 1e-3
    found = adjust_prior(logits, rounded, rounded)
    np.testing.assert_allclose(np.asarray(found), 0, atol=1e-6)
    with pytest.raises(InvalidInputError, match=r"source must sum to 1, got 1\.00"):
        adjust_prior(logits, xp.asarray(rounded, dtype=xp.float32), fifteenths)
