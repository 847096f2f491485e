"""Arguments per row broadcast by one rule: every combination gives the same as each row alone."""

from itertools import product

import numpy as np
import pytest

from softmaxlib.errors import InvalidInputError
from softmaxlib.sampling import (
    Allowed,
    Bias,
    Chain,
    DontRepeatYourself,
    ExcludeTopChoices,
    FrequencyPenalty,
    MinP,
    PresencePenalty,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    TypicalP,
)

ROWS, VOCABULARY = 3, 12
GENERATOR = np.random.default_rng(70)
# Of each argument: one for all rows, and one per row.
GIVEN = {
    "logits": [GENERATOR.standard_normal(VOCABULARY), GENERATOR.standard_normal((ROWS, VOCABULARY))],
    "temperature": [0.7, np.array([0.5, 1.0, 2.0])],
    "penalty": [1.3, np.array([1.1, 2.0, 0.5])],
    "seed": [np.uint64(3), np.array([4, 2**63 + 5, 6], dtype=np.uint64)],
    "position": [1, np.array([1, 5, 9])],
    "history": [[1, 2, 2, 5], [[1, 2], [], [3, 3, 4]]],
    "bias": [{3: 1.0, 5: -np.inf}, GENERATOR.standard_normal((ROWS, VOCABULARY))],
    "allowed": [np.arange(VOCABULARY) != 7, GENERATOR.random((ROWS, VOCABULARY)) < 0.7],
}


def row_of(value, name, row, by_row):
    return value[row] if by_row else value


@pytest.mark.parametrize("coins", [False, True])
def test_every_combination_of_one_and_one_a_row(coins):
    for by_row in product([False, True], repeat=len(GIVEN)):
        each = dict(zip(GIVEN, by_row, strict=True))
        value = {name: GIVEN[name][each[name]] for name in GIVEN}

        def call(given):
            stages = [RepetitionPenalty(given["penalty"]), Temperature(given["temperature"]), TopK(9)]
            stages += [ExcludeTopChoices(0.5, 0.1)] if coins else []
            options = {name: given[name] for name in ("seed", "position", "history", "bias", "allowed")}
            return Chain(Bias(), Allowed(), *stages).sample(given["logits"], **options)

        whole = call(value)
        shared_seed_and_position = not each["seed"] and not each["position"]
        expected_shape = (ROWS,) if any(by_row) else ()
        assert whole.token.shape == expected_shape
        for row in range(ROWS if any(by_row) and not shared_seed_and_position else 0):
            alone = call({name: row_of(value[name], name, row, each[name]) for name in GIVEN})
            for one, other in zip(alone, whole, strict=True):
                assert one == other[row], (each, row)


PER_ROW = [
    Temperature(np.array([0.5, 1.0, 2.0])),
    TopK(np.array([2, 5, 12])),
    TopP(np.array([0.3, 0.8, 1.0])),
    MinP(np.array([0.5, 0.1, 0.0])),
    TypicalP(np.array([0.3, 0.8, 1.0])),
    TopNSigma(np.array([0.5, 1.0, 3.0])),
    ExcludeTopChoices(np.array([0.0, 0.5, 1.0]), np.array([0.01, 0.05, 0.1])),
    RepetitionPenalty(np.array([1.0, 2.0, 0.5])),
    PresencePenalty(np.array([0.0, 2.0, -1.0])),
    FrequencyPenalty(np.array([0.0, 2.0, -1.0])),
    DontRepeatYourself(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.5, 2.0]), np.array([1, 2, 1])),
]


@pytest.mark.parametrize("stage", PER_ROW, ids=lambda stage: type(stage).__name__)
def test_every_parameter_may_differ_by_row(stage):
    logits = GENERATOR.standard_normal((ROWS, VOCABULARY))
    history = [[1, 2, 1, 2, 1], [4, 5, 6, 4, 5], [7, 8, 7, 8, 7]]
    whole = Chain(stage).process(logits, history=history, seed=[1, 2, 3], position=0)
    for row in range(ROWS):
        alone = Chain(stage.take(np.array([row])))
        np.testing.assert_array_equal(
            alone.process(logits[row : row + 1], history=[history[row]], seed=[row + 1], position=0)[0],
            whole[row],
        )


def test_the_case_of_seeds_beside_one_history():
    chain = Chain.like("llama.cpp", repetition_penalty=1.1, xtc_probability=0.5)
    logits = np.array([0.3, 0.2, 0.1, 0.0])
    drawn = chain.sample(logits, seed=np.arange(3), position=0, history=[0])
    for seed in range(3):
        assert drawn.token[seed] == chain.sample(logits, seed=seed, position=0, history=[0]).token


def test_histories_of_every_kind():
    torch = pytest.importorskip("torch")
    chain, logits = Chain(FrequencyPenalty(1.0)), np.zeros((2, 5))
    expected = chain.process(logits, history=[[1, 1], [2, 3]])
    for history in (
        np.array([[1, 1], [2, 3]]),
        torch.tensor([[1, 1], [2, 3]]),
        [torch.tensor([1, 1]), np.array([2, 3])],
        ((1, 1), range(2, 4)),
        np.array([[1, 1], [2, 3]], dtype=object),
    ):
        np.testing.assert_array_equal(chain.process(logits, history=history), expected)
    for empty in ([], [[], []], np.zeros((2, 0), dtype=np.int64), ()):
        np.testing.assert_array_equal(chain.process(logits, history=empty), logits)
    cube = chain.process(np.zeros((2, 2, 5)), history=[[[1], [2, 2]], [[], [3]]])
    assert cube[0, 1, 2] == -2
    with pytest.raises(
        InvalidInputError, match=r"one sequence of token ids a row \(2\), got 3; .* counts for all"
    ):
        chain.process(logits, history=[[1], [2], [3]])
    with pytest.raises(InvalidInputError, match="not nested in both ways"):
        chain.process(logits, history=[[1], [[2]]])


def test_a_block_of_rows_names_the_row_of_the_whole(monkeypatch):
    from softmaxlib.sampling import _call

    monkeypatch.setattr(_call, "BLOCK", 2 * 5)
    allowed = np.ones((9, 5), dtype=bool)
    allowed[7] = False
    with pytest.raises(InvalidInputError, match="last tokens of row 7"):
        Chain(Allowed()).process(np.zeros((9, 5)), allowed=allowed)
    logits = np.random.default_rng(1).standard_normal((9, 5))
    options = {
        "history": [[i % 5] for i in range(9)],
        "bias": np.arange(45.0).reshape(9, 5) / 50,
        "prompt_length": 0,
    }
    chain = Chain(Bias(), RepetitionPenalty(np.arange(1.0, 10)), Temperature(np.arange(1.0, 10)), TopK(3))
    blocks = chain.sample(logits, seed=np.arange(9), position=np.arange(4)[:, None], **options)
    monkeypatch.setattr(_call, "BLOCK", 2**20)
    whole = chain.sample(logits, seed=np.arange(9), position=np.arange(4)[:, None], **options)
    for one, other in zip(blocks, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_without_rows():
    drawn = Chain.like("vllm", presence_penalty=0.5).sample(np.zeros((0, 5)), seed=1, position=0, history=[])
    assert drawn.token.shape == (0,)
    assert Chain.standard(top_k=2).process(np.zeros((2, 0, 5))).shape == (2, 0, 5)
