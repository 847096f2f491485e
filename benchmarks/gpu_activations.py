"""softmax, log_softmax and logsumexp on a GPU: the bits of the CPU kernels, then time beside peers.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns, on random numbers
in more memory than the cache of the device holds.
"""

import functools
from collections.abc import Callable, Iterator

import torch
from _gpu_times import milliseconds, on_device, poison

import softmaxlib.torch as ours

try:
    from liger_kernel.ops.softmax import LigerSoftmaxFunction as liger_softmax
except ImportError:
    liger_softmax = None

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TIMED = (1000, 4096, 32000, 128256)  # classes
COMPILED = (1000, 32000)  # those for which PyTorch compiles its function too
LARGE = 1 << 30  # bytes of a tensor that is timed
LENGTHS = (
    *(1000, 4096, 32000, 128256, 10, 1, 2, 3, 7, 16, 17, 31, 64, 100, 255, 384, 385, 448, 449, 500, 511, 512),
    *(
        513,
        1023,
        1024,
        1025,
        2047,
        2049,
        4000,
        4095,
        4097,
        5000,
        8191,
        8193,
        16385,
        32768,
        32769,
        50257,
        65537,
    ),
    *(262144, 262145, 300001),
)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bits on the CPU, one form for all NaN."""
    tensor = tensor.cpu()
    tensor = torch.where(tensor != tensor, torch.nan, tensor).contiguous()
    return tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


def of_length(n: int, dtype: torch.dtype) -> torch.Tensor:
    """Rows of any kind, of one length."""
    rows = max(1, min(64, 200000 // n))
    x = (4 * torch.randn(rows, n, generator=torch.Generator().manual_seed(n))).to(dtype)
    if rows > 4 and n > 1:
        x[0, 0], x[1, -1], x[2], x[3, : n // 2] = torch.nan, torch.inf, -torch.inf, -torch.inf
    return x


def layouts(n: int) -> Iterator[tuple[str, torch.Tensor, int, torch.Tensor | None]]:
    """Name, logits, dimension and mask: rows that don't lie side by side, or are masked."""
    generator = torch.Generator().manual_seed(n)
    x = 3 * torch.randn(9, n, generator=generator)
    yield f"masked {tuple(x.shape)}", x, -1, torch.rand(x.shape, generator=generator) > 0.4
    yield f"axis 0 {tuple(x.T.shape)}", x.T.contiguous(), 0, None
    yield f"every other of {tuple(x.shape)}", x[:, ::2], -1, None
    flat = torch.randn(1 + 9 * n, generator=generator)
    yield f"off a border {tuple(x.shape)}", flat[1:].view(9, n), -1, None


def differing(
    name: str, function: str, x: torch.Tensor, dim: int = -1, where: torch.Tensor | None = None
) -> list[str]:
    """Say what differs from the CPU kernels, or between a row alone and the same row in its batch."""
    there = on_device(x)
    own = getattr(ours, function)
    poison()
    got, want = own(there, dim, where=None if where is None else where.cuda()), own(x, dim, where=where)
    same = got.shape == want.shape and torch.equal(bits(got), bits(want))
    if dim == -1 and where is None and x.shape[0] > 1:
        same = same and torch.equal(bits(own(there[1:2], dim)), bits(got[1:2]))
    if same:
        return []
    if got.shape != want.shape:
        return [f"{function} {name}: another shape"]
    share = (bits(got) != bits(want)).double().mean().item()
    return [f"{function} {name}: {share:.2%} of the numbers differ"]


def check_length(function: str, n: int, dtype: torch.dtype) -> list[str]:
    """Compare rows of one length."""
    return differing(f"{dtype} of {n} classes", function, of_length(n, dtype))


def check_layout(function: str, n: int, which: int) -> list[str]:
    """Compare rows of one layout."""
    name, x, dim, where = list(layouts(n))[which]
    return differing(name, function, x, dim, where)


def checks() -> dict[str, Callable[[], list[str]]]:
    """Return what is checked, the most important first."""
    found: dict[str, Callable[[], list[str]]] = {}
    for n in LENGTHS:
        for dtype in DTYPES:
            for function in FUNCTIONS:
                found[f"{function} {dtype} {n}"] = functools.partial(check_length, function, n, dtype)
        if n == 10:  # kernels that take long to compile, before many that are compiled already
            for length in (10, 700, 5000, 40000):
                for which in range(4):
                    for function in FUNCTIONS:
                        check = functools.partial(check_layout, function, length, which)
                        found[f"{function} layout {which} {length}"] = check
    return found


def check_large() -> bool:
    """Tell whether the last row of more than 2^31 elements has the bits of the row alone."""
    try:
        x = torch.randn(2**16 + 1, 2**15, device="cuda", dtype=torch.bfloat16)
        result = ours.softmax(x)
    except torch.OutOfMemoryError:
        print("2^31 elements: not enough memory")
        return True
    same = torch.equal(bits(result[-1]), bits(ours.softmax(x[-1].cpu())))
    print(f"{x.numel()} elements: the last row {'has' if same else 'has NOT'} the bits of the CPU")
    return same


HEADER = f"{'case':36}{'copy ms':>9}{'ours ms':>9}{'of copy':>9}{'torch':>8}{'compile':>9}{'Liger':>8}"


@functools.cache
def compiled(function: str) -> Callable[..., torch.Tensor]:
    """PyTorch's function, compiled."""
    return torch.compile(getattr(torch, function), dynamic=True)


def time_case(function: str, dtype: torch.dtype, rows: int, n: int, rounds: int) -> str:
    """Return times of a copy and of ours, and ours as a ratio to the copy and to each peer."""
    x = torch.randn(rows, n, device="cuda").to(dtype)
    own, peer = getattr(ours, function), getattr(torch, function)
    target = torch.empty_like(x)
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: target.copy_(x),
        "ours": lambda: own(x),
        "torch": lambda: peer(x, -1),
    }
    if n in COMPILED:  # PyTorch takes seconds for each
        compiled_peer = compiled(function)
        contenders["compile"] = lambda: compiled_peer(x, -1)
    theirs = liger_softmax
    if function == "softmax" and theirs is not None and x.shape[1] <= 65536:  # its limit
        contenders["Liger"] = lambda: theirs.apply(x)
    t = milliseconds(contenders, rounds)
    peers = "".join(
        f"{t[name] / t['ours']:>{width}.2f}" if name in t else "-".rjust(width)
        for name, width in (("torch", 8), ("compile", 9), ("Liger", 8))
    )
    case = f"{function} {str(dtype)[6:]} ({rows}, {n})"
    return f"{case:36}{t['copy']:9.3f}{t['ours']:9.3f}{t['copy'] / t['ours']:9.2f}{peers}"


def timings() -> dict[str, Callable[[int], str]]:
    """Return what is timed, by name: a call with a number of rounds returns a line."""
    found: dict[str, Callable[[int], str]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        large = ((LARGE // dtype.itemsize // n, n) for n in TIMED)
        for rows, n in ((32, 10), (1, 128256), *large):
            for function in FUNCTIONS[:2]:
                found[f"{function} {dtype} ({rows}, {n})"] = functools.partial(
                    time_case, function, dtype, rows, n
                )
    return found
