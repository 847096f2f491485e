"""Results for empty, infinite, masked, huge and unusual inputs: one table, run over every dtype."""

import numpy as np
import pytest
from kernel_rows import as_dtype

import softmaxlib
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

INF, NAN = np.inf, np.nan
DTYPES = ("float16", "bfloat16", "float32", "float64")
OTHER = [0.5, -1.0, 0.25]
MOST = "largest number of the dtype"

# name: row, mask or None, softmax, log_softmax, logsumexp. MOST stands for the dtype's largest number.
EDGES = {
    "a row of -inf": ([-INF] * 3, None, [NAN] * 3, [NAN] * 3, -INF),
    "+inf in a row": ([1, INF, 2], None, [NAN] * 3, [NAN] * 3, INF),
    "+inf and -inf": ([-INF, INF, 2], None, [NAN] * 3, [NAN] * 3, INF),
    "NaN in a row": ([1, NAN, 2], None, [NAN] * 3, [NAN] * 3, NAN),
    "NaN beside +inf": ([INF, NAN, 2], None, [NAN] * 3, [NAN] * 3, NAN),
    "NaN beside -inf": ([-INF, NAN, -INF], None, [NAN] * 3, [NAN] * 3, NAN),
    "one finite among -inf": ([-INF, 2, -INF], None, [0, 1, 0], [-INF, 0, -INF], 2),
    "zeros of both signs": ([0.0, -0.0, -INF], None, [0.5, 0.5, 0], [-np.log(2)] * 2 + [-INF], np.log(2)),
    "the largest number": ([MOST, MOST, -1], None, [0.5, 0.5, 0], [-np.log(2)] * 2 + ["-MOST"], MOST),
    "the lowest number": (["-MOST", 0, 0], None, [0, 0.5, 0.5], ["-MOST"] + [-np.log(2)] * 2, np.log(2)),
    "the whole row masked": ([1, 2, 3], [0, 0, 0], [0] * 3, [-INF] * 3, -INF),
    "NaN, inf under a full mask": ([NAN, INF, -INF], [0, 0, 0], [0] * 3, [-INF] * 3, -INF),
    "NaN under a mask": (
        [2, NAN, 2],
        [1, 0, 1],
        [0.5, 0, 0.5],
        [-np.log(2), -INF, -np.log(2)],
        2 + np.log(2),
    ),
    "inf under a mask": (
        [2, INF, 2],
        [1, 0, 1],
        [0.5, 0, 0.5],
        [-np.log(2), -INF, -np.log(2)],
        2 + np.log(2),
    ),
    "NaN outside a mask": ([2, NAN, 2], [1, 1, 0], [NAN, NAN, 0], [NAN, NAN, -INF], NAN),
    "-inf left by a mask": ([-INF, 3, 4], [1, 0, 0], [NAN, 0, 0], [NAN, -INF, -INF], -INF),
}


def filled(values, dtype):
    import ml_dtypes

    most = float(ml_dtypes.finfo(dtype).max)
    numbers = [most if v == MOST else -most if v == "-MOST" else v for v in values]
    return as_dtype(np.array(numbers, np.float64), dtype)


def check(actual, expected, dtype):
    expected = filled(expected, dtype)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    places = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 2e-7, "float64": 4e-16}[dtype]
    np.testing.assert_allclose(actual.astype(np.float64), expected.astype(np.float64), rtol=places)


def equal(actual, expected):
    np.testing.assert_array_equal(actual.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [3, 70, 5000])
@pytest.mark.parametrize("edge", EDGES)
def test_edge(edge, length, dtype):
    """In the middle of other rows, which stay what they are; longer rows are filled up with -inf."""
    row, mask, softmax, log_softmax, total = EDGES[edge]
    x = np.full((5, length), -INF)
    x[:, :3] = OTHER
    x = as_dtype(x, dtype)
    x[2, :3] = filled(row, dtype)
    where = None if mask is None else np.ones(x.shape, bool)
    if where is not None:
        where[2] = False
        where[2, :3] = np.array(mask, bool)
    alone = as_dtype(np.array(OTHER), dtype)
    for function, expected in ((softmaxlib.softmax, softmax), (softmaxlib.log_softmax, log_softmax)):
        actual = function(x, where=where)
        check(actual[2, :3], expected, dtype)
        equal(actual[0, :3], function(alone))
        equal(actual[4, :3], function(alone))
        equal(function(x.T.copy(), 0, where=None if where is None else where.T), actual.T)
    actual = softmaxlib.logsumexp(x, where=where)
    check(actual[2:3], [total], dtype)
    assert actual[0] == actual[4] == softmaxlib.logsumexp(alone)


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_axes(dtype):
    x = as_dtype(np.zeros((3, 0)), dtype)
    for function in (softmaxlib.softmax, softmaxlib.log_softmax):
        assert function(x).shape == (3, 0)
        assert function(x, 0).shape == (3, 0)
        assert function(x).dtype == x.dtype
    np.testing.assert_array_equal(softmaxlib.logsumexp(x), as_dtype(np.full(3, -INF), dtype))
    assert softmaxlib.logsumexp(x, 0).shape == (0,)
    assert softmaxlib.logsumexp(x, keepdims=True).shape == (3, 1)
    assert softmaxlib.logsumexp(x, None) == -INF


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_and_axis_none(dtype):
    scalar = as_dtype(np.array(3.0), dtype)
    for function in (softmaxlib.softmax, softmaxlib.log_softmax, softmaxlib.logsumexp):
        with pytest.raises(np.exceptions.AxisError):
            function(scalar)
    assert softmaxlib.softmax(scalar, None) == 1
    assert softmaxlib.log_softmax(scalar, None) == 0
    assert softmaxlib.logsumexp(scalar, None) == 3
    matrix = as_dtype(np.zeros((2, 4)), dtype)
    np.testing.assert_array_equal(softmaxlib.softmax(matrix, None), as_dtype(np.full((2, 4), 0.125), dtype))
    np.testing.assert_array_equal(softmaxlib.softmax(matrix, ()), as_dtype(np.ones((2, 4)), dtype))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_integers_give_float64(dtype):
    x = np.array([[1, 2, 3], [0, 100, 0]], dtype)
    for function in (softmaxlib.softmax, softmaxlib.log_softmax, softmaxlib.logsumexp):
        actual = function(x)
        assert actual.dtype == np.float64
        np.testing.assert_array_equal(actual, function(x.astype(np.float64)))
        np.testing.assert_array_equal(actual, function(x.astype(x.dtype.newbyteorder(">"))))
    np.testing.assert_array_equal(softmaxlib.softmax(x.tolist()), softmaxlib.softmax(x))


FUNCTIONS = (softmaxlib.softmax, softmaxlib.log_softmax, softmaxlib.logsumexp)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "values", [np.array([True]), np.array([1j]), np.array(["a"]), np.array([None]), np.array([1], "m8[s]")]
)
def test_what_is_not_a_number_is_refused(function, values):
    message = r"x must be real numbers, got dtype .*; convert it to float32 or float64"
    with pytest.raises(UnsupportedTypeError, match=message):
        function(values)


@pytest.mark.parametrize("function", FUNCTIONS[:2])
@pytest.mark.parametrize("temperature", [0, -1.0, NAN, -INF, INF])
def test_a_temperature_not_above_zero_is_refused(function, temperature):
    with pytest.raises(InvalidInputError, match=r"temperature must be finite and above 0, .*argmax.*hardmax"):
        function(np.zeros(3), temperature=temperature)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wrong_arguments_are_told(function):
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds for array of dimension 2"):
        function(x, 2)
    with pytest.raises(InvalidInputError, match=r"axis must name each axis once, got \(0, -2\)"):
        function(x, (0, -2))
    with pytest.raises(TypeError):
        function(x, 1.5)
    with pytest.raises(
        InvalidInputError, match=r"where must broadcast to the shape \(2, 3\), got .*\(2, 4\)"
    ):
        function(x, where=np.ones((2, 4), bool))
    with pytest.raises(UnsupportedTypeError, match=r"where must be a bool mask .* got dtype int64"):
        function(x, where=np.ones((2, 3), np.int64))
    with pytest.raises(
        UnsupportedTypeError, match="dtype must be float16, bfloat16, float32 or float64, got int32"
    ):
        function(x, dtype=np.int32)
    with pytest.raises(UnsupportedTypeError, match=r"out must be a NumPy array, got .*list"):
        function(x, out=[0.0])
    with pytest.raises(InvalidInputError, match=r"out must have the shape of the result, .*got \(3, 3\)"):
        function(x, out=np.zeros((3, 3), np.float32))
    with pytest.raises(
        UnsupportedTypeError, match="out must have the dtype of the result, float32, got float64"
    ):
        function(x, out=np.zeros((2, 3), np.float64))
    shape = () if function is softmaxlib.logsumexp else (3,)
    read_only = np.zeros((2, *shape), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(InvalidInputError, match=r"read-only array; allocate it .* or leave it out"):
        function(x, out=read_only)


def test_inputs_are_left_as_they_were():
    x = np.random.default_rng(0).normal(size=(20, 300))
    kept, mask = x.copy(), np.random.default_rng(1).uniform(size=x.shape) < 0.5
    for function in FUNCTIONS:
        function(x)
        function(x, 0, where=mask)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("by_mask", [False, True], ids=["-inf", "masked"])
def test_whole_stretches_of_a_long_row_may_be_left_out(dtype, by_mask):
    n = 8 * 4096 + 100  # long rows are summed in stretches of 4096
    generator = np.random.default_rng(0)
    x = as_dtype(3 * generator.normal(size=(10, n)), dtype)
    kept = np.ones(x.shape, bool)
    for row in range(8):
        kept[row, row * 4096 : (row + 1) * 4096] = False
    kept[8, : n // 2] = False
    kept[9, 4096:] = False
    given = x if by_mask else as_dtype(np.where(kept, x.astype(np.float64), -INF), dtype)
    options = {"where": kept} if by_mask else {}
    for name, nothing in (("softmax", 0.0), ("log_softmax", -INF)):
        function = getattr(softmaxlib, name)
        result = function(given, **options)
        columns = function(np.ascontiguousarray(given.T), 0, **{key: mask.T for key, mask in options.items()})
        np.testing.assert_array_equal(columns.T.astype(np.float64), result.astype(np.float64))
        for row, mask in enumerate(kept):
            assert (result[row][~mask].astype(np.float64) == nothing).all()
            exact = function(x[row][mask].astype(np.float64))
            bound = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 2e-7, "float64": 1e-15}[dtype]
            np.testing.assert_allclose(result[row][mask].astype(np.float64), exact, rtol=bound, atol=6e-8)
    total = softmaxlib.logsumexp(given, **options).astype(np.float64)
    exact = [softmaxlib.logsumexp(row[mask].astype(np.float64)) for row, mask in zip(x, kept, strict=True)]
    np.testing.assert_allclose(total, exact, rtol=8e-3 if dtype == "bfloat16" else 1e-3)
