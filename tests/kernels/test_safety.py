"""Forks, crowds of threads, inputs that change, Ctrl-C, and memory that runs out."""

import os
import resource
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from interruption import check_control_c_stops

import softmaxlib

SOURCE = Path(softmaxlib.__file__).resolve().parents[1]


def program(text, **environment):
    """A Python program of its own, with NumPy as np and softmaxlib imported."""
    return subprocess.Popen(
        [sys.executable, "-c", "import os, sys, numpy as np, softmaxlib\n" + textwrap.dedent(text)],
        env=os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "4"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(text, **environment):
    process = program(text, **environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_fork_after_use():
    """The child has none of the parent's threads, and makes its own; so does the child's child."""
    out = outcome(
        """
        x = np.random.default_rng(0).normal(size=(64, 50_000)).astype(np.float32)
        wanted = softmaxlib.softmax(x).tobytes()
        for generation in range(3):
            child = os.fork()
            if child:
                _, status = os.waitpid(child, 0)
                assert softmaxlib.softmax(x).tobytes() == wanted
                if generation == 0:
                    print("status", status)
                os._exit(0) if generation else sys.exit(0)
            assert softmaxlib.softmax(x).tobytes() == wanted
        os._exit(0)
        """
    )
    assert out == "status 0\n"


def test_many_threads_at_once():
    rng = np.random.default_rng(3)
    arrays = [
        rng.normal(size=shape).astype(np.float32) for shape in ((50, 3000), (2000, 10), (1, 200_000), (3, 7))
    ]
    wanted = [[softmaxlib.softmax(x), softmaxlib.log_softmax(x), softmaxlib.logsumexp(x)] for x in arrays]
    wrong = []

    def work(first):
        for turn in range(12):
            k = (first + turn) % len(arrays)
            x = arrays[k]
            found = [softmaxlib.softmax(x), softmaxlib.log_softmax(x), softmaxlib.logsumexp(x)]
            if any(f.tobytes() != w.tobytes() for f, w in zip(found, wanted[k], strict=True)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_input_that_changes_meanwhile_harms_nothing():
    """Values are unspecified then; memory before and after the output stays untouched."""
    rng = np.random.default_rng(4)
    kinds = [
        rng.normal(size=1 << 16),
        np.full(1 << 16, np.nan),
        np.full(1 << 16, -np.inf),
        rng.normal(size=1 << 16) * 1e300,
    ]
    x = kinds[0].reshape(16, -1).copy()
    guard = np.full(2 * x.size, 7.0)
    out = guard[x.size // 2 : x.size // 2 + x.size].reshape(x.shape)
    totals = np.full(48, 7.0)
    stop = threading.Event()

    def disturb():
        turn = 0
        while not stop.is_set():
            x[turn % 16] = kinds[turn % 4][: x.shape[1]]
            x[(turn * 7) % 16, turn % 100 :: 3] = -0.0001 * turn
            turn += 1

    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            softmaxlib.softmax(x, out=out)
            softmaxlib.log_softmax(x, out=out)
            softmaxlib.logsumexp(x, out=totals[16:32])
            softmaxlib.softmax(x, 0, out=out)
    finally:
        stop.set()
        writer.join()
    assert (guard[: x.size // 2] == 7).all()
    assert (guard[x.size // 2 + x.size :] == 7).all()
    assert (totals[:16] == 7).all()
    assert (totals[32:] == 7).all()


@pytest.mark.parametrize("threads", ["1", "4"])
def test_control_c_stops_a_long_call(threads):
    """Within a second, as KeyboardInterrupt, and the next call works."""
    process = program(
        """
        import time
        x = np.broadcast_to(np.linspace(-3, 3, 1000), (400_000, 1000))
        out = np.empty((4, 1000))
        target = np.lib.stride_tricks.as_strided(out, x.shape, (0, 8))
        softmaxlib.softmax(x[:2000])
        print("ready", flush=True)
        try:
            for _ in range(1000):
                started = time.monotonic()
                softmaxlib.softmax(x, out=target)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert softmaxlib.softmax(np.zeros(2)).tolist() == [0.5, 0.5]
        softmaxlib.softmax(x[:2000])
        print("works", flush=True)
        """,
        OMP_NUM_THREADS=threads,
    )
    check_control_c_stops(process)
    assert process.stderr is not None
    process.stderr.close()


LONG_CALLS = {
    "softmax": "call = lambda: softmaxlib.softmax(x)",
    "cross_entropy": "call = lambda: softmaxlib.cross_entropy(x, np.zeros(3000, int))",
    "sample": "from softmaxlib import sampling; call = lambda: sampling.sample(x[:300], seed=1, position=0)",
    # results are kept: PyTorch gives the lock up where it frees a tensor, and aborts if it can't have it back
    "torch": "import torch, softmaxlib.torch as T; z, kept = torch.tensor(x), []; "
    "call = lambda: kept.append(T.logsumexp(z, 1))",
}


@pytest.mark.parametrize("name", ["softmax"] * 6 + [name for name in LONG_CALLS if name != "softmax"])
def test_the_interpreter_exits_while_daemon_threads_are_in_a_long_call(name):
    """They ask for Python's lock when it is gone for good: the process ends cleanly, not by a crash."""
    out = outcome(
        f"""
        import threading, time
        x = np.ones((3000, 3000))
        exec({LONG_CALLS[name]!r})
        def forever():
            while True:
                call()
        for _ in range(2):
            threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.2)
        print("exits", flush=True)
        """
    )
    assert out == "exits\n"


def test_control_c_reaches_the_child_of_a_thread_that_forked():
    """The thread that forks is the main one of the child, where Python runs the handlers of signals."""
    out = outcome(
        """
        import signal, threading
        x = np.broadcast_to(np.linspace(-3, 3, 1000), (400_000, 1000))
        out = np.empty((4, 1000))
        target = np.lib.stride_tricks.as_strided(out, x.shape, (0, 8))
        def fork():
            child = os.fork()
            if child:
                print("status", os.waitpid(child, 0)[1], flush=True)
                return
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            try:
                while True:
                    softmaxlib.softmax(x, out=target)
            except KeyboardInterrupt:
                os._exit(0)
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        """
    )
    assert out == "status 0\n"


@pytest.mark.skipif(
    not hasattr(resource, "RLIMIT_AS") or sys.platform != "linux", reason="needs Linux's limits"
)
def test_no_memory_is_a_memory_error_and_leaks_nothing():
    out = outcome(
        """
        import resource
        x = np.broadcast_to(np.float32(1), (1 << 14, 1 << 14))  # a gigabyte that is not there
        columns = np.zeros((1000, 1000), np.float32)
        softmaxlib.softmax(columns, 0)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), resource.RLIM_INFINITY))
        for attempt in range(20):
            try:
                softmaxlib.softmax(x)
                print("no error")
            except MemoryError:
                pass
        after = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        assert after - used < 64 << 20, after - used
        assert softmaxlib.softmax(columns, 0)[0, 0] == np.float32(0.001)
        print("right")
        """,
        OMP_NUM_THREADS="1",
    )
    assert out == "right\n"


# Rows that are packed, and rows that are cut into segments for the threads, whose sums are kept.
NEEDING_MEMORY = {
    "1": "x = np.random.default_rng(0).normal(size=(300_000, 3)).T",
    "3": "x = np.random.default_rng(0).normal(size=(300_000, 3)).T",
    "8": "x = np.random.default_rng(0).normal(size=(480, 30_000))",
}


@pytest.mark.parametrize("threads", NEEDING_MEMORY)
def test_every_allocation_may_fail(threads):
    """The limit is raised step by step from nothing, so that each allocation of a call fails once."""
    out = outcome(
        f"""
        import resource
        {NEEDING_MEMORY[threads]}
        out = np.empty_like(x)
        softmaxlib.softmax(np.zeros(3))
        page = resource.getpagesize()
        failures, successes = 0, 0
        used = int(open("/proc/self/statm").read().split()[0]) * page
        for spare in range(0, 400, 4):
            resource.setrlimit(resource.RLIMIT_AS, (used + spare * page, resource.RLIM_INFINITY))
            try:
                softmaxlib.softmax(x, out=out)
                successes += 1
            except MemoryError:
                failures += 1
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert successes
        assert failures
        assert out.tobytes() == softmaxlib.softmax(x).tobytes()
        print("right")
        """,
        OMP_NUM_THREADS=threads,
        MALLOC_MMAP_THRESHOLD_="65536",  # else what was freed before is used again
        MALLOC_ARENA_MAX="1",  # else NumPy's threads may take address space of their own at any time
    )
    assert out == "right\n"


def peak_growth(call):
    """By how much the process grew at its peak, by what NumPy allocates and by what the kernels do."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_a_given_output_needs_no_memory():
    for shape, axis in (((1, 4_000_000), -1), ((4_000_000, 1), -1), ((2000, 2000), 0), ((100, 40_000), -1)):
        x = np.zeros(shape, np.float32)
        out = np.empty_like(x)
        peak = peak_growth(lambda x=x, out=out, axis=axis: softmaxlib.softmax(x, axis, out=out))
        assert peak < 10_000, f"{peak} bytes for {shape}"
        peak = peak_growth(lambda x=x, axis=axis: softmaxlib.softmax(x, axis))
        assert peak < x.nbytes + 10_000, f"{peak} bytes for {shape}"


def test_peak_memory_does_not_grow_with_the_input():
    """Of the whole process, threads' buffers included, by the operating system's count."""
    out = outcome(
        """
        import resource
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        x = np.ones((4, 12_000_000), np.float32)
        out = np.ones_like(x)
        softmaxlib.softmax(x[:, :100_000], 0, out=out[:, :100_000])
        softmaxlib.softmax(x[:, ::100].T, out=out[:, ::100].T)
        before = peak()
        softmaxlib.softmax(x, out=out)
        softmaxlib.softmax(x, 0, out=out)
        softmaxlib.softmax(x.T, out=out.T)
        softmaxlib.log_softmax(x, None, out=out)
        print(peak() - before)
        """
    )
    assert int(out) < 8 << 20
