"""Memory as programs in PTX see it, with every access checked."""

import ctypes

import numpy as np
from ptx_arithmetic import UNSIGNED


class Fault(Exception):
    """A program does what a GPU does not define."""


class Tensors:
    """The tensors that a kernel may touch, as (address, size)."""

    def __init__(self, places):
        self._places = sorted({place for place in places if place[1]})
        self._views = {}

    def load(self, addresses, size):
        """Return numbers of so many bytes."""
        parts = [(chosen, words[index]) for chosen, words, index in self._found(addresses, size)]
        out = np.empty(len(addresses), UNSIGNED[8 * size])
        for chosen, values in parts:
            out[chosen] = values
        return out

    def store(self, addresses, size, values):
        """Write numbers."""
        for chosen, words, index in self._found(addresses, size):
            words[index] = values[chosen]

    def _found(self, addresses, size):
        """Which of the addresses lie in a tensor, its words, and where in them."""
        if (addresses % np.uint64(size)).any():
            raise Fault(f"an address off a border of {size} bytes")
        left = np.ones(len(addresses), bool)
        for start, length in self._places:
            inside = (addresses >= np.uint64(start)) & (addresses <= np.uint64(start + length - size)) & left
            if inside.any():
                words, first = self._words(start, length, size)
                left = left & ~inside
                index = (addresses[inside] - np.uint64(first)) // np.uint64(size)
                yield inside, words, index.astype(np.int64)
            if not left.any():
                return
        raise Fault(f"an address in no tensor: {int(addresses[left][0]):#x}")

    def _words(self, start, length, size):
        if (start, size) not in self._views:
            first = start + -start % size
            count = (start + length - first) // size
            memory = (ctypes.c_uint8 * (count * size)).from_address(first)
            self._views[start, size] = np.frombuffer(memory, UNSIGNED[8 * size]), first
        return self._views[start, size]


class Shared:
    """Memory that the warps of a program share: what one writes, another may not touch before a barrier."""

    _NOBODY, _SEVERAL = -1, -2

    def __init__(self, size):
        self._size = size
        self._bytes = np.full(size + -size % 16 + 16, 0xFF, np.uint8)
        self._writers = np.full(len(self._bytes), self._NOBODY)
        self._readers = self._writers.copy()

    def barrier(self):
        """All warps are here."""
        self._writers.fill(self._NOBODY)
        self._readers.fill(self._NOBODY)

    def load(self, addresses, size, warps):
        """Return numbers of so many bytes."""
        index = self._index(addresses, size)
        for at in self._each_byte(addresses, size):
            self._refuse(self._writers[at], warps, "read")
            mixed = (self._readers[at] != self._NOBODY) & (self._readers[at] != warps)
            self._readers[at] = warps
            self._readers[at[mixed | (self._readers[at] != warps)]] = self._SEVERAL
        return self._bytes.view(UNSIGNED[8 * size])[index]

    def store(self, addresses, size, values, warps):
        """Write numbers."""
        index = self._index(addresses, size)
        for at in self._each_byte(addresses, size):
            self._refuse(self._writers[at], warps, "written")
            self._refuse(self._readers[at], warps, "written")
            self._writers[at] = warps
            self._writers[at[self._writers[at] != warps]] = self._SEVERAL
        words = self._bytes.view(UNSIGNED[8 * size])
        words[index] = values
        if (words[index] != values).any():
            raise Fault("two numbers are written to one place of shared memory")

    def _refuse(self, others, warps, what):
        if ((others != self._NOBODY) & (others != warps)).any():
            raise Fault(f"shared memory is {what} before a barrier")

    def _index(self, addresses, size):
        if (addresses % size).any() or int(addresses.max()) + size > self._size:
            raise Fault(f"{size} bytes of shared memory at {int(addresses.max())}, of {self._size}")
        return (addresses // size).astype(np.int64)

    @staticmethod
    def _each_byte(addresses, size):
        for k in range(size):
            yield addresses.astype(np.int64) + k
