"""One row gives the same bits wherever it lies, whatever lies beside it, and whoever computes it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_rows import FAMILIES, as_dtype

import softmaxlib
from softmaxlib import _kernels

DTYPES = ("float16", "bfloat16", "float32", "float64")
LENGTHS = (1, 2, 5, 10, 16, 33, 64, 65, 100, 1000, 2049, 4096, 4097, 9001)
ROWS = 21
FUNCTIONS = {
    "softmax": softmaxlib.softmax,
    "softmax at 0.3": lambda x, axis=-1, **k: softmaxlib.softmax(x, axis, temperature=0.3, **k),
    "log_softmax": softmaxlib.log_softmax,
    "log_softmax at 7": lambda x, axis=-1, **k: softmaxlib.log_softmax(x, axis, temperature=7, **k),
    "logsumexp": softmaxlib.logsumexp,
}


def rows_of_all_families(classes, dtype):
    rng = np.random.default_rng(classes)
    families = [family(rng, 2, classes) for family in FAMILIES.values()]
    x = np.concatenate(families)[:ROWS]
    x[3, 0], x[5, -1] = np.nan, np.inf
    return np.ascontiguousarray(as_dtype(x, dtype))


def bits(array):
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    return array.view(f"u{array.dtype.itemsize}")


def same(actual, wanted):
    np.testing.assert_array_equal(bits(actual), bits(wanted), strict=True)


@pytest.fixture(
    params=[(name, dtype) for name in FUNCTIONS for dtype in DTYPES], ids=lambda p: f"{p[0]} {p[1]}"
)
def case(request):
    name, dtype = request.param
    return FUNCTIONS[name], dtype, name == "logsumexp"


def test_alone_and_in_any_batch(case):
    function, dtype, _ = case
    for classes in LENGTHS:
        x = rows_of_all_families(classes, dtype)
        wanted = function(x)
        for row in range(ROWS):
            same(function(x[row]), wanted[row])
        same(function(x[::-1].copy()), wanted[::-1])
        for first in (1, 4, 15, 17):
            same(function(x[first:].copy()), wanted[first:])
        repeated = function(np.concatenate([x] * 5))
        same(repeated, np.concatenate([wanted] * 5))


@pytest.mark.parametrize("classes", [70, 300, 4100])
def test_side_by_side_at_any_offset_from_a_cache_line(case, classes):
    """Groups of such rows begin at cache lines' borders: the first and the last of a run are then smaller."""
    function, dtype, reduces = case
    rows = 64 * (1 + 65536 // 64 // classes) + 64
    x = np.resize(rows_of_all_families(classes, dtype), (rows, classes)).T
    wanted = function(x.T.copy())
    size = x.dtype.itemsize
    for offset in (0, 1, 5, 15, 16):
        memory = np.zeros(2 * x.size + 96, x.dtype)
        start = (-memory.ctypes.data % 64) // size + offset
        given = memory[start : start + x.size].reshape(x.shape)
        given[...] = x
        same(function(given, 0), wanted if reduces else wanted.T)
        if reduces:
            continue
        out = memory[start + x.size : start + 2 * x.size].reshape(x.shape)
        same(function(given, 0, out=out), wanted.T)
        assert not memory[:start].any()
        assert not memory[start + 2 * x.size :].any()
        same(function(given, 0, out=given), wanted.T)


def test_any_axis_and_order(case):
    function, dtype, reduces = case
    for classes in LENGTHS:
        x = rows_of_all_families(classes, dtype)
        wanted = function(x)
        same(function(np.asfortranarray(x)), wanted)
        same(function(x.T.copy(), 0), wanted if reduces else wanted.T)
        middle = x.reshape(3, 7, classes).transpose(0, 2, 1).copy()
        turned = wanted.reshape(3, 7, *wanted.shape[1:])
        same(function(middle, 1), turned if reduces else turned.transpose(0, 2, 1))
        for parts in (2, 5):
            if classes % parts == 0:
                split = x.reshape(ROWS, parts, -1)
                same(function(split, (1, 2)), wanted if reduces else wanted.reshape(split.shape))
                apart = np.ascontiguousarray(split.transpose(1, 0, 2))
                back = wanted if reduces else wanted.reshape(split.shape).transpose(1, 0, 2)
                same(function(apart, (0, 2)), back)
        same(function(x[7], None), wanted[7])


def test_any_stride_and_byte_order(case):
    function, dtype, reduces = case
    for classes in LENGTHS:
        x = rows_of_all_families(classes, dtype)
        wanted = function(x)
        wide = np.zeros((2 * ROWS, 3 * classes), x.dtype)
        wide[::2, ::3] = x
        same(function(wide[::2, ::3]), wanted)
        backwards = x[::-1, ::-1].copy()[::-1, ::-1]
        same(function(backwards), wanted)
        if dtype != "bfloat16":
            swapped = x.astype(x.dtype.newbyteorder(">"))
            same(function(swapped), wanted)
            same(function(swapped.T.copy(), 0), wanted if reduces else wanted.T)
        repeated = np.broadcast_to(x[2], (20, classes))
        same(function(repeated), np.broadcast_to(wanted[2], (20, *wanted.shape[1:])))
        x.flags.writeable = False
        same(function(x), wanted)


@pytest.mark.parametrize("classes", [3, 10, 64, 100, 1000])
def test_every_byte_offset(case, classes):
    function, dtype, _ = case
    x = rows_of_all_families(classes, dtype)
    wanted = function(x)
    for offset in range(64):
        source = np.zeros(x.nbytes + 64, np.uint8)
        there = np.ndarray(x.shape, x.dtype, source.data, offset)
        there[...] = x
        same(function(there), wanted)
        target = np.zeros(wanted.nbytes + 64, np.uint8)
        out = np.ndarray(wanted.shape, wanted.dtype, target.data, 63 - offset)
        same(function(there, out=out), wanted)
        assert not target[: 63 - offset].any(), "bytes before out were written"
        assert not target[63 - offset + wanted.nbytes :].any(), "bytes after out were written"


def test_any_output_and_mask(case):
    function, dtype, reduces = case
    for classes in LENGTHS:
        x = rows_of_all_families(classes, dtype)
        wanted = function(x)
        same(function(x, where=np.ones_like(x, bool)), wanted)
        padded = np.concatenate([x, np.full_like(x, np.nan)], axis=1)
        mask = np.arange(2 * classes) < classes
        hidden = function(np.where(mask, padded, np.array(-np.inf, padded.dtype)))
        masked = function(padded, where=mask)
        same(masked if reduces else masked[:, :classes], hidden if reduces else hidden[:, :classes])
        if not reduces:
            for out in (np.empty_like(x, order="F"), np.empty((ROWS, 2 * classes), x.dtype)[:, ::2]):
                assert function(x, out=out) is out
                same(out, wanted)
            in_place = x.copy()
            assert function(in_place, out=in_place) is in_place
            same(in_place, wanted)


def test_partial_overlap_is_as_if_there_were_none():
    buffer = np.random.default_rng(1).normal(size=2000).astype(np.float32)
    wanted = softmaxlib.softmax(buffer[:1500].reshape(3, 500).copy())
    actual = softmaxlib.softmax(buffer[:1500].reshape(3, 500), out=buffer[250:1750].reshape(3, 500))
    same(actual, wanted)


def hash_elsewhere(**environment):
    source = Path(softmaxlib.__file__).resolve().parents[1]
    program = Path(__file__).resolve().parent / "hash_of_results.py"
    environment = {name: str(value) for name, value in environment.items()}
    run = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": str(source)} | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.returncode == 0, run.stderr
    return dict(line.split() for line in run.stdout.splitlines())


@pytest.fixture(scope="module")
def hash_here():
    return hash_elsewhere(OMP_NUM_THREADS=1)


@pytest.mark.parametrize(
    "name", [name for name, _, supported in _kernels.configuration()["instruction_sets"] if supported]
)
def test_every_instruction_set(hash_here, name):
    found = hash_elsewhere(SOFTMAXLIB_ISA=name, OMP_NUM_THREADS=2)
    assert found["instruction_set"] == name
    assert found["threads"] == "2"
    assert found["hash"] == hash_here["hash"]


@pytest.mark.parametrize("threads", [5, *(pytest.param(one, marks=pytest.mark.sweep) for one in (3, 8))])
def test_any_number_of_threads(hash_here, threads):
    found = hash_elsewhere(OMP_NUM_THREADS=threads)
    assert found["threads"] == str(threads)
    assert found["hash"] == hash_here["hash"]


def test_threadpoolctl_is_respected():
    import threadpoolctl

    x = np.random.default_rng(0).normal(size=(64, 5000)).astype(np.float32)
    wanted = softmaxlib.softmax(x)
    with threadpoolctl.threadpool_limits(1):
        assert _kernels.configuration()["threads"] == 1
        same(softmaxlib.softmax(x), wanted)
