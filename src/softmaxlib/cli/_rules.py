"""A decision rule and a calibration, from what was said on the command line."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import calibration, decisions
from ..errors import InvalidInputError
from ._cost_file import read_cost
from ._csv_format import CsvFormat
from ._selection import listed

CALIBRATIONS = {
    "none": "Identity",
    "temperature": "TemperatureScaling",
    "vector": "VectorScaling",
    "matrix": "MatrixScaling",
    "isotonic": "IsotonicScaling",
    "histogram": "HistogramBinning",
    "auto": "Auto",
}


def calibration_named(name: str) -> calibration.Calibration:
    """The calibration of that name on the command line."""
    if name not in CALIBRATIONS:
        raise InvalidInputError(f"--calibration must be one of {', '.join(CALIBRATIONS)}, got {name!r}")
    return getattr(calibration, CALIBRATIONS[name])()


def chosen_rule(class_names: Sequence[str], form: CsvFormat, **options: Any) -> Any:
    """The rule that the given options belong to; options of two rules contradict each other.

    Parameters
    ----------
    class_names : sequence of str
        In the order of the logits' columns.
    form : CsvFormat
        How a file of costs is written.
    options
        ``cost`` (a path) and ``abstain_cost``; ``risk`` and ``confidence``; ``alpha``, ``score``,
        ``groups`` (a column) and ``per_class``; ``top``; ``threshold``. None where not given.
    """
    makers = {
        ("cost", "abstain_cost"): _minimum_cost,
        ("risk", "confidence"): _selective_risk,
        ("alpha", "score", "groups", "per_class"): _prediction_sets,
        ("top",): _top,
        ("threshold",): _threshold,
    }
    wanted = [names for names in makers if any(options[name] is not None for name in names)]
    if len(wanted) > 1:
        first, second = (_spelled(names, options) for names in wanted[:2])
        raise InvalidInputError(
            f"{first} and {second} belong to two different decision rules; give one of them"
        )
    if not wanted:
        return decisions.MostLikely()
    return makers[wanted[0]](class_names, {**options, "form": form})


def _spelled(names: Sequence[str], options: dict[str, Any]) -> str:
    return "--" + next(name for name in names if options[name] is not None).replace("_", "-")


def _minimum_cost(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    cost, action_names = 1 - np.eye(len(class_names)), None
    if options["cost"] is not None:
        cost, action_names = read_cost(options["cost"], class_names, options["form"])
    abstain_cost = options["abstain_cost"]
    if abstain_cost is not None and abstain_cost < cost.min():
        raise InvalidInputError(
            f"--abstain-cost must not be below the least cost, {cost.min():g}, got {abstain_cost:g}: every "
            "row would be set aside; give what a human's look costs, in the unit of --cost"
        )
    return decisions.MinimumCost(cost, abstain_cost, action_names)


def _selective_risk(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    if options["risk"] is None:
        raise InvalidInputError("--confidence needs --risk, the largest share of wrong decisions to allow")
    confidence = 0.95 if options["confidence"] is None else options["confidence"]
    return decisions.SelectiveRisk(options["risk"], confidence)


def _prediction_sets(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    if options["alpha"] is None:
        given = _spelled(("score", "groups", "per_class"), options)
        raise InvalidInputError(
            f"{given} needs --alpha, the largest share of sets that may miss the true class"
        )
    if options["groups"] is not None and options["per_class"] is not None:
        raise InvalidInputError("--groups and --per-class are two ways to group the rows; give one of them")
    groups = "rows" if options["groups"] is not None else "class" if options["per_class"] else None
    return decisions.PredictionSets(options["score"] or "lac", options["alpha"], groups=groups)


def _top(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    return decisions.TopK(options["top"])


def _threshold(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    given = str(options["threshold"])
    if _is_number(given):
        return decisions.Threshold(float(given))
    parts = [part.rpartition("=") for part in given.split(",")]
    names = [name.strip() for name, _, _ in parts]
    wrong = [value for _, _, value in parts if not _is_number(value)]
    if wrong or sorted(names) != sorted(class_names):
        raise InvalidInputError(
            "--threshold must be one number, or NAME=NUMBER for each class, separated by commas: "
            f"{listed([f'{name}=0.5' for name in class_names])}; got {given!r}"
        )
    numbers = {name: float(value) for name, (_, _, value) in zip(names, parts, strict=True)}
    return decisions.Threshold([numbers[name] for name in class_names])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
