"""Numbers of some bits each, packed in the words of each row that the ranks add.

The numbers of a row, one after the other, are the bits of one large integer. A word holds some of its bits,
and leaves room for the carries of as many ranks as there are. So the words of all ranks may be added, and the
sum of the large integers read from them.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from ._fixed_point import Digits


class Layout:
    """The places of numbers in the words of a row: each name has one number or more, of so many bits."""

    def __init__(self, bits: Mapping[str, tuple[int, ...]], ranks: int) -> None:
        self._bits, self._width = dict(bits), 63 - (ranks - 1).bit_length()
        self.words = max(1, -(-sum(map(sum, self._bits.values())) // self._width))

    def pack(self, numbers: Mapping[str, Tensor], words: Tensor) -> None:
        """Write numbers (numbers of a name, rows) to words (words, rows); what is not given is 0."""
        words.zero_()
        for name, index, parts in self._places():
            if name not in numbers:
                continue
            number = numbers[name][index]
            for word, at, start, size in parts:
                words[word] |= ((number >> start) & (2**size - 1)) << at

    def unpack(self, words: Tensor) -> dict[str, Tensor]:
        """Return the numbers of the sums of words (words, rows)."""
        words = words.clone()
        for place in range(words.shape[0] - 1):
            words[place + 1] += words[place] >> self._width
            words[place] &= 2**self._width - 1
        found = {name: words.new_zeros((len(bits), words.shape[1])) for name, bits in self._bits.items()}
        for name, index, parts in self._places():
            number = found[name][index]
            for word, at, start, size in parts:
                number |= ((words[word] >> at) & (2**size - 1)) << start
        return found

    def _places(self) -> Iterator[tuple[str, int, list[tuple[int, int, int, int]]]]:
        """Yield each number's parts: the word, the place in it, the first bit of the number and the size."""
        place = 0
        for name, sizes in self._bits.items():
            for index in reversed(range(len(sizes))):  # the carries of a digit go to the one before
                bits, parts, start = sizes[index], [], 0
                while start < bits:
                    word, at = divmod(place + start, self._width)
                    size = min(bits - start, self._width - at)
                    parts.append((word, at, start, size))
                    start += size
                place += bits
                yield name, index, parts


def bits_of(digits: Digits, spare: int) -> tuple[int, ...]:
    """Return the bits of the digits of a sum, if it has so many more bits than one of its numbers."""
    return (digits.width + spare, *[digits.width] * (digits.words - 1))
