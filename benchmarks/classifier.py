"""SoftmaxClassifier against scikit-learn's LogisticRegression: time, and the objective each reaches.

    PYTHONPATH=src python benchmarks/classifier.py [--threads N] [--repeats N] [--tight]

The objective is C * sum of losses + |W|^2 / 2. scikit-learn runs with its own tolerance and as many
iterations as it needs; with --tight its tolerance is 1e-8 too. CPU time, of all threads, is shown beside the
time on the clock: it is what remains comparable on a machine that is shared.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import softmaxlib
from softmaxlib.sklearn import SoftmaxClassifier


def many_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200_000, 100))
    logits = features @ rng.normal(scale=0.3, size=(20, 100)).T
    return features, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def objective(model: Any, features: np.ndarray, label: np.ndarray) -> float:
    logits = features @ model.coef_.T + model.intercept_
    return softmaxlib.cross_entropy(logits, label, reduction="sum") + 0.5 * (model.coef_**2).sum()


def measure(
    make: Callable[[], Any], features: np.ndarray, label: np.ndarray, repeats: int
) -> tuple[Any, float, float]:
    clock, cpu, model = np.inf, np.inf, None
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        model = make().fit(features, label)
        clock = min(clock, time.perf_counter() - start)
        cpu = min(cpu, time.process_time() - start_cpu)
    return model, clock, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tight", action="store_true")
    arguments = parser.parse_args()
    problems = {"digits": load_digits(return_X_y=True), "200,000 x 100 x 20": many_rows()}
    tolerance = 1e-8 if arguments.tight else 1e-4
    makers = {
        "scikit-learn lbfgs": lambda: LogisticRegression(tol=tolerance, max_iter=100_000),
        "SoftmaxClassifier": SoftmaxClassifier,
    }
    print(f"{'':42s} {'seconds':>9s} {'CPU s':>9s} {'objective':>22s} {'ratio':>7s} {'CPU ratio':>10s}")
    with threadpool_limits(arguments.threads):
        for name, (features, label) in problems.items():
            first: tuple[float, float] | None = None
            for solver, make in makers.items():
                model, clock, cpu = measure(make, features, label, arguments.repeats)
                first = first or (clock, cpu)
                reached = objective(model, features, label)
                ratios = f"{first[0] / clock:7.2f} {first[1] / cpu:10.2f}"
                print(
                    f"{name + ', ' + solver:42s} {clock:9.3f} {cpu:9.3f} {reached:22.12f} {ratios}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
