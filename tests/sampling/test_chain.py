import ml_dtypes
import numpy as np
import pytest

from softmaxlib import softmax
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
    TopP,
    sample,
)
from softmaxlib.sampling.penalties import _suffix_lengths

GENERATOR = np.random.default_rng(40)
LOGITS = GENERATOR.standard_normal((30, 50)) * 2


def names(chain):
    return [type(stage).__name__ for stage in chain.stages]


def test_published_orders():
    """As the engines' sources state them (see presets.py for the files)."""
    orders = {
        "transformers": "Bias RepetitionPenalty Allowed Temperature TopK TopP MinP TypicalP",
        "vllm": "Allowed Bias RepetitionPenalty FrequencyPenalty PresencePenalty Temperature MinP TopK TopP",
        "llama.cpp": "Bias Allowed RepetitionPenalty FrequencyPenalty PresencePenalty DontRepeatYourself "
        "TopNSigma TopK TypicalP TopP MinP ExcludeTopChoices Temperature",
        "sglang": "FrequencyPenalty PresencePenalty RepetitionPenalty Allowed Bias Temperature TopP TopK",
        "mlx": "Bias RepetitionPenalty PresencePenalty FrequencyPenalty TopP MinP ExcludeTopChoices TopK "
        "Temperature",
    }
    assert {engine: names(Chain.like(engine)) for engine in orders} == {
        engine: order.split() for engine, order in orders.items()
    }


def test_published_defaults():
    defaults = {
        "transformers": [Temperature(1.0), TopK(50)],
        "vllm": [Temperature(1.0)],
        "llama.cpp": [TopK(40), TopP(0.95), MinP(0.05), Temperature(0.8)],
        "sglang": [Temperature(1.0)],
        "mlx": [Temperature(0.0)],
    }
    for engine, expected in defaults.items():
        on = [stage for stage in Chain.like(engine).stages if not stage.is_off]
        assert [stage for stage in on if stage not in (Bias(), Allowed())] == expected


def test_sglang_judges_top_k_and_top_p_on_the_same_distribution():
    """[0.4, 0.3, 0.2, 0.1] with k = 2 and p = 0.5: both tokens stay; one after the other only one would."""
    logits = np.log([0.4, 0.3, 0.2, 0.1])
    joint = Chain.like("sglang", top_k=2, top_p=0.5).process(logits)
    np.testing.assert_allclose(softmax(joint), [4 / 7, 3 / 7, 0, 0], atol=1e-12)
    sequential = Chain.like("vllm", top_k=2, top_p=0.5).process(logits)
    np.testing.assert_allclose(softmax(sequential), [1, 0, 0, 0], atol=1e-12)
    assert names(Chain.like("sglang", min_p=0.1))[-3:] == ["TopK", "TopP", "MinP"]


def test_vllm_top_p_as_its_sampler_computes_it():
    """An independent reading of the sampler: sort, mask top-k, cumulate from below, mask top-p."""
    got = Chain.like("vllm", temperature=0.9, min_p=0.02, top_k=20, top_p=0.85).process(LOGITS)
    scores = LOGITS / 0.9
    probability = softmax(scores)
    scores = np.where(probability < 0.02 * probability.max(axis=-1, keepdims=True), -np.inf, scores)
    order = np.argsort(scores, axis=-1)
    ascending = np.take_along_axis(scores, order, axis=-1)
    ascending = np.where(ascending < ascending[:, -20:-19], -np.inf, ascending)
    ascending = np.where(np.cumsum(softmax(ascending), axis=-1) <= 1 - 0.85, -np.inf, ascending)
    expected = np.empty_like(scores)
    np.put_along_axis(expected, order, ascending, axis=-1)
    np.testing.assert_array_equal(got, expected)


def test_sample_is_the_standard_chain():
    options = {
        "temperature": 0.8,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.01,
        "typical_p": 0.9,
        "top_n_sigma": 2.0,
    }
    ours = sample(LOGITS, seed=4, position=0, **options)
    chain = Chain.standard(**options).sample(LOGITS, seed=4, position=0)
    for one, other in zip(ours, chain, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [RepetitionPenalty, PresencePenalty, FrequencyPenalty])
def test_the_window_and_the_prompt(kind):
    history = [1, 2, 3, 4, 4, 5]
    logits = LOGITS[0]

    def touched(stage, prompt_length=0):
        scores = Chain(stage).process(logits, history=history, prompt_length=prompt_length)
        return set(np.flatnonzero(scores != logits))

    assert touched(kind(2.0)) == {1, 2, 3, 4, 5}
    assert touched(kind(2.0, window=2)) == {4, 5}
    assert touched(kind(2.0, window=0)) == set()
    assert touched(kind(2.0, include_prompt=False), prompt_length=4) == {4, 5}
    assert touched(kind(2.0, window=2), prompt_length=4) == {4, 5}


def test_repetition_never_makes_a_token_more_likely():
    history = np.arange(0, 50, 2)
    scores = Chain(RepetitionPenalty(1.5)).process(LOGITS[0], history=history)
    assert (scores[::2] < LOGITS[0][::2]).all()
    np.testing.assert_array_equal(scores[1::2], LOGITS[0][1::2])


def test_frequency_counts_and_presence_does_not():
    history = [7, 7, 7, 8]
    frequency = Chain(FrequencyPenalty(0.5)).process(np.zeros(10), history=history)
    presence = Chain(PresencePenalty(0.5)).process(np.zeros(10), history=history)
    np.testing.assert_array_equal(frequency[[7, 8, 9]], [-1.5, -0.5, 0.0])
    np.testing.assert_array_equal(presence[[7, 8, 9]], [-0.5, -0.5, 0.0])


def test_suffix_lengths_equal_the_plain_search():
    for _ in range(200):
        history = GENERATOR.integers(0, 3, GENERATOR.integers(1, 30))
        plain = []
        for end in range(len(history)):
            length = 0
            while length <= end and end < len(history) - 1 and history[end - length] == history[-1 - length]:
                length += 1
            plain.append(length)
        np.testing.assert_array_equal(_suffix_lengths(history), plain)


def test_a_repetition_does_not_reach_over_a_breaker():
    history = [1, 9, 2, 3, 4, 1, 9, 2, 3]  # the last four came before, but 9 breaks
    free = Chain(DontRepeatYourself(1.0, 2.0, 2)).process(np.zeros(10), history=history)
    broken = Chain(DontRepeatYourself(1.0, 2.0, 2, breakers=[9])).process(np.zeros(10), history=history)
    assert free[4] == -(2.0 ** (4 - 2))
    assert broken[4] == -(2.0 ** (2 - 2))
    assert np.count_nonzero(broken) == np.count_nonzero(free) == 1


def test_histories_of_different_lengths():
    histories = [[], [3], [3, 3, 4]]
    together = Chain(FrequencyPenalty(1.0)).process(LOGITS[:3], history=histories)
    for row, history in enumerate(histories):
        alone = Chain(FrequencyPenalty(1.0)).process(LOGITS[row], history=history)
        np.testing.assert_array_equal(alone, together[row])


def test_explanation_adds_up():
    chain = Chain.like("llama.cpp", xtc_probability=1.0, xtc_threshold=0.05, repetition_penalty=1.3)
    explanation = chain.explain(
        LOGITS[0], history=[1, 2], seed=1, position=0, names=[f"word{i}" for i in range(50)]
    )
    left = [step.left for step in explanation.steps]
    assert left[0] == 50
    assert all(
        before - step.removed == step.left for before, step in zip(left, explanation.steps[1:], strict=False)
    )
    processed = softmax(chain.process(LOGITS[0], history=[1, 2], seed=1, position=0))
    last = explanation.steps[-1]
    assert last.left == np.count_nonzero(processed)
    token, probability = last.top[0]
    assert token == processed.argmax()
    assert probability == pytest.approx(processed.max(), abs=1e-12)
    for step in explanation.steps[1:]:
        assert 0 <= step.mass_removed <= step.mass_moved + 1e-12
    assert f"word{token}" in str(explanation).splitlines()[-1]
    assert len(str(explanation).splitlines()) == len(explanation.steps) + 1


def test_at_threshold_zero_the_least_probable_token_that_is_left_stays():
    chain = Chain(TopK(3), ExcludeTopChoices(1.0, threshold=0.0))
    scores = chain.process(np.array([0.0, 4.0, 1.0, 3.0, 2.0]), seed=1, position=0)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(scores)), [4])


def test_parameters_are_kept_as_plain_numbers():
    assert repr(RepetitionPenalty(1.5, window=np.int64(3))) == repr(RepetitionPenalty(1.5, window=3))
    assert DontRepeatYourself(1.0, breakers=np.array([1, 2])).breakers == (1, 2)
    assert repr(Temperature(ml_dtypes.bfloat16(0.5))) == repr(Temperature(0.5))


def test_stages_compare_and_print():
    assert TopK(5) == TopK(5)
    assert TopK(5) != TopK(6)
    assert TopK(5) != TopP(0.5)
    assert TopK(np.array([1, 2])) == TopK(np.array([1, 2]))
    assert Chain(TopK(5)) == Chain(TopK(5))
    assert len({TopK(5), TopK(5), MinP(0.5)}) == 2
    assert str(Chain(TopK(5), ExcludeTopChoices())).splitlines()[1].endswith("(off)")
