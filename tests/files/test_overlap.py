import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from softmaxlib.files.overlap import read_ahead, without_overlap, write_behind
from softmaxlib.files.tasks import run


def test_items_come_in_their_order_and_one_is_made_while_another_is_worked_on():
    made = [threading.Event() for _ in range(4)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    for number, item in enumerate(read_ahead(items())):
        assert item == number
        if number < 3:
            assert made[number + 1].wait(10)


def test_what_reading_raises_is_raised_where_its_item_would_be():
    def items():
        yield "first"
        raise KeyError("no second")

    ahead = read_ahead(items())
    assert next(ahead) == "first"
    with pytest.raises(KeyError, match="no second"):
        next(ahead)


def test_an_item_that_is_not_wanted_any_more_leaves_no_thread_behind():
    before = threading.active_count()
    ahead = read_ahead(iter(range(100)))
    assert next(ahead) == 0
    ahead.close()
    assert threading.active_count() == before


def test_calls_are_done_in_their_order_while_the_caller_goes_on():
    written, go_on = [], threading.Event()

    def write(number):
        go_on.wait(10)
        written.append(number)

    with write_behind(write) as write_later:
        write_later(1)
        assert written == []
        go_on.set()
        write_later(2)
    assert written == [1, 2]


@pytest.mark.parametrize("calls", [1, 2])
def test_what_writing_raises_is_raised_by_the_next_call_or_at_the_end(calls):
    def write(number):
        raise OSError(f"the disk is full at {number}")

    def write_all():
        with write_behind(write) as write_later:
            for number in range(calls):
                write_later(number)

    with pytest.raises(OSError, match="the disk is full at 0"):
        write_all()


def test_what_the_block_raises_is_raised_once_the_last_call_is_done():
    written = []

    def fail():
        with write_behind(written.append) as write_later:
            write_later(1)
            raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        fail()
    assert written == [1]


def threads_at_work(_):
    """The threads that read, work and write."""
    threads = []

    def items():
        for _ in range(2):
            threads.append(threading.get_ident())
            yield threads

    with write_behind(lambda: threads.append(threading.get_ident())) as write_later:
        for _ in read_ahead(items()):
            threads.append(threading.get_ident())
            write_later()
    return len(set(threads))


def test_a_worker_reads_works_and_writes_in_one_thread():
    assert threads_at_work(None) == 3
    with ThreadPoolExecutor(1) as executor:
        assert list(run(threads_at_work, [1, 2], executor)) == [1, 1]
    with without_overlap():
        assert threads_at_work(None) == 1
    assert threads_at_work(None) == 3
