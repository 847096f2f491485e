"""The compiled sigmoid and log_sigmoid: all numbers of sixteen bits, others of every size, and layouts."""

import ml_dtypes
import numpy as np
import pytest
from same_bits import assert_same_bits_everywhere

from softmaxlib import log_sigmoid, sigmoid

FUNCTIONS = [sigmoid, log_sigmoid]
SMALLEST = {"float16": -24, "bfloat16": -133, "float32": -149, "float64": -1074}  # powers of two
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def exact(function, x):
    """The results in extended precision: 64 bits, where NumPy's long double has them."""
    assert np.finfo(np.longdouble).nmant >= 63
    wide = x.astype(np.float64).astype(np.longdouble)
    e = np.exp(-np.abs(wide))
    if function is sigmoid:
        return np.where(wide < 0, e, 1) / (1 + e)
    return np.where(wide < 0, wide, 0) - np.log1p(e)


@np.errstate(all="ignore")
def error_in_ulp(function, x):
    """The largest error of normal results, and of all, in units in the last place."""
    wanted, found = exact(function, x), function(x)
    assert found.dtype == x.dtype
    name = x.dtype.name
    _, exponent = np.frexp(np.abs(wanted))
    lowest = SMALLEST[name] + DIGITS[name] - 1
    unit = np.ldexp(np.longdouble(1), np.maximum(exponent - DIGITS[name], SMALLEST[name]))
    finite = np.isfinite(wanted) & np.isfinite(found.astype(np.float64))
    error = np.abs(found.astype(np.float64).astype(np.longdouble) - wanted)[finite] / unit[finite]
    is_normal = (exponent > lowest)[finite]
    same = found.astype(np.float64)[~finite] == wanted[~finite].astype(np.float64)
    assert (same | np.isnan(x[~finite].astype(np.float64))).all()
    return float(error[is_normal].max()), float(error.max())


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_every_number_of_sixteen_bits(function, dtype):
    x = np.arange(2**16, dtype=np.uint16).view(dtype)
    normal, any_result = error_in_ulp(function, x)
    assert 0.49 < normal <= 0.501
    assert any_result <= 0.51


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_of_every_size(function, dtype):
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), 200_000, dtype=f"u{np.dtype(dtype).itemsize}")
    edge = 104.0 if dtype is np.float32 else 746.0
    x = np.concatenate(
        [
            bits.view(dtype),
            rng.uniform(-edge, edge, 200_000).astype(dtype),
            rng.normal(size=200_000).astype(dtype),
        ]
    )
    normal, any_result = error_in_ulp(function, x)
    bound = 0.501 if function is log_sigmoid and dtype is np.float32 else 1.0
    assert 0.49 < normal <= bound
    assert any_result <= bound


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u2", "i8", ml_dtypes.bfloat16], ids=str)
def test_every_layout_gives_the_bits_of_a_plain_array(function, dtype):
    plain = np.random.default_rng(2).integers(-60, 60, (5, 7, 12)).astype(dtype)
    wanted = function(plain)
    assert wanted.dtype == (np.float64 if plain.dtype.kind in "iu" else plain.dtype)
    apart = np.zeros((10, 7, 24), plain.dtype)
    apart[::2, :, 1::2] = plain
    shifted = np.zeros(plain.nbytes + 1, np.uint8)[1:].view(plain.dtype).reshape(plain.shape)
    shifted[...] = plain
    views = {
        "Fortran": np.asfortranarray(plain),
        "strided": apart[::2, :, 1::2],
        "backwards": np.ascontiguousarray(plain[::-1, :, ::-1])[::-1, :, ::-1],
        "axes moved": np.moveaxis(np.ascontiguousarray(np.moveaxis(plain, 1, 0)), 0, 1),
        "unaligned": shifted,
    }
    if plain.dtype.kind in "iuf" and plain.itemsize > 1 and plain.dtype.name != "bfloat16":
        views["other byte order"] = plain.astype(plain.dtype.newbyteorder())
    for name, view in views.items():
        found = function(view)
        assert found.dtype == wanted.dtype, name
        assert found.dtype.isnative
        assert np.ascontiguousarray(found).tobytes() == wanted.tobytes(), name
    assert function(views["Fortran"]).flags.f_contiguous
    for part in (plain[:0], plain[0, 0, :1], plain[..., :1]):
        np.testing.assert_array_equal(
            function(part),
            wanted[tuple(slice(n) for n in part.shape)] if part.ndim == 3 else wanted[0, 0, :1],
        )
    assert function(plain.tolist()).shape == plain.shape
    alone = function(plain[0, 0, 0])
    assert isinstance(alone, np.generic)
    assert alone == wanted[0, 0, 0]
    assert function(np.array(plain[0, 0, 0])) == wanted[0, 0, 0]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lists_have_the_bits_of_arrays(function):
    x = np.random.default_rng(3).normal(scale=9, size=1000)
    np.testing.assert_array_equal(function(x.tolist()), function(x))
    np.testing.assert_array_equal([function(one) for one in x.tolist()], function(x))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_input_stays_as_it_is(function):
    x = np.random.default_rng(4).normal(size=100_000).astype(np.float32)
    x.setflags(write=False)
    before = x.copy()
    result = function(x)
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(result, x)
    assert result.flags.writeable


HASHES = """
import hashlib, numpy as np
from softmaxlib import log_sigmoid, sigmoid
rng = np.random.default_rng(5)
digest = hashlib.sha256()
for count in (1, 15, 16, 17, 1000, 8191, 8193, 100_003, 3_000_000):
    for dtype in (np.float16, np.float32, np.float64):
        x = rng.normal(scale=20, size=count).astype(dtype)
        for function in (sigmoid, log_sigmoid):
            digest.update(function(x).tobytes())
print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set_and_number_of_threads():
    assert_same_bits_everywhere(HASHES)
