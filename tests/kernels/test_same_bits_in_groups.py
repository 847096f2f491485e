"""Rows go through the kernels sixteen at a time, short ones two groups at once: no row may notice.

Rows are split into groups, pairs of groups, units for the threads and blocks that are streamed to memory.
Each test compares with the same rows computed one by one.
"""

import ctypes
import mmap
import sys

import numpy as np
import pytest
from kernel_rows import FAMILIES, as_dtype
from test_same_bits import DTYPES, FUNCTIONS, same

import softmaxlib

AROUND_GROUPS = (1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 83)


def rows_of_families(rows, classes, dtype="float32"):
    """Rows of all families in turn, so that neighbours differ; one NaN, one +inf, one all -inf."""
    rng = np.random.default_rng([rows, classes])
    each = -(-rows // len(FAMILIES))
    x = np.stack([family(rng, each, classes) for family in FAMILIES.values()], axis=1)
    x = x.reshape(-1, classes)[:rows]
    if rows > 20:
        x[3, 0], x[18, -1], x[7] = np.nan, np.inf, -np.inf
    return as_dtype(x, dtype)


def one_by_one(function, x, **options):
    return np.stack([function(row, **options) for row in x])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_whole_and_partial_groups_of_every_short_length(name):
    function = FUNCTIONS[name]
    for classes in (*range(1, 67), 100, 127, 128, 200, 255, 256, 257, 384, 448):
        x = rows_of_families(AROUND_GROUPS[-1], classes)
        wanted = one_by_one(function, x)
        for rows in AROUND_GROUPS:
            same(function(x[:rows]), wanted[:rows])
        same(function(x[5:]), wanted[5:])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_fields_of_records(name, dtype):
    """Rows begin at strides that are no multiple of an element, in the input and in the output."""
    function = FUNCTIONS[name]
    for classes in (1, 2, 3, 4, 10, 33, 64, 65, 255, 256, 257, 1000, 3000, 4097):
        x = rows_of_families(37, classes, dtype)
        wanted = one_by_one(function, x)
        record = np.dtype([("tag", "i1"), ("numbers", x.dtype, (classes,)), ("end", "i1", (2,))])
        source = np.zeros(len(x), record)
        source["numbers"] = x
        assert source.strides[0] % x.itemsize == 3 % x.itemsize
        same(function(source["numbers"]), wanted)
        if name == "logsumexp":
            continue
        target = np.zeros(len(x), record)
        function(source["numbers"], out=target["numbers"])
        same(target["numbers"], wanted)
        assert not target["tag"].any()
        assert not target["end"].any(), "bytes beside the rows were written"
        function(source["numbers"], out=source["numbers"])
        same(source["numbers"], wanted)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_masks_of_short_rows(name, dtype):
    """A mask of its own for each row: as each row alone, and as -inf in its place."""
    function = FUNCTIONS[name]
    for classes in (1, 2, 5, 16, 17, 63, 64, 65, 256, 257):
        x = rows_of_families(53, classes, dtype)
        mask = np.random.default_rng(classes).uniform(size=x.shape) < 0.6
        wanted = np.stack([function(row, where=kept) for row, kept in zip(x, mask, strict=True)])
        same(function(x, where=mask), wanted)
        same(function(x, where=np.asfortranarray(mask)), wanted)
        some = mask.any(axis=1)
        hidden = np.where(mask, x, np.array(-np.inf, x.dtype))
        expected = function(hidden)
        if name == "logsumexp":
            same(wanted[some], expected[some])
        else:
            same(wanted[mask], expected[mask])


@pytest.mark.parametrize("name", ["softmax", pytest.param("log_softmax", marks=pytest.mark.sweep)])
@pytest.mark.parametrize(
    ("dtype", "classes"),
    [(d, c) for d in DTYPES for c in (10, 1000)]
    + [("float32", c) for c in (3, 33, 65, 256, 3000, 5000, 300_000)],
)
def test_outputs_of_sixteen_mebibytes(name, dtype, classes):
    """They bypass the cache where they can: at every alignment, fresh and given, by rows and by columns."""
    function = FUNCTIONS[name]
    some = rows_of_families(min(41, 1 + 500_000 // classes), classes, dtype)
    rows = 1 + (16 << 20) // (classes * some.itemsize)
    x = np.resize(some, (rows, classes))
    wanted = np.resize(one_by_one(function, some), (rows, classes))
    same(function(x), wanted)
    memory = np.zeros(x.nbytes + 128, np.uint8)
    for offset in (0, 3, 64 - some.itemsize):
        out = np.ndarray(x.shape, x.dtype, memory.data, offset)
        memory[:offset] = memory[offset + x.nbytes :] = 9
        function(x, out=out)
        same(out, wanted)
        assert (memory[:offset] == 9).all()
        assert (memory[offset + x.nbytes :] == 9).all(), "bytes beside the output were written"
    same(function(x.T.copy(), 0), wanted.T)
    if classes < 300:
        padded = np.zeros((rows, classes + 3), x.dtype)
        function(x, out=padded[:, 1:-2])
        same(padded[:, 1:-2], wanted)
        assert not padded[:, [0, -2, -1]].any(), "elements beside the rows were written"


@pytest.mark.skipif(sys.platform != "linux", reason="protects a page by mprotect")
def test_a_row_knows_neither_the_next_nor_the_last():
    """The next long row is fetched ahead of its turn: none is read behind the last, which ends its page."""
    page = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for classes in (5, 64, 256, 1000, 3000, 4097, 20_000):
        rows = 17
        x = rows_of_families(rows, classes)
        size = -(-x.nbytes // page) * page
        area = mmap.mmap(-1, size + page)
        base = ctypes.addressof(ctypes.c_char.from_buffer(area))
        assert libc.mprotect(base + size, page, 0) == 0, ctypes.get_errno()
        there = np.ndarray(x.shape, x.dtype, area, size - x.nbytes)
        there[...] = x
        for function in FUNCTIONS.values():
            same(function(there), one_by_one(function, x))
        same(softmaxlib.softmax(there, out=there), one_by_one(softmaxlib.softmax, x))
        assert libc.mprotect(base + size, page, 3) == 0
        del there


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in FUNCTIONS), ("softmax", "float64")]
)
def test_panels_of_long_columns(name, dtype):
    """Groups of long columns, each class in a page of its own, are read and written several at a time."""
    function, classes, columns = FUNCTIONS[name], 8275, 541
    x = rows_of_families(columns, classes, dtype)
    wanted = function(x)
    memory = np.empty((classes, columns + 9), x.dtype)
    side_by_side = memory[:, 5:-4]
    side_by_side[...] = x.T
    same(function(side_by_side, axis=0).T, wanted)
    if name == "logsumexp":
        return
    out = np.full_like(memory, 7)
    same(function(side_by_side, axis=0, out=out[:, 5:-4]).T, wanted)
    assert (out[:, :5] == 7).all()
    assert (out[:, -4:] == 7).all()
    same(function(side_by_side, axis=0, out=side_by_side).T, wanted)
