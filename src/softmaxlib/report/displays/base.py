"""What the displays share: where they draw, how they are made of predictions, and their colours."""

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from ..._arrays import Array, FloatArray, IntArray
from ..._checks import (
    check_labels,
    check_logits,
    check_probabilities,
    classes_of_columns,
    known_logits,
    warn_of_probabilities,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, OTHER, WRONG = "C0", "C1", "C3"  # blue, orange and red of matplotlib


class Display:
    """What every display shares: where it draws.

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

    def _draw(self, ax: "Axes") -> None:
        raise NotImplementedError


class PredictionDisplay(Display):
    """A display that can be made from predictions and labels."""

    @classmethod
    def from_logits(cls, logits: Array, labels: Array, *, ax: "Axes | None" = None, **options: Any) -> Self:
        """Make it from a model's logits and draw it.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Of rows that the model was not trained on.
        labels : array of int, shape (rows,)
            The true class of each row.
        ax : matplotlib Axes, optional
            Where to draw; on a new figure by default.
        **options
            Of the class, and of the curve that it shows (see there).

        Returns
        -------
        Display
            With ``ax_`` and ``figure_`` set.
        """
        values = check_logits(logits)
        warn_of_probabilities(values, "make the display with from_probabilities")
        with known_logits():
            return cls._of(values, _labels(labels, values, logits, options), False, options).plot(ax)

    @classmethod
    def from_probabilities(
        cls, probabilities: Array, labels: Array, *, ax: "Axes | None" = None, **options: Any
    ) -> Self:
        """Do as `from_logits`, from probabilities (rows, classes)."""
        values = check_probabilities(probabilities)
        return cls._of(values, _labels(labels, values, probabilities, options), True, options).plot(ax)

    @classmethod
    def _of(
        cls, values: FloatArray, labels: IntArray, from_probabilities: bool, options: dict[str, Any]
    ) -> Self:
        raise NotImplementedError


class CurveDisplay(PredictionDisplay):
    """A display of a curve of `softmaxlib.metrics`, whose options can be given too."""

    _curve_of: ClassVar[Callable[..., Any]]

    def __init__(self, curve: Any) -> None:
        self.curve = curve

    @classmethod
    def _of(
        cls, values: FloatArray, labels: IntArray, from_probabilities: bool, options: dict[str, Any]
    ) -> Self:
        curve_of = cls.__dict__["_curve_of"]
        known = {name: options[name] for name in options if name in signature(curve_of).parameters}
        own = {name: options[name] for name in options if name not in known}
        return cls(curve_of(values, labels, from_probabilities=from_probabilities, **known), **own)


def mark(ax: "Axes", x: float, y: float, words: str, below: bool = False) -> None:
    """Mark a point of a curve over percents, with a word beside it."""
    ax.scatter([x], [y], 64, color=OTHER, zorder=4)
    left = x > 30  # what is drawn to the right rises, and would run through the words
    ax.annotate(
        words,
        (x, y),
        xytext=(-9 if left else 9, -18 if below else 9),
        textcoords="offset points",
        ha="right" if left else "left",
        fontweight="bold",
    )


def _labels(labels: Array, values: FloatArray, given: Array, options: dict[str, Any]) -> IntArray:
    """Return class numbers; names are those of the display, or of a frame's columns."""
    names = options.get("class_names") or classes_of_columns(given)
    return check_labels(labels, *values.shape, class_names=names)


def _new_axes() -> "Axes":
    from matplotlib import pyplot

    return pyplot.figure().subplots()
