"""Triton's interpreter, mended: kernels decorated after this was imported run on CPU tensors.

The interpreter rounds a fused multiply-add twice, cuts off where it converts to bfloat16, and takes NaN for
the smaller of two numbers. Functions that do as a GPU does are put in their places.
"""

import functools
import math
import os

os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is decorated

import numpy as np
import torch
import triton
import triton.language as tl
from fused import fused
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter

jit = triton.jit  # for kernels of tests: Triton must be imported after the interpreter was chosen


def _create_fma(self, x, y, z):
    return interpreter.TensorHandle(fused(x.data, y.data, z.data), z.dtype.scalar)


def _create_fp_trunc(self, x, kind):
    if kind.scalar != tl.bfloat16:
        return self.cast_impl(x, kind)
    rounded = torch.from_numpy(np.ascontiguousarray(x.data)).to(torch.bfloat16).view(torch.int16).numpy()
    return interpreter.TensorHandle(rounded.view(np.uint16), tl.bfloat16)


def _create_minnumf(self, x, y):
    return self.binary_op(x, y, np.fmin)


def _create_maxnumf(self, x, y):
    return self.binary_op(x, y, np.fmax)


def _generic_reduce(self, inputs):
    """Combine halves, as a GPU does, in the place of one element after the other."""
    data = [np.moveaxis(x.handle.data, self.axis, 0) for x in inputs]
    while len(data[0]) > 1:
        half = len(data[0]) // 2
        parts = [one[:half] for one in data] + [one[half:] for one in data]
        parts = [self.to_tensor(part, x.dtype) for part, x in zip(parts, inputs * 2, strict=True)]
        combined = self.combine_fn.fn(*parts)
        combined = combined if isinstance(combined, tuple) else (combined,)
        data = [one.handle.data for one in combined]
    results = tuple(self.to_tensor(one[0], x.dtype) for one, x in zip(data, inputs, strict=True))
    return results if len(results) > 1 else results[0]


_dtype_of_scalar = functools.cache(interpreter._get_np_dtype)  # it builds a table at each call


def _get_np_dtype(kind):
    kind = kind.scalar
    return np.dtype(np.uint64) if isinstance(kind, tl.pointer_type) else _dtype_of_scalar(kind)


@functools.cache
def _shape(sizes):
    return tl.tuple([tl.constexpr(size) for size in sizes]), tl.constexpr(math.prod(sizes))


def _init_tensor(self, handle, kind):
    tl.core.base_value.__init__(self)
    self.handle, self.type, self.dtype = handle, kind, kind.scalar
    self.shape, self.numel = _shape(tuple(kind.shape) if kind.is_block() else ())


_blocks = {}


def _new_block(cls, element, shape):
    sizes = tuple(getattr(size, "value", size) for size in shape)
    known = _blocks.get((element.name, sizes))
    if known is None:
        known = _blocks[element.name, sizes] = object.__new__(cls)
        _init_block(known, element, shape)
    return known


def _broadcast(self, left, right):
    return (left, right) if left.shape is right.shape else _broadcast_shapes(self, left, right)


_patched = set()


def _call_inside(self, *args, **kwargs):
    """Call a function from a kernel; the interpreter is put into Triton's own modules once, not each time."""
    module = self.fn.__globals__["__name__"]
    if module.startswith("triton.") and module not in _patched:
        interpreter._patch_lang(self.fn)
        _patched.add(module)
    return self.rewrite()(*args, **kwargs)


# The interpreter makes the types of blocks and the shapes of tensors anew at each operation, and does each
# addition of integers twice, to see an overflow. Without that it takes half the time.
_init_block = tl.block_type.__init__
tl.block_type.__new__, tl.block_type.__init__ = _new_block, lambda self, element, shape: None
tl.tensor.__init__ = _init_tensor
_broadcast_shapes = TritonSemantic.broadcast_impl_value
TritonSemantic.broadcast_impl_value = _broadcast
interpreter.interpreter_builder.options = interpreter.InterpreterOptions(sanitize_overflow=False)
interpreter._get_np_dtype = _get_np_dtype
interpreter.ReduceOps.generic_reduce = _generic_reduce
interpreter.InterpretedFunction.__call__ = _call_inside
interpreter.InterpreterBuilder.create_fma = _create_fma
interpreter.InterpreterBuilder.create_fp_trunc = _create_fp_trunc
interpreter.InterpreterBuilder.create_minnumf = _create_minnumf
interpreter.InterpreterBuilder.create_maxnumf = _create_maxnumf
