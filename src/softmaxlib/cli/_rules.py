"""A decision rule and a calibration, from what was said on the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from .. import calibration, decisions
from .._arrays import FloatArray
from ..errors import FileFormatError, InvalidInputError
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


def chosen_rule(class_names: Sequence[str], **options: Any) -> Any:
    """The rule that the given options belong to; options of two rules contradict each other.

    Parameters
    ----------
    class_names : sequence of str
        In the order of the logits' columns.
    options
        ``cost`` (a path) and ``abstain_cost``, ``risk`` and ``confidence``, ``alpha`` and ``score``,
        ``top``, ``threshold``; None where not given.
    """
    makers = {
        ("cost", "abstain_cost"): _minimum_cost,
        ("risk", "confidence"): _selective_risk,
        ("alpha", "score"): _prediction_sets,
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
    return makers[wanted[0]](class_names, options)


def _spelled(names: Sequence[str], options: dict[str, Any]) -> str:
    return "--" + next(name for name in names if options[name] is not None).replace("_", "-")


def _minimum_cost(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    if options["cost"] is None:
        cost = 1 - np.eye(len(class_names))
    else:
        cost = read_cost(options["cost"], class_names)
    return decisions.MinimumCost(cost, abstain_cost=options["abstain_cost"])


def _selective_risk(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    if options["risk"] is None:
        raise InvalidInputError("--confidence needs --risk, the largest share of wrong decisions to allow")
    confidence = 0.95 if options["confidence"] is None else options["confidence"]
    return decisions.SelectiveRisk(options["risk"], confidence)


def _prediction_sets(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    if options["alpha"] is None:
        raise InvalidInputError(
            "--score needs --alpha, the largest share of sets that may miss the true class"
        )
    return decisions.PredictionSets(options["score"] or "lac", options["alpha"])


def _top(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    return decisions.TopK(options["top"])


def _threshold(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    return decisions.Threshold(options["threshold"])


def read_cost(path: Path, class_names: Sequence[str]) -> FloatArray:
    """The cost matrix of a CSV file: a row a true class, a column a decision, class names on both sides.

    The first column names the true class of each row, the header the class decided; either may be in any
    order.
    """
    if not path.is_file():
        raise FileFormatError(f"{path} does not exist; --cost names a CSV file with a row a true class")
    try:
        table = pyarrow.csv.read_csv(
            path, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False, null_values=[])
        )
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as CSV: {error}") from None
    truths = [str(name) for name in table.column(0).to_pylist()]
    actions = table.column_names[1:]
    for side, names in (("its first column", truths), ("its header", actions)):
        if sorted(names) != sorted(class_names):
            raise FileFormatError(
                f"{path}: {side} must name each class once, {listed(class_names)}; got {listed(names)}"
            )
    return np.array(
        [[_cost(table, path, truths, truth, action) for action in class_names] for truth in class_names]
    )


def _cost(table: pa.Table, path: Path, truths: list[str], truth: str, action: str) -> float:
    value = table.column(action)[truths.index(truth)].as_py()
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise FileFormatError(
            f"{path}: a cost must be a finite number, got {value!r} for truth {truth!r}, decision {action!r}"
        )
    return number
