"""The loss of a linear layer: dtypes, autocast, ignored rows, empty tensors, function transforms."""

import itertools

import pytest

pytest.importorskip("torch.nn")

import torch
import torch.nn.functional as F
from torch.autograd import forward_ad

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.errors import UnsupportedTypeError

ROWS, FEATURES, CLASSES = 1024, 16, 40
TARGET = torch.randint(CLASSES, (ROWS,), generator=torch.Generator().manual_seed(3))
REDUCTIONS = ["mean", "sum", "none"]

ignore_jit_warning = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def layer(dtype, rows=ROWS):
    parts = normal(rows, FEATURES), 0.3 * normal(CLASSES, FEATURES, seed=1), normal(CLASSES, seed=2)
    return [part.to(dtype).requires_grad_() for part in parts]


def reference(input, weight, bias, reduction="mean", target=TARGET):
    return F.cross_entropy(F.linear(input, weight, bias), target, reduction=reduction)


def in_blocks(rows, reduction="mean", target=TARGET):
    def loss(input, weight, bias):
        budget = rows * CLASSES * max(4, input.element_size())
        return ours.linear_cross_entropy(
            input, weight, target, bias=bias, reduction=reduction, memory_budget=budget
        )

    return loss


def loss_and_gradients(function, leaves):
    loss = function(*leaves)
    weighted = loss * torch.linspace(0.5, 2, loss.numel(), dtype=loss.dtype).view(loss.shape)
    return [loss.detach(), *torch.autograd.grad(weighted.sum(), leaves)]


def relative_error(found, exact):
    return ((found.double() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_half_precision_is_as_exact_in_a_thousand_blocks_as_in_one(dtype, reduction):
    leaves = layer(dtype)
    wide = [leaf.detach().double().requires_grad_() for leaf in leaves]
    exact = loss_and_gradients(lambda *parts: reference(*parts, reduction), wide)
    errors = {
        rows: [
            relative_error(found, value)
            for found, value in zip(
                loss_and_gradients(in_blocks(rows, reduction), leaves), exact, strict=True
            )
        ]
        for rows in (ROWS, 1)
    }
    # logits of half precision are what the layer gives: their rounding is in every figure
    assert max(errors[ROWS]) < torch.finfo(dtype).eps
    assert max(one - other for one, other in zip(errors[1], errors[ROWS], strict=True)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_loss_in_half_precision_is_rounded_once(dtype):
    input, weight, _ = (leaf.detach() for leaf in layer(dtype))
    logits = F.linear(input, weight)
    for reduction in REDUCTIONS:
        exact = F.cross_entropy(logits.double(), TARGET, reduction=reduction).to(dtype)
        found = ours.linear_cross_entropy(input, weight, TARGET, reduction=reduction, memory_budget=2000)
        torch.testing.assert_close(found, exact, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("own", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_autocast_is_that_of_linear_and_cross_entropy(dtype, own, reduction):
    leaves = layer(own)
    with torch.autocast("cpu", dtype):
        expected = loss_and_gradients(lambda *parts: reference(*parts, reduction), leaves)
        found = loss_and_gradients(in_blocks(100, reduction), leaves)
    rounding = max(torch.finfo(dtype).eps, torch.finfo(own).eps)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert relative_error(one, other.double()) < rounding


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_scaled_loss_keeps_small_gradients_of_float16(reduction, autocast):
    """Multiply the gradients that arrive by a power of two, as torch.amp.GradScaler does."""
    scale = 65536.0 if autocast else 4096.0  # a loss of float16 times 65536 is infinite
    rows = 4 * ROWS
    target = TARGET.repeat(4)
    leaves = normal(rows, FEATURES), 0.3 * normal(9 * CLASSES, FEATURES, seed=1), normal(9 * CLASSES, seed=2)
    wide = [leaf.half().double() for leaf in leaves]
    narrow = [leaf.to(torch.float32 if autocast else torch.float16) for leaf in wide]
    found = []
    for parts in (wide, narrow):
        parts = [part.detach().requires_grad_() for part in parts]
        if parts[0].dtype == torch.float64:
            loss = reference(*parts, reduction, target)
        else:
            with torch.autocast("cpu", torch.float16, enabled=autocast):
                loss = in_blocks(1000, reduction, target)(*parts)
        upstream = torch.full_like(loss, scale if reduction == "mean" else scale / rows)
        found.append([one.double() / scale for one in torch.autograd.grad(loss, parts, upstream)])
    for exact, rounded in zip(*found, strict=True):
        assert (rounded != 0).all()
        assert ((rounded - exact) / exact).abs().median() < torch.finfo(torch.float16).eps


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [(torch.float16, torch.float32)] + [(one, one) for one in (torch.bfloat16, torch.float32)],
)
def test_gradients_wait_in_a_dtype_of_a_wide_range(dtype, kept):
    waiting = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: waiting.append(one) or one, lambda one: one):
        loss = in_blocks(100)(*layer(dtype))
    assert [one.dtype for one in waiting] == [kept] * 3
    assert loss.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64])
@pytest.mark.parametrize("of_weight", [torch.float16, torch.float32, torch.float64])
def test_integers_are_computed_in_float64_as_in_numpy(dtype, of_weight):
    input = torch.arange(5 * FEATURES, dtype=dtype).view(5, FEATURES) % 7
    _, weight, bias = layer(of_weight, rows=5)
    wide = [leaf.detach().double().requires_grad_() for leaf in (weight, bias)]
    for function in (ours.linear_cross_entropy, softmaxlib.linear_cross_entropy):
        loss = function(input, weight, TARGET[:5], bias=bias)
        assert loss.dtype == torch.float64
        expected = reference(input.double(), *wide, target=TARGET[:5])
        torch.testing.assert_close(loss, expected, rtol=1e-13, atol=0)
        found = torch.autograd.grad(loss, (weight, bias))
        for one, other, leaf in zip(found, torch.autograd.grad(expected, wide), (weight, bias), strict=True):
            assert one.dtype == of_weight
            torch.testing.assert_close(one, other.to(leaf.dtype), rtol=2e-3, atol=1e-7)
    whole = torch.arange(3 * FEATURES).view(3, FEATURES) % 5
    numbers = softmaxlib.linear_cross_entropy(input.numpy(), whole.numpy(), TARGET[:5].numpy() % 3)
    assert ours.linear_cross_entropy(input, whole, TARGET[:5] % 3).item() == pytest.approx(numbers, rel=1e-13)


@pytest.mark.parametrize("own", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("of_bias", [torch.int64, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_bias_of_another_dtype_is_converted(own, of_bias, autocast):
    input, weight, bias = layer(own, rows=5)
    bias = (4 * bias.detach()).to(of_bias)
    bias.requires_grad_(bias.is_floating_point())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = ours.linear_cross_entropy(input, weight, TARGET[:5], bias=bias)
        expected = ours.linear_cross_entropy(input, weight, TARGET[:5], bias=bias.to(own))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    if bias.requires_grad:
        (gradient,) = torch.autograd.grad(found, bias)
        assert gradient.dtype == of_bias


def test_input_and_weight_of_two_dtypes_are_refused_unless_autocast_brings_them_to_one():
    parts = {dtype: layer(dtype, rows=5)[:2] for dtype in (torch.float16, torch.float32, torch.float64)}
    for one, other in itertools.permutations(parts, 2):
        input, weight = parts[one][0], parts[other][1]
        names = rf"got {str(one).partition('.')[2]} and {str(other).partition('.')[2]}; convert the smaller"
        with pytest.raises(UnsupportedTypeError, match=f"input and weight must have one dtype, {names}"):
            ours.linear_cross_entropy(input, weight, TARGET[:5])
        with torch.autocast("cpu", torch.bfloat16):
            if torch.float64 in (one, other):
                with pytest.raises(UnsupportedTypeError, match=names):
                    ours.linear_cross_entropy(input, weight, TARGET[:5])
            else:
                found = ours.linear_cross_entropy(input, weight, TARGET[:5])
                expected = F.cross_entropy(F.linear(input, weight), TARGET[:5])
                torch.testing.assert_close(found, expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize(("rows", "features"), [(0, FEATURES), (5, 0), (0, 0)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_no_rows_or_no_features_give_what_linear_and_cross_entropy_give(rows, features, reduction, dtype):
    parts = normal(rows, features), normal(CLASSES, features, seed=1), normal(CLASSES, seed=2)
    leaves = [part.to(dtype).requires_grad_() for part in parts]
    wide = [part.requires_grad_() for part in parts]
    target = TARGET[:rows]
    expected = loss_and_gradients(lambda *parts: reference(*parts, reduction, target), wide)
    for rows_at_once in (2, ROWS):
        found = loss_and_gradients(in_blocks(rows_at_once, reduction, target), leaves)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other.to(dtype), rtol=1e-2, atol=0, equal_nan=True)
    softmaxlib_loss = softmaxlib.linear_cross_entropy(*parts[:2], target, bias=parts[2], reduction=reduction)
    torch.testing.assert_close(softmaxlib_loss.detach(), expected[0], rtol=1e-12, atol=0, equal_nan=True)


def test_the_layer_without_rows_trains():
    module = ours.LinearCrossEntropyLoss(8, 10)
    loss = module(torch.randn(0, 8), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert torch.isnan(loss)
    assert torch.equal(module.weight.grad, torch.zeros(10, 8))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_meta_tensors_go_through_loss_and_gradient(reduction):
    """They have shapes and dtypes alone, and tell a model's before it is made."""
    leaves = [leaf.detach().to("meta").requires_grad_() for leaf in layer(torch.float32, rows=6)]
    loss = ours.linear_cross_entropy(
        leaves[0], leaves[1], TARGET[:6].to("meta"), bias=leaves[2], reduction=reduction
    )
    assert loss.is_meta
    assert loss.shape == ((6,) if reduction == "none" else ())
    found = torch.autograd.grad(loss.sum(), leaves)
    assert [one.shape for one in found] == [one.shape for one in leaves]


def test_the_layer_trains_under_autocast_as_it_is_and_compiled():
    torch.compiler.reset()
    input, _, _ = (leaf.detach() for leaf in layer(torch.float32))
    module = ours.LinearCrossEntropyLoss(FEATURES, CLASSES, bias=True)
    gradients = []
    for call in (module, torch.compile(module, fullgraph=True, backend="aot_eager")):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = call(input, TARGET)
        loss.backward()
        assert loss.dtype == module.weight.grad.dtype == torch.float32
        gradients.append(module.weight.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_ignored_rows_are_not_multiplied(reduction, dtype, softcap):
    target = TARGET[:9].clone()
    target[[1, 4, 5]] = -100
    input, weight, bias = layer(dtype, rows=9)
    dirty = input.detach().clone()
    dirty[1], dirty[4, 3], dirty[5] = torch.nan, torch.inf, 3e38
    outcomes = []
    for rows in (input.detach(), dirty):
        leaves = rows.clone().requires_grad_(), weight, bias
        loss = ours.linear_cross_entropy(
            leaves[0], weight, target, bias=bias, softcap=softcap, reduction=reduction, memory_budget=700
        )
        upstream = torch.where(target == -100, torch.nan, 1.5) if loss.dim() else torch.tensor(1.5)
        gradients = torch.autograd.grad(loss, leaves, upstream.to(loss.dtype))
        assert (gradients[0][target == -100] == 0).all()
        outcomes.append([loss, *gradients])
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)
    assert all(torch.isfinite(one).all() for one in outcomes[1])


def test_padding_of_an_embedding_leaves_no_trace():
    """Tokens that are ignored may have any embedding, NaN too, and the embedding learns nothing from them."""
    tokens = torch.tensor([[1, 2, 0, 0], [3, 4, 5, 0]])
    embedding = torch.nn.Embedding(6, FEATURES, padding_idx=0).double()
    with torch.no_grad():
        embedding.weight[0] = torch.nan
    module = ours.LinearCrossEntropyLoss(FEATURES, CLASSES).double()
    target = torch.where(tokens == 0, -100, tokens)
    module(embedding(tokens), target).backward()
    kept = tokens != 0
    expected = F.cross_entropy(embedding(tokens)[kept] @ module.weight.T, target[kept])
    (of_weight,) = torch.autograd.grad(expected, module.weight)
    torch.testing.assert_close(module.weight.grad, of_weight)
    assert torch.isfinite(embedding.weight.grad).all()


def test_no_row_that_counts_leaves_gradients_of_zero():
    leaves = layer(torch.float64, rows=3)
    nobody = torch.full((3,), -100)
    for reduction in REDUCTIONS:
        loss, *gradients = loss_and_gradients(in_blocks(2, reduction, nobody), leaves)
        assert torch.isnan(loss) if reduction == "mean" else (loss == 0).all()
        assert all((one == 0).all() for one in gradients)


@ignore_jit_warning
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_function_transforms_agree_with_linear_and_cross_entropy(reduction):
    target = TARGET[:5].clone()
    target[2] = -100
    primals = [leaf.detach() for leaf in layer(torch.float64, rows=5)]
    tangents = tuple(normal(*one.shape, seed=9) for one in primals)
    weights = torch.stack([primals[1], -primals[1], 2 * primals[1]])
    results = []
    for loss in (lambda *parts: reference(*parts, reduction, target), in_blocks(2, reduction, target)):

        def energy(*parts, loss=loss):
            return (loss(*parts) ** 2).sum()

        def of_weight(weight, energy=energy):
            return energy(primals[0], weight, primals[2])

        with forward_ad.dual_level():
            dual = loss(*map(forward_ad.make_dual, primals, tangents))
            carried = forward_ad.unpack_dual(dual).tangent
        results.append(
            [
                carried,
                *torch.func.jvp(loss, tuple(primals), tangents),
                *torch.func.grad(energy, argnums=(0, 1, 2))(*primals),
                torch.func.hessian(of_weight)(primals[1]),
                torch.func.vmap(of_weight)(weights),
                torch.func.vmap(torch.func.grad(of_weight))(weights),
                torch.func.grad(lambda many, f=of_weight: torch.func.vmap(f)(many).sum())(weights),
            ]
        )
    torch.testing.assert_close(*results)


def test_a_gradient_of_the_gradient_is_refused_by_the_transforms_too():
    primals = [leaf.detach() for leaf in layer(torch.float64, rows=ROWS)]
    for reduction in REDUCTIONS:

        def first(weight, reduction=reduction):
            loss = in_blocks(100, reduction)
            return torch.func.grad(lambda w: loss(primals[0], w, primals[2]).sum())(weight).sum()

        with pytest.raises(NotImplementedError, match="no second derivative; for one use cross_entropy"):
            torch.func.grad(first)(primals[1])
