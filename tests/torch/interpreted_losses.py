"""The loss kernels on CPU tensors, in Triton's interpreter: a program that prints the largest errors."""

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
    for n, reduction in ((1, "none"), (5, "none"), (5, "mean"), (5, "sum"), (70, "none"), (520, "mean")):
        x = special_rows(n, generator) if n > 5 else 3 * torch.randn(8, n, generator=generator)
        y = torch.randint(n, (4,), generator=generator)
        yield f"{n} classes, {reduction}", x[4:], y, {"reduction": reduction}
    x = 4 * torch.randn(6, 200, generator=generator)
    x[0, 7], x[1, 3], x[2, 9] = 60.0, 35.0, 200.0
    y = torch.tensor([7, 7, 9, IGNORED, 199, 0])
    x[3, 0] = torch.nan
    weight = torch.rand(200, generator=generator)
    options = {"reduction": "none", "ignore_index": IGNORED}
    yield "ignored", x, y, options
    options["reduction"] = "mean"
    yield "weights and z-loss", x, y, options | {"weight": weight, "z_loss": 1e-3}
    yield "bfloat16", x[4:].bfloat16(), y[4:], {"reduction": "none"}
    yield (
        "two chunks",
        3 * torch.randn(1, 4099, generator=generator),
        torch.tensor([4097]),
        {"reduction": "sum"},
    )
    yield (
        "strided rows",
        torch.randn(3, 90, generator=generator)[:, :80],
        torch.tensor([1, 2, 79]),
        {"reduction": "none"},
    )


def units(got, want):
    """The largest distance in units of the last place of the type of ``got``."""
    assert got.shape == want.shape
    assert torch.equal(got.isnan(), want.isnan())
    assert torch.equal(got.isinf(), want.isinf())
    finite = want.isfinite()
    error = (got.double() - want)[finite].abs().numpy()
    if not error.size:
        return 0.0
    _, exponent = np.frexp(want[finite].numpy())
    digits, least = (8, -133) if got.dtype == torch.bfloat16 else (24, -149)
    return float((error / np.exp2(np.maximum(exponent - digits, least))).max())


def main():
    """Compare every case with the kernels for CPU tensors in float64."""
    worst = {"loss": 0.0, "gradient": 0.0}
    seen = 0
    for name, x, y, options in cases():
        call = {"weight": None, "ignore_index": -100, "z_loss": 0.0} | options
        wide = x.double().requires_grad_()
        weight = call.pop("weight")
        want = ours.cross_entropy(wide, y, None if weight is None else weight.double(), **call)
        arriving = (
            torch.linspace(-2, 3, want.numel()).reshape(want.shape) if want.dim() else torch.tensor(1.5)
        )
        want.backward(arriving.double())
        given = (None, 1, 0.0, call["ignore_index"], 0.0, call["z_loss"], call["reduction"])
        got = losses.cross_entropy(x, y, weight, *given)
        slope = losses.cross_entropy_vjp(arriving.to(x.dtype), x, y, weight, *given)
        for what, one, other in (("loss", got, want.detach()), ("gradient", slope, wide.grad)):
            error = units(one, other)
            seen += 1
            if error > worst[what]:
                worst[what], worst[f"worst {what}"] = error, name
    json.dump(worst | {"seen": seen}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
