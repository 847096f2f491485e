"""Seeds and positions: no call repeats a draw in silence, and a seed per row makes a row independent of its
batch."""

import warnings

import numpy as np
import pytest
from scipy import stats

from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError
from softmaxlib.sampling import Chain, ExcludeTopChoices, Temperature, row_seeds, sample, verify

LOGITS = np.zeros((6, 1000))


def test_rows_with_one_seed_have_streams_of_their_own():
    token = sample(LOGITS, seed=5, position=0).token
    assert len(set(token)) == 6
    assert token[0] == sample(LOGITS[0], seed=5, position=0).token
    seeds = row_seeds(5, 6)
    assert seeds[0] == 5
    np.testing.assert_array_equal(sample(LOGITS, seed=seeds, position=0).token, token)
    for row in range(6):
        assert sample(LOGITS[row], seed=seeds[row], position=0).token == token[row]


def test_the_streams_of_a_seed_are_independent():
    many = np.broadcast_to(np.zeros(10), (200_000, 10))
    token = sample(many, seed=9, position=0).token
    assert stats.chisquare(np.bincount(token, minlength=10)).pvalue > 1e-6
    pairs = np.bincount(token[:-1:2] * 10 + token[1::2], minlength=100).reshape(10, 10)
    assert stats.chi2_contingency(pairs).pvalue > 1e-6
    other = sample(many, seed=9, position=1).token
    pairs = np.bincount(token * 10 + other, minlength=100).reshape(10, 10)
    assert stats.chi2_contingency(pairs).pvalue > 1e-6


def test_a_seed_a_row_is_used_as_it_is():
    token = sample(LOGITS, seed=[5, 5, 7, 8, 9, 5], position=0).token
    assert token[0] == token[1] == token[5] == sample(LOGITS[3], seed=5, position=0).token
    np.testing.assert_array_equal(sample(LOGITS[2:4], seed=[7, 8], position=0).token, token[2:4])


def test_a_seed_a_sequence_and_a_stream_for_each_of_its_rows():
    token = sample(LOGITS.reshape(2, 3, 1000), seed=np.array([[4], [5]]), position=0).token
    np.testing.assert_array_equal(token[1], sample(LOGITS[:3], seed=5, position=0).token)


def test_positions_a_row_are_the_keys_as_they_stand():
    token = sample(LOGITS, seed=5, position=np.arange(6)).token
    assert token[4] == sample(LOGITS[4], seed=5, position=4).token
    many = sample(LOGITS.reshape(2, 3, 1000), seed=5, position=np.arange(3)).token
    np.testing.assert_array_equal(many[0], token[:3])
    assert not np.any(many[1] == many[0])


def test_positions_that_repeat_under_one_seed_are_refused():
    with pytest.raises(
        InvalidInputError, match=r"rows 1 and 3 have one seed and the same position 7.*a seed per row"
    ):
        sample(LOGITS, seed=5, position=[1, 7, 2, 7, 0, 3])
    assert sample(LOGITS, seed=np.arange(6), position=[1, 7, 2, 7, 0, 3]).token.shape == (6,)


def test_a_generator_moves_on_with_each_call():
    def five(generator):
        return [int(sample(LOGITS[0], seed=generator).token) for _ in range(5)]

    first = five(np.random.default_rng(5))
    assert len(set(first)) == 5
    assert first == five(np.random.default_rng(5))
    assert len(set(sample(LOGITS, seed=np.random.default_rng(5)).token)) == 6
    whole, part = np.random.default_rng(3), np.random.default_rng(3)
    sample(LOGITS, seed=whole)
    sample(LOGITS[0], seed=part)
    assert whole.bit_generator.state == part.bit_generator.state  # one number per call, whatever the batch


def test_no_seed_is_a_fresh_one():
    assert len({int(sample(LOGITS[0]).token) for _ in range(8)}) > 1


@pytest.mark.parametrize("seed", [5, np.arange(6), [1, 2, 3, 4, 5, 6]])
def test_a_seed_without_a_position_warns(seed):
    for call in (
        lambda: sample(LOGITS, seed=seed),
        lambda: Chain.standard().sample(LOGITS, seed=seed),
        lambda: Chain(ExcludeTopChoices(0.5)).process(LOGITS, seed=seed),
    ):
        with pytest.warns(SoftmaxlibWarning, match="pass position=0, 1, 2, .*default_rng") as caught:
            call()
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample(LOGITS, seed=seed, position=0)
        Chain(Temperature(0.5)).process(LOGITS, seed=seed)  # nothing random is asked for


def test_the_coin_has_a_stream_a_row_too():
    chain = Chain(ExcludeTopChoices(0.5, 0.0))
    logits = np.broadcast_to(np.array([2.0, 1.0, 0.0]), (4000, 3))
    excluded = np.isinf(chain.process(logits, seed=3, position=0)[:, 0])
    assert stats.binomtest(int(excluded.sum()), 4000, 0.5).pvalue > 1e-6
    alone = chain.process(logits[0], seed=row_seeds(3, 20)[19], position=0)
    assert np.isinf(alone[0]) == excluded[19]


def test_verify_and_a_draft_with_one_seed_agree_on_their_coins():
    chain = Chain(ExcludeTopChoices(0.5, 0.05))
    generator = np.random.default_rng(8)
    draft, target = generator.standard_normal((300, 3, 9)), generator.standard_normal((300, 4, 9))
    drafted = chain.sample(draft, seed=11, position=np.arange(3)).token
    together = verify(drafted, draft, target, chain, 11, 0)
    for row in (0, 1, 299):
        alone = verify(drafted[row], draft[row], target[row], chain, row_seeds(11, 300)[row], 0)
        np.testing.assert_array_equal(alone.token, together.token[row])


def test_other_sources_of_randomness_are_named():
    with pytest.raises(
        UnsupportedTypeError, match=r"Generator, got RandomState; numpy\.random\.default_rng takes it"
    ):
        sample(LOGITS, seed=np.random.RandomState(1))
    with pytest.raises(
        InvalidInputError, match=r"shapes \(4,\) and \(\) do not broadcast to the rows \(6,\)"
    ):
        sample(LOGITS, seed=np.arange(4), position=0)
