"""Turns instructions in PTX into functions of the registers.

A function takes the registers, by name, and the threads that take part, or None for all.
"""

import re
from functools import partial

import numpy as np
import ptx_arithmetic as arithmetic
from ptx_arithmetic import SIGNED, UNSIGNED, bits_of, dtype_of
from ptx_code import pieces_of
from ptx_memory import Fault

WARP = 32
PLAIN = {  # functions of numbers of one type
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": arithmetic.divided},
    **{"rem": arithmetic.remainder, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor},
    **{"min": arithmetic.smaller, "max": arithmetic.larger, "fma": arithmetic.multiply_add},
    **{"abs": np.abs, "neg": np.negative, "not": np.invert, "popc": arithmetic.ones_in},
    **{"mov": lambda x: x, "cvta": lambda x: x, "sqrt": np.sqrt, "rcp": lambda x: x.dtype.type(1) / x},
}
EXCHANGES = ("shfl", "redux", "stmatrix", "ldmatrix")  # between the threads of a warp
WITHOUT_EFFECT = ("prefetch", "fence", "membar", "griddepcontrol")
_HALVES = {"bf16": arithmetic.from_bfloat, "f16": lambda words: words.view(np.float16)}
INEXACT = {"rz", "rm", "rp", "ftz", "sat", "approx", "full"}


def register_type(name):
    """Return the type of the bits of a register."""
    if name.startswith("%p"):
        return np.bool_
    return UNSIGNED[16 if name.startswith("%rs") else 64 if name.startswith("%rd") else 32]


class Instructions:
    """Makes functions of a kernel's instructions, for so many threads."""

    def __init__(self, threads, arguments, tensors):
        self.threads, self.arguments, self.tensors = threads, arguments, tensors
        self.shared = None  # the memory of the program that runs
        self.warp = np.arange(threads) // WARP
        self.lane = np.arange(threads, dtype=np.uint32) % np.uint32(WARP)
        zero = np.zeros(threads, np.uint32)
        self._known = {
            **{"%tid.x": np.arange(threads, dtype=np.uint32), "%laneid": self.lane},
            **{"%tid.y": zero, "%tid.z": zero, "%ntid.x": zero + np.uint32(threads)},
        }

    def function(self, instruction):
        """Return the function of an instruction."""
        base, *parts = instruction.name.split(".")
        if base in WITHOUT_EFFECT:
            return lambda regs, mask: None
        own = getattr(self, f"_{base}", None)
        return (own or partial(self._plain, base))(parts, instruction.operands)

    # operands

    def source(self, text, dtype):
        """Return a function that reads an operand as numbers of a type."""
        if not text.startswith("%"):
            fixed = np.full(self.threads, _constant(text, dtype))
            fixed.flags.writeable = False
            return lambda regs: fixed
        if text in self._known:
            known = self._known[text].view(dtype)
            return lambda regs: known
        own = register_type(text)
        if own in (dtype, np.bool_):
            return lambda regs: regs[text]
        if bits_of(own) == bits_of(dtype):
            return lambda regs: regs[text].view(dtype)
        narrow = UNSIGNED[bits_of(dtype)]
        return lambda regs: regs[text].astype(narrow).view(dtype)

    def _sources(self, texts, dtype):
        return [self.source(one, dtype) for one in texts]

    def target(self, text):
        """Return a function that writes a register: signs follow into a wider one."""
        own = register_type(text)

        def write(regs, value, mask):
            if value.dtype != own:
                if bits_of(value.dtype) == bits_of(own):
                    value = value.view(own)
                else:
                    kind = SIGNED if value.dtype.kind == "i" else UNSIGNED
                    value = value.view(kind[bits_of(value.dtype)]).astype(kind[bits_of(own)]).view(own)
            regs[text] = value if mask is None else np.where(mask, value, regs[text])

        return write

    def _place(self, text, dtype):
        """Return a function that reads an address."""
        base, offset = re.match(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?\d+))?\s*\]$", text).groups()
        base = self.source(base, dtype)
        moved = np.array([int(offset or 0)], np.int64).astype(dtype)[0]
        return lambda regs: base(regs) + moved

    # arithmetic

    def _apply(self, function, target, sources):
        write = self.target(target)
        return lambda regs, mask: write(regs, function(*(one(regs) for one in sources)), mask)

    def _plain(self, base, parts, operands):
        if base not in PLAIN or INEXACT & set(parts):
            raise NotImplementedError(f"{base}.{'.'.join(parts)}")
        function = partial(PLAIN[base], nan=True) if "NaN" in parts else PLAIN[base]
        if base in ("min", "max") and len(operands) == 4:  # of three numbers
            function = partial(_of_three, function)
        if parts[-1] == "f32x2":  # of two floats in one register

            def of_pairs(*values):
                return function(*(np.ascontiguousarray(one).view(np.float32) for one in values)).view(
                    np.uint64
                )

            return self._apply(of_pairs, operands[0], self._sources(operands[1:], np.uint64))
        if parts[-2:] in (
            ["f32", "bf16"],
            ["f32", "f16"],
        ):  # the last number is a float32, the others are not
            read = _HALVES[parts[-1]]

            def of_halves(*values):
                return function(*(read(one).astype(np.float32) for one in values[:-1]), values[-1])

            narrow = self._sources(operands[1:-1], np.uint16)
            return self._apply(of_halves, operands[0], [*narrow, self.source(operands[-1], np.float32)])
        return self._apply(function, operands[0], self._sources(operands[1:], dtype_of(parts[-1])))

    def _mul(self, parts, operands):
        if "wide" in parts:
            return self._mad(parts, [*operands, "0"])
        if "hi" in parts:
            return self._apply(
                arithmetic.high_product, operands[0], self._sources(operands[1:], dtype_of(parts[-1]))
            )
        return self._plain("mul", parts, operands)

    def _mad(self, parts, operands):
        dtype = dtype_of(parts[-1])
        wide = dtype_of(f"{parts[-1][0]}{2 * bits_of(dtype)}") if "wide" in parts else dtype
        if not {"wide", "lo"} & set(parts):
            raise NotImplementedError(parts)
        sources = [*self._sources(operands[1:3], dtype), self.source(operands[3], wide)]
        return self._apply(lambda a, b, c: a.astype(wide) * b.astype(wide) + c, operands[0], sources)

    def _shift(self, function, parts, operands):
        sources = self.source(operands[1], dtype_of(parts[-1])), self.source(operands[2], np.uint32)
        return self._apply(function, operands[0], sources)

    def _shl(self, parts, operands):
        return self._shift(arithmetic.shifted_left, parts, operands)

    def _shr(self, parts, operands):
        return self._shift(arithmetic.shifted_right, parts, operands)

    def _shf(self, parts, operands):
        function = partial(arithmetic.funnel, left=parts[0] == "l", wraps=parts[1] == "wrap")
        return self._apply(function, operands[0], self._sources(operands[1:], np.uint32))

    def _bfe(self, parts, operands):
        places = self._sources(operands[2:], np.uint32)
        sources = [self.source(operands[1], dtype_of(parts[-1])), *places]
        return self._apply(arithmetic.extracted, operands[0], sources)

    def _bfi(self, parts, operands):
        numbers = self._sources(operands[1:3], dtype_of(parts[-1]))
        return self._apply(arithmetic.inserted, operands[0], numbers + self._sources(operands[3:], np.uint32))

    def _prmt(self, parts, operands):
        return self._apply(arithmetic.permuted, operands[0], self._sources(operands[1:], np.uint32))

    def _lop3(self, parts, operands):
        function = partial(arithmetic.by_table, table=int(operands[4], 0))
        return self._apply(function, operands[0], self._sources(operands[1:4], np.uint32))

    def _selp(self, parts, operands):
        numbers = self._sources(operands[1:3], dtype_of(parts[-1]))
        sources = [self.source(operands[3], np.bool_), *numbers]
        return self._apply(np.where, operands[0], sources)

    def _setp(self, parts, operands):
        name, kind = parts
        targets = [self.target(one) for one in operands[:-2]]
        read = None if kind == "f16" else _HALVES.get(kind.removesuffix("x2"))
        dtype = dtype_of(kind) if read is None else UNSIGNED[32 if kind.endswith("x2") else 16]
        sources = self._sources(operands[-2:], dtype)

        def run(regs, mask):
            a, b = (one(regs) for one in sources)
            if kind.endswith("x2"):  # of each half
                for k, write in enumerate(targets):
                    here = [read((one >> np.uint32(16 * k)).astype(np.uint16)) for one in (a, b)]
                    write(regs, arithmetic.compared(name, *here), mask)
                return
            out = arithmetic.compared(name, *((a, b) if read is None else (read(a), read(b))))
            for write in targets:
                write(regs, out, mask)
                out = ~out

        return run

    def _cvt(self, parts, operands):
        *modifiers, to, kind = parts
        if INEXACT & set(modifiers):
            raise NotImplementedError(parts)
        if to.endswith("x2"):
            narrow = partial(arithmetic.converted, modifiers, to.removesuffix("x2"), "f32")

            def both(high, low):
                halves = [narrow(one).view(np.uint16).astype(np.uint32) for one in (low, high)]
                return halves[0] | halves[1] << np.uint32(16)

            return self._apply(both, operands[0], self._sources(operands[1:], np.float32))
        source = self.source(operands[1], np.uint16 if kind == "bf16" else dtype_of(kind))
        return self._apply(partial(arithmetic.converted, modifiers, to, kind), operands[0], [source])

    def _mov(self, parts, operands):
        dtype = dtype_of(parts[-1])
        if operands[0].startswith("{"):
            pieces = pieces_of(operands[0])
            bits = bits_of(dtype) // len(pieces)
            source = self.source(operands[1], dtype)
            targets = [(k, self.target(one)) for k, one in enumerate(pieces) if one != "_"]

            def take_apart(regs, mask):
                whole = source(regs)
                for k, write in targets:
                    write(regs, (whole >> dtype(bits * k)).astype(UNSIGNED[bits]), mask)

            return take_apart
        if not operands[1].startswith("{"):
            return self._plain("mov", parts, operands)
        pieces = pieces_of(operands[1])
        bits = bits_of(dtype) // len(pieces)

        def put_together(*values):
            return sum(one.astype(dtype) << dtype(bits * k) for k, one in enumerate(values))

        return self._apply(put_together, operands[0], self._sources(pieces, UNSIGNED[bits]))

    def _createpolicy(self, parts, operands):
        return self._apply(lambda: np.zeros(self.threads, np.uint64), operands[0], [])

    # memory

    def _ld(self, parts, operands):
        dtype, space = dtype_of(parts[-1]), parts[0]
        size = bits_of(dtype) // 8
        targets = [self.target(one) for one in pieces_of(operands[0])]
        if space == "param":
            bits = self.arguments[operands[1].strip("[]")] & (2 ** (8 * size) - 1)
            fixed = np.full(self.threads, bits, UNSIGNED[8 * size]).view(dtype)
            return lambda regs, mask: targets[0](regs, fixed, mask)
        at = self._place(operands[1], _addresses(space))

        def run(regs, mask):
            some, warps = self._chosen(at(regs), mask, size * len(targets))
            for k, write in enumerate(targets):
                whole = np.zeros(self.threads, UNSIGNED[8 * size])
                if len(some):
                    here = some + some.dtype.type(k * size)
                    if space == "shared":
                        got = self.shared.load(here, size, warps)
                    else:
                        got = self.tensors.load(here, size)
                    whole[slice(None) if mask is None else mask] = got
                write(regs, whole.view(dtype), mask)

        return run

    def _st(self, parts, operands):
        size, space = bits_of(dtype_of(parts[-1])) // 8, parts[0]
        sources = self._sources(pieces_of(operands[1]), UNSIGNED[8 * size])
        at = self._place(operands[0], _addresses(space))

        def run(regs, mask):
            some, warps = self._chosen(at(regs), mask, size * len(sources))
            for k, source in enumerate(sources if len(some) else ()):
                here = some + some.dtype.type(k * size)
                values = source(regs) if mask is None else source(regs)[mask]
                if space == "shared":
                    self.shared.store(here, size, values, warps)
                else:
                    self.tensors.store(here, size, values)

        return run

    def _chosen(self, addresses, mask, size):
        """The addresses of threads that take part, borders of their vectors, and their warps."""
        some = addresses if mask is None else addresses[mask]
        if (some % some.dtype.type(size)).any():
            raise Fault(f"an address off a border of {size} bytes")
        return some, self.warp if mask is None else self.warp[mask]

    # between the threads of a warp, all of which are there

    def _shfl(self, parts, operands):
        how = parts[1]
        value, other, clamp = self._sources(operands[1:4], np.uint32)
        first = np.arange(self.threads) // WARP * WARP

        def moved(numbers, b, c):
            most, segment = c & np.uint32(31), (c >> np.uint32(8)) & np.uint32(31)
            most = (self.lane & segment) | (most & ~segment)
            b = b & np.uint32(31)
            if how == "up":
                lane = self.lane - b
                inside = (self.lane >= b) & (lane >= most)
            else:
                to = {"bfly": self.lane ^ b, "down": self.lane + b}
                lane = to.get(how, (self.lane & segment) | (b & ~segment))
                inside = lane <= most
            return numbers[first + np.where(inside, lane, self.lane)]

        return self._apply(moved, operands[0], [value, other, clamp])

    def _redux(self, parts, operands):
        combine = {"add": np.add, "and": np.bitwise_and, "or": np.bitwise_or}
        combine |= {"min": np.minimum, "max": np.maximum}
        source, members = self.source(operands[1], dtype_of(parts[-1])), self.source(operands[2], np.uint32)

        def joined(numbers, members):
            if (members != np.uint32(2**32 - 1)).any():
                raise NotImplementedError("a reduction over a part of a warp")
            return np.repeat(combine[parts[1]].reduce(numbers.reshape(-1, WARP), axis=1), WARP)

        return self._apply(joined, operands[0], [source, members])

    def _matrix_rows(self, addresses, m):
        """The places of the words of matrix ``m`` in each warp: eight rows of sixteen bytes."""
        rows = addresses.reshape(-1, WARP)[:, 8 * m : 8 * m + 8]
        if (rows % 16).any():
            raise Fault("a row of a matrix off its border")
        warps = np.repeat(np.arange(len(rows)), 8)
        return [(rows + np.uint32(4 * c)).ravel() for c in range(4)], warps

    def _stmatrix(self, parts, operands):
        at, sources = self._place(operands[0], np.uint32), self._sources(pieces_of(operands[1]), np.uint32)

        def run(regs, mask):
            addresses = at(regs)
            for m, source in enumerate(sources):
                words = source(regs)
                words = (_turned(words) if "trans" in parts else words).reshape(-1, 4)
                places, warps = self._matrix_rows(addresses, m)
                for c, here in enumerate(places):
                    self.shared.store(here, 4, words[:, c], warps)

        return run

    def _ldmatrix(self, parts, operands):
        at = self._place(operands[1], np.uint32)
        targets = [self.target(one) for one in pieces_of(operands[0])]

        def run(regs, mask):
            addresses = at(regs)
            for m, write in enumerate(targets):
                places, warps = self._matrix_rows(addresses, m)
                words = np.stack([self.shared.load(here, 4, warps) for here in places], axis=-1)
                words = words.reshape(-1)
                write(regs, _turned(words) if "trans" in parts else words, mask)

        return run


def _turned(words):
    """Turn matrices of eight rows of eight halves; words hold two halves."""
    halves = words.view(np.uint16).reshape(-1, 8, 8).transpose(0, 2, 1)
    return np.ascontiguousarray(halves).view(np.uint32).reshape(-1)


def _of_three(function, a, b, c):
    return function(function(a, b), c)


def _addresses(space):
    if space not in ("shared", "global"):
        raise NotImplementedError(space)
    return np.uint32 if space == "shared" else np.uint64


def _constant(text, dtype):
    if text == "global_smem":
        return np.dtype(dtype).type(0)
    if dtype == np.bool_:
        return bool(int(text, 0))
    if re.match("0[fFdD]", text):  # the bits of a float
        return np.array([int(text[2:], 16)], UNSIGNED[32 if text[1] in "fF" else 64]).view(dtype)[0]
    if "." in text:
        return np.dtype(dtype).type(float(text))
    bits = bits_of(dtype)
    return np.array([int(text.rstrip("U"), 0) & (2**bits - 1)], UNSIGNED[bits]).view(dtype)[0]
