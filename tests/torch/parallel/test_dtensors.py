import pytest
import sharded
import torch
import torch.distributed as dist
from test_parallel_cross_entropy import WEIGHT, distributions, ulps
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

import softmaxlib.torch

GENERATOR = torch.Generator().manual_seed(21)
UPSTREAM = torch.rand(sharded.N, sharded.K, generator=GENERATOR)
FEATURES = torch.randn(9, 5, generator=GENERATOR)
LAYER = torch.randn(sharded.K, 5, generator=GENERATOR)
BIAS = torch.randn(sharded.K, generator=GENERATOR)
TARGET = torch.randint(0, sharded.K, (9,), generator=GENERATOR)
TARGET[:5] = -100  # most of one half of the rows
DIMS = [(4,), (2, 2)]


def whole(x, target, options):
    """The same functions on the whole logits, in the order of `sharded.dtensors`."""
    leaf = x.clone().requires_grad_()
    results = []
    for call in (
        lambda: softmaxlib.torch.cross_entropy(leaf, target, **options),
        lambda: softmaxlib.torch.cross_entropy(leaf, target, reduction="none"),
        lambda: softmaxlib.torch.softmax(leaf, 1, temperature=2.0),
        lambda: softmaxlib.torch.log_softmax(leaf, 1),
        lambda: softmaxlib.torch.logsumexp(leaf, 1),
        lambda: softmaxlib.torch.logsumexp(leaf, 1, keepdim=True, where=torch.arange(sharded.K) % 3 > 0),
    ):
        leaf.grad = None
        result = call()
        result.backward(sharded.first_of(UPSTREAM, result.shape).to(result.dtype))
        results.append((result.detach(), leaf.grad))
    return results


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["labels", "distributions"])
def test_functions_and_modules_take_dtensors_without_a_context(ranks, dims, kind):
    x, target = sharded.rows(torch.float32, 2.0)
    options = {"class_weight": WEIGHT.float(), "label_smoothing": 0.1, "z_loss": 0.01}
    if kind == "distributions":
        x, target = torch.where(x.isfinite(), x, 0.0), distributions(torch.float32)
    else:
        x = torch.where(x == -torch.inf, -30.0, x)
        x[3] = 1.0
    expected, exact = whole(x, target, options), whole(x.double(), target, options)
    found = ranks.run(sharded.dtensors, x, target, options, dims, UPSTREAM)
    for on_rank in found:
        for (result, gradient), (same_result, same_gradient) in zip(on_rank, found[0], strict=True):
            assert torch.equal(result, same_result)
            assert torch.equal(gradient, same_gradient)
    for (result, gradient), (same, _), (_, derivative) in zip(found[0], expected, exact, strict=True):
        assert ulps(result, same) <= 1
        torch.testing.assert_close(gradient.double(), derivative, rtol=2e-7, atol=1e-12)


@pytest.mark.parametrize("dims", DIMS)
def test_a_layer_with_a_sharded_weight(ranks, dims):
    leaves = [one.clone().requires_grad_() for one in (FEATURES, LAYER, BIAS)]
    loss = softmaxlib.torch.linear_cross_entropy(*leaves[:2], TARGET, bias=leaves[2], label_smoothing=0.1)
    loss.backward()
    for on_rank in ranks.run(sharded.dtensor_layer, dims, FEATURES, LAYER, BIAS, TARGET):
        for found, expected in zip(on_rank, (loss.detach(), *(leaf.grad for leaf in leaves)), strict=True):
            torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("dims", "as_parameter"), [((4,), True), ((2, 2), False)])
def test_a_temperature_that_is_learned(ranks, dims, as_parameter):
    x, _ = sharded.rows(torch.float32, 2.0)
    x = torch.where(x.isfinite(), x, -3.0)
    expected = []
    for function in (torch.softmax, torch.log_softmax):
        number = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
        function(x.double() / number, 1).backward(UPSTREAM.double())
        expected.append(number.grad)
    number = torch.tensor(1.7)
    for on_rank in ranks.run(sharded.learned_temperature, x, dims, UPSTREAM, as_parameter):
        for (result, gradient), truth, function in zip(
            on_rank, expected, (softmaxlib.torch.softmax, softmaxlib.torch.log_softmax), strict=True
        ):
            assert ulps(result, function(x, 1, temperature=number)) <= 1
            torch.testing.assert_close(gradient.double(), truth, rtol=1e-5, atol=1e-6)


@pytest.fixture
def alone():
    """A mesh of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which PyTorch's compiler reads
def test_in_a_function_that_is_compiled(alone):
    """The graph is left for the loss, and goes on after it."""
    x, target = torch.randn(8, sharded.K, generator=GENERATOR), torch.arange(8)

    def step(logits):
        return 3 * softmaxlib.torch.cross_entropy(2 * logits, target, label_smoothing=0.1)

    plain, leaf = x.clone().requires_grad_(), distribute_tensor(x, alone, [Shard(1)]).requires_grad_()
    expected, loss = step(plain), torch.compile(step, backend="eager")(leaf)
    expected.backward()
    loss.backward()
    assert torch.equal(loss.full_tensor(), expected)
    torch.testing.assert_close(leaf.grad.full_tensor(), plain.grad, rtol=1e-6, atol=1e-8)


def test_a_log_softmax_that_feeds_no_loss_has_its_own_gradient(ranks):
    """PyTorch 190746: under loss_parallel its gradient is the identity's."""
    x, target = (
        torch.randn(sharded.N, sharded.K, generator=GENERATOR),
        torch.zeros(sharded.N, dtype=torch.int64),
    )
    (_, gradient) = ranks.run(sharded.dtensors, x, target, {}, (4,), UPSTREAM)[0][3]
    leaf = x.double().requires_grad_()
    torch.log_softmax(leaf, 1).backward(UPSTREAM.double())
    torch.testing.assert_close(gradient.double(), leaf.grad, rtol=1e-6, atol=1e-7)


def test_dtensors_that_cannot_be_taken_apart_name_the_next_step(ranks):
    starts = [
        "the classes of input, dimension 1, must be sharded over one dimension of the mesh, got (Shard(",
        "the classes of input, dimension 1, must be sharded over one dimension of the mesh, got (Repl",
        "classes of a DTensor must lie along one dimension, got 2; flatten them, or pass input.full",
        "the temperature of a DTensor must be one number, got a tensor of shape (4, 1); divide the logits",
        "target must be a plain tensor or lie as the logits do, (Shard(dim=1),), got (Shard(",
    ]
    for errors in ranks.run(sharded.wrong_dtensors):
        for (error, message), start in zip(errors, starts, strict=True):
            assert error == "InvalidInputError"
            assert message.startswith(start)


def test_a_penalty_of_the_gradient_is_refused(ranks):
    starts = [
        "cross_entropy has no second derivative for classes that are sharded; gather the shards, as",
        "linear_cross_entropy has no second derivative for classes that are sharded; gather the shards, as",
        "linear_cross_entropy has no second derivative for classes that are sharded; gather the shards, as",
        "log_probability_and_entropy has no second derivative; gather the shards and use softmaxlib.torch.",
        "log_probability_and_entropy has no second derivative; gather the shards and use softmaxlib.torch.",
        "cross_entropy has no second derivative for classes that are sharded; gather the shards, as",
        "linear_cross_entropy has no second derivative for classes that are sharded; gather the shards, as",
        "softmax, log_softmax and logsumexp have no second derivative for classes that are sharded; pass",
        "softmax, log_softmax and logsumexp have no second derivative for classes that are sharded; pass",
    ]
    for results in ranks.run(sharded.penalties):
        for (is_same, error, message), start in zip(results, starts, strict=True):
            assert is_same
            assert error == "NotImplementedError"
            assert message.startswith(start)


def test_weights_of_classes_that_require_a_gradient_are_refused(ranks):
    expected = (
        "class_weight has no gradient here, got one that requires it; pass class_weight.detach(), or gather "
        "the shards and use softmaxlib.torch.cross_entropy"
    )
    for errors in ranks.run(sharded.learned_weights):
        for error, message in errors:
            assert error == "InvalidInputError"
            assert message.startswith(expected)
