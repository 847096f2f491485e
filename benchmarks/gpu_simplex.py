"""sparsemax and entmax of order 1.5 on a GPU: the CPU kernels' bits, then time beside a copy.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns.
"""

import functools
from collections.abc import Callable

import torch
from _gpu_times import milliseconds, poison

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.torch import _simplex_operators

LARGE = 1 << 28  # bytes of a tensor that is timed


def of_length(n: int, scale: float) -> torch.Tensor:
    """Rows of one length, three of which can't be computed from."""
    x = scale * torch.randn(8, n, generator=torch.Generator().manual_seed(n))
    x[0, 0], x[1, -1], x[2] = torch.nan, torch.inf, -torch.inf
    return x


def differing(name: str, alpha: float, x: torch.Tensor, where: torch.Tensor | None = None) -> list[str]:
    """Say what differs from the CPU kernels, and where the gradient differs from the definition in double."""
    wrong = []
    poison()
    there = x.cuda().requires_grad_()
    got = ours.entmax(there, alpha, where=None if where is None else where.cuda())
    mask = None if where is None else where.numpy()
    plain = x if x.dtype == torch.float64 else x.float()
    want = torch.from_numpy(softmaxlib.entmax(plain.numpy(), alpha, where=mask)).to(x.dtype)
    if x.dtype == torch.float64:
        if not torch.allclose(got.detach().cpu(), want, rtol=0, atol=2**-50, equal_nan=True):
            wrong.append(f"{name}, order {alpha}")
    elif not torch.equal(got.detach().cpu().nan_to_num(-1), want.nan_to_num(-1)):
        share = (got.detach().cpu().nan_to_num(-1) != want.nan_to_num(-1)).double().mean().item()
        wrong.append(f"{name}, order {alpha}: {share:.2%} of the numbers differ")
    upstream = torch.randn(x.shape).to(x.dtype)
    (gradient,) = torch.autograd.grad(got, there, upstream.cuda())
    exact = _simplex_operators._vjp_definition(
        got.detach().double().cpu(), upstream.double(), alpha, [-1], where
    ).to(x.dtype)
    if not torch.allclose(gradient.cpu(), exact, rtol=2**-22, atol=1e-30, equal_nan=True):
        wrong.append(f"{name}, order {alpha}: gradient")
    return wrong


def check_length(n: int, scale: float, alpha: float) -> list[str]:
    """Compare rows of one length."""
    return differing(f"{n} classes times {scale}", alpha, of_length(n, scale))


def check_kind(kind: str, alpha: float) -> list[str]:
    """Compare rows that are masked, don't lie side by side, or have 16 bits."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 700, generator=generator)
    where = torch.rand(x.shape, generator=generator) > 0.4
    kinds = {
        "masked": (x, where),
        "every other": (x[:, ::2], None),
        "bfloat16": (x.bfloat16(), None),
        "float16": (x.half(), None),
        "float64": (x.double(), None),
    }
    return differing(kind, alpha, *kinds[kind])


def checks() -> dict[str, Callable[[], list[str]]]:
    """Return what is compared with the CPU kernels."""
    found: dict[str, Callable[[], list[str]]] = {}
    for alpha in (2.0, 1.5):
        for kind in ("masked", "every other", "bfloat16", "float16", "float64"):
            found[f"{kind} {alpha}"] = functools.partial(check_kind, kind, alpha)
        for n in (32000, 10, 1000, 128256, 2, 64, 100, 513, 4097, 8192, 8193):
            for scale in (1.0, 3.0, 1e-3):
                found[f"{n} times {scale} {alpha}"] = functools.partial(check_length, n, scale, alpha)
    return found


HEADER = f"{'case':44}{'copy ms':>9}{'ours ms':>9}{'of copy':>9}{'definition':>12}{'backward':>10}"


def time_case(alpha: float, dtype: torch.dtype, n: int, rounds: int) -> str:
    """Return times, and ratios to a copy of the same bytes and to the definition."""
    x = torch.randn(LARGE // dtype.itemsize // n, n, device="cuda").to(dtype)
    target, p = torch.empty_like(x), ours.entmax(x, alpha)
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(x),
        "ours": lambda: ours.entmax(x, alpha),
        "backward": lambda: _simplex_operators.entmax_vjp(p, x, alpha, [-1], None),
    }
    if n in (64, 1000):
        contenders["definition"] = lambda: _simplex_operators.entmax_definition(x, alpha, [-1], None)
    t = milliseconds(contenders, rounds)
    name = f"order {alpha} {str(x.dtype)[6:]} {tuple(x.shape)}"
    times = f"{t['definition'] / t['ours']:12.1f}" if "definition" in t else f"{'-':>12}"
    return (
        f"{name:44}{t['copy']:9.3f}{t['ours']:9.3f}{t['copy'] / t['ours']:9.2f}{times}{t['backward']:10.3f}"
    )


def timings() -> dict[str, Callable[[int], str]]:
    """Return what is timed, by name: a call with a number of rounds returns a line."""
    return {
        f"order {alpha} {dtype} {n}": functools.partial(time_case, alpha, dtype, n)
        for dtype in (torch.float32, torch.bfloat16)
        for n in (64, 1000, 32000)
        for alpha in (2.0, 1.5)
    }
