"""The display of a confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..._text import format_count, printable
from ..counts import Counts
from .base import RIGHT, WRONG, LabelledRows, PredictionDisplay
from .spots import Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ConfusionDisplay(PredictionDisplay):
    """Confusion matrix: each row a true class, shaded by the share of its rows called by each name.

    Parameters
    ----------
    confusion : array of int (classes, classes)
        Entry [k, j]: rows of class k called class j, or their weight.
    class_names : sequence of str, optional
        One a class.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import ConfusionDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> logits, labels = [[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1]
    >>> ConfusionDisplay.from_predictions(logits, labels, ax=ax, class_names=["cat", "dog"]).confusion
    array([[1, 0],
           [1, 1]])
    """

    def __init__(self, confusion: Counts, *, class_names: Sequence[str] | None = None) -> None:
        self.confusion = confusion
        self.class_names = class_names or [str(index) for index in range(len(confusion))]

    @classmethod
    def _of(cls, rows: LabelledRows, probabilities: bool, options: dict[str, Any]) -> Self:
        classes = rows.values.shape[1]
        pairs = np.bincount(
            rows.labels * classes + rows.values.argmax(axis=1), rows.weights, minlength=classes**2
        )
        return cls(pairs.reshape(classes, classes), **options)

    def describe(self) -> str:
        """Say how many rows are on the diagonal, and what is confused most often."""
        matrix, names = self.confusion, self.class_names
        right, rows = matrix.diagonal().sum(), matrix.sum()
        text = f"{len(matrix)} classes. {right / rows:.1%} of the rows are on the diagonal, recognised."
        wrong = matrix - np.diag(matrix.diagonal())
        if not wrong.any():
            return text
        truth, name = divmod(int(wrong.argmax()), len(wrong))
        count = format_count(wrong[truth, name].item())
        return f"{text} The most frequent mistake: {names[truth]} taken for {names[name]}, {count} rows."

    def spots(self) -> list[Spot]:
        """Return each non-empty cell with its value."""
        of_class = self.confusion.sum(axis=1)
        return [
            Spot(
                f"{self.class_names[row]} called {self.class_names[column]}: "
                f"{format_count(self.confusion[row, column].item())} rows, "
                f"{self.confusion[row, column] / of_class[row]:.1%} of {self.class_names[row]}",
                column - 0.5,
                row - 0.5,
                column + 0.5,
                row + 0.5,
            )
            for row, column in np.argwhere(self.confusion > 0).tolist()
        ]

    def _draw(self, ax: "Axes") -> None:
        from matplotlib.patches import Rectangle

        size = len(self.confusion)
        of_class = self.confusion.sum(axis=1, keepdims=True)
        share = self.confusion / np.where(of_class > 0, of_class, 1)
        for row, column in np.argwhere(self.confusion > 0):
            color = RIGHT if row == column else WRONG
            # pale enough for its count to be readable in light and dark;
            # a vector cell each: a raster image would carry its own colours into dark mode and print
            strength = 0.06 + 0.4 * share[row, column] ** (1 if row == column else 0.6)
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color, alpha=strength, linewidth=0))
            if size <= 20:
                count = format_count(self.confusion[row, column].item())
                ax.text(column, row, count, ha="center", va="center", fontsize=8)
        names = [_shortened(name) for name in self.class_names]
        ax.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
        ax.set_yticks(range(size), names, parse_math=False)
        ax.tick_params(length=0)
        ax.set(
            xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel="most likely class", ylabel="true class"
        )
        ax.set_aspect("equal")
        ax.grid(False)


def _shortened(name: str, most: int = 18) -> str:
    """Shorten a class name for a tick, and make control characters visible."""
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "\u2026"
