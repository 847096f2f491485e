"""Losses and derivatives on a GPU: beside the CPU in float64, then time beside PyTorch and Liger.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _gpu_times import milliseconds
from torch import Tensor
from torch.nn import functional

import softmaxlib.torch as ours

try:
    from liger_kernel.transformers.functional import liger_cross_entropy, liger_fused_linear_cross_entropy
except ImportError:
    liger_cross_entropy = liger_fused_linear_cross_entropy = None

DEVICE = "cuda"
IGNORED = -100


def cases(n: int) -> Iterator[tuple[str, Tensor, Tensor, dict[str, Any]]]:
    """Name, logits, target and options, of rows of ``n`` classes."""
    generator = torch.Generator().manual_seed(n)
    x = 3 * torch.randn(12, n, generator=generator)
    y = torch.randint(n, (12,), generator=generator)
    x[0, y[0]], y[1] = 60.0, IGNORED
    weight = torch.rand(n, generator=generator) + 0.1
    where = torch.rand(12, n, generator=generator) > 0.3
    where[torch.arange(12), y.clamp(min=0)] = True
    where[2] = False
    target = torch.softmax(torch.randn(12, n, generator=generator), -1).double()
    yield "plain", x, y, {}
    yield "smoothing", x, y, {"label_smoothing": 0.1}
    yield "focal", x, y, {"focal_gamma": 2.0}
    yield "weights and z-loss", x, y, {"class_weight": weight, "z_loss": 1e-3}
    yield "all but focal", x, y, {
        "class_weight": weight, "where": where, "label_smoothing": 0.1, "z_loss": 1e-3,
    }  # fmt: skip
    yield "probabilities", x, target, {"z_loss": 1e-3}
    yield "focal, probabilities", x, target, {"focal_gamma": 1.5, "label_smoothing": 0.1}
    wide = x.view(3, 4, n).transpose(1, 2)
    yield "classes far apart", wide, y.view(3, 4), {"label_smoothing": 0.1}


def units(got: Tensor, want: Tensor) -> float:
    """Return the largest distance in units of the last place."""
    digits, least = {torch.float16: (11, -24), torch.bfloat16: (8, -133)}.get(got.dtype, (24, -149))
    _, exponent = torch.frexp(want)
    error = (got.double() - want).abs() / torch.exp2((exponent - digits).clamp(min=least).double())
    error = torch.where(got.isnan() & want.isnan(), 0.0, error)
    return torch.where(got == want.to(got.dtype), 0.0, error).max().item()


def on(device: str, value: Any) -> Any:
    """Return a tensor on the device; anything else as it is."""
    return value.to(device) if isinstance(value, Tensor) else value


def loss_and_gradient(x: Tensor, target: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return losses of rows, and the gradient where another number arrives at each row."""
    leaf = x.detach().requires_grad_()
    loss = ours.cross_entropy(leaf, target, reduction="none", **options)
    arriving = torch.linspace(-1, 2, loss.numel(), device=x.device).to(torch.bfloat16)
    (gradient,) = torch.autograd.grad(loss, leaf, arriving.view(loss.shape).to(loss.dtype))
    return loss.detach().cpu(), gradient.cpu()


def checks() -> dict[str, Callable[[], list[str]]]:
    """Return what is compared with the CPU in float64."""
    found: dict[str, Callable[[], list[str]]] = {}
    for n in (32000, 128256, 1000, 4097, 17, 3, 2, 448, 700, 4096, 5000, 8192, 50257, 262145):
        for dtype in (torch.bfloat16, torch.float32, torch.float16):
            found[f"plain loss {dtype} {n}"] = functools.partial(check_plain, n, dtype)
    for n in (1000, 32000, 5000):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            for which in range(8):
                check = functools.partial(check_options, n, dtype, which)
                found[f"loss with options {which} {dtype} {n}"] = check
    for n in (1000, 5000):
        for which in range(8):
            found[f"second derivative {which} {n}"] = functools.partial(check_second, n, which)
    for n in (5, 781, 40000):
        for name in ("softmax", "log_softmax"):
            found[f"gradient of {name} {n}"] = functools.partial(check_derivative, n, name)
    for dtype in (torch.float32, torch.bfloat16):
        for which in range(3):
            found[f"linear loss {which} {dtype}"] = functools.partial(check_linear, dtype, which)
    return found


def compared(name: str, x: Tensor, target: Tensor, options: dict[str, Any], gradient: float) -> list[str]:
    """Say which results are further from the CPU's in float64 than the bounds, 0.51 units for a loss."""
    there = {key: on(DEVICE, value) for key, value in options.items()}
    got = loss_and_gradient(x.to(DEVICE), target.to(DEVICE), there)
    want = loss_and_gradient(x.double(), target, options)
    wrong = []
    for what, one, other, bound in zip(("loss", "gradient"), got, want, (0.51, gradient), strict=True):
        error = units(one, other)
        if not error <= bound:
            wrong.append(f"{what}, {name} in {x.dtype}: {error:.3g} units")
    return wrong


def check_plain(n: int, dtype: torch.dtype) -> list[str]:
    """Compare the loss of class indices without options."""
    generator = torch.Generator().manual_seed(n)
    x = (3 * torch.randn(40, n, generator=generator)).to(dtype)
    y = torch.randint(n, (40,), generator=generator)
    x[0, y[0]], y[1] = 60.0, IGNORED
    return compared(f"{n} classes", x, y, {}, 2)


def check_options(n: int, dtype: torch.dtype, which: int) -> list[str]:
    """Compare a loss with options."""
    name, x, target, options = list(cases(n))[which]
    return compared(f"{name}, {n} classes", x.to(dtype), target, options, 2)


def second_derivative(x: Tensor, target: Tensor, options: dict[str, Any]) -> list[Tensor]:
    """Return the product of a tangent with the gradients of the losses of rows, and with their Hessians."""
    leaf = x.detach().requires_grad_()
    loss = ours.cross_entropy(leaf, target, reduction="none", **options)
    arriving = torch.linspace(-1, 2, loss.numel(), device=x.device, dtype=x.dtype).view(loss.shape)
    arriving.requires_grad_()
    (gradient,) = torch.autograd.grad(loss, leaf, arriving, create_graph=True)
    tangent = torch.linspace(-2, 1, x.numel(), device=x.device, dtype=torch.float32).view(x.shape)
    return [one.cpu() for one in torch.autograd.grad(gradient, (arriving, leaf), tangent.to(x.dtype))]


def check_second(n: int, which: int) -> list[str]:
    """Compare second derivatives of a loss with those of the CPU in float64."""
    name, x, target, options = list(cases(n))[which]
    there = {key: on(DEVICE, value) for key, value in options.items()}
    got = second_derivative(x.to(DEVICE), target.to(DEVICE), there)
    want = second_derivative(x.double(), target, options)
    return [
        f"second derivative by {what}, {name}, {n} classes"
        for what, one, other in zip(("what arrives", "the logits"), got, want, strict=True)
        if not torch.allclose(one.double(), other, rtol=1e-5, atol=1e-7, equal_nan=True)
    ]


def check_derivative(n: int, name: str) -> list[str]:
    """Compare the gradient of softmax or log_softmax with the definition in double, and float64 itself."""
    wrong = []
    function: Callable[[Tensor], Tensor] = getattr(ours, name)
    x = 3 * torch.randn(9, n, generator=torch.Generator().manual_seed(n))
    leaf = x.to(DEVICE).requires_grad_()
    result = function(leaf)
    arriving = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(result, leaf, arriving.to(DEVICE))
    p, g = result.detach().double().cpu(), arriving.double()
    if name == "softmax":
        exact = p * (g - (p * g).sum(-1, keepdim=True))
    else:
        exact = g - p.exp() * g.sum(-1, keepdim=True)
    if not torch.allclose(gradient.double().cpu(), exact, rtol=2**-21, atol=1e-8):
        wrong.append(f"gradient of {name}, {n} classes")
    wide = function(x.double().to(DEVICE)).cpu()
    if not torch.allclose(wide, function(x.double()), rtol=1e-15, atol=0):
        wrong.append(f"{name} of float64, {n} classes")
    return wrong


def check_linear(dtype: torch.dtype, which: int) -> list[str]:
    """Compare a linear layer's loss and gradients, with another number arriving at each row."""
    options = ({}, {"softcap": 5.0, "z_loss": 1e-3}, {"label_smoothing": 0.1})[which]
    tolerance = 1e-3 if dtype == torch.float32 else 0.05
    generator = torch.Generator().manual_seed(0)
    input, weight = torch.randn(70, 64, generator=generator), torch.randn(5003, 64, generator=generator) / 8
    target = torch.randint(5003, (70,), generator=generator)
    target[3] = IGNORED
    results = []
    for device, kind in ((DEVICE, dtype), ("cpu", torch.float64)):
        leaves = [one.to(dtype).to(device, kind).requires_grad_() for one in (input, weight)]
        call: dict[str, Any] = {"reduction": "none", "memory_budget": 1 << 18} | options
        loss = ours.linear_cross_entropy(leaves[0], leaves[1], target.to(device), **call)
        arriving = torch.linspace(-1, 2, 70).to(loss)
        results.append([one.double().cpu() for one in torch.autograd.grad(loss, leaves, arriving)])
    return [
        f"linear_cross_entropy in {dtype}, {options}: gradient of {name}"
        for name, got, want in zip(("input", "weight"), *results, strict=True)
        if not (got - want).abs().max() <= tolerance * want.abs().max()
    ]


def step(loss: Callable[..., Tensor], leaves: list[Tensor], *others: Any) -> Callable[[], None]:
    """Return a call that computes a loss and its gradients."""

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        loss(*leaves, *others).backward()

    return run


def peak_beyond(body: Callable[[], object], known: int) -> float:
    """Return the MiB that a call holds beyond what was there before and ``known`` bytes."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    body()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before - known) / 2**20


def compiled_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """Compute PyTorch's loss, to be compiled."""
    return functional.cross_entropy(x, y)


def smoothed(x: Tensor, y: Tensor) -> Tensor:
    """Compute our loss with label smoothing."""
    return ours.cross_entropy(x, y, label_smoothing=0.1)


def time_loss(rows: int, n: int, dtype: torch.dtype, rounds: int) -> str:
    """Return times of cross-entropy with its gradient, and memory."""
    compiled = torch.compile(compiled_cross_entropy, dynamic=False)
    x = torch.randn(rows, n, device=DEVICE).to(dtype)
    y = torch.randint(n, (rows,), device=DEVICE)
    target = torch.empty_like(x)
    leaf = x.clone().requires_grad_()
    contenders: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(x)}
    contenders["ours"] = step(ours.cross_entropy, [leaf], y)
    contenders["ours, smoothing"] = step(smoothed, [leaf], y)
    contenders["torch"] = step(functional.cross_entropy, [leaf], y)
    contenders["torch.compile"] = step(compiled, [leaf], y)
    if liger_cross_entropy is not None:  # it writes the gradient over the logits
        contenders["Liger"] = step(liger_cross_entropy, [x.clone().requires_grad_()], y)
    t = milliseconds(contenders, rounds)
    t["must"] = 1.5 * t.pop("copy")
    leaf.grad = None
    beyond = peak_beyond(step(ours.cross_entropy, [leaf], y), x.nbytes)
    times = ", ".join(f"{k} {v:.2f}" for k, v in t.items())
    return (
        f"  {str(dtype)[6:]} ({rows}, {n}): {times}; ours holds {beyond:.2f} MiB beyond logits and gradient"
    )


LOSSES_HEADER = "cross_entropy with gradient, ms; 'must' is a copy of the bytes that it has to move"


def timings_of_losses() -> dict[str, Callable[[int], str]]:
    """Return what is timed, by name: a call with a number of rounds returns a line."""
    return {
        "loss of bfloat16": functools.partial(time_loss, 8192, 128256, torch.bfloat16),
        "loss of float32": functools.partial(time_loss, 16384, 32000, torch.float32),
        "loss of (32, 10)": functools.partial(time_loss, 32, 10, torch.float32),
    }


def time_linear(rounds: int) -> str:
    """Return times of a linear layer's loss with all gradients, and memory."""
    rows, features, n = 8192, 4096, 128256
    input = torch.randn(rows, features, device=DEVICE, dtype=torch.bfloat16).requires_grad_()
    weight = (torch.randn(n, features, device=DEVICE) / 64).bfloat16().requires_grad_()
    y = torch.randint(n, (rows,), device=DEVICE)

    def plain(input: Tensor, weight: Tensor) -> Tensor:
        return functional.cross_entropy(functional.linear(input, weight), y)

    def own(budget: int) -> Callable[[], None]:
        def loss(input: Tensor, weight: Tensor) -> Tensor:
            return ours.linear_cross_entropy(input, weight, y, memory_budget=budget)

        return step(loss, [input, weight])

    contenders: dict[str, Callable[[], object]] = {f"ours, {mib} MiB": own(mib << 20) for mib in (64, 512)}
    contenders["torch"] = step(plain, [input, weight])
    if liger_fused_linear_cross_entropy is not None:
        contenders["Liger"] = step(liger_fused_linear_cross_entropy, [input, weight], y)
    t = milliseconds(contenders, min(rounds, 3))
    known = input.nbytes + weight.nbytes
    lines = [f"  bfloat16 {rows} x {features} x {n}"]
    for name, body in contenders.items():
        input.grad = weight.grad = None
        lines.append(f"  {name}: {t[name]:.1f} ms, {peak_beyond(body, known):.0f} MiB")
    return "\n".join(lines)


LINEAR_HEADER = "linear_cross_entropy with all gradients, ms and MiB held"


def timings_of_linear() -> dict[str, Callable[[int], str]]:
    """Return what is timed, by name: a call with a number of rounds returns a line."""
    return {"linear_cross_entropy": time_linear}
