"""A chain of processing stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._arrays import Array
from .._frameworks import between_graphs, draw_in_shell, in_kind_of
from .._text import shortened
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError, UnsupportedTypeError
from . import _context
from ._call import check_finite, prepare, run, sample_compiled
from ._keys import Key, check_key
from .explanation import Explanation, explain
from .presets import preset
from .stages import (
    Allowed,
    Bias,
    MinP,
    Parameter,
    Stage,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    TypicalP,
)


class Sample(NamedTuple):
    """Drawn tokens and their log-probabilities.

    Attributes
    ----------
    token : (...) int64
        Token ids.
    logprob : (...) float32 or float64
        log softmax of the input logits, at the token.
    processed_logprob : (...) float32 or float64
        log softmax after all stages, at the token. The draw follows this distribution.
    """

    token: Array
    logprob: Array
    processed_logprob: Array


@dataclass(frozen=True)
class Chain:
    """A sequence of stages that process logits before a token is drawn.

    Parameters
    ----------
    *stages : Stage
        The stages in order, such as `Temperature(0.8)`, `TopK(40)`.

    See Also
    --------
    Chain.like : The order and defaults of a known engine.
    Chain.standard : The order of `sample`.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.sampling import Chain, Temperature, TopK, TopP
    >>> chain = Chain(Temperature(0.8), TopK(3), TopP(0.9))
    >>> print(chain)
    1. Temperature(temperature=0.8)
    2. TopK(k=3)
    3. TopP(p=0.9)
    >>> chain.process(np.array([2.0, 1.0, 0.0, -1.0]))
    array([2.5 , 1.25, -inf, -inf])
    >>> int(chain.sample(np.array([2.0, 1.0, 0.0, -1.0]), seed=7, position=0).token)
    0
    """

    stages: tuple[Stage, ...]

    def __init__(self, *stages: Stage) -> None:
        for stage in stages:
            if not isinstance(stage, Stage):
                raise InvalidInputError(
                    f"a chain is made of stages such as Temperature(0.8), got {stage!r}; "
                    "Chain(*stages) takes them one by one"
                )
        object.__setattr__(self, "stages", stages)

    def __str__(self) -> str:
        return "\n".join(
            f"{number}. {stage!r}{'  (off)' if stage.is_off else ''}"
            for number, stage in enumerate(self.stages, 1)
        )

    @classmethod
    def like(cls, engine: str, /, **options: Parameter) -> Chain:
        """Return a chain with the order and defaults of an inference engine.

        Parameters
        ----------
        engine : "transformers", "vllm", "llama.cpp", "sglang" or "mlx"
        **options
            Any of temperature, top_k, top_p, min_p, typical_p, top_n_sigma, repetition_penalty,
            presence_penalty, frequency_penalty, penalty_last_n, dry_multiplier, dry_base, dry_allowed_length,
            dry_penalty_last_n, dry_breakers, xtc_probability, xtc_threshold, repetition_context_size,
            presence_context_size, frequency_context_size if the engine has them. None switches an option off
            (for a number of tokens in the history: all tokens count). The off value of the engine does the
            same, and for a number of tokens the value that means all there (-1 in llama.cpp, 0 in mlx).
            dry_base, dry_allowed_length, dry_breakers and xtc_threshold take no None: dry_multiplier and
            xtc_probability switch off what they belong to.

        Returns
        -------
        Chain

        Raises
        ------
        InvalidInputError
            If the engine is unknown, or does not have an option.

        Notes
        -----
        The published orders (`presets.py` names the files):

        - transformers: bias, repetition penalty (prompt and answer), allowed, temperature, top-k 50, top-p,
          min-p, typical.
        - vllm: allowed, bias, penalties (repetition of prompt and answer, frequency and presence of the
          answer), temperature, min-p, top-k, top-p. A temperature between 0 and 0.01 is 0.01.
        - llama.cpp: bias, allowed, penalties and DRY over the last 64 tokens of prompt and answer,
          top-n-sigma, top-k 40, typical, top-p 0.95, min-p 0.05, XTC, temperature 0.8 last.
        - sglang: penalties (of the answer), allowed, bias, temperature, then top-p and top-k of the same
          distribution; with min-p, top-k, top-p and min-p one after the other.
        - mlx: bias, penalties over the last 20 tokens, top-p, min-p, XTC, top-k, temperature last. At
          temperature 0, the default, there are no filters: the result is the argmax after the penalties.

        Examples
        --------
        >>> from softmaxlib.sampling import Chain
        >>> print(Chain.like("vllm", temperature=0.7, top_p=0.9))
        1. Allowed()
        2. Bias()
        3. RepetitionPenalty(penalty=1.0, window=None, include_prompt=True)  (off)
        4. FrequencyPenalty(penalty=0.0, window=None, include_prompt=False)  (off)
        5. PresencePenalty(penalty=0.0, window=None, include_prompt=False)  (off)
        6. Temperature(temperature=0.7)
        7. MinP(p=None)  (off)
        8. TopK(k=None)  (off)
        9. TopP(p=0.9)
        """
        return cls(*preset(engine, options))

    @classmethod
    def standard(
        cls,
        *,
        temperature: Parameter = 1.0,
        top_k: Parameter = None,
        top_p: Parameter = None,
        min_p: Parameter = None,
        typical_p: Parameter = None,
        top_n_sigma: Parameter = None,
    ) -> Chain:
        """Return the chain of `sample`: the order of transformers, plus top-n-sigma before top-k.

        Examples
        --------
        >>> from softmaxlib.sampling import Chain
        >>> len(Chain.standard(top_k=40).stages)
        8
        """
        return cls(
            Bias(),
            Allowed(),
            Temperature(temperature),
            TopNSigma(top_n_sigma),
            TopK(top_k),
            TopP(top_p),
            MinP(min_p),
            TypicalP(typical_p),
        )

    @between_graphs
    @underflow_is_zero
    def process(
        self,
        logits: Array,
        /,
        *,
        history: Array | None = None,
        prompt_length: Array = 0,
        bias: _context.Bias | None = None,
        allowed: Array | None = None,
        seed: Array | np.random.Generator | None = None,
        position: Array | None = None,
    ) -> Array:
        """Compute the scores after all stages.

        The parameters are those of `sample`. `seed` and `position` are needed only for XTC.

        Returns
        -------
        scores : (..., V) float64
            Scores with the array type and device of `logits`. Removed tokens are -inf. Their softmax is the
            distribution to draw from.
        """
        key = self._key_of_coins(seed, position)
        call = prepare(self.stages, logits, history, prompt_length, bias, allowed, key)
        check_finite(call)
        scores = run(call)
        return in_kind_of(logits, scores.reshape(*call.shape, scores.shape[-1]))

    @between_graphs
    @underflow_is_zero
    def sample(
        self,
        logits: Array,
        /,
        *,
        seed: Array | np.random.Generator | None = None,
        position: Array | None = None,
        history: Array | None = None,
        prompt_length: Array = 0,
        bias: _context.Bias | None = None,
        allowed: Array | None = None,
    ) -> Sample:
        """Draw one token per row.

        The rows are the leading axes of the logits. All arguments per row (parameters of stages, `seed`,
        `position`, `history`, `prompt_length`, and the leading axes of `bias` and `allowed`) are broadcast
        with them, and the result has the broadcast shape.

        Parameters
        ----------
        logits : (..., V) array
            Finite numbers, or -inf for an impossible token.
        seed : int or array of int in [0, 2^64), numpy.random.Generator, or None
            With one seed for several rows at one position, each row has its own stream (see `row_seeds`). A
            seed per row is used as given: the token then depends only on the logits, seed and position of the
            row, and not on the batch. A Generator supplies a fresh seed per call. None means a fresh seed
            that can't be repeated.
        position : int or array of int in [0, 2^32)
            The number of the token in its sequence. A seed without a position draws the same token each time,
            with a warning. Positions per row with one seed must differ.
        history : sequence of token ids, or one sequence per row
            Prompt and answer so far, oldest first. Penalties need it (use [] if there are no tokens yet). A
            sequence that is not nested applies to all rows.
        prompt_length : int or array of int
            Number of tokens at the start of the history that are the prompt.
        bias : {token id: number} or array that broadcasts to (..., V)
        allowed : bool array that broadcasts to (..., V), or int32 words (..., ceil(V / 32)), lowest bit first

        Returns
        -------
        Sample
            token, logprob and processed_logprob, each of shape (...), with the array type and device of
            `logits`.

        Raises
        ------
        InvalidInputError
            If logits contain NaN, +inf or a row of only -inf, a stage removes all tokens of a row, token ids
            are out of range, a history is missing, or positions repeat with one seed. On a GPU, where the
            logits are not checked, a bad row gives token -1 and NaN instead.

        Examples
        --------
        >>> import numpy as np
        >>> from softmaxlib.sampling import Chain
        >>> chain, logits = Chain.standard(temperature=0.8), np.zeros((3, 1000))
        >>> chain.sample(logits, seed=5, position=0).token  # one seed: a stream for each row
        array([572, 385, 503])
        >>> chain.sample(logits, seed=[5, 6, 7], position=0).token  # a seed per row
        array([572, 280, 700])
        >>> generator = np.random.default_rng(5)  # moves on with each call
        >>> [int(chain.sample(logits[0], seed=generator).token) for _ in range(3)]
        [764, 657, 399]
        """
        drawn = draw_in_shell(
            self.stages, logits, history=history, prompt_length=prompt_length, bias=bias, allowed=allowed,
            seed=seed, position=position,
        )  # fmt: skip
        if drawn is not NotImplemented:
            return Sample(*drawn)
        call = prepare(self.stages, logits, history, prompt_length, bias, allowed, check_key(seed, position))
        return in_kind_of(logits, Sample(*sample_compiled(call)))

    @between_graphs
    @underflow_is_zero
    def explain(
        self,
        logits: Array,
        /,
        *,
        names: list[str] | None = None,
        top: int = 5,
        history: Array | None = None,
        prompt_length: int = 0,
        bias: _context.Bias | None = None,
        allowed: Array | None = None,
        seed: int | np.random.Generator | None = None,
        position: int | None = None,
    ) -> Explanation:
        """Explain the effect of each stage on one row.

        Parameters
        ----------
        logits : (V,) array
        names : list of V strings, optional
            The texts of the tokens.
        top : int
            Number of most probable tokens to list after each stage.
        history, prompt_length, bias, allowed, seed, position
            As in `sample`.

        Returns
        -------
        Explanation
            Prints as a table. `.steps` has the numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from softmaxlib.sampling import Chain
        >>> print(Chain.standard(temperature=0.5, top_p=0.9).explain(np.array([2.0, 1.0, 0.0]), top=2))
        stage                          left  removed  mass removed  mass moved  entropy  most probable
        logits                            3        0        0.0000      0.0000   0.8324  0: 0.6652, 1: 0.2447
        Temperature(temperature=0.5)      3        0        0.0000      0.2016   0.4411  0: 0.8668, 1: 0.1173
        TopP(p=0.9)                       2        1        0.0159      0.0159   0.3653  0: 0.8808, 1: 0.1192
        """
        key = self._key_of_coins(seed, position)
        call = prepare(self.stages, logits, history, prompt_length, bias, allowed, key)
        if len(call.logits.shape) != 1 or call.shape != ():
            raise InvalidInputError(
                f"explain takes one row of logits, shape (V,), got shape {call.logits.shape}; pass "
                "logits[row]"
            )
        check_finite(call)
        return explain(call, names, top)

    def _key_of_coins(self, seed: Array | np.random.Generator | None, position: Array | None) -> Key | None:
        throws = any(stage.draws and not stage.is_off for stage in self.stages)
        return check_key(seed, position) if throws and seed is not None else None


def check_chain(chain: Chain, name: str) -> Chain:
    """Check and return a chain."""
    if not isinstance(chain, Chain):
        raise UnsupportedTypeError(
            f"{name} must be a Chain such as Chain(Temperature(0.8)), got {shortened(repr(chain), 200)}; "
            "Chain(*stages) makes one of stages, and Chain.like(engine) has the order of an engine"
        )
    return chain
