"""The activations on tensors: the NumPy functions' bits, and everything PyTorch expects of an operator."""

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib
import softmaxlib.torch as ours

pytestmark = pytest.mark.usefixtures("each_fast_path")

FUNCTIONS = {"softmax": ours.softmax, "log_softmax": ours.log_softmax, "logsumexp": ours.logsumexp}
DIMS = [0, -1, (0, 2), None]


def logits(*shape, dtype=torch.float64, scale=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, dtype=torch.float64, generator=generator) * scale).to(dtype)


def mask_with_an_empty_row(*shape):
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(1)) > 0.4
    mask[0] = False
    return mask


@pytest.fixture(params=FUNCTIONS)
def name(request):
    return request.param


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("dim", DIMS)
def test_a_cpu_tensor_gets_the_bits_of_the_numpy_function(name, dtype, dim):
    x = logits(3, 4, 5, dtype=dtype)
    for view in (x, x.transpose(0, 2), x[:, ::2], x.expand(2, 3, 4, 5)[1]):
        result = FUNCTIONS[name](view, dim)
        expected = getattr(softmaxlib, name)(view.numpy(), axis=dim)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result.numpy(), expected)


def test_bfloat16_is_computed_wider_and_rounded_once(name):
    x = logits(50, 30, dtype=torch.bfloat16)
    exact = FUNCTIONS[name](x.double())
    np.testing.assert_array_equal(FUNCTIONS[name](x).float(), exact.to(torch.bfloat16).float())


def test_integers_are_computed_in_float64_and_bool_is_refused(name):
    x = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(FUNCTIONS[name](x), FUNCTIONS[name](x.double()), rtol=0, atol=0)
    with pytest.raises(TypeError, match=r"input must be real numbers, got dtype bool"):
        FUNCTIONS[name](x > 1)


def test_dtype_casts_before_computing():
    x = logits(4, 5, dtype=torch.float16)
    for function in (ours.softmax, ours.log_softmax):
        torch.testing.assert_close(function(x, dtype=torch.float64), function(x.double()), rtol=0, atol=0)


@pytest.mark.parametrize("function", [ours.softmax, ours.log_softmax])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused_with_the_way_out(function, temperature):
    with pytest.raises(ValueError, match=r"temperature must .*above 0.*argmax"):
        function(logits(2, 3), temperature=temperature)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_and_their_gradients(name, dim, masked):
    x = logits(2, 3, 4).requires_grad_()
    options = {"where": mask_with_an_empty_row(2, 3, 4)} if masked else {}
    if name != "logsumexp":
        options["temperature"] = 1.7

    def function(x):
        result = FUNCTIONS[name](x, dim, **options)
        return torch.where(torch.isfinite(result), result, 0.0)

    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


def test_what_a_mask_hides_leaks_neither_into_values_nor_gradients(name):
    clean = logits(3, 5)
    mask = mask_with_an_empty_row(3, 5)
    dirty = torch.where(mask, clean, torch.tensor([torch.nan, torch.inf, -torch.inf, 1e308, 0.0]))
    gradients = []
    for x in (clean.requires_grad_(), dirty.requires_grad_()):
        result = FUNCTIONS[name](x, where=mask)
        upstream = torch.full_like(result, 0.5)
        if name != "logsumexp":
            upstream = torch.where(mask, upstream, torch.nan)
            upstream[1, mask[1].nonzero()[0]] = 2.0
        gradients.append(torch.autograd.grad(result, x, upstream)[0])
    torch.testing.assert_close(*gradients, rtol=0, atol=0)
    assert (gradients[1][~mask] == 0).all()
    assert (gradients[1][1:][mask[1:]] != 0).any()


def test_a_confident_row_keeps_the_digits_of_its_loss_and_gradient():
    x = torch.tensor([0.0, -20.0], requires_grad=True)
    loss = -ours.log_softmax(x)[0]
    loss.backward()
    assert loss.item() == pytest.approx(np.log1p(np.exp(-20.0)), rel=1e-7)
    small = np.exp(-20.0) / (1 + np.exp(-20.0))
    np.testing.assert_allclose(x.grad, [-small, small], rtol=3e-7)


@pytest.mark.parametrize("dim", [1, *(pytest.param(one, marks=pytest.mark.sweep) for one in ((0, 1), None))])
def test_compile_does_not_break_the_graph(name, dim):
    torch.compiler.reset()
    x = logits(3, 4, dtype=torch.float32)

    def step(x):
        return (FUNCTIONS[name](x * 2, dim) ** 2).sum()

    gradients = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        leaf = x.clone().requires_grad_()
        function(leaf).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_the_operators_pass_pytorchs_own_operator_check():
    x = logits(3, 4).requires_grad_()
    mask = mask_with_an_empty_row(3, 4)
    operators = torch.ops.softmaxlib
    for where in (None, mask):
        torch.library.opcheck(operators.softmax.default, (x, [1], 2.0, where))
        torch.library.opcheck(operators.log_softmax.default, (x, [0], 2.0, where))
        torch.library.opcheck(operators.logsumexp.default, (x, [0, 1], True, where))
        torch.library.opcheck(operators.logsumexp.default, (x, None, False, where))
    probabilities = torch.softmax(x, 1).detach().requires_grad_()
    torch.library.opcheck(operators.softmax_jvp.default, (probabilities, x, [1]))
    logarithms = torch.log_softmax(x, 1).detach().requires_grad_()
    torch.library.opcheck(operators.log_softmax_vjp.default, (logarithms, x, [1]))


@pytest.mark.parametrize("dim", [0, -1, None])
def test_vmap_is_a_loop_over_the_batch(name, dim):
    x = logits(4, 2, 3)
    mask = mask_with_an_empty_row(4, 2, 3)
    function = FUNCTIONS[name]
    for in_dims, slices in ((0, x), (1, x.movedim(1, 0)), (-1, x.movedim(-1, 0))):
        batched = torch.vmap(lambda one: function(one, dim), in_dims)(x)
        torch.testing.assert_close(batched, torch.stack([function(one, dim) for one in slices]))
    one_mask_each = torch.vmap(lambda one, where: function(one, dim, where=where))(x, mask)
    expected = [function(one, dim, where=where) for one, where in zip(x, mask, strict=True)]
    torch.testing.assert_close(one_mask_each, torch.stack(expected))
    row_masks = torch.vmap(lambda where: function(x[0], dim, where=where))(mask[:, 0])
    torch.testing.assert_close(row_masks, torch.stack([function(x[0], dim, where=m) for m in mask[:, 0]]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own jacfwd
def test_function_transforms_agree_with_pytorchs_own(name):
    theirs = {"softmax": torch.softmax, "log_softmax": torch.log_softmax, "logsumexp": torch.logsumexp}[name]
    x = logits(4, 3)

    def energy(function):
        return lambda row: (function(row, -1) ** 2).sum()

    for transform in (
        torch.func.grad,
        torch.func.jacrev,
        torch.func.jacfwd,
        torch.func.hessian,
        lambda f: torch.func.jacrev(torch.func.grad(f)),
        lambda f: torch.func.vmap(torch.func.grad(f)),
    ):
        argument = x if "vmap" in repr(transform(energy(theirs))) else x[0]
        torch.testing.assert_close(
            transform(energy(FUNCTIONS[name]))(argument), transform(energy(theirs))(argument)
        )


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_tangents_are_carried_forward(name):
    x, tangent = logits(3, 4), logits(3, 4, seed=1)
    x.requires_grad_()
    _, expected = torch.autograd.functional.jvp(FUNCTIONS[name], x, tangent)
    with torch.autograd.forward_ad.dual_level():
        for primal in (x, x.detach()):
            result = FUNCTIONS[name](torch.autograd.forward_ad.make_dual(primal, tangent))
            found = torch.autograd.forward_ad.unpack_dual(result).tangent
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_leaves_the_dtype_that_pytorchs_own_has(name, dtype):
    theirs = {"softmax": torch.softmax, "log_softmax": torch.log_softmax, "logsumexp": torch.logsumexp}[name]
    x = logits(2, 3, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert FUNCTIONS[name](x, -1).dtype == theirs(x, -1).dtype


def test_pytorchs_own_sample_inputs(name):
    from torch.testing._internal.common_methods_invocations import op_db

    samples = [
        sample
        for entry in op_db
        if entry.name == name
        for sample in entry.sample_inputs("cpu", torch.float64)
    ]
    assert len(samples) >= 14
    for sample in samples:
        expected = getattr(torch, name)(sample.input, *sample.args, **sample.kwargs)
        result = FUNCTIONS[name](sample.input, *sample.args, **sample.kwargs)
        torch.testing.assert_close(result, expected, rtol=1e-14, atol=1e-15)


def test_the_answer_of_a_two_row_batch_known_from_nn_softmax():
    x = torch.tensor([[2.0, 1.0, 0.1], [0.2, 1.9, 3.0]])
    probabilities = ours.Softmax(dim=1)(x)
    expected = torch.tensor([[0.6590, 0.2424, 0.0986], [0.0436, 0.2388, 0.7175]])
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=5e-5)
    assert probabilities.argmax(1).tolist() == [0, 2]
    torch.testing.assert_close(ours.LogSoftmax(dim=1)(x).exp(), probabilities)


def test_layers_say_their_options_and_have_no_state():
    layer = ours.Softmax(dim=1, temperature=2.0)
    assert repr(layer) == "Softmax(dim=1, temperature=2.0)"
    assert layer.state_dict() == {}
    x = logits(2, 3)
    torch.testing.assert_close(layer(x), torch.softmax(x / 2, 1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("function", [ours.softmax, ours.log_softmax])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_gradients_of_masked_entries_are_0_in_undefined_rows(function, temperature):
    x = torch.tensor([[torch.nan, 1.0, 2.0], [torch.inf, 1.0, 2.0]], requires_grad=True)
    where = torch.tensor([True, True, False])
    function(x, temperature=temperature, where=where)[:, :2].sum().backward()
    assert x.grad[:, 2].tolist() == [0.0, 0.0]
    assert x.grad[:, :2].isnan().all()


@pytest.mark.parametrize(
    "call",
    [
        ours.softmax,
        ours.sparsemax,
        lambda x: ours.sparsemax(x, None),
        lambda x: ours.entmax(x, 1.5, 0),
        lambda x: ours.entmax(x, torch.tensor([1.5, 1.0])),
        lambda x: ours.entmax(x[0, 0]),
    ],
)
def test_a_result_may_be_changed_in_place_until_its_values_are_needed(call):
    leaf = logits(2, 3).requires_grad_()
    result = call(leaf)
    expected = 2 * result.detach()
    torch.testing.assert_close(result.mul_(2).detach(), expected)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.sum().backward()
