"""A loss over shards: agree, exchange, merge, reduce, and the backward pass."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..._checks import sum_tolerance
from ...errors import InvalidInputError
from . import _exact_sums as exact
from ._exact_sums import ExactSums
from ._exchange import STATUS_WORDS, Group, Outcome, check_group, gather, pack, read_claims, unpack
from ._gathering import Build, Gathered, attempt_sums, gather_sums, gather_words, row_blocks, words_of
from ._row_losses import Rows, TermSums, merge_terms, rows_of, terms_of, with_terms
from ._shards import Shard, ShardSums, sum_of_finite


class Totals(NamedTuple):
    """Sums over all rows, in tensors of one row: of losses, and of their weights in a mean."""

    loss: ExactSums
    weight: ExactSums
    special: Tensor


class Evaluation(NamedTuple):
    """A loss in float64: one per row, or of all rows (their sum over ``denominator``)."""

    loss: Tensor
    denominator: Tensor | None
    shard: Shard
    kept: Rows


def evaluate(build: Build, group: Group, rows_group: Group) -> Evaluation:
    """Compute the loss of the shard made by ``build`` and of those on the other ranks of ``group``.

    An error on one rank is raised on every rank, also of `rows_group` (None: there is no such group).
    """
    check_group(group, "group")
    if rows_group is not None:
        check_group(rows_group, "rows_group")
    outcome, local = attempt_sums(build)
    try:
        kept = _rows(gather_sums(outcome, local, group), group)
    except Exception as error:  # raised on the whole group; ranks with other rows wait
        if rows_group is not None:
            with suppress(Exception):
                _gather_totals(Outcome(None, error), None, rows_group)
        raise
    assert local is not None
    shard, _ = local
    if shard.options.reduction == "none":
        return Evaluation(kept.loss, None, shard, kept)
    totals = _totals(kept.loss, kept.weight)
    if rows_group is not None:
        totals = _gather_totals(outcome, totals, rows_group)
    loss = _value(totals.loss) + totals.special[0]
    denominator = _value(totals.weight) if shard.options.reduction == "mean" else torch.ones_like(loss)
    return Evaluation(loss / denominator, denominator, shard, kept)


def _rows(gathered: Gathered, group: Group) -> Rows:
    """Return the kept state of all rows."""
    shard, classes, _ = gathered

    def whole(rows: slice, sums: ShardSums) -> Rows:
        _check_mass(shard, sums, rows, classes)
        return rows_of(shard, rows, sums, classes)

    kept = _concatenated([whole(*part) for part in gathered.parts()])
    if not shard.needs_terms:
        return kept
    like = terms_of(shard, slice(0, 0), some(kept, slice(0, 0)))
    received = gather_words(words_of(shard, lambda rows: terms_of(shard, rows, some(kept, rows))), group)

    def added(rows: slice) -> Rows:
        parts: list[TermSums] = [unpack(like, part[:, rows]) for part in received]
        return with_terms(some(kept, rows), merge_terms(parts))

    return _concatenated([added(rows) for rows in row_blocks(shard.rows)])


def _check_mass(shard: Shard, sums: ShardSums, rows: slice, classes: int) -> None:
    if sums.mass is None or shard.distribution is None:
        return
    wrong = ~((sums.mass - 1).abs() <= sum_tolerance(shard.distribution.dtype, classes))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise InvalidInputError(
            "each row of target must be probabilities: none negative, with sum 1 over all shards (to "
            f"1e-3 and the rounding of their dtype); got the sum {float(sums.mass[row]):.6g} (NaN: one is "
            f"negative) in row {rows.start + row}; divide the row by its sum over all shards"
        )


def some(kept: Rows, rows: slice) -> Rows:
    """Return the kept state of some rows."""
    fields: list[Any] = [None if field is None else field[rows] for field in kept]
    return Rows(*fields)


def _concatenated(parts: list[Rows]) -> Rows:
    fields: list[Any] = [None if each[0] is None else torch.cat(each) for each in zip(*parts, strict=True)]
    return Rows(*fields)


def keep_for_backward(ctx: Any, result: Evaluation) -> None:
    """Store what the gradient needs in the context: some numbers per row, and the denominator of a mean."""
    nothing = result.kept.loss.new_empty(0)
    ctx.shard, ctx.denominator = result.shard, result.denominator
    ctx.kept = result.kept._replace(loss=nothing, weight=nothing)


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


def in_layout_of_logits(shard: Shard, gradient: Callable[[slice], Tensor], local: Tensor) -> Tensor:
    """Return the gradient of logits (N, K, ...), computed by blocks of rows."""
    result = local.new_empty((shard.rows, shard.classes))
    for rows in shard.blocks():
        result[rows] = gradient(rows)
    return result.view(*shape_of_rows(local), shard.classes).movedim(-1, 1 if local.dim() > 1 else 0)


def _totals(losses: Tensor, weights: Tensor) -> Totals:
    parts = []
    for rows in row_blocks(losses.shape[0]):
        loss, special = sum_of_finite(losses[rows].unsqueeze(0))
        weight = weights[rows].unsqueeze(0)
        of_loss, of_weight = (exact.sum_exactly((each,), None, exact.NARROW) for each in (loss, weight))
        parts.append(Totals(of_loss, of_weight, special))
    return _merge_totals(parts)


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
