"""softmax, log_softmax and logsumexp of shards of the classes."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...losses._loss_arguments import LossOptions
from . import _exact_sums as exact
from ._exact_sums import ExactSums
from ._exchange import Claim, Group, check_group, unpack
from ._gathering import attempt_sums, gather_sums, gather_words, row_blocks, words_of
from ._pairs import pair_of
from ._row_losses import exp_below
from ._row_states import normalizer_of
from ._shards import Shard, ShardSums, sum_of_finite

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
        outcome, prepared = attempt_sums(
            lambda: _shard(name, local.detach(), dim, temperature, where, first_class)
        )
        gathered = gather_sums(outcome, prepared, group)
        shard = gathered.shard
        parts = [_rows_of(shard, sums) for _, sums in gathered.parts()]
        kept = Rows(*(torch.cat(fields) for fields in zip(*parts, strict=True)))
        ctx.save_for_backward(local)
        ctx.name, ctx.shard, ctx.kept, ctx.group = name, shard, kept, group
        ctx.dim, ctx.temperature = dim, temperature
        shape = local.shape[:dim] + local.shape[dim + 1 :]
        if name == "logsumexp":
            return kept.logsumexp.view(shape).to(local.dtype)
        result = local.new_empty((shard.rows, shard.classes))
        for rows in shard.blocks():
            result[rows] = _values(name, shard, rows, _some(kept, rows))
        return result.view(*shape, shard.classes).movedim(-1, dim)

    @staticmethod
    @once_differentiable
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
        for rows in shard.blocks():
            gradient = _gradient(ctx.name, shard, rows, _some(kept, rows), arriving[rows], total[rows])
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
        wide = matrix[part].to(torch.float64, copy=True)
        return wide if temperature == 1.0 else wide.div_(temperature)

    shard = Shard(
        logits=logits,
        rows=rows,
        classes=classes,
        first_class=first_class,
        target=local,
        label=None,
        counted=None,
        distribution=None,
        weight=None,
        where=mask,
        options=_NO_OPTIONS,
        wide=local.dtype == torch.float64,
        with_entropy=False,
        device=local.device,
    )
    given = f"function={name}, temperature={temperature}, dtype={local.dtype}, where={where is not None}"
    return Claim(rows, first_class, classes, 0, given), shard


def _rows_of(shard: Shard, sums: ShardSums) -> Rows:
    normal = normalizer_of(sums.state, shard.wide)
    exists = torch.ones_like(normal.maximum, dtype=torch.bool)
    if sums.class_count is not None:
        exists = sums.class_count > 0
    regular = normal.maximum.isfinite()
    total = pair_of(normal.maximum).plus(normal.log_total).high
    return Rows(
        maximum=torch.where(regular, normal.maximum, torch.nan),
        others=normal.others.high,
        log_total=normal.log_total.high,
        logsumexp=torch.where(regular, total, normal.maximum),
        exists=exists,
    )


def _some(kept: Rows, rows: slice) -> Rows:
    return Rows(*(field[rows] for field in kept))


def _values(name: str, shard: Shard, rows: slice, kept: Rows) -> Tensor:
    x = shard.visible(rows)
    if name == "softmax":
        values, nothing = _probabilities(kept, x), 0.0
    else:
        values = (x - kept.maximum.unsqueeze(1)) - kept.log_total.unsqueeze(1)
        nothing = -torch.inf
    return _masked(shard, rows, values, kept, nothing)


def _masked(shard: Shard, rows: slice, values: Tensor, kept: Rows, nothing: float) -> Tensor:
    if shard.where is None:
        return values
    return values.masked_fill_(~shard.where[rows] | ~kept.exists.unsqueeze(1), nothing)


def _probabilities(kept: Rows, x: Tensor) -> Tensor:
    return exp_below(kept.maximum, x) / (1 + kept.others).unsqueeze(1)


def _total(name: str, shard: Shard, kept: Rows, arriving: Tensor, group: Group) -> Tensor:
    """Return the sum over all classes of the upstream gradient; for softmax, times the probabilities."""

    def weighted(rows: slice) -> Weighted:
        terms = arriving[rows].double()
        if name == "softmax":
            terms = _probabilities(_some(kept, rows), shard.visible(rows)) * terms
        terms = _masked(shard, rows, terms.clone(), _some(kept, rows), 0.0)
        finite, special = sum_of_finite(terms)
        return Weighted(exact.sum_exactly((finite,), None, exact.WIDE), special)

    received = gather_words(words_of(shard, weighted), group)
    like, totals = weighted(slice(0, 0)), []
    for rows in row_blocks(shard.rows):
        parts: list[Weighted] = [unpack(like, part[:, rows]) for part in received]
        number, exponent = exact.value_of(exact.merge([part.total for part in parts]))
        special = torch.stack([part.special for part in parts]).sum(0)
        totals.append(number.scaled(exponent).high + special)
    return torch.cat(totals)


def _gradient(name: str, shard: Shard, rows: slice, kept: Rows, arriving: Tensor, total: Tensor) -> Tensor:
    x, g = shard.visible(rows), arriving.double()
    p = _probabilities(kept, x)
    if name == "softmax":
        result = p * (g - total.unsqueeze(1))
    elif name == "logsumexp":
        result = (p * g).masked_fill_((kept.logsumexp == -torch.inf).unsqueeze(1), 0.0)
    else:
        others = kept.others.unsqueeze(1)
        complement = torch.where(x == kept.maximum.unsqueeze(1), others / (1 + others), 1 - p)
        result = complement * g - p * (total.unsqueeze(1) - g)
    return _masked(shard, rows, result, kept, 0.0)
