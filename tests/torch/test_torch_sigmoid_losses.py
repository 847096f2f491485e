"""The binary cross-entropy of tensors: PyTorch's own, derivatives of both orders, transforms, the layer."""

import numpy as np
import pytest
import torch

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

rng = np.random.default_rng(0)
X, SOFT = 3 * rng.normal(size=(6, 4)), rng.random((6, 4))
Y = (SOFT > 0.5).astype(float)
WEIGHT, POSITIVE, WHERE = rng.random((6, 1)), np.array([0.5, 1.0, 3.0, 20.0]), rng.random((6, 4)) > 0.3
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own jvp
OPTIONS = [{}, {"focal_gamma": 2.0, "label_smoothing": 0.1}]


def tensors(*arrays, dtype=torch.float64, requires_grad=False):
    return tuple(torch.tensor(one, dtype=dtype, requires_grad=requires_grad) for one in arrays)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss_and_gradient_are_pytorchs(reduction):
    losses = []
    for function in (torch.nn.functional.binary_cross_entropy_with_logits, ours.sigmoid_cross_entropy):
        x, y = tensors(X, SOFT, requires_grad=True)
        weight, pos_weight = tensors(WEIGHT, POSITIVE)
        loss = function(x, y, weight, pos_weight=pos_weight, reduction=reduction)
        loss.sum().backward()
        losses.append([loss, x.grad, y.grad])
    for theirs, found in zip(*losses, strict=True):
        torch.testing.assert_close(found, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
def test_it_is_the_numpy_function(options):
    x, y, weight, pos_weight = tensors(X, Y, WEIGHT, POSITIVE)
    where = torch.tensor(WHERE)
    plain = softmaxlib.sigmoid_cross_entropy_grad(
        X, Y, weight=WEIGHT, pos_weight=POSITIVE, where=WHERE, **options
    )
    x.requires_grad_()
    loss = ours.sigmoid_cross_entropy(x, y, weight, pos_weight=pos_weight, where=where, **options)
    loss.backward()
    assert loss.item() == plain.loss
    np.testing.assert_array_equal(x.grad, plain.grad)
    found = softmaxlib.sigmoid_cross_entropy(
        x, y, weight=weight, pos_weight=POSITIVE.tolist(), where=where, **options
    )
    assert isinstance(found, torch.Tensor)
    assert found.item() == plain.loss


@pytest.mark.parametrize("options", OPTIONS)
def test_both_derivatives_pass_pytorchs_checks(options):
    inputs, where = tensors(X, SOFT, WEIGHT, POSITIVE, requires_grad=True), torch.tensor(WHERE)

    def loss(x, y, weight, pos_weight):
        return ours.sigmoid_cross_entropy(x, y, weight, pos_weight=pos_weight, where=where, **options)

    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


def test_transforms_and_export():
    x, y = tensors(X, Y)

    def one(x, y):
        return ours.sigmoid_cross_entropy(x, y, focal_gamma=1.0)

    expected = torch.stack([one(*row) for row in zip(x, y, strict=True)])
    torch.testing.assert_close(torch.func.vmap(one)(x, y), expected)
    slope = torch.func.grad(one)(x, y)
    _, moved = torch.func.jvp(lambda x: one(x, y), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(moved, slope.sum())

    class Model(torch.nn.Module):
        def forward(self, x):
            return one(x, y)

    assert torch.export.export(Model(), (x,)).module()(x).item() == pytest.approx(one(x, y).item(), rel=1e-14)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours.sigmoid_cross_entropy(x.bfloat16(), y).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_confident_logits_and_what_a_mask_hides(dtype):
    x = torch.tensor([8.0, -8.0, torch.inf, torch.nan], dtype=dtype, requires_grad=True)
    where = torch.tensor([True, True, True, False])
    target = torch.tensor([True, False, True, True])
    loss = ours.sigmoid_cross_entropy(x, target, where=where, reduction="none")
    loss.backward(torch.tensor([1, 1, 1, torch.nan], dtype=dtype))
    small = torch.log1p(torch.exp(torch.tensor(-8.0, dtype=torch.float64))).to(dtype)
    assert loss.tolist() == [small.item(), small.item(), 0, 0]
    assert x.grad[2] == x.grad[3] == 0 > x.grad[0] == -x.grad[1]


def test_the_layer_keeps_its_weights_and_says_what_it_is():
    layer = ours.SigmoidCrossEntropyLoss(
        torch.ones(4), pos_weight=torch.tensor(POSITIVE), focal_gamma=1.5, reduction="sum"
    ).double()
    assert set(layer.state_dict()) == {"weight", "pos_weight"}
    assert repr(layer) == "SigmoidCrossEntropyLoss(reduction='sum', label_smoothing=0.0, focal_gamma=1.5)"
    x, y = tensors(X, Y)
    expected = softmaxlib.sigmoid_cross_entropy(X, Y, pos_weight=POSITIVE, focal_gamma=1.5, reduction="sum")
    assert layer(x, y).item() == expected
    half = softmaxlib.sigmoid_cross_entropy(
        X, Y, pos_weight=POSITIVE, focal_gamma=1.5, reduction="sum", where=WHERE
    )
    assert layer(x, y, torch.tensor(WHERE)).item() == half


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("number", [0.1, 1 / 3, 3, [0.1, 0.7, 1.0, 20.3]])
def test_a_python_number_keeps_all_its_digits(number, dtype):
    x, y = tensors(X, Y)
    x = x.to(dtype)
    expected = softmaxlib.sigmoid_cross_entropy(x.numpy(), Y, pos_weight=number)
    layer = ours.SigmoidCrossEntropyLoss(pos_weight=number)
    for found in (
        ours.sigmoid_cross_entropy(x, y, pos_weight=number),
        softmaxlib.sigmoid_cross_entropy(x, y, pos_weight=number),
        layer(x, y),
        layer.double()(x, y),
    ):
        assert found.dtype == dtype
        assert found.item() == expected


def test_the_layer_takes_the_number_of_a_file_and_of_a_device_without_float64():
    layer, older = ours.SigmoidCrossEntropyLoss(pos_weight=0.1), {"pos_weight": torch.tensor(0.7)}
    assert layer.load_state_dict(older).missing_keys == []
    assert layer.pos_weight.item() == older["pos_weight"].item()

    def to_such_a_device(tensor):
        if tensor.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return tensor.clone()

    model = torch.nn.Sequential(torch.nn.Linear(2, 2), ours.SigmoidCrossEntropyLoss(pos_weight=0.1))
    assert model._apply(to_such_a_device)[1].pos_weight.dtype == torch.float32
    with pytest.raises(TypeError, match="float64"):
        model.double()._apply(to_such_a_device)


def test_what_is_refused():
    x, y = tensors(X, Y)
    with pytest.raises(InvalidInputError, match=r"target must lie in 0 to 1, got 2.0 at \(0, 0\)"):
        ours.sigmoid_cross_entropy(x, torch.full_like(y, 2))
    with pytest.raises(InvalidInputError, match=r"target must have the shape of input, \(6, 4\), got \(6,\)"):
        ours.sigmoid_cross_entropy(x, y[:, 0])
    with pytest.raises(InvalidInputError, match="weight must broadcast to the shape of logits"):
        ours.sigmoid_cross_entropy(x, y, torch.ones(3))
    with pytest.raises(InvalidInputError, match=r"pos_weight must be finite and not negative, got -1\.0"):
        ours.sigmoid_cross_entropy(x, y, pos_weight=-1.0)
    with pytest.raises(UnsupportedTypeError, match="target must be a tensor, got list"):
        ours.sigmoid_cross_entropy(x, Y.tolist())
    with pytest.raises(UnsupportedTypeError, match="input must be real numbers, got dtype bool"):
        ours.sigmoid_cross_entropy(x > 0, y)
