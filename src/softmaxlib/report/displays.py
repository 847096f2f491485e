"""The report's figures as Display objects in scikit-learn's manner, for notebooks and reports alike.

Each is made from its data or by ``from_logits`` / ``from_probabilities``, and draws with ``plot(ax=...)``,
after which ``ax_`` and ``figure_`` hold what was drawn on. Colours are the first three of matplotlib's cycle
and the axes' own, so that a style sheet governs them.
"""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from .._arrays import Array, FloatArray, IntArray
from .._checks import (
    check_labels,
    check_logits,
    check_probabilities,
    classes_of_columns,
    known_logits,
    warn_of_probabilities,
)
from .._text import printable
from ..decisions import CostCurve
from ..metrics import ReliabilityCurve, RiskCoverageCurve, reliability_curve, risk_coverage_curve

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


class _PredictionDisplay(Display):
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



def _labels(labels: Array, values: FloatArray, given: Array, options: dict[str, Any]) -> IntArray:
    """Return class numbers; names are those of the display, or of a frame's columns."""
    names = options.get("class_names") or classes_of_columns(given)
    return check_labels(labels, *values.shape, class_names=names)


class _CurveDisplay(_PredictionDisplay):
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


class CalibrationDisplay(_CurveDisplay):
    """Reliability diagram: accuracy against stated confidence, on the diagonal when calibrated.

    Points carry their 95% interval; the shaded band is where 95% of points would fall by chance were the
    confidences exactly right. The area of a point grows with the rows in its bin. ``from_logits`` takes the
    options of :func:`softmaxlib.metrics.reliability_curve` too: ``class_index``, ``bins``, ``binning``, ...

    Parameters
    ----------
    curve : ReliabilityCurve
        From :func:`softmaxlib.metrics.reliability_curve`.
    other : ReliabilityCurve, optional
        Drawn paler beneath, such as the same model before calibration.
    names : pair of str
        What the legend calls them, when there are two.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import CalibrationDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> display = CalibrationDisplay.from_logits([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1], ax=ax)
    >>> display.ax_.get_xlabel()
    'stated confidence'
    """

    _curve_of = staticmethod(reliability_curve)

    def __init__(
        self,
        curve: ReliabilityCurve,
        *,
        other: ReliabilityCurve | None = None,
        names: tuple[str, str] = ("after calibration", "before"),
    ) -> None:
        super().__init__(curve)
        self.other = other
        self.names = names

    def _draw(self, ax: "Axes") -> None:
        curve = self.curve
        neutral = ax.xaxis.label.get_color()
        ax.plot([0, 1], [0, 1], color=neutral, linewidth=0.8, linestyle=(0, (4, 4)))
        for low, high, left, right in zip(
            curve.null_lower, curve.null_upper, curve.lower_edge, curve.upper_edge, strict=True
        ):
            ax.fill_between([left, right], low, high, color=neutral, alpha=0.13, linewidth=0)
        if self.other is not None:
            self._draw_points(ax, self.other, OTHER, self.names[1], intervals=False)
        self._draw_points(ax, curve, RIGHT, self.names[0], intervals=True)
        if self.other is not None:
            ax.legend(loc="upper left")
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated confidence", ylabel="actual accuracy", aspect="equal")

    @staticmethod
    def _draw_points(ax: "Axes", curve: ReliabilityCurve, color: str, name: str, intervals: bool) -> None:
        area = 12 + 90 * curve.weight / curve.weight.max()
        if intervals:
            ax.vlines(curve.confidence, curve.lower, curve.upper, color=color, linewidth=1.4)
        ax.plot(curve.confidence, curve.frequency, color=color, linewidth=1, alpha=0.6)
        ax.scatter(curve.confidence, curve.frequency, area, color=color, label=name, zorder=3, clip_on=False)


class ConfidenceDisplay(_PredictionDisplay):
    """Histogram of confidence, right rows apart from wrong ones.

    Parameters
    ----------
    right, wrong : array of int (bins,)
        Rows in equal bins of the confidence from 0 to 1.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import ConfidenceDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> display = ConfidenceDisplay.from_logits([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1], ax=ax)
    >>> int(display.right.sum()), int(display.wrong.sum())
    (2, 1)
    """

    def __init__(self, right: IntArray, wrong: IntArray) -> None:
        self.right = right
        self.wrong = wrong

    @classmethod
    def _of(
        cls, values: FloatArray, labels: IntArray, from_probabilities: bool, options: dict[str, Any]
    ) -> Self:
        from .judgement import confidence_histograms

        return cls(*confidence_histograms(values, labels, from_probabilities), **options)

    def _draw(self, ax: "Axes") -> None:
        edges = np.linspace(0, 1, len(self.right) + 1)
        width = np.diff(edges) * 0.86
        centers = (edges[:-1] + edges[1:]) / 2
        rows = self.right.sum() + self.wrong.sum()
        ax.bar(centers, 100 * self.right / rows, width, color=RIGHT, label="right")
        ax.bar(centers, 100 * self.wrong / rows, width, 100 * self.right / rows, color=WRONG, label="wrong")
        ax.legend(loc="upper left")
        ax.set(xlim=(0, 1), xlabel="stated confidence", ylabel="share of rows, %")


class RiskCoverageDisplay(_CurveDisplay):
    """Share of mistakes among the decided rows, against the share decided, the surest rows first.

    ``from_logits`` takes the options of :func:`softmaxlib.metrics.risk_coverage_curve` too: ``score``,
    ``sample_weight``.

    Parameters
    ----------
    curve : RiskCoverageCurve
        From :func:`softmaxlib.metrics.risk_coverage_curve`.
    chosen : pair of float, optional
        Coverage and risk of a policy, marked on the plot.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import RiskCoverageDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> logits, labels = [[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]], [0, 1, 1]
    >>> display = RiskCoverageDisplay.from_logits(logits, labels, ax=ax, score="entropy")
    >>> display.curve.risk.round(2)
    array([0.  , 0.  , 0.33])
    """

    _curve_of = staticmethod(risk_coverage_curve)

    def __init__(self, curve: RiskCoverageCurve, *, chosen: tuple[float, float] | None = None) -> None:
        super().__init__(curve)
        self.chosen = chosen

    def _draw(self, ax: "Axes") -> None:
        coverage, risk = 100 * self.curve.coverage, 100 * self.curve.risk
        ax.plot(coverage, risk, color=RIGHT, linewidth=1.6)
        ax.fill_between(coverage, risk, color=RIGHT, alpha=0.12, linewidth=0)
        if self.chosen is not None:
            _mark(ax, 100 * self.chosen[0], 100 * self.chosen[1], "this policy")
        ax.set(xlim=(0, 100), xlabel="share of rows decided, %", ylabel="mistakes among them, %")
        ax.set_ylim(bottom=0)


class CostDisplay(Display):
    """Mean cost of a row against the share decided, with the policy's choice.

    Parameters
    ----------
    curve : CostCurve
        Coverage and cost.
    chosen : pair of float, optional
        Coverage and mean cost of the policy, marked on the plot.

    Examples
    --------
    ``evaluate(logits, labels, policy=policy).decided`` holds the curve of a policy with a cost of setting
    aside, as ``cost_curve``:

    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from softmaxlib.decisions import CostCurve
    >>> from softmaxlib.report import CostDisplay
    >>> curve = CostCurve(np.array([0.0, 0.8, 1.0]), np.array([0.2, 0.06, 0.09]))
    >>> display = CostDisplay(curve, chosen=(0.8, 0.06)).plot(matplotlib.figure.Figure().subplots())
    >>> display.ax_.get_ylabel()
    'mean cost of a row'
    """

    def __init__(self, curve: CostCurve, *, chosen: tuple[float, float] | None = None) -> None:
        self.curve = curve
        self.chosen = chosen

    def _draw(self, ax: "Axes") -> None:
        ax.plot(100 * self.curve.coverage, self.curve.cost, color=RIGHT, linewidth=1.6)
        if self.chosen is not None:
            _mark(ax, 100 * self.chosen[0], self.chosen[1], "this policy", below=True)
            ax.margins(y=0.2)
        ax.set(xlim=(0, 100), xlabel="share of rows decided, %", ylabel="mean cost of a row")


class ConfusionDisplay(_PredictionDisplay):
    """Confusion matrix: each row a true class, shaded by the share of its rows called by each name.

    Parameters
    ----------
    confusion : array of int (classes, classes)
        Entry [k, j]: rows of class k called class j.
    class_names : sequence of str, optional
        One a class.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import ConfusionDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> logits, labels = [[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1]
    >>> ConfusionDisplay.from_logits(logits, labels, ax=ax, class_names=["cat", "dog"]).confusion
    array([[1, 0],
           [1, 1]])
    """

    def __init__(self, confusion: IntArray, *, class_names: Sequence[str] | None = None) -> None:
        self.confusion = confusion
        self.class_names = class_names or [str(index) for index in range(len(confusion))]

    @classmethod
    def _of(
        cls, values: FloatArray, labels: IntArray, from_probabilities: bool, options: dict[str, Any]
    ) -> Self:
        classes = values.shape[1]
        pairs = np.bincount(labels * classes + values.argmax(axis=1), minlength=classes**2)
        return cls(pairs.reshape(classes, classes), **options)

    def _draw(self, ax: "Axes") -> None:
        from matplotlib.patches import Rectangle

        size = len(self.confusion)
        share = self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)
        for row, column in np.argwhere(self.confusion > 0):
            color = RIGHT if row == column else WRONG
            # a vector cell each: a raster image would carry its own colours into dark mode and print
            strength = 0.06 + 0.74 * share[row, column] ** (1 if row == column else 0.6)
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=color, alpha=strength, linewidth=0))
            if size <= 20:
                ax.text(
                    column, row, f"{self.confusion[row, column]:,}", ha="center", va="center", fontsize=7.5
                )
        names = [shortened(name) for name in self.class_names]
        ax.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
        ax.set_yticks(range(size), names, parse_math=False)
        ax.tick_params(length=0)
        ax.set(
            xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xlabel="most likely class", ylabel="true class"
        )
        ax.set_aspect("equal")
        ax.grid(False)


class SetSizeDisplay(Display):
    """How many classes the prediction sets hold.

    Parameters
    ----------
    sizes : array of int (classes + 1,)
        How many sets have 0, 1, 2, ... classes.

    Examples
    --------
    ``evaluate(logits, labels, policy=policy).decided`` holds them as ``set_sizes``; those of a decision:

    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from softmaxlib.decisions import TopK
    >>> from softmaxlib.report import SetSizeDisplay
    >>> sets = TopK(2).decide([[0.5, 0.1, 0.4], [0.2, 0.7, 0.1]]).sets
    >>> sizes = np.bincount(sets.sum(axis=1), minlength=4)
    >>> SetSizeDisplay(sizes).plot(matplotlib.figure.Figure().subplots()).sizes
    array([0, 0, 2, 0])
    """

    def __init__(self, sizes: IntArray) -> None:
        self.sizes = sizes

    def _draw(self, ax: "Axes") -> None:
        last = int(np.flatnonzero(self.sizes).max()) + 1
        ax.bar(range(last), 100 * self.sizes[:last] / self.sizes.sum(), 0.8, color=RIGHT)
        ax.set(xlabel="classes in the set", ylabel="share of rows, %")
        ax.locator_params(axis="x", integer=True)


def shortened(name: str, most: int = 18) -> str:
    """A class name short enough for a tick, control characters made visible."""
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "\u2026"


def _new_axes() -> "Axes":
    from matplotlib import pyplot

    return pyplot.figure().subplots()


def _mark(ax: "Axes", x: float, y: float, words: str, below: bool = False) -> None:
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
