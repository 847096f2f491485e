"""Record batches of Arrow decided one by one, as engines that hand out such batches want it."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from .._tables.class_columns import ClassColumns
from .._tables.row_columns import encode_groups
from .._tables.scores import order_of_scores, refuse_positive, rows_of_scores
from .._tables.selection import Selection
from ..errors import UnsupportedTypeError
from .decided_table import decided_table
from .table_checks import check_distributions, check_finite

if TYPE_CHECKING:
    from .deciding_policy import DecidingPolicy

_PLACE = "the stream of record batches"
_ADVICE = "divide each row by its sum, or fit the policy on logits if these are logits"


def decided_batches(
    policy: "DecidingPolicy", batches: Iterable[pa.RecordBatch], selection: Selection
) -> Iterator[pa.RecordBatch]:
    """Yield the decisions of each batch beside its other columns; rows are counted over all batches."""
    first_row, schema, columns = 0, None, None
    for batch in batches:
        if not isinstance(batch, pa.RecordBatch):
            raise UnsupportedTypeError(
                f"record_batches must hold a pyarrow.RecordBatch at each place, got {type(batch).__name__}; "
                "pass [batch] for one, and table.to_batches() for a table"
            )
        if columns is None or batch.schema != schema:
            schema = batch.schema
            columns = ClassColumns(schema, selection, _PLACE)
            if not columns.class_names:
                columns.count_classes(columns.length_of_first_list(batch) or len(policy.class_names_))
        values = columns.matrix(batch, first_row)
        check_finite(values, selection.kind, _PLACE, first_row, columns.name_of)
        if columns.is_score:
            scores, where = values[:, 0], columns.name_of(0)
            values = rows_of_scores(scores, selection, _PLACE, where, first_row)
            order = order_of_scores(_PLACE, selection, policy.class_names_, "the policy")
        else:
            refuse_positive(_PLACE, selection, len(columns.class_names))
            order = columns.order_of(policy.class_names_, "the policy")
            if selection.kind == "probabilities":
                check_distributions(values, _PLACE, first_row, _ADVICE)
        groups = None
        if selection.groups is not None:
            where = f"{_PLACE}: column {selection.groups!r}"
            known = policy.rule.known_groups
            groups = encode_groups(batch.column(selection.groups), known, where, first_row)
        others = pa.Table.from_batches([batch]).select(columns.others)
        decided = decided_table(policy, values if order is None else values[:, order], groups, others)
        yield _as_batch(decided)
        first_row += batch.num_rows


def _as_batch(table: pa.Table) -> pa.RecordBatch:
    """Return one batch. The policy's columns are strings, because engines do not read categories."""
    columns = [_plain(column.combine_chunks()) for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, names=table.column_names)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
