"""The memory of freed results of 1 MiB or more is kept for the next result, and harms nothing."""

import copy
import gc
import os
import pickle
import queue
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from test_safety import outcome, program

import softmaxlib
from softmaxlib import _kernels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is kept on Linux only")

ELEMENTS = 5_000_000  # 20 MB of float32
FUNCTIONS = (softmaxlib.softmax, softmaxlib.log_softmax)


def address(array):
    return array.__array_interface__["data"][0]


def handler_of(array):
    """The name of the allocator that an array's memory came from."""
    from numpy._core.multiarray import get_handler_name

    return get_handler_name(array)


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(ELEMENTS // 10, 10)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def what_other_tests_left():
    """Collected once, and then left out of the collections below, which would take a second each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_else_freed_meanwhile(what_other_tests_left):
    gc.collect()


def test_only_large_results_come_from_the_buffers(logits):
    assert handler_of(softmaxlib.softmax(logits)) == "softmaxlib"
    assert handler_of(softmaxlib.softmax(logits, 0)) == "softmaxlib"
    assert handler_of(softmaxlib.softmax(logits[:1000])) == "default_allocator"
    assert handler_of(np.empty(ELEMENTS)) == "default_allocator"
    least = np.zeros((1 << 18, 1), np.float32)
    assert handler_of(softmaxlib.softmax(least)) == "softmaxlib"
    assert handler_of(softmaxlib.softmax(least[1:])) == "default_allocator"


def test_the_memory_of_a_freed_result_is_used_again():
    """In a process of its own: what other tests leave to be freed there, at any time, would be kept too."""
    outcome(
        f"""
        logits = np.random.default_rng(0).normal(size=({ELEMENTS} // 10, 10)).astype(np.float32)
        def address(array):
            return array.__array_interface__["data"][0]
        first = softmaxlib.softmax(logits)
        place = address(first)
        second = softmaxlib.softmax(logits)
        assert address(second) != place
        del first
        third = softmaxlib.log_softmax(logits.T, 0)
        assert address(third) == place
        del third
        narrower = softmaxlib.softmax(logits[: len(logits) * 9 // 10])
        assert address(narrower) == place
        assert place % 64 == 0
        """
    )


def test_a_view_keeps_the_memory(logits):
    view = softmaxlib.softmax(logits)[5:7, ::2]
    kept = view.copy()
    other = softmaxlib.log_softmax(logits)
    assert not np.shares_memory(view, other)
    np.testing.assert_array_equal(view, kept)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("classes", [7, 100, 70_000])
def test_what_a_buffer_held_before_is_not_seen(dtype, classes):
    rows = 1 + (17 << 20) // (classes * np.dtype(dtype).itemsize)
    x = np.random.default_rng(classes).normal(size=(rows, classes)).astype(dtype)
    mask = np.random.default_rng(1).uniform(size=classes) < 0.7
    for function in FUNCTIONS:
        for options in ({}, {"where": mask}, {"axis": 0}):
            wanted = function(x, out=np.empty_like(x), **options)
            old = function(x)
            place = address(old)
            old.fill(np.nan)
            del old
            found = function(x, **options)
            assert address(found) == place
            assert found.tobytes() == wanted.tobytes()
            del found


def test_no_more_is_kept_than_the_limit():
    """Of six results of 24 MiB freed one after the other, the two newest remain."""
    out = outcome(
        """
        def mapped():
            return int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE") >> 20
        x = np.zeros((6 << 20, 1), np.float32)
        softmaxlib.softmax(x)
        before = mapped()
        results = [softmaxlib.softmax(x) for _ in range(6)]
        places = [r.__array_interface__["data"][0] for r in results]
        print(mapped() - before > 100)
        while results:
            del results[0]
        print(mapped() - before < 60)
        again = [softmaxlib.softmax(x).__array_interface__["data"][0] for _ in range(3)]
        print(again == [places[-1]] * 3)
        both = [softmaxlib.softmax(x), softmaxlib.softmax(x)]
        print([r.__array_interface__["data"][0] for r in both] == [places[-1], places[-2]])
        large = np.zeros((20 << 20, 1), np.float32)
        before = mapped()
        softmaxlib.softmax(large)
        print(mapped() - before < 8)
        """,
        SOFTMAXLIB_BUFFER_BYTES=str(60 << 20),
        OMP_NUM_THREADS="1",
    )
    assert out.split() == ["True"] * 5


@pytest.mark.parametrize(
    ("limit", "after_one", "after_two"),
    [(100 << 20, False, False), (60 << 20, False, True), (30 << 20, True, True)],
)
def test_the_system_may_drop_all_but_the_newest_half_of_the_limit(limit, after_one, after_two):
    outcome(
        f"""
        def reclaimable():
            with open("/proc/self/smaps_rollup") as file:
                return next(int(line.split()[1]) << 10 for line in file if line.startswith("LazyFree"))

        logits = np.zeros(({ELEMENTS} // 10, 10), np.float32)
        a, b = softmaxlib.softmax(logits), softmaxlib.softmax(logits)
        del a
        assert (reclaimable() > 10 << 20) == {after_one}
        del b
        assert (reclaimable() > 10 << 20) == {after_two}
        print("ok")
        """,
        SOFTMAXLIB_BUFFER_BYTES=str(limit),
    )


def test_zero_keeps_none():
    out = outcome(
        """
        from numpy._core.multiarray import get_handler_name
        x = np.zeros((6 << 20, 1), np.float32)
        print(get_handler_name(softmaxlib.softmax(x)))
        softmaxlib.show_config()
        """,
        SOFTMAXLIB_BUFFER_BYTES="0",
    )
    assert out.split()[0] == "default_allocator"
    assert "at most 0 MiB" in out


@pytest.mark.parametrize("value", ["", "33554432"])
def test_a_number_of_bytes_or_nothing_is_taken(value):
    out = outcome("print(softmaxlib._kernels.configuration()['buffer_bytes'])", SOFTMAXLIB_BUFFER_BYTES=value)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    assert int(out) == (int(value) if value else min(memory // 16, 512 << 20))


@pytest.mark.parametrize("value", ["-1", "many", "1e9", "64M", " 5", "5 ", "99999999999999999999999"])
def test_anything_else_is_an_import_error_that_states_the_rule(value):
    process = program("", SOFTMAXLIB_BUFFER_BYTES=value)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.strip().splitlines()[-1] == (
        "ImportError: SOFTMAXLIB_BUFFER_BYTES must be a whole number of bytes, 0 to keep none, "
        f"got '{value}'; unset it for the default"
    )


@pytest.mark.parametrize("size", [0, 10, ELEMENTS - 5, ELEMENTS + 5, 3 * ELEMENTS])
def test_a_result_may_be_resized(logits, size):
    result = softmaxlib.softmax(logits)
    kept = result.reshape(-1)[: min(size, ELEMENTS)].copy()
    result.resize(size, refcheck=False)
    assert result.shape == (size,)
    np.testing.assert_array_equal(result[:ELEMENTS], kept)
    assert not result[ELEMENTS:].any()
    assert size == 0 or handler_of(result) == "softmaxlib"
    result[...] = 3
    del result
    np.testing.assert_array_equal(softmaxlib.softmax(logits)[:50], softmaxlib.softmax(logits[:50]))


def test_copies_and_pickles_are_ordinary_arrays(logits):
    result = softmaxlib.softmax(logits)
    for twin in (result.copy(), copy.deepcopy(result), pickle.loads(pickle.dumps(result, protocol=5))):
        assert handler_of(twin) in ("default_allocator", None)
        np.testing.assert_array_equal(twin, result)


def test_a_result_may_be_freed_by_another_thread(logits):
    results = queue.Queue(maxsize=2)
    wanted = softmaxlib.softmax(logits)[::1000].copy()
    wrong = []

    def consume():
        while (result := results.get()) is not None:
            if not np.array_equal(result[::1000], wanted):
                wrong.append(result)
            del result

    consumer = threading.Thread(target=consume)
    consumer.start()
    for _ in range(15):
        results.put(softmaxlib.softmax(logits))
    results.put(None)
    consumer.join()
    assert not wrong


def test_many_threads_take_and_give_back_at_once():
    inputs = [
        np.random.default_rng(k).normal(size=(n, 1000)).astype(np.float32)
        for k, n in enumerate((4300, 5000, 6600))
    ]
    wanted = [softmaxlib.softmax(x)[::97].copy() for x in inputs]
    wrong = []

    def work(first):
        for turn in range(4):
            k = (first + turn) % len(inputs)
            result = softmaxlib.softmax(inputs[k])
            twin = softmaxlib.softmax(inputs[k])
            if np.shares_memory(result, twin) or not np.array_equal(result[::97], wanted[k]):
                wrong.append(k)
            if not np.array_equal(twin[::97], wanted[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_fork_while_others_take_and_give_back():
    """Parent and children compute on, and neither sees what the other writes."""
    out = outcome(
        """
        import threading, warnings
        warnings.simplefilter("ignore")
        x = np.random.default_rng(0).normal(size=(5000, 1000)).astype(np.float32)
        wanted = softmaxlib.softmax(x)[::50].copy()
        stop = threading.Event()
        def work():
            while not stop.is_set():
                assert np.array_equal(softmaxlib.softmax(x)[::50], wanted)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        held = softmaxlib.softmax(x)
        statuses = []
        for _ in range(6):
            child = os.fork()
            if child == 0:
                mine = [softmaxlib.softmax(x) for _ in range(2)]
                right = all(np.array_equal(m[::50], wanted) for m in mine)
                for m in mine:
                    m.fill(7)
                held.fill(7)
                del held, mine, m
                right = right and np.array_equal(softmaxlib.softmax(x)[::50], wanted)
                os._exit(0 if right else 1)
            statuses.append(os.waitpid(child, 0)[1])
            assert np.array_equal(held[::50], wanted)
        stop.set()
        for thread in threads:
            thread.join()
        print(statuses)
        """,
        OMP_NUM_THREADS="2",
    )
    assert out == "[0, 0, 0, 0, 0, 0]\n"


def test_tracemalloc_counts_them(logits):
    softmaxlib.softmax(logits)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    result = softmaxlib.softmax(logits)
    during, _ = tracemalloc.get_traced_memory()
    assert logits.nbytes <= during - before < logits.nbytes + 10_000
    del result
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 10_000


def mapped_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")


def test_no_memory_is_a_memory_error_and_leaves_numpy_its_allocator():
    absurd = np.broadcast_to(np.float32(1), (1 << 23, 1 << 23))  # 2^48 bytes, more than there are addresses
    with pytest.raises(MemoryError):
        softmaxlib.softmax(absurd)
    before = mapped_bytes()
    for _ in range(200):
        with pytest.raises(MemoryError, match=r"Unable to allocate 256\.? TiB"):
            softmaxlib.softmax(absurd)
    assert mapped_bytes() - before < 1 << 22
    assert handler_of(np.empty(ELEMENTS)) == "default_allocator"


def test_what_is_kept_makes_room_for_what_is_needed():
    """Under a limit of the address space, kept memory of another size does not stand in the way."""
    out = outcome(
        """
        import resource
        used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
        x = np.broadcast_to(np.float32(1), (1, 24 << 20))
        resource.setrlimit(resource.RLIMIT_AS, (used + (130 << 20), resource.RLIM_INFINITY))
        softmaxlib.softmax(x[:, : 18 << 20])
        print(softmaxlib.softmax(x)[0, 0] == np.float32(1 / (24 << 20)))
        """,
        SOFTMAXLIB_BUFFER_BYTES=str(512 << 20),
        OMP_NUM_THREADS="1",
    )
    assert out == "True\n"


def test_show_config_prints_the_limit(capsys):
    softmaxlib.show_config()
    most = _kernels.configuration()["buffer_bytes"]
    assert f"kept for the next: at most {most / 2**20:.0f} MiB" in capsys.readouterr().out
