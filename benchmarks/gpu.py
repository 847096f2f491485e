"""softmax, log_softmax and logsumexp on a GPU: the CPU kernels' bits, then time beside a copy and peers.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns, on random numbers
in more memory than the cache of the device holds.
"""

import hashlib
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import triton

import softmaxlib.torch as ours
from softmaxlib.torch._triton import launch

try:
    from liger_kernel.ops.softmax import LigerSoftmaxFunction as liger_softmax
except ImportError:
    liger_softmax = None

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SECONDS = 150  # for correctness
LARGE = 1 << 30  # bytes of a tensor that is timed


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bits on the CPU, one form for all NaN."""
    tensor = tensor.cpu()
    tensor = torch.where(tensor != tensor, torch.nan, tensor).contiguous()
    return tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


def poison(device: torch.device) -> None:
    """Leave NaN in the memory that the next results are put into."""
    del device
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


def check() -> bool:
    """Compare every case with the CPU kernels, and rows alone with rows in a batch."""
    start, cases, wrong = time.monotonic(), 0, []
    digest = hashlib.sha256()
    for name, x, dim, where in tensors():
        if time.monotonic() - start > SECONDS:
            print(f"stopped after {SECONDS} s and {cases} cases")
            break
        there = on_device(x)
        mask = None if where is None else where.cuda()
        for function in FUNCTIONS:
            poison(there.device)
            got, want = call(ours, function, there, dim, mask), call(ours, function, x, dim, where)
            cases += 1
            digest.update(bits(got).numpy().tobytes())
            if got.shape != want.shape or not torch.equal(bits(got), bits(want)):
                share = (
                    (bits(got) != bits(want)).double().mean().item() if got.shape == want.shape else math.nan
                )
                wrong.append(f"{function} {name}: {share:.2%} of the numbers differ")
            if dim == -1 and where is None and x.shape[0] > 1:
                alone = call(ours, function, there[1:2], dim, None)
                if not torch.equal(bits(alone), bits(got[1:2])):
                    wrong.append(f"{function} {name}: a row alone differs from the row in its batch")
    print(f"{cases} cases, {len(wrong)} of them not the bits of the CPU; sha256 {digest.hexdigest()[:16]}")
    for line in wrong[:20]:
        print("  " + line)
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


def milliseconds(contenders: dict[str, Callable[[], object]], rounds: int = 12) -> dict[str, float]:
    """The median time of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for body in contenders.values():
        body()
    for _ in range(rounds):
        for name, body in contenders.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            body()
            end.record()
            end.synchronize()
            times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(values) for name, values in times.items()}


def time_all() -> None:
    """Print a table: times, and ratios to a copy of the same bytes."""
    print(f"{'case':36}{'copy ms':>9}{'ours ms':>9}{'of copy':>9}{'torch':>8}{'compiled':>9}{'Liger':>8}")
    shapes = [(LARGE // 4 // n, n) for n in (1000, 4096, 8192, 32000, 128256, 262144)] + [
        (32, 10),
        (1, 128256),
    ]
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
    compiled = torch.compile(lambda x: peer(x, -1), dynamic=False)
    target = torch.empty_like(x)
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(x),
        "ours": lambda: own(x),
        "torch": lambda: peer(x, -1),
        "compiled": lambda: compiled(x),
    }
    if function == "softmax" and liger_softmax is not None:
        contenders["Liger"] = lambda: liger_softmax.apply(x)
    t = milliseconds(contenders)
    peers = "".join(
        f"{t[name] / t['ours']:>{width}.2f}" if name in t else "-".rjust(width)
        for name, width in (("torch", 8), ("compiled", 9), ("Liger", 8))
    )
    print(f"{case:36}{t['copy']:9.3f}{t['ours']:9.3f}{t['copy'] / t['ours']:9.2f}{peers}", flush=True)


def main() -> int:
    """Check, then time."""
    if not torch.cuda.is_available():
        print("this needs a CUDA device; PyTorch sees none here", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, Triton {triton.__version__}")
    ours.show_config()
    right = check()
    check_large()
    time_all()
    assert set(DTYPES) == set(launch.DTYPES)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
