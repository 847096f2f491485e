"""A temperature that is itself learned: one number, or one per row."""

import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib.torch as ours
from softmaxlib.torch import _temperature_operators

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


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(), (3, 1)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_operator_for_a_gpu_has_the_derivatives_of_the_definition(name, shape, masked):
    operator = getattr(_temperature_operators, f"{name}_at")
    logits = torch.cat([X, torch.full((3, 1), -torch.inf, dtype=torch.float64)], 1)
    where = torch.tensor([True, False, True, True, True]) if masked else None
    found = []
    for function in (
        lambda x, t: operator(x, t, [-1], where),
        lambda x, t: getattr(ours, name)(x, temperature=t, where=where),
    ):
        leaf = logits.clone().requires_grad_()
        temperature = torch.full(shape, 1.7, dtype=torch.float64, requires_grad=True)
        result = function(leaf, temperature)
        usable = torch.where(torch.isfinite(result), result, 0.0)
        first = torch.autograd.grad((usable**2).sum(), (leaf, temperature), create_graph=True)
        total = sum((one**2).sum() for one in first)
        found.append((result, *first, *torch.autograd.grad(total, (leaf, temperature))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_operator_for_a_gpu_works_in_graphs_and_transforms():
    operator, warm = _temperature_operators.softmax_at, torch.tensor([[0.5], [1.0], [2.0]]).double()
    want = ours.softmax(X, temperature=warm)
    batched = torch.func.vmap(lambda x, t: operator(x, t, [0], None))(X, warm)
    torch.testing.assert_close(batched, want)
    compiled = torch.compile(lambda x, t: operator(x, t, [1], None), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X, warm), want)
    torch._dynamo.reset()
    half = operator(X.bfloat16(), warm, [1], None)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), want, rtol=0.02, atol=0)


def test_values_on_a_gpu_are_not_waited_for(monkeypatch):
    warm = torch.tensor([[1.0], [0.0], [2.0]]).double()
    with pytest.raises(ValueError, match="temperature must be finite and above 0"):
        ours.softmax(X, temperature=warm)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True, raising=False)
    assert ours.softmax(X, temperature=warm).isnan().any(1).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="one number, or one per row"):
        ours.softmax(X, temperature=warm[:2])
    with pytest.raises(ValueError, match="temperature must be finite and above 0"):
        ours.softmax(X, temperature=torch.tensor(0.0))
