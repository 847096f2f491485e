"""Sampling on tensors, and inside generate() of a tiny model with random weights made here."""

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("transformers")

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessorList

import softmaxlib.sampling
import softmaxlib.torch
from softmaxlib.errors import InvalidInputError, SoftmaxlibError, UnsupportedTypeError
from softmaxlib.sampling import Bias, Chain, RepetitionPenalty, Temperature, TopK
from softmaxlib.torch import ChainLogitsProcessor, DrawLogitsProcessor

PAD = 63
NEW = 8


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=1.0,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config).eval()


def generate(model, processor, prompt, **options):
    config = GenerationConfig(
        max_new_tokens=NEW, pad_token_id=PAD, return_dict_in_generate=True, output_logits=True, **options
    )
    return model.generate(
        prompt,
        attention_mask=(prompt != PAD).long(),
        generation_config=config,
        logits_processor=LogitsProcessorList([processor]),
    )


def test_generate_emits_the_tokens_that_the_chain_draws(model):
    prompt = torch.tensor([[5, 6, 7], [9, 8, 5]])
    chain = Chain.like("vllm", temperature=0.9, top_p=0.95, presence_penalty=0.5, repetition_penalty=1.1)
    processor = DrawLogitsProcessor(chain, [11, 12], prompt_length=3)
    answer = generate(model, processor, prompt, do_sample=False)
    tokens = answer.sequences.numpy()
    for position, logits in enumerate(answer.logits):
        drawn = chain.sample(
            logits.numpy(),
            seed=[11, 12],
            position=position,
            history=tokens[:, : 3 + position],
            prompt_length=3,
        )
        np.testing.assert_array_equal(drawn.token, tokens[:, 3 + position])
    assert len({tuple(row) for row in tokens[:, 3:]}) == 2
    again = generate(model, processor, prompt, do_sample=False)
    assert torch.equal(again.sequences, answer.sequences)


def test_a_prompt_alone_and_padded_in_a_batch(model):
    chain = Chain.like("transformers", temperature=0.8, top_k=10, repetition_penalty=1.2)
    padded = torch.tensor([[PAD, PAD, 4, 9], [1, 2, 3, 4]])
    together = generate(
        model, DrawLogitsProcessor(chain, [3, 4], prompt_length=4, pad_token_id=PAD), padded, do_sample=False
    )
    for row, prompt in enumerate([[4, 9], [1, 2, 3, 4]]):
        processor = DrawLogitsProcessor(chain, [3, 4][row], prompt_length=len(prompt), pad_token_id=PAD)
        alone = generate(model, processor, torch.tensor([prompt]), do_sample=False)
        assert torch.equal(alone.sequences[0, -NEW:], together.sequences[row, -NEW:])


def test_the_chain_processor_is_what_transformers_own_processors_do(model):
    prompt = torch.tensor([[5, 6, 7]])
    options = {"temperature": 0.7, "top_k": 12, "top_p": 0.9, "repetition_penalty": 1.3}
    processor = ChainLogitsProcessor(Chain.like("transformers", **options), prompt_length=3)
    torch.manual_seed(1)
    ours = generate(model, processor, prompt, do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
    torch.manual_seed(1)
    theirs = generate(model, lambda input_ids, scores: scores, prompt, do_sample=True, **options)
    assert torch.equal(ours.sequences, theirs.sequences)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_sample_on_tensors(dtype):
    logits = torch.randn(20, 30, generator=torch.Generator().manual_seed(2)).to(dtype)
    options = {"temperature": 0.8, "top_k": 9, "seed": 5, "position": torch.arange(20)}
    drawn = softmaxlib.torch.sample(logits, **options)
    wide = logits if dtype == torch.float64 else logits.float()
    expected = softmaxlib.sampling.sample(wide.numpy(), **{**options, "position": np.arange(20)})
    for ours, theirs in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)
    assert drawn.token.dtype == torch.int64
    assert softmaxlib.torch.sample(logits[0].requires_grad_(), seed=1, position=0).token.shape == ()


def test_processed_scores_keep_dtype_and_shape():
    scores = torch.randn(3, 10, dtype=torch.float16, generator=torch.Generator().manual_seed(3))
    processor = ChainLogitsProcessor(Chain(Temperature(0.5), TopK(4)), prompt_length=1)
    result = processor(torch.zeros(3, 1, dtype=torch.int64), scores)
    assert result.dtype == torch.float16
    assert torch.equal(result.isfinite().sum(-1), torch.tensor([4, 4, 4]))


def test_a_prompt_length_that_cannot_be():
    processor = ChainLogitsProcessor(Chain(TopK(1)), prompt_length=4)
    with pytest.raises(InvalidInputError, match=r"prompt_length must be at most .* \(2\), got 4"):
        processor(torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 5))


def drawing(chain, **options):
    return DrawLogitsProcessor(chain, 1, **options)


@pytest.mark.parametrize("make", [ChainLogitsProcessor, drawing])
@pytest.mark.parametrize(
    ("chain", "options", "error", "message"),
    [
        (
            "vllm",
            {},
            UnsupportedTypeError,
            r"^chain must be a Chain .*, got 'vllm'; .* Chain\.like\(engine\)",
        ),
        (
            [TopK(3)],
            {},
            UnsupportedTypeError,
            r"^chain must be a Chain .*, got \[TopK\(k=3\)\]; Chain\(\*stages\)",
        ),
        (None, {}, UnsupportedTypeError, r"^chain must be a Chain .*, got None"),
        (
            Chain(),
            {"prompt_length": "3"},
            UnsupportedTypeError,
            r"^prompt_length must be a whole number, got '3'",
        ),
        (
            Chain(),
            {"prompt_length": 3.0},
            UnsupportedTypeError,
            r"^prompt_length must be a whole .*, got 3\.0",
        ),
        (Chain(), {"prompt_length": -1}, InvalidInputError, r"^prompt_length must be .*, at least 0; got -1"),
        (Chain(), {"pad_token_id": "0"}, UnsupportedTypeError, r"^pad_token_id must be a whole .*, got '0'"),
        (
            Chain(),
            {"pad_token_id": [0]},
            UnsupportedTypeError,
            r"^pad_token_id must be a whole .*, got \[0\]",
        ),
        (Chain(), {"pad_token_id": -1}, InvalidInputError, r"^pad_token_id must be .*, at least 0; got -1"),
    ],
)
def test_wrong_arguments_are_refused_when_the_processor_is_made(make, chain, options, error, message):
    with pytest.raises(error, match=message):
        make(chain, **{"prompt_length": 3, **options})


def test_numbers_of_any_library_are_lengths_and_ids():
    ids, scores = torch.tensor([[0, 1, 2]]), torch.tensor([[2.0, 1.0, 0.5]])
    chain = Chain(RepetitionPenalty(2.0))
    expected = ChainLogitsProcessor(chain, prompt_length=3, pad_token_id=0)(ids, scores)
    for make in (np.int64, np.uint8, torch.tensor):
        processor = ChainLogitsProcessor(chain, prompt_length=make(3), pad_token_id=make(0))
        assert torch.equal(processor(ids, scores), expected)


@pytest.mark.parametrize("make", [ChainLogitsProcessor, drawing])
@pytest.mark.parametrize(
    ("ids", "scores", "message"),
    [
        ([[0, 1]], torch.zeros(1, 5), r"input_ids must be a tensor, got list; torch\.as_tensor converts it"),
        (torch.zeros(1, 2), np.zeros((1, 5)), r"scores must be a tensor, got ndarray"),
        (
            torch.zeros(2),
            torch.zeros(1, 5),
            r"\(rows, n\) and scores \(rows, V\), got \(2,\) and \(1, 5\); one",
        ),
        (torch.zeros(1, 2), torch.zeros(5), r"\(rows, V\), got \(1, 2\) and \(5,\); .* input_ids\[None\]"),
        (torch.zeros(3, 2), torch.zeros(2, 5), r"\(rows, V\), got \(3, 2\) and \(2, 5\)"),
        (
            torch.zeros(1, 2),
            torch.zeros(1, 5, dtype=torch.int64),
            r"scores must be floating point, got torch\.int64",
        ),
    ],
)
def test_what_transformers_never_passes(make, ids, scores, message):
    with pytest.raises(SoftmaxlibError, match=message):
        make(Chain(TopK(3)), prompt_length=2)(ids, scores)


@pytest.mark.parametrize("make", [ChainLogitsProcessor, drawing])
def test_arguments_of_other_rows_than_the_scores(make):
    ids, scores = torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 5)
    for chain, options in ((Chain(TopK([1, 2, 3])), {}), (Chain(Bias()), {"bias": np.zeros((3, 5))})):
        with pytest.raises(InvalidInputError, match=r"per row of the scores \(1, 5\), got .* shape \(3,\)"):
            make(chain, prompt_length=2, **options)(ids, scores)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1e-310, 1e-40, 1e-4, 0.02, 1.0, 1e30])
def test_processed_scores_are_finite_and_in_order_in_every_dtype(dtype, temperature):
    scores = (torch.randn(5, 200, generator=torch.Generator().manual_seed(4)) * 3).to(dtype)
    scores[:, 7] = -torch.inf
    result = ChainLogitsProcessor(Chain(Temperature(temperature)), prompt_length=1)(
        torch.zeros(5, 1, dtype=torch.int64), scores
    )
    assert result.dtype == dtype
    assert torch.equal(result.isfinite(), scores.isfinite())
    best = result.gather(-1, scores.argmax(-1, keepdim=True))
    assert torch.equal(best[:, 0], result.amax(-1))
    if (
        temperature <= 0.02
    ):  # the exact softmax of the scores that came, to the dtype's own rounding near the best
        exact = torch.softmax((scores.double() - scores.double().amax(-1, keepdim=True)) / temperature, -1)
        torch.testing.assert_close(torch.softmax(result.double(), -1), exact, rtol=0, atol=0.01)


def processed(chain, scores):
    ids = torch.zeros(len(scores), 1, dtype=torch.int64)
    return ChainLogitsProcessor(chain, prompt_length=1)(ids, scores)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_to_a_narrow_dtype_keeps_the_probabilities(dtype):
    scores = torch.tensor([[100.0, 99.5, 10.0]], dtype=dtype)
    odds = np.exp(-0.5 / 0.7)
    expected = torch.tensor([[1 / (1 + odds), odds / (1 + odds), 0.0]], dtype=torch.float64)
    found = torch.softmax(processed(Chain(Temperature(0.7)), scores).double(), -1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "share"), [(torch.bfloat16, 2.0**-8), (torch.float16, 2.0**-11), (torch.float32, 2.0**-24)]
)
@pytest.mark.parametrize("size", [0.01, 1.0, 30.0, 3000.0])
@pytest.mark.parametrize("chain", [Chain(Temperature(0.7)), Chain(RepetitionPenalty(1.1)), Chain(Bias())])
def test_no_difference_moves_more_than_is_said(dtype, share, size, chain):
    generator = torch.Generator().manual_seed(6)
    scores = (size * (1 + torch.rand(40, 30, generator=generator))).to(dtype)
    ids, bias = torch.arange(40)[:, None] % 30, {3: 0.123, 4: -0.456}
    found = ChainLogitsProcessor(chain, prompt_length=1, bias=bias)(ids, scores).double()
    history = ids.tolist()
    exact = chain.process(scores.double(), history=history, bias=bias)
    gap, kept = (x.amax(-1, keepdim=True) - x for x in (exact, found))
    assert ((kept - gap).abs() <= torch.maximum(gap * share + 3e-8, torch.tensor(2 * 2.0**-16))).all()
    order = exact.argsort(-1)
    assert (found.gather(-1, order).diff(dim=-1) >= 0).all()


@pytest.mark.parametrize(
    ("dtype", "scores", "chain", "expected"),
    [
        (torch.bfloat16, [[100.0, 99.5, 10.0]], Chain(TopK(2)), [[100.0, 99.5, -torch.inf]]),
        (torch.bfloat16, [[3e38, 1.0, -3e38]], Chain(Bias()), [[3e38, 1.0, -3e38]]),
        (torch.float16, [[100.0, 99.5, 10.0]], Chain(Temperature(0.5)), [[200.0, 199.0, 20.0]]),
        (torch.float64, [[1e300, 2.0, 1.0]], Chain(Temperature(0.7)), [[1e300 / 0.7, 2 / 0.7, 1 / 0.7]]),
        (torch.float32, [[30.0, 20.0, 1.0]], Chain(Temperature(0.7)), [[30 / 0.7, 20 / 0.7, 1 / 0.7]]),
        (
            torch.bfloat16,
            [[1.0, 2.0], [1.0, 2.0]],
            Chain(Temperature([0.5, 0.7])),
            [[2.0, 4.0], [-1 / 0.7, 0.0]],
        ),
    ],
)
def test_what_a_dtype_can_represent_stays_as_it_is(dtype, scores, chain, expected):
    found = processed(chain, torch.tensor(scores, dtype=dtype))
    assert torch.equal(found, torch.tensor(expected, dtype=torch.float64).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "chain", [Chain(Temperature(1e-4)), Chain(RepetitionPenalty(1e30)), Chain(Bias())], ids=str
)
def test_generate_runs_on_extreme_scores(model, dtype, chain):
    """A model in a narrow dtype: generate draws from the processed scores, which must be finite."""
    narrow = LlamaForCausalLM(model.config).to(dtype).eval()
    prompt = torch.tensor([[5, 6, 7]])
    for processor in (
        ChainLogitsProcessor(chain, prompt_length=3, bias={5: 1e30}),
        DrawLogitsProcessor(chain, [3], prompt_length=3, bias={5: 1e30}),
    ):
        answer = generate(narrow, processor, prompt, do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
        assert answer.sequences.shape == (1, 3 + NEW)


def test_sequences_of_one_prompt_and_one_seed_differ(model):
    processor = DrawLogitsProcessor(Chain(Temperature(1.0)), 7, prompt_length=3)
    answer = generate(model, processor, torch.tensor([[5, 6, 7]]), do_sample=True, num_return_sequences=4)
    assert len({tuple(row) for row in answer.sequences.tolist()}) == 4
    seeds = softmaxlib.sampling.row_seeds(7, 4)
    alone = generate(
        model,
        DrawLogitsProcessor(Chain(Temperature(1.0)), seeds[2], prompt_length=3),
        torch.tensor([[5, 6, 7]]),
    )
    assert torch.equal(alone.sequences[0], answer.sequences[2])


def test_generators_move_on():
    logits = torch.zeros(3, 1000)
    for make in (lambda: torch.Generator().manual_seed(3), lambda: np.random.default_rng(3)):
        first, second = make(), make()
        drawn = [softmaxlib.torch.sample(logits, seed=first).token.tolist() for _ in range(2)]
        assert drawn == [softmaxlib.torch.sample(logits, seed=second).token.tolist() for _ in range(2)]
        assert len({*drawn[0], *drawn[1]}) == 6


def test_large_seeds_keep_their_value():
    processor = DrawLogitsProcessor(Chain(), [2**63 + 5, 7], prompt_length=1)
    scores = torch.zeros(2, 300)
    token = processor(torch.zeros(2, 1, dtype=torch.int64), scores).argmax(-1)
    expected = softmaxlib.sampling.sample(np.zeros(300), seed=2**63 + 5, position=0).token
    assert token[0] == int(expected)
    assert torch.equal(softmaxlib.torch.sample(scores, seed=[2**63 + 5, 7], position=0).token, token)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_draw_lies_between_two_graphs(backend):
    chain = Chain.standard(temperature=0.8, top_k=3)
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    for draw in (
        lambda x: softmaxlib.torch.sample(2 * x, seed=1, position=0).token + 1,
        lambda x: chain.sample(2 * x, seed=1, position=0).token + 1,
        lambda x: chain.process(2 * x).exp(),
    ):
        torch._dynamo.reset()
        assert torch.equal(torch.compile(draw, backend=backend)(logits), draw(logits))


def test_a_draw_from_a_traced_row_is_refused():
    with pytest.raises(UnsupportedTypeError, match=r"logits must have numbers, got a Tensor.* outside"):
        torch.vmap(lambda row: softmaxlib.torch.sample(row, seed=1, position=0).token)(torch.zeros(2, 3))
