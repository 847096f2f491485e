"""The loss and the gradient of a block of rows, in float64 or wider.

The classes are on the last axis. With z the logits, m their maximum, and s the sum of exp(z - m) over all
classes but the one that attains it, -log p = log1p(s) - (z - m). No digit of a confident row is lost, because
the 1 of the maximum is never added to s. For the same reason, the complement of the largest probability is
computed as s / (1 + s).

A row's loss is the sum over classes c of a_c (1 - p_c)^gamma (-log p_c), where the coefficients a_c combine
target, weights and smoothing. Its gradient is C p_j - c_j, where c_j is minus the derivative of term j with
respect to log p_j, and C is the sum of all c_j.
"""

from typing import NamedTuple

import numpy as np

from .. import _kernels
from .._arrays import FloatArray, IntArray, dtype_name
from .._checks import BoolArray
from ._loss_arguments import LossArguments

_BLOCK = 1 << 17  # elements per block: the temporaries stay in the second-level cache


class Normalized(NamedTuple):
    """Softmax of a block of rows, with the rounding errors kept separately."""

    shifted: FloatArray
    lost: FloatArray | float
    probability: FloatArray
    log_total: FloatArray
    logsumexp: FloatArray
    top: IntArray
    top_complement: FloatArray


def block_rows(classes: int) -> int:
    """Return how many rows are computed at a time."""
    return max(1, _BLOCK // classes)


def row_losses(arguments: LossArguments) -> FloatArray:
    """Return the loss of each row, shape (rows,). It is 0 for rows that do not count."""
    if _has_kernel(arguments):
        return _run_kernel(arguments, 1.0, None)
    losses = np.empty(arguments.logits.shape[0], arguments.work_dtype)
    for rows in _blocks(arguments):
        losses[rows] = _block(arguments, rows)[0]
    return losses


def row_losses_and_gradient(arguments: LossArguments, scale: float, out: FloatArray) -> FloatArray:
    """Return the loss of each row, and write the gradient of their sum times ``scale`` into ``out``."""
    if _has_kernel(arguments):
        return _run_kernel(arguments, scale, out)
    losses = np.empty(arguments.logits.shape[0], arguments.work_dtype)
    for rows in _blocks(arguments):
        losses[rows], gradient = _block(arguments, rows)
        with np.errstate(all="ignore"):
            gradient *= scale
            if arguments.where is not None:
                gradient[~arguments.where[rows]] = 0
            if arguments.counted is not None:
                gradient[~arguments.counted[rows]] = 0
            out[rows] = gradient
    return losses


def _has_kernel(arguments: LossArguments) -> bool:
    spread = arguments.distribution is not None or arguments.options.label_smoothing
    known = arguments.logits.dtype.char in "efd" or arguments.logits.dtype.name == "bfloat16"
    return known and not (spread and arguments.options.focal_gamma)


def _run_kernel(arguments: LossArguments, scale: float, out: FloatArray | None) -> FloatArray:
    label, distribution, options = arguments.label, arguments.distribution, arguments.options
    if label is not None and arguments.counted is not None:
        label = np.where(arguments.counted, label, -1)
    if distribution is not None and distribution.dtype.char not in "efd":
        distribution = distribution.astype(np.float64)
    losses = np.empty(arguments.logits.shape[0])
    _kernels.cross_entropy_rows(
        with_format(arguments.logits),
        label,
        distribution,
        arguments.class_weight,
        arguments.where,
        options.label_smoothing,
        options.focal_gamma,
        options.z_loss,
        scale,
        losses,
        None if out is None else with_format(out),
    )
    return losses


def with_format(array: FloatArray) -> FloatArray:
    """Return the array as the kernel reads it: bfloat16 as uint16, because buffers have no format for it."""
    return array.view(array.dtype.str.replace("V", "u")) if dtype_name(array.dtype) == "bfloat16" else array


def _blocks(arguments: LossArguments) -> list[slice]:
    rows, classes = arguments.logits.shape
    step = block_rows(classes)
    return [slice(start, start + step) for start in range(0, rows, step)]


def _block(arguments: LossArguments, rows: slice) -> tuple[FloatArray, FloatArray]:
    where = None if arguments.where is None else arguments.where[rows]
    counted = None if arguments.counted is None else arguments.counted[rows]
    with np.errstate(all="ignore"):
        logits = arguments.logits[rows].astype(arguments.work_dtype, order="C")
        if counted is not None:
            logits[~counted] = 0
        normalized = _normalize(logits, where, arguments.dtype.itemsize >= 8)
        if arguments.label is not None and not arguments.options.label_smoothing:
            losses, gradient = _label_block(arguments, rows, normalized, counted)
        else:
            coefficient = _coefficients(arguments, rows, where, logits.dtype)
            if counted is not None:
                coefficient[~counted] = 0
            losses, gradient = _distribution_block(arguments, rows, normalized, coefficient)
        if where is not None:  # nothing to choose from costs nothing
            losses[~where.any(axis=1)] = 0
        return losses, gradient


def _normalize(logits: FloatArray, where: BoolArray | None, keep_rounding: bool) -> Normalized:
    if where is not None:
        logits[~where] = -np.inf
    position = logits.argmax(axis=1)[:, None]
    largest = np.take_along_axis(logits, position, axis=1)
    empty = None if where is None else ~where.any(axis=1)
    if empty is not None:
        largest[empty] = 0
    shifted = logits - largest
    weight = np.exp(shifted)
    lost = 0.0
    if keep_rounding:  # exp turns an absolute error into a relative one: 2^-44 at a distance of 700
        part = shifted - logits
        lost = (logits - (shifted - part)) - (largest + part)
        lost[~np.isfinite(lost)] = 0
        weight += weight * lost
    np.put_along_axis(weight, position, np.where(np.isfinite(largest), 0.0, np.nan), axis=1)
    others = weight.sum(axis=1)
    log_total = np.log1p(others)
    logsumexp = largest[:, 0] + log_total
    np.put_along_axis(weight, position, 1.0, axis=1)
    weight /= (1 + others)[:, None]
    if empty is not None:
        weight[empty] = 0
        logsumexp[empty] = -np.inf
    return Normalized(shifted, lost, weight, log_total, logsumexp, position[:, 0], others / (1 + others))


def _label_block(
    arguments: LossArguments, rows: slice, normalized: Normalized, counted: BoolArray | None
) -> tuple[FloatArray, FloatArray]:
    assert arguments.label is not None
    label = arguments.label[rows]
    row = np.arange(label.size)
    coefficient = np.ones(label.size) if arguments.class_weight is None else arguments.class_weight[label]
    if counted is not None:
        coefficient = np.where(counted, coefficient, 0.0)
    p = normalized.probability[row, label]
    complement = np.where(label == normalized.top, normalized.top_complement, 1 - p)
    lost = normalized.lost[row, label] if isinstance(normalized.lost, np.ndarray) else 0.0
    negative_log = (normalized.log_total - lost) - normalized.shifted[row, label]
    loss, slope = _focal_terms(arguments.options.focal_gamma, coefficient, p, complement, negative_log)
    penalty = _add_z_loss(arguments.options.z_loss, normalized.logsumexp, coefficient, loss)
    gradient = normalized.probability
    gradient *= (slope + penalty)[:, None]
    gradient[row, label] = penalty * p - slope * complement
    return loss, gradient


def _distribution_block(
    arguments: LossArguments, rows: slice, normalized: Normalized, coefficient: FloatArray
) -> tuple[FloatArray, FloatArray]:
    p = normalized.probability
    row = np.arange(p.shape[0])
    complement = 1 - p
    complement[row, normalized.top] = normalized.top_complement
    negative_log = (normalized.log_total[:, None] - normalized.lost) - normalized.shifted
    terms, slope = _focal_terms(arguments.options.focal_gamma, coefficient, p, complement, negative_log)
    loss = terms.sum(axis=1)
    penalty = _add_z_loss(arguments.options.z_loss, normalized.logsumexp, _row_weight(arguments, rows), loss)
    gradient = (slope.sum(axis=1) + penalty)[:, None] * p - slope
    top_slope = slope[row, normalized.top]
    slope[row, normalized.top] = 0
    gradient[row, normalized.top] = (
        slope.sum(axis=1) * p[row, normalized.top]
        - top_slope * normalized.top_complement
        + penalty * p[row, normalized.top]
    )
    return loss, gradient


def _coefficients(
    arguments: LossArguments, rows: slice, where: BoolArray | None, dtype: np.dtype
) -> FloatArray:
    classes = arguments.logits.shape[1]
    if arguments.distribution is not None:
        coefficient = arguments.distribution[rows].astype(dtype, order="C")
    else:
        assert arguments.label is not None
        label = arguments.label[rows]
        coefficient = np.zeros((label.size, classes), dtype)
        coefficient[np.arange(label.size), label] = 1
    if arguments.options.label_smoothing:
        coefficient *= 1 - arguments.options.label_smoothing
        if where is None:
            coefficient += arguments.options.label_smoothing / classes
        else:
            share = arguments.options.label_smoothing / np.maximum(where.sum(axis=1, keepdims=True), 1)
            coefficient += np.where(where, share, 0.0)
    if arguments.class_weight is not None:
        coefficient *= arguments.class_weight
    return coefficient


def _row_weight(arguments: LossArguments, rows: slice) -> FloatArray | float:
    of_class = arguments.class_weight
    if arguments.label is None:
        assert arguments.distribution is not None
        return 1.0 if of_class is None else arguments.distribution[rows] @ of_class
    weight = 1.0 if of_class is None else of_class[arguments.label[rows]]
    return weight if arguments.counted is None else np.where(arguments.counted[rows], weight, 0.0)


def _focal_terms(
    gamma: float, coefficient: FloatArray, p: FloatArray, complement: FloatArray, negative_log: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute a (1 - p)^gamma (-log p) and minus its derivative in log p. Both are 0 where a is 0."""
    if not gamma:
        return np.where(coefficient == 0, 0.0, coefficient * negative_log), coefficient
    power = complement**gamma
    # -log p / (1 - p) tends to 1 with p, and p log p to 0 with p
    ratio = np.where(complement == 0, 1.0, negative_log / complement)
    inner = np.where(p == 0, 0.0, gamma * p * ratio)
    slope = coefficient * power * (1 + inner)
    return np.where(coefficient == 0, 0.0, coefficient * power * negative_log), slope


def _add_z_loss(
    z_loss: float, logsumexp: FloatArray, row_weight: FloatArray | float, loss: FloatArray
) -> FloatArray:
    """Add z_loss logsumexp^2 to the loss in place. Return the factor of p in the gradient."""
    if not z_loss:
        return np.zeros_like(loss)
    loss += z_loss * row_weight * logsumexp**2
    return 2 * z_loss * row_weight * logsumexp
