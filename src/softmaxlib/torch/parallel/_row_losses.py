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
from ._fixed_point import FEWER_THREE, FEWER_TWO, SHORT_TWO, Digits, carried, sum_digits, value_of
from ._packing import Layout, bits_of
from ._pairs import Pair, elementary, pair_of, power, times_power, two_sum
from ._read_sums import Linear, RowSums
from ._row_scale import INFINITE, SCALE_BITS, Scale, exponent_of, reach_of
from ._row_sums import below, class_bits, is_short, one_digit
from ._shards import Shard, some, vocabulary_of


class Kept(NamedTuple):
    """Numbers that the gradient of a row needs; the largest logit may be stored as float32."""

    maximum: Tensor
    others: Tensor  # -1 without a class
    log_total: Tensor | None  # with the entropy
    pull: Tensor  # the sum of all slopes
    at_label: Tensor | None  # the gradient of the label's logit, where no other class has a coefficient
    class_count: Tensor | None  # where it differs from row to row; negative if the label is masked
    entropy: Tensor | None


def kept_numbers(shard: Shard) -> int:
    """Return how many numbers of float64 are kept of a row, besides its largest logit."""
    return 2 + 2 * shard.with_entropy + _counts(shard) + (not shard.has_coefficients)


def _counts(shard: Shard) -> bool:
    """Return True if the number of classes differs from row to row, and matters."""
    return bool(shard.options.label_smoothing) and shard.where is not None


def term_digits(shard: Shard, classes: int) -> dict[str, Digits]:
    """Return the digits of the coefficients, terms and slopes that `terms_of` sums."""
    if is_short(shard, classes):
        one = one_digit(classes)
        return {"coefficient": one, "loss": SHORT_TWO, "slope": one}
    return {"coefficient": FEWER_TWO, "loss": FEWER_THREE, "slope": FEWER_TWO}


def terms_layout(shard: Shard, classes: int, ranks: int) -> Layout:
    """Return the places of the sums of `terms_of`, and of what is needed to read them."""
    bits = {
        name: bits_of(digits, class_bits(classes)) for name, digits in term_digits(shard, classes).items()
    }
    bits["reach"] = SCALE_BITS["reach"]
    if shard.distribution is not None:
        bits["target_exponent"] = SCALE_BITS["target_exponent"]
    return Layout(bits, ranks)


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
    mean_weight = one.high if shard.distribution is not None else row_weight.high
    count = sums.class_count if _counts(shard) else None
    if count is not None and shard.needs_terms and sums.chosen is not None:
        count = torch.where((sums.chosen == -torch.inf) & (row_weight.high > 0), -count, count)

    def in_regular(value: Tensor) -> Tensor:
        return torch.where(sums.regular, value, torch.nan)

    entropy = _entropy(sums)
    if entropy is not None:
        entropy = torch.where(valued, in_regular(entropy), 0.0)
    kept = Kept(
        maximum=in_regular(sums.maximum),
        others=torch.where(sums.exists, sums.others.high, -1.0),
        log_total=None if entropy is None else sums.log_total.high,
        pull=pull + penalty,
        at_label=None if shard.has_coefficients else in_regular(at_label),
        class_count=count,
        entropy=entropy,
    )
    return RowLosses(
        loss=torch.where(valued, in_regular(loss.high), 0.0),
        weight=torch.where(counted, mean_weight, 0.0),
        kept=kept,
    )


def terms_of(shard: Shard, rows: slice, kept: Kept, scale: Scale) -> dict[str, Tensor]:
    """Return the focal terms of a shard's classes, as integers that the ranks add.

    Of the classes with the largest logit only the coefficients are added: their terms may be very small.
    """
    x = shard.visible(rows)
    a, loss, slope = _focal(shard, rows, kept, x)
    top = x == kept.maximum.unsqueeze(1)
    parts = torch.where(top, a, 0.0), torch.where(top, 0.0, loss), torch.where(top, 0.0, slope)
    digits_of = term_digits(shard, vocabulary_of(shard).classes)
    found = {}
    for (name, digits), part, exponent in zip(
        digits_of.items(), parts, _term_exponents(shard, kept, scale), strict=True
    ):
        scaled = times_power(torch.where(part.isfinite(), part, 0.0), (digits.width - exponent).unsqueeze(1))
        found[name] = carried(sum_digits(scaled, digits), digits)
    return found


def with_terms(
    shard: Shard, rows: slice, kept: Kept, numbers: dict[str, Tensor], penalty: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the focal loss of whole rows and the sum of the slopes, from the sums of the ranks' terms.

    ``penalty`` is the slope of the z-loss.
    """
    scale = Scale(
        kept.maximum, kept.maximum, reach_of(numbers), None, exponent_of("target_exponent", numbers)
    )
    digits_of = term_digits(shard, vocabulary_of(shard).classes)
    coefficient, loss, slope = (
        value_of(numbers[name], digits).scaled(exponent).high
        for (name, digits), exponent in zip(
            digits_of.items(), _term_exponents(shard, kept, scale), strict=True
        )
    )
    gamma, log_total = shard.options.focal_gamma, _log_total(kept)
    others = _others_of(kept)
    p, complement = 1 / (1 + others), others / (1 + others)
    focus = power(complement, gamma)
    loss = loss + coefficient * focus * log_total
    slope = slope + coefficient * (focus + gamma * _steep(p, complement, log_total, gamma))
    if penalty is not None:
        loss, slope = loss + penalty * (kept.maximum + log_total) / 2, slope + penalty
    infinite = scale.reach == INFINITE
    if kept.class_count is not None:
        infinite |= kept.class_count < 0
    loss = torch.where(kept.maximum.isnan(), torch.nan, torch.where(infinite, torch.inf, loss))
    valued = exists_of(kept)
    counted = shard.counted(rows)
    if counted is not None:
        valued = valued & counted
    return torch.where(valued, loss, 0.0), slope


class RowGradients:
    """The gradient of the logits of a group of rows, times ``upstream`` of each row."""

    def __init__(self, shard: Shard, rows: slice, kept: Kept, upstream: Tensor) -> None:
        self._shard, self._kept = shard, kept
        self._factor, self._usual = upstream, bool(upstream.isfinite().all())
        if kept.at_label is None:
            return
        self._at_label, self._of_row = kept.at_label, kept.pull / (1 + _others_of(kept))
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


def exists_of(kept: Kept) -> Tensor:
    """Return whether rows have a class."""
    return kept.others >= 0


def _others_of(kept: Kept) -> Tensor:
    return kept.others.clamp(min=0.0)


def _log_total(kept: Kept) -> Tensor:
    """Return the logarithm of each row's sum, relative to the largest."""
    return elementary("log1p", _others_of(kept)) if kept.log_total is None else kept.log_total


def masked(shard: Shard, rows: slice, kept: Kept, gradient: Tensor) -> Tensor:
    """Set the gradient of rows and classes that don't count to 0."""
    if shard.ignores:
        counted = shard.counted(rows)
        assert counted is not None
        gradient.masked_fill_(~counted.unsqueeze(1), 0.0)
    if shard.where is not None:
        gradient.masked_fill_(~(shard.where[rows] & exists_of(kept).unsqueeze(1)), 0.0)
    return gradient


def entropy_gradient_of(shard: Shard, rows: slice, kept: Kept, upstream: Tensor) -> Tensor:
    """Return the gradient of some rows' entropies, in float64: -p (log p + entropy)."""
    x = shard.visible(rows)
    p, _ = _probabilities(shard, kept, x)
    assert kept.entropy is not None
    surprise = (kept.entropy - _log_total(kept)).unsqueeze(1) + (x - kept.maximum.unsqueeze(1))
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
    coefficient = torch.full_like(kept.others, vocabulary_of(shard).weight_exponent)
    if scale.target is not None:
        coefficient = torch.maximum(coefficient, scale.target.double()) + 1
    logarithm = torch.maximum(scale.reach.double(), torch.frexp(_log_total(kept)).exponent.double()) + 1
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
    return shard.coefficients(rows, count.abs().clamp(min=1.0))


def _probabilities(shard: Shard, kept: Kept, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute p and 1 - p, both with all digits."""
    others = _others_of(kept).unsqueeze(1)
    p = exp_below(shard, kept.maximum, x) / (1 + others)
    return p, torch.where(x == kept.maximum.unsqueeze(1), others / (1 + others), 1 - p)


def _focal(shard: Shard, rows: slice, kept: Kept, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each class's coefficient, its term of the loss, and the slope of that."""
    gamma = shard.options.focal_gamma
    a = _coefficients(shard, rows, kept)
    p, complement = _probabilities(shard, kept, x)
    used = a != 0
    negative_log = torch.where(used, _log_total(kept).unsqueeze(1) + (kept.maximum.unsqueeze(1) - x), 0.0)
    focus = power(complement, gamma)
    term = a * focus * negative_log
    slope = a * (focus + gamma * _steep(p, complement, negative_log, gamma))
    return a, torch.where(used, term, 0.0), slope
