"""A temperature that is itself learned: one number, or one per row."""

import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib.torch as ours

X = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(), (3, 1)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_it_has_its_gradient(name, shape):
    temperature = torch.full(shape, 1.7, dtype=torch.float64, requires_grad=True)
    leaf = X.clone().requires_grad_()
    function = getattr(ours, name)
    assert torch.autograd.gradcheck(lambda x, t: function(x, temperature=t), (leaf, temperature))
    expected = getattr(torch, name)(leaf / temperature, -1)
    torch.testing.assert_close(function(leaf, temperature=temperature), expected)
    (found,) = torch.func.grad(lambda t: (function(X, temperature=t) ** 2).sum(), argnums=(0,))(temperature)
    (wanted,) = torch.autograd.grad((expected**2).sum(), temperature)
    torch.testing.assert_close(found, wanted)


def test_a_layer_owns_it():
    layer = ours.Softmax(temperature=torch.nn.Parameter(torch.tensor(2.0)))
    layer(X.float())[:, 0].sum().backward()
    assert layer.temperature.grad is not None
    assert list(layer.state_dict()) == ["temperature"]
