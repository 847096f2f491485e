"""The GPU kernels on CPU tensors, by Triton's interpreter: a program that prints what differs as JSON.

The interpreter rounds a fused multiply-add twice, cuts off where it converts to bfloat16, and takes NaN for
the smaller of two numbers. Functions that do as a GPU does are put in their places.
"""

import functools
import json
import math
import os
import sys

os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is decorated

import numpy as np
import torch
import triton
import triton.language as tl
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter

import softmaxlib.torch as ours

jit = triton.jit  # for kernels of tests: Triton must be imported after the interpreter was chosen


def _two_sum(a, b):
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


def _to_odd(total, error):
    """The sum rounded to odd, from the sum rounded to nearest and its error (Boldo and Melquiond, 2008)."""
    bits = np.atleast_1d(total).view(np.int64)
    inexact = (error != 0) & (bits & 1 == 0) & np.isfinite(total)
    odd = np.where(inexact, bits + np.where((error > 0) == (total > 0), 1, -1), bits)
    return odd.view(np.float64).reshape(np.shape(total))


def fused(x, y, z):
    """x * y + z rounded once."""
    if x.dtype == np.float32:
        product = x.astype(np.float64) * y
        return _to_odd(*_two_sum(product, z.astype(np.float64))).astype(np.float32)
    product = x * y
    (x_high, x_low), (y_high, y_low) = _halves(x), _halves(y)
    lost = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    high, low = _two_sum(z, lost)
    first, second = _two_sum(product, high)
    result = first + _to_odd(*_two_sum(second, low))
    exact = np.isfinite(lost) & np.isfinite(result)
    return np.where(exact, result, x * y + z)


def _halves(x):
    """The number as a sum of two of 26 bits (Veltkamp)."""
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    return high, x - high


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


def bits(tensor):
    """The bits, one form for all NaN."""
    one_nan = torch.where(tensor != tensor, torch.nan, tensor).contiguous()
    return one_nan.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


def special_rows(n, generator):
    """Rows with NaN, infinities, ties, the largest numbers, exact powers, and confident ones."""
    x = torch.randn(8, n, generator=generator)
    x[0, 0], x[1, -1], x[2], x[3, : n // 2] = torch.nan, torch.inf, -torch.inf, -torch.inf
    x[4] *= 1e38
    x[5] = x[5].round()
    x[6], x[6, n // 3] = 0.0, 20.0
    x[7] = torch.linspace(-150, 0, n)
    return x


def cases():
    """Name, logits, dimensions, temperature and mask."""
    generator = torch.Generator().manual_seed(0)
    for n in (1, 17, 460, 1030):
        x = special_rows(n, generator)
        yield f"special rows of {n}", x, [-1], 1.0, None
    yield "several chunks", 3 * torch.randn(1, 4099, generator=generator), [-1], 1.0, None
    x = 3 * torch.randn(2, 8200, generator=generator)
    x[0, :4096], x[1, 4096:8192] = -torch.inf, -torch.inf
    yield "chunks of -inf", x, [-1], 1.0, None
    for n in (33, 500):
        x = special_rows(n, generator)
        where = torch.rand(x.shape, generator=generator) > 0.4
        where[3] = False
        yield f"masked rows of {n}", x, [-1], 1.0, where
    yield "temperature 0.37, and another mask", x[:3], [-1], 0.37, where[:1]
    for dtype in (torch.float16, torch.bfloat16):
        for n in (20, 600):
            x = (4 * torch.randn(3, n, generator=generator)).to(dtype)
            yield f"{dtype} rows of {n}", x, [-1], 1.0, None
    x = torch.randn(3, 30, 20, generator=generator)
    yield "side by side", torch.randn(40, 19, generator=generator), [0], 1.0, None
    yield "two dimensions", x, [0, 2], 1.0, None
    yield "all dimensions", x, [0, 1, 2], 2.0, None
    yield "permuted", x.permute(2, 0, 1), [1], 1.0, None
    yield "every other", x[:, ::2, ::3], [1], 1.0, None
    yield "off a border", torch.randn(1 + 2 * 601, generator=generator)[1:].view(2, 601), [-1], 1.0, None
    yield "far apart", torch.randn(520, 2, generator=generator).T, [-1], 1.0, None
    yield "no rows", torch.zeros(0, 5), [-1], 1.0, None
    yield "no classes", torch.zeros(4, 0), [-1], 1.0, None


def main():
    """Compare every case with the CPU kernels."""
    from softmaxlib.torch._triton import launch

    differing, seen = [], 0
    long = [case for case in cases() if case[1].shape[-1] > 4096]
    for spread, (name, x, dims, temperature, where) in [(256, one) for one in cases()] + [
        (0, one) for one in long
    ]:
        launch.FEW = spread  # so many rows are spread over the device: all here, and then none
        for function in ("softmax", "log_softmax", "logsumexp"):
            if function == "logsumexp":
                got = launch.logsumexp(x, dims, False, where)
                want = ours.logsumexp(x, dims, where=where)
            else:
                got = getattr(launch, function)(x, dims, temperature, where)
                want = getattr(ours, function)(x, dims, temperature=temperature, where=where)
            seen += 1
            same = got.shape == want.shape and got.stride() == want.stride()
            if not same or not torch.equal(bits(got), bits(want)):
                differing.append(f"{function}: {name}")
    json.dump({"differing": differing, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
