"""Losses of binary logits and temperatures of rows on a GPU: beside the CPU in float64, then time.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _gpu_times import milliseconds
from gpu_losses import on, units
from torch import Tensor
from torch.nn import functional

import softmaxlib.torch as ours
from softmaxlib.torch import _activation_operators

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


def check_binary(which: int, dtype: torch.dtype) -> list[str]:
    """Compare losses, their means and gradients."""
    name, x, target, options = list(binary_cases())[which]
    given = x.to(dtype)
    there = {key: on(DEVICE, value) for key, value in options.items()}
    got = binary(given.to(DEVICE), target.to(DEVICE), there)
    want = binary(given.double(), target, options)
    errors = {what: units(*both) for what, *both in zip(("loss", "mean", "gradient"), got, want, strict=True)}
    return [
        f"{what} of binary logits, {name} in {dtype}: {error:.3g} units"
        for what, error in errors.items()
        if not error <= 0.51
    ]


def rows_and_temperatures(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, a temperature for each row, and a mask."""
    generator = torch.Generator().manual_seed(n)
    x = 3 * torch.randn(9, n, generator=generator)
    return x, torch.rand(9, 1, generator=generator) + 0.2, torch.rand(x.shape, generator=generator) > 0.3


def check_temperatures(function: str, n: int, dtype: torch.dtype) -> list[str]:
    """Compare softmax or log_softmax at temperatures of rows."""
    x, warm, where = rows_and_temperatures(n)
    given = x.to(dtype)
    got = getattr(ours, function)(given.to(DEVICE), temperature=warm.to(DEVICE), where=where.to(DEVICE))
    generic = getattr(_activation_operators, f"{function}_generic")
    want = generic(given.double(), [-1], warm.double(), where)
    finite = torch.isfinite(want)
    error = units(got.cpu()[finite], want[finite])
    return [] if error <= 0.51 else [f"{function} at temperatures, {n} classes in {dtype}: {error:.3g} units"]


def check_slope(function: str, n: int) -> list[str]:
    """Compare the gradient by the temperatures."""
    x, warm, _ = rows_and_temperatures(n)
    slopes = []
    for device, kind in ((DEVICE, torch.float32), ("cpu", torch.float64)):
        leaf = warm.to(device, kind).requires_grad_()
        result = getattr(ours, function)(x.to(device, kind), temperature=leaf)
        (slope,) = torch.autograd.grad((result * result).sum(), leaf)
        slopes.append(slope.cpu().double())
    right = torch.allclose(*slopes, rtol=1e-4, atol=1e-5)
    return [] if right else [f"{function}, {n} classes: gradient by temperatures"]


def checks() -> dict[str, Callable[[], list[str]]]:
    """Return what is compared with the CPU in float64."""
    found: dict[str, Callable[[], list[str]]] = {}
    for dtype in DTYPES:
        for which in range(16):
            found[f"binary {which} {dtype}"] = functools.partial(check_binary, which, dtype)
    for n in (1, 10, 1000, 40000):
        for function in ("softmax", "log_softmax"):
            found[f"slope of {function} {n}"] = functools.partial(check_slope, function, n)
            for dtype in DTYPES:
                check = functools.partial(check_temperatures, function, n, dtype)
                found[f"temperatures {function} {n} {dtype}"] = check
    return found


HEADER = "binary logits with gradient and softmax at temperatures of rows, ms"


def time_case(dtype: torch.dtype, rounds: int) -> str:
    """Return times of the loss of binary logits with its gradient, and of softmax at temperatures."""
    x = torch.randn(1 << 26, device=DEVICE).to(dtype).requires_grad_()
    y = torch.rand(x.shape, device=DEVICE).to(dtype)
    rows = torch.randn(1 << 12, 1 << 14, device=DEVICE).to(dtype)
    warm = torch.rand(len(rows), 1, device=DEVICE) + 0.5

    def step(loss: Callable[..., Tensor]) -> None:
        torch.autograd.grad(loss(x, y), x)

    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: y.clone(),
        "ours": lambda: step(ours.sigmoid_cross_entropy),
        "torch": lambda: step(functional.binary_cross_entropy_with_logits),
        "softmax at temperatures": lambda: ours.softmax(rows, temperature=warm),
        "torch's": lambda: torch.softmax(rows / warm.to(rows.dtype), -1),
    }
    times = ", ".join(f"{name} {value:.3f}" for name, value in milliseconds(contenders, rounds).items())
    return f"  {str(dtype)[6:]} ({x.numel()}) and ({len(rows)}, {rows.shape[1]}): {times}"


def timings() -> dict[str, Callable[[int], str]]:
    """Return what is timed, by name: a call with a number of rounds returns a line."""
    return {
        f"binary logits {dtype}": functools.partial(time_case, dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
