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


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "entmax"])
def test_one_per_row_is_the_same_in_a_graph(name):
    """Also of a square input, whose classes it would fit as well as its rows."""

    def call(x, numbers):
        return getattr(ours, name)(x, **{"alpha" if name == "entmax" else "temperature": numbers})

    numbers, square = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64), torch.cat([X, X[:1]])
    compiled = torch.compile(call, fullgraph=True, backend="eager")
    each = torch.stack([call(row, float(one)) for row, one in zip(square, numbers, strict=True)])
    for given in (numbers, numbers[:, None]):
        torch.testing.assert_close(compiled(square, given), each)
    torch._dynamo.reset()


def test_a_layer_owns_it():
    layer = ours.Softmax(temperature=torch.nn.Parameter(torch.tensor(2.0)))
    layer(X.float())[:, 0].sum().backward()
    assert layer.temperature.grad is not None
    assert list(layer.state_dict()) == ["temperature"]


@pytest.mark.parametrize("shape", [(), (3, 1)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_class_that_is_ruled_out_leaves_its_gradient_alone(name, shape):
    """The row without the class has the same gradients; the class itself has gradient 0."""
    logits = torch.cat([X, torch.full((3, 1), -torch.inf, dtype=torch.float64)], 1)
    found = []
    for given in (X, logits):
        leaf = given.clone().requires_grad_()
        temperature = torch.full(shape, 1.7, dtype=torch.float64, requires_grad=True)
        probabilities = getattr(ours, name)(leaf, temperature=temperature)
        found.append(torch.autograd.grad((probabilities[:, :4] ** 2).sum(), (leaf, temperature)))
    torch.testing.assert_close(found[1][1], found[0][1])
    torch.testing.assert_close(found[1][0][:, :4], found[0][0])
    assert (found[1][0][:, 4] == 0).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_one_that_is_not_above_0_gives_nan_in_a_graph_where_it_can_not_be_refused(name):
    def call(x, temperature):
        return getattr(ours, name)(x, temperature=temperature)

    temperature = torch.tensor([[1.0], [-1.0], [0.0]], dtype=torch.float64)
    compiled = torch.compile(call, fullgraph=True, backend="eager")(X, temperature)
    torch.testing.assert_close(compiled[0], call(X[0], 1.0))
    assert compiled[1:].isnan().all()
    with pytest.raises(ValueError, match=r"temperature must be finite and above 0, got -1.0 at \(1, 0\)"):
        call(X, temperature)
