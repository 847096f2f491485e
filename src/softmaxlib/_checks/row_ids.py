"""The identifier of each row, by which a person finds it again."""

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from ..errors import InvalidInputError
from .row_texts import row_texts, without_floats


def check_row_ids(row_ids: Array, rows: int) -> npt.NDArray[np.object_]:
    """Return the identifiers of rows as texts (rows,); None where a row has none."""
    array = as_numpy(row_ids, "row_ids")
    if array.shape != (rows,):
        raise InvalidInputError(f"row_ids must hold one id a row, shape ({rows},), got shape {array.shape}")
    array = without_floats(array)
    found = np.empty(rows, dtype=object)
    if array.dtype.kind in "iu":
        found[:] = [str(number) for number in array.tolist()]
    else:
        found[:] = row_texts(array, "row_ids", "id", may_be_missing=True)
    return found
