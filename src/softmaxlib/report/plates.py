"""The figures of the report with their headings and how to read them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._text import spoken
from .displays import (
    CalibrationDisplay,
    ConfidenceDisplay,
    ConfusionDisplay,
    CostDisplay,
    CostThresholdDisplay,
    Display,
    PrecisionRecallDisplay,
    RiskCoverageDisplay,
    RocDisplay,
    SetSizeDisplay,
)
from .displays.confusion import SET_ASIDE
from .sliders import Points, Slider
from .svg import to_svg

if TYPE_CHECKING:
    from .evaluation import Evaluation

_MOST_CLASSES_DRAWN = 40
_LEGIBLE = 1.2  # screen pixels per unit of a drawing with small text


@dataclass(frozen=True)
class Plate:
    """A figure with its heading and how to read it.

    Attributes
    ----------
    title, caption, svg : str
        What stands over it and below it, and the drawing.
    name : str
        The name by which a slider finds it; empty if no slider does.
    least_width : float
        In pixels: with less room it is scrolled; 0 for a figure that shrinks instead.
    places : list of (float, float), or None
        The points that a slider moves its mark to.
    """

    title: str
    caption: str
    svg: str
    name: str = ""
    least_width: float = 0.0
    places: tuple[tuple[float, float] | None, ...] = ()

    @property
    def is_wide(self) -> bool:
        """True if it is scrolled where there is little room."""
        return self.least_width > 0


def plate(
    title: str,
    display: Display,
    caption: str,
    *,
    name: str = "",
    points: Points | None = None,
    is_wide: bool = False,
    width: float = 4.6,
    height: float = 3.5,
) -> Plate:
    """Draw one figure; a wide one is scrolled where there is little room."""
    drawing = to_svg(display, title, width=width, height=height, points=points or ())
    least = round(72 * width * _LEGIBLE) if is_wide else 0
    return Plate(title, caption, drawing.svg, name, least, tuple(drawing.places))


def confidence_plates(evaluation: "Evaluation") -> list[Plate]:
    """Draw the figures about the confidence."""
    judged = [(evaluation.before, "")]
    if evaluation.after is not None:
        judged = [(evaluation.before, ", before calibration"), (evaluation.after, ", after calibration")]
    captions = [
        "On the dashed diagonal, 80% of the rows with a confidence of 80% are right. Below it the model is "
        "too sure, above it not sure enough. Bars: 95% intervals. Shaded: the range of the points of a "
        "perfectly calibrated model. Larger points stand for more rows.",
        "The same rows after calibration: the closer to the diagonal, the better.",
    ]
    diagrams = [
        plate(f"Reliability{suffix}", CalibrationDisplay(judgement.reliability), caption, height=4.2)
        for (judgement, suffix), caption in zip(judged, captions, strict=False)
    ]
    histograms = [
        plate(
            f"Confidence{suffix}",
            ConfidenceDisplay(judgement.confidence_of_right, judgement.confidence_of_wrong),
            "How often each confidence is stated, and how much of it is wrong.",
            height=2.8 if len(judged) > 1 else 4.2,
        )
        for judgement, suffix in judged
    ]
    return diagrams + histograms


def decision_plates(evaluation: "Evaluation", sliders: list[Slider]) -> list[Plate]:
    """Draw the figures about decisions, with marks that the sliders move."""
    decided = evaluation.decided
    chosen = None
    if decided is not None and 0 < decided.decided < decided.rows and not decided.actions:
        chosen = (decided.coverage, 1 - decided.accuracy)
    drawn: list[tuple[str, str, Display, str]] = [
        (
            "risk",
            "Mistakes against share decided",
            RiskCoverageDisplay(evaluation.final.risk_coverage, chosen=chosen),
            "If only the surest rows are decided, by their most likely class, fewer of the decisions are "
            "wrong. At the right end every row is decided"
            + (", at the marked point the rows that this policy decides." if chosen else "."),
        )
    ]
    if decided is not None and decided.cost_curve is not None and decided.mean_cost is not None:
        drawn.append(
            (
                "cost",
                "Cost against share decided",
                CostDisplay(decided.cost_curve, chosen=(decided.coverage, decided.mean_cost)),
                "The mean cost of a row if only the cheapest rows are decided, and the others are set "
                "aside at their cost. The best policy is at the bottom of the curve.",
            )
        )
    if decided is not None and decided.cost_threshold_curve is not None:
        drawn.append(
            (
                "cost-threshold",
                "Cost against the threshold",
                CostThresholdDisplay(decided.cost_threshold_curve, chosen=decided.threshold),
                f"The mean cost of a row if {spoken(evaluation.class_names[1])} is predicted from this "
                "probability. The vertical line is the threshold of this policy. If it is not near the "
                "lowest point, the costs are not those that were meant, or the probabilities are wrong.",
            )
        )
    if decided is not None and decided.set_sizes is not None:
        drawn.append(
            (
                "sets",
                "Sizes of the prediction sets",
                SetSizeDisplay(decided.set_sizes),
                "A set of one class is an answer, of several a short list; an empty set fits no class.",
            )
        )
    drawn += _ranking_plates(evaluation)
    points = {name: points for slider in sliders for name, points in slider.points.items()}
    return [
        plate(title, display, caption, name=name, points=points.get(name))
        for name, title, display, caption in drawn
    ]


def _ranking_plates(evaluation: "Evaluation") -> list[tuple[str, str, Display, str]]:
    """Draw the curves over all thresholds on the second of two classes."""
    final = evaluation.final
    if final.roc is None or final.precision_recall is None:
        return []
    name = spoken(evaluation.class_names[1])
    return [
        (
            "roc",
            "False alarms and what is found",
            RocDisplay(final.roc),
            f"With a lower threshold on the probability of {name}, more of its rows are found, but more "
            "others are taken for it (ROC). On the dashed line the scores are no better than chance.",
        ),
        (
            "precision-recall",
            "Precision and recall",
            PrecisionRecallDisplay(final.precision_recall),
            f"When more rows of {name} are found, a smaller share of the rows taken for it is right. On the "
            "dashed line rows are taken at random.",
        ),
    ]


def class_plates(evaluation: "Evaluation") -> list[Plate]:
    """Draw the confusion matrix and, if they differ, the policy's own decisions; nothing for many classes."""
    classes = len(evaluation.class_names)
    if classes > _MOST_CLASSES_DRAWN:
        return []
    side = min(9.6, max(3.4, 2.0 + 0.38 * classes))
    display = ConfusionDisplay(evaluation.confusion, class_names=evaluation.class_names)
    caption = (
        "Each row of the matrix is a true class, each column the most likely class by the model. Counts off "
        "the diagonal are mistakes."
    )
    title = "Confusion matrix"
    decided = evaluation.decided
    if decided is None or not evaluation.decides_otherwise:
        return [plate(title, display, caption, is_wide=True, width=side, height=side)]
    names = decided.action_names(evaluation.class_names)
    if len(names) > _MOST_CLASSES_DRAWN:
        return [plate(title, display, caption, is_wide=True, width=side, height=side)]
    matrix = decided.by_class.matrix(classes, len(names))
    columns = [*names, SET_ASIDE][: matrix.shape[1]]
    decisions = ConfusionDisplay(matrix, class_names=evaluation.class_names, action_names=columns)
    width = min(9.6, max(3.4, 2.0 + 0.38 * len(columns)))
    return [
        plate(
            "Decisions of the policy",
            decisions,
            "Each row of the matrix is a true class, each column a decision of the policy. "
            + (
                "Each decision has its cost; none is right or wrong by itself."
                if decided.actions
                else "Decisions for another class than the true one are mistakes."
            ),
            is_wide=True,
            width=width,
            height=side,
        ),
        plate(
            f"{title} of the most likely class",
            display,
            f"{caption} The policy does not decide by it alone.",
            is_wide=True,
            width=side,
            height=side,
        ),
    ]
