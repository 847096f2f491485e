"""The key of each draw: its seed and its position.

One rule:

- No seed, or a NumPy Generator: a fresh seed per call, which is the next 64 bits of the Generator.
- One seed for several rows at one position: the first row uses the seed itself, and the others use seeds
  derived from it and the row number (`row_seeds`).
- A seed per row, or a position per row: (seed, position) are used as given. The draw of a row then depends on
  nothing else in the batch. Repeated positions with one seed are rejected.
"""

import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._checks import check_integer
from ..errors import InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError
from ._generator import UInt32Array, UInt64Array, row_key
from ._integers import whole_numbers

Shape = tuple[int, ...]


class Key(NamedTuple):
    """Seeds and positions as given, each with its own shape."""

    seed: UInt64Array
    position: UInt32Array


class Keys(NamedTuple):
    """One key per draw.

    Attributes
    ----------
    shape : tuple of int
        The shape of the draws: rows broadcast with seeds and positions.
    seed, position : (draws,) arrays
    """

    shape: Shape
    seed: UInt64Array
    position: UInt32Array


def check_key(seed: Array | np.random.Generator | None, position: Array | None) -> Key:
    """Check seeds (below 2^64) and positions (below 2^32), and draw a missing seed.

    Warns if an integer seed comes without a position, because such a call always draws the same token.
    """
    if seed is None or isinstance(seed, np.random.Generator):
        seeds = _fresh(seed)
    elif isinstance(seed, (np.random.RandomState, np.random.SeedSequence, np.random.BitGenerator)):
        raise UnsupportedTypeError(
            f"seed must be whole numbers or a numpy.random.Generator, got {type(seed).__name__}; "
            "numpy.random.default_rng takes it"
        )
    else:
        seeds = whole_numbers(seed, "seed", 2**64 - 1)
        if position is None:
            _warn_of_repetition()
    positions = whole_numbers(0 if position is None else position, "position", 2**32 - 1)
    return Key(seeds, positions.astype(np.uint32))


def spread(key: Key, rows: Shape) -> Keys:
    """Return one key per draw from rows of this shape."""
    seed, position = key
    try:
        shape = np.broadcast_shapes(rows, seed.shape, position.shape)
    except ValueError:
        raise InvalidInputError(
            f"seed and position must be one number or one per row; their shapes {seed.shape} and "
            f"{position.shape} do not broadcast to the rows {rows}"
        ) from None
    seeds, positions = _padded(seed, shape), _padded(position, shape)
    shares_seed = [own == 1 < length for own, length in zip(seeds.shape, shape, strict=True)]
    _check_distinct(positions, shares_seed)
    shares_key = [shared and own == 1 for shared, own in zip(shares_seed, positions.shape, strict=True)]
    if any(shares_key):
        lengths = [length if shared else 1 for length, shared in zip(shape, shares_key, strict=True)]
        row = np.arange(int(np.prod(lengths))).reshape(lengths)
        seeds = np.where(row == 0, seeds, row_key(seeds, row.astype(np.uint32)))
    return Keys(shape, _flat(seeds, shape), _flat(position, shape))


def row_seeds(seed: int, rows: int) -> UInt64Array:
    """Return the seeds of the rows of a batch that has one seed.

    Parameters
    ----------
    seed : int in [0, 2^64)
    rows : int

    Returns
    -------
    (rows,) uint64
        The first is `seed` itself. The others are words of the generator that no draw uses.

    Examples
    --------
    Draw a row of a batch again, alone:

    >>> import numpy as np
    >>> from softmaxlib.sampling import row_seeds, sample
    >>> logits = np.zeros((4, 50))
    >>> batch = sample(logits, seed=5, position=0)
    >>> alone = sample(logits[3], seed=row_seeds(5, 4)[3], position=0)
    >>> bool(alone.token == batch.token[3])
    True
    """
    key = Key(
        np.asarray(check_integer(seed, "seed", lower=0, upper=2**64 - 1), np.uint64),
        np.zeros((), dtype=np.uint32),
    )
    return spread(key, (check_integer(rows, "rows", lower=0, upper=2**32 - 1),)).seed


def _fresh(generator: np.random.Generator | None) -> UInt64Array:
    generator = np.random.default_rng() if generator is None else generator
    return np.asarray(generator.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))


def _check_distinct(positions: npt.NDArray[Any], shares_seed: list[bool]) -> None:
    """Reject repeated positions along axes on which the seed is constant."""
    axes = [axis for axis, shared in enumerate(shares_seed) if shared and positions.shape[axis] > 1]
    if not axes:
        return
    together = np.moveaxis(positions, axes, range(-len(axes), 0))
    length = int(np.prod([positions.shape[axis] for axis in axes]))
    groups = together.reshape(-1, length)
    if np.all(groups[:, 1:] > groups[:, :-1]):
        return
    ordered = np.sort(groups, axis=-1)
    group, place = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
    if len(group):
        value = ordered[group[0], place[0]]
        first, second = np.flatnonzero(groups[group[0]] == value)[:2]
        raise InvalidInputError(
            f"rows {first} and {second} have one seed and the same position {value}, and would draw the same "
            "noise; pass a seed per row"
        )


def _warn_of_repetition() -> None:
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == "softmaxlib":
        depth, frame = depth + 1, frame.f_back
    warnings.warn(
        "a seed without a position draws the same token each time that it is used; pass position=0, 1, 2, "
        "..., the number of the token in its sequence, or seed=numpy.random.default_rng(5), which moves on "
        "with each call",
        SoftmaxlibWarning,
        stacklevel=depth,
    )


def _padded(values: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    return values.reshape((1,) * (len(shape) - values.ndim) + values.shape)


def _flat(values: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    return np.broadcast_to(values, shape).ravel()
