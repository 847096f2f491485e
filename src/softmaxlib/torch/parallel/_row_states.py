"""The state of each row of logits on a shard, and the merging of shards to whole rows.

A row's state is its largest logit M and the sum of exp of all others. A confident row loses no digit, because
its largest exponential is never added to the small ones, on any shard.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import _exact_sums as exact
from ._exact_sums import ExactSums
from ._exponentials import DIRECT, Exponentials, exponentials
from ._logarithms import log1p
from ._pairs import Pair, elementary, two_product

_LEAST_DIRECT = -550.0  # terms without their own power of two have no bits below their lowest bin


class RowState(NamedTuple):
    """The largest logit of each row, the sum of exp(x) over the others, and optionally of x exp(x)."""

    maximum: Tensor
    others: ExactSums
    moment: ExactSums | None


class Normalizer(NamedTuple):
    """A row's normalizer: exp(M) (1 + others), and log(1 + others)."""

    maximum: Tensor
    others: Pair
    log_total: Pair
    moment: Pair | None  # the sum of x exp(x - M) over the others


def state_of(logits: Tensor, bins: int, with_moment: bool = False) -> RowState:
    """Return the state of rows of float64 logits (rows, classes), which are overwritten."""
    rows, classes = logits.shape
    if classes > exact.MOST_TERMS:
        parts = logits.split(exact.MOST_TERMS, 1)
        return merge([state_of(part, bins, with_moment) for part in parts], bins)
    if classes == 0:
        nothing = exact.sum_exactly([logits], None, bins)
        lowest = torch.full((rows,), -torch.inf, dtype=torch.float64, device=logits.device)
        return RowState(lowest, nothing, nothing if with_moment else None)
    maximum, place = logits.max(1)
    logits.scatter_(1, place.unsqueeze(1), -torch.inf)
    unusable = ~(maximum < torch.inf)  # NaN, inf
    if unusable.any():
        logits.masked_fill_(unusable.unsqueeze(1), -torch.inf)
    second = logits.amax(1)
    direct = bins == exact.NARROW and bool(
        ((second == -torch.inf) | ((second > _LEAST_DIRECT) & (second < DIRECT - 1))).all()
    )
    if direct:
        high = elementary("exp", logits)
        power = Exponentials(Pair(high, high), None)
    else:
        power = exponentials(logits, bins == exact.WIDE)
    return RowState(maximum, _sum(power, bins), _moment(power, logits, bins) if with_moment else None)


def merge(states: Sequence[RowState], bins: int) -> RowState:
    """Merge the states of shards to that of whole rows: all largest logits but one join the others."""
    maximum = states[0].maximum
    for state in states[1:]:
        maximum = torch.maximum(maximum, state.maximum)
    others, moments = [], []
    taken = torch.zeros_like(maximum, dtype=torch.bool)
    for state in states:
        is_top = (state.maximum == maximum) & ~taken
        taken |= is_top
        left = torch.where(is_top | ~state.maximum.isfinite(), -torch.inf, state.maximum).unsqueeze(1)
        power = exponentials(left, bins == exact.WIDE)
        others += [state.others, _sum(power, bins)]
        if state.moment is not None:
            moments += [state.moment, _moment(power, left, bins)]
    return RowState(maximum, exact.merge(others), exact.merge(moments) if moments else None)


def normalizer_of(state: RowState, wide: bool) -> Normalizer:
    """Return the normalizer of whole rows."""
    top = exponentials(state.maximum, wide)
    of_top = torch.zeros_like(state.maximum) if top.exponent is None else top.exponent
    regular = state.maximum.isfinite()

    def relative(sums: ExactSums) -> Pair:
        total, exponent = exact.value_of(sums)
        ratio = total.over(top.value).scaled(exponent - of_top)
        return Pair(*(torch.where(regular, part, 0.0) for part in ratio))

    others = relative(state.others)
    return Normalizer(
        state.maximum, others, log1p(others), None if state.moment is None else relative(state.moment)
    )


def _sum(power: Exponentials, bins: int) -> ExactSums:
    high, low = power.value
    return exact.sum_exactly((high, low) if bins == exact.WIDE else (high,), power.exponent, bins)


def _moment(power: Exponentials, logits: Tensor, bins: int) -> ExactSums:
    nothing = power.value.high == 0
    x = torch.where(nothing, 0.0, logits)
    if bins == exact.NARROW:
        return exact.sum_exactly((power.value.high * x,), power.exponent, bins)
    product = two_product(power.value.high, x)
    return exact.sum_exactly((product.high, product.low + power.value.low * x), power.exponent, bins)
