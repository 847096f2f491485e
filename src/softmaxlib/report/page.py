"""An evaluation as one HTML page; every text from outside is escaped by the template engine."""

import datetime
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from .._extras import require
from .._text import format_count, printable
from ..decisions import GroupCoverage
from .class_calibration import REJECTED, SMALL_DIFFERENCE, SMALL_ODDS
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
from .groups import GroupFigures, Measured
from .provenance import Origin, Provenance
from .svg import to_svg
from .verdict import HIDDEN_ERROR, LARGE_ERROR, SMALL_ERROR

if TYPE_CHECKING:
    from .evaluation import Evaluation

_MOST_CLASSES_DRAWN = 40
_MOST_LISTED = 30
_CONFUSIONS = 12
_MOST_FILES = 8


@dataclass(frozen=True)
class Plate:
    """A figure with its heading and how to read it."""

    title: str
    caption: str
    svg: str


def render(evaluation: "Evaluation", title: str) -> str:
    """The page, as text."""
    require("jinja2", "an HTML report")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("softmaxlib.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        share=_share,
        count=format_count,
        chance=_chance,
        moment=_moment,
        share_range=_share_range,
        number_range=_number_range,
    )
    return environment.get_template("page.html").render(
        title=title,
        css=resources.files("softmaxlib.report").joinpath("page/page.css").read_text("utf-8"),
        evaluation=evaluation,
        figures=_figure_rows(evaluation),
        confidence_plates=_confidence_plates(evaluation),
        decision_plates=_decision_plates(evaluation),
        set_groups=_listed_groups(evaluation),
        groups=_compared_groups(evaluation),
        class_plates=_class_plates(evaluation),
        classes=_listed_classes(evaluation),
        confusions=_confusions(evaluation),
        has_ids=any(mistake.row_id is not None for mistake in evaluation.mistakes),
        origins=_origins(evaluation.provenance),
        rules={
            "small": SMALL_ERROR,
            "large": LARGE_ERROR,
            "rejected": REJECTED,
            "hidden": HIDDEN_ERROR,
            "small_difference": SMALL_DIFFERENCE,
            "small_odds": SMALL_ODDS,
        },
    )


def _shown(value: Any) -> Any:
    """Return what the page shows of a text from outside; what the templates themselves are made of stays."""
    return printable(value) if type(value) is str else value


def _share(value: float) -> str:
    return "\u2013" if not np.isfinite(value) else f"{100 * value:.1f}%"


def _share_range(measured: Measured) -> str:
    return _range(_share(measured.lower), _share(measured.upper), measured)


def _number_range(measured: Measured) -> str:
    return _range(f"{measured.lower:.4g}", f"{measured.upper:.4g}", measured)


def _range(lower: str, upper: str, measured: Measured) -> str:
    """An interval; where there are too few rows for one, that."""
    return f"{lower} to {upper}" if np.isfinite(measured.lower) else "too few rows to tell"


def _chance(p_value: float) -> str:
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.3f}" if p_value < 0.01 else f"{p_value:.2f}"


def _moment(time: str) -> str:
    """A time as a reader writes it; a text that is none, in a policy from elsewhere, as it is."""
    try:
        return f"{datetime.datetime.fromisoformat(time):%d %B %Y, %H:%M %Z}".strip()
    except ValueError:
        return time


def _figure_rows(evaluation: "Evaluation") -> list[dict[str, Any]]:
    """The table of key figures: name, orientation, before, after, and how surely the last is known."""
    final = evaluation.final
    figures = final.figures
    low, high = final.accuracy_interval
    chance_low, chance_high = final.chance_interval
    width = 1.96 * figures.log_loss_error
    rows = [
        ("accuracy", "larger is better", _share, f"95% interval {_share(low)} to {_share(high)}"),
        (
            "log_loss",
            "smaller is better, in nats",
            lambda value: f"{value:.4f}",
            f"95% interval {figures.log_loss - width:.4f} to {figures.log_loss + width:.4f}",
        ),
        (
            "brier_score",
            "smaller is better, 0 to 2",
            lambda value: f"{value:.4f}",
            f"95% interval {final.brier_interval[0]:.4f} to {final.brier_interval[1]:.4f}",
        ),
        (
            "calibration_error",
            "smaller is better",
            _share,
            f"by chance alone {_share(chance_low)} to {_share(chance_high)}; p-value "
            f"{_chance(final.calibration_p_value)}",
        ),
    ]
    return [
        {
            "name": name.replace("_", " ").capitalize(),
            "orientation": orientation,
            "before": form(getattr(evaluation.before.figures, name)),
            "after": form(getattr(figures, name)),
            "known": known,
        }
        for name, orientation, form, known in rows
    ]


def _plate(title: str, display: Display, caption: str, **size: float) -> Plate:
    return Plate(title, caption, to_svg(display, title, **size))


def _confidence_plates(evaluation: "Evaluation") -> list[Plate]:
    judged = [(evaluation.before, "")]
    if evaluation.after is not None:
        judged = [(evaluation.before, ", before calibration"), (evaluation.after, ", after calibration")]
    captions = [
        "On the dashed diagonal, of the rows stated at 80% confidence 80% are right. Below it "
        "the model is too sure, above it too timid. Bars: 95% intervals. Shaded: where chance alone "
        "would put the points of a perfectly calibrated model. Larger points stand for more rows.",
        "The same rows after calibration: the closer to the diagonal, the more a confidence is worth.",
    ]
    diagrams = [
        _plate(f"Reliability{suffix}", CalibrationDisplay(judgement.reliability), caption, height=4.2)
        for (judgement, suffix), caption in zip(judged, captions, strict=False)
    ]
    histograms = [
        _plate(
            f"Confidence{suffix}",
            ConfidenceDisplay(judgement.confidence_of_right, judgement.confidence_of_wrong),
            "How often each confidence is stated, and how much of it is wrong.",
            height=2.8 if len(judged) > 1 else 4.2,
        )
        for judgement, suffix in judged
    ]
    return diagrams + histograms


def _decision_plates(evaluation: "Evaluation") -> list[Plate]:
    decided = evaluation.decided
    chosen = None
    if decided is not None and 0 < decided.decided < decided.rows and not decided.actions:
        chosen = (decided.coverage, 1 - decided.accuracy)
    drawn: list[tuple[str, Display, str]] = [
        (
            "Mistakes against share decided",
            RiskCoverageDisplay(evaluation.final.risk_coverage, chosen=chosen),
            "Decide only the surest rows, and fewer of the decisions are wrong. At the right end every row "
            "is decided" + (", at the marked point the rows this policy decides." if chosen else "."),
        )
    ]
    if decided is not None and decided.cost_curve is not None and decided.mean_cost is not None:
        drawn.append(
            (
                "Cost against share decided",
                CostDisplay(decided.cost_curve, chosen=(decided.coverage, decided.mean_cost)),
                "What a row costs on average if only the cheapest share of rows is decided and the rest set "
                "aside at its price. The best policy sits at the bottom of the curve.",
            )
        )
    if decided is not None and decided.cost_threshold_curve is not None:
        drawn.append(
            (
                "Cost against the threshold",
                CostThresholdDisplay(decided.cost_threshold_curve, chosen=decided.threshold),
                f"What a row would cost on average, were it taken for {evaluation.class_names[1]} from this "
                "probability on. The upright line is the threshold of this policy; where it is not near the "
                "lowest point, the costs are others than were meant, or the probabilities can't be believed.",
            )
        )
    if decided is not None and decided.set_sizes is not None:
        drawn.append(
            (
                "Sizes of the prediction sets",
                SetSizeDisplay(decided.set_sizes),
                "A set of one class is an answer, of several a short list; an empty set fits no class.",
            )
        )
    drawn += _ranking_plates(evaluation)
    size = {"width": 7.2, "height": 3.6} if len(drawn) == 1 else {}  # alone it is shown larger, not its text
    return [_plate(*plate, **size) for plate in drawn]


def _ranking_plates(evaluation: "Evaluation") -> list[tuple[str, Display, str]]:
    """How well the second of two classes is told from the first, at every threshold."""
    final = evaluation.final
    if final.roc is None or final.precision_recall is None:
        return []
    name = evaluation.class_names[1]
    return [
        (
            "False alarms and what is found",
            RocDisplay(final.roc),
            f"Lower the threshold on the probability of {name}, and more of its rows are found, but more "
            "others are taken for it (ROC). On the dashed line the scores say nothing.",
        ),
        (
            "Precision and recall",
            PrecisionRecallDisplay(final.precision_recall),
            f"The more rows of {name} are found, the fewer of the rows taken for it are of it. On the dashed "
            "line rows are taken at random.",
        ),
    ]


def _listed_groups(evaluation: "Evaluation") -> list[GroupCoverage]:
    """The groups of the prediction sets, or where there are too many the ones covered worst."""
    groups = () if evaluation.decided is None else evaluation.decided.set_groups
    if len(groups) <= _MOST_LISTED:
        return list(groups)
    return sorted(groups, key=lambda group: group.covered / group.rows)[:_MOST_LISTED]


def _compared_groups(evaluation: "Evaluation") -> list[GroupFigures]:
    """The groups of rows in their order, or where there are too many those recognised worst."""
    groups = () if evaluation.groups is None else evaluation.groups.groups
    if len(groups) <= _MOST_LISTED:
        return list(groups)
    return sorted(groups, key=lambda group: group.accuracy.value)[:_MOST_LISTED]


def _class_plates(evaluation: "Evaluation") -> list[Plate]:
    classes = len(evaluation.class_names)
    if classes > _MOST_CLASSES_DRAWN:
        return []
    side = min(8.4, max(4.0, 2.2 + 0.36 * classes))
    display = ConfusionDisplay(evaluation.confusion, class_names=evaluation.class_names)
    caption = (
        "Each row holds the rows of one true class, each column those called by one name; off the diagonal "
        "are mistakes."
    )
    return [_plate("Confusion matrix", display, caption, width=side, height=side)]


def _listed_classes(evaluation: "Evaluation") -> list[Any]:
    """All classes in order, or of too many the misstated ones and those recognised worst."""
    classes = list(zip(evaluation.classes, evaluation.class_calibration, strict=True))
    if len(classes) <= _MOST_LISTED:
        return classes
    listed = [pair for pair in classes if pair[0].rows or pair[1].misstated]
    return sorted(listed, key=lambda pair: (not pair[1].misstated, pair[0].recall))[:_MOST_LISTED]


def _origins(provenance: Provenance) -> list[tuple[str, Origin]]:
    """Name what the evaluation was made of; of many files the first ones."""
    model = [] if provenance.model is None else [("Model", provenance.model)]
    policy = [] if provenance.policy is None else [("Policy", provenance.policy)]
    files = [("Rows", origin) for origin in provenance.files[:_MOST_FILES]]
    more = len(provenance.files) - len(files)
    if more:
        files.append(("Rows", Origin(f"{more:,} more files; the JSON has them all")))
    return [*model, *files, *policy]


def _confusions(evaluation: "Evaluation") -> list[dict[str, Any]]:
    """The most frequent mistakes."""
    truth, predicted, rows = evaluation.confusions
    mistaken = truth != predicted
    wrong = [part[mistaken] for part in (truth, predicted, rows)]
    most = np.argsort(-wrong[2], kind="stable")[:_CONFUSIONS]
    return [
        {
            "truth": evaluation.class_names[one],
            "predicted": evaluation.class_names[other],
            "rows": count.item(),
            "share": count / wrong[2].sum(),
        }
        for one, other, count in zip(*(part[most] for part in wrong), strict=True)
    ]
