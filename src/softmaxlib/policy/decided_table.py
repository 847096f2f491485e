"""Decisions as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .._arrays import Array, FloatArray
from ..decisions import Rule
from .judging import Judgement, Wanted

if TYPE_CHECKING:
    from .deciding_policy import DecidingPolicy


def decided_table(
    policy: "DecidingPolicy", values: FloatArray, groups: Array | None, others: pa.Table
) -> pa.Table:
    """Decide rows, and return a table with one row per decision, with the columns of `others`.

    Of no rows the columns are still to be known: a row is made up for them, and dropped.
    """
    count, classes = values.shape
    if not count:
        values = np.full((1, classes), 1 / classes if policy.input == "probabilities" else 0.0, values.dtype)
        groups = None if groups is None else np.array(policy.rule.known_groups)[:1]
    judged = policy.judge(
        values,
        probabilities=policy.input == "probabilities",
        groups=groups,
        wanted=Wanted(most_likely=True),
    )
    decided = decided_columns(policy.rule, judged, values.dtype, policy.class_names_)
    return with_input(decided.slice(0, count), others)


def decided_columns(
    rule: Rule, judged: Judgement, dtype: npt.DTypeLike, class_names: Sequence[str]
) -> pa.Table:
    """Return one row per decision: predicted, probability, decision, abstained, and columns of the rule.

    Probabilities are written in the precision of what was decided, `dtype`; a name stands once, however many
    rows have it.
    """
    names = pa.array(list(class_names), pa.string())
    actions = pa.array(list(rule.name_actions(class_names)), pa.string())
    decision = judged.decision
    columns: dict[str, Any] = {
        "predicted": pa.DictionaryArray.from_arrays(pa.array(judged.most_likely), names),
        "probability": pa.array(decision.confidence.astype(dtype, copy=False)),
        "decision": pa.DictionaryArray.from_arrays(
            pa.array(decision.action.astype(np.int32), mask=decision.abstained), actions
        ),
        "abstained": pa.array(decision.abstained),
    }
    for name, values in rule.table_columns(decision).items():
        columns[name] = pa.array(values) if values.ndim == 1 else _lists_of_classes(values, names)
    return pa.table(columns)


def with_input(decided: pa.Table, others: pa.Table) -> pa.Table:
    """Join decisions and the input's other columns. A name that is taken becomes ``input_<name>``."""
    for field, column in zip(others.schema, others.columns, strict=True):
        free = field.name
        while free in decided.column_names:
            free = f"input_{free}"
        decided = decided.append_column(field.with_name(free), column)
    return decided


def _lists_of_classes(sets: npt.NDArray[np.bool_], names: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(sets.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names.take(pa.array(np.nonzero(sets)[1])))
