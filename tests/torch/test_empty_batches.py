"""torch.func.vmap over no example: results and gradients have no entry, and what is shared gets zeros."""

import pytest

pytest.importorskip("torch.nn")

import torch
from torch.func import grad, vmap

import softmaxlib.torch as ours

WEIGHT = torch.eye(3)
MASK = torch.tensor([True, True, False])


def layer(x, y, reduction="mean", dtype=torch.float32):
    return ours.linear_cross_entropy(x.to(dtype), WEIGHT.to(dtype), y, reduction=reduction)


CASES = {
    "softmax": lambda x, y, t: ours.softmax(x),
    "softmax at temperatures": lambda x, y, t: ours.softmax(x, temperature=t),
    "log_softmax at temperatures": lambda x, y, t: ours.log_softmax(x[0], temperature=t),
    "logsumexp": lambda x, y, t: ours.logsumexp(x),
    "sparsemax": lambda x, y, t: ours.sparsemax(x, where=MASK),
    "entmax of orders": lambda x, y, t: ours.entmax(x, t),
    "cross_entropy": lambda x, y, t: ours.cross_entropy(x, y),
    "sigmoid_cross_entropy": lambda x, y, t: ours.sigmoid_cross_entropy(x, x > 0),
    "linear_cross_entropy": lambda x, y, t: layer(x, y),
    "losses of rows": lambda x, y, t: layer(x, y, "none"),
    "linear_cross_entropy in bfloat16": lambda x, y, t: layer(x, y, dtype=torch.bfloat16),
    "linear_cross_entropy in float16": lambda x, y, t: layer(x, y, dtype=torch.float16),
}


def batch(examples):
    return torch.zeros(examples, 4, 3), torch.zeros(examples, 4, dtype=torch.long), torch.ones(examples)


@pytest.mark.parametrize("name", CASES)
def test_no_example_gives_what_one_gives_without_the_one(name):
    call = CASES[name]
    for transformed in (call, grad(lambda *of: call(*of).sum())):
        none, one = (vmap(transformed)(*batch(examples)) for examples in (0, 1))
        assert none.shape == (0, *one.shape[1:])
        assert none.dtype == one.dtype
    nested = vmap(vmap(call))(*(part.expand(2, *part.shape) for part in batch(0)))
    assert nested.shape == (2, 0, *vmap(call)(*batch(1)).shape[1:])


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_goes_through_an_empty_batch(name):
    x, *others = batch(0)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(vmap(CASES[name])(x, *others).sum(), x)
    assert gradient.shape == x.shape


def test_what_all_examples_share_gets_zeros_whatever_it_is():
    x, target, _ = batch(0)
    weight = torch.full((5, 3), torch.nan).requires_grad_()
    losses = vmap(lambda x, y: ours.linear_cross_entropy(x, weight, y))(x, target)
    (gradient,) = torch.autograd.grad(losses.sum(), weight)
    assert torch.equal(gradient, torch.zeros(5, 3))


def test_tensors_without_numbers_stay_on_their_device():
    parts = [part.to("meta") for part in batch(0)]
    for name in ("cross_entropy", "softmax at temperatures", "entmax of orders"):
        assert vmap(CASES[name])(*parts).is_meta
