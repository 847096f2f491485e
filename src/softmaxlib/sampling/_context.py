"""What belongs to one call and not to the chain: seeds, histories, bias, allowed tokens; checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy, foreign_namespace
from ..errors import InvalidInputError, UnsupportedTypeError
from ._elementary import Float64Array
from ._generator import LARGEST_VOCABULARY, UInt32Array, UInt64Array

Mask = npt.NDArray[np.bool_]
Bias = Array | Mapping[int, float]


@dataclass(frozen=True)
class Context:
    """One call's data, a row each.

    Attributes
    ----------
    seed, position : (rows,) arrays, or None
        Keys of the generator; None where nothing random is asked for.
    history : list of (n,) int64 arrays, or None
        Token ids so far, oldest first.
    prompt_length : (rows,) int64
        How many tokens at the start of each history are the prompt.
    bias : (rows or 1, V) float64, or None
    allowed : (rows or 1, V) bool, or None
    """

    seed: UInt64Array | None = None
    position: UInt32Array | None = None
    history: list[IntArray] | None = None
    prompt_length: IntArray | None = None
    bias: Float64Array | None = None
    allowed: Mask | None = None


def check_scores(logits: Array) -> npt.NDArray[Any]:
    """Logits (..., V) as float32 or float64: no NaN, no +inf, in each row something above -inf."""
    array = as_numpy(logits, "logits")
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    elif (array.dtype.kind == "f" and array.dtype.itemsize < 4) or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    elif array.dtype.kind != "f":
        raise UnsupportedTypeError(
            f"logits must be real numbers, got dtype {array.dtype}; convert with .astype(float)"
        )
    if array.ndim == 0 or array.shape[-1] == 0:
        raise InvalidInputError(
            f"logits must have shape (..., V) with at least one token, got shape {array.shape}"
        )
    if array.shape[-1] >= LARGEST_VOCABULARY:
        raise InvalidInputError(f"a vocabulary must be smaller than 2^31 tokens, got {array.shape[-1]}")
    kind = np.float64 if array.dtype.itemsize > 4 else np.float32
    return np.ascontiguousarray(array, dtype=kind).reshape(array.shape)


def check_finite_rows(rows: npt.NDArray[Any]) -> None:
    """Refuse NaN, +inf and rows of nothing but -inf, naming the place."""
    largest = rows.max(axis=-1)  # NaN if the row holds one
    wrong = ~np.isfinite(largest)
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    if largest[row] == -np.inf:
        raise InvalidInputError(
            f"logits must leave at least one token possible, got only -inf in row {row}; "
            "the model or a mask applied before removed every token"
        )
    bad = ~(rows[row] < np.inf)
    column = int(np.flatnonzero(bad)[0])
    raise InvalidInputError(
        f"logits must be finite or -inf, got {rows[row, column]} at row {row}, token {column}; "
        "the model's output is broken there"
    )


def check_seed(seed: Array) -> UInt64Array:
    """Seeds: whole numbers from 0 to 2^64 - 1."""
    return _whole_numbers(seed, "seed", 2**64 - 1).astype(np.uint64)


def check_position(position: Array) -> UInt32Array:
    """Positions: whole numbers from 0 to 2^32 - 1."""
    return _whole_numbers(position, "position", 2**32 - 1).astype(np.uint32)


def _whole_numbers(values: Array, name: str, largest: int) -> npt.NDArray[Any]:
    array = as_numpy(values, name)
    if array.dtype.kind not in "iuO" or (array.dtype.kind == "O" and not _all_int(array)):
        raise UnsupportedTypeError(
            f"{name} must be a whole number or an array of them, got dtype {array.dtype}"
        )
    outside = (array < 0) | (array > largest)
    if np.any(outside):
        wrong = np.argwhere(outside)[0]
        place = f" in row {int(wrong[0])}" if array.ndim else ""
        raise InvalidInputError(f"{name} must lie in 0 to {largest}, got {array[tuple(wrong)]}{place}")
    return array


def _all_int(array: npt.NDArray[Any]) -> bool:
    return all(isinstance(value, int) for value in array.ravel())


def check_tokens(tokens: Array, vocabulary: int, name: str, row: int) -> IntArray:
    """Token ids (n,) in [0, V), as int64."""
    array = as_numpy(tokens, name)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UnsupportedTypeError(
            f"{name} must be a sequence of whole token ids, got shape {array.shape} and dtype "
            f"{array.dtype} in row {row}"
        )
    outside = (array < 0) | (array >= vocabulary)
    if outside.any():
        index = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"token ids in {name} must lie in 0 to {vocabulary - 1}, got {array[index]} in row {row}, "
            f"entry {index}"
        )
    return array.astype(np.int64)


def check_history(history: Array, rows: int, vocabulary: int) -> list[IntArray]:
    """One sequence of token ids a row; a flat sequence is the history of a single row."""
    if foreign_namespace(history) is not None:
        history = as_numpy(history, "history")
    if hasattr(history, "tolist"):
        history = history.tolist()
    nested = len(history) > 0 and hasattr(history[0], "__len__")
    sequences = list(history) if nested else [history]
    if len(sequences) != rows:
        raise InvalidInputError(
            f"history must have one sequence of token ids a row ({rows}), got {len(sequences)}"
        )
    return [check_tokens(tokens, vocabulary, "history", row) for row, tokens in enumerate(sequences)]


def check_bias(bias: Bias, shape: tuple[int, ...]) -> Float64Array:
    """Numbers to add to the logits, broadcast to (..., V), or {token id: number} for all rows."""
    vocabulary = shape[-1]
    if isinstance(bias, Mapping):
        tokens = check_tokens(list(bias), vocabulary, "bias", 0)
        array = np.zeros(vocabulary)
        array[tokens] = np.asarray(list(bias.values()), dtype=np.float64)
    else:
        array = as_numpy(bias, "bias").astype(np.float64)
    array = _rows_of(array, shape, "bias")
    wrong = ~(array < np.inf)
    if wrong.any():
        row, token = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"bias must be finite, or -inf to forbid a token, got {array[row, token]} at row {row}, "
            f"token {token}"
        )
    return array


def check_allowed(allowed: Array, shape: tuple[int, ...]) -> Mask:
    """Which tokens are allowed: bool (..., V), or int32 (..., ceil(V / 32)), lowest bit first; as bool."""
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
            f"{name} must have one entry a token, shape (..., {shape[-1]}), got shape {array.shape}"
        )
    if array.ndim == 1:
        return array[None, :]
    try:
        return np.broadcast_to(array, shape).reshape(-1, shape[-1])
    except ValueError:
        raise InvalidInputError(
            f"{name} must broadcast to the logits' shape {shape}, got shape {array.shape}"
        ) from None
