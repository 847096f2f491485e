"""Losses on tensors against float64 PyTorch, finite differences, and the NumPy functions."""

import itertools
import math

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError
from softmaxlib.torch import _loss_operators

pytestmark = pytest.mark.usefixtures("each_fast_path")


def problem(*shape, classes=4, soft=False, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (shape[0], classes, *shape[1:])
    input = torch.randn(*size, dtype=torch.float64, generator=generator).to(dtype) * 3
    if soft:
        return input, torch.softmax(torch.randn(*size, dtype=torch.float64, generator=generator), 1).to(dtype)
    return input, torch.randint(classes, shape, generator=generator)


OPTIONS = [
    {},
    {"label_smoothing": 0.2},
    {"class_weight": torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)},
    {"class_weight": torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64), "label_smoothing": 0.1},
]
NAMES = {"class_weight": "weight"}  # what PyTorch calls it
MORE = [
    {"focal_gamma": 2.0},
    {"z_loss": 0.01},
    {"where": torch.tensor([True, True, True, False])},
    {"focal_gamma": 1.5, "z_loss": 0.1, "label_smoothing": 0.1},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 3, 2)])
@pytest.mark.parametrize("soft", [False, True])
def test_value_and_gradient_are_those_of_pytorch(options, reduction, shape, soft):
    input, target = problem(*shape, soft=soft)
    if not soft:
        target.view(-1)[0] = -100
    outcomes = []
    theirs = {NAMES.get(name, name): value for name, value in options.items()}
    for function, given in ((ours.cross_entropy, options), (F.cross_entropy, theirs)):
        leaf = input.clone().requires_grad_()
        loss = function(leaf, target, reduction=reduction, **given)
        (loss * torch.arange(1, loss.numel() + 1).view(loss.shape)).sum().backward()
        outcomes.append((loss, leaf.grad))
    torch.testing.assert_close(*outcomes, rtol=1e-12, atol=1e-14)


def test_pytorchs_own_sample_inputs_brought_within_the_rules():
    """Theirs hold negative weights and targets that don't sum to 1, which are refused here."""
    from torch.testing._internal.common_methods_invocations import op_db

    (entry,) = (entry for entry in op_db if entry.name == "nn.functional.cross_entropy")
    count = 0
    for sample in entry.sample_inputs("cpu", torch.float64):
        (target,) = sample.args
        options = dict(sample.kwargs)
        if target.is_floating_point():
            target = target / target.sum(1, keepdim=True)
        weight = options.pop("weight", None)
        weight = None if weight is None else weight.abs()
        expected = F.cross_entropy(sample.input, target, weight, **options)
        result = ours.cross_entropy(sample.input, target, weight, **options)
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-14)
        count += 1
    assert count >= 21


@pytest.mark.parametrize("options", OPTIONS + MORE)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_and_their_gradients(options, reduction, soft):
    input, target = problem(3, soft=soft)
    if "where" in options:
        target = torch.where(options["where"], target, 0.0) if soft else target % 3
        target = target / target.sum(1, keepdim=True) if soft else target

    def function(input):
        return ours.cross_entropy(input, target, reduction=reduction, **options)

    input.requires_grad_()
    assert torch.autograd.gradcheck(function, input)
    assert torch.autograd.gradgradcheck(function, input)


@pytest.mark.parametrize("options", MORE)
def test_what_pytorch_lacks_is_the_numpy_function(options):
    input, target = problem(5, dtype=torch.float32)
    target %= 3
    as_numpy = {name: np.asarray(value) if name == "where" else value for name, value in options.items()}
    expected = softmaxlib.cross_entropy_grad(input.numpy(), target.numpy(), **as_numpy)
    input.requires_grad_()
    loss = ours.cross_entropy(input, target, **options)
    loss.backward()
    assert loss.item() == expected.loss
    np.testing.assert_array_equal(input.grad, expected.grad)


def test_a_target_that_is_itself_learned_gets_its_gradient():
    input, target = problem(3, soft=True)
    outcomes = []
    for function in (ours.cross_entropy, F.cross_entropy):
        leaves = input.clone().requires_grad_(), target.clone().requires_grad_()
        outcomes.append(torch.autograd.grad(function(*leaves), leaves))
    torch.testing.assert_close(*outcomes, rtol=1e-12, atol=1e-14)


def test_confident_rows_keep_every_digit_of_loss_and_gradient():
    input = torch.tensor([[0.0, -20.0]], requires_grad=True)
    loss = ours.cross_entropy(input, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log1p(math.exp(-20)), rel=1e-7)
    small = math.exp(-20) / (1 + math.exp(-20))
    np.testing.assert_allclose(input.grad, [[-small, small]], rtol=2e-7)
    assert F.cross_entropy(input, torch.tensor([0])).item() == 0  # what this is for


def test_an_ignored_row_has_gradient_zero_whatever_it_holds():
    input = torch.tensor([[torch.nan, torch.inf], [1.0, 2.0]], requires_grad=True)
    losses = ours.cross_entropy(input, torch.tensor([-100, 1]), reduction="none")
    assert losses[0] == 0
    losses.backward(torch.tensor([torch.inf, 1.0]))
    assert (input.grad[0] == 0).all()
    assert (input.grad[1] != 0).all()


def test_a_label_out_of_range_is_named_with_its_row():
    with pytest.raises(ValueError, match=r"target must lie in 0 to 3 \(4 classes\), got 4 in row 1"):
        ours.cross_entropy(torch.zeros(2, 4), torch.tensor([0, 4]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_leaves_the_dtype_that_pytorchs_own_has(dtype):
    input, target = problem(3, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = ours.cross_entropy(input, target)
        assert result.dtype == F.cross_entropy(input, target).dtype == torch.float32
    torch.testing.assert_close(result, F.cross_entropy(input.double(), target).float())


def test_half_precision_is_rounded_once():
    for dtype in (torch.bfloat16, torch.float16):
        input, target = problem(20, dtype=dtype)
        losses = ours.cross_entropy(input, target, reduction="none")
        exact = F.cross_entropy(input.double(), target, reduction="none")
        torch.testing.assert_close(losses, exact.to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_compile_does_not_break_the_graph(reduction):
    torch.compiler.reset()
    input, target = problem(5)

    def step(input):
        return ours.cross_entropy(input * 2, target, reduction=reduction, label_smoothing=0.1).sum()

    gradients = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        leaf = input.clone().requires_grad_()
        function(leaf).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_gradients_per_example_by_function_transforms():
    input, target = problem(5)

    def per_example(function):
        return torch.vmap(torch.func.grad(lambda row, label: function(row, label)))(input, target)

    torch.testing.assert_close(per_example(ours.cross_entropy), per_example(F.cross_entropy))


@pytest.mark.parametrize("name", ["cross_entropy", "sigmoid_cross_entropy"])
def test_activation_checkpointing(name):
    """It computes what is saved for the derivative anew, once."""
    generator = torch.Generator().manual_seed(0)
    target = torch.softmax(torch.randn(3, 4, generator=generator), -1)
    gradients = []
    for through in (lambda call, x: call(x), lambda call, x: checkpoint(call, x, use_reentrant=False)):
        leaf = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
        through(lambda x: getattr(ours, name)(x, target), leaf).backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own jacfwd
def test_the_hessian_by_function_transforms():
    input, target = problem(3)
    ours_hessian, theirs = (
        torch.func.jacrev(torch.func.grad(lambda x, f=f: f(x, target)))(input)
        for f in (ours.cross_entropy, F.cross_entropy)
    )
    torch.testing.assert_close(ours_hessian, theirs, rtol=1e-10, atol=1e-12)
    forward = torch.func.hessian(lambda x: ours.cross_entropy(x, target))(input)
    torch.testing.assert_close(forward, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own jacfwd
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("focal_gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("target", [[0, 2], [1, 0], [[0.5, 0.1, 0.4], [0.2, 0.3, 0.5]]])
def test_the_hessian_where_a_probability_is_0_is_its_limit(target, focal_gamma, label_smoothing):
    options = {"focal_gamma": focal_gamma, "label_smoothing": label_smoothing}
    at_infinity, near = (
        torch.func.jacrev(torch.func.grad(lambda x: ours.cross_entropy(x, torch.tensor(target), **options)))(
            torch.tensor([[1.0, lowest, 0.5], [0.2, 1.0, -1.0]], dtype=torch.float64)
        )
        for lowest in (-math.inf, -600.0)
    )
    torch.testing.assert_close(at_infinity, near, rtol=1e-12, atol=1e-12)


def test_the_operators_pass_pytorchs_own_operator_check():
    input, target = problem(3)
    input.requires_grad_()
    mask = torch.tensor([True, True, True, True])
    for weight, where, reduction in itertools.product(
        (None, torch.ones(4, dtype=torch.float64)), (None, mask), ("mean", "none")
    ):
        options = (weight, where, 1, 0.1, None, 0.0, 0.0, reduction)
        torch.library.opcheck(torch.ops.softmaxlib.cross_entropy.default, (input, target, *options))


def test_the_operator_of_second_derivatives_on_a_gpu_and_its_own_derivatives():
    input, target = problem(2)
    second = torch.ops.softmaxlib.cross_entropy_vjp_vjp.default
    options = (None, None, 1, 0.1, None, 0.0, 0.1, "none")
    tensors = [one.requires_grad_() for one in (input.clone().sin(), torch.rand(2).double(), input)]
    torch.library.opcheck(second, (*tensors, target, *options), test_utils="test_autograd_registration")
    with FakeTensorMode() as fake:
        found = second(*map(fake.from_tensor, (*tensors, target)), *options)
    assert [one.shape for one in found] == [one.shape for one in tensors[1:]]
    assert torch.autograd.gradcheck(lambda *given: second(*given, target, *options), tensors)


def test_class_weights_of_python_numbers_keep_all_digits_and_are_tensors_here():
    input, target = problem(20)
    weight = [0.1, 0.7, 1 / 3, 20.3]
    expected = softmaxlib.cross_entropy(input.numpy(), target.numpy(), class_weight=weight)
    assert softmaxlib.cross_entropy(input, target, class_weight=weight).item() == expected
    for call in (lambda: ours.cross_entropy(input, target, weight), lambda: ours.CrossEntropyLoss(weight)):
        with pytest.raises(UnsupportedTypeError, match=r"class_weight must be a tensor, got list; make one"):
            call()


def test_the_layer_takes_its_options_once():
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0])
    layer = ours.CrossEntropyLoss(weight, label_smoothing=0.1, reduction="sum", z_loss=0.5)
    input, target = problem(5, dtype=torch.float32)
    expected = ours.cross_entropy(input, target, weight, label_smoothing=0.1, reduction="sum", z_loss=0.5)
    torch.testing.assert_close(layer(input, target), expected, rtol=0, atol=0)
    assert list(layer.state_dict()) == ["class_weight"]
    assert "label_smoothing=0.1" in repr(layer)


def test_the_gradient_by_class_weights_comes_without_a_warning_of_pytorch():
    input, target = problem(3)
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(ours.cross_entropy(input, target, weight), weight)
    losses = F.cross_entropy(input, target, reduction="none")
    mean = F.cross_entropy(input, target, weight.detach())
    of_class = F.one_hot(target, 4).double()
    expected = (losses - mean) @ of_class / (of_class @ weight.detach()).sum()
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("options", OPTIONS[:2])
def test_a_one_hot_target_of_integers_is_the_labels(dtype, options):
    input, target = problem(5, dtype=dtype)
    outcomes = []
    for given in (F.one_hot(target, 4), F.one_hot(target, 4).to(dtype)):
        leaf = input.clone().requires_grad_()
        loss = ours.cross_entropy(leaf, given, **options)
        (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
        outcomes.append([loss, gradient, *torch.autograd.grad(gradient.square().sum(), leaf)])
    for found, wanted in zip(*outcomes, strict=True):
        assert torch.equal(found, wanted)
    assert outcomes[0][0].item() == ours.cross_entropy(input, target, **options).item()
    with pytest.raises(InvalidInputError, match="ignore_index needs class indices"):
        ours.cross_entropy(input, F.one_hot(target, 4), ignore_index=3)


@pytest.mark.parametrize("name", ["focal_gamma", "label_smoothing", "z_loss"])
@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_an_option_that_would_lose_its_gradient_is_refused(name, value, requires_grad):
    input, target = problem(5)
    learned = torch.tensor(value, requires_grad=True)
    words = f"{name} is a constant, got a tensor that requires a gradient, .* pass {name}.item()"
    for function in (ours.cross_entropy, softmaxlib.cross_entropy):
        with pytest.raises(UnsupportedTypeError, match=words):
            function(input.requires_grad_(requires_grad), target, **{name: learned})
        found = function(input, target, **{name: learned.detach()})
        assert found.item() == function(input, target, **{name: value}).item()
        with pytest.raises(UnsupportedTypeError, match=f"{name} must be one real number, got True"):
            function(input, target, **{name: True})


def test_one_number_of_a_function_that_would_lose_its_gradient_is_refused():
    learned, x = torch.tensor(2.0, requires_grad=True), torch.zeros(2, 3)
    for call, name in (
        (lambda: softmaxlib.softcap(x, learned), "cap"),
        (lambda: ours.sigmoid_cross_entropy(x, x, focal_gamma=learned), "focal_gamma"),
        (lambda: ours.linear_cross_entropy(x, x, torch.tensor([0, 1]), softcap=learned), "softcap"),
    ):
        with pytest.raises(UnsupportedTypeError, match=f"{name} is a constant, got a tensor that requires"):
            call()


def test_the_mean_of_large_finite_losses_is_finite_in_every_arithmetic():
    input = torch.tensor([[3e38, 0.0], [3e38, 0.0]])
    target = torch.tensor([1, 1])
    assert ours.cross_entropy(input, target).item() == input[0, 0].item()
    options = (None, None, 1, 0.0, None, 0.0, 0.0, "mean")
    leaf = input.requires_grad_()
    loss = _loss_operators.cross_entropy_generic(leaf, target, *options)
    assert loss.item() == input[0, 0].item()
    np.testing.assert_array_equal(torch.autograd.grad(loss, leaf)[0], [[0.5, -0.5], [0.5, -0.5]])


@pytest.mark.parametrize(
    "options",
    [{"class_weight": True}, {"where": True}, {"focal_gamma": 2.0}, {"label_smoothing": 0.1}, {}],
    ids=str,
)
def test_a_scaled_loss_of_float16_logits_keeps_small_gradients(options):
    """Each of many rows has a small share in a mean: a scaled loss keeps it from becoming 0."""
    rows, classes, scale = 2048, 500, 4096.0
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, classes, generator=generator).half()
    target = torch.randint(classes, (rows,), generator=generator)
    given = dict(options)
    if "class_weight" in given:
        given["class_weight"] = torch.rand(classes, generator=generator).double() + 0.5
    if "where" in given:
        given["where"] = torch.rand(rows, classes, generator=generator) < 0.9
        given["where"][torch.arange(rows), target] = True
    gradients = []
    for dtype in (torch.float16, torch.float64):
        leaf = logits.to(dtype, copy=True).requires_grad_()
        weight = {"class_weight": given["class_weight"].to(dtype)} if "class_weight" in given else {}
        (ours.cross_entropy(leaf, target, **{**given, **weight}) * scale).backward()
        gradients.append(leaf.grad.double())
    found, exact = gradients
    assert ((found == 0) & (exact.abs() > 6e-8)).sum() == 0
    error = ((found - exact).abs() / exact.abs())[exact.abs() > 1e-6]
    assert error.median() < 1e-3
