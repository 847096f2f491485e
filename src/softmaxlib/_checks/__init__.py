"""Checks of arguments: each rule and its message are written once, for every front end."""

from .activation import Activation, check_activation, check_foreign_dtype, check_result_dtype
from .choices import check_choice, check_flag, check_sequence
from .class_labels import check_labels, name_classes
from .columns import classes_of_columns
from .index_targets import BoolArray, check_ignore_index, check_index_target, check_label_dtype
from .label_table import LabelTable, check_label_table, check_label_values, name_labels
from .linear_layer import check_layer_shapes, rows_of_logits
from .logits import (
    as_float_array,
    check_logits,
    check_probabilities,
    check_rows,
    check_sink,
    described_shape,
    find_improbable,
    first_wrong,
    refuse_improbable,
    refuse_infinite,
    sum_tolerance,
    tolerance_of,
)
from .look_alikes import are_known, known_logits, look_like_probabilities, warn_of_probabilities
from .numbers import (
    LARGEST_REPETITIONS,
    Reduction,
    check_integer,
    check_label_smoothing,
    check_memory_budget,
    check_nonnegative,
    check_positive,
    check_real,
    check_reduction,
    check_share,
    check_softcap,
)
from .places import first_place, written_place
from .random_state import RandomState, check_random_state
from .row_groups import RowGroups, group_array, name_groups
from .row_ids import check_row_ids
from .row_numbers import check_known_row_numbers, check_order, check_temperature, row_operand_shape
from .row_order import warn_of_row_order
from .targets import (
    check_distribution,
    check_known_target,
    check_loss_shapes,
    check_target_shape,
    row_shape,
    rows_of_classes,
)
from .weights import (
    check_batch_weight,
    check_class_weight,
    check_class_weight_shape,
    check_known_class_weight,
    check_sample_weight,
)

__all__ = [
    "LARGEST_REPETITIONS",
    "Activation",
    "BoolArray",
    "LabelTable",
    "RandomState",
    "Reduction",
    "RowGroups",
    "are_known",
    "as_float_array",
    "check_activation",
    "check_batch_weight",
    "check_choice",
    "check_class_weight",
    "check_class_weight_shape",
    "check_distribution",
    "check_flag",
    "check_foreign_dtype",
    "check_ignore_index",
    "check_index_target",
    "check_integer",
    "check_known_class_weight",
    "check_known_row_numbers",
    "check_known_target",
    "check_label_dtype",
    "check_label_smoothing",
    "check_label_table",
    "check_label_values",
    "check_labels",
    "check_layer_shapes",
    "check_logits",
    "check_loss_shapes",
    "check_memory_budget",
    "check_nonnegative",
    "check_order",
    "check_positive",
    "check_probabilities",
    "check_random_state",
    "check_real",
    "check_reduction",
    "check_result_dtype",
    "check_row_ids",
    "check_rows",
    "check_sample_weight",
    "check_sequence",
    "check_share",
    "check_sink",
    "check_softcap",
    "check_target_shape",
    "check_temperature",
    "classes_of_columns",
    "described_shape",
    "find_improbable",
    "first_place",
    "first_wrong",
    "group_array",
    "known_logits",
    "look_like_probabilities",
    "name_classes",
    "name_groups",
    "name_labels",
    "refuse_improbable",
    "refuse_infinite",
    "row_operand_shape",
    "row_shape",
    "rows_of_classes",
    "rows_of_logits",
    "sum_tolerance",
    "tolerance_of",
    "warn_of_probabilities",
    "warn_of_row_order",
    "written_place",
]
