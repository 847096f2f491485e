"""Sizes of prediction sets."""

from typing import TYPE_CHECKING

import numpy as np

from ..counts import Counts
from .base import RIGHT, Display
from .spots import Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SetSizeDisplay(Display):
    """Histogram of the sizes of prediction sets.

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

    def describe(self) -> str:
        """Say how many classes sets hold on average."""
        sizes = np.arange(len(self.sizes))
        return (
            f"A set holds {self.sizes @ sizes / self.sizes.sum():.2f} classes on average; "
            f"{self.sizes[1] / self.sizes.sum():.1%} of the sets hold one."
        )

    def spots(self) -> list[Spot]:
        """Return each bar with its value."""
        share = (self.sizes / self.sizes.sum()).tolist()
        return [
            Spot(
                f"{size} class{'' if size == 1 else 'es'}: {part:.1%} of the rows",
                size - 0.5,
                -np.inf,
                size + 0.5,
                np.inf,
            )
            for size, part in enumerate(share)
            if part
        ]

    def _draw(self, ax: "Axes") -> None:
        last = int(np.flatnonzero(self.sizes).max()) + 1
        ax.bar(range(last), 100 * self.sizes[:last] / self.sizes.sum(), 0.8, color=RIGHT)
        ax.set(xlabel="classes in the set", ylabel="share of rows, %")
        ax.locator_params(axis="x", integer=True)
