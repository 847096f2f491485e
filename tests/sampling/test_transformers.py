"""The filters keep the sets that transformers' processors keep.

Which of several equal logits top-p keeps is left open by transformers: `torch.sort` orders equals
differently from one processor and length to the next. The rule here is that of the stable sort, so the
sets are compared with torch told to sort stably; and as it comes, the kept logits are the same numbers.
"""

from functools import partial

import numpy as np
import pytest

from softmaxlib.sampling import Chain, MinP, RepetitionPenalty, Temperature, TopK, TopP, TypicalP

torch = pytest.importorskip("torch")
process = pytest.importorskip("transformers.generation.logits_process")

GRID = [
    (TopK, process.TopKLogitsWarper, [1, 2, 5, 40, 1000]),
    (TopP, process.TopPLogitsWarper, [1e-6, 0.1, 0.25, 0.5, 0.77, 0.95, 0.999]),
    (MinP, process.MinPLogitsWarper, [0.0, 0.01, 0.1, 0.25, 0.9, 1.0]),
    (TypicalP, process.TypicalLogitsWarper, [0.05, 0.2, 0.5, 0.77, 0.95]),
]
CASES = [(ours, theirs, value) for ours, theirs, values in GRID for value in values]


def rows() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(5)
    normal = generator.standard_normal((60, 97)) * generator.choice([0.1, 1, 3, 10], (60, 1))
    with_removed = np.where(generator.random((60, 97)) < 0.7, -np.inf, normal)
    with_removed[:, 13] = 0.5
    return {
        "random": normal,
        "tied": np.round(normal * 2) / 2,
        "two values": np.where(generator.random((60, 97)) < 0.5, 0.0, 1.5),
        "constant": np.zeros((4, 64)),
        "one-hot": np.where(np.arange(97) == generator.integers(0, 97, (60, 1)), 50.0, 0.0),
        "removed before": with_removed,
        "large": normal * 1e4,
        "one token": np.full((3, 1), 2.0),
        "two tokens": generator.standard_normal((60, 2)),
    }


@pytest.mark.parametrize("name", list(rows()))
@pytest.mark.parametrize(("ours", "theirs", "value"), CASES)
def test_kept_logits_in_float64(ours, theirs, value, name):
    logits = rows()[name]
    expected = np.sort(theirs(value)(None, torch.tensor(logits)).numpy(), axis=-1)
    np.testing.assert_array_equal(np.sort(Chain(ours(value)).process(logits), axis=-1), expected)


@pytest.mark.parametrize("name", list(rows()))
@pytest.mark.parametrize(("ours", "theirs", "value"), CASES)
def test_kept_set_in_float64(ours, theirs, value, name, monkeypatch):
    monkeypatch.setattr(torch, "sort", partial(torch.sort, stable=True))
    logits = rows()[name]
    expected = theirs(value)(None, torch.tensor(logits)).numpy()
    np.testing.assert_array_equal(Chain(ours(value)).process(logits), expected)


@pytest.mark.parametrize(
    ("ours", "theirs", "value"),
    [case for case in CASES if case[0] in (TopK, TopP) or (case[0] is MinP and 0 < case[2] < 1)],
)
def test_kept_set_in_float32_but_for_masses_at_the_border(ours, theirs, value):
    """transformers rounds masses to float32: a row may differ only where a mass is that near the border."""
    logits = (np.random.default_rng(6).standard_normal((200, 2000)) * 3).astype(np.float32)
    expected = theirs(value)(None, torch.tensor(logits)).numpy()
    got = Chain(ours(value)).process(logits)
    probability = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    probability /= probability.sum(axis=1, keepdims=True)
    cumulative = np.cumsum(np.sort(probability, axis=1), axis=1)
    distance = {
        TopK: np.ones_like(cumulative),
        TopP: np.abs(cumulative - (1 - value)),
        MinP: np.abs(probability / probability.max(axis=1, keepdims=True) - value),
    }[ours].min(axis=1)
    clear = distance > 1e-6
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(got[clear], expected[clear])


def test_penalty_and_temperature():
    generator = np.random.default_rng(7)
    logits = generator.standard_normal((20, 50))
    history = generator.integers(0, 50, (20, 30))
    expected = process.RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor(history), torch.tensor(logits))
    expected = process.TemperatureLogitsWarper(0.7)(None, expected).numpy()
    got = Chain(RepetitionPenalty(1.3), Temperature(0.7)).process(logits, history=history)
    np.testing.assert_array_equal(got, expected)


def test_the_preset_equals_the_processors_that_generate_builds():
    """The list is taken from transformers itself, so a change of order there fails here."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = LlamaForCausalLM(config)
    options = {
        "temperature": 0.7, "top_k": 20, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.9,
        "repetition_penalty": 1.2,
    }  # fmt: skip
    wanted = GenerationConfig(do_sample=True, **options)
    wanted._eos_token_tensor = None
    processors = model._get_logits_processor(wanted, input_ids_seq_length=12, device="cpu")
    generator = np.random.default_rng(8)
    logits, history = generator.standard_normal((40, 50)) * 3, generator.integers(0, 50, (40, 12))
    expected = processors(torch.tensor(history), torch.tensor(logits)).numpy()
    got = Chain.like("transformers", **options).process(logits, history=history)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
    np.testing.assert_allclose(got, expected, rtol=1e-14)
