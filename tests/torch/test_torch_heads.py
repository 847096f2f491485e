"""Sparse activations, heads and the loss of a linear layer, against definitions written out in PyTorch."""

import math

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
import torch.nn.functional as F

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_entmax_is_the_numpy_function_with_its_gradients(alpha):
    x = (2 * normal(3, 5)).requires_grad_()
    mask = normal(3, 5, seed=1) > -1
    for dim, where in ((-1, None), (0, None), ((0, 1), mask)):
        result = ours.entmax(x, alpha, dim, where=where)
        mask_array = None if where is None else where.numpy()
        expected = softmaxlib.entmax(x.detach().numpy(), alpha, axis=dim, where=mask_array)
        np.testing.assert_allclose(result.detach(), expected, rtol=1e-9, atol=1e-12)
        assert torch.autograd.gradcheck(lambda x, d=dim, w=where: ours.entmax(x, alpha, d, where=w), x)
    assert torch.autograd.gradgradcheck(lambda x: ours.entmax(x, alpha), x)


def test_the_sparse_layers():
    x = normal(3, 5)
    torch.testing.assert_close(ours.Sparsemax(0)(x), ours.entmax(x, 2.0, 0))
    torch.testing.assert_close(ours.Entmax(1.3, 0)(x), ours.entmax(x, 1.3, 0))
    assert repr(ours.Entmax(1.3, 0)) == "Entmax(alpha=1.3, dim=0)"
    torch.compiler.reset()
    compiled = torch.compile(lambda x: ours.sparsemax(x * 2), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), ours.sparsemax(x * 2))
    torch.testing.assert_close(torch.vmap(ours.sparsemax)(x), ours.sparsemax(x))
    torch.testing.assert_close(
        torch.func.jacrev(ours.sparsemax)(x[0]), torch.autograd.functional.jacobian(ours.sparsemax, x[0])
    )


def reference(input, weight, target, bias, softcap=None, z_loss=0.0, **options):
    logits = F.linear(input, weight, bias)
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    losses = F.cross_entropy(logits, target, **options | {"reduction": "none"})
    losses = losses + z_loss * torch.where(target == -100, 0.0, logits.logsumexp(-1)) ** 2
    reduction = options.get("reduction", "mean")
    if reduction == "none":
        return losses
    return losses.sum() / (target != -100).sum() if reduction == "mean" else losses.sum()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{}, {"softcap": 2.0, "z_loss": 0.1}, {"label_smoothing": 0.2}], ids=str)
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_cross_entropy_is_what_it_stands_for_in_blocks_of_any_size(reduction, options, with_bias):
    target = torch.tensor([0, 4, -100, 2, 1, 3, 3])
    leaves = [normal(7, 3), normal(5, 3, seed=1), normal(5, seed=2) if with_bias else None]
    upstream = torch.arange(1.0, 8.0, dtype=torch.float64)
    outcomes = []
    for budget in (None, 5 * 8, 3 * 5 * 8, 10**6):
        one = [None if leaf is None else leaf.clone().requires_grad_() for leaf in leaves]
        input, weight, bias = one
        if budget is None:
            loss = reference(input, weight, target, bias, reduction=reduction, **options)
        else:
            loss = ours.linear_cross_entropy(
                input, weight, target, bias=bias, reduction=reduction, memory_budget=budget, **options
            )
        (loss * upstream if reduction == "none" else 3 * loss).sum().backward()
        outcomes.append([loss, *(leaf.grad for leaf in one if leaf is not None)])
    for outcome in outcomes[1:]:
        torch.testing.assert_close(outcome, outcomes[0], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_linear_loss_compiles_without_a_break(reduction):
    torch.compiler.reset()
    input, weight, bias = (normal(*shape).requires_grad_() for shape in ((6, 4), (9, 4), (9,)))
    target = torch.arange(6)

    def step(input, weight, bias):
        loss = ours.linear_cross_entropy(2 * input, weight, target, bias=bias, reduction=reduction)
        return (loss**2).sum()

    gradients = [
        torch.autograd.grad(function(input, weight, bias), (input, weight, bias))
        for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager"))
    ]
    torch.testing.assert_close(*gradients)


def test_the_linear_loss_passes_pytorchs_own_operator_check():
    input, weight = normal(6, 4).requires_grad_(), normal(9, 4).requires_grad_()
    for reduction in ("mean", "none"):
        arguments = (input, weight, None, torch.arange(6), None, 0.1, -100, 0.0, 2, reduction, True)
        checks = ("test_schema", "test_autograd_registration", "test_faketensor")
        torch.library.opcheck(torch.ops.softmaxlib.linear_cross_entropy.default, arguments, test_utils=checks)


def test_a_second_derivative_of_the_linear_loss_is_refused():
    input, weight = normal(6, 4).requires_grad_(), normal(9, 4)
    loss = ours.linear_cross_entropy(input, weight, torch.arange(6))
    (gradient,) = torch.autograd.grad(loss, input, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative; for one use cross_entropy"):
        gradient.sum().backward()


def test_a_budget_too_small_for_one_row_is_refused():
    with pytest.raises(
        InvalidInputError, match="memory_budget must hold one row of logits, 40 bytes, got 39"
    ):
        ours.linear_cross_entropy(normal(2, 3), normal(5, 3), torch.tensor([0, 1]), memory_budget=39)


def test_the_linear_loss_layer_owns_its_weight_and_trains_it():
    torch.manual_seed(0)
    layer = ours.LinearCrossEntropyLoss(3, 5, bias=True, label_smoothing=0.1)
    input, target = normal(4, 6, 3, dtype=torch.float32), torch.arange(24).view(4, 6) % 5
    assert set(layer.state_dict()) == {"weight", "bias"}
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = layer(input, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    logits = F.linear(input, layer.weight, layer.bias).movedim(-1, 1)
    expected = F.cross_entropy(logits, target, label_smoothing=0.1)
    torch.testing.assert_close(layer(input, target), expected)


def test_the_margin_head_moves_only_the_target_and_only_in_training():
    head = ours.MarginHead(4, 3, scale=10.0, angular=0.3, additive=0.1).double()
    input, target = normal(5, 4), torch.tensor([0, 1, 2, 0, 1])
    cosine = F.cosine_similarity(input[:, None], head.weight[None], dim=-1)
    angle = torch.arccos(cosine)
    moved = 10 * (torch.cos(angle + 0.3) - 0.1)
    hot = F.one_hot(target, 3).bool()
    within = angle + 0.3 < math.pi
    expected = torch.where(hot & within, moved, 10 * cosine)
    compared = ~hot | within
    torch.testing.assert_close(head(input, target)[compared], expected[compared])
    torch.testing.assert_close(head.eval()(input, target), 10 * cosine)
    torch.testing.assert_close(head(input), 10 * cosine)
    head.train()
    assert torch.autograd.gradcheck(lambda x: head(x, target), input.clone().requires_grad_())


@pytest.mark.parametrize(
    ("margins", "error", "message"),
    [
        ({"scale": -5.0}, InvalidInputError, "scale must be finite and above 0, got -5.0; ArcFace and"),
        ({"scale": math.nan}, InvalidInputError, "scale must be finite and above 0, got nan; ArcFace and"),
        ({"scale": "a"}, UnsupportedTypeError, "scale must be one real number, got 'a'"),
        ({"angular": 4.0}, InvalidInputError, "angular must lie in 0 to pi radians, got 4.0; convert"),
        ({"additive": math.inf}, InvalidInputError, "additive must be finite, got inf; 0 is no margin"),
    ],
    ids=str,
)
def test_margins_are_checked_when_the_head_is_made(margins, error, message):
    with pytest.raises(error, match=message):
        ours.MarginHead(4, 3, **margins)


@pytest.mark.parametrize("layer", [ours.LinearCrossEntropyLoss, ours.MarginHead])
@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((7, -1), InvalidInputError, "classes must be a whole number, at least 1; got -1"),
        ((7, 0), InvalidInputError, "classes must be a whole number, at least 1; got 0"),
        ((7, "a"), UnsupportedTypeError, "classes must be a whole number, got 'a'; write 5, not 5.0"),
        ((7.5, 3), UnsupportedTypeError, "in_features must be a whole number, got 7.5; write 5, not 5.0"),
        ((0, 3), InvalidInputError, "in_features must be a whole number, at least 1; got 0"),
    ],
    ids=str,
)
def test_sizes_of_layers_are_checked(layer, sizes, error, message):
    with pytest.raises(error, match=message):
        layer(*sizes)


def test_keywords_and_flags_of_layers_are_checked():
    with pytest.raises(UnsupportedTypeError, match="bias must be True or False, got 'no'"):
        ours.LinearCrossEntropyLoss(7, 3, bias="no")
    assert hasattr(ours.MarginHead.__init__, "__wrapped__")


def test_inputs_of_the_margin_head_are_checked():
    head = ours.MarginHead(4, 3)
    for mode in (head.train(), head.eval()):
        with pytest.raises(InvalidInputError, match=r"one D and K > 0, got shapes \(2, 5\) and \(3, 4\)"):
            mode(torch.zeros(2, 5))
        with pytest.raises(InvalidInputError, match=r"one D and K > 0, got shapes \(\) and \(3, 4\)"):
            mode(torch.tensor(1.0))
        with pytest.raises(UnsupportedTypeError, match="input must be a tensor, got ndarray"):
            mode(np.zeros((2, 4)))
        with pytest.raises(UnsupportedTypeError, match="input must be real numbers, got dtype bool"):
            mode(torch.ones(2, 4, dtype=torch.bool))
        with pytest.raises(UnsupportedTypeError, match="input and weight must have one dtype, got float64"):
            mode(torch.zeros(2, 4, dtype=torch.float64))
    integers = torch.tensor([[1, 2, -3, 4], [0, 1, 0, 0]])
    assert torch.equal(head(integers), head.double()(integers.double()))


def test_the_margin_head_compiles_without_a_break():
    head, input, target = ours.MarginHead(4, 3), normal(5, 4).float(), torch.tensor([0, 1, 2, 0, 1])
    torch.compiler.reset()
    compiled = torch.compile(head, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(input, target), head(input, target))
    torch.testing.assert_close(compiled(input), head(input))
    program = torch.export.export(head, (input, target), dynamic_shapes=({0: torch.export.Dim("rows")},) * 2)
    torch.testing.assert_close(program.module()(input[:3], target[:3]), head(input[:3], target[:3]))
