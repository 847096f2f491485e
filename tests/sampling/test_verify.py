import numpy as np
import pytest
from scipy import stats

from softmaxlib import softmax
from softmaxlib.errors import InvalidInputError
from softmaxlib.sampling import (
    Chain,
    DontRepeatYourself,
    ExcludeTopChoices,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    verify,
)

ROWS, DRAFTED, VOCABULARY = 200_000, 2, 6


def experiment(chain, draft_chain, seed):
    """Drafts drawn from their own chain with the same seed, then verified."""
    generator = np.random.default_rng(21)
    draft = generator.standard_normal((DRAFTED, VOCABULARY)) * 1.5
    target = generator.standard_normal((DRAFTED + 1, VOCABULARY)) * 1.5
    position = np.arange(ROWS) * 10
    drafted = draft_chain.sample(draft, seed=seed, position=position[:, None] + np.arange(DRAFTED)).token
    verified = verify(
        drafted,
        np.broadcast_to(draft, (ROWS, DRAFTED, VOCABULARY)),
        np.broadcast_to(target, (ROWS, DRAFTED + 1, VOCABULARY)),
        chain,
        seed,
        position,
        draft_chain=draft_chain,
    )
    return drafted, draft, target, verified


@pytest.mark.parametrize(
    ("chain", "draft_chain"),
    [
        (Chain.standard(), Chain.standard()),
        (Chain.standard(temperature=0.7, top_k=4), Chain.standard(temperature=0.7, top_k=4)),
        (Chain.standard(top_p=0.8), Chain.standard(temperature=2.0)),
    ],
)
def test_output_follows_the_target(chain, draft_chain):
    _, _, target, verified = experiment(chain, draft_chain, seed=5)
    probability = softmax(chain.process(target))
    for step in range(DRAFTED + 1):
        emitted = verified.token[:, step]
        emitted = emitted[emitted >= 0]
        possible = probability[step] > 0
        count = np.bincount(emitted, minlength=VOCABULARY)
        assert count[~possible].sum() == 0
        expected = len(emitted) * probability[step][possible]
        assert stats.chisquare(count[possible], expected).pvalue > 1e-6


def test_as_many_are_accepted_as_the_theory_says():
    """Source: Leviathan et al., theorem 3.5: the probability of acceptance is the sum of min(p, q)."""
    chain = Chain.standard()
    _, draft, target, verified = experiment(chain, chain, seed=6)
    overlap = np.minimum(softmax(draft), softmax(target[:DRAFTED])).sum(axis=-1)
    assert stats.binomtest(int((verified.accepted > 0).sum()), ROWS, overlap[0]).pvalue > 1e-6
    assert (
        stats.binomtest(
            int((verified.accepted > 1).sum()), int((verified.accepted > 0).sum()), overlap[1]
        ).pvalue
        > 1e-6
    )


def test_what_is_emitted():
    drafted, _, _, verified = experiment(Chain.standard(), Chain.standard(), seed=7)
    place = np.arange(DRAFTED + 1)
    accepted = verified.accepted[:, None]
    np.testing.assert_array_equal(verified.token >= 0, place <= accepted)
    same = verified.token[:, :DRAFTED] == drafted
    assert same[place[:DRAFTED] < accepted].all()
    assert not same[place[:DRAFTED] == accepted].any()


def test_batch_invariance():
    generator = np.random.default_rng(22)
    draft, target = generator.standard_normal((50, 3, 8)), generator.standard_normal((50, 4, 8))
    chain = Chain(Temperature(0.8), TopK(6))
    seed = np.arange(50)
    drafted = chain.sample(draft, seed=seed[:, None], position=np.arange(3)).token
    together = verify(drafted, draft, target, chain, seed, 0)
    for row in range(50):
        alone = verify(drafted[row], draft[row], target[row], chain, int(seed[row]), 0)
        np.testing.assert_array_equal(alone.token, together.token[row])
        assert alone.accepted == together.accepted[row]


def test_greedy_accepts_the_argmax_and_corrects_to_it():
    target = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    draft = np.array([[0.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
    verified = verify(np.array([1, 1]), draft, target, Chain.standard(temperature=0), 1, 0)
    np.testing.assert_array_equal(verified.token, [1, 0, -1])
    assert verified.accepted == 1


def test_the_history_grows_with_the_accepted_tokens():
    """A penalty that forbids repetition: after token 1 is accepted, it cannot come again."""
    logits = np.array([[0.0, 9.0, 0.0], [0.0, 9.0, 0.0]])
    chain = Chain(RepetitionPenalty(1e6), Temperature(0.01))
    verified = verify(np.array([1]), logits[:1], logits, chain, 1, 0, history=[])
    assert verified.token[0] == 1
    free = verify(np.array([1]), logits[:1], logits, Chain(Temperature(0.01)), 1, 0)
    np.testing.assert_array_equal(free.token, [1, 1])
    counts = {
        int(verify(np.array([1]), logits[:1], logits, chain, seed, 0, history=[]).token[1])
        for seed in range(60)
    }
    assert counts == {0, 1, 2}


def test_a_history_and_coins_are_part_of_the_law():
    """One draft position. The law is worked out by hand: token 0 is penalized, then the coin is averaged."""
    rows = 20_000
    draft, target = np.array([1.5, 1.0, 0.5, 0.0]), np.array([[2.0, 0.0, 1.5, 1.0], [0.0, 0.0, 0.0, 0.0]])
    chain = Chain(RepetitionPenalty(5.0), ExcludeTopChoices(0.5, threshold=0.25))
    seed = np.arange(rows)
    drafted = chain.sample(np.broadcast_to(draft, (rows, 4)), seed=seed, position=0, history=[0]).token
    verified = verify(
        drafted[:, None],
        np.broadcast_to(draft, (rows, 1, 4)),
        np.broadcast_to(target, (rows, 2, 4)),
        chain,
        seed,
        0,
        history=[0],
    )
    without = softmax(np.array([2.0 / 5, 0.0, 1.5, 1.0]))
    np.testing.assert_array_equal(without >= 0.25, [False, False, True, True])  # token 3 is the least of them
    after = softmax(np.array([2.0 / 5, 0.0, -np.inf, 1.0]))
    count = np.bincount(verified.token[:, 0], minlength=4)
    assert stats.chisquare(count, rows * (without + after) / 2).pvalue > 1e-6


PENALTY, REPETITION = RepetitionPenalty(5.0), DontRepeatYourself(1.0)


@pytest.mark.parametrize(
    ("chain", "draft_chain", "reader"),
    [
        (Chain(PENALTY), None, "RepetitionPenalty"),
        (Chain(PENALTY), Chain(), "RepetitionPenalty"),
        (Chain(), Chain(TopK(2), REPETITION), "DontRepeatYourself"),
        (Chain.like("vllm", presence_penalty=0.5), None, "PresencePenalty"),
    ],
)
def test_a_history_that_a_stage_reads_must_be_given(chain, draft_chain, reader):
    target = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    with pytest.raises(InvalidInputError, match=rf"{reader} reads the history: pass history=.*\[\]"):
        verify([0], target[:1], target, chain, 1, 0, draft_chain=draft_chain)
    with pytest.raises(InvalidInputError, match=rf"{reader} reads the history"):  # as Chain.sample says it
        (draft_chain if reader == "DontRepeatYourself" else chain).sample(target, seed=1, position=0)
    assert verify([0], target[:1], target, chain, 1, 0, draft_chain=draft_chain, history=[]).token[0] >= 0


@pytest.mark.parametrize(
    "chain",
    [Chain(RepetitionPenalty(1.0), DontRepeatYourself(), TopP(0.9)), Chain.like("llama.cpp"), Chain()],
)
def test_a_chain_that_reads_no_history_needs_none(chain):
    generator = np.random.default_rng(25)
    draft, target = generator.standard_normal((50, 3, 8)), generator.standard_normal((50, 4, 8))
    drafted = chain.sample(draft, seed=np.arange(50)[:, None], position=np.arange(3)).token
    without = verify(drafted, draft, target, chain, np.arange(50), 0)
    empty = verify(drafted, draft, target, chain, np.arange(50), 0, history=[])
    np.testing.assert_array_equal(without.token, empty.token)


COINS = Chain(ExcludeTopChoices(0.5, 0.1))


def test_a_draft_that_was_drawn_by_other_coins_is_named():
    logits = np.array([[2.0, 1.9, 0.0], [0.0, 0.0, 0.0]])  # if the coin applies, token 0 is excluded
    seeds = range(40)
    drawn = [COINS.sample(logits[:1], seed=seed, position=0).token for seed in seeds]
    for seed in seeds:  # drawn by the same coins, whatever they are
        assert verify(drawn[seed], logits[:1], logits, COINS, seed, 0).token[0] >= 0
    excludes = next(seed for seed in seeds if np.isinf(COINS.process(logits[0], seed=seed, position=0)[0]))
    excluded = next(token for token in drawn if token == 0)
    message = (
        r"got token 0 with probability 0 in row 0, draft position 0; pass the logits and the chain that it "
        r"was drawn with, and its seed and position, by which ExcludeTopChoices flips coins"
    )
    with pytest.raises(InvalidInputError, match=message):
        verify(excluded, logits[:1], logits, COINS, excludes, 0)


def test_an_impossible_token_of_a_chain_without_coins_has_nothing_to_do_with_them():
    with pytest.raises(InvalidInputError, match=r"pass the logits and the chain that it was drawn with$"):
        verify([1], np.eye(2)[:1], np.eye(2), Chain(TopK(1)), 1, 0, draft_chain=Chain(TopK(1)))


@pytest.mark.parametrize(
    ("seed", "got"), [(None, "None"), (np.random.default_rng(1), "a Generator")], ids=["None", "Generator"]
)
def test_a_draft_that_was_drawn_by_coins_needs_their_seed(seed, got):
    logits = np.zeros((2, 3))
    message = (
        rf"seed must be that of the draft, because ExcludeTopChoices in its chain flips coins, got {got}, "
        r"which means a fresh seed; draw the draft with a whole number, or one per row, and pass it here too"
    )
    for chain, draft_chain in ((COINS, None), (Chain(), COINS)):
        with pytest.raises(InvalidInputError, match=message):
            verify([0], logits[:1], logits, chain, seed, 0, draft_chain=draft_chain)
    for chain, draft_chain in ((COINS, Chain()), (Chain(ExcludeTopChoices(0.0)), None), (Chain(), None)):
        assert verify([0], logits[:1], logits, chain, seed, 0, draft_chain=draft_chain).token[0] >= 0


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([0, 4], r"must lie in 0 to 3, got 4 in row 0, draft position 1; each is the number of a column"),
        ([-2, 0], r"must lie in 0 to 3, got -2 in row 0, draft position 0; each is the number of a column"),
        ([0, -1], r"must lie in 0 to 3, got -1 in row 0, draft position 1; -1 is the padding .* cut it off"),
        ([[0, 0], [0, 4]], r"must lie in 0 to 3, got 4 in row 1, draft position 1;"),
        ([[0, 0], [0, 2**64]], r"must lie in 0 to 3, got 18446744073709551616 in row 1, draft position 1;"),
        ([[[0, 0], [0, 0]], [[-1, 0], [0, 9]]], r"must lie in 0 to 3, got -1 in row 2, draft position 0; -1"),
    ],
)
def test_a_draft_token_out_of_range_is_named_with_row_and_draft_position(tokens, message):
    lead = np.shape(tokens)[:-1]
    with pytest.raises(InvalidInputError, match=f"draft tokens {message}"):
        verify(tokens, np.zeros((*lead, 2, 4)), np.zeros((*lead, 3, 4)), Chain(), 1, 0)


def test_bad_input_says_what_and_where():
    logits = np.zeros((3, 4))
    chain = Chain(TopK(1), Temperature(1.0))
    with pytest.raises(InvalidInputError, match=r"one row more than the draft, shape \(3, 4\), got \(2, 4\)"):
        verify(np.array([0, 0]), logits[:2], logits[:2], chain, 1, 0)
    one_hot = np.eye(4)[:3]
    with pytest.raises(InvalidInputError, match=r"token 3 with probability 0 in row 0, draft position 1"):
        verify(np.array([0, 3]), one_hot[:2], one_hot, chain, 1, 0)


@pytest.mark.parametrize("by_row", [False, True])
def test_parameters_by_row_and_rows_that_accept_different_numbers(by_row):
    generator = np.random.default_rng(23)
    draft, target = generator.standard_normal((40, 3, 8)) * 2, generator.standard_normal((40, 4, 8)) * 2
    temperature = generator.uniform(0.5, 2.0, 40) if by_row else np.array(0.9)
    k, penalty = generator.integers(2, 8, 40), generator.uniform(1.0, 2.0, 40)
    history = [generator.integers(0, 8, size).tolist() for size in generator.integers(0, 5, 40)]

    def chain(rows):
        heat = temperature[rows] if by_row else float(temperature)
        return Chain(
            RepetitionPenalty(penalty[rows]), Temperature(heat), TopK(k[rows]), ExcludeTopChoices(0.3, 0.2)
        )

    seed = np.arange(40)
    drafted = np.empty((40, 3), dtype=np.int64)
    for step in range(3):
        past = [history[row] + drafted[row, :step].tolist() for row in range(40)]
        drafted[:, step] = (
            chain(np.arange(40)).sample(draft[:, step], seed=seed, position=step, history=past).token
        )
    together = verify(drafted, draft, target, chain(np.arange(40)), seed, 0, history=history)
    assert len(set(together.accepted)) > 2
    for row in range(40):
        one = np.array([row])
        alone = verify(drafted[one], draft[one], target[one], chain(one), [row], 0, history=[history[row]])
        np.testing.assert_array_equal(alone.token[0], together.token[row])
        assert alone.accepted[0] == together.accepted[row]


def test_a_chain_by_row_gives_what_its_scalar_gives():
    """200 random batches of two rows: the same tokens from `1.0` and from one 1.0 a row."""
    generator = np.random.default_rng(24)
    for batch in range(200):
        draft, target = generator.standard_normal((2, 2, 5)), generator.standard_normal((2, 3, 5))
        drafted = Chain().sample(draft, seed=[[batch], [batch + 1]], position=[0, 1]).token
        one = verify(drafted, draft, target, Chain(Temperature(1.0)), [batch, batch + 1], 0)
        each = verify(drafted, draft, target, Chain(Temperature(np.array([1.0, 1.0]))), [batch, batch + 1], 0)
        np.testing.assert_array_equal(each.token, one.token)


def test_broken_logits_are_named_with_row_and_place():
    logits = np.zeros((2, 3, 4))
    logits[1, 2, 3] = np.nan
    with pytest.raises(
        InvalidInputError, match=r"target_logits must be .* got nan at row 1, draft position 2, token 3"
    ):
        verify(np.zeros((2, 2), int), np.zeros((2, 2, 4)), logits, Chain(), 1, 0)
    draft = np.array([[[0.0, 1.0]], [[np.inf, 0.0]]])
    with pytest.raises(
        InvalidInputError, match=r"draft_logits .* got inf at row 1, draft position 0, token 0"
    ):
        verify(np.zeros((2, 1), int), draft, np.zeros((2, 2, 2)), Chain(), 1, 0)
