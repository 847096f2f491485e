"""The functions for a GPU: correctness beside the CPU kernels, then time beside a copy and peers.

softmax, log_softmax, logsumexp, sparsemax and entmax must have the bits of the CPU kernels, and draws its
tokens; losses and gradients keep their bounds. Needs a CUDA device. Correctness comes first, by several
processes, which compile the kernels. After that every time is the median of rounds in which all contenders
take turns, on random numbers in more memory than the cache of the device holds.

A part that fails or hangs is reported, and the next one begins. ``--seconds N`` bounds the first part,
``--minutes N`` the whole: what is left then is skipped, and said. What is printed goes to ``--file`` too.
"""

import argparse
import math
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import gpu_elements
import gpu_losses
import gpu_sampling
import gpu_simplex
import torch
import triton
from _gpu_times import milliseconds

import softmaxlib.torch as ours
from softmaxlib.torch._triton import launch

try:
    from liger_kernel.ops.softmax import LigerSoftmaxFunction as liger_softmax
except ImportError:
    liger_softmax = None

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
WORKERS = 14
OTHERS: dict[str, Any] = {
    "losses": gpu_losses,
    "elements": gpu_elements,
    "simplex": gpu_simplex,
    "sampling": gpu_sampling,
}
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
    """Check a share of the cases of this program, or those of another, or run a later part."""
    if name in PARTS:
        return 1 if PARTS[name]() is False else 0
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
    parts = [*map(str, range(WORKERS)), *OTHERS]
    running = {
        part: subprocess.Popen([*command, part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for part in parts
    }
    cases, wrong, until = 0, list[str](), time.monotonic() + seconds + 60
    for part, process in running.items():
        try:
            lines = process.communicate(timeout=max(1.0, until - time.monotonic()))[0].splitlines()
        except subprocess.TimeoutExpired:
            process.kill()
            lines = process.communicate()[0].splitlines()
            wrong.append(f"  part {part} did not end")
        if part in OTHERS:
            print("\n".join(lines))
            wrong += [f"  {part}"] if process.returncode else []
        elif process.returncode != 0 or not lines:
            wrong += [f"  part {part} ended with {process.returncode}", *lines[-3:]]
        else:
            cases += int(lines[0].split()[0])
            wrong += lines[1:]
    print(f"{cases} cases, {len(wrong)} of them wrong")
    print("\n".join(wrong[:20]))
    return not wrong


def check_large() -> bool:
    """Tell whether the last of more than 2^31 elements are in a row with the bits of the row alone."""
    try:
        x = torch.randn(2**16 + 1, 2**15, device="cuda", dtype=torch.bfloat16)
        result = ours.softmax(x)
    except torch.OutOfMemoryError:
        print("2^31 elements: not enough memory")
        return True
    same = torch.equal(bits(result[-1]), bits(ours.softmax(x[-1].cpu())))
    print(f"{x.numel()} elements: the last row {'has' if same else 'has NOT'} the bits of the CPU")
    return same


def time_all() -> bool:
    """Print a table: times, and ratios to a copy of the same bytes."""
    print(f"{'case':36}{'copy ms':>9}{'ours ms':>9}{'of copy':>9}{'torch':>8}{'compile':>9}{'Liger':>8}")
    compiled = {name: torch.compile(getattr(torch, name), dynamic=True) for name in FUNCTIONS[:2]}
    shapes = [(32, 10), (1, 128256), *((LARGE // 4 // n, n) for n in TIMED)]
    for dtype in (torch.float32, torch.bfloat16):
        for rows, n in shapes:
            if rows * n > 10**6:
                rows = LARGE // dtype.itemsize // n
            x = torch.randn(rows, n, device="cuda").to(dtype)
            for function in FUNCTIONS[:2]:
                print_times(f"{function} {str(dtype)[6:]} ({rows}, {n})", function, x, compiled[function])
            del x
    return True


def print_times(case: str, function: str, x: torch.Tensor, compiled: Callable[..., object]) -> None:
    """Print one row: times of the copy and of ours, and ours as a ratio to the copy and to each peer."""
    own, peer = getattr(ours, function), getattr(torch, function)
    target = torch.empty_like(x)
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(x),
        "ours": lambda: own(x),
        "torch": lambda: peer(x, -1),
        "compile": lambda: compiled(x, -1),
    }
    theirs = liger_softmax
    if function == "softmax" and theirs is not None and x.shape[1] <= 65536:  # its limit
        contenders["Liger"] = lambda: theirs.apply(x)
    t = milliseconds(contenders)
    peers = "".join(
        f"{t[name] / t['ours']:>{width}.2f}" if name in t else "-".rjust(width)
        for name, width in (("torch", 8), ("compile", 9), ("Liger", 8))
    )
    print(f"{case:36}{t['copy']:9.3f}{t['ours']:9.3f}{t['copy'] / t['ours']:9.2f}{peers}", flush=True)


class Both:
    """Writes what is printed to a file too, line by line: a run that is cut off leaves what it found."""

    def __init__(self, screen: TextIO, file: TextIO) -> None:
        self.screen, self.file = screen, file

    def write(self, text: str) -> None:
        """Write to both."""
        self.screen.write(text)
        self.file.write(text)
        self.file.flush()

    def flush(self) -> None:
        """Flush the screen; the file is already."""
        self.screen.flush()


PARTS: dict[str, Callable[[], object]] = {
    "more than 2^31 elements": check_large,
    "times of losses": gpu_losses.time_losses,
    "times of softmax": time_all,
    "times of linear_cross_entropy": gpu_losses.time_linear,
    "times of sampling": gpu_sampling.time_all,
    "times of sparsemax and entmax": gpu_simplex.time_all,
    "times of binary losses and temperatures": gpu_elements.time_all,
}


def run_part(name: str, seconds: float) -> str:
    """Run a part in a process of its own, which can fail alone, and return what became of it."""
    command = [sys.executable, "-u", __file__, "--part", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stop = threading.Timer(seconds, process.kill)
    stop.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="")
    code = process.wait()
    late = not stop.is_alive()
    stop.cancel()
    return "done" if code == 0 else "stopped: no time left" if late else f"FAILED ({code})"


def run_all(seconds: float, until: float) -> dict[str, str]:
    """Run each part, whatever became of those before, and return what became of it."""
    start = time.monotonic()
    outcomes = {"correctness": "done" if check(seconds) else "WRONG"}
    print(f"-- correctness: {outcomes['correctness']} in {time.monotonic() - start:.0f} s", flush=True)
    for name in PARTS:
        start = time.monotonic()
        outcomes[name] = "skipped: no time left" if start > until else run_part(name, until - start)
        print(f"-- {name}: {outcomes[name]} in {time.monotonic() - start:.0f} s", flush=True)
    return outcomes


def main() -> int:
    """Check, then time."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", help=argparse.SUPPRESS)
    options.add_argument("--seconds", type=float, default=90)
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--file", type=Path)
    given = options.parse_args()
    if not torch.cuda.is_available():
        print("this needs a CUDA device; PyTorch sees none here", file=sys.stderr)
        return 2
    if given.part is not None:
        return check_part(given.part, given.seconds)
    until = time.monotonic() + 60 * given.minutes
    if given.file is not None:
        given.file.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout = Both(sys.stdout, given.file.open("w", encoding="utf-8"))
    assert set(DTYPES) == set(launch.DTYPES)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, Triton {triton.__version__}")
    ours.show_config()
    outcomes = run_all(given.seconds, until)
    print("\n".join(f"{name}: {outcome}" for name, outcome in outcomes.items()))
    return 0 if all(outcome == "done" for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
