"""Arrays of any library: library, axes, dtypes, masks and outputs.

These questions are asked here alone. What is above receives checked arrays.
"""

from .axes import Axis, broadcasts_to, check_axis, check_same_shape
from .density import check_dense
from .dtypes import Operands, cast, check_real_dtype, dtype_name, real_operands
from .libraries import (
    Array,
    FloatArray,
    IntArray,
    as_like,
    as_numpy,
    bring,
    device_of,
    foreign_namespace,
    known_values,
    library_name,
    shaped_like,
    stop_gradient,
)
from .masks import check_mask, check_where, take_masks
from .outputs import allocator, check_out, refuse_out
from .two_columns import two_columns

__all__ = [
    "Array",
    "Axis",
    "FloatArray",
    "IntArray",
    "Operands",
    "allocator",
    "as_like",
    "as_numpy",
    "bring",
    "broadcasts_to",
    "cast",
    "check_axis",
    "check_dense",
    "check_mask",
    "check_out",
    "check_real_dtype",
    "check_same_shape",
    "check_where",
    "device_of",
    "dtype_name",
    "foreign_namespace",
    "known_values",
    "library_name",
    "real_operands",
    "refuse_out",
    "shaped_like",
    "stop_gradient",
    "take_masks",
    "two_columns",
]
