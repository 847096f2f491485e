"""Places of a drawing that show a value where the pointer rests on them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_MOST = 80


class Spot(NamedTuple):
    """A rectangle of a drawing and what it shows, in the coordinates of the data.

    Attributes
    ----------
    text : str
        The value, in words.
    left, bottom, right, top : float
        Its sides; a point where they are equal, and infinite up to the frame.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float


def point(x: float, y: float, text: str) -> Spot:
    """Return the spot of a point."""
    return Spot(text, x, y, x, y)


def columns(x: npt.NDArray[np.floating[Any]], texts: Sequence[str]) -> list[Spot]:
    """Return upright strips, each from halfway to the previous point to halfway to the next."""
    edges = np.concatenate([[-np.inf], (x[1:] + x[:-1]) / 2, [np.inf]]).tolist()
    return [
        Spot(text, left, -np.inf, right, np.inf)
        for text, left, right in zip(texts, edges[:-1], edges[1:], strict=True)
    ]


def some_of(size: int) -> npt.NDArray[np.int64]:
    """Return the indices of at most 80 of `size` points, evenly spread, including the first and the last."""
    return np.unique(np.linspace(0, size - 1, min(size, _MOST)).round().astype(np.int64))
