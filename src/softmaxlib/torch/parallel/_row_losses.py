"""The loss of each row and the gradient of its logits, once the sums over all shards are known.

With M the largest logit and s the sum of exp(x - M) over the others, -log p = log1p(s) + (M - x). Both terms
are not negative, so no digit is lost. The rest is as in `softmaxlib.losses`: a row's loss is the sum of
a (1 - p)^gamma (-log p) with coefficients a. Its gradient is C p - c, with c = -d term / d log p and C their
sum.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from . import _exact_sums as exact
from ._exact_sums import ExactSums
from ._pairs import Pair, elementary, pair_of, power, two_sum
from ._row_states import Normalizer, normalizer_of
from ._shards import LinearSums, Shard, ShardSums, sum_of_finite


class Rows(NamedTuple):
    """The state of each row that the gradient needs."""

    loss: Tensor
    weight: Tensor  # its weight in a mean
    valued: Tensor  # whether it has a loss: it is not ignored, and some class exists
    class_count: Tensor
    maximum: Tensor
    others: Tensor
    log_total: Tensor
    pull: Tensor  # the sum of all slopes
    at_label: Tensor  # the gradient of the label's logit, where no other class has a coefficient
    entropy: Tensor | None


class TermSums(NamedTuple):
    """Sums over classes of terms that need the row's normalizer, and of their slopes."""

    loss: ExactSums
    slope: ExactSums
    special: Tensor


def rows_of(shard: Shard, rows: slice, sums: ShardSums, classes: int) -> Rows:
    """Compute losses of some rows, and the state for their gradients (without terms that follow later)."""
    options = shard.options
    normal = normalizer_of(sums.state, shard.wide)
    size = normal.maximum.shape[0]
    count = (
        normal.maximum.new_full((size,), classes) if sums.class_count is None else sums.class_count.double()
    )
    counted = torch.ones_like(count, dtype=torch.bool) if shard.counted is None else shard.counted[rows]
    one = pair_of(torch.ones_like(normal.maximum))
    row_weight = one
    if sums.target is not None:
        row_weight = _number(sums.target.coefficients)
    elif sums.chosen_weight is not None:
        row_weight = pair_of(sums.chosen_weight)
    loss, pull = pair_of(torch.zeros_like(normal.maximum)), torch.zeros_like(normal.maximum)
    penalty, at_label = pull, pull
    if not shard.needs_terms:
        loss, pull, at_label = _plain_terms(shard, sums, normal, count, row_weight)
    if options.z_loss:
        logsumexp = pair_of(normal.maximum).plus(normal.log_total)
        factor = row_weight.times(pair_of(torch.full_like(pull, options.z_loss)))
        loss = loss.plus(factor.times(logsumexp.times(logsumexp)))
        penalty = 2 * factor.high * logsumexp.high
        if sums.chosen is not None:
            at_label = at_label + penalty * elementary("exp", -_negative_log(normal, sums.chosen).high)
    valued = counted & (count > 0)
    regular = normal.maximum.isfinite()
    mean_weight = one.high if sums.target is not None else row_weight.high
    return Rows(
        loss=torch.where(valued, torch.where(regular, loss.high, torch.nan), 0.0),
        weight=torch.where(counted, mean_weight, 0.0),
        valued=valued,
        class_count=count,
        maximum=torch.where(regular, normal.maximum, torch.nan),
        others=normal.others.high,
        log_total=normal.log_total.high,
        pull=pull + penalty,
        at_label=torch.where(regular, at_label, torch.nan),
        entropy=_entropy(normal, valued, regular),
    )


def terms_of(shard: Shard, rows: slice, kept: Rows) -> TermSums:
    """Return the focal terms of a shard's classes, which need the row's normalizer."""
    loss, slope = _focal(shard, rows, kept, shard.visible(rows))
    loss, special = sum_of_finite(loss)
    slope, more = sum_of_finite(slope)
    bins = shard.bins
    return TermSums(
        exact.sum_exactly((loss,), None, bins), exact.sum_exactly((slope,), None, bins), special + more
    )


def merge_terms(parts: list[TermSums]) -> TermSums:
    """Return the terms of whole rows from those of their shards."""
    special = sum((part.special for part in parts[1:]), parts[0].special)
    return TermSums(
        exact.merge([part.loss for part in parts]), exact.merge([part.slope for part in parts]), special
    )


def with_terms(kept: Rows, terms: TermSums) -> Rows:
    """Return the rows with their focal terms."""
    loss = _number(terms.loss).high + terms.special
    return kept._replace(
        loss=torch.where(kept.valued, kept.loss + loss, 0.0), pull=kept.pull + _number(terms.slope).high
    )


def gradient_of(shard: Shard, rows: slice, kept: Rows, upstream: Tensor) -> Tensor:
    """Compute the float64 gradient of some rows' logits (rows, classes), times ``upstream`` of each row."""
    x = shard.visible(rows)
    if shard.has_coefficients:
        slope = _focal(shard, rows, kept, x)[1] if shard.needs_terms else _coefficients(shard, rows, kept)
        p, complement = _probabilities(kept, x)
        result = (kept.pull.unsqueeze(1) - slope) * p - slope * complement
    else:
        result = exp_below(kept.maximum, x).mul_((kept.pull / (1 + kept.others)).unsqueeze(1))
        if shard.classes:
            owned, place = shard.owned(rows)
            at = place.unsqueeze(1)
            result.scatter_(
                1, at, torch.where(owned.unsqueeze(1), kept.at_label.unsqueeze(1), result.gather(1, at))
            )
    result = torch.where(result == 0, 0.0, result * upstream.unsqueeze(1))
    result.masked_fill_(~kept.valued.unsqueeze(1), 0.0)
    if shard.where is not None:
        result.masked_fill_(~shard.where[rows], 0.0)
    return result


def entropy_gradient_of(shard: Shard, rows: slice, kept: Rows, upstream: Tensor) -> Tensor:
    """Return the gradient of some rows' entropies, in float64: -p (log p + entropy)."""
    x = shard.visible(rows)
    p, _ = _probabilities(kept, x)
    assert kept.entropy is not None
    surprise = (kept.entropy - kept.log_total).unsqueeze(1) + (x - kept.maximum.unsqueeze(1))
    result = -p * torch.where(p == 0, 0.0, surprise) * upstream.unsqueeze(1)
    return result.masked_fill_(~kept.valued.unsqueeze(1), 0.0)


def _entropy(normal: Normalizer, valued: Tensor, regular: Tensor) -> Tensor | None:
    """Compute log1p(s) + (M s - m) / (1 + s), with m the sum of x exp(x - M) over all but the largest."""
    if normal.moment is None:
        return None
    distance = pair_of(normal.maximum).times(normal.others)
    distance = distance.plus(Pair(-normal.moment.high, -normal.moment.low))
    total = normal.others.plus(pair_of(torch.ones_like(normal.maximum)))
    entropy = normal.log_total.plus(distance.over(total)).high
    return torch.where(valued, torch.where(regular, entropy, torch.nan), 0.0)


def _plain_terms(
    shard: Shard, sums: ShardSums, normal: Normalizer, count: Tensor, row_weight: Pair
) -> tuple[Pair, Tensor, Tensor]:
    """Return the loss, the sum of its slopes, and the gradient of the label's logit."""
    options = shard.options
    kept = pair_of(torch.full_like(count, 1 - options.label_smoothing))
    if sums.target is not None:
        loss, pull = _linear_loss(sums.target, normal)
        loss, pull, at_label = loss.times(kept), pull * kept.high, torch.zeros_like(pull)
    else:
        assert sums.chosen is not None
        negative_log = _negative_log(normal, sums.chosen)
        complement = -elementary("expm1", -negative_log.high)
        pull = row_weight.high
        if options.focal_gamma:
            p = elementary("exp", -negative_log.high)
            focus = power(complement, options.focal_gamma)
            pull = pull * (
                focus + options.focal_gamma * _steep(p, complement, negative_log.high, options.focal_gamma)
            )
            negative_log = negative_log.times(pair_of(focus))
        loss = negative_log.times(row_weight).times(kept)
        nothing = row_weight.high == 0
        loss = Pair(*(torch.where(nothing, 0.0, part) for part in loss))
        pull = pull * kept.high
        at_label = -pull * complement
    if sums.even is not None:
        even, coefficients = _linear_loss(sums.even, normal)
        share = pair_of(torch.full_like(count, options.label_smoothing)).over(pair_of(count))
        loss = loss.plus(even.times(share))
        pull = pull + coefficients * share.high
    return loss, pull, at_label


def _linear_loss(sums: LinearSums, normal: Normalizer) -> tuple[Pair, Tensor]:
    """Return the sum of a (-log p) over classes, and of a: A log1p(s) + (A M - sum of a x)."""
    total, products = _number(sums.coefficients), _number(sums.products)
    distance = total.times(pair_of(normal.maximum)).plus(Pair(-products.high, -products.low))
    loss = total.times(normal.log_total).plus(distance)
    return Pair(loss.high - sums.special, loss.low), total.high


def _negative_log(normal: Normalizer, chosen: Tensor) -> Pair:
    return normal.log_total.plus(two_sum(normal.maximum, -chosen))


def _number(sums: ExactSums) -> Pair:
    total, exponent = exact.value_of(sums)
    return total.scaled(exponent)


def _steep(p: Tensor, complement: Tensor, negative_log: Tensor, gamma: float) -> Tensor:
    """Compute (1 - p)^(gamma - 1) p (-log p), 0 where p is 0 or 1."""
    edge = (p == 0) | (complement == 0)
    inner = torch.where(edge, 0.0, p * torch.where(edge, 0.0, negative_log))
    return torch.where(edge, 0.0, power(torch.where(edge, 1.0, complement), gamma - 1)) * inner


def _coefficients(shard: Shard, rows: slice, kept: Rows) -> Tensor:
    return shard.coefficients(rows, kept.class_count.clamp(min=1.0))


def exp_below(maximum: Tensor, x: Tensor) -> Tensor:
    """Compute exp(x - M), with the rounding of the difference."""
    difference, lost = two_sum(x, -maximum.unsqueeze(1))
    result = elementary("exp", difference)
    return result.addcmul_(result, lost)


def _probabilities(kept: Rows, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute p and 1 - p, both with all digits."""
    others = kept.others.unsqueeze(1)
    p = exp_below(kept.maximum, x) / (1 + others)
    return p, torch.where(x == kept.maximum.unsqueeze(1), others / (1 + others), 1 - p)


def _focal(shard: Shard, rows: slice, kept: Rows, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return each class's term of the loss, and its slope."""
    gamma = shard.options.focal_gamma
    a = _coefficients(shard, rows, kept)
    p, complement = _probabilities(kept, x)
    used = a != 0
    negative_log = torch.where(used, kept.log_total.unsqueeze(1) + (kept.maximum.unsqueeze(1) - x), 0.0)
    focus = power(complement, gamma)
    term = a * focus * negative_log
    slope = a * (focus + gamma * _steep(p, complement, negative_log, gamma))
    return torch.where(used, term, 0.0), slope
