"""Each preset does what its engine does: defaults, "off" values, what of the prompt counts, windows,
temperature 0.

What an engine does is worked out here by hand from its published source (the files stand in presets.py).
"""

import ml_dtypes
import numpy as np
import pytest

from softmaxlib import softmax
from softmaxlib.errors import InvalidInputError
from softmaxlib.sampling import Chain, DontRepeatYourself, Temperature

ENGINES = ["transformers", "vllm", "llama.cpp", "sglang", "mlx"]
LOGITS = np.array([3.0, 2.5, 2.0, 1.0, 0.0, -1.0])
FILTERS = {"top_k", "top_p", "min_p"}
ENGINE_OPTIONS = {
    "transformers": {*FILTERS, "typical_p"},
    "vllm": FILTERS,
    "llama.cpp": {*FILTERS, "typical_p", "top_n_sigma"},
    "sglang": FILTERS,
    "mlx": FILTERS,
}
NEUTRAL = {"temperature": 1.0, "top_k": None, "top_p": None, "min_p": None}


def touched(chain, history, prompt_length=0):
    scores = chain.process(np.zeros(200) + 1, history=history, prompt_length=prompt_length)
    return set(np.flatnonzero(scores != 1).tolist())


@pytest.mark.parametrize(
    ("engine", "penalty", "counted"),
    [
        ("transformers", "repetition_penalty", {1, 2, 3, 4}),
        ("vllm", "repetition_penalty", {1, 2, 3, 4}),
        ("vllm", "presence_penalty", {3, 4}),
        ("vllm", "frequency_penalty", {3, 4}),
        ("llama.cpp", "repetition_penalty", {1, 2, 3, 4}),
        ("llama.cpp", "presence_penalty", {1, 2, 3, 4}),
        ("llama.cpp", "frequency_penalty", {1, 2, 3, 4}),
        ("sglang", "repetition_penalty", {3, 4}),
        ("sglang", "presence_penalty", {3, 4}),
        ("sglang", "frequency_penalty", {3, 4}),
        ("mlx", "repetition_penalty", {1, 2, 3, 4}),
        ("mlx", "presence_penalty", {1, 2, 3, 4}),
        ("mlx", "frequency_penalty", {1, 2, 3, 4}),
    ],
)
def test_what_of_the_prompt_counts(engine, penalty, counted):
    chain = Chain.like(engine, **NEUTRAL, **{penalty: 2.0})
    assert touched(chain, [1, 2, 3, 4], prompt_length=2) == counted


@pytest.mark.parametrize(
    ("engine", "window", "option", "all_tokens"),
    [("llama.cpp", 64, "penalty_last_n", -1), ("mlx", 20, "repetition_context_size", 0)],
)
def test_windows(engine, window, option, all_tokens):
    history = list(range(100))
    assert touched(Chain.like(engine, **NEUTRAL, repetition_penalty=2.0), history) == set(
        range(100 - window, 100)
    )
    assert touched(Chain.like(engine, **NEUTRAL, repetition_penalty=2.0, **{option: 7}), history) == set(
        range(93, 100)
    )
    for value in (None, all_tokens):
        chain = Chain.like(engine, **NEUTRAL, repetition_penalty=2.0, **{option: value})
        assert touched(chain, history) == set(range(100))


def test_no_tokens_of_llama_cpp():
    none = Chain.like("llama.cpp", **NEUTRAL, repetition_penalty=2.0, penalty_last_n=0)
    np.testing.assert_array_equal(none.process(LOGITS), LOGITS)  # off: asks for no history


def test_dry_of_llama_cpp_reads_64_tokens():
    """80 tokens: (1, 2, 3) at the start and (1, 2) at the end. Only a longer window sees the repetition."""
    history = [1, 2, 3, *range(10, 85), 1, 2]
    chain = Chain.like("llama.cpp", **NEUTRAL, dry_multiplier=0.8)
    assert len(history) == 80
    assert touched(chain, history) == set()
    for all_tokens in (None, -1):
        chain_of_all = Chain.like("llama.cpp", **NEUTRAL, dry_multiplier=0.8, dry_penalty_last_n=all_tokens)
        assert touched(chain_of_all, history) == {3}
    near = [*range(10, 30), 1, 2, 3, *range(30, 60), 1, 2]
    scores = chain.process(np.zeros(200), history=near)
    assert scores[3] == -0.8  # a repetition of the allowed length of two: base to the power of 0
    assert np.count_nonzero(scores) == 1


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("transformers", {"top_k": 0, "top_p": 1.0, "typical_p": 1.0, "repetition_penalty": 1.0}),
        ("vllm", {"top_k": 0, "top_p": 1.0, "min_p": 0.0}),
        ("vllm", {"top_k": -1, "presence_penalty": 0.0, "frequency_penalty": 0.0}),
        (
            "llama.cpp",
            {
                "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0,
                "top_n_sigma": -1.0, "xtc_probability": 0.0, "dry_multiplier": 0.0,
            },
        ),
        ("llama.cpp", {"temperature": 1.0, "top_k": -1, "top_p": 1.5, "min_p": -1.0, "top_n_sigma": 0.0}),
        (
            "llama.cpp",
            {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "dry_multiplier": 1.0, "dry_base":
            0.5},
        ),
        ("sglang", {"top_k": -1, "top_p": 1.0, "min_p": 0.0}),
        (
            "mlx",
            {
                "temperature": 1.0, "top_k": 0, "top_p": 0.0, "min_p": 0.0, "xtc_probability": 0.0,
                "repetition_penalty": 0.0,
            },
        ),
        ("mlx", {"temperature": 1.0, "top_p": 1.0, "top_k": -1}),
    ],
)  # fmt: skip
def test_the_values_that_switch_off(engine, options):
    np.testing.assert_array_equal(Chain.like(engine, **options).process(LOGITS), LOGITS)
    rows = {name: np.array([value] * 2) for name, value in options.items() if value is not None}
    np.testing.assert_array_equal(Chain.like(engine, **rows).process(LOGITS), [LOGITS] * 2)


def test_off_in_one_row_alone():
    got = Chain.like("vllm", top_k=np.array([0, 2, -1])).process(np.stack([LOGITS] * 3))
    np.testing.assert_array_equal(np.isfinite(got).sum(axis=1), [6, 2, 6])
    got = Chain.like("llama.cpp", **{**NEUTRAL, "top_k": [0, 3]}, top_n_sigma=[-1.0, 0.5]).process(LOGITS)
    np.testing.assert_array_equal(np.isfinite(got).sum(axis=1), [6, 2])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 2}, 2),
        ({"top_p": 0.55}, 2),
        ({"min_p": 0.5}, 3),
        ({"typical_p": 0.2}, 1),
        ({"top_n_sigma": 1.0}, 2),
        ({"min_p": [0.5, 0.7]}, [3, 1]),
    ],
    ids=str,
)
def test_each_filter_of_an_engine_filters(engine, options, kept):
    if not ENGINE_OPTIONS[engine].issuperset(options):
        with pytest.raises(InvalidInputError, match=f"has no option '{next(iter(options))}'"):
            Chain.like(engine, **options)
        return
    logits = np.log([0.4, 0.25, 0.2, 0.08, 0.07])
    got = Chain.like(engine, **{**NEUTRAL, **options}).process(logits)
    np.testing.assert_array_equal(np.isfinite(got).sum(axis=-1), kept)


def test_min_p_of_zero_leaves_sglang_joint():
    logits = np.log([0.4, 0.3, 0.2, 0.1])
    joint = Chain.like("sglang", top_k=2, top_p=0.5).process(logits)
    np.testing.assert_array_equal(Chain.like("sglang", top_k=2, top_p=0.5, min_p=0.0).process(logits), joint)
    rows = Chain.like("sglang", top_k=2, top_p=0.5, min_p=[0.0, 0.0]).process([logits] * 2)
    np.testing.assert_array_equal(rows, [joint] * 2)
    assert np.isfinite(joint).sum() == 2


def test_a_number_of_any_dtype_switches_an_option_off():
    for kind in (int, float, np.float32, ml_dtypes.bfloat16, np.array):
        chain = Chain.like(
            "llama.cpp", **{**NEUTRAL, "min_p": kind(0), "top_k": kind(0), "dry_multiplier": kind(0)}
        )
        assert [type(stage).__name__ for stage in chain.stages if not stage.is_off] == [
            "Bias",
            "Allowed",
            "Temperature",
        ]
    rows = Chain.like("llama.cpp", **{**NEUTRAL, "min_p": np.array([0, 1], dtype=ml_dtypes.bfloat16)})
    np.testing.assert_array_equal(np.isfinite(rows.process(np.stack([LOGITS] * 2))).sum(axis=-1), [6, 1])


@pytest.mark.parametrize("engine", ENGINES)
def test_temperature_zero_is_the_argmax_after_the_penalties(engine):
    chain = Chain.like(engine, temperature=0.0, repetition_penalty=4.0)
    drawn = chain.sample(LOGITS, seed=1, position=0, history=[0])
    assert drawn.token == 1  # 3 / 4 is below 2.5
    assert drawn.processed_logprob == 0


def test_mlx_takes_the_argmax_before_all_filters():
    """XTC would remove the most probable token; at temperature 0 the engine does not come to it."""
    sharp = {"xtc_probability": 1.0, "xtc_threshold": 0.1}
    assert Chain.like("mlx", **sharp).sample(LOGITS, seed=1, position=0).token == 0
    assert np.isfinite(Chain.like("mlx", **sharp).process(LOGITS)).sum() == 1  # no coin: no seed is needed
    warm = Chain.like("mlx", temperature=1.0, **sharp).process(LOGITS, seed=1, position=0)
    assert np.isinf(warm[0])
    both = Chain.like("mlx", temperature=[0.0, 1.0], **sharp).process(LOGITS, seed=[1, 1], position=0)
    np.testing.assert_array_equal(both[0] > -np.inf, np.arange(6) == 0)
    np.testing.assert_array_equal(both[1], warm)


def test_llama_cpp_excludes_top_choices_before_it_takes_the_argmax():
    chain = Chain.like("llama.cpp", temperature=0.0, xtc_probability=1.0, min_p=None, top_p=None)
    least = np.flatnonzero(softmax(LOGITS) >= 0.1).max()
    assert least == 2
    assert chain.sample(LOGITS, seed=1, position=0).token == least
    below = Chain.like("llama.cpp", temperature=-1.0)
    assert below.stages[-1] == Temperature(0.0)


@pytest.mark.parametrize(
    ("engine", "temperature", "counts_as"),
    [
        ("vllm", 0.001, 0.01),
        ("vllm", 0.02, 0.02),
        ("vllm", 0.0, 0.0),
        ("sglang", 1e-7, 0.0),
        ("sglang", 1e-5, 1e-5),
    ],
)
def test_temperatures_near_zero(engine, temperature, counts_as):
    assert Temperature(counts_as) in Chain.like(engine, temperature=temperature).stages


def test_transformers_own_off_values():
    """Its generate builds no processor for these values."""
    pytest.importorskip("transformers")
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=6, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
    )
    off = {"top_k": 0, "top_p": 1.0, "typical_p": 1.0, "repetition_penalty": 1.0, "temperature": 1.0}
    wanted = GenerationConfig(do_sample=True, **off)
    wanted._eos_token_tensor = None
    assert len(model._get_logits_processor(wanted, input_ids_seq_length=2, device="cpu")) == 0
    assert not any(stage.is_off is False and type(stage).__name__ not in ("Bias", "Allowed", "Temperature")
                   for stage in Chain.like("transformers", **off).stages[:4])  # fmt: skip
    np.testing.assert_array_equal(Chain.like("transformers", **off).process(LOGITS), LOGITS)


def test_values_that_no_engine_takes():
    with pytest.raises(InvalidInputError, match=r"TopK: k must be a whole number, 1 or more, got -2"):
        Chain.like("vllm", top_k=-2)
    with pytest.raises(InvalidInputError, match=r"MinP: p must be from 0 to 1, got nan"):
        Chain.like("llama.cpp", min_p=float("nan"))
    with pytest.raises(
        InvalidInputError, match=r"DontRepeatYourself: window must be a whole number, 0 or more, got -2"
    ):
        Chain.like("llama.cpp", dry_penalty_last_n=-2)
    assert any(
        isinstance(stage, DontRepeatYourself) and stage.is_off
        for stage in Chain.like("llama.cpp", dry_multiplier=1.0, dry_penalty_last_n=0).stages
    )


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("transformers", {"top_p": 0.0}),
        ("llama.cpp", {"top_p": 0.0}),
        ("llama.cpp", {"top_p": -1.0}),
        ("llama.cpp", {"typical_p": 0.0}),
    ],
)
def test_a_share_of_zero_keeps_one_token(engine, options):
    """Tokens are added while their mass does not exceed the share; the first one always is."""
    logits = np.log([0.35, 0.05, 0.32, 0.28])
    got = Chain.like(engine, **{**NEUTRAL, **options}).process(logits)
    # typical: the surprise nearest to the entropy of 1.24, which is that of 0.28
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(got)), [3 if "typical_p" in options else 0])
    rows = {name: np.array([value, 1.0]) for name, value in options.items()}
    got = Chain.like(engine, **{**NEUTRAL, **rows}).process(logits)
    np.testing.assert_array_equal(np.isfinite(got).sum(axis=1), [1, 4])


@pytest.mark.parametrize("option", ["top_k", "penalty_last_n", "temperature"])
def test_options_of_unequal_lengths_are_refused(option):
    with pytest.raises(InvalidInputError, match=f"{option} must be a rectangular array"):
        Chain.like("llama.cpp", **{option: [[1], [1, 2]]})
