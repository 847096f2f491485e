"""The words that the ranks of a group exchange: what each rank says, then some words for each row.

Two all-reduces in place serve a loss. The first takes maxima. It also carries what each rank says, because a
rank writes its words where all others write the least number. The second adds integers. So memory doesn't
grow with the number of ranks, and the order in which ranks are added does not matter.

An all-reduce needs one size on all ranks, but ranks may be given other numbers of rows by mistake, and then
must not wait forever. So the first has the size that the group used in its last call: all ranks know that.
If it is too small, one more all-reduce brings the rest.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor

from ._exchange import STATUS_WORDS, Claim, Group, Outcome, Result, device_of, read_claims
from ._largest import NOTHING

_LEAST = 2048  # words of rows in the first call of a group, and at least
_SPARE = 1.25  # rows may vary by so much from call to call

_last: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


class Words:
    """The words of one call on one rank."""

    def __init__(self, group: Group, slots: int, rows: int, device: torch.device) -> None:
        self.group, self.slots, self.rows = group, slots, rows
        self._capacity = _last.get(_key(group), _LEAST)
        self._header = dist.get_world_size(group) * STATUS_WORDS
        size = self._header + max(self._capacity, slots * rows)
        self._flat = torch.full((size,), NOTHING, dtype=torch.int64, device=device)

    @property
    def table(self) -> Tensor:
        """The words of the rows (slots, rows)."""
        return self._flat[self._header : self._header + self.slots * self.rows].view(self.slots, self.rows)

    def provide(self, slots: int) -> None:
        """Hold at least so many words of each row, with those that are there."""
        if slots > self.slots:
            more = torch.empty((slots - self.slots) * self.rows, dtype=torch.int64, device=self._flat.device)
            used = self._header + self.slots * self.rows
            self.slots, self._flat = slots, torch.cat([self._flat[:used], more])

    def largest(self, outcome: Outcome, slots: int, check: Callable[[list[Claim]], Result]) -> Result:
        """Take the maxima over the ranks of the first slots, and return what ``check`` makes of the claims.

        If a rank has an error, or the check finds one, it is raised on all ranks.
        """
        rank, ranks = dist.get_rank(self.group), dist.get_world_size(self.group)
        start = self._header + self._capacity
        self._flat[rank * STATUS_WORDS : (rank + 1) * STATUS_WORDS] = outcome.words().to(self._flat.device)
        all_reduce(self._flat[:start], dist.ReduceOp.MAX, self.group)
        result = check(read_claims(self._flat[: self._header].view(ranks, STATUS_WORDS), outcome))
        used = slots * self.rows
        if used > self._capacity:
            all_reduce(self._flat[start : self._header + used], dist.ReduceOp.MAX, self.group)
        if not used <= self._capacity <= _SPARE * used:
            _last[_key(self.group)] = max(used, _LEAST)
        return result

    def agree(self, compute: Callable[[], None]) -> None:
        """Call ``compute``; an error of it is raised on all ranks."""
        add_over_ranks(self._flat[:1], compute, self.group)

    def add(self, slots: int, compute: Callable[[], None]) -> None:
        """Write the first slots by ``compute``, and add them over the ranks.

        An error of ``compute`` is raised on all ranks.
        """
        start = self._header - 1  # the header is read: its last word is free
        add_over_ranks(self._flat[start : self._header + slots * self.rows], compute, self.group)


def add_over_ranks(words: Tensor, compute: Callable[[], None], group: Group) -> None:
    """Write all words but the first by ``compute``, and add them over the ranks, in place.

    The first says whether ``compute`` raised an error. Then it is raised on all ranks.
    """
    error = None
    try:
        compute()
    except Exception as raised:  # the other ranks must learn of any error
        error = raised
    words[0] = 0 if error is None else 1
    all_reduce(words, dist.ReduceOp.SUM, group)
    if error is not None:
        raise error
    if words[0]:
        raise RuntimeError(
            "another rank of the group raised an error while it computed its sums; see what it printed"
        )


def all_reduce(words: Tensor, operation: Any, group: Group) -> None:
    """Reduce contiguous words in place, on a device that the group works on."""
    sent = words.to(device_of(group)) if words.device.type != device_of(group).type else words
    dist.all_reduce(sent, op=operation, group=group)
    if sent is not words:
        words.copy_(sent)


def _key(group: Group) -> Any:
    return dist.group.WORLD if group is None else group
