"""sparsemax and entmax of order 1.5 against the `entmax` package (PyTorch), on the same threads.

    OMP_NUM_THREADS=2 python benchmarks/simplex.py

Each measurement runs in a process of its own, since thread pools disturb one another, and is the least
of many calls: compare within a run. The last column is how many times faster softmaxlib is. Errors are the
largest distance from the float64 answer in units of 2^-24 (one half is the least possible next to 1).
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

SHAPES = [(1, 1000), (128, 1000), (1024, 1024), (100_000, 10), (256, 32_000)]
SCALES = [1.0, 0.1]
FUNCTIONS = ["sparsemax", "entmax15"]
LIBRARIES = ["softmaxlib", "entmax"]
SECONDS = 1.5


def main() -> None:
    titles = [f"{'softmaxlib':>13} {'error':>6}", f"{'entmax':>13} {'error':>6}", "ratio"]
    print(f"{'function':10} {'shape':>14} {'scale':>6}", *titles)
    for function in FUNCTIONS:
        for shape in SHAPES:
            for scale in SCALES:
                ours, theirs = (measured(library, function, shape, scale) for library in LIBRARIES)
                ratio = theirs["milliseconds"] / ours["milliseconds"]
                print(
                    f"{function:10} {shape!s:>14} {scale:6} {cells(ours)} {cells(theirs)} {ratio:5.1f}",
                    flush=True,
                )


def cells(result: dict[str, float]) -> str:
    return f"{result['milliseconds']:10.4f} ms {result['error']:6.2f}"


def measured(library: str, function: str, shape: tuple[int, int], scale: float) -> dict[str, float]:
    arguments = [library, function, json.dumps(shape), str(scale)]
    result = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(result.stdout)


def measure(library: str, function: str, shape: tuple[int, int], scale: float) -> dict[str, float]:
    x = np.random.default_rng(0).normal(scale=scale, size=shape).astype(np.float32)
    call = prepare(library, function, x)
    exact = prepare("softmaxlib", function, x.astype(np.float64))()
    error = float(np.abs(np.asarray(call()) - exact).max() * 2**24)
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return {"milliseconds": best * 1e3, "error": error}


def prepare(library: str, function: str, x: np.ndarray) -> Callable[[], np.ndarray]:
    if library == "softmaxlib":
        import softmaxlib

        return {"sparsemax": lambda: softmaxlib.sparsemax(x), "entmax15": lambda: softmaxlib.entmax(x)}[
            function
        ]
    import entmax
    import torch

    tensor = torch.from_numpy(x)
    return lambda: getattr(entmax, function)(tensor, dim=-1)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        library, function, shape, scale = sys.argv[1:]
        print(json.dumps(measure(library, function, tuple(json.loads(shape)), float(scale))))
