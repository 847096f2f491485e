"""Sizes of prediction sets."""

from typing import TYPE_CHECKING

import numpy as np

from ..counts import Counts
from .base import RIGHT, Display

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SetSizeDisplay(Display):
    """How many classes the prediction sets hold.

    Parameters
    ----------
    sizes : array of int (classes + 1,)
        How many sets have 0, 1, 2, ... classes, or their weight.

    Examples
    --------
    ``evaluate(logits, labels, policy=policy).decided`` holds them as ``set_sizes``; those of a decision:

    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from softmaxlib.decisions import TopK
    >>> from softmaxlib.report import SetSizeDisplay
    >>> sets = TopK(2).decide([[0.5, 0.1, 0.4], [0.2, 0.7, 0.1]], probabilities=True).sets
    >>> sizes = np.bincount(sets.sum(axis=1), minlength=4)
    >>> SetSizeDisplay(sizes).plot(matplotlib.figure.Figure().subplots()).sizes
    array([0, 0, 2, 0])
    """

    def __init__(self, sizes: Counts) -> None:
        self.sizes = sizes

    def _draw(self, ax: "Axes") -> None:
        last = int(np.flatnonzero(self.sizes).max()) + 1
        ax.bar(range(last), 100 * self.sizes[:last] / self.sizes.sum(), 0.8, color=RIGHT)
        ax.set(xlabel="classes in the set", ylabel="share of rows, %")
        ax.locator_params(axis="x", integer=True)
