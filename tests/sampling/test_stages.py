"""A stage is frozen: nobody changes its parameters, and equal stages are equal wherever they come from."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from softmaxlib.sampling import (
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

KINDS = [Temperature, TopK, TopP, MinP, TypicalP, TopNSigma]
PENALTIES = [RepetitionPenalty, PresencePenalty, FrequencyPenalty]
FIRST = [(kind, dataclasses.fields(kind)[0].name) for kind in (*KINDS, *PENALTIES)]
OTHERS = [
    (DontRepeatYourself, "multiplier"),
    (DontRepeatYourself, "base"),
    (DontRepeatYourself, "allowed_length"),
    (ExcludeTopChoices, "probability"),
    (ExcludeTopChoices, "threshold"),
]


@pytest.mark.parametrize(("kind", "name"), [*FIRST, *OTHERS])
def test_the_array_that_was_given_may_change(kind, name):
    given = np.ones(3)
    stage, expected = kind(**{name: given}), kind(**{name: [1.0, 1.0, 1.0]})
    given[0] = 0.5
    assert stage == expected
    assert hash(stage) == hash(expected)
    with pytest.raises(ValueError, match="read-only"):
        getattr(stage, name)[0] = 0.5


def test_the_breakers_that_were_given_may_change():
    given = np.array([1, 2])
    stage = DontRepeatYourself(1.0, breakers=given)
    given[0] = 9
    assert stage.breakers == (1, 2)


def test_the_tensor_that_was_given_may_change():
    torch = pytest.importorskip("torch")
    given = torch.tensor([1, 2])
    chain = Chain(TopK(given))
    given[0] = 4
    kept = np.isfinite(chain.process(np.arange(8.0).reshape(2, 4))).sum(axis=-1)
    np.testing.assert_array_equal(kept, [1, 2])


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, dataclasses.replace, lambda stage: pickle.loads(pickle.dumps(stage))],
    ids=["copy", "deepcopy", "replace", "pickle"],
)
@pytest.mark.parametrize(
    "stage",
    [
        TopK(np.array([1, 2])),
        TopK(5),
        Temperature(np.array([[0.5, 1.0]], dtype="f4")),
        RepetitionPenalty(np.array([1.5, 2.0]), window=3, include_prompt=False),
        DontRepeatYourself([1.0, 2.0], allowed_length=np.array([2, 3]), breakers=[7]),
        ExcludeTopChoices(),
    ],
    ids=str,
)
def test_a_copy_is_equal_and_frozen_too(stage, again):
    other = again(stage)
    assert other == stage
    assert hash(other) == hash(stage)
    assert repr(other) == repr(stage)
    for item in dataclasses.fields(other):
        value = getattr(other, item.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable
            assert not np.shares_memory(value, getattr(stage, item.name))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TopK(5), TopK(5.0)),
        (TopK(np.array([1, 2])), TopK(np.array([1.0, 2.0]))),
        (Temperature(0), Temperature(-0.0)),
        (RepetitionPenalty(2, window=np.int8(3)), RepetitionPenalty(2.0, window=3)),
        (RepetitionPenalty(2.0, include_prompt=np.True_), RepetitionPenalty(2.0, include_prompt=True)),
        (TopK(np.arange(1, 3000)), TopK(np.arange(1.0, 3000.0))),
    ],
    ids=repr,
)
def test_equal_stages_have_equal_hashes(one, other):
    assert one == other
    assert hash(one) == hash(other)
    assert hash(Chain(one)) == hash(Chain(other))


def test_a_hash_does_not_depend_on_how_numbers_are_printed():
    stage = TopP(np.array([0.123456, 0.5]))
    before = hash(stage)
    with np.printoptions(precision=2):
        assert hash(stage) == before
    assert len({TopK(k) for k in range(1, 100)}) == 99
