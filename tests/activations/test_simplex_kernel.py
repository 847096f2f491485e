"""The compiled sparsemax and entmax: equal to their definition, and the same bits everywhere."""

import array_api_compat.numpy as xp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same_bits import assert_same_bits_everywhere

from softmaxlib import _generic, entmax, sparsemax

FUNCTIONS = {"sparsemax": (sparsemax, 2.0), "entmax": (entmax, 1.5)}
both = pytest.mark.parametrize("name", FUNCTIONS)


def definition(x: np.ndarray, alpha: float, axis: int = -1, where: np.ndarray | None = None) -> np.ndarray:
    axes = (axis % x.ndim,)
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        return _generic.entmax(xp, wide, axis=axes, alpha=alpha, where=where).astype(x.dtype)


@both
@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 63, 64, 65, 1000, 4095, 4096, 4097, 8193, 70_000])
@pytest.mark.parametrize("scale", [1e-4, 0.1, 1.0, 20.0])
def test_equals_the_definition_at_every_length(name, classes, scale):
    function, alpha = FUNCTIONS[name]
    rng = np.random.default_rng(classes)
    x = rng.normal(scale=scale, size=(max(1, min(40, 100_000 // classes)), classes))
    np.testing.assert_allclose(function(x), definition(x, alpha), rtol=0, atol=4e-16)
    narrow = x.astype(np.float32)
    np.testing.assert_allclose(function(narrow), definition(narrow, alpha), rtol=1.2e-7, atol=1e-15)


@both
def test_many_steps_of_the_threshold(name):
    """Gaps that shrink by halves keep the support changing at every step."""
    function, alpha = FUNCTIONS[name]
    for classes in (50, 500, 5000):
        x = np.stack([-(2.0 ** -np.linspace(0, depth, classes)) for depth in (5, 50, 500)])
        np.testing.assert_allclose(function(x), definition(x, alpha), rtol=0, atol=4e-16)
        np.testing.assert_allclose(function(-x), definition(-x, alpha), rtol=0, atol=4e-16)


@both
@pytest.mark.parametrize("order", ["rising", "falling", "largest last", "shuffled"])
@pytest.mark.parametrize("near", [300, 600, 3000])
def test_long_rows_with_many_near_the_top(name, order, near):
    """More candidates than there is room for, in the orders that fill it soonest and latest."""
    function, alpha = FUNCTIONS[name]
    rng = np.random.default_rng(near)
    x = np.concatenate([rng.uniform(-0.9, -0.3, near), rng.uniform(-9, -3, 6000 - near)])
    rng.shuffle(x)
    if order in ("rising", "falling"):
        x.sort()
    x = np.append(x, 0.0)
    if order == "falling":
        x = x[::-1]
    elif order == "shuffled":
        rng.shuffle(x)
    np.testing.assert_allclose(function(x), definition(x, alpha), rtol=0, atol=4e-16)
    flat = 0.01 * x
    np.testing.assert_allclose(function(flat), definition(flat, alpha), rtol=0, atol=4e-16)


@both
@settings(max_examples=150)
@given(
    values=st.lists(
        st.floats(-1e6, 1e6) | st.floats(-2, 2) | st.sampled_from([-np.inf, 0.0, 1.0]),
        min_size=1,
        max_size=90,
    ),
    narrow=st.booleans(),
)
def test_any_row_sums_to_one_or_is_undefined(name, values, narrow):
    function, alpha = FUNCTIONS[name]
    x = np.array(values, np.float32 if narrow else np.float64)
    p = function(x)
    if np.isneginf(x).all():
        assert np.isnan(p).all()
        return
    assert (p >= 0).all()
    assert p.sum(dtype=np.float64) == pytest.approx(1, abs=6e-8 * x.size if narrow else 1e-15 * x.size)
    np.testing.assert_allclose(p, definition(x, alpha), rtol=1.2e-7 if narrow else 0, atol=4e-16)
    order = np.argsort(x, kind="stable")
    assert (np.diff(p[order]) >= 0).all()


@both
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64], ids=str)
@pytest.mark.parametrize("classes", [10, 300, 5000])
def test_same_bits_in_every_place_and_layout(name, dtype, classes):
    function, _ = FUNCTIONS[name]
    rows = np.random.default_rng(1).normal(size=(37, classes)).astype(dtype)
    expected = function(rows)
    width = np.dtype(dtype).itemsize

    def same(result):
        np.testing.assert_array_equal(
            np.ascontiguousarray(result).view(f"u{width}"), expected.view(f"u{width}")
        )

    same(np.stack([function(row) for row in rows]))
    same(function(np.asfortranarray(rows)))
    same(function(rows.T, axis=0).T)
    same(function(np.repeat(rows, 2, axis=1)[:, ::2]))
    same(function(rows[::-1])[::-1])
    memory = np.zeros(rows.nbytes + 64, np.uint8)
    for offset in (1, 4, 36):
        shifted = memory[offset : offset + rows.nbytes].view(dtype).reshape(rows.shape)
        shifted[...] = rows
        same(function(shifted))
    if dtype in (np.float32, np.float64):
        same(function(rows.astype(np.dtype(dtype).newbyteorder())))
    same(function(np.stack([rows, rows], axis=1), where=np.ones((37, 2, classes), bool))[:, 1])


@both
@pytest.mark.parametrize("classes", [12, 300, 5000])
def test_mask_in_the_kernel(name, classes):
    function, alpha = FUNCTIONS[name]
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, classes))
    where = rng.random(x.shape) < 0.6
    where[3] = False
    x[~where] = rng.choice([np.nan, np.inf, 50.0], size=int((~where).sum()))
    result = function(x, where=where)
    np.testing.assert_array_equal(result[~where], 0)
    np.testing.assert_allclose(result, definition(x, alpha, where=where), rtol=0, atol=4e-16)


@both
@pytest.mark.parametrize("classes", [3, 100, 9000])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_undefined_rows_stay_alone(name, classes, poison):
    function, _ = FUNCTIONS[name]
    x = np.random.default_rng(3).normal(size=(18, classes))
    expected = function(x)
    spoiled = x.copy()
    spoiled[5, classes - 1] = poison
    if poison == -np.inf:
        spoiled[5] = poison
    result = function(spoiled)
    assert np.isnan(result[5]).all()
    np.testing.assert_array_equal(np.delete(result, 5, 0), np.delete(expected, 5, 0))


HASHES = """
import hashlib, numpy as np
from softmaxlib import entmax, sparsemax
rng = np.random.default_rng(6)
digest = hashlib.sha256()
for classes in (1, 5, 64, 65, 1000, 4097, 12_000):
    for scale in (1e-3, 0.3, 3.0, 300.0):
        for dtype in (np.float32, np.float64):
            x = rng.normal(scale=scale, size=(20, classes)).astype(dtype)
            x[3, -1] = np.nan
            x[4] = -np.inf
            digest.update(np.nan_to_num(sparsemax(x), nan=-1.0).tobytes())
            digest.update(np.nan_to_num(entmax(x), nan=-1.0).tobytes())
print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set_and_number_of_threads():
    assert_same_bits_everywhere(HASHES)
