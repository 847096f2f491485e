"""sparsemax and entmax of order 1.5 on a GPU: the CPU kernels' bits, then time beside a copy.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns.
"""

import sys
import time
from collections.abc import Callable, Iterator

import torch
from _gpu_times import milliseconds

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.torch import _simplex_operators

SECONDS = 15  # for correctness
LARGE = 1 << 28  # bytes of a tensor that is timed


def tensors() -> Iterator[tuple[str, torch.Tensor, torch.Tensor | None]]:
    """Name, logits on the CPU and mask."""
    generator = torch.Generator().manual_seed(0)
    for n in (2, 10, 64, 100, 513, 1000, 4097, 8192, 8193, 32000, 128256):
        for scale in (1.0, 3.0, 1e-3):
            x = scale * torch.randn(8, n, generator=generator)
            x[0, 0], x[1, -1], x[2] = torch.nan, torch.inf, -torch.inf
            yield f"{tuple(x.shape)} times {scale}", x, None
    x = torch.randn(9, 700, generator=generator)
    yield "masked", x, torch.rand(x.shape, generator=generator) > 0.4
    yield "every other", x[:, ::2], None
    for dtype in (torch.bfloat16, torch.float16):
        yield str(dtype), x.to(dtype), None


def check() -> bool:
    """Compare every case with the CPU kernels, and gradients with the definition in double."""
    start, cases, wrong = time.monotonic(), 0, []
    for name, x, where in tensors():
        if time.monotonic() - start > SECONDS:
            wrong.append(f"stopped after {SECONDS} s")
            break
        for alpha in (2.0, 1.5):
            torch.full((1 << 24,), torch.nan, device="cuda")  # what the next result is put into
            there = x.cuda().requires_grad_()
            got = ours.entmax(there, alpha, where=None if where is None else where.cuda())
            mask = None if where is None else where.numpy()
            want = torch.from_numpy(softmaxlib.entmax(x.float().numpy(), alpha, where=mask)).to(x.dtype)
            cases += 1
            if not torch.equal(got.detach().cpu().nan_to_num(-1), want.nan_to_num(-1)):
                share = (got.detach().cpu().nan_to_num(-1) != want.nan_to_num(-1)).double().mean().item()
                wrong.append(f"{name}, order {alpha}: {share:.2%} of the numbers differ")
            upstream = torch.randn(x.shape).to(x.dtype)
            (gradient,) = torch.autograd.grad(got, there, upstream.cuda())
            exact = _simplex_operators._vjp_definition(
                got.detach().double().cpu(), upstream.double(), alpha, [-1], where
            ).to(x.dtype)
            if not torch.allclose(gradient.cpu(), exact, rtol=2**-22, atol=1e-30, equal_nan=True):
                wrong.append(f"{name}, order {alpha}: gradient")
    print(
        f"simplex: {cases} cases in {time.monotonic() - start:.0f} s, {len(wrong)} differences from the CPU"
    )
    for line in wrong[:20]:
        print("  " + line)
    return not wrong


def time_all() -> None:
    """Print a table: times, and ratios to a copy of the same bytes and to the definition."""
    print(f"{'case':44}{'copy ms':>9}{'ours ms':>9}{'of copy':>9}{'definition':>12}{'backward':>10}")
    for dtype in (torch.float32, torch.bfloat16):
        for n in (64, 512, 1000, 4096, 8192, 32000, 128256):
            x = torch.randn(LARGE // dtype.itemsize // n, n, device="cuda").to(dtype)
            for alpha in (2.0, 1.5):
                print_times(x, alpha)


def print_times(x: torch.Tensor, alpha: float) -> None:
    """Print one row."""
    target, p = torch.empty_like(x), ours.entmax(x, alpha)
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(x),
        "ours": lambda: ours.entmax(x, alpha),
        "backward": lambda: _simplex_operators.entmax_vjp(p, x, alpha, [-1], None),
    }
    if x.shape[-1] in (64, 1000):
        contenders["definition"] = lambda: _simplex_operators.entmax_definition(x, alpha, [-1], None)
    t = milliseconds(contenders)
    name = f"order {alpha} {str(x.dtype)[6:]} {tuple(x.shape)}"
    times = f"{t['definition'] / t['ours']:12.1f}" if "definition" in t else f"{'-':>12}"
    of_copy = t["copy"] / t["ours"]
    print(f"{name:44}{t['copy']:9.3f}{t['ours']:9.3f}{of_copy:9.2f}{times}{t['backward']:10.3f}", flush=True)


def main() -> int:
    """Check, then time."""
    if not torch.cuda.is_available():
        print("this needs a CUDA device; PyTorch sees none here", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    right = check()
    time_all()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
