"""Long calls can be interrupted: Ctrl-C, here a timer whose handler raises, is answered within a second.

All times are processor time, so that a busy machine changes nothing.
"""

import contextlib
import signal
import time

import numpy as np
import pytest
from interruption import PROCESSORS

from softmaxlib.sampling import Chain, sample, verify

VOCABULARY = 128_256


class Stopped(Exception):
    pass


@contextlib.contextmanager
def interrupted_after(seconds):
    def stop(*_):
        raise Stopped

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def draw(logits):
    sample(logits, top_p=0.9, seed=np.arange(20_000), position=0)


def draw_with_coins(logits):
    chain = Chain.like("llama.cpp", repetition_penalty=1.1, xtc_probability=0.5)
    chain.sample(logits, seed=np.arange(20_000), position=0, history=[1])


def process(logits):
    Chain.like("transformers", temperature=np.linspace(0.5, 2.0, 2_000), top_p=0.9).process(logits)


def verify_drafts(logits):
    rows, target = (
        np.broadcast_to(logits, (100, 1, VOCABULARY)),
        np.broadcast_to(logits, (100, 2, VOCABULARY)),
    )
    for _ in range(100):
        verify(np.zeros((100, 1), int), rows, target, Chain(), np.arange(100), 0)


@pytest.mark.parametrize("call", [draw, draw_with_coins, process, verify_drafts])
def test_long_calls_stop_within_a_second(call):
    logits = np.random.default_rng(0).standard_normal(VOCABULARY, dtype=np.float32)
    start = time.process_time()
    with pytest.raises(Stopped), interrupted_after(0.3):
        call(logits)
    assert time.process_time() - start < 0.3 + PROCESSORS


def test_a_call_after_an_interrupt_gives_what_it_always_gives():
    logits = np.random.default_rng(0).standard_normal((8, VOCABULARY), dtype=np.float32)
    expected = sample(logits, seed=1, position=0).token
    with pytest.raises(Stopped), interrupted_after(0.1):
        draw(logits[0])
    np.testing.assert_array_equal(sample(logits, seed=1, position=0).token, expected)
