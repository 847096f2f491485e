"""Sampling of the next token on tensors, and inside transformers' ``generate``.

The draw happens on the CPU, by the functions of `softmaxlib.sampling` and with their bits; tensors of another
device are copied there and the answer back.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import sampling
from ..errors import InvalidInputError
from ..sampling import Chain

__all__ = ["ChainLogitsProcessor", "DrawLogitsProcessor", "Sample", "sample"]


class Sample(NamedTuple):
    """Drawn tokens and how probable they were, as tensors on the logits' device.

    Attributes
    ----------
    token : (...) int64 tensor
    logprob, processed_logprob : (...) tensor
        log softmax at the token: of the logits as they came, and after all filters.
    """

    token: Tensor
    logprob: Tensor
    processed_logprob: Tensor


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
    seed: Any,
    position: Any = 0,
) -> Sample:
    """Draw the next token of each row: `softmaxlib.sampling.sample` for tensors.

    Parameters
    ----------
    logits : (..., V) tensor
        On any device; float16 and bfloat16 are computed in float32. The other arguments are those of
        `softmaxlib.sampling.sample`, as numbers, arrays or tensors.

    Returns
    -------
    Sample
        The same tokens as for NumPy arrays.

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
        "seed": seed,
        "position": position,
    }
    return Sample(*sampling.sample(logits, **options))


class ChainLogitsProcessor:
    """A chain in the place of transformers' processors: scores in, processed scores out.

    Passed to ``model.generate(logits_processor=[...])``. transformers adds processors of its own behind
    it; switch them off with ``temperature=1.0, top_k=0, top_p=1.0``.

    Parameters
    ----------
    chain : Chain
        Penalties read the prompt and the answer so far.
    prompt_length : int
        Tokens of the prompt, padding included: ``input_ids.shape[1]``. What lies behind is the answer.
    pad_token_id : int, optional
        This token is left out of the history where it stands in front of a prompt.
    seed : int or sequence of int, optional
        Needed where the chain throws coins (XTC).
    bias, allowed : optional
        As in `Chain.sample`.

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
        seed: int | Sequence[int] | None = None,
        bias: Any = None,
        allowed: Any = None,
    ) -> None:
        self.chain = chain
        self.prompt_length = prompt_length
        self.pad_token_id = pad_token_id
        self.seed = seed
        self.bias = bias
        self.allowed = allowed

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Processed scores (rows, V) in the dtype of `scores`; `input_ids` (rows, tokens) is the history."""
        return self.chain.process(scores, **self._call(input_ids)).to(scores.dtype)

    def _call(self, input_ids: Tensor) -> dict[str, Any]:
        position = input_ids.shape[1] - self.prompt_length
        if position < 0:
            raise InvalidInputError(
                f"prompt_length must be at most the number of tokens so far ({input_ids.shape[1]}), "
                f"got {self.prompt_length}"
            )
        history = [self._without_padding(row) for row in input_ids.tolist()]
        return {
            "history": history,
            "prompt_length": np.array([len(row) - position for row in history]),
            "seed": None if self.seed is None else np.asarray(self.seed, dtype=np.uint64),
            "position": position,
            "bias": self.bias,
            "allowed": self.allowed,
        }

    def _without_padding(self, tokens: list[int]) -> list[int]:
        start = 0
        while start < self.prompt_length and tokens[start] == self.pad_token_id:
            start += 1
        return tokens[start:]


class DrawLogitsProcessor(ChainLogitsProcessor):
    """A chain and the draw in one: of each row only the drawn token is left, with score 0.

    ``generate(do_sample=False, logits_processor=[DrawLogitsProcessor(...)])`` then emits the tokens
    that `Chain.sample` draws with this seed at positions 0, 1, 2, ...: the same for a prompt alone and
    in any batch, as far as the model gives the same logits there.

    Parameters
    ----------
    chain : Chain
    seed : int or sequence of int
        One for all rows, or one a row.
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
        seed: int | Sequence[int],
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
        """Scores (rows, V): 0 at the drawn token and -inf elsewhere."""
        token = self.chain.sample(scores, **self._call(input_ids)).token
        return torch.full_like(scores, -torch.inf).scatter(-1, token[:, None], 0.0)
