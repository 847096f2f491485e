"""What an explanation says of each stage, worked out by hand."""

import numpy as np
import pytest

from softmaxlib.sampling import Chain, Temperature, TopK

LOGITS = np.log([0.25, 0.5, 0.125, 0.125])


def test_the_figures_of_each_stage():
    start, kept = Chain(Temperature(1.0), TopK(2)).explain(LOGITS, top=3).steps
    assert (start.stage, start.left, start.removed) == ("logits", 4, 0)
    assert (start.mass_removed, start.mass_moved) == (0, 0)
    assert start.entropy == pytest.approx(1.75 * np.log(2))
    assert [token for token, _ in start.top] == [1, 0, 2]
    assert (kept.stage, kept.left, kept.removed) == ("TopK(k=2)", 2, 2)
    assert kept.mass_removed == pytest.approx(0.25)
    assert kept.mass_moved == pytest.approx((1 / 6 + 1 / 12 + 1 / 4) / 2)
    assert kept.entropy == pytest.approx(np.log(3) - 2 / 3 * np.log(2))
    assert kept.top == ((1, pytest.approx(2 / 3)), (0, pytest.approx(1 / 3)))


def test_a_move_between_tokens_that_stay():
    flat = Chain(Temperature(2.0)).explain(np.log([0.8, 0.2])).steps[1]
    assert (flat.left, flat.removed, flat.mass_removed) == (2, 0, 0)
    assert flat.mass_moved == pytest.approx(0.8 - 2 / 3)


def test_the_table():
    lines = str(Chain(TopK(1)).explain(LOGITS[:2], names=["a", "b"])).splitlines()
    assert lines == [
        "stage       left  removed  mass removed  mass moved  entropy  most probable",
        "logits         2        0        0.0000      0.0000   0.6365  b: 0.6667, a: 0.3333",
        "TopK(k=1)      1        1        0.3333      0.3333   0.0000  b: 1.0000",
    ]
    assert str(Chain(TopK(1)).explain(LOGITS)).endswith("  1: 1.0000")


def test_the_parts_of_a_chain_are_numbered_and_those_that_are_off_are_marked():
    assert (
        str(Chain(Temperature(0.5), TopK(None))) == "1. Temperature(temperature=0.5)\n2. TopK(k=None)  (off)"
    )
