"""The base classes of the displays: axes, colours, and making one from predictions."""

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt

from ..._arrays import Array, FloatArray, IntArray
from ..._checks import (
    check_labels,
    check_logits,
    check_probabilities,
    check_sample_weight,
    classes_of_columns,
    known_logits,
    warn_of_probabilities,
    warn_of_row_order,
)
from ..._extras import require
from ..._renamed import RenamedMethod
from .spots import Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, OTHER, WRONG = "C0", "C1", "C3"  # blue, orange and red of matplotlib


class Display:
    """The base class of all displays; it holds the axes drawn on.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    """

    ax_: "Axes"
    figure_: "Figure"

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on `ax`, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        Display
            Itself, with ``ax_`` and ``figure_`` set.
        """
        self.ax_ = _new_axes() if ax is None else ax
        self.figure_ = cast("Figure", self.ax_.get_figure(root=True))
        self._draw(self.ax_)
        return self

    def describe(self) -> str:
        """Describe the drawing in words, for readers who can't see it."""
        return ""

    def spots(self) -> list[Spot]:
        """Return the values that the report shows where the pointer rests on the drawing."""
        return []

    def _draw(self, ax: "Axes") -> None:
        raise NotImplementedError


class LabelledRows(NamedTuple):
    """Checked logits or probabilities (rows, classes), labels (rows,), and weights (rows,) or None."""

    values: FloatArray
    labels: IntArray
    weights: npt.NDArray[np.float64] | None


class PredictionDisplay(Display):
    """A display that can be made from predictions and labels."""

    from_logits = RenamedMethod("from_predictions(logits, labels)")
    from_probabilities = RenamedMethod("from_predictions(probabilities, labels, probabilities=True)")

    @classmethod
    def from_predictions(
        cls,
        logits: Array,
        labels: Array,
        *,
        sample_weight: Array | None = None,
        probabilities: bool = False,
        ax: "Axes | None" = None,
        **options: Any,
    ) -> Self:
        """Make a display from a model's predictions, and draw it.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Logits of rows that the model was not trained on, or probabilities when `probabilities` is true.
        labels : array_like of int or str, shape (rows,)
            The true class of each row.
        sample_weight : array, shape (rows,), optional
            How often each row counts.
        probabilities : bool, default False
            Whether `logits` holds probabilities.
        ax : matplotlib Axes, optional
            Where to draw; on a new figure by default.
        **options
            Of the class, and of the curve that it shows (see there).

        Returns
        -------
        Display
            With ``ax_`` and ``figure_`` set.
        """
        values = check_probabilities(logits) if probabilities else check_logits(logits)
        if not probabilities:
            warn_of_probabilities(values, "pass probabilities=True with them")
        with known_logits():
            rows = _rows(values, labels, sample_weight, logits, options)
            return cls._of(rows, probabilities, options).plot(ax)

    @classmethod
    def _of(cls, rows: LabelledRows, probabilities: bool, options: dict[str, Any]) -> Self:
        raise NotImplementedError


class CurveDisplay(PredictionDisplay):
    """A display of a curve of `softmaxlib.metrics`, whose options can be given too."""

    _curve_of: ClassVar[Callable[..., Any]]

    def __init__(self, curve: Any) -> None:
        self.curve = curve

    @classmethod
    def _of(cls, rows: LabelledRows, probabilities: bool, options: dict[str, Any]) -> Self:
        curve_of = cls.__dict__["_curve_of"]
        known = {name: options[name] for name in options if name in signature(curve_of).parameters}
        own = {name: options[name] for name in options if name not in known}
        curve = curve_of(
            rows.values,
            rows.labels,
            sample_weight=rows.weights,
            probabilities=probabilities,
            **known,
        )
        return cls(curve, **own)


def mark(ax: "Axes", x: float, y: float, words: str, below: bool = False) -> None:
    """Mark a point of a curve over percents, with a word beside it."""
    ax.scatter([x], [y], 64, color=OTHER, zorder=4)
    left = x > 30  # the curve to the right rises, and would run through the words
    ax.annotate(
        words,
        (x, y),
        xytext=(-9 if left else 9, -18 if below else 9),
        textcoords="offset points",
        ha="right" if left else "left",
        fontweight="bold",
    )


def _rows(
    values: FloatArray, labels: Array, sample_weight: Array | None, given: Array, options: dict[str, Any]
) -> LabelledRows:
    """Check labels and weights; names are those of the display, or of a frame's columns."""
    warn_of_row_order(given, labels=labels, sample_weight=sample_weight)
    names = options.get("class_names") or classes_of_columns(given)
    truth = check_labels(labels, *values.shape, class_names=names)
    return LabelledRows(values, truth, check_sample_weight(sample_weight, len(values)))


def _new_axes() -> "Axes":
    require("matplotlib", "drawing")
    from matplotlib import pyplot

    return pyplot.figure().subplots()
