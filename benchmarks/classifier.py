"""SoftmaxClassifier against scikit-learn's LogisticRegression: the time to the same optimum of one objective.

    PYTHONPATH=src python benchmarks/classifier.py [--threads N] [--repeats N] [--tol T ...]

The objective is C * sum of losses + |W|^2 / 2; `excess` is how far a fit ends above the lowest value seen, as
a share of it. scikit-learn runs with its own tolerance and with smaller ones, on one thread and on all, each
fit in a process of its own. The ratio is for the fastest of those that end within 1e-8, as SoftmaxClassifier
must, or for the nearest where none does.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-9)
SAME = 1e-8


def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


def many_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200_000, 100))
    logits = features @ rng.normal(scale=0.3, size=(20, 100)).T
    return features, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


PROBLEMS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "digits": digits,
    "200,000 x 100 x 20": many_rows,
}


def make(solver: str, tolerance: float) -> Any:
    if solver == "SoftmaxClassifier":
        from softmaxlib.sklearn import SoftmaxClassifier

        return SoftmaxClassifier(tol=tolerance)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(tol=tolerance, max_iter=100_000)


def objective(model: Any, features: np.ndarray, label: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    loss = log_loss(label, model.predict_proba(features), normalize=False)
    return float(loss + 0.5 * (model.coef_**2).sum())


def measure(problem: str, solver: str, tolerance: float, repeats: int) -> dict[str, float]:
    features, label = PROBLEMS[problem]()
    seconds, model = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        model = make(solver, tolerance).fit(features, label)
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "objective": objective(model, features, label)}


def in_its_own_process(problem: str, solver: str, tolerance: float, threads: int, repeats: int) -> Any:
    options = ["--threads", str(threads), "--repeats", str(repeats)]
    fit = ["--fit", problem, solver, str(tolerance)]
    result = subprocess.run(
        [sys.executable, __file__, *options, *fit], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(result.stdout)


def compare(problem: str, threads: int, repeats: int, tolerances: list[float]) -> None:
    ways = [("SoftmaxClassifier", 1e-8, threads)]
    ways += [("scikit-learn lbfgs", tol, n) for tol in tolerances for n in sorted({1, threads})]
    results = [in_its_own_process(problem, *way, repeats) for way in ways]
    least = min(result["objective"] for result in results)
    theirs = []
    for (solver, tolerance, number), result in zip(ways, results, strict=True):
        excess = result["objective"] / least - 1
        if solver != "SoftmaxClassifier":
            theirs.append((max(excess, SAME), result["seconds"]))
        name = f"{problem}, {solver}"
        print(f"{name:40s} {tolerance:8.0e} {number:8d} {result['seconds']:9.3f} {excess:10.1e}", flush=True)
    excess, seconds = min(theirs)
    print(f"{'':40s} ratio {seconds / results[0]['seconds']:.2f}, theirs within {excess:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--problem", choices=PROBLEMS, action="append")
    parser.add_argument("--tol", type=float, nargs="+", default=TOLERANCES)
    parser.add_argument("--fit", nargs=3, metavar=("PROBLEM", "SOLVER", "TOLERANCE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        problem, solver, tolerance = arguments.fit
        with threadpool_limits(arguments.threads):
            print(json.dumps(measure(problem, solver, float(tolerance), arguments.repeats)))
        return
    print(f"{'':40s} {'tol':>8s} {'threads':>8s} {'seconds':>9s} {'excess':>10s}")
    for problem in arguments.problem or PROBLEMS:
        compare(problem, arguments.threads, arguments.repeats, arguments.tol)


if __name__ == "__main__":
    main()
