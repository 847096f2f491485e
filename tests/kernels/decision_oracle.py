"""Decisions in plain NumPy, one step after the other: what the compiled pass must give, bit for bit."""

from typing import Any

import numpy as np

from softmaxlib import _kernels, softmax

POISON = {
    np.dtype(np.int64): -7777,
    np.dtype(np.int32): -777,
    np.dtype(np.bool_): True,
    np.dtype(np.float64): 1e300,
}
CRITERIA = ("most_likely", "confidence", "thresholds", "cost", "score_sets", "ordered_sets")


def poisoned(shape, dtype):
    dtype = np.dtype(dtype)
    return np.full(shape, POISON.get(dtype, 1e30), dtype)


def judged(
    values, criterion, *, is_probabilities=False, temperature=None, correction=None, **parameters
) -> dict[str, Any]:
    """Return the results of `_kernels.judge` as a dict with ``wrong``, the first row that breaks a rule."""
    rows, classes = values.shape
    given = {
        "threshold": None,
        "cost": None,
        "tie": 0.0,
        "abstain_cost": np.nan,
        "own_counts": False,
        "allow_empty": True,
        "penalty": 0.0,
        "penalty_rank": 0,
    } | parameters
    has_sets, has_cost = criterion.endswith("sets"), criterion == "cost"
    kind = values.dtype.newbyteorder("=")
    out: dict[str, Any] = {
        "calibrated": None if is_probabilities else poisoned((rows, classes), kind),
        "probabilities": poisoned((rows, classes), kind),
        "action": poisoned(rows, np.int64),
        "confidence": poisoned(rows, np.float64),
        "abstained": poisoned(rows, np.bool_),
        "expected_cost": poisoned(rows, np.float64) if has_cost else None,
        "sets": poisoned((rows, classes), np.bool_) if has_sets else None,
        "most_likely": poisoned(rows, np.int32),
        "cheapest": poisoned(rows, np.int64) if has_cost else None,
        "cheapest_cost": poisoned(rows, np.float64) if has_cost else None,
    }
    calibration = correction or (None if temperature is None else (temperature, 0.0, None, None, None))
    number = CRITERIA.index(criterion)
    options = (number, *given.values())
    wrong = _kernels.judge(values, is_probabilities, 1e-3, calibration, options, tuple(out.values()))
    return out | {"wrong": wrong}


def scored(values, labels, *, is_probabilities=False) -> dict[str, Any]:
    """Return the results of `_kernels.score` on rows."""
    kinds = {
        "most_likely": np.int64,
        "correct": np.bool_,
        "confidence": np.float64,
        "doubt": np.float64,
        "log_loss": np.float64,
        "brier_score": np.float64,
    }
    out: dict[str, Any] = {name: poisoned(len(values), kind) for name, kind in kinds.items()}
    wrong = _kernels.score(values, is_probabilities, 1e-3, labels, tuple(out.values()))
    return out | {"wrong": wrong}


def class_cells(values, labels, *, is_probabilities=False):
    """Rows, hits and sums of probabilities in cells of a 32nd of log-odds, (classes, cells) each."""
    figures = scored(values, labels, is_probabilities=is_probabilities)
    classes = values.shape[1]
    rows, hits = (np.full((classes, 2561), -1) for _ in range(2))
    probability = np.full((classes, 2561), np.nan)
    for first in range(0, classes, 16):
        outputs = (*(part[first : first + 16] for part in (rows, hits, probability)), None)
        most_likely, confidence = figures["most_likely"], figures["confidence"]
        _kernels.count_cells(
            values, is_probabilities, most_likely, confidence, labels, first, 32.0, 40.0, outputs
        )
    return rows, hits, probability


def tempered(logits, temperature):
    """logits / temperature in the logits' own precision; of a row that overflows, relative to its largest."""
    with np.errstate(all="ignore"):
        quotient = logits / logits.dtype.type(temperature)
        half = logits.astype(np.float64) * 0.5
        shifted = np.clip(
            (half - half.max(axis=1, keepdims=True)) / temperature,
            -float(np.finfo(logits.dtype).max) / 2,
            0,
        )
    overflown = ~np.isfinite(quotient).all(axis=1)
    quotient[overflown] = (shifted * 2)[overflown]
    return quotient


def decided(probabilities, criterion, **parameters):
    """The decision of rows of probabilities, step by step."""
    rows, classes = probabilities.shape
    wide = probabilities.astype(np.float64)
    action = probabilities.argmax(axis=1)
    confidence = wide.max(axis=1)
    result: dict[str, Any] = {"confidence": confidence, "most_likely": action}
    aside = np.zeros(rows, bool)
    if criterion == "confidence":
        aside = confidence < parameters["threshold"][0]
    elif criterion == "thresholds":
        action = (wide / parameters["threshold"]).argmax(axis=1)
        aside = ~(wide >= parameters["threshold"])[np.arange(rows), action]
    elif criterion == "cost":
        costs = np.zeros((rows, parameters["cost"].shape[1]))
        for label in range(classes):
            costs += wide[:, label, None] * parameters["cost"][label]
        action = (costs <= costs.min(axis=1, keepdims=True) + parameters["tie"]).argmax(axis=1)
        paid = costs[np.arange(rows), action]
        abstain_cost = parameters.get("abstain_cost", np.nan)
        aside = paid > abstain_cost + parameters["tie"]
        result["expected_cost"] = np.where(aside, abstain_cost, paid)
    elif criterion.endswith("sets"):
        scores = 1 - wide if criterion == "score_sets" else _ordered_scores(wide, **parameters)
        sets = scores <= parameters["threshold"]
        if not parameters.get("allow_empty", True):
            empty = np.flatnonzero(~sets.any(axis=1))
            sets[empty, action[empty]] = True
        aside = sets.sum(axis=1) != 1
        action = sets.argmax(axis=1)
        result["sets"] = sets
    return result | {"action": np.where(aside, -1, action), "abstained": aside}


def _ordered_scores(wide, own_counts=False, penalty=0.0, penalty_rank=0, **_):
    order = np.argsort(-wide, axis=1, kind="stable")
    ordered = np.take_along_axis(wide, order, axis=1)
    scores = np.cumsum(ordered, axis=1) - (0.0 if own_counts else 1.0) * ordered
    scores = scores + penalty * np.maximum(np.arange(1, wide.shape[1] + 1) - penalty_rank, 0)
    result = np.empty_like(scores)
    np.put_along_axis(result, order, scores, axis=1)
    return result


def expected(logits, criterion, *, temperature=None, **parameters):
    """Return the expected results of `judged` on logits."""
    calibrated = logits if temperature is None else tempered(logits, temperature)
    probabilities = softmax(calibrated)
    return {
        "calibrated": calibrated,
        "probabilities": probabilities,
    } | decided(probabilities, criterion, **parameters)
