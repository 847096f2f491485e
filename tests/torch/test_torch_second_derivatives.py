"""Second derivatives of the losses of tensors: in confident rows, and at a minimum."""

import math

import numpy as np
import pytest
import torch
from exact_hessian import CASES, MARGINS, assert_exact

import softmaxlib
import softmaxlib.torch as ours

TARGETS = [[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]]


def hessian(loss, x):
    """By reverse mode over reverse mode, row by row."""
    x = x.requires_grad_()
    (first,) = torch.autograd.grad(loss(x), x, create_graph=True)
    rows = [torch.autograd.grad(one, x, retain_graph=True)[0].flatten() for one in first.flatten()]
    return torch.stack(rows)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize(("options", "dtype", "largest"), CASES)
@pytest.mark.parametrize("learned", [False, True])
def test_a_confident_row_keeps_the_digits_of_its_second_derivatives(margin, options, dtype, largest, learned):
    if margin > largest:
        return
    for target in TARGETS:
        x = torch.tensor([[0.0, -margin]], dtype=getattr(torch, dtype))
        given = torch.tensor([target], dtype=x.dtype, requires_grad=learned)
        for function in (ours.cross_entropy, softmaxlib.cross_entropy):
            found = hessian(lambda x, f=function, q=given: f(x, q, **options), x)
            assert_exact(found, margin, target, dtype, **options)


@pytest.mark.parametrize(
    ("focal_gamma", "dtype", "margin"),
    [(0.5, "float32", 90), (0.1, "float32", 60), (0.1, "float32", 110), (0.5, "float64", 745)],
)
@pytest.mark.parametrize("learned", [False, True])
def test_a_small_focal_gamma_has_second_derivatives_of_zero_in_a_certain_row(
    focal_gamma, dtype, margin, learned
):
    x = torch.tensor([[0.0, -margin], [0.3, 0.2]], dtype=getattr(torch, dtype))
    target = torch.tensor([[1.0, 0.0]] * 2, dtype=x.dtype, requires_grad=learned)
    found = hessian(lambda x: ours.cross_entropy(x, target, focal_gamma=focal_gamma), x)
    assert found.isfinite().all()
    assert found[:2].abs().max() < 1e-20
    assert found[2, 2] > 0.01


def test_the_derivative_of_the_gradient_by_a_target_keeps_its_digits():
    """It is p_j - 1 at j: minus the sum of the others."""
    x = torch.tensor([[0.0, -18.0]], requires_grad=True)
    target = torch.tensor([[0.5, 0.5]], requires_grad=True)
    (first,) = torch.autograd.grad(ours.cross_entropy(x, target), x, create_graph=True)
    (mixed,) = torch.autograd.grad(first[0, 0], target)
    assert mixed[0, 0].item() == pytest.approx(-1 / (1 + math.exp(18)), rel=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own jvp
def test_the_forward_derivative_of_the_gradient_of_log_softmax_keeps_its_digits():
    log_p = torch.log_softmax(torch.tensor([0.0, -18.0]), 0)
    upstream = torch.tensor([0.25, 0.75])

    def derivative(log_p):
        return torch.ops.softmaxlib.log_softmax_vjp(log_p, upstream, [0])

    _, found = torch.func.jvp(derivative, (log_p,), (torch.tensor([0.0, 1.0]),))
    assert found[1].item() == pytest.approx(-math.exp(-18.0), rel=1e-5)  # -p times the sum of what arrives


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, **options: ours.cross_entropy(x, torch.full((2, 2), 0.5, dtype=x.dtype), **options),
        lambda x, **options: ours.sigmoid_cross_entropy(x, torch.full((2, 2), 0.5, dtype=x.dtype), **options),
    ],
)
@pytest.mark.parametrize("where", [None, torch.tensor([True, True])])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_second_derivative_at_a_minimum_is_not_zero_as_the_first_is(loss, where, reduction):
    found, near = (
        hessian(
            lambda x: loss(x, where=where, reduction=reduction),
            torch.full((2, 2), 0.0, dtype=torch.float64) + e,
        )
        for e in (torch.zeros(2, dtype=torch.float64), torch.tensor([1e-7, 0.0], dtype=torch.float64))
    )
    assert found.diagonal().min() > 0.05
    torch.testing.assert_close(found, near, rtol=1e-6, atol=1e-7)


def test_the_second_derivative_of_the_z_loss_at_a_logsumexp_of_zero():
    x = torch.tensor([[0.0, -800.0]], dtype=torch.float64)
    found = hessian(lambda x: ours.cross_entropy(x, torch.tensor([0]), z_loss=0.01), x)
    np.testing.assert_allclose(found.numpy(), [[0.02, 0.0], [0.0, 0.0]], rtol=1e-14)


def test_an_ignored_row_has_second_derivatives_of_zero_for_any_upstream_gradient():
    x = torch.zeros((2, 2), requires_grad=True)
    loss = ours.cross_entropy(x, torch.tensor([0, -100]), reduction="none")
    upstream = torch.tensor([1.0, math.inf])
    (first,) = torch.autograd.grad(loss, x, upstream, create_graph=True)
    (second,) = torch.autograd.grad(first[0, 0], x)
    np.testing.assert_array_equal(first[1].detach(), [0, 0])
    np.testing.assert_array_equal(second, [[0.25, -0.25], [0, 0]])
