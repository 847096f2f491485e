"""Margins against the closed forms of ArcFace and CosFace in many digits."""

import math
import re

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch

from softmaxlib import margin, margin_vjp
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

rng = np.random.default_rng(4)
COSINE = rng.uniform(-1, 1, size=(60, 5))
TARGET = rng.integers(5, size=60)
CHOSEN = np.eye(5, dtype=bool)[TARGET]
NAMED = {
    "ArcFace": {"scale": 64.0, "angular": 0.5},
    "CosFace": {"scale": 64.0, "additive": 0.35},
    "both": {"scale": 30.0, "angular": 0.3, "additive": 0.2},
    "none": {"scale": 16.0},
    "widest": {"scale": 1.0, "angular": float(np.pi)},
}


def exact(cosine: float, scale: float, angular: float = 0.0, additive: float = 0.0) -> mpmath.mpf:
    """The target's logit, from the angle itself."""
    angle = mpmath.acos(mpmath.mpf(cosine)) + mpmath.mpf(angular)
    moved = mpmath.cos(angle) if angle <= mpmath.pi else -2 - mpmath.cos(angle)
    return scale * (moved - mpmath.mpf(additive))


@pytest.mark.parametrize("options", NAMED.values(), ids=NAMED)
def test_closed_forms(options):
    result = margin(COSINE, TARGET, **options)
    np.testing.assert_allclose(result[~CHOSEN], options["scale"] * COSINE[~CHOSEN], rtol=3e-16)
    with mpmath.workdps(40):
        truth = [float(exact(float(value), **options)) for value in COSINE[CHOSEN]]
    np.testing.assert_allclose(result[CHOSEN], truth, atol=1e-15 * options["scale"])


@pytest.mark.parametrize("options", NAMED.values(), ids=NAMED)
def test_derivative_against_mpmath(options):
    cotangent = rng.normal(size=COSINE.shape)
    result = margin_vjp(COSINE, TARGET, cotangent, **options)
    np.testing.assert_allclose(result[~CHOSEN], options["scale"] * cotangent[~CHOSEN], rtol=1e-15)
    with mpmath.workdps(40):
        slope = [float(mpmath.diff(lambda c: exact(c, **options), float(value))) for value in COSINE[CHOSEN]]
    np.testing.assert_allclose(result[CHOSEN], np.array(slope) * cotangent[CHOSEN], rtol=1e-12)


@pytest.mark.parametrize("options", NAMED.values(), ids=NAMED)
def test_falls_with_the_angle_throughout(options):
    cosine = np.linspace(1, -1, 2001)[:, None]
    target_logit = margin(cosine, np.zeros(2001, int), **options)[:, 0]
    assert (np.diff(target_logit) < 0).all()
    assert (target_logit <= options["scale"] * cosine[:, 0] + 1e-12).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("edge", [1.0, -1.0, 1.0 + 1e-6, -1.0 - 1e-6])
def test_derivative_is_finite_at_the_poles(edge, dtype):
    cosine = np.array([[edge, 0.5]], dtype)
    ours = margin_vjp(cosine, [0], np.ones((1, 2), dtype), scale=64.0, angular=0.5)
    assert np.isfinite(ours).all()
    assert np.isfinite(margin(cosine, [0], scale=64.0, angular=0.5)).all()
    tensor = torch.tensor(cosine, requires_grad=True)
    margin(tensor, torch.tensor([0]), scale=64.0, angular=0.5).sum().backward()
    assert torch.isfinite(tensor.grad).all()
    if dtype == np.float64:
        np.testing.assert_allclose(tensor.grad.numpy(), ours, rtol=1e-12)


def test_automatic_differentiation_agrees():
    cotangent = rng.normal(size=COSINE.shape)
    for options in NAMED.values():
        ours = margin_vjp(COSINE, TARGET, cotangent, **options)
        tensor = torch.tensor(COSINE, requires_grad=True)
        margin(tensor, torch.tensor(TARGET), **options).backward(torch.tensor(cotangent))
        np.testing.assert_allclose(tensor.grad.numpy(), ours, rtol=1e-12)

    def loss(cosine, target):
        return (margin(cosine, target, **options) * cotangent.astype(np.float32)).sum()

    gradient = jax.jit(jax.grad(loss))(jnp.asarray(COSINE, jnp.float32), jnp.asarray(TARGET, jnp.int32))
    np.testing.assert_allclose(gradient, ours, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("options", NAMED.values(), ids=NAMED)
def test_second_derivative(options):
    """Of cos(theta + m) by c = cos(theta): sin(m) / sin(theta)^3, and the opposite beyond pi."""
    target, cosine = torch.tensor(TARGET), torch.tensor(COSINE, requires_grad=True)
    (first,) = torch.autograd.grad(margin(cosine, target, **options).sum(), cosine, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), cosine)
    angular, expected = options.get("angular", 0.0), np.zeros_like(COSINE)
    for row, chosen in enumerate(TARGET):
        c = COSINE[row, chosen]
        curve = options["scale"] * math.sin(angular) / (1 - c * c) ** 1.5
        expected[row, chosen] = -curve if c < -math.cos(angular) else curve
    np.testing.assert_allclose(second, expected, rtol=1e-9)


def test_axis_and_more_dimensions():
    cosine = rng.uniform(-1, 1, size=(2, 5, 3))
    target = rng.integers(5, size=(2, 3))
    result = margin(cosine, target, scale=8.0, angular=0.2, axis=1)
    rows = margin(np.moveaxis(cosine, 1, 2).reshape(6, 5), target.ravel(), scale=8.0, angular=0.2)
    np.testing.assert_array_equal(result, np.moveaxis(rows.reshape(2, 3, 5), 2, 1))
    one = margin(cosine[0, :, 0], target[0, 0], scale=8.0, angular=0.2)
    np.testing.assert_array_equal(one, result[0, :, 0])


def test_nan_stays_where_it_is():
    result = margin(np.array([[np.nan, 0.5], [0.5, 0.25]]), [0, 0], scale=2.0)
    np.testing.assert_array_equal(result, [[np.nan, 1], [1, 0.5]])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[0.5, 2.0]], [0]), {}, "cosine must lie in -1 to 1, got 2.0 at (0, 1); normalise features"),
        (([[0.5, 0.2]], [2]), {}, "target must lie in 0 to 1 (2 classes), got 2 in row 0"),
        (([[0.5, 0.2]], [-1]), {}, "target must lie in 0 to 1 (2 classes), got -1 in row 0"),
        (([[0.5, 0.2]], [0, 1]), {}, "target must have one class index per row, shape (1,), got shape (2,)"),
        (
            ([[0.5, 0.2]], [0]),
            {"angular": 28.6},
            "angular must lie in 0 to pi radians, got 28.6; convert degrees",
        ),
        (([[0.5, 0.2]], [0]), {"angular": -0.1}, "angular must lie in 0 to pi radians, got -0.1"),
        (([[0.5, 0.2]], [0]), {"additive": np.inf}, "additive must be finite, got inf; 0 is no margin"),
        (
            ([[0.5, 0.2]], [0]),
            {"scale": 0},
            "scale must be finite and above 0, got 0; ArcFace and CosFace use 64",
        ),
    ],
)
def test_refuses(arguments, options, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        margin(*arguments, **{"scale": 64.0, **options})


def test_refuses_other_types():
    with pytest.raises(UnsupportedTypeError, match="target must be integer class indices, got dtype float64"):
        margin([[0.5, 0.2]], [0.5], scale=1.0)
    with pytest.raises(
        UnsupportedTypeError, match=r"target must be integer class indices, got dtype float32"
    ):
        margin(torch.ones(1, 2), torch.ones(1), scale=1.0)
    with pytest.raises(np.exceptions.AxisError):
        margin(0.5, 0, scale=1.0)
