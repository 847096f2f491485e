"""The stages that read the history: penalties for earlier tokens."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .._arrays import IntArray
from .._checks import check_flag, check_sequence
from .._text import shortened, written_integer
from ..errors import InvalidInputError, UnsupportedTypeError
from . import penalties
from ._context import Context
from ._elementary import Float64Array
from ._integers import whole_numbers
from .stages import Parameter, Stage, check_parameter, column, held


@dataclass(frozen=True, eq=False)
class Penalty(Stage):
    """A stage that reads the history.

    Parameters
    ----------
    penalty : float or (rows,) array
        The strength.
    window : int or None
        Only the last `window` tokens count. None means all.
    include_prompt : bool
        Whether tokens of the prompt count.
    """

    penalty: Parameter = None
    window: int | None = None
    include_prompt: bool = True
    needs_history: ClassVar[bool] = True
    neutral: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        check_parameter(self, "penalty", self.penalty, np.isfinite, "a finite number")
        check_window(self, self.window)
        include_prompt = check_flag(self.include_prompt, f"{type(self).__name__}: include_prompt")
        object.__setattr__(self, "include_prompt", include_prompt)

    @property
    def is_off(self) -> bool:
        """True if the penalty is neutral or no token counts."""
        neutral = self.penalty is None or bool(np.all(np.asarray(self.penalty) == self.neutral))
        return neutral or self.window == 0

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """Penalize each row by its history."""
        strength = column(self.penalty, scores)[:, 0]
        changed = np.empty_like(scores)
        with np.errstate(over="ignore"):
            for index, row in enumerate(scores):
                seen = _seen(context, index, self.window, self.include_prompt)
                changed[index] = self.penalize(row, seen, float(strength[index]))
        return held(changed, scores)

    def penalize(self, scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
        """Return the new scores of one row."""
        raise NotImplementedError


def _seen(context: Context, row: int, window: int | None, include_prompt: bool) -> IntArray:
    assert context.history is not None  # the chain has checked it
    history = context.history[row]
    if not include_prompt and context.prompt_length is not None:
        history = history[context.prompt_length[row] :]
    return history if window is None else history[max(len(history) - window, 0) :]


def check_window(stage: Stage, window: int | None) -> None:
    """Store the number of tokens that count as a Python integer."""
    try:
        number = None if window is None else int(whole_numbers(window, "window", 2**63 - 1))
    except (InvalidInputError, UnsupportedTypeError, TypeError):
        raise InvalidInputError(
            f"{type(stage).__name__}: window must be a whole number, 0 or more, got "
            f"{written_integer(window) if isinstance(window, int) else shortened(repr(window), 200)}"
        ) from None
    object.__setattr__(stage, "window", number)


@dataclass(frozen=True, eq=False)
class RepetitionPenalty(Penalty):
    """Divide positive scores of tokens in the history by the penalty, and multiply negative ones.

    Parameters
    ----------
    penalty : float or array, shape (rows,), optional
        Above 0. None or 1 changes nothing.
    window : int, optional
        Only the last `window` tokens count. None means all.
    include_prompt : bool, default True
        Whether tokens of the prompt count.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    References
    ----------
    Keskar, McCann, Varshney, Xiong & Socher, "CTRL: a conditional transformer language model for controllable
    generation" (2019).

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, RepetitionPenalty
    >>> Chain(RepetitionPenalty(2.0)).process([2.0, 1.0, -1.0], history=[0, 0, 2])
    array([ 1.,  1., -2.])
    """

    neutral: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_parameter(self, "penalty", self.penalty, lambda p: p > 0, "a number above 0")

    def penalize(self, scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
        """See `penalties.repetition`."""
        return penalties.repetition(scores, history, penalty)


@dataclass(frozen=True, eq=False)
class PresencePenalty(Penalty):
    """Subtract the penalty once from the score of each token in the history.

    Parameters
    ----------
    penalty : float or array, shape (rows,), optional
        Any finite number. None or 0 changes nothing.
    window : int, optional
        Only the last `window` tokens count. None means all.
    include_prompt : bool, default True
        Whether tokens of the prompt count.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, PresencePenalty
    >>> Chain(PresencePenalty(0.5)).process([2.0, 1.0, -1.0], history=[0, 0, 2])
    array([ 1.5,  1. , -1.5])
    """

    def penalize(self, scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
        """See `penalties.presence`."""
        return penalties.presence(scores, history, penalty)


@dataclass(frozen=True, eq=False)
class FrequencyPenalty(Penalty):
    """Subtract the penalty from a token's score as often as it occurs in the history.

    Parameters
    ----------
    penalty : float or array, shape (rows,), optional
        Any finite number. None or 0 changes nothing.
    window : int, optional
        Only the last `window` tokens count. None means all.
    include_prompt : bool, default True
        Whether tokens of the prompt count.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, FrequencyPenalty
    >>> Chain(FrequencyPenalty(0.5)).process([2.0, 1.0, -1.0], history=[0, 0, 2])
    array([ 1. ,  1. , -1.5])
    """

    def penalize(self, scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
        """See `penalties.frequency`."""
        return penalties.frequency(scores, history, penalty)


@dataclass(frozen=True, eq=False)
class DontRepeatYourself(Stage):
    """DRY: penalize tokens that would continue a repetition, exponentially in its length.

    Parameters
    ----------
    multiplier : float or None
        Subtracted from a token that continues a repetition of `allowed_length` tokens. None or 0 means off.
    base : float
        The factor per additional token.
    allowed_length : int, or (rows,) array, as multiplier and base may be
        The shortest repetition that is penalized.
    window : int or None
        Only the last `window` tokens count. None means all.
    breakers : sequence of token ids
        Tokens that end a repetition, and are never penalized.
    """

    multiplier: Parameter = None
    base: Parameter = 1.75
    allowed_length: Parameter = 2
    window: int | None = None
    breakers: tuple[int, ...] = field(default=())
    needs_history: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_parameter(
            self, "multiplier", self.multiplier, lambda m: np.isfinite(m) & (m >= 0), "finite, 0 or more"
        )
        check_parameter(self, "base", self.base, lambda b: np.isfinite(b) & (b >= 1), "a number, 1 or more")
        check_parameter(
            self,
            "allowed_length",
            self.allowed_length,
            lambda n: (n >= 1) & (np.mod(n, 1) == 0),
            "a whole number, 1 or more",
        )
        check_window(self, self.window)
        name = "DontRepeatYourself: breakers"
        given = check_sequence(self.breakers, name, "token ids")
        breakers = whole_numbers(given, name, 2**63 - 1, ", entry {}".format)
        if breakers.ndim != 1:
            raise InvalidInputError(f"{name} must be one sequence of token ids, got shape {breakers.shape}")
        object.__setattr__(self, "breakers", tuple(breakers.tolist()))

    @property
    def is_off(self) -> bool:
        """True if the multiplier is 0 or no token counts."""
        return self.multiplier is None or not np.any(np.asarray(self.multiplier) > 0) or self.window == 0

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """See `penalties.dry`."""
        self._check_breakers(scores.shape[-1])
        multiplier, base = column(self.multiplier, scores)[:, 0], column(self.base, scores)[:, 0]
        allowed_length = column(self.allowed_length, scores)[:, 0]
        changed = scores.copy()
        for index in np.flatnonzero(multiplier > 0).tolist():
            history = _seen(context, index, self.window, include_prompt=True)
            if len(history):
                changed[index] = penalties.dry(
                    scores[index],
                    history,
                    float(multiplier[index]),
                    float(base[index]),
                    float(allowed_length[index]),
                    self.breakers,
                )
        return held(changed, scores)

    def _check_breakers(self, vocabulary: int) -> None:
        outside = [token for token in self.breakers if not 0 <= token < vocabulary]
        if outside:
            raise InvalidInputError(
                f"DontRepeatYourself: breakers must be token ids in 0 to {vocabulary - 1}, got {outside[0]}"
            )
