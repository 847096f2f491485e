"""The rows of the report's tables."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..decisions import GroupCoverage
from ..metrics.normal_mean import normal_interval
from .decided import Decided
from .formats import TOO_FEW, chance, number, ranged, share
from .groups import GroupFigures
from .provenance import Origin, Provenance

if TYPE_CHECKING:
    from .evaluation import Evaluation

_MOST_LISTED = 30
_CONFUSIONS = 12
_MOST_FILES = 8


def figure_rows(evaluation: "Evaluation") -> list[dict[str, Any]]:
    """Return the rows of key figures: name, orientation, before, after, and the uncertainty of the last."""
    final = evaluation.final
    figures = final.figures
    low, high = final.accuracy_interval
    chance_low, chance_high = final.chance_interval
    rows = figures.rows if evaluation.effective_rows is None else evaluation.effective_rows
    loss_interval = normal_interval(figures.log_loss, figures.log_loss_error, rows, least=0.0)
    drawn = "" if final.tested_error is None else f"{share(final.tested_error)} of the rows that were drawn; "
    whose = "of the most likely class; " if evaluation.decides_otherwise else ""
    listed = [
        ("accuracy", f"{whose}larger is better", share, f"95% interval {share(low)} to {share(high)}"),
        (
            "log_loss",
            "smaller is better, in nats",
            _four_decimals,
            _interval(loss_interval, _four_decimals),
        ),
        (
            "brier_score",
            "smaller is better, 0 to 2",
            _four_decimals,
            _interval(final.brier_interval, _four_decimals),
        ),
        (
            "calibration_error",
            "smaller is better",
            share,
            f"{drawn}by chance alone {ranged(share(chance_low), share(chance_high))}; p-value "
            f"{chance(final.calibration_p_value)}",
        ),
    ]
    table = [
        {
            "name": name.replace("_", " ").capitalize(),
            "orientation": orientation,
            "before": form(getattr(evaluation.before.figures, name)),
            "after": form(getattr(figures, name)),
            "known": known,
        }
        for name, orientation, form, known in listed
    ]
    decided = [] if evaluation.decided is None else _of_decisions(evaluation.decided)
    return table + [
        {"name": name, "orientation": orientation, "before": "", "after": after, "known": known}
        for name, orientation, after, known in decided
    ]


def _of_decisions(decided: Decided) -> list[tuple[str, str, str, str]]:
    """Return the rows of the policy's decisions: name, orientation, figure, and its uncertainty."""
    rows = [("Share decided", "the rest is handed over", share(decided.coverage), "")]
    if np.isfinite(decided.accuracy):
        words = "of the rows that the policy decides; larger is better"
        rows.append(
            ("Right decisions", words, share(decided.accuracy), _interval(decided.accuracy_interval, share))
        )
    if decided.set_coverage is not None:
        known = _interval(decided.set_coverage_interval, share)
        rows.append(("Sets that hold the truth", "as often as promised", share(decided.set_coverage), known))
    if decided.mean_cost is not None:
        known = _interval(decided.cost_interval, number)
        rows.append(("Cost of a row", "smaller is better", number(decided.mean_cost), known))
    return rows


def _four_decimals(value: float) -> str:
    return f"{value:.4f}"


def _interval(ends: tuple[float, float] | None, form: Callable[[float], str]) -> str:
    if ends is None:
        return ""
    if not np.isfinite(ends[0]):
        return TOO_FEW
    return f"95% interval {form(ends[0])} to {form(ends[1])}"


def listed_groups(evaluation: "Evaluation") -> list[GroupCoverage]:
    """Return the groups of the prediction sets; of too many, those with the lowest coverage."""
    groups = () if evaluation.decided is None else evaluation.decided.set_groups
    if len(groups) <= _MOST_LISTED:
        return list(groups)
    return sorted(groups, key=lambda group: group.covered / group.rows)[:_MOST_LISTED]


def compared_groups(evaluation: "Evaluation") -> list[GroupFigures]:
    """Return the groups of rows in their order; of too many, those with the lowest accuracy."""
    groups = () if evaluation.groups is None else evaluation.groups.groups
    if len(groups) <= _MOST_LISTED:
        return list(groups)
    return sorted(groups, key=lambda group: group.accuracy.value)[:_MOST_LISTED]


def listed_classes(evaluation: "Evaluation") -> list[Any]:
    """Return all classes in order; of too many, the misstated ones and those with the lowest recall."""
    classes = list(zip(evaluation.classes, evaluation.class_calibration, strict=True))
    if len(classes) <= _MOST_LISTED:
        return classes
    listed = [pair for pair in classes if pair[0].rows or pair[1].misstated]
    return sorted(listed, key=lambda pair: (not pair[1].misstated, pair[0].recall))[:_MOST_LISTED]


def decided_classes(evaluation: "Evaluation") -> dict[str, tuple[float, float]]:
    """Return what share of each class the policy finds, and how often it is right about it, by its name.

    Empty if it decides by the most likely class, and for actions that are not classes.
    """
    decided, classes = evaluation.decided, len(evaluation.class_names)
    if decided is None or decided.actions or not evaluation.decides_otherwise:
        return {}
    cells = decided.by_class
    of_truth, of_action, right = (np.zeros(classes) for _ in range(3))
    taken, agree = cells.action >= 0, cells.action == cells.truth
    np.add.at(of_truth, cells.truth, cells.rows)
    np.add.at(of_action, cells.action[taken], cells.rows[taken])
    right[cells.truth[agree]] = cells.rows[agree]
    with np.errstate(invalid="ignore"):  # 0 / 0: a class that never occurs, or is never decided
        found, precision = (right / of_truth).tolist(), (right / of_action).tolist()
    return dict(zip(evaluation.class_names, zip(found, precision, strict=True), strict=True))


def confusions(evaluation: "Evaluation") -> list[dict[str, Any]]:
    """Return the most frequent confusions."""
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


def origins(provenance: Provenance) -> list[tuple[str, Origin]]:
    """Return the names of model, files and policy; of many files, the first ones."""
    model = [] if provenance.model is None else [("Model", provenance.model)]
    policy = [] if provenance.policy is None else [("Policy", provenance.policy)]
    files = [("Rows", origin) for origin in provenance.files[:_MOST_FILES]]
    more = len(provenance.files) - len(files)
    if more:
        files.append(("Rows", Origin(f"{more:,} more files; the JSON has them all")))
    return [*model, *files, *policy]
