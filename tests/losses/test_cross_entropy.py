"""Values and gradients against PyTorch and against the formula in 120 digits."""

import itertools

import mpmath
import numpy as np
import pytest
import torch
from loss_oracle import Row, exact, ulps

from softmaxlib import cross_entropy, cross_entropy_grad

GAUSS = np.random.default_rng(11)


def _torch(logits, target, **options):
    leaf = torch.tensor(logits, requires_grad=True)
    given = {"weight": torch.tensor(options.pop("class_weight"))} if "class_weight" in options else {}
    loss = torch.nn.functional.cross_entropy(leaf, torch.tensor(target), **options, **given)
    loss.sum().backward()
    assert leaf.grad is not None
    return loss.detach().numpy(), leaf.grad.numpy()


@pytest.mark.parametrize("extra", [(), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("weighted", "smoothing", "kind"),
    list(itertools.product([False, True], [0.0, 0.3], ["label", "ignored", "probability"])),
)
def test_agrees_with_pytorch(extra, reduction, weighted, smoothing, kind):
    logits = GAUSS.normal(scale=5, size=(6, 4, *extra))
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if weighted:
        options["class_weight"] = GAUSS.uniform(0.1, 3, size=4)
    if kind == "probability":
        target = np.moveaxis(GAUSS.dirichlet(np.ones(4), size=(6, *extra)), -1, 1)
    else:
        target = GAUSS.integers(0, 4, size=(6, *extra))
        target.flat[0] = 1
    if kind == "ignored":
        options["ignore_index"] = 0
    loss, grad = cross_entropy_grad(logits, target, axis=1, **options)
    expected_loss, expected_grad = _torch(logits, target, **options)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(cross_entropy(logits, target, axis=1, **options), loss)


PROBABILITIES = [[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 1.0, 0.0], [0.125, 0.375, 0.25, 0.25]]
WHERE = np.array([[True, True, True, False], [True, False, True, True], [True, True, True, True]])


def _combinations():
    kinds, weights = ["label", "probability"], [None, [0.5, 2.0, 1.0, 0.25]]
    return list(itertools.product(kinds, weights, [0.0, 0.125], [0.0, 0.5, 2.0], [0.0, 0.5], [False, True]))


@pytest.mark.parametrize(("kind", "weight", "smoothing", "gamma", "z_loss", "masked"), _combinations())
def test_every_combination_is_the_documented_formula(kind, weight, smoothing, gamma, z_loss, masked):
    logits = np.array([[1.5, -0.25, 3.0, 0.5], [0.0, 2.0, -1.0, 4.0], [2.0, 2.0, 30.0, -1.0]])
    target = [2, 0, 2] if kind == "label" else [PROBABILITIES[0], PROBABILITIES[1], PROBABILITIES[2]]
    where = WHERE if masked else None
    if masked and kind == "probability":
        target[1] = [0.25, 0.0, 0.5, 0.25]
    options = {"class_weight": weight, "label_smoothing": smoothing, "focal_gamma": gamma, "z_loss": z_loss}
    losses, grad = cross_entropy_grad(logits, target, where=where, reduction="none", **options)
    for position in range(3):
        row = Row(target[position], where=None if where is None else list(where[position]), **options)
        truth = exact(logits[position])
        assert mpmath.almosteq(row.loss(truth), float(losses[position]), rel_eps=2e-15)
        for value, slope in zip(grad[position], row.gradient(truth), strict=True):
            assert abs(float(value - slope)) <= 1e-15 * max(1, abs(float(losses[position])))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_confident_row_keeps_its_digits(dtype):
    loss, grad = cross_entropy_grad(np.array([[0, -20]], dtype), [0])
    assert loss.dtype == grad.dtype == dtype
    assert ulps(loss, mpmath.log1p(mpmath.exp(-20)), dtype) <= 1
    assert ulps(grad[0, 1], 1 / (1 + mpmath.exp(20)), dtype) <= 1
    assert grad[0, 0] == -grad[0, 1]


# The loss is within 1 ULP in float32 and 2 in float64, its gradient in float32 within 2 (see the docstring).
ACCURACY = [
    {},
    {"z_loss": 1e-3},
    {"label_smoothing": 0.1},
    {"class_weight": "random"},
    {"class_weight": "random", "label_smoothing": 0.1, "z_loss": 1e-3},
    {"focal_gamma": 2.0},
    {"focal_gamma": 0.5, "class_weight": "random"},
    {"where": "random"},
    {"where": "random", "label_smoothing": 0.1},
    {"target": "probabilities"},
    {"target": "probabilities", "class_weight": "random", "label_smoothing": 0.1},
]


def _case(options, rows, classes, scale, dtype):
    """Logits, target, and the options of each row, with what is called random drawn."""
    drawn = dict(options)
    logits = GAUSS.normal(scale=scale, size=(rows, classes)).astype(dtype)
    target = GAUSS.integers(0, classes, size=rows)
    target[0] = logits[0].argmax()
    if "class_weight" in drawn:
        drawn["class_weight"] = list(GAUSS.uniform(0.1, 3, size=classes))
    each_row = [dict(drawn) for _ in range(rows)]
    if "where" in drawn:
        drawn["where"] = GAUSS.random((rows, classes)) < 0.7
        drawn["where"][np.arange(rows), target] = True
        for row, mask in zip(each_row, drawn["where"], strict=True):
            row["where"] = mask.tolist()
    if drawn.pop("target", None):
        target = GAUSS.dirichlet(np.full(classes, 0.3), rows).astype(dtype)
        target /= target.sum(axis=1, keepdims=True)
        target[0] = np.arange(classes) == logits[0].argmax()
        each_row = [{name: value for name, value in row.items() if name != "target"} for row in each_row]
    return logits, target, drawn, each_row


@pytest.mark.parametrize("options", ACCURACY, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [2, 10, 77])
def test_accuracy(dtype, classes, options):
    for scale in (0.5, 10, 60):
        logits, target, drawn, each_row = _case(options, 3, classes, scale, dtype)
        losses, grad = cross_entropy_grad(logits, target, reduction="none", **drawn)
        for position in range(3):
            wanted = target[position] if target.ndim == 1 else list(target[position])
            row, truth = Row(wanted, **each_row[position]), exact(logits[position])
            assert ulps(losses[position], row.loss(truth), dtype) <= (1 if dtype == "float32" else 2)
            exists = row.where or [True] * classes
            if dtype == "float32" and sum(exists) > 1:
                for place in {int(logits[position].argmax()), *range(min(classes, 5))}:
                    slope = row.slope(truth, place) if exists[place] else 0
                    assert ulps(grad[position, place], slope, dtype) <= 2


def test_the_gradient_of_the_only_class_is_zero():
    for dtype in (np.float32, np.float64):
        logits, weight = np.array([[0.3, 1.7, -2.0]], dtype), [0.3, 1.1, 2.7]
        _, grad = cross_entropy_grad(
            logits, [1], where=[False, True, False], label_smoothing=0.1, class_weight=weight, reduction="sum"
        )
        np.testing.assert_array_equal(grad, np.zeros((1, 3)))


def test_mean_of_many_rows_is_rounded_once():
    logits = GAUSS.normal(scale=8, size=(2000, 3)).astype(np.float32)
    label = GAUSS.integers(0, 3, size=2000)
    truth = mpmath.fsum(Row(y).loss(exact(z)) for z, y in zip(logits, label, strict=True)) / 2000
    assert ulps(cross_entropy(logits, label), truth, np.float32) <= 0.51


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2, "class_weight": [1.0, 2.0, 0.5]}], ids=str)
def test_one_hot_probabilities_are_the_label(options):
    logits = GAUSS.normal(scale=9, size=(20, 3))
    label = GAUSS.integers(0, 3, size=20)
    by_label = cross_entropy_grad(logits, label, reduction="sum", z_loss=0.25, focal_gamma=1.5, **options)
    by_row = cross_entropy_grad(
        logits, np.eye(3)[label], reduction="sum", z_loss=0.25, focal_gamma=1.5, **options
    )
    np.testing.assert_allclose(by_label.loss, by_row.loss, rtol=4e-15)
    np.testing.assert_allclose(by_label.grad, by_row.grad, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (-1, 1), None], ids=str)
def test_axes_are_moved_and_joined(axis):
    logits = GAUSS.normal(size=(3, 4, 5))
    axes = tuple(range(3)) if axis is None else tuple(np.atleast_1d(axis) % 3)
    kept = [size for position, size in enumerate(logits.shape) if position not in axes]
    rows = np.moveaxis(logits, sorted(axes), range(-len(axes), 0)).reshape(*kept, -1)
    label = GAUSS.integers(0, rows.shape[-1], size=kept)
    loss, grad = cross_entropy_grad(logits, label, axis=axis, reduction="none")
    expected = cross_entropy_grad(rows, label, reduction="none")
    np.testing.assert_array_equal(loss, expected.loss)
    moved = np.moveaxis(grad, sorted(axes), range(-len(axes), 0)).reshape(rows.shape)
    np.testing.assert_array_equal(moved, expected.grad)


def test_a_stronger_focus_counts_right_rows_less():
    logits = np.array([[4.0, 0.0, 0.0]])
    losses = [cross_entropy(logits, [0], focal_gamma=gamma) for gamma in (0, 0.5, 1, 2, 5)]
    assert all(earlier > later for earlier, later in itertools.pairwise(losses))


def test_gradient_rows_sum_to_zero():
    logits = GAUSS.normal(scale=4, size=(50, 7))
    grad = cross_entropy_grad(
        logits, GAUSS.dirichlet(np.ones(7), 50), label_smoothing=0.1, focal_gamma=2.0
    ).grad
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-16)
