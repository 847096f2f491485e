"""Dirichlet calibration beside `MatrixScaling` and `Auto`: log loss on rows that nothing was fitted on.

    OMP_NUM_THREADS=2 python benchmarks/dirichlet.py [--only NAME] [--shuffles N]

Dirichlet calibration (Kull and others, NeurIPS 2019) maps log-probabilities linearly; the weights off the
diagonal and the intercepts are held small (ODIR). Its strength is chosen here from a grid by three folds,
as in the paper. `MatrixScaling` has the same form. The question is whether Dirichlet calibration would add
anything to the pool of `Auto`. Of each problem up to 5,000 rows are judged, in the mean over some shuffles;
smaller is better.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from softmaxlib.calibration import Auto, Calibration, MatrixScaling, TemperatureScaling

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
STRENGTHS = (1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)
Problem = tuple[np.ndarray, np.ndarray]


def logarithms(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities, not below that of the float's epsilon, as in the authors' program."""
    return np.maximum(log_softmax(logits, axis=1), np.log(np.finfo(np.float64).eps))


def dirichlet(logits: np.ndarray, labels: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit matrix and intercept with off-diagonal and intercept regularization."""
    values = logarithms(logits)
    rows, classes = values.shape
    truth = np.eye(classes)[labels]
    off = (1 - np.eye(classes)) / (classes * (classes - 1))

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        matrix, intercept = flat[:-classes].reshape(classes, classes), flat[-classes:]
        fitted = log_softmax(values @ matrix.T + intercept, axis=1)
        error = (np.exp(fitted) - truth) / rows
        loss = -(fitted * truth).sum() / rows
        penalty = strength * ((off * matrix**2).sum() + (intercept**2).mean())
        of_matrix = error.T @ values + 2 * strength * off * matrix
        of_intercept = error.sum(axis=0) + 2 * strength * intercept / classes
        return loss + penalty, np.concatenate([of_matrix.ravel(), of_intercept])

    start = np.concatenate([np.eye(classes).ravel(), np.zeros(classes)])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    return found[:-classes].reshape(classes, classes), found[-classes:]


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def best_dirichlet(logits: np.ndarray, labels: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Calibrated logits of new rows, the strength chosen by three folds."""
    fold = np.random.default_rng(0).permutation(len(labels)) % 3

    def loss(strength: float) -> float:
        losses = []
        for part in range(3):
            use, judge = fold != part, fold == part
            matrix, intercept = dirichlet(logits[use], labels[use], strength)
            losses.append(log_loss(logarithms(logits[judge]) @ matrix.T + intercept, labels[judge]))
        return float(np.mean(losses))

    matrix, intercept = dirichlet(logits, labels, min(STRENGTHS, key=loss))
    return logarithms(new) @ matrix.T + intercept


def of_file(name: str) -> Callable[[int], Problem]:
    def read(rows: int) -> Problem:
        del rows
        with np.load(DATA / f"{name}.npz") as data:
            probabilities = data["predictions"].astype(np.float64)
            labels = data["ground_truth"].ravel().astype(np.int64)
        return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)), labels

    return read


def of_dirichlets(classes: int) -> Callable[[int], Problem]:
    """Probabilities that follow a Dirichlet law in each class: the case that the method is exact for."""

    def make(rows: int) -> Problem:
        generator = np.random.default_rng(classes)
        alpha = generator.uniform(0.3, 1.5, (classes, classes)) + 2 * np.eye(classes)
        labels = generator.integers(classes, size=rows)
        logits = np.log(np.maximum(generator.gamma(alpha[labels]), 1e-300))
        return logits, labels

    return make


def of_mixed_logits(classes: int) -> Callable[[int], Problem]:
    """Logits of which each borrows from the next, and that are too sure."""

    def make(rows: int) -> Problem:
        generator = np.random.default_rng(classes)
        truth = 2.5 * generator.standard_normal((rows, classes))
        labels = (truth + generator.gumbel(size=truth.shape)).argmax(axis=1)
        return 1.8 * (truth + 0.3 * np.roll(truth, 1, axis=1)), labels

    return make


PROBLEMS: dict[str, tuple[Callable[[int], Problem], tuple[int, ...]]] = {
    "WideResNet, CIFAR-10": (of_file("wideresnet_cifar10"), (500, 5000)),
    "DenseNet, CIFAR-100": (of_file("densenet_cifar100"), (5000,)),
    "Dirichlet laws, 3 classes": (of_dirichlets(3), (300, 3000)),
    "Dirichlet laws, 10 classes": (of_dirichlets(10), (300, 3000)),
    "mixed logits, 5 classes": (of_mixed_logits(5), (300, 3000)),
    "mixed logits, 20 classes": (of_mixed_logits(20), (1000, 5000)),
}


def transformed(
    calibration: Calibration, logits: np.ndarray, labels: np.ndarray, new: np.ndarray
) -> np.ndarray:
    return calibration.fit(logits, labels).transform(new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--shuffles", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    contenders = {
        "temperature": lambda *rows: transformed(TemperatureScaling(), *rows),
        "MatrixScaling": lambda *rows: transformed(MatrixScaling(), *rows),
        "Dirichlet": best_dirichlet,
        "Auto": lambda *rows: transformed(Auto(), *rows),
    }
    print(f"{'problem':28} {'rows':>5} " + " ".join(f"{name:>14}" for name in contenders) + "   seconds")
    for name, (make, sizes) in PROBLEMS.items():
        if arguments.only not in name:
            continue
        logits, labels = make(10_000)
        for rows in sizes:
            losses, seconds = np.zeros(len(contenders)), np.zeros(len(contenders))
            for shuffle in range(arguments.shuffles):
                order = np.random.default_rng(shuffle).permutation(len(labels))
                use, judge = order[:rows], order[-5000:]
                for index, fit in enumerate(contenders.values()):
                    start = time.process_time()
                    losses[index] += log_loss(fit(logits[use], labels[use], logits[judge]), labels[judge])
                    seconds[index] += time.process_time() - start
            shown = " ".join(f"{loss:14.5f}" for loss in losses / arguments.shuffles)
            print(f"{name:28} {rows:5} {shown}   " + " ".join(f"{one:.1f}" for one in seconds), flush=True)


if __name__ == "__main__":
    main()
