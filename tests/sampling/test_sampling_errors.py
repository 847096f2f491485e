"""Errors for wrong input: the rule, the value, the row and the stage."""

from dataclasses import fields

import numpy as np
import pandas
import pytest

from softmaxlib.errors import InvalidInputError, UnsupportedTypeError
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
    sample,
    verify,
)

LOGITS = np.zeros((3, 5))


def changed(row, token, value):
    logits = LOGITS.copy()
    logits[row, token] = value
    return logits


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (changed(1, 2, np.nan), r"finite or -inf, got nan at row 1, token 2"),
        (changed(2, 0, np.inf), r"finite or -inf, got inf at row 2, token 0"),
        (changed(1, slice(None), -np.inf), r"got only -inf in row 1"),
        (np.zeros((2, 0)), r"at least one token, got shape \(2, 0\)"),
        (np.float64(1.0), r"shape \(\.\.\., V\)"),
    ],
)
def test_logits(logits, message):
    with pytest.raises(InvalidInputError, match=message):
        sample(logits, seed=1, position=0)


@pytest.mark.parametrize(
    "logits", [np.zeros(3, dtype=bool), np.zeros(3, dtype=complex), np.array(["a", "b"])]
)
def test_types_without_a_meaning(logits):
    with pytest.raises(UnsupportedTypeError, match="real numbers, got dtype"):
        sample(logits, seed=1, position=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_p": 0.0}, r"TopP: p must be above 0 and at most 1, got 0\.0"),
        ({"top_p": 1.5}, r"TopP: p must be above 0 and at most 1, got 1\.5"),
        ({"top_p": [0.5, 0.9, np.nan]}, r"TopP: p must be .*, got nan in row 2"),
        ({"top_k": 0}, r"TopK: k must be a whole number, 1 or more, got 0"),
        ({"top_k": 2.5}, r"TopK: k must be a whole number, 1 or more, got 2\.5"),
        ({"temperature": -0.1}, r"Temperature: temperature must be a finite number, 0 or more, got -0\.1"),
        ({"temperature": np.nan}, r"Temperature: .*got nan"),
        ({"min_p": 1.1}, r"MinP: p must be from 0 to 1, got 1\.1"),
        ({"typical_p": 0}, r"TypicalP: p must be above 0"),
        ({"top_n_sigma": 0}, r"TopNSigma: n must be a finite number above 0, got 0"),
        ({"top_k": [1, 2]}, r"broadcast; got shape \(2,\) for TopK: k, shape \(3,\) for the rows of the"),
        ({"top_k": [1, 2], "top_p": 0.5}, r"got shape \(2,\) for TopK: k, shape \(3,\) for the rows of the"),
        ({"bias": {5: 1.0}}, r"token ids in bias must lie in 0 to 4, got 5"),
        ({"bias": {-1: 1.0}}, r"token ids in bias must lie in 0 to 4, got -1"),
        ({"bias": {1: np.nan}}, r"bias must be finite, or -inf .* got nan at row 0, token 1"),
        ({"bias": {1: np.inf}}, r"bias must be finite, or -inf .* got inf at row 0, token 1"),
        (
            {"bias": np.zeros((2, 5))},
            r"got shape \(2,\) for bias or allowed, shape \(3,\) for the rows of the logits",
        ),
        ({"position": [7, 2, 7]}, r"rows 0 and 2 have one seed and the same position 7, and would draw the"),
        ({"position": [3, 3, 9]}, r"rows 0 and 1 have one seed and the same position 3"),
        ({"position": [9, 3, 3]}, r"rows 1 and 2 have one seed and the same position 3"),
        ({"bias": 1.0}, r"bias must have one entry per token, shape \(\.\.\., 5\), got shape \(\)"),
        ({"bias": np.zeros(4)}, r"bias must have one entry per token, shape \(\.\.\., 5\), got shape \(4,\)"),
        (
            {"bias": {1: [1, 2]}},
            r"bias must map each token id to one number, got values of shape \(2,\); for",
        ),
        ({"allowed": np.zeros(5, dtype=bool)}, r"stage Allowed\(\) removed the last tokens of row 0"),
        ({"seed": -1}, r"seed must lie in 0 to 18446744073709551615, got -1"),
        ({"seed": 2**64}, r"seed must lie in"),
        ({"position": [0, 1, 2**32]}, r"position must lie in 0 to 4294967295, got 4294967296 in row 2"),
    ],
)
def test_options(options, message):
    with pytest.raises(InvalidInputError, match=message):
        sample(LOGITS, **{"seed": 1, "position": 0, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allowed": [0, 3]}, r"allowed must be a mask of bool .* mask\[ids\] = True"),
        ({"seed": 1.5}, r"seed must be a whole number"),
        ({"seed": [True, 2**64 - 1, 5]}, r"seed must be a whole number.*True"),
        ({"bias": list("abcde")}, r"bias must hold real numbers, got dtype"),
        ({"top_p": "0.9"}, r"TopP: p must be above 0 and at most 1, got '0\.9'"),
        ({"top_k": [2, True, 3]}, r"TopK: k must be a whole number, 1 or more, got \[2, True, 3\]"),
        ({"min_p": (np.True_, 0.5, 0.5)}, r"MinP: p must be from 0 to 1, got \(.*True.*, 0\.5, 0\.5\)"),
        ({"temperature": ["x"] * 10**5}, r"Temperature: .* got \['x', .* characters left out\) .* 'x'\]"),
    ],
)
def test_option_types(options, message):
    with pytest.raises(UnsupportedTypeError, match=message):
        sample(LOGITS, **{"seed": 1, "position": 0, **options})


def test_the_emptied_row_and_the_stage_are_named():
    allowed = np.ones((3, 5), dtype=bool)
    allowed[2] = [True, False, False, False, False]
    logits = changed(2, 0, -np.inf)
    with pytest.raises(
        InvalidInputError, match=r"stage Allowed\(\) removed the last tokens of row 2; loosen it"
    ):
        sample(logits, allowed=allowed, seed=1, position=0)
    with pytest.raises(InvalidInputError, match=r"stage Bias\(\) removed the last tokens of row 0"):
        sample(LOGITS, bias=np.full(5, -np.inf), seed=1, position=0)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([[0], [1], [7]], r"token ids in history must lie in 0 to 4, got 7 in row 2, entry 0"),
        ([[0], [1, -1], [2]], r"token ids in history must lie in 0 to 4, got -1 in row 1, entry 1"),
        ([[0], [1]], r"one sequence of token ids a row \(3\), got 2"),
        (None, r"RepetitionPenalty reads the history: pass history="),
    ],
)
def test_history(history, message):
    with pytest.raises(InvalidInputError, match=message):
        Chain(RepetitionPenalty(1.2)).sample(LOGITS, seed=1, position=0, history=history)


@pytest.mark.parametrize("history", ["01", 3, [[0], [1], 2]])
def test_a_history_that_is_none(history):
    with pytest.raises(
        (InvalidInputError, UnsupportedTypeError), match=r"history must be (a|one) sequence of token"
    ):
        Chain(RepetitionPenalty(1.2)).sample(LOGITS, seed=1, position=0, history=history)


@pytest.mark.parametrize(
    ("draft", "target", "tokens", "message"),
    [
        ((5,), (2, 5), [0], r"draft_logits must have shape \(\.\.\., K, V\), got shape \(5,\)"),
        ((2, 5), (2, 5), [0, 1], r"one row more than the draft, shape \(3, 5\), got \(2, 5\)"),
        ((2, 5), (3, 5), [0], r"whole numbers of shape \(\.\.\., K\) .*, got \(1,\) and \(2, 5\)"),
        ((2, 5), (3, 5), [0, 5], r"draft tokens must lie in 0 to 4, got 5 in row 0, draft position 1"),
    ],
)
def test_drafts(draft, target, tokens, message):
    with pytest.raises(InvalidInputError, match=message):
        verify(tokens, np.zeros(draft), np.zeros(target), Chain(), 1, 0)


def test_drafts_beyond_the_last_position():
    with pytest.raises(
        InvalidInputError, match=r"position must leave room for 3 tokens below 2\^32, got 4294967294"
    ):
        verify([0, 1], np.zeros((2, 5)), np.zeros((3, 5)), Chain(), 1, 2**32 - 2)
    verify([0, 1], np.zeros((2, 5)), np.zeros((3, 5)), Chain(), 1, 2**32 - 3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RepetitionPenalty(0.0), r"RepetitionPenalty: penalty must be a number above 0, got 0\.0"),
        (lambda: FrequencyPenalty(np.inf), r"FrequencyPenalty: penalty must be a finite number, got inf"),
        (lambda: RepetitionPenalty(1.2, window=-1), r"window must be a whole number, 0 or more, got -1"),
        (lambda: DontRepeatYourself(1.0, base=0.5), r"base must be a number, 1 or more, got 0\.5"),
        (
            lambda: DontRepeatYourself(1.0, allowed_length=0),
            r"allowed_length must be a whole number, 1 or more",
        ),
        (lambda: ExcludeTopChoices(1.5), r"probability must be from 0 to 1, got 1\.5"),
        (lambda: ExcludeTopChoices(0.5, threshold=-0.1), r"threshold must be from 0 to 1, got -0\.1"),
        (lambda: ExcludeTopChoices(0.5, threshold=1.1), r"threshold must be from 0 to 1, got 1\.1"),
        (lambda: DontRepeatYourself(-1.0), r"multiplier must be finite, 0 or more, got -1\.0"),
        (lambda: DontRepeatYourself(np.inf), r"multiplier must be finite, 0 or more, got inf"),
        (lambda: DontRepeatYourself(1.0, allowed_length=1.5), r"allowed_length must be a whole number, 1 or"),
        (lambda: MinP(-0.1), r"MinP: p must be from 0 to 1, got -0\.1"),
        (lambda: TypicalP(1.1), r"TypicalP: p must be above 0 and at most 1, got 1\.1"),
        (lambda: TopNSigma(np.inf), r"TopNSigma: n must be a finite number above 0, got inf"),
        (
            lambda: Temperature(np.inf),
            r"Temperature: temperature must be a finite number, 0 or more, got inf",
        ),
        (lambda: Chain([Temperature(1.0)]), r"takes them one by one"),
        (
            lambda: DontRepeatYourself(1.0, breakers=[[1], [2]]),
            r"one sequence of token ids, got shape \(2, 1\)",
        ),
        (
            lambda: Chain.like("mlx", temperature=[0, 1, 1], top_p=[0.5, 0.9]),
            r"one per row of the logits, got shape \(3,\) for temperature, shape \(2,\) for top_p",
        ),
        (
            lambda: Chain.like("mlx", repetition_context_size=pandas.NA),
            r"RepetitionPenalty: window must be a whole number, 0 or more, got <NA>",
        ),
        (
            lambda: RepetitionPenalty(1.2, window=10**5000),
            r"window must be .*, got an integer of 16,610 bits",
        ),
        (
            lambda: DontRepeatYourself(1.0, breakers=[10**5000]),
            r"breakers must lie in 0 to .*, got an integer of 16,610 bits, entry 0",
        ),
        (lambda: Chain.like("sglang", min_p=np.nan), r"MinP: p must be from 0 to 1, got nan"),
        (lambda: Chain.like("sglang", min_p=-0.5), r"MinP: p must be from 0 to 1, got -0\.5"),
        (lambda: Chain.like("mlx", top_p=np.nan), r"TopP: p must be above 0 and at most 1, got nan"),
        (lambda: Chain.like("mlx", top_k=2.5), r"TopK: k must be a whole number, 1 or more, got 2\.5"),
        (
            lambda: Chain.like("mlx", temperature=[0, 1], min_p=[7, 0.5]),
            r"MinP: p must be from 0 to 1, got 7\.0 in row 0",
        ),
        (
            lambda: Chain.like("llama.cpp", dry_base=0, dry_multiplier=np.nan),
            r"DontRepeatYourself: multiplier must be finite, 0 or more, got nan",
        ),
        (
            lambda: Chain.like("gpt"),
            r"engine must be one of transformers, vllm, llama\.cpp, sglang, mlx; got 'gpt'",
        ),
        (
            lambda: Chain.like("mlx", typical_p=0.9),
            r"mlx has no option 'typical_p'; it has frequency_context_size, frequency_penalty, min_p",
        ),
    ],
)
def test_building(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()


SWITCHES = {ExcludeTopChoices: "probability", DontRepeatYourself: "multiplier"}
DETAILS = [
    (ExcludeTopChoices, "threshold", ["llama.cpp", "mlx"], "xtc_threshold"),
    (DontRepeatYourself, "base", ["llama.cpp"], "dry_base"),
    (DontRepeatYourself, "allowed_length", ["llama.cpp"], "dry_allowed_length"),
]


@pytest.mark.parametrize(("kind", "name", "engines", "option"), DETAILS)
def test_none_is_for_the_switch_alone(kind, name, engines, option):
    switch = SWITCHES[kind]
    message = rf"^{kind.__name__}: {name} must be .*, got None; {switch}=None switches the stage off$"
    for build in (
        lambda: kind(1.0, **{name: None}),
        lambda: kind(**{name: None}),
        *(lambda engine=engine: Chain.like(engine, **{option: None}) for engine in engines),
    ):
        with pytest.raises(UnsupportedTypeError, match=message):
            build()
    assert kind(None).is_off


PARAMETERS = [
    *[
        (kind, item.name)
        for kind in (Temperature, TopK, TopP, MinP, TypicalP, TopNSigma)
        for item in fields(kind)
    ],
    *[(kind, "penalty") for kind in (RepetitionPenalty, PresencePenalty, FrequencyPenalty)],
    *[(kind, name) for kind, name, *_ in DETAILS],
    *SWITCHES.items(),
]


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
@pytest.mark.parametrize(
    "value",
    [True, np.True_, "0.5", b"1", 1j, 1 + 0j, [1, True], [1, None], ["1"], [1j], [True, True], {1}, ...],
    ids=str,
)
def test_what_is_no_number_is_answered_by_name(kind, name, value):
    with pytest.raises(UnsupportedTypeError, match=rf"^{kind.__name__}: {name} must be .*, got "):
        kind(**{name: value})


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
def test_nan_and_rows_that_are_not_there_are_answered_by_name(kind, name):
    with pytest.raises(InvalidInputError, match=rf"^{kind.__name__}: {name} must be .*, got nan in row 1"):
        kind(**{name: [1.0, np.nan, 1.0]})
    chain = Chain(kind(**{name: [1.0, 1.0]}))
    message = rf"got shape \(2,\) for {kind.__name__}: {name}, shape \(3,\) for the rows of the logits"
    with pytest.raises(InvalidInputError, match=message):
        chain.process(LOGITS, history=[], seed=1, position=0)


def test_calls_that_lack_something():
    with pytest.raises(InvalidInputError, match=r"throws a coin: pass seed"):
        Chain(ExcludeTopChoices(0.5)).process(LOGITS)
    with pytest.raises(InvalidInputError, match=r"breakers must be token ids in 0 to 4, got 5"):
        Chain(DontRepeatYourself(1.0, breakers=[5])).process(LOGITS[0], history=[1])
    with pytest.raises(InvalidInputError, match=r"explain takes one row .* got shape \(3, 5\)"):
        Chain.standard().explain(LOGITS)
    with pytest.raises(InvalidInputError, match=r"one string a token \(5\), got 2"):
        Chain.standard().explain(LOGITS[0], names=["a", "b"])


def test_how_many_tokens_an_explanation_lists():
    with pytest.raises(InvalidInputError, match=r"top must be a whole number, at least 0; got -1"):
        Chain(TopK(2)).explain(LOGITS[0], top=-1)
    for top in range(7):
        assert len(Chain(TopK(2)).explain(LOGITS[0], top=top).steps[0].top) == min(top, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Chain(TopK(2)).explain(LOGITS[0], top="a"), r"top must be a whole number, got 'a'"),
        (lambda: Chain(TopK(2)).explain(LOGITS[0], top=2.0), r"top must be a whole number, got 2\.0"),
        (lambda: Chain(TopK(2)).explain(LOGITS[0], names=3), r"names must be a sequence of strings.*got 3"),
        (lambda: Chain(TopK(2)).explain(LOGITS[0], names="abcde"), r"names must be a sequence of .*'abcde'"),
        (
            lambda: judged("vllm"),
            r"^chain must be a Chain such as Chain\(Temperature\(0\.8\)\), got 'vllm'; .*like",
        ),
        (
            lambda: judged([TopK(3)]),
            r"^chain must be a Chain .* got \[TopK\(k=3\)\]; Chain\(\*stages\) makes one",
        ),
        (lambda: judged(Chain(), draft_chain=[]), r"^draft_chain must be a Chain .*, got \[\]"),
        (lambda: judged(Chain(), draft_chain=TopK(1)), r"^draft_chain must be a Chain .*, got TopK\(k=1\)"),
        (
            lambda: Chain.like("mlx", top_p=["2020-01-01"]),
            r"TopP: p must be above 0 and at most 1, got \['2020",
        ),
        (lambda: Chain.like("mlx", top_k="x"), r"TopK: k must be a whole number, 1 or more, got 'x'"),
    ],
)
def test_what_has_a_wrong_type(call, message):
    with pytest.raises(UnsupportedTypeError, match=message):
        call()


def judged(chain, **options):
    return verify([0, 1], LOGITS[:2], LOGITS, chain, 1, 0, **options)


@pytest.mark.parametrize(
    "stage", [Temperature(0.5), TopK(1), TopP(1e-9), MinP(1.0), TypicalP(1e-9), TopNSigma(1e-9)]
)
def test_no_filter_ever_empties_a_row(stage):
    generator = np.random.default_rng(30)
    for logits in (
        LOGITS,
        generator.standard_normal((50, 7)),
        np.where(generator.random((50, 7)) < 0.5, -np.inf, 1.0),
    ):
        logits = logits.copy()
        logits[:, 0] = 1.0
        assert np.isfinite(Chain(stage).process(logits)).any(axis=-1).all()


def test_stages_that_wait_for_the_call_do_nothing_without_it():
    np.testing.assert_array_equal(Chain(Bias(), Allowed()).process(LOGITS), LOGITS)


def test_a_vocabulary_beyond_31_bits_is_refused_before_it_is_copied():
    with pytest.raises(InvalidInputError, match=r"smaller than 2\^31 tokens, got 2147483648"):
        sample(np.broadcast_to(np.float32(0), (2**31,)), seed=0, position=0)
