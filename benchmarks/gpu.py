"""The functions for a GPU: correctness beside the CPU kernels, then time beside a copy and peers.

softmax, log_softmax, logsumexp, sparsemax and entmax must have the bits of the CPU kernels, and draws its
tokens; losses and gradients keep their bounds. Needs a CUDA device. Correctness is checked by several
processes, which compile the kernels. After that every time is the median of rounds in which all contenders
take turns, on random numbers in more memory than the cache of the device holds. ``--seconds N`` bounds the
first part.
"""

import argparse
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import gpu_sampling
import gpu_simplex
import torch
import triton
from _gpu_times import milliseconds

import softmaxlib.torch as ours
from softmaxlib.torch._triton import launch

try:
    from liger_kernel.ops.softmax import LigerSoftmaxFunction as liger_softmax
    from liger_kernel.transformers.functional import liger_cross_entropy
except ImportError:
    liger_softmax = liger_cross_entropy = None

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
WORKERS = 14
OTHERS = {"simplex": gpu_simplex, "sampling": gpu_sampling}
TIMED = (1000, 4096, 32000, 128256)  # classes
LARGE = 1 << 30  # bytes of a tensor that is timed


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bits on the CPU, one form for all NaN."""
    tensor = tensor.cpu()
    tensor = torch.where(tensor != tensor, torch.nan, tensor).contiguous()
    return tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


def poison() -> None:
    """Leave NaN in the memory that the next results are put into."""
    torch.full((1 << 26,), torch.nan, device="cuda")


def tensors() -> Iterator[tuple[str, torch.Tensor, int, torch.Tensor | None]]:
    """Name, logits on the CPU, dimension and mask: from easy to hard."""
    generator = torch.Generator().manual_seed(0)
    lengths = [
        1,
        2,
        3,
        7,
        10,
        16,
        17,
        31,
        64,
        100,
        255,
        384,
        385,
        448,
        449,
        500,
        511,
        512,
        513,
        1000,
        1023,
        1024,
    ]
    lengths += [1025, 2047, 2049, 4000, 4095, 4096, 4097, 5000, 8191, 8193, 16385, 32000, 32768, 32769, 50257]
    lengths += [65537, 128256, 262144, 262145, 300001]
    for n in lengths:
        for dtype in DTYPES:
            rows = max(1, min(64, 200000 // n))
            x = (4 * torch.randn(rows, n, generator=generator)).to(dtype)
            if rows > 4 and n > 1:
                x[0, 0], x[1, -1], x[2], x[3, : n // 2] = torch.nan, torch.inf, -torch.inf, -torch.inf
            yield f"{dtype} {tuple(x.shape)}", x, -1, None
    for n in (10, 700, 5000, 40000):
        x = 3 * torch.randn(9, n, generator=generator)
        yield f"masked {tuple(x.shape)}", x, -1, torch.rand(x.shape, generator=generator) > 0.4
        yield f"axis 0 {tuple(x.T.shape)}", x.T.contiguous(), 0, None
        yield f"every other of {tuple(x.shape)}", x[:, ::2], -1, None
        flat = torch.randn(1 + 9 * n, generator=generator)
        yield f"off a border {tuple(x.shape)}", flat[1:].view(9, n), -1, None


def on_device(x: torch.Tensor) -> torch.Tensor:
    """The same numbers with the same strides and the same place beside a border."""
    storage = torch.empty(x.untyped_storage().nbytes() // x.element_size(), dtype=x.dtype)
    storage.set_(x.untyped_storage())
    moved = storage.flatten().cuda()
    return moved.as_strided(x.shape, x.stride(), x.storage_offset())


def call(
    module: object, function: str, x: torch.Tensor, dim: int, where: torch.Tensor | None
) -> torch.Tensor:
    """One of the functions."""
    return getattr(module, function)(x, dim, where=where)


def check_part(name: str, seconds: float) -> int:
    """Check a share of the cases of this program, or those of another."""
    if name in OTHERS:
        OTHERS[name].SECONDS = seconds
        return 0 if OTHERS[name].check() else 1
    check_share(int(name), seconds)
    return 0


def check_share(part: int, seconds: float) -> None:
    """Print what differs in a share of the cases: from the CPU, and a row alone from the row in its batch."""
    start = time.monotonic()
    timed = [(function, dtype, n) for n in TIMED for dtype in DTYPES[:2] for function in FUNCTIONS[:2]]
    for function, dtype, n in timed[part::WORKERS]:
        call(ours, function, torch.zeros(2, n, dtype=dtype, device="cuda"), -1, None)
    cases, wrong = 0, check_losses(part)
    chosen = list(tensors())
    random.Random(0).shuffle(chosen)
    for name, x, dim, where in chosen[part::WORKERS]:
        there = on_device(x)
        mask = None if where is None else where.cuda()
        for function in FUNCTIONS:
            if time.monotonic() - start > seconds:
                break
            poison()
            got, want = call(ours, function, there, dim, mask), call(ours, function, x, dim, where)
            cases += 1
            same = got.shape == want.shape and torch.equal(bits(got), bits(want))
            if dim == -1 and where is None and x.shape[0] > 1:
                alone = call(ours, function, there[1:2], dim, None)
                same = same and torch.equal(bits(alone), bits(got[1:2]))
            if not same:
                share = (
                    (bits(got) != bits(want)).double().mean().item() if got.shape == want.shape else math.nan
                )
                wrong.append(f"  {function} {name}: {share:.2%} of the numbers differ")
    print("\n".join([f"{cases} {len(wrong)}", *wrong]))


def check_losses(part: int) -> list[str]:
    """Compare losses and gradients with those of the CPU in float64."""
    wrong = []
    generator = torch.Generator().manual_seed(part)
    n = (2, 17, 1000, 4096, 5000, 32000, 50257, 128256, 3, 448, 449, 8192, 700, 262145)[part]
    for dtype in DTYPES:
        x = (3 * torch.randn(40, n, generator=generator)).to(dtype)
        y = torch.randint(n, (40,), generator=generator)
        x[0, y[0]] = 60.0
        y[1] = -100
        wide = x.double().requires_grad_()
        given = x.cuda().requires_grad_()
        want, got = (ours.cross_entropy(*one, reduction="none") for one in ((wide, y), (given, y.cuda())))
        want.sum().backward()
        got.sum().backward()
        for name, one, other, bound in (("loss", got, want, 1), ("gradient", given.grad, wide.grad, 2)):
            assert one is not None
            assert other is not None
            error = (one.detach().cpu().double() - other.detach()).abs()
            digits, least = {torch.float32: (24, -149), torch.float16: (11, -24)}.get(dtype, (8, -133))
            _, exponent = torch.frexp(other.detach())
            units = (error / torch.exp2((exponent - digits).clamp(min=least).double())).max().item()
            if not units <= bound:
                wrong.append(f"  {name} of {n} classes in {dtype}: {units:.3g} units in the last place")
    return wrong


def check(seconds: float) -> bool:
    """Let several processes check, and gather what they print."""
    command = [sys.executable, __file__, "--seconds", str(seconds), "--part"]
    running = [
        subprocess.Popen([*command, str(part)], stdout=subprocess.PIPE, text=True) for part in range(WORKERS)
    ]
    others = [subprocess.Popen([*command, name]) for name in OTHERS]
    cases, wrong = (
        0,
        [f"  {name}" for name, process in zip(OTHERS, others, strict=True) if process.wait() != 0],
    )
    for part, process in enumerate(running):
        lines = process.communicate()[0].splitlines()
        if process.returncode != 0 or not lines:
            wrong.append(f"  part {part} ended with {process.returncode}")
            continue
        cases += int(lines[0].split()[0])
        wrong += lines[1:]
    print(f"{cases} cases, {len(wrong)} of them wrong")
    print("\n".join(wrong[:20]))
    return not wrong


def check_large() -> None:
    """More than 2^31 elements: the last row has the bits of the row alone."""
    try:
        x = torch.randn(2**16 + 1, 2**15, device="cuda", dtype=torch.bfloat16)
        result = ours.softmax(x)
    except torch.OutOfMemoryError:
        print("2^31 elements: not enough memory")
        return
    same = torch.equal(bits(result[-1]), bits(ours.softmax(x[-1].cpu())))
    print(f"{x.numel()} elements: the last row {'has' if same else 'has NOT'} the bits of the CPU")


def time_all() -> None:
    """Print a table: times, and ratios to a copy of the same bytes."""
    print(f"{'case':36}{'copy ms':>9}{'ours ms':>9}{'of copy':>9}{'torch':>8}{'Liger':>8}")
    shapes = [*((LARGE // 4 // n, n) for n in TIMED), (32, 10), (1, 128256)]
    for dtype in (torch.float32, torch.bfloat16):
        for rows, n in shapes:
            if rows * n > 10**6:
                rows = LARGE // dtype.itemsize // n
            x = torch.randn(rows, n, device="cuda").to(dtype)
            for function in ("softmax", "log_softmax"):
                print_times(f"{function} {str(dtype)[6:]} ({rows}, {n})", function, x)
            del x


def print_times(case: str, function: str, x: torch.Tensor) -> None:
    """Print one row: times of the copy and of ours, and ours as a ratio to the copy and to each peer."""
    own, peer = getattr(ours, function), getattr(torch, function)
    target = torch.empty_like(x)
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(x),
        "ours": lambda: own(x),
        "torch": lambda: peer(x, -1),
    }
    if function == "softmax" and liger_softmax is not None and x.shape[1] <= 65536:  # its limit
        contenders["Liger"] = lambda: liger_softmax.apply(x)
    t = milliseconds(contenders)
    peers = "".join(
        f"{t[name] / t['ours']:>{width}.2f}" if name in t else "-".rjust(width)
        for name, width in (("torch", 8), ("Liger", 8))
    )
    print(f"{case:36}{t['copy']:9.3f}{t['ours']:9.3f}{t['copy'] / t['ours']:9.2f}{peers}", flush=True)


def time_losses() -> None:
    """Print the time of cross-entropy with its gradient, and its memory."""
    x = torch.randn(8192, 128256, device="cuda", dtype=torch.bfloat16)
    y = torch.randint(x.shape[1], (len(x),), device="cuda")
    target = torch.empty_like(x)
    x.requires_grad_()

    def step(loss: Callable[..., torch.Tensor], x: torch.Tensor = x) -> Callable[[], None]:
        def run() -> None:
            x.grad = None
            loss(x, y).backward()

        return run

    contenders = {"copy": lambda: target.copy_(x.detach()), "ours": step(ours.cross_entropy)}
    contenders |= {"torch": step(torch.nn.functional.cross_entropy)}
    if liger_cross_entropy is not None:  # it writes the gradient over the logits
        contenders["Liger"] = step(liger_cross_entropy, x.detach().clone().requires_grad_())
    t = milliseconds(contenders, 5)
    x.grad = None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    contenders["ours"]()
    torch.cuda.synchronize()
    beyond = (torch.cuda.max_memory_allocated() - before - x.numel() * 2) / len(x)
    print(
        "cross_entropy with gradient, bfloat16 (8192, 128256), ms: "
        + ", ".join(f"{n} {v:.2f}" for n, v in t.items())
    )
    print(f"  copy of the bytes it must move: {1.5 * t['copy'] / t['ours']:.2f} of the time")
    print(f"  memory beyond logits and gradient: {beyond:.0f} bytes a row")


def main() -> int:
    """Check, then time."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", help=argparse.SUPPRESS)
    options.add_argument("--seconds", type=float, default=90)
    given = options.parse_args()
    if not torch.cuda.is_available():
        print("this needs a CUDA device; PyTorch sees none here", file=sys.stderr)
        return 2
    if given.part is not None:
        return check_part(given.part, given.seconds)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, Triton {triton.__version__}")
    ours.show_config()
    right = check(given.seconds)
    check_large()
    time_all()
    time_losses()
    gpu_sampling.time_all()
    gpu_simplex.time_all()
    assert set(DTYPES) == set(launch.DTYPES)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
