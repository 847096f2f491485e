"""sparsemax and entmax: their optimality conditions, another library, and their limits."""

import entmax as peer
import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch

from softmaxlib import (
    _generic,
    entmax,
    entmax_vjp,
    gumbel_softmax,
    gumbel_softmax_vjp,
    hardmax,
    softmax,
    softmax_jvp,
    sparsemax,
    sparsemax_vjp,
)
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

ORDERS = [1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 4.0]
DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def families() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "normal": rng.normal(size=(40, 17)),
        "flat": rng.normal(scale=1e-3, size=(10, 300)),
        "peaked": rng.normal(scale=30, size=(40, 17)),
        "ties": rng.integers(-2, 3, size=(40, 9)) / 4.0,
        "equal": np.full((2, 1000), 3.25),
        "two": rng.normal(size=(40, 2)),
        "one": rng.normal(size=(3, 1)),
        "long": rng.normal(scale=2, size=(2, 20_000)),
        "huge offset": rng.normal(size=(10, 9)) + 1e6,
        "largest numbers": np.array([[1.7e308, -1.7e308, 1.7e308], [1e308, 0, -1e308]]),
        "holes": np.where(rng.random((20, 12)) < 0.3, -np.inf, rng.normal(size=(20, 12))),
    }


FAMILIES = families()


def simplex_points(alpha: float, x: np.ndarray) -> np.ndarray:
    return sparsemax(x) if alpha == 2 else entmax(x, alpha)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("alpha", ORDERS)
def test_optimality_conditions(alpha, family):
    """One tau a row serves the whole support: (alpha - 1) x - p^(alpha - 1); no one outside exceeds it."""
    x = FAMILIES[family]
    p = simplex_points(alpha, x)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-13)
    with np.errstate(over="ignore"):  # the largest numbers lie further apart than their type reaches
        shifted = (alpha - 1) * (x - x.max(axis=1, keepdims=True))
    multiplier = shifted - p ** (alpha - 1)
    tau = np.where(p == p.max(axis=1, keepdims=True), multiplier, -np.inf).max(axis=1, keepdims=True)
    np.testing.assert_allclose(
        np.where(p > 1e-200, multiplier, tau), np.broadcast_to(tau, p.shape), atol=1e-14
    )
    assert (np.where(p == 0, shifted, -np.inf) <= tau + 1e-14).all()


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("holes", "largest numbers")])
@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0])
def test_agrees_with_the_entmax_package(alpha, family):
    x = FAMILIES[family]
    exact = {1.5: peer.entmax15, 2.0: peer.sparsemax}.get(alpha)
    tensor = torch.tensor(x)
    theirs = exact(tensor, dim=-1) if exact else peer.entmax_bisect(tensor, alpha, dim=-1, n_iter=60)
    np.testing.assert_allclose(
        simplex_points(alpha, x), theirs.numpy(), atol=1e-9 if "huge" in family else 1e-12
    )


def exact_row(x: list[float], alpha: float) -> list[mpmath.mpf]:
    """The point by bisection in 50 digits."""
    z = [(mpmath.mpf(alpha) - 1) * mpmath.mpf(value) for value in x]
    low, high = max(z) - 1, max(z)
    power = 1 / (mpmath.mpf(alpha) - 1)
    for _ in range(170):
        middle = (low + high) / 2
        if mpmath.fsum((v - middle) ** power for v in z if v > middle) >= 1:
            low = middle
        else:
            high = middle
    return [(v - low) ** power if v > low else mpmath.mpf(0) for v in z]


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0])
def test_accuracy_against_mpmath(alpha):
    with mpmath.workdps(50):
        for x in FAMILIES["normal"][:10]:
            truth = np.array([float(value) for value in exact_row(x.tolist(), alpha)])
            np.testing.assert_allclose(simplex_points(alpha, x), truth, rtol=0, atol=4e-16)
            narrow = simplex_points(alpha, x.astype(np.float32))
            truth = np.array([float(value) for value in exact_row(x.astype(np.float32).tolist(), alpha)])
            assert (np.abs(narrow - truth) <= 0.51 * np.spacing(np.maximum(narrow, 1e-6))).all()


def test_known_values():
    np.testing.assert_array_equal(sparsemax([1.0, 0.5, -1.0]), [0.75, 0.25, 0])
    np.testing.assert_array_equal(sparsemax([3.0, 1.9, 0.0]), [1, 0, 0])
    np.testing.assert_array_equal(sparsemax([0, 0, 0, 0]), [0.25] * 4)
    # two classes apart by d: sqrt(p) and sqrt(1 - p) differ by d / 2
    root = entmax(np.array([1.0, 0.0])) ** 0.5
    assert root[0] - root[1] == pytest.approx(0.5, abs=1e-15)


def test_order_one_is_softmax():
    x = FAMILIES["normal"]
    np.testing.assert_allclose(entmax(x, 1.0), softmax(x), rtol=4e-16)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
def test_approaches_softmax_as_the_order_approaches_one(gap):
    x = FAMILIES["normal"]
    np.testing.assert_allclose(entmax(x, 1 + gap), softmax(x), atol=10 * gap + 1e-15)


def test_approaches_hardmax_as_the_order_grows():
    x = FAMILIES["normal"]
    p = entmax(x, 400.0)
    np.testing.assert_array_equal(hardmax(p), hardmax(x))


def test_general_order_joins_the_closed_forms():
    x = FAMILIES["normal"]
    np.testing.assert_allclose(entmax(x, np.nextafter(1.5, 2)), entmax(x, 1.5), atol=1e-14)
    np.testing.assert_allclose(entmax(x, np.nextafter(2.0, 3)), sparsemax(x), atol=1e-14)
    np.testing.assert_array_equal(entmax(x, 2), sparsemax(x))


@pytest.mark.parametrize("alpha", ORDERS)
@pytest.mark.parametrize("axis", [0, 1, (0, 2), None])
def test_axis_against_moved_rows(alpha, axis):
    x = np.random.default_rng(8).normal(size=(3, 4, 5))
    result = entmax(x, alpha, axis=axis)
    if axis is None:
        expected = entmax(x.ravel(), alpha).reshape(x.shape)
    elif isinstance(axis, tuple):
        rows = x.transpose(1, 0, 2).reshape(4, 15)
        expected = entmax(rows, alpha).reshape(4, 3, 5).transpose(1, 0, 2)
    else:
        expected = np.moveaxis(entmax(np.moveaxis(x, axis, -1), alpha), -1, axis)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("alpha", [1.0, *ORDERS])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_edges(alpha, dtype):
    x = np.array([[np.nan, 1, 2], [-np.inf] * 3, [-np.inf, 1, np.inf], [-np.inf, 1, 1]], dtype)
    result = entmax(x, alpha)
    assert result.dtype == dtype
    expected = [[np.nan] * 3, [np.nan] * 3, [np.nan] * 3, [0, 0.5, 0.5]]
    np.testing.assert_allclose(result.astype(float), expected, rtol=3e-16)
    assert entmax(np.zeros((2, 0), dtype), alpha).shape == (2, 0)
    assert entmax(np.zeros((0, 2), dtype), alpha).shape == (0, 2)
    finite = np.array([float(ml_dtypes.finfo(dtype).max), float(ml_dtypes.finfo(dtype).min), 0], dtype)
    np.testing.assert_array_equal(entmax(finite, alpha).astype(float), [1, 0, 0])


@pytest.mark.parametrize("alpha", [1.0, *ORDERS])
def test_mask_is_the_smaller_problem(alpha):
    x = FAMILIES["normal"][:5].copy()
    where = np.arange(17) % 3 != 0
    x[:, ~where] = [[np.nan, np.inf, -np.inf, 9, np.nan, 1]]
    result = entmax(x, alpha, where=where)
    np.testing.assert_allclose(result[:, where], entmax(x[:, where], alpha), atol=3e-16)
    np.testing.assert_array_equal(result[:, ~where], 0)
    np.testing.assert_array_equal(entmax(x, alpha, where=np.zeros((5, 1), bool)), 0)
    np.testing.assert_array_equal(entmax_vjp(result, x, alpha, where=where)[:, ~where], 0)


@pytest.mark.parametrize("alpha", [1.0, *ORDERS])
def test_vjp_against_differences(alpha):
    """Central differences in long double, away from rows whose support is about to change."""
    rng = np.random.default_rng(9)
    x, direction, cotangent = rng.normal(size=(3, 60, 7))
    p = entmax(x, alpha)
    step = np.longdouble(1e-5)
    ahead = entmax(x.astype(np.longdouble) + step * direction, alpha)
    behind = entmax(x.astype(np.longdouble) - step * direction, alpha)
    steady = ((ahead > 0) == (behind > 0)).all(axis=1) & (np.where(p > 0, p, 1).min(axis=1) > 1e-2)
    assert steady.sum() >= 10
    expected = (cotangent * (ahead - behind) / (2 * step)).sum(axis=1)
    result = (direction * entmax_vjp(p, cotangent, alpha)).sum(axis=1)
    np.testing.assert_allclose(result[steady], expected[steady].astype(float), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("alpha", [1.25, 1.5, 2.0])
def test_vjp_agrees_with_the_entmax_package(alpha):
    rng = np.random.default_rng(10)
    x, cotangent = rng.normal(size=(2, 20, 9))
    tensor = torch.tensor(x, requires_grad=True)
    exact = {1.5: peer.entmax15, 2.0: peer.sparsemax}.get(alpha)
    theirs = exact(tensor, dim=-1) if exact else peer.entmax_bisect(tensor, alpha, dim=-1, n_iter=60)
    theirs.backward(torch.tensor(cotangent))
    ours = entmax_vjp(entmax(x, alpha), cotangent, alpha)
    np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-10)
    if alpha == 2:
        np.testing.assert_array_equal(ours, sparsemax_vjp(sparsemax(x), cotangent))


def test_vjp_of_order_one_is_that_of_softmax():
    rng = np.random.default_rng(11)
    x, cotangent = rng.normal(size=(2, 20, 9))
    p = softmax(x)
    np.testing.assert_array_equal(entmax_vjp(p, cotangent, 1.0), softmax_jvp(p, cotangent))


def test_vjp_rows_sum_to_zero_and_nan_stays_in_its_row():
    p = sparsemax(np.array([[1.0, 0.5, -3.0], [np.nan, 1.0, 2.0]]))
    result = sparsemax_vjp(p, np.array([[1.0, 4.0, np.nan], [1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(result, [[-1.5, 1.5, 0], [np.nan] * 3])


def test_errors():
    for alpha in (0, -1, np.nan, np.inf, [0.5, 1.0, 0.0]):
        with pytest.raises(
            InvalidInputError, match=r"alpha must be finite and above 0, got .* 2 is sparsemax"
        ):
            entmax([1.0, 2.0], alpha)
    with pytest.raises(UnsupportedTypeError, match=r"alpha must be real numbers, got dtype str; convert it"):
        entmax_vjp([1.0, 0.0], [1.0, 2.0], "big")
    with pytest.raises(np.exceptions.AxisError):
        sparsemax(1.0)
    with pytest.raises(UnsupportedTypeError, match="x must be real numbers, got dtype complex128"):
        sparsemax([1j])


ORDERS = [0.05, 0.4, 1.0, 0.999, 1.0001, 1.2, 1.5, 2.0, 2.7, 5.0]


def exact_entmax(row, alpha):
    """entmax by bisection in 50 digits; alpha may be on either side of 1."""
    with mpmath.workdps(50):
        x, order = [mpmath.mpf(float(v)) for v in row], mpmath.mpf(alpha) - 1
        top = max(x)
        if order == 0:
            weights = [mpmath.exp(v - top) for v in x]
            return [w / mpmath.fsum(weights) for w in weights]

        def at(c):
            bases = [1 + order * (v - top) - c for v in x]
            return [base ** (1 / order) if base > 0 else mpmath.mpf(0) for base in bases]

        low, high = mpmath.mpf(0), 1 - mpmath.mpf(len(x)) ** (-order)
        for _ in range(160):
            middle = (low + high) / 2
            low, high = (middle, high) if mpmath.fsum(at(middle)) >= 1 else (low, middle)
        return at(low)


def rows_of_orders():
    return np.random.default_rng(0).normal(scale=2, size=(len(ORDERS), 7)), np.array(ORDERS)


@pytest.mark.parametrize("shape", [(len(ORDERS),), (len(ORDERS), 1)])
def test_an_order_for_each_row(shape):
    x, alpha = rows_of_orders()
    truth = np.array([[float(p) for p in exact_entmax(*pair)] for pair in zip(x, ORDERS, strict=True)])
    np.testing.assert_allclose(entmax(x, alpha.reshape(shape)), truth, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(entmax(x.T, alpha, 0), truth.T, rtol=1e-13, atol=1e-15)
    for row, order, expected in zip(x, ORDERS, truth, strict=True):
        np.testing.assert_allclose(entmax(row, order), expected, rtol=1e-13, atol=1e-15)
    with jax.enable_x64(True):
        for array in (torch.from_numpy, jnp.asarray):
            given = np.asarray(entmax(array(x), array(alpha.reshape(shape))))
            np.testing.assert_allclose(given, truth, rtol=1e-13, atol=1e-15)


def test_an_order_for_each_head():
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    alpha = np.array([1.2, 1.5, 0.7])
    result = entmax(x, alpha[:, None, None])
    for head, order in enumerate(alpha):
        np.testing.assert_allclose(result[:, head], entmax(x[:, head], order), rtol=1e-13, atol=1e-16)


def test_the_derivative_by_the_order_is_that_of_exact_differences():
    x, alpha = (one[::2, ...] for one in rows_of_orders())
    g = np.random.default_rng(2).normal(size=x.shape)
    with mpmath.workdps(50):
        step = mpmath.mpf(10) ** -15
        slopes = []
        for row, order, weights in zip(x, alpha, g, strict=True):
            up, down = (exact_entmax(row, mpmath.mpf(float(order)) + side * step) for side in (1, -1))
            terms = (float(w) * (a - b) for w, a, b in zip(weights, up, down, strict=True))
            slopes.append(float(mpmath.fsum(terms) / (2 * step)))
    leaf = torch.from_numpy(alpha.copy()).requires_grad_()
    (entmax(torch.from_numpy(x), leaf) * torch.from_numpy(g)).sum().backward()
    np.testing.assert_allclose(leaf.grad.numpy(), slopes, rtol=1e-12, atol=1e-14)
    with jax.enable_x64(True):
        of_jax = jax.jit(jax.grad(lambda a: (entmax(jnp.asarray(x), a) * g).sum()))(jnp.asarray(alpha))
        np.testing.assert_allclose(of_jax, slopes, rtol=1e-12, atol=1e-14)


def test_a_learned_order_is_differentiated_twice_on_tensors():
    x, alpha = rows_of_orders()
    some = [0, 1, 2, 5, 6]  # smooth inside the support: differences mean something
    leaves = [torch.from_numpy(one[some].copy()).requires_grad_() for one in (x, alpha)]
    assert torch.autograd.gradcheck(entmax, leaves)
    assert torch.autograd.gradgradcheck(entmax, leaves)


def test_vjp_of_an_order_for_each_row():
    x, alpha = rows_of_orders()
    g = np.random.default_rng(3).normal(size=x.shape)
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    (entmax(leaf, torch.from_numpy(alpha)) * torch.from_numpy(g)).sum().backward()
    np.testing.assert_allclose(
        entmax_vjp(entmax(x, alpha), g, alpha), leaf.grad.numpy(), rtol=1e-11, atol=1e-14
    )


@pytest.mark.parametrize("alpha", [1.3, 1.5, 2.5])
def test_a_large_array_has_the_bits_of_its_rows(alpha):
    x = np.random.default_rng(8).normal(size=(3000, 100))
    large, rows = entmax(x, alpha), [0, 1, 655, 656, 1310, 2999]
    np.testing.assert_array_equal(large[rows], entmax(x[rows], alpha))


def test_masks_axes_and_orders_of_a_large_array():
    rng = np.random.default_rng(9)
    x, where = rng.normal(size=(20, 40, 400)), rng.random((20, 40, 1)) < 0.8
    alpha = rng.uniform(0.8, 2.5, size=(20, 1, 400))
    large = entmax(x, alpha, 1, where=where)
    for part in (slice(0, 3), slice(17, 20)):
        expected = entmax(x[part], alpha[part], 1, where=where[part])
        np.testing.assert_allclose(large[part], expected, rtol=1e-12, atol=1e-15)
    both = entmax(x, 1.2, (0, 2))
    np.testing.assert_allclose(both[:, 7], entmax(x[:, 7], 1.2, None), rtol=1e-12, atol=1e-15)
    assert entmax(x.astype(np.float32), 1.2, 0).dtype == np.float32


@pytest.mark.parametrize("call", ["entmax", "gumbel_softmax", "gumbel_softmax_vjp", "hardmax"])
def test_between_blocks_of_rows_control_c_is_answered(call, monkeypatch):
    """Python answers Ctrl-C between two calls of NumPy, so the definition sees a few rows at a time."""
    x, sizes = np.zeros((3000, 100)), []
    definition = getattr(_generic, call)

    def recorded(xp, rows, *others, **options):
        sizes.append(rows.size)
        if len(sizes) == 2:
            raise KeyboardInterrupt
        return definition(xp, rows, *others, **options)

    monkeypatch.setattr(_generic, call, recorded)
    calls = {
        "entmax": lambda: entmax(x, 1.3),
        "gumbel_softmax": lambda: gumbel_softmax(x, 0.5, seed=1),
        "gumbel_softmax_vjp": lambda: gumbel_softmax_vjp(x, x, 0.5, seed=1),
        "hardmax": lambda: hardmax(x),
    }
    with pytest.raises(KeyboardInterrupt):
        calls[call]()
    assert max(sizes) <= 1 << 16


@pytest.mark.parametrize(
    "call", [entmax, sparsemax, lambda x: entmax(x, 1.3), lambda x: gumbel_softmax(x, 1, seed=1)]
)
def test_rows_of_different_lengths_are_refused(call):
    with pytest.raises(
        InvalidInputError, match="x must be a rectangular array, got setting an array element"
    ):
        call([[1.0, 2.0], [3.0]])
