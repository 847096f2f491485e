"""The compiled draw gives the tokens of the definition, on every instruction set and number of threads."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import softmaxlib
from softmaxlib.sampling import Chain, MinP, Temperature, TopK, TopNSigma, TopP, TypicalP, sample
from softmaxlib.sampling._call import prepare, sample_by_definition
from softmaxlib.sampling._keys import check_key

CHAINS = {
    "plain": Chain(),
    "temperature": Chain(Temperature(0.7)),
    "greedy": Chain(Temperature(0.0)),
    "mixed temperatures": Chain(Temperature(np.array([0.0, 0.3, 1.0, 2.5]))),
    "top_k": Chain(TopK(5)),
    "top_k of one": Chain(TopK(1)),
    "top_k by row": Chain(TopK(np.array([1, 40, 300, 10**6]))),
    "top_p": Chain(TopP(0.9)),
    "top_p small": Chain(TopP(1e-12)),
    "top_p large": Chain(TopP(1 - 1e-12)),
    "top_p half": Chain(TopP(0.5)),
    "min_p": Chain(MinP(0.05)),
    "transformers": Chain(Temperature(0.8), TopK(40), TopP(0.95)),
    "vllm": Chain(Temperature(1.7), MinP(0.01), TopK(30), TopP(0.8)),
    "llama.cpp": Chain(TopK(40), TopP(0.95), MinP(0.05), Temperature(0.8)),
    "sglang": Chain(Temperature(0.9), TopP(0.7), TopK(20)),
    "typical_p": Chain(TypicalP(0.6)),
    "typical_p small": Chain(TypicalP(1e-12)),
    "typical_p hot": Chain(Temperature(2.0), TypicalP(0.95), TopP(0.9)),
    "top_n_sigma": Chain(TopNSigma(1.5)),
    "top_n_sigma first": Chain(Temperature(0.7), TopNSigma(2.0), TopK(40), TypicalP(0.9)),
    "twice": Chain(TopK(50), TopP(0.9), TopK(5), MinP(0.3)),
}


def rows() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(60)
    normal = generator.standard_normal((4, 3000)) * np.array([[0.1], [1.0], [4.0], [30.0]])
    removed = np.where(generator.random((4, 3000)) < 0.9, -np.inf, normal)
    removed[:, 77] = 1.0
    return {
        "normal": normal,
        "tied": np.round(normal),
        "constant": np.zeros((4, 1000)),
        "removed": removed,
        "sorted": np.sort(normal),
        "reversed": -np.sort(-normal),
        "large": normal * 1e6,
        "tiny": normal * 1e-30,
        "offset": normal + 1e4,
        "one high": np.where(np.arange(700) == 650, 40.0, normal[:, :700] * 1e-3),
        "short": normal[:, :7],
        "block and one": normal[:, :129],
        "one token": normal[:, :1],
        "zeros of both signs": np.where(generator.random((4, 50)) < 0.5, 0.0, -0.0),
    }


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("chain", list(CHAINS))
@pytest.mark.parametrize("name", list(rows()))
def test_tokens_are_those_of_the_definition(name, chain, kind):
    logits = rows()[name].astype(kind)
    seed, position = np.arange(4, dtype=np.uint64) + np.uint64(2**40), np.arange(12, dtype=np.uint32)[:, None]
    call = prepare(CHAINS[chain].stages, logits, key=check_key(seed, position))
    token, logprob, processed = sample_by_definition(call)
    drawn = CHAINS[chain].sample(logits, seed=seed, position=position)
    np.testing.assert_array_equal(drawn.token, token)
    np.testing.assert_array_equal(drawn.logprob, logprob)
    tolerance = {"rtol": 2.5e-7, "atol": 1e-37} if kind is np.float32 else {"rtol": 1e-14, "atol": 1e-300}
    np.testing.assert_allclose(drawn.processed_logprob, processed, **tolerance)


@pytest.mark.parametrize("size", [*range(1, 70), 127, 128, 129, 255, 511, 512, 513, 4096, 4097])
def test_every_length(size):
    generator = np.random.default_rng(size)
    logits = np.round(generator.standard_normal((3, size)) * 8).astype(np.float32) / 4
    seed, position = np.arange(3, dtype=np.uint64), np.uint32(5)
    for chain in (Chain(Temperature(0.6)), Chain(TopK(3)), Chain(Temperature(1.3), TopP(0.8), MinP(0.05))):
        expected = sample_by_definition(prepare(chain.stages, logits, key=check_key(seed, position)))
        np.testing.assert_array_equal(chain.sample(logits, seed=seed, position=5).token, expected[0])


def test_the_logprob_is_that_of_log_softmax_to_the_bit():
    logits = (np.random.default_rng(61).standard_normal((20, 40_000)) * 3).astype(np.float32)
    drawn = sample(logits, temperature=2.0, seed=1, position=0)
    np.testing.assert_array_equal(drawn.logprob, softmaxlib.log_softmax(logits)[np.arange(20), drawn.token])
    confident = np.array([[0.0, -20.0], [0.0, -80.0]], dtype=np.float32)
    drawn = sample(confident, seed=1, position=0)
    np.testing.assert_allclose(drawn.logprob, [-2.0611537e-09, -1.8048513e-35], rtol=1e-7)


PROGRAM = """
import hashlib, sys
import numpy as np
from softmaxlib.sampling import sample
OPTIONS = [
    {}, {"temperature": 0.8, "top_k": 40, "top_p": 0.95}, {"top_p": 0.97}, {"min_p": 0.02},
    {"typical_p": 0.8}, {"top_n_sigma": 2.0},
]
generator = np.random.default_rng(62)
digest = hashlib.sha256()
for vocabulary, rows in [(17, 2000), (3000, 60), (50_000, 6)]:
    for kind in (np.float32, np.float64):
        logits = (generator.standard_normal((rows, vocabulary)) * 3).astype(kind)
        for options in OPTIONS:
            for result in sample(logits, seed=np.arange(rows), position=3, **options):
                digest.update(np.ascontiguousarray(result).tobytes())
print(digest.hexdigest())
"""


def run_program(**environment):
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_the_same_bits_on_every_instruction_set_and_number_of_threads():
    known = softmaxlib._kernels.configuration()["instruction_sets"]
    names = [name for name, _, supported in known if supported]
    digests = {name: run_program(SOFTMAXLIB_ISA=name) for name in names}
    digests["one thread"] = run_program(OMP_NUM_THREADS="1")
    digests["four threads"] = run_program(OMP_NUM_THREADS="4")
    assert len(next(iter(digests.values()))) == hashlib.sha256().digest_size * 2
    assert len(set(digests.values())) == 1, digests


def test_rows_that_cannot_be_sampled_are_found_in_any_place():
    for size in (3, 100, 1000):
        for place in (0, size // 2, size - 1):
            for value in (np.nan, np.inf):
                logits = np.zeros((50, size), dtype=np.float32)
                logits[31, place] = value
                with pytest.raises(
                    softmaxlib.errors.InvalidInputError, match=f"{value} at row 31, token {place}"
                ):
                    sample(logits, temperature=0.5, top_p=0.5, seed=1, position=0)


def test_keys_are_checked_before_the_draw():
    with pytest.raises(softmaxlib.errors.InvalidInputError, match="position must lie in"):
        sample(np.zeros(4), seed=1, position=-1)
    assert check_key(2**64 - 1, 0).seed.dtype == np.uint64
    assert sample(np.zeros(4), seed=2**64 - 1, position=2**32 - 1).token.shape == ()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_stages_before_the_compiled_ones(kind):
    """Masks, biases, penalties and filters that run in NumPy first, in every order that the presets have."""
    generator = np.random.default_rng(63)
    logits = (generator.standard_normal((5, 400)) * 3).astype(kind)
    call_data = {
        "history": [list(generator.integers(0, 400, size)) for size in (0, 1, 30, 100, 7)],
        "allowed": generator.random((5, 400)) < 0.5,
        "bias": {3: 2.0, 7: -np.inf},
    }
    penalties = {"repetition_penalty": 1.3, "presence_penalty": 0.4, "frequency_penalty": 0.1}
    chains = [
        Chain.like("transformers", typical_p=0.9, repetition_penalty=1.3),
        Chain.like("vllm", top_p=0.9, min_p=0.01, **penalties),
        Chain.like("llama.cpp", top_n_sigma=3.0, xtc_probability=0.5, dry_multiplier=0.8, **penalties),
        Chain.like("sglang", top_k=30, top_p=0.9, **penalties),
        Chain.like("mlx", temperature=0.7, top_k=30, xtc_probability=1.0, **penalties),
        Chain.standard(temperature=0.7, top_k=30),
    ]
    seed, position = np.arange(5, dtype=np.uint64), np.asarray(9, dtype=np.uint32)
    for chain in chains:
        call = prepare(chain.stages, logits, key=check_key(seed, position), **call_data)
        token, logprob, processed = sample_by_definition(call)
        drawn = chain.sample(logits, seed=seed, position=position, **call_data)
        np.testing.assert_array_equal(drawn.token, token)
        np.testing.assert_array_equal(drawn.logprob, logprob)
        np.testing.assert_allclose(drawn.processed_logprob, processed, rtol=2.5e-7)
