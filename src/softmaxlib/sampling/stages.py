"""The stages of a chain. Each is a printable object with a function from scores to scores.

Scores are (rows, V) float64, and -inf marks a removed token. A parameter is one number, or an array with one
per row. None as the first parameter switches a stage off. It stays in the chain, so that the order is
visible.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray, as_numpy
from .._checks import check_real
from .._text import shortened
from ..errors import InvalidInputError, UnsupportedTypeError
from . import filters
from ._context import Context
from ._elementary import Float64Array
from ._generator import coin

Parameter = Any
REMOVED = -np.inf


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a chain.

    Subclasses are frozen dataclasses of their parameters and define `change`.
    """

    needs_history: ClassVar[bool] = False
    draws: ClassVar[bool] = False

    @property
    def is_off(self) -> bool:
        """True if the stage never changes anything."""
        return getattr(self, fields(self)[0].name) is None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            np.array_equal(getattr(self, item.name), getattr(other, item.name)) for item in fields(self)
        )

    def __hash__(self) -> int:
        """Hash the numbers as floats, because stages with 5 and 5.0 are equal."""
        values = [getattr(self, item.name) for item in fields(self)]
        numbers = [value for value in values if isinstance(value, (int, float, np.ndarray))]
        return hash((type(self), *(tuple(np.ravel(number).astype(float).tolist()) for number in numbers)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied stage. Pickled arrays of NumPy come back writeable."""
        for name, value in state.items():
            object.__setattr__(self, name, _frozen(value) if isinstance(value, np.ndarray) else value)

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """Return the scores after this stage."""
        raise NotImplementedError

    def spread(self, rows: tuple[int, ...]) -> "Stage":
        """Return the stage with one entry per row in each array parameter."""
        return self._with_arrays(lambda array: np.broadcast_to(array, rows).ravel())

    def take(self, rows: slice | IntArray) -> "Stage":
        """Return a spread stage for some of the rows."""
        return self._with_arrays(lambda array: array[rows])

    def _with_arrays(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> "Stage":
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        arrays = {name: change(value) for name, value in values.items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays) if arrays else self

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the array parameters, which have one entry per row, by name."""
        values = {f"{type(self).__name__}: {item.name}": getattr(self, item.name) for item in fields(self)}
        return {name: value.shape for name, value in values.items() if isinstance(value, np.ndarray)}


def column(value: Parameter, scores: Float64Array, kind: type = np.float64) -> npt.NDArray[Any]:
    """Return a parameter as one number per row, (rows, 1)."""
    return np.broadcast_to(np.asarray(value, dtype=kind).ravel()[:, None], (len(scores), 1))


def held(scores: Float64Array, before: Float64Array) -> Float64Array:
    """Replace overflowed scores by the largest number, so that only removed tokens are -inf."""
    limit = np.finfo(np.float64).max
    return np.where(before == REMOVED, REMOVED, np.clip(scores, -limit, limit))


def check_parameter(
    stage: Stage,
    name: str,
    value: Parameter,
    valid: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]],
    rule: str,
) -> None:
    """Check each entry of `value` against the rule, and store it as a Python number or a read-only copy.

    None is for the first parameter alone, which switches the stage off.
    """
    switch = fields(stage)[0].name
    if value is None and name == switch:
        return
    if value is None:
        raise UnsupportedTypeError(
            f"{type(stage).__name__}: {name} must be {rule}, got None; {switch}=None switches the stage off"
        )
    array = as_real(value, name)
    if array.dtype.kind == "O" and array.ndim == 0 and isinstance(value, int):
        array = np.asarray(check_real(value, name))  # an integer beyond 64 bits
    if array.dtype.kind not in "iuf":
        raise UnsupportedTypeError(
            f"{type(stage).__name__}: {name} must be {rule}, got {shortened(repr(value), 200)}"
        )
    wrong = ~valid(array)
    if np.any(wrong):
        first = np.argwhere(wrong)[0]
        place = f" in row {np.ravel_multi_index(tuple(first), array.shape)}" if array.ndim else ""
        raise InvalidInputError(
            f"{type(stage).__name__}: {name} must be {rule}, got {array[tuple(first)]}{place}"
        )
    object.__setattr__(stage, name, _frozen(array) if array.ndim else array.item())


def as_real(value: Parameter, name: str) -> npt.NDArray[Any]:
    """Convert a parameter to an array. bfloat16, which NumPy does not count as a number, becomes float64.

    A list with True among its numbers becomes an array of objects, which no stage takes: NumPy would read 1.
    """
    array = as_numpy(value, name)
    if isinstance(value, (list, tuple)):
        entries = np.array(value, dtype=object)
        if any(isinstance(entry, (bool, np.bool_)) for entry in entries.flat):
            return entries
    return array.astype(np.float64) if array.dtype.name == "bfloat16" else array


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a copy that nobody else holds and nobody can write to."""
    own = np.array(array)
    own.flags.writeable = False
    return own


@dataclass(frozen=True, eq=False)
class Bias(Stage):
    """Add the call's `bias` to the scores."""

    @property
    def is_off(self) -> bool:
        """False: the bias comes with the call."""
        return False

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """Return scores plus bias."""
        if context.bias is None:
            return scores
        with np.errstate(over="ignore"):
            changed = scores + context.bias
        return held(changed, np.minimum(scores, context.bias))


@dataclass(frozen=True, eq=False)
class Allowed(Stage):
    """Remove the tokens that the call's `allowed` mask does not contain."""

    @property
    def is_off(self) -> bool:
        """False: the mask comes with the call."""
        return False

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """Set scores to -inf where not allowed."""
        return scores if context.allowed is None else np.where(context.allowed, scores, REMOVED)


@dataclass(frozen=True, eq=False)
class Temperature(Stage):
    """Divide the scores by the temperature.

    A temperature above 1 makes the probabilities more equal, one below 1 less equal. 0 keeps only the largest
    score, with the lowest token id among equals.

    Parameters
    ----------
    temperature : float or array, shape (rows,), default 1
        0 or more. None changes nothing.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, Temperature
    >>> Chain(Temperature(0.5)).process([2.0, 1.0, 0.5])
    array([4., 2., 1.])
    """

    temperature: Parameter = 1.0

    def __post_init__(self) -> None:
        check_parameter(
            self,
            "temperature",
            self.temperature,
            lambda t: np.isfinite(t) & (t >= 0),
            "a finite number, 0 or more",
        )

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """Return scores / temperature."""
        temperature = column(self.temperature, scores)
        greedy = np.flatnonzero(temperature[:, 0] == 0)
        with np.errstate(over="ignore"):
            divided = scores / np.where(temperature > 0, temperature, 1.0)
        removed = scores == REMOVED
        beyond = np.flatnonzero((np.isinf(divided) & ~removed).any(axis=-1))
        if len(beyond):
            divided[beyond] = _divide_differences(scores[beyond], temperature[beyond])
        best = scores[greedy].argmax(axis=-1)
        divided[greedy] = REMOVED
        divided[greedy, best] = scores[greedy, best]
        return divided


def _divide_differences(scores: Float64Array, temperature: Float64Array) -> Float64Array:
    """Return the scores of rows in which scores / temperature overflows: the largest is 0, in the same
    order."""
    with np.errstate(over="ignore"):
        divided = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    return held(divided, scores)


class Filter(Stage):
    """A stage that removes tokens and leaves the other scores as they are."""

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """Set scores to -inf where the filter does not keep them."""
        return np.where(self.keep(scores), scores, REMOVED)

    def keep(self, scores: Float64Array) -> npt.NDArray[np.bool_]:
        """Return the mask of the tokens to keep."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class TopK(Filter):
    """Keep the k largest scores.

    Scores that equal the k-th are kept too.

    Parameters
    ----------
    k : int or array, shape (rows,), optional
        1 or more. None keeps all tokens.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    References
    ----------
    Fan, Lewis & Dauphin, "Hierarchical neural story generation" (ACL 2018).

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, TopK
    >>> steps = Chain(TopK(2)).explain([2.0, 1.0, 0.5, -3.0]).steps
    >>> steps[-1].left
    2
    """

    k: Parameter = None

    def __post_init__(self) -> None:
        check_parameter(
            self, "k", self.k, lambda k: (k >= 1) & (np.mod(k, 1) == 0), "a whole number, 1 or more"
        )

    def keep(self, scores: Float64Array) -> npt.NDArray[np.bool_]:
        """See `filters.keep_top_k`."""
        k = np.minimum(column(self.k, scores, np.float64), scores.shape[-1])
        return filters.keep_top_k(scores, k.astype(np.int64))


@dataclass(frozen=True, eq=False)
class TopP(Filter):
    """Keep the most probable tokens, as few as possible, whose probabilities sum to at least p.

    This is nucleus sampling. Of tokens that tie at the border, those with lower ids are removed first.

    Parameters
    ----------
    p : float or array, shape (rows,), optional
        Above 0 and at most 1. None or 1 keeps all tokens.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    References
    ----------
    Holtzman, Buys, Du, Forbes & Choi, "The curious case of neural text degeneration" (ICLR 2020).

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, TopP
    >>> steps = Chain(TopP(0.9)).explain([2.0, 1.0, 0.5, -3.0]).steps
    >>> steps[-1].left
    3
    """

    p: Parameter = None

    def __post_init__(self) -> None:
        check_parameter(self, "p", self.p, lambda p: (p > 0) & (p <= 1), "above 0 and at most 1")

    def keep(self, scores: Float64Array) -> npt.NDArray[np.bool_]:
        """See `filters.keep_top_p`."""
        return filters.keep_top_p(scores, column(self.p, scores))


@dataclass(frozen=True, eq=False)
class MinP(Filter):
    """Keep tokens at least p times as probable as the most probable one.

    Parameters
    ----------
    p : float or array, shape (rows,), optional
        From 0 to 1. None or 0 keeps all tokens.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    References
    ----------
    Nguyen et al., "Turning up the heat: min-p sampling for creative and coherent LLM outputs" (ICLR 2025).

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, MinP
    >>> steps = Chain(MinP(0.3)).explain([2.0, 1.0, 0.5, -3.0]).steps
    >>> steps[-1].left
    2
    """

    p: Parameter = None

    def __post_init__(self) -> None:
        check_parameter(self, "p", self.p, lambda p: (p >= 0) & (p <= 1), "from 0 to 1")

    def keep(self, scores: Float64Array) -> npt.NDArray[np.bool_]:
        """See `filters.keep_min_p`."""
        return filters.keep_min_p(scores, column(self.p, scores))


@dataclass(frozen=True, eq=False)
class TypicalP(Filter):
    """Keep the tokens whose surprise is nearest to the expected surprise, until their probabilities sum to p.

    The surprise of a token is ``-log(probability)``. Its expectation is the entropy of the row. Tokens as
    near as the last one are kept.

    Parameters
    ----------
    p : float or array, shape (rows,), optional
        Above 0 and at most 1. None or 1 keeps all tokens.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    References
    ----------
    Meister, Pimentel, Wiher & Cotterell, "Locally typical sampling" (TACL 2023).

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, TypicalP
    >>> steps = Chain(TypicalP(0.8)).explain([2.0, 1.0, 0.5, -3.0]).steps
    >>> steps[-1].left
    2
    """

    p: Parameter = None

    def __post_init__(self) -> None:
        check_parameter(self, "p", self.p, lambda p: (p > 0) & (p <= 1), "above 0 and at most 1")

    def keep(self, scores: Float64Array) -> npt.NDArray[np.bool_]:
        """See `filters.keep_typical_p`."""
        return filters.keep_typical_p(scores, column(self.p, scores))


@dataclass(frozen=True, eq=False)
class TopNSigma(Filter):
    """Keep scores within n standard deviations of the largest.

    The standard deviation is that of the scores that earlier stages have left.

    Parameters
    ----------
    n : float or array, shape (rows,), optional
        Finite and above 0. None keeps all tokens.

    Raises
    ------
    InvalidInputError
        If a number is out of range.

    References
    ----------
    Tang et al., "Top-nsigma: not all logits are you need" (ACL 2025).

    Examples
    --------
    >>> from softmaxlib.sampling import Chain, TopNSigma
    >>> steps = Chain(TopNSigma(1.0)).explain([2.0, 1.0, 0.5, -3.0]).steps
    >>> steps[-1].left
    3
    """

    n: Parameter = None

    def __post_init__(self) -> None:
        check_parameter(self, "n", self.n, lambda n: np.isfinite(n) & (n > 0), "a finite number above 0")

    def keep(self, scores: Float64Array) -> npt.NDArray[np.bool_]:
        """See `filters.keep_top_n_sigma`."""
        return filters.keep_top_n_sigma(scores, column(self.n, scores))


@dataclass(frozen=True, eq=False)
class ExcludeTopChoices(Stage):
    """Remove the most probable tokens with a given probability (XTC).

    Of the tokens that reach the threshold, all but the least probable are removed. The coin is drawn from the
    seed and position of the call, independently of the noise of tokens.

    Parameters
    ----------
    probability : float or array, shape (rows,), optional
        From 0 to 1. None or 0 removes nothing.
    threshold : float or array, shape (rows,), default 0.1
        From 0 to 1: the probability that makes a token a top choice.

    Raises
    ------
    InvalidInputError
        If a number is out of range.
    """

    probability: Parameter = None
    threshold: Parameter = 0.1
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_parameter(self, "probability", self.probability, lambda p: (p >= 0) & (p <= 1), "from 0 to 1")
        check_parameter(self, "threshold", self.threshold, lambda t: (t >= 0) & (t <= 1), "from 0 to 1")

    @property
    def is_off(self) -> bool:
        """True if the probability is 0."""
        return self.probability is None or not np.any(np.asarray(self.probability) > 0)

    def change(self, scores: Float64Array, context: Context) -> Float64Array:
        """See `filters.keep_after_xtc`."""
        if context.seed is None or context.position is None:
            raise InvalidInputError("ExcludeTopChoices throws a coin: pass seed (and position)")
        applies = coin(context.seed, context.position) < column(self.probability, scores)[:, 0]
        keep = filters.keep_after_xtc(scores, column(self.threshold, scores)) | ~applies[:, None]
        return np.where(keep, scores, REMOVED)
