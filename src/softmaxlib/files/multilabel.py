"""Rows of a multi-label model in files: a column per label for the logits, and one for the truth.

Labelled rows are held in memory; rows to be decided are read batch by batch. Everything is done in one
process.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .._arrays import FloatArray
from .._checks import RandomState, check_label_table
from .._spelling import argument
from .._tables.class_columns import holds_lists, order_of
from .._tables.row_columns import encode_weights
from .._tables.selection import Selection
from .._text import quoted
from ..calibration import Calibration
from ..decisions import Rule
from ..errors import InvalidInputError
from ..policy import MultilabelAudit, MultilabelPolicy
from ..policy.decided_table import with_input
from ..policy.table_checks import check_finite
from ..report import MultilabelEvaluation, evaluate_multilabel
from ..report.provenance import Origin
from .csv_format import CsvFormat
from .deciding import Counts, SameColumns
from .formats import ending_of
from .location import Location
from .logit_table import BATCH_VALUES, open_source
from .part import Part, origin_of
from .reading import Progress
from .sinks import check_format, open_writer
from .source import Source, parts_of

_ARRAYS = (".npy", ".npz")
_CELLS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "": np.nan, "nan": np.nan}


@dataclass(frozen=True)
class LabelFiles:
    """The settings for reading files of a multi-label model.

    Attributes
    ----------
    source : str, path or sequence of these
        See `files.decide`.
    selection : Selection
        The columns of the logits (``logit_*``), and of the weights.
    label : str
        The columns of the truth, names or patterns (``truth_*``), called after the labels; or one column of
        lists of names.
    form : CsvFormat
        How text files are written.
    """

    source: Source
    selection: Selection
    label: str = ""
    form: CsvFormat = CsvFormat()  # noqa: RUF009  (it can't be changed)


@dataclass(frozen=True)
class LabelRows:
    """Rows in memory: values (rows, labels), truth (rows, labels) with NaN where it is unknown, weights."""

    values: FloatArray
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64] | None
    class_names: tuple[str, ...]


def fit_multilabel(
    given: LabelFiles,
    calibration: Calibration,
    rule: Callable[[Sequence[str]], Rule | Mapping[str, Rule]],
    *,
    random_state: RandomState = 0,
    progress: Progress | None = None,
) -> MultilabelPolicy:
    """Fit a calibration and a rule for each label on the rows of some files; `rule` takes their names."""
    rows = read_labelled(given, progress=progress)
    return MultilabelPolicy(calibration, rule(rows.class_names)).fit(
        rows.values,
        rows.labels,
        probabilities=given.selection.kind == "probabilities",
        class_names=rows.class_names,
        sample_weight=rows.weights,
        random_state=random_state,
    )


def evaluate_files(
    given: LabelFiles,
    policy: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MultilabelEvaluation:
    """Judge a multi-label model, and the policy of a file with it, on the rows of some files."""
    fitted = None if policy is None else MultilabelPolicy.load(policy)
    with parts_of(given.source) as parts:
        rows = _rows_of(parts, given, fitted, progress)
        origins = tuple(map(origin_of, parts))
    evaluation = evaluate_multilabel(
        rows.values,
        rows.labels,
        policy=fitted,
        class_names=rows.class_names,
        probabilities=given.selection.kind == "probabilities",
        sample_weight=rows.weights,
        model=model,
    )
    provenance = replace(evaluation.provenance, files=origins)
    if policy is not None:
        provenance = replace(provenance, policy=Origin.of_file(policy))
    return replace(evaluation, provenance=provenance)


def audit_files(
    given: LabelFiles,
    policy: MultilabelPolicy,
    *,
    significance: float = 0.05,
    progress: Progress | None = None,
) -> MultilabelAudit:
    """Test on the rows of some files whether a policy's promises still hold."""
    rows = read_labelled(given, policy, progress)
    return policy.audit(
        rows.values,
        rows.labels,
        probabilities=policy.input == "probabilities",
        sample_weight=rows.weights,
        significance=significance,
    )


def decide_files(
    given: LabelFiles,
    policy: MultilabelPolicy,
    target: str | os.PathLike[str],
    format: str | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Decide each label of the rows of some files, and write one file, whole or not at all.

    Another `format` than that of its ending is refused.

    The columns are ``labels`` (a list of names); for each label its probability, the decision (null where it
    is set aside) and, if the rules have one, the expected cost; and each input column that is not a logit.
    """
    place = Location(target)
    ending = check_format(place, format)
    rows = aside = 0
    with (
        parts_of(given.source) as parts,
        place.written_whole() as file,
        open_writer(place, ending, file) as write,
    ):
        writer = SameColumns(write, place)
        for part in parts:
            for values, _, others, _ in _batches(part, given, policy.class_names_):
                decided, count = _decided_table(policy, values)
                writer(with_input(decided, others), part)
                rows, aside = rows + len(values), aside + count
                if progress is not None:
                    progress(len(values), None)
    return Counts(rows, rows - aside, aside, len(parts))


def read_labelled(
    given: LabelFiles, policy: MultilabelPolicy | None = None, progress: Progress | None = None
) -> LabelRows:
    """Read all rows of some files, with their labels in the order of the logits."""
    with parts_of(given.source) as parts:
        return _rows_of(parts, given, policy, progress)


def _rows_of(
    parts: Sequence[Part], given: LabelFiles, policy: MultilabelPolicy | None, progress: Progress | None
) -> LabelRows:
    names = None if policy is None else policy.class_names_
    values, labels, weights = [], [], []
    for part in parts:
        names = names or open_source(part, given.selection, given.form).class_names
        if not names:  # lists of logits, and no row to tell their length
            continue
        for batch, named, others, first_row in _batches(part, given, names):
            if not len(batch):
                continue
            values.append(batch)
            labels.append(_truth(others, given.label, names, part, first_row))
            if "weight" in named:
                where = f"{part.location}: column {given.selection.weight!r}"
                weights.append(encode_weights(named["weight"], where, first_row))
            if progress is not None:
                progress(len(batch), None)
    if names is None or not sum(map(len, values)):
        raise InvalidInputError("the source has no rows; at least one is needed")
    joined = np.concatenate(weights) if weights else None
    return LabelRows(np.concatenate(values), np.concatenate(labels), joined, names)


def _batches(
    part: Part, given: LabelFiles, names: Sequence[str]
) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table, int]]:
    """Yield checked values in the order of the names, row columns, other columns, and the first row.

    Of a file without rows, one batch without any.
    """
    source = open_source(part, given.selection, given.form, len(names))
    order = order_of(part.location, source.class_names, source.named, tuple(names), "the policy")
    first_row = part.first_row
    for values, named, others in source.batches(max(1, BATCH_VALUES // len(names))):
        _check(values, given.selection.kind, part, first_row, source)
        yield values if order is None else values[:, order], named, others, first_row
        first_row += len(values)


def _check(values: FloatArray, kind: str, part: Part, first_row: int, source: Any) -> None:
    check_finite(values, kind, part.location, first_row, source.place)
    wrong = (values < 0) | (values > 1)
    if kind == "probabilities" and wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InvalidInputError(
            f"{part.location}: {kind} must lie between 0 and 1, got {values[row, column]} in row "
            f"{first_row + row} (counted from 0), {source.place(int(column))}; "
            "drop the row or repair the model that produced it"
        )


def _truth(
    others: pa.Table, label: str, names: Sequence[str], part: Part, first_row: int
) -> npt.NDArray[np.float64]:
    """Return the truth of each label in the order of the names, NaN where it is unknown."""
    found = _label_columns(others, label, names, part)
    if len(found) == 1 and holds_lists(others.column(next(iter(found))).type):
        column = next(iter(found))
        try:
            table = check_label_table(others.column(column).to_pylist(), (len(others), len(names)), names)
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{part.location}: column {column!r}: {error} (rows from {first_row} on)"
            ) from None
        return np.where(table.known, table.truth, np.nan)
    by_name = {name: column for column, name in found.items()}
    cells = [_cells(others.column(by_name[name]), by_name[name], part, first_row) for name in names]
    return np.stack(cells, axis=1)


def _label_columns(others: pa.Table, label: str, names: Sequence[str], part: Part) -> dict[str, str]:
    """Map each column that holds the truth to its label."""
    if ending_of(part.location.path)[0] in _ARRAYS:
        raise InvalidInputError(
            f"{part.location} holds arrays, whose columns have no names, and the truth of a multi-label "
            "model is in columns called after the labels; use Parquet, CSV or Arrow, or MultilabelPolicy in "
            "Python"
        )
    if not label.strip():
        raise InvalidInputError(
            f"{argument('label')} must name the columns of the truth, got {label!r}; pass such as 'truth_*'"
        )
    chosen = Selection(columns=label).patterns
    available = others.column_names
    if len(chosen) == 1 and chosen[0] in available and holds_lists(others.column(chosen[0]).type):
        return {chosen[0]: chosen[0]}
    found = Selection(columns=label).match(part.location, available)
    if not set(found.values()) >= set(names):
        raise InvalidInputError(
            f"{part.location}: the columns of the truth must be called after the labels {quoted(names)}, got "
            f"{quoted(list(found.values()))}; name them with {argument('label')}, such as "
            f"{argument('label', 'truth_*')} for columns truth_NAME"
        )
    return found


def _cells(column: pa.ChunkedArray, name: str, part: Part, first_row: int) -> npt.NDArray[np.float64]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [None if one is None else one.strip().lower() for one in column.to_pylist()]
        for row, text in enumerate(texts):
            if text is not None and text not in _CELLS:
                raise _no_cell(text, name, part, first_row + row)
        return np.array([np.nan if text is None else _CELLS[text] for text in texts])
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise _no_cell(kind, name, part, first_row)
    cells = column.cast(pa.float64()).to_numpy()
    wrong = ~np.isnan(cells) & (cells != 0) & (cells != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise _no_cell(cells[row], name, part, first_row + row)
    return cells


def _no_cell(value: object, name: str, part: Part, row: int) -> InvalidInputError:
    return InvalidInputError(
        f"{part.location}: a label must be 0 or 1 (false or true), or empty where it is not known; got "
        f"{value} in row {row} (counted from 0), column {name!r}"
    )


def _decided_table(policy: MultilabelPolicy, values: FloatArray) -> tuple[pa.Table, int]:
    """Return the table of decisions, and the number of rows with a label that is set aside.

    Of no rows the columns are still to be known: a row is made up for them, and dropped.
    """
    count = len(values)
    values = values if count else np.zeros((1, len(policy.class_names_)), values.dtype)
    decision = policy.decide(values, probabilities=policy.input == "probabilities")
    columns: dict[str, Any] = {"labels": pa.array(decision.labels.tolist(), pa.list_(pa.string()))}
    for k, name in enumerate(policy.class_names_):
        columns[f"probability_{name}"] = pa.array(decision.probability[:, k])
        columns[f"decision_{name}"] = pa.array(decision.action[:, k] == 1, mask=decision.abstained[:, k])
        if decision.expected_cost is not None:
            columns[f"expected_cost_{name}"] = pa.array(decision.expected_cost[:, k])
    aside = decision.abstained[:count].any(axis=1).sum()
    return pa.table(columns).slice(0, count), int(aside)
