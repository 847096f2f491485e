"""The loss kernels on CPU tensors, without a GPU: a program that prints the largest errors."""

import json
import sys

import numpy as np
import torch
from distances import units
from without_gpu import special_rows  # first: it chooses how kernels run

import softmaxlib.torch as ours
from softmaxlib.torch import _eager_gpu_loss
from softmaxlib.torch import _linear_loss_operators as operators
from softmaxlib.torch._eager import takes_fast_path
from softmaxlib.torch._triton import losses

IGNORED = 3
IN_PLACE = {"ignored", "torch.bfloat16, 300 classes", "torch.float16, confident"}  # in the logits' place too


def cases():
    """Name, logits, labels and options."""
    generator = torch.Generator().manual_seed(0)
    for n, rows, reduction in ((1, 1, "none"), (5, 2, "none"), (70, 4, "none"), (520, 2, "mean")):
        x = special_rows(n, generator) if n > 5 else 3 * torch.randn(8, n, generator=generator)
        y = torch.randint(n, (rows,), generator=generator)
        yield f"{n} classes, {reduction}", x[8 - rows :], y, {"reduction": reduction}
    x = 4 * torch.randn(5, 200, generator=generator)
    x[0, 7], x[1, 3], x[2, 9] = 60.0, 35.0, 200.0
    y = torch.tensor([7, 7, 9, IGNORED, 199])
    x[3, 0] = torch.nan
    weight = torch.rand(200, generator=generator)
    options = {"reduction": "none", "ignore_index": IGNORED}
    yield "ignored", x, y, options
    options["reduction"] = "mean"
    yield "weights and z-loss", x, y, options | {"weight": weight, "z_loss": 1e-3}
    for dtype in (torch.float16, torch.bfloat16):
        for n in (1, 300, 9000 if dtype == torch.float16 else 3000):
            x = 4 * torch.randn(1, n, generator=generator) if n > 999 else special_rows(n, generator)
            x = x.clamp(torch.finfo(dtype).min, torch.finfo(dtype).max).to(dtype)
            y = torch.randint(n, (len(x),), generator=generator)
            if n > 999:  # the first tiles have no class that is left
                x[:, : n - 300], y[0] = -torch.inf, n - 7
            yield f"{dtype}, {n} classes", x, y, {"reduction": "none"}
        x = torch.full((4, 40), -20.0)
        x[0, 1], x[1, 1:3], x[2, 9], x[3] = 0.0, 3.0, 88.0, torch.linspace(-110, 0, 40)
        yield f"{dtype}, confident", x.to(dtype), torch.tensor([1, 1, 9, 39]), {"reduction": "none"}
        x = 3 * torch.randn(3, 90, generator=generator).to(dtype)[:, :81]
        options = {"weight": torch.rand(81, generator=generator), "z_loss": 1e-3, "ignore_index": IGNORED}
        yield f"{dtype}, options", x, torch.tensor([80, IGNORED, 0]), options | {"reduction": "mean"}
    yield (
        "two chunks",
        3 * torch.randn(1, 4099, generator=generator),
        torch.tensor([4097]),
        {"reduction": "sum"},
    )
    x = torch.full((1, 4099), -torch.inf)
    x[0, 4097:] = torch.tensor([10.0, 9.0])
    yield "no class is left in the first chunk", x, torch.tensor([4097]), {"reduction": "none"}
    yield (
        "strided rows",
        torch.randn(3, 90, generator=generator)[:, :80],
        torch.tensor([1, 2, 79]),
        {"reduction": "none"},
    )


def heads():
    """Return the largest errors of a linear layer and its loss by the kernels."""
    generator = torch.Generator().manual_seed(1)
    worst = {}
    for dtype, softcap, smoothing in ((torch.float32, 5.0, 0.0), (torch.bfloat16, None, 0.1)):
        shapes = (7, 16), (130, 16), (130,)
        x, w, b = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
        y = torch.tensor([0, 129, IGNORED, 5, 6, 7, 8])
        x[2] = torch.nan
        head = operators._Head(softcap, smoothing, IGNORED, 1e-3, 3)
        factor = torch.rand(7, generator=generator)  # a gradient that arrives, one a row
        want = head.losses_and_gradients(x.double(), w.double(), b.double(), y, factor.double())
        got = OnGpu(*head).losses_and_gradients(x, w, b, y, factor)
        assert torch.equal(got[0], OnGpu(*head).losses(x, w, b, y))
        for one, other in zip(got, want, strict=True):
            error = ((one - other).abs().max() / other.abs().max()).item()
            worst[str(dtype)] = max(worst.get(str(dtype), 0.0), error)
    return worst


class OnGpu(operators._Head):
    """A linear layer and its loss as on a GPU."""

    def _kernels(self, weight):
        return losses


def fast_path():
    """Check losses and gradients of the fast path, whose gradient recalls the sums, beside the operators'."""
    generator = torch.Generator().manual_seed(4)
    for dtype, n in ((torch.float32, 70), (torch.bfloat16, 300)):
        x = 3 * torch.randn(4, n, generator=generator).to(dtype)
        x[1, 3], x[2, 5] = 60.0, torch.nan
        before = x.clone()
        y = torch.tensor([0, 3, 5, IGNORED])
        for reduction in ("none", "mean"):
            given = (None, None, 1, 0.0, IGNORED, 0.0, 1e-3, reduction)
            leaf = x.clone().requires_grad_()
            rows = slice(None) if reduction == "none" else [0, 1, 3]
            loss = _eager_gpu_loss.cross_entropy(leaf[rows], y[rows], 0.0, 0.0, 1e-3, IGNORED, reduction)
            want = losses.cross_entropy(x[rows], y[rows], *given)
            assert torch.equal(loss.nan_to_num(), want.nan_to_num())
            assert loss.grad_fn is not None
            loss.sum().backward()  # what arrives at the rows is one number, expanded
            want = losses.cross_entropy_vjp(torch.ones_like(want), x[rows], y[rows], *given)
            assert torch.equal(leaf.grad[rows].nan_to_num(), want.nan_to_num())
        assert torch.equal(x.nan_to_num(), before.nan_to_num())  # no gradient where the logits are
    leaf = torch.randn(2, 5, generator=generator).requires_grad_()
    loss = _eager_gpu_loss.cross_entropy(leaf, torch.tensor([1, 2]), 0.0, 0.0, 0.0, None, "sum")
    (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), leaf)
    want = ours.cross_entropy(leaf, torch.tensor([1, 2]), ignore_index=None, reduction="sum")
    (gradient,) = torch.autograd.grad(want, leaf, create_graph=True)
    assert torch.allclose(second, torch.autograd.grad(gradient.square().sum(), leaf)[0])
    assert _eager_gpu_loss.cross_entropy(leaf, torch.ones(2, 5), 0.0, 0.0, 0.0, None, "sum") is NotImplemented


def on_the_cpu(*tensors, device):
    """Tell the fast path that these are plain CUDA tensors, where they are plain."""
    return takes_fast_path(*tensors)


def main():
    """Compare every case with the kernels for CPU tensors in float64."""
    worst = {"loss": 0.0, "gradient": 0.0, "16-bit loss": 0.0, "16-bit gradient": 0.0}
    seen = 0
    for name, x, y, options in cases():
        call = {"weight": None, "ignore_index": -100, "z_loss": 0.0} | options
        wide = x.double().requires_grad_()
        weight = call.pop("weight")
        want = ours.cross_entropy(wide, y, None if weight is None else weight.double(), **call)
        arriving = (
            torch.linspace(-2, 3, want.numel()).reshape(want.shape) if want.dim() else torch.tensor(1.5)
        )
        want.backward(arriving.to(x.dtype).double())
        given = (None, x.dim() - 1, 0.0, call["ignore_index"], 0.0, call["z_loss"], call["reduction"])
        got = losses.cross_entropy(x, y, weight, *given)
        arriving = arriving.to(x.dtype)
        slope = losses.cross_entropy_vjp(arriving, x, y, weight, *given)
        for what, one, other in (("loss", got, want.detach()), ("gradient", slope, wide.grad)):
            error = units(one, other)
            what = what if x.dtype == torch.float32 else f"16-bit {what}"
            seen += 1
            if error > worst[what]:
                worst[what], worst[f"worst {what}"] = error, name
        if name in IN_PLACE:
            one = torch.tensor(1.0, dtype=x.dtype)
            alone = losses.cross_entropy_vjp(one.expand(y.shape), x, y, weight, *given)
            in_place = x.clone()
            both = losses.losses_and_derivatives(in_place, y, losses.Options(None, *given))
            assert torch.equal(both.to(x.dtype).nan_to_num(), got.nan_to_num()), name
            assert torch.equal(in_place.nan_to_num(), alone.nan_to_num()), name
    worst["heads"] = heads()
    fast_path()
    json.dump(worst | {"seen": seen}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    _eager_gpu_loss.takes_fast_path = on_the_cpu
    main()
