"""Measure the time that each calibration takes to fit, and its log loss on held-out rows.

    OMP_NUM_THREADS=2 python benchmarks/calibration_speed.py [FOLDER] [--only NAME] [--runs N]

Made logits of 10,000 x 10 and 10,000 x 100, and the files `name.npz` of FOLDER (if not given, tests/data), as
`benchmarks/calibration.py` reads them. Half of the rows, 5,000, fit; the others judge. Seconds are the least
of the runs, of the clock and of the processors; on a busy machine compare only the latter.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _processor import processor
from calibration import DATA, OURS, log_loss

import softmaxlib
from softmaxlib import calibration

Problem = tuple[str, np.ndarray, np.ndarray]


def made(classes: int) -> Problem:
    """A network that is too sure, and mixes classes up a little."""
    generator = np.random.default_rng(0)
    logits = 3 * generator.standard_normal((10_000, classes))
    mixing = np.eye(classes) + 0.15 * np.sqrt(10 / classes) * generator.standard_normal((classes, classes))
    labels = (logits @ mixing / 1.7 + generator.gumbel(size=logits.shape)).argmax(axis=1)
    return f"made, {classes} classes", logits, labels


def problems(folder: Path) -> Iterator[Problem]:
    yield made(10)
    yield made(100)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            predictions = data["predictions"].astype(np.float64)
            labels = data["ground_truth"].ravel().astype(np.int64)
        order = np.random.default_rng(0).permutation(len(labels))
        logits = np.log(np.maximum(predictions, np.finfo(np.float32).tiny))
        yield path.stem, logits[order], labels[order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(processor())
    softmaxlib.show_config()
    generator = np.random.default_rng(0)
    calibration.Auto().fit(generator.standard_normal((100, 3)), generator.integers(0, 3, 100))  # imports
    for title, logits, labels in problems(arguments.folder):
        half = len(labels) // 2
        print(f"\n{title}, {half} x {logits.shape[1]}")
        print(f"{'':26} {'seconds':>9} {'of processors':>14} {'log loss':>10}")
        for name in OURS:
            if arguments.only not in name:
                continue
            clock, used = [], []
            for _ in range(arguments.runs):
                began = time.perf_counter(), time.process_time()
                fitted = getattr(calibration, name)().fit(logits[:half], labels[:half])
                clock.append(time.perf_counter() - began[0])
                used.append(time.process_time() - began[1])
            loss = log_loss(fitted.predict_proba(logits[half:]), labels[half:])
            print(f"{name:26} {min(clock):9.3f} {min(used):14.3f} {loss:10.5f}", flush=True)


if __name__ == "__main__":
    main()
