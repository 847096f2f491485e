"""The display of a confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..._text import format_count, printable
from ..counts import Counts
from ..formats import counted
from .base import OTHER, RIGHT, WRONG, LabelledRows, PredictionDisplay
from .spots import Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SET_ASIDE = "set aside"
_MOST_NAMED = 8


class ConfusionDisplay(PredictionDisplay):
    """Confusion matrix: each row a true class, shaded by the share of its rows called by each name.

    Its columns may be the decisions of a policy instead: pass their names.

    Parameters
    ----------
    confusion : array of int (classes, classes) or (classes, decisions)
        Entry [k, j]: rows of class k called class j, or for which decision j was made; or their weight.
    class_names : sequence of str, optional
        One per class.
    action_names : sequence of str, optional
        One per column, where the columns are decisions: the actions, and "set aside".

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

    def __init__(
        self,
        confusion: Counts,
        *,
        class_names: Sequence[str] | None = None,
        action_names: Sequence[str] | None = None,
    ) -> None:
        self.confusion = confusion
        self.class_names = class_names or [str(index) for index in range(len(confusion))]
        self.action_names = action_names

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
        if self.action_names is not None:
            return self._describe_decisions(self.action_names)
        right, rows = matrix.diagonal().sum(), matrix.sum()
        text = f"{len(matrix)} classes. {right / rows:.1%} of the rows are on the diagonal, recognised."
        wrong = matrix - np.diag(matrix.diagonal())
        if not wrong.any():
            return text
        truth, name = divmod(int(wrong.argmax()), len(wrong))
        count = counted(wrong[truth, name].item(), "row")
        return f"{text} The most frequent mistake: {names[truth]} taken for {names[name]}, {count}."

    def spots(self) -> list[Spot]:
        """Return each non-empty cell with its value."""
        of_class = self.confusion.sum(axis=1)
        return [
            Spot(
                f"{self.class_names[row]} {self._column(column)}: "
                f"{counted(self.confusion[row, column].item(), 'row')}, "
                f"{self.confusion[row, column] / of_class[row]:.1%} of {self.class_names[row]}",
                column - 0.5,
                row - 0.5,
                column + 0.5,
                row + 0.5,
            )
            for row, column in np.argwhere(self.confusion > 0).tolist()
        ]

    def _describe_decisions(self, names: Sequence[str]) -> str:
        matrix = self.confusion
        shares = (matrix.sum(axis=0) / matrix.sum()).tolist()
        made = [f"{name} {share:.1%}" for name, share in zip(names, shares, strict=True)]
        text = f"{len(matrix)} classes. Decisions, as shares of the rows: {', '.join(made[:_MOST_NAMED])}."
        return text if len(made) <= _MOST_NAMED else f"{text[:-1]} and {len(made) - _MOST_NAMED} more."

    def _column(self, column: int) -> str:
        """Return what was made of the rows of a column, after the name of their class."""
        if self.action_names is None:
            return f"called {self.class_names[column]}"
        name = self.action_names[column]
        return name if name == SET_ASIDE else f"decided as {name}"

    def _color(self, row: int, column: int) -> str:
        """Return the colour of a cell: right, wrong, or neither of both."""
        if self.action_names is not None:
            if self.action_names[column] == SET_ASIDE:
                return OTHER
            if tuple(self.action_names[: len(self.class_names)]) != tuple(self.class_names):
                return RIGHT  # actions of a rule are not right or wrong
        return RIGHT if row == column else WRONG

    def _draw(self, ax: "Axes") -> None:
        from matplotlib.patches import Rectangle

        size, width = self.confusion.shape
        of_class = self.confusion.sum(axis=1, keepdims=True)
        share = self.confusion / np.where(of_class > 0, of_class, 1)
        for row, column in np.argwhere(self.confusion > 0):
            color = self._color(row, column)
            # pale enough for its count to be readable in light and dark;
            # a vector cell each: a raster image would carry its own colours into dark mode and print
            most = 0.25 if color == OTHER else 0.4
            strength = 0.06 + most * share[row, column] ** (0.6 if color == WRONG else 1)
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color, alpha=strength, linewidth=0))
            if size <= 20:
                count = format_count(self.confusion[row, column].item())
                ax.text(column, row, count, ha="center", va="center", fontsize=8)
        names = [_shortened(name) for name in self.class_names]
        columns = names if self.action_names is None else [_shortened(name) for name in self.action_names]
        ax.set_xticks(
            range(width), columns, rotation=45, ha="right", rotation_mode="anchor", parse_math=False
        )
        ax.set_yticks(range(size), names, parse_math=False)
        ax.tick_params(length=0)
        ax.set(
            xlim=(-0.5, width - 0.5),
            ylim=(size - 0.5, -0.5),
            xlabel="most likely class" if self.action_names is None else "decision",
            ylabel="true class",
        )
        ax.set_aspect("equal")
        ax.grid(False)


def _shortened(name: str, most: int = 18) -> str:
    """Shorten a class name for a tick, and make control characters visible."""
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "\u2026"
