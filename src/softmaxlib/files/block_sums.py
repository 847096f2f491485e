"""Sums over blocks of rows, added in an order that depends only on the number of blocks."""

from typing import Generic, Protocol, Self, TypeVar


class Mergeable(Protocol):
    """Results of some rows that merge with those of others."""

    def merge(self, other: Self, /) -> Self:
        """Return the results of both."""
        ...


Sums = TypeVar("Sums", bound=Mergeable)
Node = tuple[int, int]  # level and place: the node holds 2^level blocks, starting at block place * 2^level


class BlockSums(Generic[Sums]):
    """A binary tree over blocks: two neighbours are merged as soon as both have arrived.

    The result has the same bits in whatever order the blocks arrive.
    """

    def __init__(self) -> None:
        self._nodes: dict[Node, Sums | None] = {}

    def add(self, block: int, merged: Sums | None) -> None:
        """Add the sum of a block; None if none of its rows counts."""
        self._add((0, block), merged)

    def merge(self, other: "BlockSums[Sums]") -> None:
        """Add the blocks of another tree."""
        for node, merged in other._nodes.items():
            self._add(node, merged)

    def total(self) -> Sums | None:
        """The sum over all blocks; None if no row counts."""
        total = None
        for node in sorted(self._nodes, key=lambda node: node[1] << node[0]):
            total = _joined(total, self._nodes[node])
        return total

    def _add(self, node: Node, merged: Sums | None) -> None:
        level, place = node
        while (level, place ^ 1) in self._nodes:
            other = self._nodes.pop((level, place ^ 1))
            merged = _joined(other, merged) if place & 1 else _joined(merged, other)
            level, place = level + 1, place >> 1
        self._nodes[level, place] = merged


def _joined(first: Sums | None, second: Sums | None) -> Sums | None:
    if first is None or second is None:
        return second if first is None else first
    return first.merge(second)
