"""softmax, log_softmax and logsumexp of shards of the classes."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...losses._loss_arguments import LossOptions
from .._operators import widened
from . import _exact_sums as exact
from ._exact_sums import ExactSums, sum_of_finite
from ._exchange import Claim, Group, check_group, gather, pack, pack_weights, unpack
from ._first_derivatives import first_derivative_only
from ._pairs import pair_of
from ._read_sums import RowSums
from ._reduction import attempt_largest, row_blocks, sum_rows
from ._row_losses import exp_below
from ._shards import Shard, some

NO_SECOND_DERIVATIVE = (
    "softmax, log_softmax and logsumexp have no second derivative for classes that are sharded; pass "
    "input.full_tensor()"
)

_NO_OPTIONS = LossOptions(-1, None, 0.0, None, 0.0, 0.0, None, "none")


class Rows(NamedTuple):
    """The state of each row that the backward pass needs."""

    maximum: Tensor
    others: Tensor
    log_total: Tensor
    logsumexp: Tensor
    exists: Tensor  # whether any class is left


class Weighted(NamedTuple):
    """The sum over classes of the upstream gradient times a factor."""

    total: ExactSums
    special: Tensor


def activation(
    name: str,
    local: Tensor,
    dim: int,
    temperature: float,
    where: Tensor | None,
    *,
    group: Group,
    first_class: int,
) -> Tensor:
    """Evaluate softmax or log_softmax of this rank's classes, or logsumexp of all of them."""
    return _Activation.apply(name, local, dim, temperature, where, group, first_class)


class _Activation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        name: str,
        local: Any,
        dim: int,
        temperature: float,
        where: Tensor | None,
        group: Group,
        first_class: int,
    ) -> Tensor:
        check_group(group, "group")
        outcome, prepared = attempt_largest(
            lambda: _shard(name, local.detach(), dim, temperature, where, first_class), group
        )
        summed = sum_rows(outcome, prepared, group)
        shard = summed.shard
        parts = [_rows_of(sums) for _, sums, _ in summed.parts()]
        kept = Rows(*(torch.cat(fields) for fields in zip(*parts, strict=True)))
        ctx.save_for_backward(local)
        ctx.name, ctx.shard, ctx.kept, ctx.group = name, shard, kept, group
        ctx.dim, ctx.temperature = dim, temperature
        shape = local.shape[:dim] + local.shape[dim + 1 :]
        if name == "logsumexp":
            return kept.logsumexp.view(shape).to(local.dtype)
        result = local.new_empty((shard.rows, shard.classes))
        for rows in shard.all_blocks():
            result[rows] = _values(name, shard, rows, some(kept, rows))
        return result.view(*shape, shard.classes).movedim(-1, dim)

    @staticmethod
    @first_derivative_only(NO_SECOND_DERIVATIVE)
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (local,) = ctx.saved_tensors
        shard, kept = ctx.shard, ctx.kept
        if ctx.name == "logsumexp":
            arriving = upstream[0].reshape(-1, 1).expand(shard.rows, shard.classes)
            total = upstream[0].new_zeros(shard.rows).double()
        else:
            arriving = upstream[0].movedim(ctx.dim, -1).reshape(shard.rows, shard.classes)
            total = _total(ctx.name, shard, kept, arriving, ctx.group)
        result = local.new_empty((shard.rows, shard.classes))
        for rows in shard.all_blocks():
            gradient = _gradient(ctx.name, shard, rows, some(kept, rows), arriving[rows], total[rows])
            result[rows] = gradient / ctx.temperature
        shape = local.shape[: ctx.dim] + local.shape[ctx.dim + 1 :]
        of_local = result.view(*shape, shard.classes).movedim(-1, ctx.dim)
        return None, of_local, None, None, None, None, None


def _shard(
    name: str, local: Tensor, dim: int, temperature: float, where: Tensor | None, first_class: int
) -> tuple[Claim, Shard]:
    classes = local.shape[dim]
    rows = (local.shape[:dim] + local.shape[dim + 1 :]).numel()
    matrix = local.movedim(dim, -1).reshape(rows, classes)
    mask = None if where is None else where.expand(local.shape).movedim(dim, -1).reshape(rows, classes)

    def logits(part: slice) -> Tensor:
        x = widened(matrix[part])
        return x if temperature == 1.0 else x.double() / temperature

    shard = Shard(
        logits=logits,
        rows=rows,
        classes=classes,
        first_class=first_class,
        target=local,
        label=None,
        ignore_index=None,
        distribution=None,
        weight=None,
        where=mask,
        options=_NO_OPTIONS,
        wide=local.dtype == torch.float64 or temperature != 1.0,  # as `logits` gives them
        with_entropy=False,
        device=local.device,
        dtype=local.dtype,
    )
    given = f"function={name}, temperature={temperature}, dtype={local.dtype}, where={where is not None}"
    return Claim(rows, first_class, classes, 0, pack_weights(None), given), shard


def _rows_of(sums: RowSums) -> Rows:
    total = pair_of(sums.maximum).plus(sums.log_total).high
    return Rows(
        maximum=torch.where(sums.regular, sums.maximum, torch.nan),
        others=sums.others.high,
        log_total=sums.log_total.high,
        logsumexp=torch.where(sums.regular, total, sums.maximum),
        exists=sums.exists,
    )


def _values(name: str, shard: Shard, rows: slice, kept: Rows) -> Tensor:
    x = shard.visible(rows)
    if name == "softmax":
        values, nothing = _probabilities(shard, kept, x), 0.0
    else:
        values = (x - kept.maximum.unsqueeze(1)).sub_(kept.log_total.unsqueeze(1))
        nothing = -torch.inf
    return _masked(shard, rows, values, kept, nothing)


def _masked(shard: Shard, rows: slice, values: Tensor, kept: Rows, nothing: float) -> Tensor:
    if shard.where is None:
        return values
    return values.masked_fill_(~shard.where[rows] | ~kept.exists.unsqueeze(1), nothing)


def _probabilities(shard: Shard, kept: Rows, x: Tensor) -> Tensor:
    return exp_below(shard, kept.maximum, x).div_((1 + kept.others).unsqueeze(1))


def _total(name: str, shard: Shard, kept: Rows, arriving: Tensor, group: Group) -> Tensor:
    """Return the sum over all classes of the upstream gradient; for softmax, times the probabilities."""

    def weighted(rows: slice) -> Weighted:
        terms = arriving[rows].double()
        if name == "softmax":
            terms = _probabilities(shard, some(kept, rows), shard.visible(rows)) * terms
        terms = _masked(shard, rows, terms.clone(), some(kept, rows), 0.0)
        finite, special = sum_of_finite(terms)
        return Weighted(exact.sum_exactly((finite,), None, exact.WIDE), special)

    like, totals = weighted(slice(0, 0)), []
    empty = pack(like)
    words = empty.new_empty((empty.shape[0], shard.rows))
    for rows in shard.all_blocks():
        words[:, rows] = pack(weighted(rows))
    received = gather(words.view(-1), group)
    received = received.view(received.shape[0], *words.shape)
    for rows in row_blocks(shard.rows):
        parts: list[Weighted] = [unpack(like, part[:, rows]) for part in received]
        number, exponent = exact.value_of(exact.merge([part.total for part in parts]))
        special = torch.stack([part.special for part in parts]).sum(0)
        totals.append(number.scaled(exponent).high + special)
    return torch.cat(totals)


def _gradient(name: str, shard: Shard, rows: slice, kept: Rows, arriving: Tensor, total: Tensor) -> Tensor:
    x, g = shard.visible(rows), arriving.double()
    p = _probabilities(shard, kept, x)
    if name == "softmax":
        result = p * (g - total.unsqueeze(1))
    elif name == "logsumexp":
        result = (p * g).masked_fill_((kept.logsumexp == -torch.inf).unsqueeze(1), 0.0)
    else:
        others = kept.others.unsqueeze(1)
        complement = torch.where(x == kept.maximum.unsqueeze(1), others / (1 + others), 1 - p)
        result = complement * g - p * (total.unsqueeze(1) - g)
    return _masked(shard, rows, result, kept, 0.0)
