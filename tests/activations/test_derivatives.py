import mpmath
import numpy as np
import pytest

from softmaxlib import log_softmax_jvp, log_softmax_vjp, softmax, softmax_jacobian, softmax_jvp
from softmaxlib.errors import InvalidInputError

rng = np.random.default_rng(3)
LOGITS = [rng.normal(scale=scale, size=(4, 6)) for scale in (0.1, 1, 5)]
CONFIDENT = [np.array([[0, -margin, -margin - 1.5]]) for margin in (5.0, 20.0, 40.0, 100.0, 700.0)]


def matrix(x: np.ndarray, row: int) -> tuple[list, list]:
    """Probabilities and softmax Jacobian of one row, in many digits."""
    weight = [mpmath.exp(mpmath.mpf(float(value))) for value in x[row]]
    p = [value / mpmath.fsum(weight) for value in weight]
    jacobian = [[p[i] * ((i == j) - p[j]) for j in range(len(p))] for i in range(len(p))]
    return p, jacobian


def exact(x: np.ndarray, vector: np.ndarray, kind: str) -> np.ndarray:
    result = np.empty(x.shape)
    with mpmath.workdps(400):  # margins of 700 nats
        for row in range(x.shape[0]):
            p, jacobian = matrix(x, row)
            v = [mpmath.mpf(float(value)) for value in vector[row]]
            for i in range(len(p)):
                if kind == "softmax":
                    terms = [jacobian[i][j] * v[j] for j in range(len(p))]
                elif kind == "log_softmax_jvp":
                    terms = [((i == j) - p[j]) * v[j] for j in range(len(p))]
                else:
                    terms = [((i == j) - p[i]) * v[j] for j in range(len(p))]
                result[row, i] = float(mpmath.fsum(terms))
    return result


FUNCTIONS = {"softmax": softmax_jvp, "log_softmax_jvp": log_softmax_jvp, "log_softmax_vjp": log_softmax_vjp}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("x", LOGITS, ids=["flat", "plain", "peaked"])
def test_against_the_exact_jacobian(kind, x):
    vector = rng.normal(size=x.shape)
    result = FUNCTIONS[kind](softmax(x), vector)
    np.testing.assert_allclose(result, exact(x, vector, kind), rtol=0, atol=1e-15 * np.abs(vector).sum())


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("x", CONFIDENT, ids=lambda x: str(x[0, 1]))
def test_confident_rows_keep_their_digits(kind, x):
    """1 - p of the first class is 0 in floating point, yet its derivative is right to 1e-14."""
    vector = np.array([[-1.0, 0.25, 0.0]])
    result = FUNCTIONS[kind](softmax(x), vector)
    np.testing.assert_allclose(result, exact(x, vector, kind), rtol=1e-14)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_against_complex_step(kind):
    """The derivative of an analytic function along v is the imaginary part of f(x + i h v) / h."""
    x, vector = LOGITS[1], rng.normal(size=LOGITS[1].shape)
    step = 1e-30

    def complex_softmax(z):
        weight = np.exp(z - z.real.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)

    if kind == "log_softmax_vjp":  # backwards: the gradient of sum(v log p), entry by entry
        columns = []
        for k in range(x.shape[1]):
            z = x.astype(complex)
            z[:, k] += 1j * step
            columns.append((vector * np.log(complex_softmax(z))).sum(axis=1).imag / step)
        expected = np.stack(columns, axis=1)
    else:
        p = complex_softmax(x + 1j * step * vector)
        expected = (p if kind == "softmax" else np.log(p)).imag / step
    np.testing.assert_allclose(FUNCTIONS[kind](softmax(x), vector), expected, rtol=1e-13, atol=1e-15)


def test_float32_gradient_within_2_ulp_of_the_exact_one():
    x = rng.normal(scale=3, size=(30, 10)).astype(np.float32)
    p = softmax(x.astype(np.float64))
    cotangent = -np.eye(10)[rng.integers(10, size=30)]
    result = log_softmax_vjp(p.astype(np.float32), cotangent.astype(np.float32))
    assert result.dtype == np.float32
    truth = exact(x, cotangent, "log_softmax_vjp")
    ulp = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    assert (np.abs(result - truth) / ulp).max() <= 2


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), None])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_axis_against_moved_rows(kind, axis):
    x = rng.normal(size=(3, 4, 5))
    vector = rng.normal(size=x.shape)
    function = FUNCTIONS[kind]
    result = function(softmax(x, axis=axis), vector, axis=axis)
    axes = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis % 3,)
    order = tuple(i for i in range(3) if i not in axes) + axes
    shape = tuple(x.shape[i] for i in order)
    rows = [value.transpose(order).reshape(-1, np.prod(shape[3 - len(axes) :])) for value in (x, vector)]
    expected = function(softmax(rows[0]), rows[1]).reshape(shape).transpose(np.argsort(order))
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_mask_is_the_smaller_problem(kind):
    x, vector = LOGITS[1], rng.normal(size=LOGITS[1].shape)
    where = np.array([True, False, True, True, False, True])
    poisoned = np.where(where, vector, np.nan)
    result = FUNCTIONS[kind](softmax(x, where=where), poisoned, where=where)
    expected = FUNCTIONS[kind](softmax(x[:, where]), vector[:, where])
    np.testing.assert_allclose(result[:, where], expected, rtol=1e-13, atol=1e-16)
    np.testing.assert_array_equal(result[:, ~where], 0)
    nothing = np.zeros(6, bool)
    np.testing.assert_array_equal(FUNCTIONS[kind](np.zeros((2, 6)), poisoned[:2], where=nothing), 0)


def test_nan_stays_in_its_row():
    p = softmax(np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]))
    for function in FUNCTIONS.values():
        result = function(p, np.ones((2, 3)))
        assert np.isnan(result[0]).all()
        assert np.isfinite(result[1]).all()


def test_softmax_derivative_is_symmetric():
    p = softmax(LOGITS[1])
    left, right = rng.normal(size=(2, *p.shape))
    np.testing.assert_allclose((left * softmax_jvp(p, right)).sum(1), (right * softmax_jvp(p, left)).sum(1))


def test_log_softmax_products_are_adjoint():
    p = softmax(LOGITS[1])
    left, right = rng.normal(size=(2, *p.shape))
    forward = (left * log_softmax_jvp(p, right)).sum(1)
    np.testing.assert_allclose(forward, (right * log_softmax_vjp(p, left)).sum(1))


@pytest.mark.parametrize("x", [*LOGITS, *CONFIDENT], ids=str)
def test_jacobian_against_exact(x):
    with mpmath.workdps(400):
        expected = [
            np.array([[float(v) for v in line] for line in matrix(x, row)[1]]) for row in range(len(x))
        ]
    np.testing.assert_allclose(softmax_jacobian(softmax(x)), expected, rtol=1e-14, atol=1e-300)


def test_jacobian_known_digits():
    p = softmax(np.array([2.0, 1.0, 0.1]))
    expected = np.diag(p) - np.outer(p, p)
    np.testing.assert_allclose(softmax_jacobian(p), expected, rtol=1e-14)


@pytest.mark.parametrize("logits", [[5.0, 2.0, 0.1], [-0.1, 0.6, 0.5], [3, 1]])
def test_jacobian_of_logits_is_refused(logits):
    with pytest.raises(
        InvalidInputError, match=r"between 0 and 1, got .*; if these are logits, pass softmax"
    ):
        softmax_jacobian(logits)
    with pytest.raises(InvalidInputError, match="between 0 and 1"):
        softmax_jacobian(np.float32(logits))
    assert np.isnan(softmax_jacobian([np.nan, 0.5])).any()


def test_jacobian_shapes():
    p = softmax(rng.normal(size=(2, 3, 4)), axis=1)
    result = softmax_jacobian(p, axis=1)
    assert result.shape == (2, 4, 3, 3)
    np.testing.assert_array_equal(result[1, 2], softmax_jacobian(p[1, :, 2]))
    assert softmax_jacobian(p, axis=None).shape == (24, 24)
    assert softmax_jacobian(p, axis=(0, 2)).shape == (3, 8, 8)
    assert softmax_jacobian(np.zeros((3, 0))).shape == (3, 0, 0)
    assert softmax_jacobian(p.astype(np.float32), axis=1).dtype == np.float32
    with pytest.raises(np.exceptions.AxisError):
        softmax_jacobian(1.0)


def test_shapes_must_agree():
    with pytest.raises(InvalidInputError, match=r"tangent must have the shape of p, \(3,\), got \(2,\)"):
        softmax_jvp(np.ones(3), np.ones(2))
    with pytest.raises(InvalidInputError, match=r"cotangent must have the shape of p, \(3,\), got \(1, 3\)"):
        log_softmax_vjp(np.ones(3), np.ones((1, 3)))
