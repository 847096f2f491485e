"""Decisions as a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..decisions import Rule
from .judging import Judgement


def decided_columns(
    rule: Rule, judged: Judgement, dtype: npt.DTypeLike, class_names: Sequence[str]
) -> pa.Table:
    """One row a decision: label, probability, decision, abstained, and what else the rule writes.

    Probabilities are written in the precision of what was decided, `dtype`; a name stands once, however many
    rows have it.
    """
    names = pa.array(list(class_names), pa.string())
    actions = pa.array(list(rule.name_actions(class_names)), pa.string())
    decision = judged.decision
    columns: dict[str, Any] = {
        "label": pa.DictionaryArray.from_arrays(pa.array(judged.most_likely), names),
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
    """The decisions beside the input's other columns; one whose name is taken is called ``input_<name>``."""
    for field, column in zip(others.schema, others.columns, strict=True):
        free = field.name
        while free in decided.column_names:
            free = f"input_{free}"
        decided = decided.append_column(field.with_name(free), column)
    return decided


def _lists_of_classes(sets: npt.NDArray[np.bool_], names: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(sets.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names.take(pa.array(np.nonzero(sets)[1])))
