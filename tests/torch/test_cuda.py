"""The generic definitions on every device that there is: the CPU by force, and a GPU where one is found."""

import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib.torch as ours
from softmaxlib.torch import _activation_operators, _loss_operators

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def logits(device, *shape, dtype=torch.float32):
    return (3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))).to(device, dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_definition_in_tensor_operations_agrees_with_float64(device, name, dtype):
    x = logits(device, 20, 30, dtype=dtype)
    generic = getattr(_activation_operators, f"{name}_generic")
    option = False if name == "logsumexp" else 1.0
    for dim in ([0], [-1], None):
        result = generic(x, dim, option, None)
        assert result.device.type == device
        exact = generic(x.double().cpu(), dim, option, None)
        # half precision is rounded once: no further off than half a unit, and a float32's error
        tolerance = {torch.float32: 5e-7, torch.float16: 5e-4, torch.bfloat16: 4e-3}[dtype]
        torch.testing.assert_close(result.double().cpu(), exact, rtol=tolerance, atol=1e-7)


def test_the_loss_in_tensor_operations_agrees_with_the_kernels(device):
    x, target = logits(device, 8, 5), torch.arange(8, device=device) % 5
    result = _loss_operators.cross_entropy_generic(x, target, None, None, 1, 0.1, 3, 1.5, 0.1, "mean")
    options = {"label_smoothing": 0.1, "ignore_index": 3, "focal_gamma": 1.5, "z_loss": 0.1}
    torch.testing.assert_close(result.cpu(), ours.cross_entropy(x.cpu(), target.cpu(), **options))


def test_operators_and_gradients_are_the_same_on_every_device(device):
    mask = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) > 0.3
    target = torch.arange(6) % 5

    def outcomes(device):
        x = logits(device, 6, 5).requires_grad_()
        where, labels = mask.to(device), target.to(device)
        weight = torch.eye(5, device=device)
        for result in (
            ours.softmax(x, where=where),
            ours.log_softmax(x, temperature=2.0),
            ours.logsumexp(x, where=where),
            ours.sparsemax(x),
            ours.entmax(x, 1.5, where=where),
            ours.cross_entropy(x, labels, weight[0] + 1, label_smoothing=0.1, z_loss=0.1),
            ours.linear_cross_entropy(x, weight, labels, softcap=3.0),
        ):
            finite = torch.where(torch.isfinite(result), result, 0.0)
            (gradient,) = torch.autograd.grad((finite**2).sum(), x)
            yield result.detach().cpu(), gradient.cpu()

    for here, on_the_cpu in zip(outcomes(device), outcomes("cpu"), strict=True):
        torch.testing.assert_close(here, on_the_cpu, rtol=1e-5, atol=1e-6)


def test_autocast_does_what_it_does_to_pytorchs_own(device):
    x, target = logits(device, 4, 5, dtype=torch.bfloat16), torch.arange(4, device=device)
    with torch.autocast(device, dtype=torch.bfloat16):
        assert ours.softmax(x).dtype == torch.softmax(x, -1).dtype
        assert ours.log_softmax(x).dtype == torch.log_softmax(x, -1).dtype
        expected = torch.nn.functional.cross_entropy(x, target)
        assert ours.cross_entropy(x, target).dtype == expected.dtype
