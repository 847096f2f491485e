"""The token ids so far: one sequence for all rows, or one per row, of any lengths."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .._arrays import Array, IntArray, as_numpy, foreign_namespace
from ..errors import InvalidInputError, UnsupportedTypeError
from ._integers import whole_numbers


class History(NamedTuple):
    """Sequences of token ids, oldest first.

    Attributes
    ----------
    shape : tuple of int
        () for one sequence, (rows,) for one per row, and so on.
    sequences : list of (n,) arrays
        In C order.
    """

    shape: tuple[int, ...]
    sequences: list[Array]

    def spread(self, rows: tuple[int, ...]) -> list[IntArray]:
        """Return one sequence per row, for a shape of rows to which the history broadcasts."""
        index = np.arange(len(self.sequences)).reshape(self.shape)
        return [self.sequences[i] for i in np.broadcast_to(index, rows).ravel()]


def check_history(history: Array, vocabulary: int) -> History:
    """Check every token id; `vocabulary` is the number of tokens."""
    nested = _nest(history)
    return History(
        nested.shape,
        [check_tokens(tokens, vocabulary, "history", row) for row, tokens in enumerate(nested.sequences)],
    )


def check_tokens(tokens: Array, vocabulary: int, name: str, row: int) -> IntArray:
    """Return token ids (n,) in [0, V), as int64."""
    array = as_numpy(tokens, name)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    place = f" in row {row}, entry {{}}".format
    if array.ndim != 1:
        raise UnsupportedTypeError(
            f"{name} must be a sequence of token ids, got shape {array.shape} in row {row}"
        )
    return whole_numbers(tokens, f"token ids in {name}", vocabulary - 1, place)


def _nest(history: Array) -> History:
    """Return the shape of the rows, and their sequences as given."""
    if foreign_namespace(history) is not None or isinstance(history, np.ndarray):
        array = as_numpy(history, "history")
        if array.ndim and array.dtype.kind != "O":
            count = int(np.prod(array.shape[:-1]))
            return History(array.shape[:-1], list(array.reshape(count, array.shape[-1])))
        history = array.tolist()
    if isinstance(history, (str, bytes)) or not isinstance(history, Iterable):
        raise UnsupportedTypeError(
            f"history must be a sequence of token ids, or one per row, got {history!r}; "
            "[] where there are none"
        )
    items = list(history)
    if not any(_is_sequence(item) for item in items):
        return History((), [items])
    parts = [_nest(item) for item in items]
    if len({part.shape for part in parts}) > 1:
        raise InvalidInputError(
            "history must be one sequence of token ids for all rows, or one per row, not nested in both ways"
        )
    return History((len(items), *parts[0].shape), [tokens for part in parts for tokens in part.sequences])


def _is_sequence(item: Array) -> bool:
    if foreign_namespace(item) is not None or isinstance(item, np.ndarray):
        return item.ndim > 0
    return isinstance(item, Iterable)
