"""The same row, seed and position draw the same token: alone, in a batch, filtered before or after."""

import numpy as np
import pytest

from softmaxlib.sampling import Chain, FrequencyPenalty, TopNSigma, sample

ROWS, VOCABULARY = 100_000, 16
OPTIONS = [
    {},
    {"temperature": 0.7},
    {"temperature": 0.9, "top_k": 5},
    {"top_p": 0.8},
    {"temperature": 1.3, "top_k": 9, "top_p": 0.9, "min_p": 0.05},
    {"typical_p": 0.7},
    {"top_n_sigma": 1.5},
]


@pytest.fixture(scope="module")
def batch():
    generator = np.random.default_rng(10)
    logits = np.round(generator.standard_normal((ROWS, VOCABULARY)) * 4) / 2  # with ties
    return logits.astype(np.float32), generator.integers(0, 2**63, ROWS), generator.integers(0, 2**32, ROWS)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batches_of_any_size_and_order(batch, options):
    logits, seed, position = batch
    whole = sample(logits, seed=seed, position=position, **options)
    order = np.random.default_rng(11).permutation(ROWS)
    shuffled = sample(logits[order], seed=seed[order], position=position[order], **options)
    assert np.count_nonzero(shuffled.token != whole.token[order]) == 0
    pieces = [
        sample(logits[part], seed=seed[part], position=position[part], **options).token
        for part in np.array_split(np.arange(ROWS), 97)
    ]
    assert np.count_nonzero(np.concatenate(pieces) != whole.token) == 0
    for row in range(0, ROWS, 5003):
        alone = sample(logits[row], seed=int(seed[row]), position=int(position[row]), **options)
        assert alone.token == whole.token[row]
        assert alone.processed_logprob == whole.processed_logprob[row]


def test_masked_before_or_by_allowed_or_by_bias(batch):
    logits, seed, position = batch
    allowed = np.random.default_rng(12).random(logits.shape) < 0.6
    allowed[:, 3] = True
    before = np.where(allowed, logits, np.float32(-np.inf))
    options = {"seed": seed, "position": position, "temperature": 0.8, "top_p": 0.9}
    expected = sample(before, **options).token
    assert np.count_nonzero(sample(logits, allowed=allowed, **options).token != expected) == 0
    bias = np.where(allowed, 0.0, -np.inf)
    assert np.count_nonzero(sample(logits, bias=bias, **options).token != expected) == 0


def test_a_larger_vocabulary_of_impossible_tokens_changes_nothing(batch):
    logits, seed, position = batch
    wide = np.full((ROWS // 10, 300), -np.inf, dtype=np.float32)
    wide[:, :VOCABULARY] = logits[: ROWS // 10]
    options = {"seed": seed[: ROWS // 10], "position": position[: ROWS // 10], "top_p": 0.8}
    wanted = sample(logits[: ROWS // 10], **options).token
    assert np.count_nonzero(sample(wide, **options).token != wanted) == 0


def test_packed_and_plain_masks_agree():
    generator = np.random.default_rng(13)
    logits, allowed = generator.standard_normal((20, 70)), generator.random((20, 70)) < 0.3
    allowed[:, 69] = True
    words = np.zeros((20, 3), dtype=np.uint32)
    for token in range(70):
        words[:, token // 32] |= allowed[:, token].astype(np.uint32) << np.uint32(token % 32)
    plain = Chain.standard().process(logits, allowed=allowed)
    np.testing.assert_array_equal(Chain.standard().process(logits, allowed=words), plain)
    np.testing.assert_array_equal(Chain.standard().process(logits, allowed=words.view(np.int32)), plain)


def test_parameters_may_differ_by_row():
    logits = np.random.default_rng(14).standard_normal((3, 40))
    options = {"temperature": [0.5, 0.0, 2.0], "top_k": [3, 40, 7], "top_p": [0.9, 1.0, 0.5]}
    together = sample(logits, seed=[1, 2, 3], position=7, **options)
    for row in range(3):
        alone = sample(
            logits[row], seed=row + 1, position=7, **{name: value[row] for name, value in options.items()}
        )
        assert tuple(alone) == tuple(field[row] for field in together)


def test_shapes_types_and_memory_layout():
    logits = np.random.default_rng(15).standard_normal((2, 3, 5))
    drawn = sample(logits, seed=1, position=np.arange(3))
    assert drawn.token.shape == drawn.logprob.shape == drawn.processed_logprob.shape == (2, 3)
    assert drawn.token.dtype == np.int64
    assert drawn.logprob.dtype == np.float64
    assert sample(logits.astype(np.float32), seed=1, position=0).logprob.dtype == np.float32
    for same in (np.asfortranarray(logits), logits[:, :, ::-1].copy()[:, :, ::-1], logits.astype(">f8")):
        np.testing.assert_array_equal(sample(same, seed=1, position=np.arange(3)).token, drawn.token)
    whole = np.round(logits * 3)
    np.testing.assert_array_equal(
        sample(whole.astype(int), seed=1, position=0).token, sample(whole, seed=1, position=0).token
    )
    np.testing.assert_array_equal(
        sample(whole.astype(np.float16), seed=1, position=0).token, sample(whole, seed=1, position=0).token
    )


def test_an_offset_changes_nothing():
    logits = np.round(np.random.default_rng(16).standard_normal((500, 30)) * 64) / 64
    for offset in (1024.0, -4096.0):
        moved = sample(logits + offset, seed=3, top_p=0.9, position=np.arange(500))
        np.testing.assert_array_equal(
            moved.token, sample(logits, seed=3, top_p=0.9, position=np.arange(500)).token
        )


def test_temperature_zero_takes_the_lowest_of_equals():
    logits = np.array([[0.0, 3.0, 3.0], [5.0, 5.0, 5.0]])
    drawn = sample(logits, temperature=0, seed=1, position=0)
    np.testing.assert_array_equal(drawn.token, [1, 0])
    np.testing.assert_array_equal(drawn.processed_logprob, [0, 0])


def test_extreme_logits_are_never_nan():
    largest = np.finfo(np.float64).max
    logits = np.array([largest, -largest, 0.0])
    for temperature in (1e-300, 0.5, 1.0, 1e300):
        drawn = sample(logits, temperature=temperature, top_p=0.5, seed=1, position=0)
        assert drawn.token == 0
        assert np.isfinite(drawn.processed_logprob)
    assert set(sample(np.array([largest, largest]), seed=np.arange(50), position=0).token) == {0, 1}


def test_a_row_without_a_penalty_does_not_depend_on_the_penalties_of_others():
    logits = 3 * np.random.default_rng(17).standard_normal((600, 50)).astype(np.float32)
    strength = np.tile([0.0, 0.5, 0.0], 200)
    seed, drawing = np.arange(600), {"position": 0, "history": [1, 2]}
    together = Chain(FrequencyPenalty(strength), TopNSigma(2.0)).sample(logits, seed=seed, **drawing)
    for chosen, alone in (
        (strength == 0, Chain(FrequencyPenalty(0.0), TopNSigma(2.0))),
        (strength > 0, Chain(FrequencyPenalty(0.5), TopNSigma(2.0))),
    ):
        apart = alone.sample(logits[chosen], seed=seed[chosen], **drawing)
        for found, wanted in zip(together, apart, strict=True):
            np.testing.assert_array_equal(found[chosen], wanted)
