"""The loss kernels on CPU tensors, in Triton's interpreter: a program that prints errors in units of the last place."""

import json
import sys

import numpy as np
import torch
from triton_interpreter import special_rows  # first: it chooses the interpreter

import softmaxlib.torch as ours
from softmaxlib.torch._triton import losses

IGNORED = 3


def cases():
    """Name, logits, labels and options."""
    generator = torch.Generator().manual_seed(0)
    for n in (1, 5, 70, 1030):
        x = special_rows(n, generator) if n > 5 else 3 * torch.randn(8, n, generator=generator)
        y = torch.randint(n, (8,), generator=generator)
        for reduction in ("none", "mean", "sum"):
            yield f"{n} classes, {reduction}", x[4:], y[4:], {"reduction": reduction}
    x = 4 * torch.randn(6, 200, generator=generator)
    x[0, 7], x[1, 3], x[2, 9] = 60.0, 35.0, 200.0
    y = torch.tensor([7, 7, 9, IGNORED, 199, 0])
    x[3, 0] = torch.nan
    weight = torch.rand(200, generator=generator)
    for reduction in ("none", "mean"):
        options = {"reduction": reduction, "ignore_index": IGNORED}
        yield f"ignored, {reduction}", x, y, options
        yield f"weights and z-loss, {reduction}", x, y, options | {"weight": weight, "z_loss": 1e-3}
    yield "bfloat16", x[4:].bfloat16(), y[4:], {"reduction": "none"}
    yield "two chunks", 3 * torch.randn(1, 4099, generator=generator), torch.tensor([4097]), {"reduction": "sum"}
    yield "strided rows", torch.randn(3, 90, generator=generator)[:, :80], torch.tensor([1, 2, 79]), {"reduction": "none"}


def units(got, want):
    """The largest distance in units of the last place of the type of ``got``."""
    assert got.shape == want.shape
    assert torch.equal(got.isnan(), want.isnan())
    assert torch.equal(got.isinf(), want.isinf())
    finite = want.isfinite()
    got, want = got[finite].double(), want[finite]
    if not len(want):
        return 0.0
    digits, least = (8, 2.0**-133) if want.dtype == torch.bfloat16 else (24, 2.0**-149)
    size = torch.clamp(torch.exp2(torch.floor(torch.log2(want.abs().clamp(min=1e-300)))) * 2.0 ** (1 - digits), min=least)
    return ((got - want).abs() / size).max().item()


def main():
    """Compare every case with the kernels for CPU tensors in float64."""
    worst = {"loss": 0.0, "gradient": 0.0}
    seen = 0
    for name, x, y, options in cases():
        call = {"weight": None, "ignore_index": -100, "z_loss": 0.0} | options
        wide = x.double().requires_grad_()
        want = ours.cross_entropy(wide, y, **{k: v.double() if k == "weight" and v is not None else v for k, v in call.items()})
        arriving = torch.linspace(-2, 3, want.numel()).reshape(want.shape) if want.dim() else torch.tensor(1.5)
        want.backward(arriving.double())
        given = (None, 1, 0.0, call["ignore_index"], 0.0, call["z_loss"], call["reduction"])
        got = losses.cross_entropy(x, y, call["weight"], *given)
        slope = losses.cross_entropy_vjp(arriving.to(x.dtype), x, y, call["weight"], *given)
        digits = 2.0**16 if x.dtype == torch.bfloat16 else 1.0
        for what, one, other in (("loss", got, want.detach()), ("gradient", slope, wide.grad)):
            error = units(one, other) / digits
            seen += 1
            if error > worst[what]:
                worst[what], worst[f"worst {what}"] = error, name
    json.dump(worst | {"seen": seen}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
