import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification.calibration_error import _ce_compute

from softmaxlib import metrics
from softmaxlib.activations import softmax
from softmaxlib.errors import InvalidInputError

from .made import made

SCOPES, NORMS, BINNINGS = ["top_label", "classwise"], ["l1", "l2", "max"], ["equal_width", "equal_mass"]


def bins_of(p: np.ndarray, binning: str, bins: int) -> list[np.ndarray]:
    """The rows of each bin, by comparing every row with every edge."""
    if binning == "equal_width":
        edges = [j / bins for j in range(bins + 1)]
    else:
        ordered = sorted(p)
        edges = sorted({0.0, 1.0, *(ordered[math.ceil(len(p) * j / bins) - 1] for j in range(1, bins))})
    lower = [-1.0, *edges[1:-1]]
    return [np.flatnonzero((p > a) & (p <= b)) for a, b in zip(lower, edges[1:], strict=True)]


def error_of(p: np.ndarray, y: np.ndarray, norm: str, binning: str, bins: int) -> float:
    filled = [rows for rows in bins_of(p, binning, bins) if rows.size]
    gaps = [abs(p[rows].mean() - y[rows].mean()) for rows in filled]
    shares = [rows.size / p.size for rows in filled]
    if norm == "max":
        return max(gaps)
    q = 1 if norm == "l1" else 2
    return sum(s * g**q for s, g in zip(shares, gaps, strict=True)) ** (1 / q)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("binning", BINNINGS)
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_it_follows_from_the_definition(scope: str, norm: str, binning: str, bins: int) -> None:
    p, labels = made(0, sharpen=1.7)
    if scope == "top_label":
        expected = error_of(p.max(axis=1), p.argmax(axis=1) == labels, norm, binning, bins)
    else:
        errors = [error_of(p[:, k], labels == k, norm, binning, bins) for k in range(4)]
        expected = {"l1": np.mean(errors), "l2": np.sqrt(np.mean(np.square(errors))), "max": max(errors)}[
            norm
        ]
    value = metrics.calibration_error(
        p, labels, scope=scope, norm=norm, binning=binning, n_bins=bins, probabilities=True
    )
    assert value == pytest.approx(expected, rel=1e-12)
    logits = metrics.calibration_error(
        np.log(p), labels, scope=scope, norm=norm, binning=binning, n_bins=bins
    )
    assert logits == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10", "densenet_cifar100"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bins", [10, 15])
def test_torchmetrics_gives_the_same_figure(real_predictions, name: str, norm: str, bins: int) -> None:
    logits, labels = real_predictions(name)
    # its metric sums in float32, off by some 1e-6; this is what it calls, in float64, where a probability of
    # exactly 1 has a bin of its own
    probabilities = np.minimum(softmax(logits / 2), 1 - 1e-12)
    correct = probabilities.argmax(axis=1) == labels
    confidence = torch.from_numpy(probabilities.max(axis=1))
    expected = float(_ce_compute(confidence, torch.from_numpy(correct), bins, norm))
    value = metrics.calibration_error(probabilities, labels, norm=norm, n_bins=bins, probabilities=True)
    assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("norm", "debiased"), [("l1", False), ("l1", True), ("l2", True), ("max", False)])
@pytest.mark.parametrize("binning", BINNINGS)
def test_a_weight_of_two_is_the_row_twice(scope: str, norm: str, debiased: bool, binning: str) -> None:
    p, labels = made(1)
    counts = np.random.default_rng(1).integers(0, 4, labels.size)
    options = {
        "scope": scope,
        "norm": norm,
        "debiased": debiased,
        "binning": binning,
        "probabilities": True,
    }
    repeated = metrics.calibration_error(np.repeat(p, counts, axis=0), np.repeat(labels, counts), **options)
    weighted = metrics.calibration_error(p, labels, sample_weight=counts, **options)
    assert weighted == pytest.approx(repeated, rel=1e-12)


def test_equal_probabilities_stay_together() -> None:
    p = np.repeat([[0.6, 0.4], [0.9, 0.1]], [30, 70], axis=0)
    labels = np.random.default_rng(2).permutation(np.repeat([0, 1], [80, 20]))
    shuffled = np.random.default_rng(3).permutation(100)
    options = {"binning": "equal_mass", "n_bins": 4, "probabilities": True}
    value = metrics.calibration_error(p, labels, **options)
    assert value == pytest.approx(
        metrics.calibration_error(p[shuffled], labels[shuffled], **options), rel=1e-12
    )
    gaps = [abs(0.6 - (labels[:30] == 0).mean()), abs(0.9 - (labels[30:] == 0).mean())]
    assert value == pytest.approx(0.3 * gaps[0] + 0.7 * gaps[1], rel=1e-12)


def test_debiasing_takes_out_what_chance_adds() -> None:
    def mean_of(norm: str, debiased: bool, sharpen: float) -> float:
        data = [made(seed, 300, sharpen=sharpen) for seed in range(200)]
        squared = 2 if norm == "l2" else 1
        values = [
            metrics.calibration_error(*one, norm=norm, debiased=debiased, probabilities=True) ** squared
            for one in data
        ]
        return float(np.mean(values))

    for norm in ("l1", "l2"):
        plain, debiased = (mean_of(norm, debiased, 1.0) for debiased in (False, True))
        assert debiased < (0.7 if norm == "l1" else 0.5) * plain, norm
        truth = metrics.calibration_error(
            *made(999, 1_000_000, sharpen=2.0), norm=norm, debiased=True, probabilities=True
        ) ** (2 if norm == "l2" else 1)
        off = [abs(mean_of(norm, debiased, 2.0) - truth) for debiased in (False, True)]
        assert off[1] < 0.5 * off[0], norm


def test_perfect_probabilities_score_near_zero_and_certain_mistakes_one() -> None:
    assert metrics.calibration_error(*made(5, 1_000_000), probabilities=True) < 0.004
    certain = np.tile([1.0, 0.0], (10, 1))
    for scope in SCOPES:
        for norm in NORMS:
            value = metrics.calibration_error(certain, [1] * 10, scope=scope, norm=norm, probabilities=True)
            assert value == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scope": "all"}, "scope must be one of top_label, classwise; got 'all'"),
        ({"norm": "l3"}, "norm must be one of l1, l2, max; got 'l3'"),
        ({"binning": "log"}, "binning must be one of equal_width, equal_mass; got 'log'"),
        ({"n_bins": 0}, "n_bins must be a whole number, 1 to 1000; got 0"),
        ({"n_bins": 10**9}, "n_bins must be a whole number, 1 to 1000; got 1000000000"),
        ({"norm": "max", "debiased": True}, 'debiased=True is defined for norm "l1" and "l2", got "max"'),
    ],
)
def test_a_choice_that_is_none_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        metrics.calibration_error(*made(6), probabilities=True, **options)
