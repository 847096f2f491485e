"""Sampling of the next token on tensors, and inside transformers' ``generate``.

The draw is that of `softmaxlib.sampling`, with the same bits. For CUDA tensors of float32, float16 and
bfloat16, Triton kernels draw on the GPU. Tensors of other devices and dtypes, and chains with XTC, DRY or two
temperatures, are copied to the CPU, and the result is copied back.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import sampling
from .._checks import check_integer
from .._renamed import checked_keywords
from ..errors import InvalidInputError, UnsupportedTypeError
from ..sampling import Chain
from ..sampling.chain import check_chain

BLOCK = 2**20  # scores per block; an interrupt is handled between blocks
NOTICEABLE = 2.0**-16  # how far rounding may move a score: its probability moves by 1 part in 65,536

__all__ = ["ChainLogitsProcessor", "DrawLogitsProcessor", "Sample", "sample"]


class Sample(NamedTuple):
    """Drawn tokens and their log-probabilities, as tensors on the device of the logits.

    Attributes
    ----------
    token : (...) int64 tensor
    logprob, processed_logprob : (...) tensor
        log softmax at the token: of the input logits, and after all filters.
    """

    token: Tensor
    logprob: Tensor
    processed_logprob: Tensor


@checked_keywords
def sample(
    logits: Tensor,
    /,
    *,
    temperature: Any = 1.0,
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
    typical_p: Any = None,
    top_n_sigma: Any = None,
    bias: Any = None,
    allowed: Any = None,
    seed: Any = None,
    position: Any = None,
) -> Sample:
    """Draw the next token of each row: `softmaxlib.sampling.sample` for tensors.

    Parameters
    ----------
    logits : (..., V) tensor
        On any device. float16 and bfloat16 are computed in float32. The other arguments are those of
        `softmaxlib.sampling.sample`, as numbers, arrays or tensors. `seed` may also be a ``torch.Generator``.

    Returns
    -------
    Sample
        The same tokens as for NumPy arrays. On a GPU, where the logits are not checked, an invalid row (NaN,
        +inf, or no token left) gives token -1 and NaN instead of an error.

    Raises
    ------
    InvalidInputError
        As `softmaxlib.sampling.sample`.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> logits = torch.tensor([[2.0, 1.0, 0.1], [0.0, 3.0, 0.0]])
    >>> softmaxlib.torch.sample(logits, temperature=0.7, top_p=0.9, seed=2024, position=[0, 1]).token
    tensor([0, 1])
    """
    options = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical_p": typical_p,
        "top_n_sigma": top_n_sigma,
        "bias": bias,
        "allowed": allowed,
        "seed": _numpy_seed(seed),
        "position": 0 if position is None and isinstance(seed, torch.Generator) else position,
    }
    return Sample(*sampling.sample(logits, **options))


def _numpy_seed(seed: Any) -> Any:
    """Return a fresh seed of a torch generator, and anything else unchanged."""
    if not isinstance(seed, torch.Generator):
        return seed
    words = torch.randint(2**32, (2,), generator=seed, device=seed.device).tolist()
    return words[0] << 32 | words[1]


def _fit(scores: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert scores (rows, V) to a dtype that may be narrower. Finite scores stay finite, in order.

    If rounding would noticeably move a score of a row, the row is shifted so that its largest score is 0,
    which changes no probability. The numbers of the dtype are densest there. Scores below its range are
    clipped.
    """
    limit = torch.finfo(dtype).max
    fitted = torch.empty(scores.shape, dtype=dtype, device=scores.device)
    rows = max(1, BLOCK // scores.shape[-1])
    for part, out in zip(scores.split(rows), fitted.split(rows), strict=True):
        finite = part.isfinite()
        rounded = part.clamp(-limit, limit).to(dtype).to(part.dtype)
        moved = (rounded - part).abs().where(finite, 0.0).amax(-1, keepdim=True)
        shift = part.amax(-1, keepdim=True).where(moved > NOTICEABLE, 0.0)
        out.copy_((part - shift).clamp(-limit, limit).where(finite, part))
    return fitted


def _check_tensors(input_ids: Tensor, scores: Tensor) -> None:
    """Reject anything but what transformers passes: tensors (rows, n) and (rows, V)."""
    for name, value in (("input_ids", input_ids), ("scores", scores)):
        if not isinstance(value, Tensor):
            raise UnsupportedTypeError(
                f"{name} must be a tensor, got {type(value).__name__}; torch.as_tensor converts it"
            )
    if input_ids.ndim != 2 or scores.ndim != 2 or len(input_ids) != len(scores):
        raise InvalidInputError(
            "input_ids must have shape (rows, n) and scores (rows, V), got "
            f"{tuple(input_ids.shape)} and {tuple(scores.shape)}; one sequence is one row: input_ids[None]"
        )
    if not scores.is_floating_point():
        raise UnsupportedTypeError(f"scores must be floating point, got {scores.dtype}; pass scores.float()")


def _check_rows(rows: torch.Size, scores: Tensor) -> None:
    """Reject a result with other rows than the scores."""
    if rows != scores.shape[:-1]:
        raise InvalidInputError(
            "parameters of the chain, seed, bias and allowed must be for all rows, or one per row of the "
            f"scores {tuple(scores.shape)}, got some for rows of shape {tuple(rows)}; make a processor for "
            "each batch"
        )


class ChainLogitsProcessor:
    """A chain as a logits processor for transformers.

    Pass it to ``model.generate(logits_processor=[...])``. transformers appends its own processors. Switch
    them off with ``temperature=1.0, top_k=0, top_p=1.0``. Scores stay finite and in order in `scores.dtype`.
    A row with a score that rounding to this dtype would move by more than 2^-16 is shifted so that the
    largest is 0, which changes no probability.

    Parameters
    ----------
    chain : Chain
        The chain. Its penalties read the prompt and the answer so far.
    prompt_length : int
        Number of tokens of the prompt, including padding: ``input_ids.shape[1]``. The rest is the answer.
    pad_token_id : int, optional
        This token is left out of the history if it precedes a prompt.
    seed : int, sequence of int, or generator, optional
        Needed if the chain flips coins (XTC). As in `DrawLogitsProcessor`.
    bias, allowed : optional
        As in `Chain.sample`.

    Notes
    -----
    Rounding stays. In a shifted row, a score that lies g below the largest is off by at most g / 256 in
    bfloat16, g / 2048 + 3e-8 in float16 and g / 2^24 in float32. In bfloat16, a token half as probable as the
    most probable one may so become 0.3 % more or less probable. `DrawLogitsProcessor` draws before any
    rounding.

    Examples
    --------
    >>> import torch
    >>> from softmaxlib.sampling import Chain
    >>> from softmaxlib.torch import ChainLogitsProcessor
    >>> processor = ChainLogitsProcessor(Chain.like("llama.cpp", top_k=2), prompt_length=3)
    >>> processor(torch.tensor([[0, 1, 2]]), torch.tensor([[2.0, 1.0, 0.1]]))
    tensor([[2.5000, 1.2500,   -inf]])
    """

    def __init__(
        self,
        chain: Chain,
        *,
        prompt_length: int,
        pad_token_id: int | None = None,
        seed: Any = None,
        bias: Any = None,
        allowed: Any = None,
    ) -> None:
        self.chain = check_chain(chain, "chain")
        self.prompt_length = check_integer(prompt_length, "prompt_length", lower=0)
        self.pad_token_id = (
            None if pad_token_id is None else check_integer(pad_token_id, "pad_token_id", lower=0)
        )
        self.seed = seed
        self.bias = bias
        self.allowed = allowed

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return processed scores (rows, V) in the dtype of `scores`. `input_ids` is the history."""
        processed = self.chain.process(scores, **self._call(input_ids, scores))
        _check_rows(processed.shape[:-1], scores)
        return _fit(processed, scores.dtype)

    def _call(self, input_ids: Tensor, scores: Tensor) -> dict[str, Any]:
        _check_tensors(input_ids, scores)
        position = input_ids.shape[1] - self.prompt_length
        if position < 0:
            raise InvalidInputError(
                f"prompt_length must be at most the number of tokens so far ({input_ids.shape[1]}), "
                f"got {self.prompt_length}"
            )
        call = {
            "seed": _numpy_seed(self.seed),
            "position": position,
            "bias": self.bias,
            "allowed": self.allowed,
        }
        if any(stage.needs_history and not stage.is_off for stage in self.chain.stages):
            history = [self._without_padding(row) for row in input_ids.tolist()]
            call["history"] = history
            call["prompt_length"] = np.array([len(row) - position for row in history])
        return call

    def _without_padding(self, tokens: list[int]) -> list[int]:
        start = 0
        while start < self.prompt_length and tokens[start] == self.pad_token_id:
            start += 1
        return tokens[start:]


class DrawLogitsProcessor(ChainLogitsProcessor):
    """A chain combined with the draw: in each row only the drawn token is left, with score 0.

    ``generate(do_sample=False, logits_processor=[DrawLogitsProcessor(...)])`` then emits the tokens that
    `Chain.sample` draws with this seed at positions 0, 1, 2, ...: With a seed per row, these are the same for
    a prompt alone and in any batch, if the model gives the same logits.

    Parameters
    ----------
    chain : Chain
    seed : int, sequence of int, ``torch.Generator`` or ``numpy.random.Generator``
        One seed for all rows, from which each row gets its own stream (`softmaxlib.sampling.row_seeds`), or
        one per row. A generator supplies a fresh seed per token.
    prompt_length, pad_token_id, bias, allowed
        As in `ChainLogitsProcessor`.

    Examples
    --------
    >>> import torch
    >>> from softmaxlib.sampling import Chain
    >>> from softmaxlib.torch import DrawLogitsProcessor
    >>> processor = DrawLogitsProcessor(Chain.standard(top_p=0.9), seed=7, prompt_length=2)
    >>> processor(torch.tensor([[0, 1]]), torch.tensor([[9.0, 1.0, 0.1]]))
    tensor([[0., -inf, -inf]])
    """

    def __init__(
        self,
        chain: Chain,
        seed: Any,
        *,
        prompt_length: int,
        pad_token_id: int | None = None,
        bias: Any = None,
        allowed: Any = None,
    ) -> None:
        super().__init__(
            chain,
            prompt_length=prompt_length,
            pad_token_id=pad_token_id,
            seed=seed,
            bias=bias,
            allowed=allowed,
        )

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (rows, V): 0 at the drawn token and -inf elsewhere."""
        call = self._call(input_ids, scores)
        token = self.chain.sample(scores, **call).token
        _check_rows(token.shape, scores)
        if scores.is_cuda and bool((token < 0).any()):
            self.chain.sample(scores.cpu(), **call)  # raises the error, with its place
        return torch.full_like(scores, -torch.inf).scatter(-1, token[:, None], 0.0)
