"""Whole numbers keep their value: no dtype, library or list of them passes through float64."""

import numpy as np
import pytest

from softmaxlib.errors import InvalidInputError, UnsupportedTypeError
from softmaxlib.sampling import Chain, DontRepeatYourself, FrequencyPenalty, TopK, sample, verify
from softmaxlib.sampling._integers import whole_numbers

LOGITS = np.zeros((2, 300))
LARGE = [2**63 + 5, 7]
DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def test_lists_of_large_numbers():
    expected = sample(LOGITS, seed=np.array(LARGE, np.uint64), position=0).token
    for seed in (LARGE, tuple(LARGE), [np.uint64(LARGE[0]), 7], np.array(LARGE, dtype=object)):
        np.testing.assert_array_equal(sample(LOGITS, seed=seed, position=0).token, expected)
    neighbours = sample(LOGITS, seed=[2**63 + 6, 7], position=0).token  # the same number in float64
    assert neighbours[0] != expected[0]
    assert neighbours[1] == expected[1]
    nested = sample(np.zeros((2, 2, 300)), seed=[[2**64 - 1, 1], [2, 3]], position=0).token
    assert nested[0, 0] == sample(LOGITS[0], seed=2**64 - 1, position=0).token


def test_the_ends_of_the_range_belong_to_it():
    for largest in (2**64 - 1, 299):
        assert whole_numbers([largest, 0], "seed", largest).tolist() == [largest, 0]
        assert whole_numbers(np.array([largest, 0], object), "seed", largest).tolist() == [largest, 0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("library", ["numpy", "torch", "jax.numpy"])
def test_every_integer_dtype_of_every_library(library, dtype):
    module = pytest.importorskip(library)
    largest = min(np.iinfo(dtype).max, 2**31 if library == "jax.numpy" else 2**63)
    numbers = [largest - 1, 3]
    make = module.tensor if library == "torch" else module.asarray
    kind = dtype.replace("64", "32") if library == "jax.numpy" else dtype
    given = (
        make(np.array(numbers, dtype=kind))
        if library != "torch"
        else make(numbers, dtype=getattr(module, kind))
    )
    expected = sample(LOGITS, seed=np.array(numbers, np.uint64), position=0).token
    np.testing.assert_array_equal(sample(LOGITS, seed=given, position=0).token, expected)
    small = make([2, 1]) if library == "torch" else make(np.array([2, 1], dtype=kind))
    small = small.to(getattr(module, kind)) if library == "torch" else small
    np.testing.assert_array_equal(
        sample(LOGITS, seed=1, position=small).token, sample(LOGITS, seed=1, position=[2, 1]).token
    )
    chain = Chain(FrequencyPenalty(1.0))
    wanted = chain.process(LOGITS, history=[[2, 1], [2, 1]], prompt_length=[1, 2])
    got = chain.process(
        LOGITS, history=[small, small], prompt_length=small[::-1] if library == "numpy" else [1, 2]
    )
    np.testing.assert_array_equal(got, wanted)
    verified = verify(small[:1], LOGITS[:1], LOGITS, Chain(), 1, small[1])
    np.testing.assert_array_equal(verified.token, verify([2], LOGITS[:1], LOGITS, Chain(), 1, 1).token)


def test_positions_of_a_narrow_dtype_do_not_wrap_when_they_are_counted_up():
    logits = np.zeros((4, 300))
    wide = verify([1, 2, 3], logits[:3], logits, Chain(), 1, 127)
    np.testing.assert_array_equal(
        verify([1, 2, 3], logits[:3], logits, Chain(), 1, np.int8(127)).token, wide.token
    )
    with pytest.raises(
        InvalidInputError, match=r"position must leave room for 4 tokens below 2\^32, got 4294967294"
    ):
        verify([1, 2, 3], logits[:3], logits, Chain(), 1, np.uint32(2**32 - 2))
    last = verify([1, 2, 3], logits[:3], logits, Chain(), 1, 2**32 - 4)
    assert last.accepted == 3


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            [2**64, 1],
            InvalidInputError,
            r"seed must lie in 0 to 18446744073709551615, got 18446744073709551616 in row 0",
        ),
        ([2**63 + 5, -1], InvalidInputError, r"seed must lie in 0 to .*, got -1 in row 1"),
        ([2**63 + 5, 1.5], UnsupportedTypeError, r"seed must be a whole number .*, got 1\.5 in row 1"),
        ([1, True, 2**63], UnsupportedTypeError, r"got True in row 1"),
        ([1.0, 2.0], UnsupportedTypeError, r"got 1\.0 in row 0"),
        (np.array([1.0]), UnsupportedTypeError, r"got dtype float64"),
        (np.array([True]), UnsupportedTypeError, r"got dtype bool"),
        ("5", UnsupportedTypeError, r"seed must be a whole number"),
    ],
)
def test_what_is_no_whole_number_in_range(values, error, message):
    with pytest.raises(error, match=message):
        whole_numbers(values, "seed", 2**64 - 1)


def test_ids_lengths_and_counts():
    with pytest.raises(
        InvalidInputError, match=r"token ids in history must lie in 0 to 299, got 9223372036854775813"
    ):
        Chain(FrequencyPenalty(1.0)).process(LOGITS[0], history=[LARGE[0], 7])
    with pytest.raises(
        UnsupportedTypeError, match=r"token ids in history must be a whole number .* got 1\.5 in row 0"
    ):
        Chain(FrequencyPenalty(1.0)).process(LOGITS[0], history=[1, 1.5])
    with pytest.raises(UnsupportedTypeError, match=r"breakers must be a whole number .* got 1\.5"):
        DontRepeatYourself(1.0, breakers=[1.5])
    with pytest.raises(InvalidInputError, match=r"prompt_length must lie in .* got -1"):
        Chain(FrequencyPenalty(1.0)).process(LOGITS[0], history=[1, 2], prompt_length=-1)
    with pytest.raises(InvalidInputError, match=r"at most the length of the history \(2\), got 3 in row 0"):
        Chain(FrequencyPenalty(1.0)).process(LOGITS[0], history=[1, 2], prompt_length=3)
    with pytest.raises(UnsupportedTypeError, match=r"prompt_length must be a whole number"):
        Chain(FrequencyPenalty(1.0)).process(LOGITS[0], history=[1, 2], prompt_length=1.5)
    assert FrequencyPenalty(1.0, window=np.int64(3)).window == 3
    for k in (2**63 + 5, 2**64, np.uint64(2**63 + 5), np.array([2**63 + 5, 1], dtype=np.uint64)):
        kept = np.isfinite(Chain(TopK(k)).process(np.arange(600.0).reshape(2, 300)))
        assert kept[0].all()
    np.testing.assert_array_equal(
        Chain.standard().process(LOGITS[0], bias={np.uint8(3): np.int64(2), 7: 1})[[3, 7, 8]], [2, 1, 0]
    )
