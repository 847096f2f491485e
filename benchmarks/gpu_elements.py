"""Losses of binary logits and temperatures of rows on a GPU: beside the CPU in float64, then time.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _gpu_times import milliseconds
from gpu_losses import on, units
from torch import Tensor
from torch.nn import functional

import softmaxlib.torch as ours
from softmaxlib.torch import _activation_operators

SECONDS = 20  # for correctness
DEVICE = "cuda"
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def binary_cases() -> Iterator[tuple[str, Tensor, Tensor, dict[str, Any]]]:
    """Name, logits, target and options."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((1,), (1000,), (64, 781), (3, 70001)):
        x = 4 * torch.randn(shape, generator=generator)
        x.view(-1)[0] = -60.0
        soft = torch.rand(shape, generator=generator)
        weight = torch.rand(shape[-1], generator=generator)
        where = torch.rand(shape, generator=generator) > 0.3
        yield f"soft {shape}", x, soft, {}
        yield f"hard {shape}", x, soft > 0.5, {"label_smoothing": 0.1, "pos_weight": weight}
        options = {"weight": weight, "where": where, "focal_gamma": 2.0}
        yield f"all options {shape}", x, soft, options
        yield f"turned {shape}", x.mT if x.dim() > 1 else x, soft.mT if x.dim() > 1 else soft, {}


def binary(x: Tensor, target: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Return losses of elements, their mean, and the gradient where another number arrives at each."""
    leaf = x.detach().requires_grad_()
    loss = ours.sigmoid_cross_entropy(leaf, target, reduction="none", **options)
    mean = ours.sigmoid_cross_entropy(x, target, **options)
    arriving = torch.linspace(-1, 2, loss.numel(), device=x.device).to(torch.bfloat16)
    (gradient,) = torch.autograd.grad(loss, leaf, arriving.view(loss.shape).to(loss.dtype))
    return loss.detach().cpu(), mean.cpu(), gradient.cpu()


def check_binary() -> Iterator[str]:
    """Compare losses, their means and gradients."""
    for name, x, target, options in binary_cases():
        for dtype in DTYPES:
            given = x.to(dtype)
            there = {key: on(DEVICE, value) for key, value in options.items()}
            got = binary(given.to(DEVICE), target.to(DEVICE), there)
            want = binary(given.double(), target, options)
            for what, one, other in zip(("loss", "mean", "gradient"), got, want, strict=True):
                error = units(one, other)
                if not error <= 0.51:
                    yield f"{what} of binary logits, {name} in {dtype}: {error:.3g} units"


def check_temperatures() -> Iterator[str]:
    """Compare softmax and log_softmax at temperatures of rows, and the gradient by these."""
    generator = torch.Generator().manual_seed(0)
    for n in (1, 10, 1000, 40000):
        x = 3 * torch.randn(9, n, generator=generator)
        warm = torch.rand(9, 1, generator=generator) + 0.2
        where = torch.rand(x.shape, generator=generator) > 0.3
        for function in ("softmax", "log_softmax"):
            for dtype in DTYPES:
                given = x.to(dtype)
                got = getattr(ours, function)(
                    given.to(DEVICE), temperature=warm.to(DEVICE), where=where.to(DEVICE)
                )
                generic = getattr(_activation_operators, f"{function}_generic")
                want = generic(given.double(), [-1], warm.double(), where)
                finite = torch.isfinite(want)
                error = units(got.cpu()[finite], want[finite])
                if not error <= 0.51:
                    yield f"{function} at temperatures, {n} classes in {dtype}: {error:.3g} units"
            slopes = []
            for device, kind in ((DEVICE, torch.float32), ("cpu", torch.float64)):
                leaf = warm.to(device, kind).requires_grad_()
                result = getattr(ours, function)(x.to(device, kind), temperature=leaf)
                (slope,) = torch.autograd.grad((result * result).sum(), leaf)
                slopes.append(slope.cpu().double())
            if not torch.allclose(*slopes, rtol=1e-4, atol=1e-5):
                yield f"{function}, {n} classes: gradient by temperatures"


def check() -> bool:
    """Compare everything here with the CPU in float64."""
    start, wrong = time.monotonic(), list[str]()
    for part in (check_binary, check_temperatures):
        for line in part():
            wrong.append(line)
            if time.monotonic() - start > SECONDS:
                wrong.append(f"stopped after {SECONDS} s")
                break
    print(f"binary logits and temperatures: {time.monotonic() - start:.0f} s, {len(wrong)} wrong")
    for line in wrong[:20]:
        print("  " + line)
    return not wrong


def time_all() -> None:
    """Print times of the loss of binary logits with its gradient, and of softmax at temperatures."""
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(1 << 26, device=DEVICE).to(dtype).requires_grad_()
        y = torch.rand(x.shape, device=DEVICE).to(dtype)
        rows = torch.randn(1 << 12, 1 << 14, device=DEVICE).to(dtype)
        warm = torch.rand(len(rows), 1, device=DEVICE) + 0.5

        def step(loss: Callable[..., Tensor], x: Tensor = x, y: Tensor = y) -> None:
            torch.autograd.grad(loss(x, y), x)

        contenders: dict[str, Callable[[], object]] = {
            "copy": lambda y=y: y.clone(),
            "ours": lambda step=step: step(ours.sigmoid_cross_entropy),
            "torch": lambda step=step: step(functional.binary_cross_entropy_with_logits),
            "softmax at temperatures": lambda rows=rows, warm=warm: ours.softmax(rows, temperature=warm),
            "torch's": lambda rows=rows, warm=warm: torch.softmax(rows / warm.to(rows.dtype), -1),
        }
        times = ", ".join(f"{name} {value:.3f}" for name, value in milliseconds(contenders).items())
        print(f"{str(dtype)[6:]} binary logits ({x.numel()}) with gradient, ms: {times}", flush=True)


def main() -> int:
    """Check, then time."""
    if not torch.cuda.is_available():
        print("this needs a CUDA device; PyTorch sees none here", file=sys.stderr)
        return 2
    right = check()
    time_all()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
