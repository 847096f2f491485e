"""The compiled derivatives against their formulas in exact arithmetic, and their bits in every layout."""

import ml_dtypes
import mpmath
import numpy as np
import pytest

import softmaxlib
from softmaxlib import _kernels

NAMES = ("softmax_jvp", "log_softmax_jvp", "log_softmax_vjp", "log_softmax_vjp_of_logarithms")
DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
LENGTHS = (1, 2, 3, 10, 16, 33, 64, 65, 130, 300)
TANGENTS = {
    "any": lambda rng, p: rng.normal(size=p.shape),
    "positive": lambda rng, p: rng.random(p.shape),
    "label": lambda rng, p: -np.eye(p.shape[-1])[rng.integers(p.shape[-1], size=len(p))],
    "wide": lambda rng, p: rng.normal(size=p.shape) * np.exp(10 * rng.normal(size=p.shape)),
    "huge": lambda rng, p: rng.uniform(-3e38, 3e38, size=p.shape),
    "tiny": lambda rng, p: 1e-30 * rng.normal(size=p.shape),
}


def derivative(name, values, tangent, axis=-1, where=None, out=None):
    return getattr(_kernels, name)(values, tangent, axis, where, out)


def rows(name, classes, spread, dtype=np.float32, count=2, seed=0):
    """Probabilities, or their logarithms, as the kernels themselves give them."""
    rng = np.random.default_rng([classes, int(10 * spread), seed])
    logits = (spread * rng.normal(size=(count, classes))).astype(dtype)
    function = softmaxlib.log_softmax if name.endswith("logarithms") else softmaxlib.softmax
    return function(logits), rng


def exact(name, values, tangent):
    """One row of the formula, as mpmath numbers, and what the difference in each entry is taken from."""
    x, t = ([mpmath.mpf(float(value)) for value in row] for row in (values, tangent))
    confident = [k for k, value in enumerate(x) if value > 0.5]
    total = mpmath.fsum(t)
    if name == "log_softmax_vjp_of_logarithms":
        p = [mpmath.exp(value) for value in x]
        return [g - q * total for g, q in zip(t, p, strict=True)], [abs(q * total) for q in p]
    if name == "log_softmax_vjp":
        result = [g - q * total for g, q in zip(t, x, strict=True)]
        for k in confident:
            others = [mpmath.fsum(row[:k] + row[k + 1 :]) for row in (x, t)]
            result[k] = others[0] * t[k] - x[k] * others[1]
        return result, [mpmath.mpf(0)] * len(x)
    reference = t[confident[0] if confident else 0]
    mean = reference + mpmath.fsum(q * (g - reference) for q, g in zip(x, t, strict=True))
    factor = x if name == "softmax_jvp" else [1] * len(x)
    return [q * (g - mean) for q, g in zip(factor, t, strict=True)], [mpmath.mpf(0)] * len(x)


def errors_in_ulp(name, values, tangent, result, slack):
    worst = 0.0
    with mpmath.workprec(1200):  # terms from 1e38 to 1e-45 side by side, and what is left of them
        for row in range(len(values)):
            for got, wanted, taken in zip(result[row], *exact(name, values[row], tangent[row]), strict=True):
                if abs(wanted) < np.finfo(values.dtype).max:
                    ulp = float(np.spacing(np.abs(values.dtype.type(float(wanted)))))
                    error = abs(mpmath.mpf(float(got)) - wanted) - slack * taken
                    worst = max(worst, float(error / ulp))
    return worst


@pytest.mark.parametrize("kind", TANGENTS)
@pytest.mark.parametrize("name", NAMES)
def test_float32_is_within_2_ulp_of_the_exact_formula(name, kind):
    """Of logarithms, where t - p G cancels: within what half a unit in the last place of x makes of it."""
    slack = 2.0**-26 if name.endswith("logarithms") else 0.0
    for classes in LENGTHS:
        for spread in (0.3, 5.0, 40.0):
            values, rng = rows(name, classes, spread)
            tangent = TANGENTS[kind](rng, values).astype(np.float32)
            result = derivative(name, values, tangent)
            assert errors_in_ulp(name, values, tangent, result, slack) <= 2, (classes, spread)


@pytest.mark.parametrize("name", NAMES)
def test_float32_of_long_rows(name):
    for classes in (4095, 4097, 9001):
        values, rng = rows(name, classes, 6.0, count=1)
        tangent = rng.normal(size=values.shape).astype(np.float32)
        result = derivative(name, values, tangent)
        slack = 2.0**-26 if name.endswith("logarithms") else 0.0
        assert errors_in_ulp(name, values, tangent, result, slack) <= 2, classes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("margin", [1.0, 8.0, 16.5, 17.5, 30.0, 80.0])
def test_confident_rows_keep_their_digits(name, margin):
    """Against the derivative by the logits themselves: a rounded probability has lost what 1 - p is."""
    logits = np.array([[0.0, -margin, -margin - 1.25]], np.float32)
    function = softmaxlib.log_softmax if name.endswith("logarithms") else softmaxlib.softmax
    values, tangent = function(logits), np.array([[-1.0, 0.25, 0.0]], np.float32)
    with mpmath.workdps(80):
        weight = [mpmath.exp(mpmath.mpf(float(x))) for x in logits[0]]
        p = [one / mpmath.fsum(weight) for one in weight]
        rows_of = {
            "softmax_jvp": lambda i, j: p[i] * ((i == j) - p[j]),
            "log_softmax_jvp": lambda i, j: (i == j) - p[j],
        }.get(name, lambda i, j: (i == j) - p[i])
        wanted = [
            float(mpmath.fsum(rows_of(i, j) * float(tangent[0, j]) for j in range(3))) for i in range(3)
        ]
    np.testing.assert_allclose(derivative(name, values, tangent)[0], wanted, rtol=4e-7 * (1 + margin / 10))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_rounded_once(name, dtype):
    for classes in (10, 100, 5000):
        values, rng = rows(name, classes, 3.0, DTYPES[dtype])
        tangent = rng.normal(size=values.shape).astype(DTYPES[dtype])
        wide = derivative(name, values.astype(np.float32), tangent.astype(np.float32))
        np.testing.assert_array_equal(derivative(name, values, tangent), wide.astype(DTYPES[dtype]))


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_right_to_the_last_digits_of_what_is_subtracted(name):
    for classes in LENGTHS:
        values, rng = rows(name, classes, 5.0, np.float64)
        tangent = rng.normal(size=values.shape)
        result = derivative(name, values, tangent)
        slack = 2.0**-54 if name.endswith("logarithms") else 0.0
        assert errors_in_ulp(name, values, tangent, result, slack) <= 3, classes


@pytest.mark.parametrize("name", NAMES[:2])
@pytest.mark.parametrize("classes", [2, 10, 64, 65, 1000, 5000])
def test_a_constant_tangent_moves_nothing(name, classes):
    values, _ = rows(name, classes, 4.0)
    assert not derivative(name, values, np.full_like(values, 0.7)).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [1, 5, 64, 65, 1000, 4099, 20_001])
def test_same_bits_in_every_layout(name, dtype, classes):
    values, rng = rows(name, classes, 4.0, DTYPES[dtype], count=35 if classes < 2000 else 17)
    tangent = rng.normal(size=values.shape).astype(DTYPES[dtype])
    wanted = derivative(name, values, tangent).astype(float)

    def same(result, where=slice(None)):
        np.testing.assert_array_equal(result.astype(float), wanted[where])

    same(derivative(name, values[3], tangent[3]), 3)
    same(derivative(name, values[::-1], tangent[::-1])[::-1])
    same(derivative(name, np.ascontiguousarray(values.T), tangent.T, 0).T)
    same(derivative(name, values.T, np.ascontiguousarray(tangent.T), 0).T)
    apart = [np.repeat(np.repeat(one, 2, axis=0), 3, axis=1)[::2, ::3] for one in (values, tangent)]
    same(derivative(name, *apart))
    same(derivative(name, *apart, out=np.empty((classes, len(values)), values.dtype).T))
    same(derivative(name, values, tangent, where=np.ones_like(values, bool)))
    for aliased in (0, 1):
        own = [values.copy(), tangent.copy()]
        same(derivative(name, *own, out=own[aliased]))
    if dtype != "bfloat16":
        same(derivative(name, values.astype(values.dtype.newbyteorder(">")), tangent))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_past_the_cache_is_the_same(name):
    values, rng = rows(name, 10, 3.0, count=430_000)
    tangent = rng.normal(size=values.shape).astype(np.float32)
    result = derivative(name, values, tangent)
    np.testing.assert_array_equal(result[1000:1300], derivative(name, values[1000:1300], tangent[1000:1300]))
    wide, wide_tangent = (one.reshape(1000, 4300) for one in (values, tangent))
    result = derivative(name, wide, wide_tangent)
    np.testing.assert_array_equal(result[500:510], derivative(name, wide[500:510], wide_tangent[500:510]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [6, 200, 5000])
def test_what_a_mask_hides_counts_nowhere_and_gets_zero(name, classes):
    rng = np.random.default_rng(classes)
    logits, tangent = rng.normal(scale=3, size=(2, 2, classes)).astype(np.float32)
    where = rng.random(logits.shape) > 0.4
    where[1] = False
    function = softmaxlib.log_softmax if name.endswith("logarithms") else softmaxlib.softmax
    values = function(logits, where=where)
    hidden = [np.where(where, one, np.float32(np.nan)) for one in (values, tangent)]
    result = derivative(name, *hidden, where=where)
    assert (result[~where] == 0).all()
    alone = derivative(name, values[0][where[0]], tangent[0][where[0]])
    np.testing.assert_allclose(result[0][where[0]], alone, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_made_of_what_a_tiny_probability_holds(name):
    """Classes of probability 0 get the derivative 0, or their tangent; none is NaN."""
    values = np.array([[0.0, -np.inf, -3e38]], np.float32)
    values = values if name.endswith("logarithms") else np.exp(values)
    tangent = np.array([[0.5, 2.0, -3.0]], np.float32)
    wanted = {"softmax_jvp": [0, 0, 0], "log_softmax_jvp": [0, 1.5, -3.5]}.get(name, [1, 2, -3])
    np.testing.assert_allclose(derivative(name, values, tangent)[0], wanted, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_unlike_arrays(name):
    assert derivative(name, np.zeros((3, 0)), np.zeros((3, 0))).shape == (3, 0)
    assert derivative(name, np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)
    for other in (np.zeros(2), np.zeros(3, np.float32), [0.0, 0.0, 0.0]):
        assert derivative(name, np.zeros(3), other) is NotImplemented
