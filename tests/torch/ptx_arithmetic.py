"""What instructions in PTX compute, on NumPy arrays with one number a thread."""

import numpy as np
from fused import fused, rounded_to_odd

UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
SIGNED = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
FLOATS = {16: np.float16, 32: np.float32, 64: np.float64}


def dtype_of(kind):
    """Return the NumPy type of a type like f32."""
    if kind == "pred":
        return np.bool_
    return {"b": UNSIGNED, "u": UNSIGNED, "s": SIGNED, "f": FLOATS}[kind[0]][int(kind[1:])]


def bits_of(dtype):
    """Return the bits of a number."""
    return np.dtype(dtype).itemsize * 8


def smaller(a, b, nan=False):
    """min: NaN counts as missing, or with ``nan`` as a result."""
    return _chosen(a, b, a < b, b < a, np.bitwise_or, nan)


def larger(a, b, nan=False):
    """max."""
    return _chosen(a, b, a > b, b > a, np.bitwise_and, nan)


def _chosen(a, b, first, second, of_equals, nan):
    if a.dtype.kind != "f":
        return np.where(first, a, b)
    bits = UNSIGNED[bits_of(a.dtype)]
    equal = of_equals(a.view(bits), b.view(bits)).view(a.dtype)  # -0 is below 0
    out = np.where(first, a, np.where(second, b, equal))
    if nan:
        return np.where(np.isnan(a) | np.isnan(b), a.dtype.type(np.nan), out)
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, out))


def divided(a, b):
    """div of floats, or of whole numbers, cut off towards 0."""
    if a.dtype.kind == "f":
        return a / b
    quotient = np.abs(a.astype(object)) // np.abs(b.astype(object))
    return np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)


def remainder(a, b):
    """rem."""
    return a - divided(a, b) * b


def high_product(a, b):
    """mul.hi."""
    return ((a.astype(object) * b.astype(object)) >> bits_of(a.dtype)).astype(a.dtype)


def multiply_add(a, b, c):
    """fma.rn."""
    return fused(a, b, c)


def shifted_left(a, n):
    """shl."""
    bits = bits_of(a.dtype)
    return np.where(n < bits, a << np.minimum(n, bits - 1).astype(a.dtype), 0).astype(a.dtype)


def shifted_right(a, n):
    """shr: signs follow."""
    bits = bits_of(a.dtype)
    shifted = a >> np.minimum(n, bits - 1).astype(a.dtype)
    return shifted if a.dtype.kind == "i" else np.where(n < bits, shifted, 0).astype(a.dtype)


def funnel(low, high, n, left, wraps):
    """shf."""
    both = high.astype(np.uint64) << np.uint64(32) | low
    n = (n & np.uint32(31) if wraps else np.minimum(n, 32)).astype(np.uint64)
    return ((both << n) >> np.uint64(32) if left else both >> n).astype(np.uint32)


def extracted(a, start, length):
    """bfe: a field, up to the highest bit and down again, so that signs follow."""
    bits = bits_of(a.dtype)
    over = np.int64(bits) - start - length
    if (over < 0).any() or (length == 0).any():
        raise NotImplementedError("a field that leaves its number")
    return (a << over.astype(a.dtype)).astype(a.dtype) >> (np.int64(bits) - length).astype(a.dtype)


def inserted(a, b, start, length):
    """bfi."""
    ones = ((np.uint64(1) << length.astype(np.uint64)) - np.uint64(1)).astype(a.dtype)
    start = start.astype(a.dtype)
    return (b & ~(ones << start)) | ((a & ones) << start)


def permuted(a, b, selector):
    """prmt."""
    both = b.astype(np.uint64) << np.uint64(32) | a
    out = np.zeros_like(a)
    for k in range(4):
        chosen = (selector >> np.uint32(4 * k)) & np.uint32(15)
        if (chosen > 7).any():
            raise NotImplementedError("bytes of signs")
        byte = (both >> (chosen.astype(np.uint64) * np.uint64(8))) & np.uint64(255)
        out |= byte.astype(np.uint32) << np.uint32(8 * k)
    return out


def by_table(a, b, c, table):
    """lop3: the eight results of three bits."""
    out = np.zeros_like(a)
    for k in range(8):
        if table >> k & 1:
            out |= (a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c)
    return out


def ones_in(a):
    """popc."""
    return np.array([int(one).bit_count() for one in a], np.uint32)


_COMPARE = {
    **{"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal},
    **{"gt": np.greater, "ge": np.greater_equal},
}


def compared(name, a, b):
    """setp: NaN is unequal to all and in no order, but in comparisons that end in u."""
    if a.dtype.kind != "f":
        return _COMPARE[name](a, b)
    unordered = np.isnan(a) | np.isnan(b)
    if name in ("nan", "num"):
        return unordered if name == "nan" else ~unordered
    if name in _COMPARE:
        return _COMPARE[name](a, b) & ~unordered
    return _COMPARE[name.removesuffix("u")](a, b) | unordered


def to_bfloat(x):
    """Return the bits of float32 numbers rounded to bfloat16."""
    bits = x.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    out = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.where(np.isnan(x), 0x7FFF, out).astype(np.uint16)


def from_bfloat(bits):
    """Return bfloat16 numbers as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def converted(modifiers, to, kind, a):
    """cvt of a number of ``kind``."""
    if kind == "bf16":
        a = from_bfloat(a)
    if to == "bf16":
        return to_bfloat(a)
    target = dtype_of(to)
    if np.dtype(target).kind == "f":
        wide = a.dtype.kind != "f" and target == np.float32 and a.dtype.itemsize == 8
        return np.array([_to_float32(int(one)) for one in a], np.float32) if wide else a.astype(target)
    return a.astype(target) if a.dtype.kind != "f" else _whole(modifiers, target, a.astype(np.float64))


def _whole(modifiers, target, a):
    """Whole numbers of a type, the nearest that it has."""
    rounding = {"rzi": np.trunc, "rni": np.rint, "rmi": np.floor, "rpi": np.ceil}
    (way,) = set(modifiers) & set(rounding)
    whole = np.nan_to_num(rounding[way](a), nan=0.0)
    limits = np.iinfo(target)
    inside = (whole >= float(limits.min)) & (whole < 2.0 * float(limits.max // 2 + 1))
    out = np.where(inside, whole, 0.0).astype(target)
    return np.where(inside, out, np.where(whole > 0, target(limits.max), target(limits.min)))


def _to_float32(number):
    """A whole number rounded once."""
    high = float(number)
    return np.float32(rounded_to_odd(np.array([high]), np.array([float(number - int(high))]))[0])
