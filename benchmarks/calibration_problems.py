"""`Auto` beside the best single calibration of scikit-learn, netcal and probmetrics, on made problems.

    OMP_NUM_THREADS=2 python benchmarks/calibration_problems.py [--rows N ...] [--seeds N]

Classifiers too sure, too timid, or wrong in other ways, of scikit-learn's digits and of made data, and
made logits whose true probabilities are known. Of each, some rows fit and up to 6,000 others judge. What
stands in the last column is Auto's log loss beside that of the best peer, in per cent: below 0, it is ahead.
"""

import argparse
import logging
import warnings
from collections.abc import Callable

import numpy as np
from calibration import contenders, log_loss
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

Problem = tuple[np.ndarray, np.ndarray]
Distortion = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_LEVEL = 0.02  # per cent: a difference below is none


def of_digits(model: object) -> Problem:
    features, labels = load_digits(return_X_y=True)
    return predicted(model, features / 16, labels, 400)


def of_made_data(model: object, classes: int, flip: float = 0.05) -> Problem:
    informative = max(14, classes)
    features, labels = make_classification(
        9000,
        informative + 6,
        n_informative=informative,
        n_classes=classes,
        n_clusters_per_class=1,
        flip_y=flip,
        random_state=0,
    )
    return predicted(model, StandardScaler().fit_transform(features), labels, 3000)


def predicted(model, features: np.ndarray, labels: np.ndarray, train: int) -> Problem:
    model.fit(features[:train], labels[:train])
    probabilities = model.predict_proba(features[train:])
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)), labels[train:]


def of_logits(classes: int, distort: Distortion) -> Problem:
    generator = np.random.default_rng(classes)
    truth = 3 * generator.standard_normal((12_000, classes))
    labels = (truth + generator.gumbel(size=truth.shape)).argmax(axis=1)
    return distort(truth, generator), labels


def network(width: int = 64, steps: int = 100) -> MLPClassifier:
    return MLPClassifier((width,), max_iter=steps, random_state=0)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "digits, network": lambda: of_digits(network()),
    "digits, network stopped early": lambda: of_digits(network(16, 15)),
    "digits, naive Bayes": lambda: of_digits(GaussianNB(var_smoothing=1e-3)),
    "digits, forest": lambda: of_digits(RandomForestClassifier(60, random_state=0)),
    "2 classes, network": lambda: of_made_data(network(), 2),
    "2 classes, naive Bayes": lambda: of_made_data(GaussianNB(), 2),
    "3 classes, network": lambda: of_made_data(network(), 3, flip=0.2),
    "8 classes, logistic regression": lambda: of_made_data(LogisticRegression(max_iter=300), 8),
    "10 classes, network": lambda: of_made_data(network(100), 10),
    "10 classes, extra trees": lambda: of_made_data(ExtraTreesClassifier(60, random_state=0), 10),
    "30 classes, network": lambda: of_made_data(network(100, 60), 30),
    "2 classes, calibrated": lambda: of_logits(2, lambda truth, _: truth),
    "3 classes, too sure": lambda: of_logits(3, lambda truth, _: 2.5 * truth),
    "5 classes, too timid": lambda: of_logits(5, lambda truth, _: 0.4 * truth),
    "4 classes, squeezed": lambda: of_logits(4, lambda truth, _: 3 * np.tanh(truth / 2)),
    "10 classes, shifted": lambda: of_logits(10, lambda truth, random: 1.5 * truth + random.normal(size=10)),
    "10 classes, mixed": lambda: of_logits(
        10, lambda truth, random: truth @ (np.eye(10) + 0.15 * random.normal(size=(10, 10)))
    ),
    "10 classes, with noise": lambda: of_logits(
        10, lambda truth, random: 1.3 * truth + 1.5 * random.normal(size=truth.shape)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200, 800, 3000])
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    beside = []
    for name, make in PROBLEMS.items():
        logits, labels = make()
        for rows in arguments.rows:
            if rows < 0.7 * len(labels):
                beside += [compare(name, logits, labels, rows, seed) for seed in range(arguments.seeds)]
    found = np.array(beside)
    print(
        f"\nof {found.size}: level or ahead {(found <= _LEVEL).sum()}, mean {found.mean():.2f} %, "
        f"worst {found.max():.2f} %"
    )


def compare(name: str, logits: np.ndarray, labels: np.ndarray, rows: int, seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(labels))
    use, judge = order[:rows], order[rows : rows + 6000]
    losses = {}
    for who, fit in contenders().items():
        if who == "softmaxlib Auto" or not who.startswith("softmaxlib"):
            try:
                losses[who] = log_loss(fit(logits[use], labels[use])(logits[judge]), labels[judge])
            except (ValueError, IndexError):  # scikit-learn wants every class among the rows
                continue
    ours = losses.pop("softmaxlib Auto")
    best = min(losses, key=losses.__getitem__)
    beside = 100 * (ours / losses[best] - 1)
    print(f"{name:32} {rows:5} rows {ours:8.4f}   {best:26} {losses[best]:8.4f} {beside:8.2f} %", flush=True)
    return beside


if __name__ == "__main__":
    main()
