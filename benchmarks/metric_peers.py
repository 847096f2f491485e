"""Figures of calibration beside those of netcal, torchmetrics, scikit-learn and relplot, and their times.

    OMP_NUM_THREADS=1 python benchmarks/metric_peers.py

The rows are drawn from probabilities that are known and then sharpened, so that the model is too sure. The
predictions of two real networks, in tests/data, are judged too. Times are the least of several calls: compare
within a run.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from softmaxlib import metrics, softmax

CALLS = 5
DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
Figure = Callable[[], float]


def main() -> None:
    warnings.simplefilter("ignore")
    print(f"{'rows':10} {'figure':24} {'peer':14} {'softmaxlib':>13} {'peer':>13} {'apart':>8} {'faster':>8}")
    for name, (probabilities, labels) in data().items():
        for figure, ours, peer, theirs in comparisons(probabilities, labels):
            mine, my_time = measured(ours)
            other, other_time = measured(theirs)
            print(
                f"{name:10} {figure:24} {peer:14} {mine:13.9f} {other:13.9f} {abs(mine - other):8.0e} "
                f"{other_time / my_time:8.1f}",
                flush=True,
            )


def data() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(0)
    truth = generator.dirichlet(np.full(10, 0.3), 100_000)
    labels = (generator.random((100_000, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    found = {"made": (softmax(1.5 * np.log(np.maximum(truth, 1e-30))), labels)}
    for path in sorted(DATA.glob("*.npz")):
        with np.load(path) as file:
            logits = np.log(np.maximum(file["predictions"].astype(np.float64), np.finfo(np.float32).tiny))
            found[path.stem.split("_")[-1]] = (
                softmax(logits / 2),
                file["ground_truth"].ravel().astype(np.int64),
            )
    return found


def measured(call: Figure) -> tuple[float, float]:
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        value = float(call())
        seconds.append(time.perf_counter() - start)
    return value, min(seconds)


def comparisons(p: np.ndarray, y: np.ndarray) -> list[tuple[str, Figure, str, Figure]]:
    import relplot
    import sklearn.metrics as sk
    import torch
    from netcal.metrics import ECE, MCE
    from torchmetrics.functional.classification import multiclass_calibration_error

    classes = p.shape[1]
    p_torch, y_torch = torch.from_numpy(p), torch.from_numpy(y)

    def ours(metric: Callable[..., float], **options: object) -> Figure:
        return lambda: metric(p, y, probabilities=True, **options)

    def tm(norm: str) -> Figure:
        return lambda: multiclass_calibration_error(p_torch, y_torch, classes, 15, norm)

    error = metrics.calibration_error
    return [
        (
            "log loss",
            ours(metrics.log_loss),
            "scikit-learn",
            lambda: sk.log_loss(y, p, labels=np.arange(classes)),
        ),
        (
            "Brier score",
            ours(metrics.brier_score),
            "scikit-learn",
            lambda: sk.brier_score_loss(y, p, labels=np.arange(classes), scale_by_half=False),
        ),
        (
            "smooth error",
            ours(metrics.smooth_calibration_error),
            "relplot",
            lambda: relplot.smECE(p.max(axis=1), p.argmax(axis=1) == y),
        ),
        ("l1, equal width", ours(error), "netcal ECE", lambda: ECE(15).measure(p, y)),
        ("max, equal width", ours(error, norm="max"), "netcal MCE", lambda: MCE(15).measure(p, y)),
        (
            "l1, equal mass",
            ours(error, binning="equal_mass"),
            "netcal ECE",
            lambda: ECE(15, equal_intervals=False).measure(p, y),
        ),
        ("l1, equal width", ours(error), "torchmetrics", tm("l1")),
        ("l2, equal width", ours(error, norm="l2"), "torchmetrics", tm("l2")),
        ("max, equal width", ours(error, norm="max"), "torchmetrics", tm("max")),
    ]


if __name__ == "__main__":
    main()
