"""Calibrations against scikit-learn, netcal and probmetrics: log loss on rows not fitted on, and time to fit.

    OMP_NUM_THREADS=2 python benchmarks/calibration.py [FOLDER] [--only NAME]
    OMP_NUM_THREADS=2 python benchmarks/calibration.py --large [--only NAME] [--runs N]

FOLDER holds files `name.npz` with `predictions` (rows, classes), probabilities of a network, and
`ground_truth` (rows,), the classes; if not given, tests/data. Each file is
shuffled three times; half of the rows fit, half judge. --large times temperature scaling on 50,000 x 1,000
made logits instead, the least of three runs. --only takes the contenders whose name holds NAME. Seconds are
of the clock and, behind the slash, of the processors: on a busy machine compare only the latter.
"""

import argparse
import importlib.metadata
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import softmax

from softmaxlib import calibration

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Predict]


def of_softmaxlib(name: str) -> Fit:
    def fit(logits: np.ndarray, labels: np.ndarray) -> Predict:
        return getattr(calibration, name)().fit(logits, labels).predict_proba

    return fit


def of_scikit_learn(method: str) -> Fit:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Logits(ClassifierMixin, BaseEstimator):
        def __init__(self, classes: int = 2) -> None:
            self.classes = classes
            self.classes_ = np.arange(classes)

        def fit(self, features: np.ndarray, labels: np.ndarray) -> "Logits":
            return self

        def decision_function(self, features: np.ndarray) -> np.ndarray:
            return features

        def predict(self, features: np.ndarray) -> np.ndarray:
            return features.argmax(axis=1)

    def fit(logits: np.ndarray, labels: np.ndarray) -> Predict:
        frozen = FrozenEstimator(Logits(logits.shape[1]))
        return CalibratedClassifierCV(frozen, method=method).fit(logits, labels).predict_proba

    return fit


def of_netcal(logits: np.ndarray, labels: np.ndarray) -> Predict:
    from netcal.scaling import TemperatureScaling

    scaling = TemperatureScaling()
    scaling.fit(softmax(logits, axis=1), labels)
    return lambda new: scaling.transform(softmax(new, axis=1))


def of_probmetrics(name: str) -> Fit:
    from probmetrics.calibrators import get_calibrator

    def fit(logits: np.ndarray, labels: np.ndarray) -> Predict:
        calibrator = get_calibrator(name)
        calibrator.fit(softmax(logits, axis=1), labels)
        return lambda new: calibrator.predict_proba(softmax(new, axis=1))

    return fit


OURS = [name for name in calibration.__all__ if name != "Calibration"]


def contenders() -> dict[str, Fit]:
    found = {f"softmaxlib {name}": of_softmaxlib(name) for name in OURS}
    found |= {
        f"scikit-learn {name}": of_scikit_learn(name) for name in ("temperature", "isotonic", "sigmoid")
    }
    found |= {"netcal TemperatureScaling": of_netcal}
    found |= {f"probmetrics {name}": of_probmetrics(name) for name in ("ts-mix", "svs", "sms")}
    return found


TEMPERATURES = [
    "softmaxlib TemperatureScaling",
    "scikit-learn temperature",
    "netcal TemperatureScaling",
    "probmetrics ts-mix",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    names = ("numpy", "scikit-learn", "netcal", "probmetrics", "torch")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
    if arguments.large:
        return compare_large(arguments.only, arguments.runs)
    for path in sorted(arguments.folder.glob("*.npz")):
        compare_on(path, arguments.only)


def compare_on(path: Path, only: str) -> None:
    with np.load(path) as data:
        predictions = data["predictions"].astype(np.float64)
        labels = data["ground_truth"].ravel().astype(np.int64)
    logits = np.log(np.maximum(predictions, np.finfo(np.float32).tiny))
    print(f"\n{path.stem} {logits.shape}\n{'':30} log loss of three shuffles    seconds to fit")
    for name, fit in contenders().items():
        if only not in name:
            continue
        losses, clock, processors = [], [], []
        for seed in range(3):
            order = np.random.default_rng(seed).permutation(len(labels))
            use, judge = np.split(order, [len(order) // 2])
            predict, *times = timed(fit, logits[use], labels[use])
            clock.append(times[0])
            processors.append(times[1])
            losses.append(log_loss(predict(logits[judge]), labels[judge]))
        shown = " ".join(f"{loss:8.4f}" for loss in losses)
        print(f"{name:30} {shown} {min(clock):12.3f} / {min(processors):.3f}", flush=True)


def compare_large(only: str, runs: int) -> None:
    generator = np.random.default_rng(0)
    logits = 3 * generator.standard_normal((50_000, 1000))
    labels = (logits / 1.7 + generator.gumbel(size=logits.shape)).argmax(axis=1)
    print(f"\ntemperature scaling of {logits.shape}\n{'':30}     seconds to fit          log loss")
    for name in TEMPERATURES:
        if only not in name:
            continue
        found = [timed(contenders()[name], logits, labels) for _ in range(runs)]
        loss = log_loss(found[0][0](logits), labels)
        clock, processors = (min(one[place] for one in found) for place in (1, 2))
        print(f"{name:30} {clock:9.3f} / {processors:.3f} {loss:18.6f}", flush=True)


def timed(fit: Fit, logits: np.ndarray, labels: np.ndarray) -> tuple[Predict, float, float]:
    clock, processors = time.perf_counter(), time.process_time()
    predict = fit(logits, labels)
    return predict, time.perf_counter() - clock, time.process_time() - processors


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """A probability of 0 for what happened counts as the least float32, so that the peers stay finite."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


if __name__ == "__main__":
    main()
