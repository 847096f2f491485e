"""`class_calibration_test` and the verdict of `evaluate`: false alarms, and power on rare classes.

    python benchmarks/class_alarms.py [--repetitions N]

Rejected: the share of samples in which a class has an adjusted p-value of at most 5 % or 1 %; of models that
are exactly right that must be 5 % and 1 % at most. Misstated: where the verdict names a class. Top label:
where `calibration_test`, which judges the most likely class alone, has a p-value of at most 1 %.
"""

import argparse
from collections.abc import Callable

import numpy as np
from _drawn_labels import drawn_labels

from softmaxlib import metrics, softmax
from softmaxlib.metrics.predictions import Predictions
from softmaxlib.report.class_calibration import judge_classes, misstated_classes

Logits = Callable[[int, np.random.Generator], np.ndarray]


def rare(centre: float, spread: float) -> Logits:
    def logits(rows: int, generator: np.random.Generator) -> np.ndarray:
        return np.stack([np.zeros(rows), generator.normal(centre, spread, rows)], axis=1)

    return logits


def many(classes: int, spread: float) -> Logits:
    """Classes of very different frequency: the last one is rarest."""

    def logits(rows: int, generator: np.random.Generator) -> np.ndarray:
        return spread * generator.normal(size=(rows, classes)) - np.linspace(0, 6, classes)

    return logits


MODELS = {
    "2 classes, 0.6 %": rare(-6.2, 1.5),
    "2 classes, 50 %": rare(0, 2),
    "3 classes": many(3, 2),
    "10 classes": many(10, 2),
    "100 classes": many(100, 2),
}


def understated(logits: np.ndarray, factor: float) -> np.ndarray:
    """The last class stated at a fraction of its odds."""
    stated = logits.copy()
    stated[:, -1] -= np.log(factor)
    return stated


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exactly right": lambda logits: logits,
    "last class understated 10 times": lambda logits: understated(logits, 10),
    "last class overstated 3 times": lambda logits: understated(logits, 1 / 3),
    "too sure x1.5": lambda logits: 1.5 * logits,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500)
    repetitions = parser.parse_args().repetitions
    for change_name, change in CHANGES.items():
        print(f"\n{change_name}\n{'':32}{'<= 5 %':>10}{'<= 1 %':>10}{'misstated':>12}{'top label':>12}")
        for name, model in MODELS.items():
            for rows in (50, 500, 5000):
                found = np.zeros(4)
                for seed in range(repetitions):
                    generator = np.random.default_rng([seed, rows])
                    logits = model(rows, generator)
                    labels = drawn_labels(softmax(logits), generator)
                    stated = Predictions.of_logits(change(logits), labels)
                    classes = judge_classes(stated, [str(k) for k in range(logits.shape[1])])
                    least = min(one.p_value for one in classes)
                    top = metrics.calibration_test(change(logits), labels, simulations=199).p_value
                    found += (least <= 0.05, least <= 0.01, bool(misstated_classes(classes)), top <= 0.01)
                cells = [f"{share:.1%}" for share in found / repetitions]
                print(f"{name + ', ' + str(rows):32}" + "".join(f"{c:>11}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
