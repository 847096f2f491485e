"""A chain of stages: the order of processing as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._arrays import Array
from .._frameworks import draw_in_shell, in_kind_of
from ..errors import InvalidInputError
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
    """Drawn tokens and how probable they were.

    Attributes
    ----------
    token : (...) int64
        Token ids.
    logprob : (...) float32 or float64
        log softmax of the logits as they came, at the token.
    processed_logprob : (...) float32 or float64
        log softmax after all stages, at the token: the distribution that was drawn from.
    """

    token: Array
    logprob: Array
    processed_logprob: Array


@dataclass(frozen=True)
class Chain:
    """The stages that logits pass before a token is drawn, in order; it prints as what it does.

    Parameters
    ----------
    *stages : Stage
        In the order of processing: `Temperature(0.8)`, `TopK(40)`, and so on.

    See Also
    --------
    Chain.like : the order and the defaults of a known engine.
    Chain.standard : the order of `sample`.

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
        """The order and the defaults of an inference engine, with some options replaced.

        Parameters
        ----------
        engine : "transformers", "vllm", "llama.cpp", "sglang" or "mlx"
        **options
            Any of temperature, top_k, top_p, min_p, typical_p, top_n_sigma, repetition_penalty,
            presence_penalty, frequency_penalty, penalty_last_n, dry_multiplier, dry_base, dry_allowed_length,
            dry_penalty_last_n, dry_breakers, xtc_probability, xtc_threshold, repetition_context_size,
            presence_context_size, frequency_context_size that the engine knows. None switches one off (for
            the number of tokens that count: all do), and so does the value by which the engine does.

        Returns
        -------
        Chain

        Raises
        ------
        InvalidInputError
            For an unknown engine, or an option that the engine does not have.

        Notes
        -----
        The published orders, `presets.py` names the files:

        - transformers: bias, repetition penalty (prompt and answer), allowed, temperature, top-k 50, top-p,
          min-p, typical.
        - vllm: allowed, bias, penalties (repetition of prompt and answer, frequency and presence of the
          answer), temperature, min-p, top-k, top-p. A temperature between 0 and 0.01 is 0.01.
        - llama.cpp: bias, allowed, penalties and DRY over the last 64 tokens of prompt and answer,
          top-n-sigma, top-k 40, typical, top-p 0.95, min-p 0.05, XTC, temperature 0.8 last.
        - sglang: penalties (of the answer), allowed, bias, temperature, then top-p and top-k of the same
          distribution; with min-p, top-k, top-p and min-p one after the other.
        - mlx: bias, penalties over the last 20 tokens, top-p, min-p, XTC, top-k, temperature last. At
          temperature 0, its default, there are no filters: the argmax is taken after the penalties.

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
        """The order of `sample`: that of transformers, with top-n-sigma, which it lacks, before top-k.

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
        """The scores after all stages.

        Parameters are those of `sample`; `seed` and `position` are needed only where XTC is on.

        Returns
        -------
        scores : (..., V) float64, of the kind and on the device of `logits`
            -inf for a removed token. `softmaxlib.softmax` of it is the distribution to draw from.
        """
        key = self._key_of_coins(seed, position)
        call = prepare(self.stages, logits, history, prompt_length, bias, allowed, key)
        check_finite(call)
        scores = run(call)
        return in_kind_of(logits, scores.reshape(*call.shape, scores.shape[-1]))

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
        """Draw one token a row.

        The rows are the leading axes of the logits. All that is given by row (the stages' parameters,
        `seed`, `position`, `history`, `prompt_length`, and the leading axes of `bias` and `allowed`)
        broadcasts with them as NumPy's arrays do, and the result has the shape that comes out.

        Parameters
        ----------
        logits : (..., V) array
            Finite numbers; -inf for a token that is impossible.
        seed : int or array of int in [0, 2^64), numpy.random.Generator, or None
            One seed for several rows at one position: each row draws from a stream of its own, that of
            `row_seeds`. A seed per row is used as it is: the row's token then depends on its logits, seed and
            position alone, not on the batch. A Generator is asked for a fresh seed at each call; None is
            fresh and cannot be repeated.
        position : int or array of int in [0, 2^32)
            The number of the token in its sequence. A seed that comes without one draws the same token each
            time, with a warning. Positions a row under one seed must differ.
        history : sequence of token ids, or one sequence a row
            Prompt and answer so far, oldest first; needed where a penalty is on ([] for none). One sequence
            that is not nested counts for all rows.
        prompt_length : int or array of int
            How many tokens at the start of the history are the prompt.
        bias : {token id: number} or array that broadcasts to (..., V)
        allowed : bool array that broadcasts to (..., V), or int32 words (..., ceil(V / 32)), lowest bit first

        Returns
        -------
        Sample
            token, logprob, processed_logprob, each of shape (...), of the kind and on the device of `logits`.

        Raises
        ------
        InvalidInputError
            NaN, +inf or a row of -inf in the logits; a stage that leaves a row without a token (it is named);
            token ids out of range; a missing history; one seed and one position for rows that have their own.
            On a GPU, where nothing waits to look at the logits, such a row gives token -1 and NaN instead.

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
        """Return what each stage removed from one row and where the mass went.

        Parameters
        ----------
        logits : (V,) array
        names : list of V strings, optional
            What the tokens say.
        top : int
            How many of the most probable tokens to list after each stage.
        history, prompt_length, bias, allowed, seed, position
            As in `sample`.

        Returns
        -------
        Explanation
            Prints as a table; `.steps` has the numbers.

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
