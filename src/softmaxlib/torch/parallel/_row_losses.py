"""The loss of each row and the gradient of its logits, once the sums over all shards are known.

With M the largest logit and s the sum of exp(x - M) over the others, -log p = log1p(s) + (M - x). Both terms
are not negative, so no digit is lost. The rest is as in `softmaxlib.losses`: a row's loss is the sum of
a (1 - p)^gamma (-log p) with coefficients a. Its gradient is C p - c, with c = -d term / d log p and C their
sum.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ._exponentials import exp_in_place
from ._fixed_point import THREE, TWO, sum_digits, value_of
from ._pairs import Pair, elementary, pair_of, power, times_power, two_sum
from ._read_sums import Linear, RowSums
from ._row_scale import INFINITE, Scale
from ._row_sums import below
from ._shards import Shard, some, vocabulary_of

_TERM_DIGITS = (TWO, THREE, THREE)
TERM_WORDS = sum(digits.words for digits in _TERM_DIGITS)


class Kept(NamedTuple):
    """Numbers that the gradient of a row needs; the largest logit may be stored as float32."""

    maximum: Tensor
    others: Tensor
    log_total: Tensor | None  # for terms that need it
    pull: Tensor  # the sum of all slopes
    at_label: Tensor | None  # the gradient of the label's logit, where no other class has a coefficient
    class_count: Tensor | None  # where it differs from row to row
    entropy: Tensor | None
    exists: Tensor | None  # whether a class exists; None if in all rows


def kept_numbers(shard: Shard) -> int:
    """Return how many numbers of float64 are kept of a row, besides its largest logit, and with its loss."""
    of_row = 2 + shard.with_entropy + (bool(shard.options.label_smoothing) and shard.where is not None)
    return of_row + (not shard.has_coefficients) + needs_logarithm(shard) + 2 * shard.needs_terms


def needs_logarithm(shard: Shard) -> bool:
    """Return True if the gradient needs the logarithm of each row's sum."""
    return shard.needs_terms or shard.with_entropy


class RowLosses(NamedTuple):
    """The losses of rows, with their weights in a mean."""

    loss: Tensor
    weight: Tensor
    kept: Kept


def losses_of(shard: Shard, rows: slice, sums: RowSums) -> RowLosses:
    """Compute losses of some rows, and what their gradients need (without terms that follow later)."""
    options = shard.options
    one = pair_of(torch.ones_like(sums.maximum))
    row_weight = one
    if sums.target is not None:
        row_weight = sums.target.weight
    elif sums.chosen_weight is not None:
        row_weight = pair_of(sums.chosen_weight)
    loss, pull = pair_of(torch.zeros_like(sums.maximum)), torch.zeros_like(sums.maximum)
    penalty, at_label = pull, pull
    if not shard.needs_terms:
        loss, pull, at_label = _plain_terms(shard, sums, row_weight)
    elif sums.chosen is not None:  # the label's term is infinite if its class is masked
        loss = pair_of(torch.where((sums.chosen == -torch.inf) & (row_weight.high > 0), torch.inf, 0.0))
    if options.z_loss:
        logsumexp = pair_of(sums.maximum).plus(sums.log_total)
        factor = row_weight.times(pair_of(torch.full_like(pull, options.z_loss)))
        loss = loss.plus(factor.times(logsumexp.times(logsumexp)))
        penalty = 2 * factor.high * logsumexp.high
        if sums.chosen is not None:
            at_label = at_label + penalty * elementary("exp", -_negative_log(sums, sums.chosen).high)
    counted = shard.counted(rows)
    counted = torch.ones_like(sums.exists) if counted is None else counted
    valued = counted & sums.exists
    mean_weight = one.high if sums.target is not None else row_weight.high

    def in_regular(value: Tensor) -> Tensor:
        return torch.where(sums.regular, value, torch.nan)

    entropy = _entropy(sums)
    if entropy is not None:
        entropy = torch.where(valued, in_regular(entropy), 0.0)
    kept = Kept(
        maximum=in_regular(sums.maximum),
        others=sums.others.high,
        log_total=sums.log_total.high if needs_logarithm(shard) else None,
        pull=pull + penalty,
        at_label=None if shard.has_coefficients else in_regular(at_label),
        class_count=sums.class_count if shard.where is not None and options.label_smoothing else None,
        entropy=entropy,
        exists=None if shard.where is None else sums.exists,
    )
    return RowLosses(
        loss=torch.where(valued, in_regular(loss.high), 0.0),
        weight=torch.where(counted, mean_weight, 0.0),
        kept=kept,
    )


def terms_of(shard: Shard, rows: slice, kept: Kept, scale: Scale) -> Tensor:
    """Return the focal terms of a shard's classes, as integers that the ranks add (words, rows).

    Of the classes with the largest logit only the coefficients are added: their terms may be very small.
    """
    x = shard.visible(rows)
    a, loss, slope = _focal(shard, rows, kept, x)
    top = x == kept.maximum.unsqueeze(1)
    parts = torch.where(top, a, 0.0), torch.where(top, 0.0, loss), torch.where(top, 0.0, slope)
    words = []
    for part, exponent, digits in zip(parts, _term_exponents(shard, kept, scale), _TERM_DIGITS, strict=True):
        scaled = times_power(torch.where(part.isfinite(), part, 0.0), (digits.width - exponent).unsqueeze(1))
        words.append(sum_digits(scaled, digits))
    return torch.cat(words)


def with_terms(shard: Shard, rows: slice, kept: Kept, scale: Scale, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return the focal loss of whole rows, and the sum of the slopes."""
    exponents = _term_exponents(shard, kept, scale)
    coefficient, loss, slope = (
        value_of(part, digits).scaled(exponent).high
        for part, digits, exponent in zip(
            words.split([digits.words for digits in _TERM_DIGITS]), _TERM_DIGITS, exponents, strict=True
        )
    )
    gamma = shard.options.focal_gamma
    assert kept.log_total is not None
    p, complement = 1 / (1 + kept.others), kept.others / (1 + kept.others)
    focus = power(complement, gamma)
    loss = loss + coefficient * focus * kept.log_total
    slope = slope + coefficient * (focus + gamma * _steep(p, complement, kept.log_total, gamma))
    assert scale.reach is not None
    loss = torch.where(scale.reach == INFINITE, torch.inf, loss)
    counted = shard.counted(rows)
    valued = torch.ones_like(loss, dtype=torch.bool) if counted is None else counted
    if kept.exists is not None:
        valued = valued & kept.exists
    return torch.where(valued, loss, 0.0), slope


class RowGradients:
    """The gradient of the logits of a group of rows, times ``upstream`` of each row."""

    def __init__(self, shard: Shard, rows: slice, kept: Kept, upstream: Tensor) -> None:
        self._shard, self._kept = shard, kept
        self._factor, self._usual = upstream, bool(upstream.isfinite().all())
        if kept.at_label is None:
            return
        self._at_label, self._of_row = kept.at_label, kept.pull / (1 + kept.others)
        if self._usual:
            self._of_row, self._at_label = self._of_row * upstream, self._at_label * upstream
        self._owned, self._place = shard.owned(rows)

    def of(self, rows: slice, at: slice) -> Tensor:
        """Compute it for a block (rows, classes), in float64, which may be where the next block is written.

        ``at`` is the place of the block in the group.
        """
        shard, factor = self._shard, self._factor[at].unsqueeze(1)
        x, kept = shard.visible(rows), some(self._kept, at)
        if kept.at_label is None:
            slope = _focal(shard, rows, kept, x)[2] if shard.needs_terms else _coefficients(shard, rows, kept)
            p, complement = _probabilities(shard, kept, x)
            result = (kept.pull.unsqueeze(1) - slope) * p - slope * complement
            if self._usual:
                result.mul_(factor)
        else:
            if shard.wide:
                result = exp_below(shard, kept.maximum, x)
            else:
                result = exp_in_place(below(shard, x, kept.maximum.unsqueeze(1)))
            result.mul_(self._of_row[at].unsqueeze(1))
            if shard.classes:
                owned, place = self._owned[at].unsqueeze(1), self._place[at].unsqueeze(1)
                label = torch.where(owned, self._at_label[at].unsqueeze(1), result.gather(1, place))
                result.scatter_(1, place, label)
        if not self._usual:
            result = torch.where(result == 0, 0.0, result * factor)
        return masked(shard, rows, kept, result)


def gradients_of(shard: Shard, kept: Kept, upstream: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the float64 gradients of the logits (rows, classes), block by block."""
    for group in shard.groups():
        found = RowGradients(shard, group, rows_of(kept, group), upstream[group])
        for rows, at in shard.blocks(group):
            yield rows, found.of(rows, at)


def rows_of(kept: Kept, rows: slice) -> Kept:
    """Return what is kept of some rows, in float64."""
    found = some(kept, rows)
    return found._replace(maximum=found.maximum.double())


def masked(shard: Shard, rows: slice, kept: Kept, gradient: Tensor) -> Tensor:
    """Set the gradient of rows and classes that don't count to 0."""
    if shard.ignores:
        counted = shard.counted(rows)
        assert counted is not None
        gradient.masked_fill_(~counted.unsqueeze(1), 0.0)
    if shard.where is not None:
        assert kept.exists is not None
        gradient.masked_fill_(~(shard.where[rows] & kept.exists.unsqueeze(1)), 0.0)
    return gradient


def entropy_gradient_of(shard: Shard, rows: slice, kept: Kept, upstream: Tensor) -> Tensor:
    """Return the gradient of some rows' entropies, in float64: -p (log p + entropy)."""
    x = shard.visible(rows)
    p, _ = _probabilities(shard, kept, x)
    assert kept.entropy is not None
    assert kept.log_total is not None
    surprise = (kept.entropy - kept.log_total).unsqueeze(1) + (x - kept.maximum.unsqueeze(1))
    result = -p * torch.where(p == 0, 0.0, surprise) * upstream.unsqueeze(1)
    return masked(shard, rows, kept, result)


def exp_below(shard: Shard, maximum: Tensor, x: Tensor) -> Tensor:
    """Compute exp(x - M); for logits of float64 with the rounding of the difference."""
    if not shard.wide:
        return exp_in_place(x - maximum.unsqueeze(1))
    difference, lost = two_sum(x, -maximum.unsqueeze(1))
    result = exp_in_place(difference)
    return result.addcmul_(result, lost)


def _entropy(sums: RowSums) -> Tensor | None:
    """Compute log1p(s) + m / (1 + s), with m the sum of (M - x) exp(x - M)."""
    if sums.moment is None:
        return None
    total = sums.others.plus(pair_of(torch.ones_like(sums.maximum)))
    return sums.log_total.plus(sums.moment.over(total)).high


def _plain_terms(shard: Shard, sums: RowSums, row_weight: Pair) -> tuple[Pair, Tensor, Tensor]:
    """Return the loss, the sum of its slopes, and the gradient of the label's logit."""
    options = shard.options
    count = sums.class_count
    kept = pair_of(torch.full_like(count, 1 - options.label_smoothing))
    if sums.target is not None:
        loss, pull = _linear_loss(sums.target, sums)
        loss, pull, at_label = loss.times(kept), pull * kept.high, torch.zeros_like(pull)
    else:
        assert sums.chosen is not None
        negative_log = _negative_log(sums, sums.chosen)
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
        even, coefficients = _linear_loss(sums.even, sums)
        share = pair_of(torch.full_like(count, options.label_smoothing)).over(pair_of(count))
        loss = loss.plus(even.times(share))
        pull = pull + coefficients * share.high
    return loss, pull, at_label


def _linear_loss(linear: Linear, sums: RowSums) -> tuple[Pair, Tensor]:
    """Return the sum of a (-log p) over classes, and of a."""
    return linear.weight.times(sums.log_total).plus(linear.distance), linear.weight.high


def _negative_log(sums: RowSums, chosen: Tensor) -> Pair:
    return sums.log_total.plus(two_sum(sums.maximum, -chosen))


def _term_exponents(shard: Shard, kept: Kept, scale: Scale) -> tuple[Tensor, Tensor, Tensor]:
    """Return exponents that bound coefficients, terms and slopes of classes below the largest."""
    assert scale.reach is not None
    assert kept.log_total is not None
    coefficient = torch.full_like(kept.others, vocabulary_of(shard).weight_exponent)
    if scale.target is not None:
        coefficient = torch.maximum(coefficient, scale.target.double()) + 1
    logarithm = torch.maximum(scale.reach.double(), torch.frexp(kept.log_total).exponent.double()) + 1
    steepness = torch.frexp(1 + kept.others.new_tensor(shard.options.focal_gamma)).exponent + 1
    return coefficient, coefficient + logarithm, coefficient + steepness


def _steep(p: Tensor, complement: Tensor, negative_log: Tensor, gamma: float) -> Tensor:
    """Compute (1 - p)^(gamma - 1) p (-log p), 0 where p is 0 or 1."""
    edge = (p == 0) | (complement == 0)
    inner = torch.where(edge, 0.0, p * torch.where(edge, 0.0, negative_log))
    return torch.where(edge, 0.0, power(torch.where(edge, 1.0, complement), gamma - 1)) * inner


def _coefficients(shard: Shard, rows: slice, kept: Kept) -> Tensor:
    count = kept.class_count
    if count is None:
        count = torch.full_like(kept.others, vocabulary_of(shard).classes)
    return shard.coefficients(rows, count.clamp(min=1.0))


def _probabilities(shard: Shard, kept: Kept, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute p and 1 - p, both with all digits."""
    others = kept.others.unsqueeze(1)
    p = exp_below(shard, kept.maximum, x) / (1 + others)
    return p, torch.where(x == kept.maximum.unsqueeze(1), others / (1 + others), 1 - p)


def _focal(shard: Shard, rows: slice, kept: Kept, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each class's coefficient, its term of the loss, and the slope of that."""
    gamma = shard.options.focal_gamma
    a = _coefficients(shard, rows, kept)
    p, complement = _probabilities(shard, kept, x)
    used = a != 0
    assert kept.log_total is not None
    negative_log = torch.where(used, kept.log_total.unsqueeze(1) + (kept.maximum.unsqueeze(1) - x), 0.0)
    focus = power(complement, gamma)
    term = a * focus * negative_log
    slope = a * (focus + gamma * _steep(p, complement, negative_log, gamma))
    return a, torch.where(used, term, 0.0), slope
