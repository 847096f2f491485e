"""The classes of a row in order of their probability."""

from typing import Any

import numpy as np
import numpy.typing as npt


def descending(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the classes of each row, most likely first. Ties are ordered by index, as in `numpy.argmax`."""
    order = np.argsort(-probabilities, axis=1)
    ordered = np.take_along_axis(probabilities, order, axis=1)
    # a stable sort takes several times as long, and is needed only where values are equal
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    order[tied] = np.argsort(-probabilities[tied], axis=1, kind="stable")
    return order


def ranks(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the rank of each class in its row, 1 for the most likely."""
    order = descending(probabilities)
    result = np.empty(probabilities.shape, np.int64)
    np.put_along_axis(result, order, np.arange(1, probabilities.shape[1] + 1)[None], axis=1)
    return result
