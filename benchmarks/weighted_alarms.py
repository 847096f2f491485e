"""Tests of calibration in a `Tally` of weighted rows: how often a model that is exactly right is rejected.

    python benchmarks/weighted_alarms.py [--repetitions N] [--rows N] [--classes K]

Weights follow a log-normal law. A p-value may be at most .05 in 5 % of the samples, and at most .2 in 20 %.
"""

import argparse

import numpy as np
from _drawn_labels import drawn_labels

from softmaxlib import metrics, softmax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--classes", type=int, default=4)
    given = parser.parse_args()
    calibration, classes = [], []
    for seed in range(given.repetitions):
        generator = np.random.default_rng([seed, given.rows])
        logits = generator.normal(scale=1.5, size=(given.rows, given.classes))
        labels = drawn_labels(softmax(logits), generator)
        weights = np.exp(generator.normal(size=given.rows))
        tally = metrics.Tally(given.classes, tests=True).update(logits, labels, weights)
        found = tally.compute()
        assert found.calibration_test is not None
        assert found.class_test is not None
        calibration.append(found.calibration_test.p_value)
        classes.append(found.class_test.adjusted_p_value.min())
    for name, values in (("calibration_test", calibration), ("class_test", classes)):
        shares = [f"{np.mean(np.asarray(values) <= level):.3f} at {level}" for level in (0.05, 0.2)]
        print(f"{name:18}{', '.join(shares)}")


if __name__ == "__main__":
    main()
