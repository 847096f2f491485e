"""The data of one call that are not part of the chain: keys, histories, bias, allowed tokens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy
from .._checks import as_float_array
from ..errors import InvalidInputError, UnsupportedTypeError
from ._elementary import Float64Array
from ._generator import LARGEST_VOCABULARY, UInt32Array, UInt64Array
from ._history import check_tokens

Mask = npt.NDArray[np.bool_]
Bias = Array | Mapping[int, float]


@dataclass(frozen=True)
class Context:
    """The data of one call, per row.

    Attributes
    ----------
    seed, position : (rows,) arrays, or None
        Keys of the generator, or None if nothing is random.
    history : list of (n,) int64 arrays, or None
        Token ids so far, oldest first.
    prompt_length : (rows,) int64
        Number of tokens at the start of each history that are the prompt.
    bias : (rows or 1, V) float64, or None
    allowed : (rows or 1, V) bool, or None
    """

    seed: UInt64Array | None = None
    position: UInt32Array | None = None
    history: list[IntArray] | None = None
    prompt_length: IntArray | None = None
    bias: Float64Array | None = None
    allowed: Mask | None = None

    def take(self, rows: slice | IntArray) -> "Context":
        """Return the data of some of the rows."""
        history = self.history
        if history is not None:
            history = history[rows] if isinstance(rows, slice) else [history[row] for row in rows]
        return Context(
            seed=None if self.seed is None else self.seed[rows],
            position=None if self.position is None else self.position[rows],
            history=history,
            prompt_length=None if self.prompt_length is None else self.prompt_length[rows],
            bias=_of_rows(self.bias, rows),
            allowed=_of_rows(self.allowed, rows),
        )


def _of_rows(array: npt.NDArray[Any] | None, rows: slice | IntArray) -> npt.NDArray[Any] | None:
    """Return the entries (rows, V) of some rows. One entry (1, V) applies to all rows."""
    return array if array is None or len(array) == 1 else array[rows]


def check_scores(logits: Array) -> npt.NDArray[Any]:
    """Check logits (..., V), and return them as float32 or float64."""
    array = as_float_array(logits, "logits")
    if array.ndim == 0 or array.shape[-1] == 0:
        raise InvalidInputError(
            f"logits must have shape (..., V) with at least one token, got shape {array.shape}"
        )
    if array.shape[-1] >= LARGEST_VOCABULARY:
        raise InvalidInputError(f"a vocabulary must be smaller than 2^31 tokens, got {array.shape[-1]}")
    kind = np.float64 if array.dtype.itemsize > 4 else np.float32
    return np.ascontiguousarray(array, dtype=kind).reshape(array.shape)


def check_finite_rows(rows: npt.NDArray[Any], name: str, place: Callable[[int], str]) -> None:
    """Reject NaN, +inf and rows that are all -inf. The message names the place."""
    largest = rows.max(axis=-1)  # NaN if the row contains NaN
    wrong = ~np.isfinite(largest)
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    if largest[row] == -np.inf:
        raise InvalidInputError(
            f"{name} must leave at least one token possible, got only -inf in {place(row)}; "
            "the model or a mask applied before removed every token"
        )
    bad = ~(rows[row] < np.inf)
    column = int(np.flatnonzero(bad)[0])
    raise InvalidInputError(
        f"{name} must be finite or -inf, got {rows[row, column]} at {place(row)}, token {column}; "
        "the model's output is broken there"
    )


def check_bias(bias: Bias, shape: tuple[int, ...]) -> Float64Array:
    """Return numbers to add to the logits, from an array or from {token id: number} for all rows."""
    vocabulary = shape[-1]
    if isinstance(bias, Mapping):
        tokens = check_tokens(list(bias), vocabulary, "bias", 0)
        numbers = _real(list(bias.values()))
        if numbers.ndim != 1:
            raise InvalidInputError(
                f"bias must map each token id to one number, got values of shape {numbers.shape[1:]}; for "
                f"numbers per row pass an array (..., {vocabulary})"
            )
        array = np.zeros(vocabulary)
        array[tokens] = numbers
    else:
        array = _real(bias)
    array = _rows_of(array, shape, "bias")
    wrong = ~(array < np.inf)
    if wrong.any():
        row, token = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"bias must be finite, or -inf to forbid a token, got {array[row, token]} at row {row}, "
            f"token {token}"
        )
    return array


def _real(bias: Array) -> Float64Array:
    array = as_numpy(bias, "bias")
    if array.size and array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise UnsupportedTypeError(f"bias must hold real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def check_allowed(allowed: Array, shape: tuple[int, ...]) -> Mask:
    """Return allowed tokens as bool, from bool (..., V) or int32 (..., ceil(V / 32)), lowest bit first."""
    array = as_numpy(allowed, "allowed")
    vocabulary = shape[-1]
    words = -(-vocabulary // 32)
    if array.dtype in (np.int32, np.uint32) and array.ndim and array.shape[-1] == words:
        octets = np.ascontiguousarray(array).astype("<u4").view(np.uint8)
        array = np.unpackbits(octets, axis=-1, bitorder="little")[..., :vocabulary].astype(bool)
    if array.dtype != np.bool_:
        raise UnsupportedTypeError(
            f"allowed must be a mask of bool (..., {vocabulary}) or of int32 words (..., {words}), "
            f"got shape {array.shape} and dtype {array.dtype}; from token ids: mask = "
            f"np.zeros({vocabulary}, bool); "
            "mask[ids] = True"
        )
    return _rows_of(array, shape, "allowed")


def _rows_of(array: npt.NDArray[Any], shape: tuple[int, ...], name: str) -> npt.NDArray[Any]:
    if array.ndim == 0 or array.shape[-1] != shape[-1]:
        raise InvalidInputError(
            f"{name} must have one entry per token, shape (..., {shape[-1]}), got shape {array.shape}"
        )
    if array.ndim == 1:
        return array[None, :]
    try:
        return np.broadcast_to(array, shape).reshape(-1, shape[-1])
    except ValueError:
        raise InvalidInputError(
            f"{name} must broadcast to the logits' shape {shape}, got shape {array.shape}"
        ) from None


def check_prompt(context: Context) -> None:
    """Reject a prompt that is longer than its history."""
    if context.history is None or context.prompt_length is None:
        return
    total = np.array([len(tokens) for tokens in context.history], dtype=np.int64)
    wrong = np.flatnonzero(context.prompt_length > total)
    if len(wrong):
        row = int(wrong[0])
        raise InvalidInputError(
            f"prompt_length must be at most the length of the history ({total[row]}), got "
            f"{context.prompt_length[row]} in row {row}"
        )
