"""Check the promises of `TunedThreshold` on generated rows with known truth.

    python benchmarks/tuned_threshold.py [--repetitions N] [--only NAME] [--figure PATH.svg]

Scores are normal, one deviation wide, in both classes; a logit says the true log-odds. So the figure that a
threshold gives on endlessly many rows is known, and each line says, over many fits: how often the 95%
interval holds that figure, how often an interval of the same kind around the figure of the very rows that the
threshold was chosen on would (in-sample), and by how much the two figures are too good on average. With a
floor: how often the true share is below it, which may be in 5% of fits, and how often `fit` refused. Alarms:
how often an audit of 500 rows of the same kind rejects the figure at 5%, the rows judged by that threshold.

Then scikit-learn's `TunedThresholdClassifierCV` on the same rows: the mean true figure of both.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from softmaxlib.decisions import Outcomes, TunedThreshold
from softmaxlib.decisions._threshold_search import draw_tables
from softmaxlib.errors import InvalidInputError

COSTS = [[0.0, 1.0], [20.0, 0.0]]
AUDITED = 500


class Problem(NamedTuple):
    rows: int
    share: float  # of class 1
    distance: float  # of the two means, in deviations

    def draw(self, generator: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (generator.random(rows) < self.share).astype(int)
        score = generator.normal(self.distance * labels)
        logit = self.distance * (score - self.distance / 2) + np.log(self.share / (1 - self.share))
        positive = 1 / (1 + np.exp(-logit))
        return np.stack([1 - positive, positive], axis=1), labels

    def table(self, threshold: float) -> np.ndarray:
        """The share of each class that is taken for each."""
        with np.errstate(divide="ignore"):
            logit = np.log(threshold) - np.log1p(-threshold)
        score = (logit - np.log(self.share / (1 - self.share))) / self.distance + self.distance / 2
        below = norm.cdf(score - np.array([0, self.distance]))
        return np.stack([below, 1 - below], axis=1) * [[1 - self.share], [self.share]]


PROBLEMS = [
    Problem(200, 0.2, 1.0),
    Problem(500, 0.1, 1.0),
    Problem(1000, 0.05, 1.5),
    Problem(2000, 0.3, 1.0),
    Problem(5000, 0.01, 2.0),
]
RULES: dict[str, dict[str, Any]] = {
    "f1_score": {"metric": "f1_score"},
    "balanced_accuracy": {"metric": "balanced_accuracy"},
    "matthews_correlation": {"metric": "matthews_correlation"},
    "cost": {"cost": COSTS},
    "recall, precision >= 0.3": {"metric": "recall", "at_least": ("precision", 0.3)},
    "precision, recall >= 0.8": {"metric": "precision", "at_least": ("recall", 0.8)},
}


class Line(NamedTuple):
    """One problem and rule; shares of the fits."""

    name: str
    problem: Problem
    refused: float
    covered: float
    covered_in_sample: float
    too_good: float
    in_sample_too_good: float
    below_floor: float
    alarms: float


def measure(name: str, problem: Problem, repetitions: int) -> Line:
    generator = np.random.default_rng(0)
    results = []
    for _ in range(repetitions):
        rule = TunedThreshold(**RULES[name])
        probabilities, labels = problem.draw(generator, problem.rows)
        try:
            rule.fit(probabilities, labels, probabilities=True)
        except InvalidInputError:
            results.append([1.0] + [np.nan] * 6)
            continue
        table = problem.table(rule.threshold_)
        truth = float(rule._figure(table))
        low, high = rule.interval_
        results.append(
            [
                0.0,
                low <= truth <= high,
                in_sample_covers(rule, probabilities, labels, truth),
                rule.value_ - truth,
                rule.in_sample_ - truth,
                rule.at_least is not None and share_of(rule.at_least.metric, table) < rule.at_least.least,
                alarm(rule, *problem.draw(generator, AUDITED)),
            ]
        )
    figures = np.nanmean(np.array(results, float), axis=0)
    return Line(name, problem, *figures.tolist())


def in_sample_covers(
    rule: TunedThreshold, probabilities: np.ndarray, labels: np.ndarray, truth: float
) -> bool:
    taken = (probabilities[:, 1] >= rule.threshold_).astype(int)
    counts = np.bincount(labels * 2 + taken, minlength=4).reshape(2, 2)
    low, high = np.quantile(rule._figure(draw_tables(counts.astype(float))), [0.025, 0.975])
    return low <= truth <= high


def share_of(metric: str, table: np.ndarray) -> float:
    whole = {"precision": table[:, 1], "recall": table[1], "specificity": table[0]}[metric]
    return whole[0 if metric == "specificity" else 1] / whole.sum()


def alarm(rule: TunedThreshold, probabilities: np.ndarray, labels: np.ndarray) -> bool:
    decision = rule.decide(probabilities, probabilities=True)
    outcomes = Outcomes(probabilities, decision, labels, probabilities.argmax(axis=1), ("0", "1"))
    return rule.promises(outcomes, calibration_rows=0, draws=1999)[0].p_value <= 0.05


def compare(metric: str, problem: Problem, repetitions: int) -> Iterator[tuple[float, float]]:
    """The true figures of the thresholds that this rule and scikit-learn's class choose."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.metrics import f1_score, make_scorer, matthews_corrcoef
    from sklearn.model_selection import TunedThresholdClassifierCV

    class Given(ClassifierMixin, BaseEstimator):
        """Its one feature is the probability."""

        def fit(self, rows: np.ndarray, labels: np.ndarray) -> "Given":
            self.classes_ = np.unique(labels)
            return self

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            return np.hstack([1 - rows, rows])

    scorer = {
        "f1_score": make_scorer(f1_score, zero_division=0),
        "balanced_accuracy": "balanced_accuracy",
        "matthews_correlation": make_scorer(matthews_corrcoef),
    }[metric]
    generator = np.random.default_rng(0)
    for _ in range(repetitions):
        probabilities, labels = problem.draw(generator, problem.rows)
        rule = TunedThreshold(metric).fit(probabilities, labels, probabilities=True)
        other = TunedThresholdClassifierCV(Given(), scoring=scorer).fit(probabilities[:, 1:], labels)
        chosen = (rule.threshold_, float(other.best_threshold_))
        yield tuple(float(rule._figure(problem.table(one))) for one in chosen)  # type: ignore[misc]


def draw_figure(lines: list[Line], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "tuned threshold"
    lines = [line for line in lines if "," not in line.name][::-1]
    figure, ax = pyplot.subplots(figsize=(7.2, 0.27 * len(lines) + 1), layout="constrained")
    for at, line in enumerate(lines):
        ax.plot([100 * line.covered_in_sample, 100 * line.covered], [at, at], color="0.8", zorder=1)
    places = range(len(lines))
    ax.scatter([100 * line.covered for line in lines], places, 36, "C0", label="cross-fitted: interval_")
    ax.scatter(
        [100 * line.covered_in_sample for line in lines], places, 36, "C3", marker="s", label="in-sample"
    )
    ax.axvline(95, color="0.4", linestyle=(0, (4, 4)), linewidth=1)
    names = [
        f"{line.name}, {line.problem.rows:,} rows, {line.problem.share:.0%} of class 1" for line in lines
    ]
    ax.set_yticks(places, names, fontsize=8)
    ax.set(xlabel="fits whose 95% interval holds the true figure, %", xlim=(75, 100))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--only", default="")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    lines = []
    heads = ["rows", "class 1", "distance", "refused", "held", "in-sample", "too good", "in-sample"]
    print(f"{'':26}" + "".join(f"{head:>10}" for head in [*heads, "below", "alarms"]))
    for name in RULES:
        for problem in PROBLEMS if given.only in name else []:
            line = measure(name, problem, given.repetitions)
            lines.append(line)
            shares = f"{line.refused:10.1%}{line.covered:10.1%}{line.covered_in_sample:10.1%}"
            excess = f"{line.too_good:10.4f}{line.in_sample_too_good:10.4f}"
            below = f"{line.below_floor:10.1%}" if "," in name else f"{'':10}"
            made = f"{problem.rows:10,}{problem.share:10.0%}{problem.distance:10.1f}"
            print(f"{name:26}{made}{shares}{excess}{below}{line.alarms:10.1%}", flush=True)
    if given.figure is not None:
        draw_figure(lines, given.figure)
    print(f"\n{'mean true figure':26}{'rows':>10}{'class 1':>10}{'here':>10}{'sklearn':>10}")
    for metric in ("f1_score", "balanced_accuracy", "matthews_correlation"):
        for problem in PROBLEMS if given.only in metric else []:
            here, other = np.mean(list(compare(metric, problem, given.repetitions // 10)), axis=0)
            print(f"{metric:26}{problem.rows:10,}{problem.share:10.0%}{here:10.4f}{other:10.4f}", flush=True)


if __name__ == "__main__":
    main()
