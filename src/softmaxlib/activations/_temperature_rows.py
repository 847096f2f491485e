"""Run a kernel of one temperature on rows with different temperatures."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import Activation

Kernel = Callable[..., Any]


def run_by_temperature(kernel: Kernel, call: Activation, sink: npt.NDArray[np.float64] | None = None) -> Any:
    """Run the kernel once per distinct temperature. Each row gets the bits that it has alone.

    Parameters
    ----------
    kernel : callable
        Function of x, axis, temperature, where, dtype, out and sink. Its result has the shape of x.
    """
    if isinstance(call.temperature, float):
        return kernel(call.x, call.axes, call.temperature, call.where, call.dtype, call.out, sink)
    values, group = np.unique(call.temperature, return_inverse=True)
    if values.size == 1:
        return kernel(call.x, call.axes, float(values[0]), call.where, call.dtype, call.out, sink)
    group = group.reshape(-1)
    own = np.dtype(np.float64) if call.x.dtype.kind in "iu" else call.x.dtype.newbyteorder("=")
    last = tuple(range(-len(call.axes), 0))
    x, where = (
        None if array is None else np.moveaxis(array, call.axes, last)
        for array in (np.array(call.x), call.where)
    )
    assert x is not None
    shape, rows = x.shape, group.size
    x = x.reshape(rows, -1)
    where = None if where is None else where.reshape(rows, -1)
    sink = None if sink is None else sink.reshape(rows, 1)
    result = np.empty(x.shape, own if call.dtype is None else call.dtype)
    for number, temperature in enumerate(values):
        mine = np.flatnonzero(group == number)
        result[mine] = kernel(
            x[mine],
            -1,
            float(temperature),
            None if where is None else where[mine],
            call.dtype,
            None,
            None if sink is None else np.ascontiguousarray(np.broadcast_to(sink[mine], (mine.size, 1))),
        )
    moved = np.moveaxis(result.reshape(shape), last, call.axes)
    if call.out is None:
        return np.ascontiguousarray(moved)
    call.out[...] = moved
    return call.out
