"""A loss over shards: agree, exchange, merge, reduce, and the backward pass."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from ..._checks import sum_tolerance
from ...errors import InvalidInputError
from . import _exact_sums as exact
from ._exact_sums import ExactSums, sum_of_finite
from ._exchange import STATUS_WORDS, Group, Outcome, check_group, gather, pack, read_claims, unpack
from ._read_sums import RowSums
from ._reduction import Build, Summed, attempt_largest, sum_rows
from ._row_losses import Kept, losses_of, rows_of, terms_layout, terms_of, with_terms
from ._row_scale import pack_scale
from ._shards import Shard, row_blocks, some, store, vocabulary_of


class Totals(NamedTuple):
    """Sums over all rows, in tensors of one row: of losses, and of their weights in a mean."""

    loss: ExactSums
    weight: ExactSums
    special: Tensor


class Evaluation(NamedTuple):
    """A loss: one per row, or of all rows in float64 (their sum over ``denominator``)."""

    loss: Tensor
    denominator: Tensor | None
    shard: Shard
    kept: Kept


def evaluate(build: Build, group: Group, rows_group: Group) -> Evaluation:
    """Compute the loss of the shard made by ``build`` and of those on the other ranks of ``group``.

    An error on one rank is raised on every rank, also of `rows_group` (None: there is no such group).
    """
    check_group(group, "group")
    if rows_group is not None:
        check_group(rows_group, "rows_group")
    outcome, prepared = attempt_largest(build, group)
    try:
        summed = sum_rows(outcome, prepared, group)
        del prepared
        shard = summed.shard
        losses, totals, kept = _with_terms(summed, group) if shard.needs_terms else _plain(summed)
    except Exception as error:  # raised on the whole group; ranks with other rows wait
        if rows_group is not None:
            with suppress(Exception):
                _gather_totals(Outcome(None, error), None, rows_group)
        raise
    if losses is not None:
        return Evaluation(losses, None, shard, kept)
    assert totals is not None
    if rows_group is not None:
        totals = _gather_totals(outcome, totals, rows_group)
    loss = _value(totals.loss) + totals.special[0]
    denominator = _value(totals.weight) if shard.options.reduction == "mean" else torch.ones_like(loss)
    return Evaluation(loss / denominator, denominator, shard, kept)


def _plain(summed: Summed) -> tuple[Tensor | None, Totals | None, Kept]:
    """Return the losses of the rows or their totals, and what is kept for the backward pass."""
    shard = summed.shard
    collected = _Collected(shard)
    keeper = _Keeper(summed)
    for rows, sums, _ in summed.parts():
        _check_mass(shard, sums, rows)
        found = losses_of(shard, rows, sums)
        keeper.keep(rows, found.kept)
        collected.add(rows, found.loss, found.weight)
    return *collected.result(), keeper.kept()


def _with_terms(summed: Summed, group: Group) -> tuple[Tensor | None, Totals | None, Kept]:
    """Do the same for a loss with terms that need the row's normalizer before they can be summed."""
    shard, table = summed.shard, summed.words.table
    layout = terms_layout(shard, vocabulary_of(shard).classes, dist.get_world_size(group))
    collected, keeper = _Collected(shard), _Keeper(summed, layout.words)
    with_penalty = bool(shard.options.z_loss)

    def compute() -> None:
        for rows, sums, scale in summed.parts():
            _check_mass(shard, sums, rows)
            found = losses_of(shard, rows, sums)
            keeper.keep(rows, found.kept if with_penalty else found.kept._replace(pull=None))
            collected.weigh(found.weight)
            words = table[: layout.words, rows]
            of_scale = pack_scale(scale) if dist.get_rank(group) == 0 else {}
            for block, at in shard.blocks(rows):
                numbers = {name: number[:, at] for name, number in of_scale.items()}
                numbers |= terms_of(shard, block, rows_of(keeper.kept(), block), some(scale, at))
                layout.pack(numbers, words[:, at])
        shard.room.clear()

    summed.words.add(layout.words, compute)
    kept = keeper.kept()
    pull = kept.pull if with_penalty else table[0].view(torch.float64)  # over terms that are read
    for rows in row_blocks(shard.rows):
        numbers = layout.unpack(table[: layout.words, rows])
        penalty = kept.pull[rows] if with_penalty else None
        loss, pull[rows] = with_terms(shard, rows, rows_of(kept, rows), numbers, penalty)
        collected.add(rows, loss)
    return *collected.result(), kept._replace(pull=pull)


class _Collected:
    """The losses of rows as they are computed: one by one for the reduction "none", or their totals."""

    def __init__(self, shard: Shard) -> None:
        self._losses, self._loss, self._weight = None, None, None
        if shard.options.reduction == "none":
            self._losses = torch.empty(shard.rows, dtype=shard.dtype, device=shard.device)

    def weigh(self, weight: Tensor) -> None:
        """Take the weights of some rows in a mean."""
        if self._losses is None:
            total = _total(weight)
            self._weight = total if self._weight is None else exact.merge([self._weight, total])

    def add(self, rows: slice, loss: Tensor, weight: Tensor | None = None) -> None:
        """Take the losses of some rows, with their weights if they are not taken yet."""
        if self._losses is not None:
            self._losses[rows] = loss
            return
        total, special = _total_and_special(loss)
        if self._loss is not None:
            total, special = exact.merge([self._loss[0], total]), self._loss[1] + special
        self._loss = total, special
        if weight is not None:
            self.weigh(weight)

    def result(self) -> tuple[Tensor | None, Totals | None]:
        """Return the losses, or their totals."""
        if self._losses is not None:
            return self._losses, None
        assert self._loss is not None
        assert self._weight is not None
        return None, Totals(self._loss[0], self._weight, self._loss[1])


class _Keeper:
    """Stores what is kept of rows where their sums were, from word ``start`` on."""

    def __init__(self, summed: Summed, start: int = 0) -> None:
        self._summed, self._fields, self._places = summed, None, summed.numbers(start)

    def keep(self, rows: slice, found: Kept) -> None:
        """Store what is kept of some rows; the largest logit is where it was."""
        if self._fields is None:
            fields: list[Any] = [None if field is None else next(self._places) for field in found[1:]]
            self._fields = Kept(self._summed.maximum, *fields)
        store(self._fields, rows, found)

    def kept(self) -> Kept:
        """Return what is kept of all rows."""
        assert self._fields is not None
        return self._fields


def _check_mass(shard: Shard, sums: RowSums, rows: slice) -> None:
    if sums.mass is None or shard.distribution is None:
        return
    classes = vocabulary_of(shard).classes
    wrong = ~((sums.mass - 1).abs() <= sum_tolerance(shard.distribution.dtype, classes))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise InvalidInputError(
            "each row of target must be probabilities: none negative, with sum 1 over all shards (to "
            f"1e-3 and the rounding of their dtype); got the sum {float(sums.mass[row]):.6g} in row "
            f"{rows.start + row}; divide the row by its sum over all shards"
        )


def keep_for_backward(ctx: Any, result: Evaluation) -> None:
    """Store what the gradient needs in the context: some numbers per row, and the denominator of a mean."""
    ctx.shard, ctx.denominator, ctx.kept = result.shard, result.denominator, result.kept


def upstream_of_rows(ctx: Any, upstream: Tensor) -> Tensor:
    """Return the upstream gradient of the loss of each row."""
    factor = upstream.double()
    if ctx.denominator is None:
        return factor.reshape(-1)
    return (factor / ctx.denominator).expand(ctx.shard.rows)


def shape_of_rows(local: Tensor) -> torch.Size:
    """Return the shape of logits (N, K, ...) or (K,) without the classes."""
    dim = 1 if local.dim() > 1 else 0
    return local.shape[:dim] + local.shape[dim + 1 :]


def in_layout_of_logits(shard: Shard, gradients: Iterable[tuple[slice, Tensor]], local: Tensor) -> Tensor:
    """Return the gradient of logits (N, K, ...), from blocks of rows."""
    result = local.new_empty((shard.rows, shard.classes))
    for rows, gradient in gradients:
        result[rows] = gradient
    return result.view(*shape_of_rows(local), shard.classes).movedim(-1, 1 if local.dim() > 1 else 0)


def _totals(losses: Tensor, weights: Tensor) -> Totals:
    total, special = _total_and_special(losses)
    return Totals(total, _total(weights), special)


def _total_and_special(losses: Tensor) -> tuple[ExactSums, Tensor]:
    finite, special = sum_of_finite(losses.unsqueeze(0))
    return _total(finite.squeeze(0)), special


def _total(values: Tensor) -> ExactSums:
    return exact.sum_exactly((values.unsqueeze(0),), None, exact.NARROW)


def _merge_totals(parts: list[Totals]) -> Totals:
    return Totals(
        exact.merge([part.loss for part in parts]),
        exact.merge([part.weight for part in parts]),
        sum((part.special for part in parts[1:]), parts[0].special),
    )


def _gather_totals(outcome: Outcome, totals: Totals | None, group: Group) -> Totals:
    """Return the totals over the ranks with other rows; an error of one is raised on all."""
    zeros = torch.zeros(1, dtype=torch.float64)
    like = _totals(zeros, zeros)
    words = pack(like if totals is None else totals)
    sent = torch.cat([outcome.words().to(words.device), words.view(-1)])
    received = gather(sent, group)
    read_claims(received, outcome, "rank")
    parts = received[:, STATUS_WORDS:].view(received.shape[0], *words.shape)
    return _merge_totals([unpack(like, part) for part in parts])


def _value(sums: ExactSums) -> Tensor:
    total, exponent = exact.value_of(sums)
    return total.scaled(exponent).high[0]
