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


_COST_FILE = "write a row a true class and a column a decision: truth,cat,dog / cat,0,1 / dog,5,0"


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
    return makers[wanted[0]](class_names, options)


def _spelled(names: Sequence[str], options: dict[str, Any]) -> str:
    return "--" + next(name for name in names if options[name] is not None).replace("_", "-")


def _minimum_cost(class_names: Sequence[str], options: dict[str, Any]) -> Any:
    cost, action_names = 1 - np.eye(len(class_names)), None
    if options["cost"] is not None:
        cost, action_names = read_cost(options["cost"], class_names)
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


def read_cost(path: Path, class_names: Sequence[str]) -> tuple[FloatArray, tuple[str, ...] | None]:
    """The cost matrix of a CSV file: a row a true class, a column a decision; and what the decisions are.

    The first column names the true class of each row, the header the decisions: the classes, in any order, or
    actions that are no classes, in the order that they are to have. The names are None for classes.
    """
    if not path.is_file():
        raise FileFormatError(f"{path} does not exist; --cost names a CSV file with a row a true class")
    try:
        table = pyarrow.csv.read_csv(
            path, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False, null_values=[])
        )
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as CSV: {error}; {_COST_FILE}") from None
    truths = [str(name) for name in table.column(0).to_pylist()]
    actions = table.column_names[1:]
    if sorted(truths) != sorted(class_names):
        raise FileFormatError(
            f"{path}: its first column must name each class once, {listed(class_names)}; got "
            f"{listed(truths)}; {_COST_FILE}"
        )
    if not actions or len(set(actions)) < len(actions):
        raise FileFormatError(
            f"{path}: its header must name each decision once, got {listed(actions)}; {_COST_FILE}"
        )
    own = sorted(actions) != sorted(class_names)
    if set(actions) & set(class_names) and not set(actions) >= set(class_names):
        raise FileFormatError(
            f"{path}: its header must name each class once, {listed(class_names)}, or actions that are no "
            f"classes; got {listed(actions)}; {_COST_FILE}"
        )
    columns = tuple(actions) if own else tuple(class_names)
    cost = [[_cost(table, path, truths, truth, action) for action in columns] for truth in class_names]
    return np.array(cost), columns if own else None


def _cost(table: pa.Table, path: Path, truths: list[str], truth: str, action: str) -> float:
    value = table.column(action)[truths.index(truth)].as_py()
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise FileFormatError(
            f"{path}: a cost must be a finite number, got {value!r} for truth {truth!r}, decision {action!r};"
            " fill the cell in, with a large number for what must never happen"
        )
    return number
