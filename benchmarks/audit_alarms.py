"""Measure how often `Policy.audit` raises an alarm: on a model that is exactly right, and under drift.

    python benchmarks/audit_alarms.py [--repetitions N] [--only NAME] [--drift] [--weights SPREAD]

Each repetition draws new rows to fit on and new rows to audit, so that both are random. A column is a
promise tested alone at 5 %; "any" is the audit as a whole, at 5 % over all promises together. A dash: never
testable. With --drift the audited rows no longer follow the model, and the figures are the power. A share
of `false alarms` above the margin printed at the top (99.9 % of the binomial of the level) is marked *. With
--weights each row, of the fit and of the audit, has a log-normal weight: 1 says as much as 0.37 rows of equal
weight, 0.5 as much as 0.78.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from _drawn_labels import drawn_labels
from scipy import stats

from softmaxlib import Policy, softmax
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets, Rule, SelectiveRisk

LEVEL = 0.05
PROMISES = ("calibration", "log loss", "share set aside", "risk", "coverage", "cost", "any")

Rows = tuple[np.ndarray, np.ndarray]


def binary(centre: float, spread: float) -> Callable[[int, np.random.Generator], np.ndarray]:
    def logits(rows: int, generator: np.random.Generator) -> np.ndarray:
        positive = generator.normal(centre, spread, rows)
        return np.stack([np.zeros(rows), positive], axis=1)

    return logits


def ten_classes(rows: int, generator: np.random.Generator) -> np.ndarray:
    """Ten classes, of which the most likely one is right in 97 of 100 rows."""
    logits = generator.normal(size=(rows, 10))
    logits[np.arange(rows), generator.integers(10, size=rows)] += 7 + 2 * generator.normal(size=rows)
    return logits


def heavy_tails(rows: int, generator: np.random.Generator) -> np.ndarray:
    return 3 * generator.standard_t(3, size=(rows, 4))


PROBLEMS = {
    "positives 0.6 %": binary(-6.2, 1.5),  # mean probability 0.0060
    "positives 0.7 %": binary(-5.0, 0.3),  # 0.0070, all rows alike
    "ten classes": ten_classes,
    "heavy tails": heavy_tails,
}


def rules(classes: int) -> Iterator[tuple[str, Callable[[], Rule]]]:
    cost = 1 - np.eye(classes)
    cost[-1, :-1] = 100.0  # to miss the last class is dear
    yield "MostLikely", MostLikely
    yield "MinimumCost", lambda: MinimumCost(cost, abstain_cost=0.5)
    yield "SelectiveRisk", lambda: SelectiveRisk(0.03)
    yield "PredictionSets", lambda: PredictionSets(alpha=0.1, groups="class")


DRIFTS = {
    "too sure x1.5": lambda logits: 1.5 * logits,
    "too timid x0.6": lambda logits: 0.6 * logits,
    "last class understated 3 times": lambda logits: (
        logits - np.log(3) * (np.arange(logits.shape[1]) == logits.shape[1] - 1)
    ),
    "last class overstated 3 times": lambda logits: (
        logits + np.log(3) * (np.arange(logits.shape[1]) == logits.shape[1] - 1)
    ),
}


def alarms(
    problem: Callable[[int, np.random.Generator], np.ndarray],
    rule: Callable[[], Rule],
    calibration: Callable[[], Identity | TemperatureScaling],
    rows: tuple[int, int],
    drift: Callable[[np.ndarray], np.ndarray],
    repetitions: int,
    spread: float,
) -> tuple[dict[str, float], int]:
    """The share of audits that reject each promise, and the number of audits."""
    rejected = dict.fromkeys(PROMISES, 0)
    seen: set[str] = {"any"}
    done = 0
    for seed in range(repetitions):
        generator = np.random.default_rng([seed, *rows])
        fit, new = problem(rows[0], generator), problem(rows[1], generator)
        fit_labels = drawn_labels(softmax(fit), generator)
        labels = drawn_labels(softmax(new), generator)
        try:
            weights = [generator.lognormal(sigma=spread, size=count) if spread else None for count in rows]
            policy = Policy(calibration(), rule()).fit(fit, fit_labels, sample_weight=weights[0])
        except ValueError:  # the rule refuses to promise
            continue
        audit = policy.audit(drift(new), labels, sample_weight=weights[1], significance=LEVEL)
        done += 1
        rejected["any"] += not audit.holds
        for check in audit.checks:
            if check.testable:
                seen.add(check.promise)
                rejected[check.promise] += check.p_value <= LEVEL
    shares = {name: rejected[name] / max(done, 1) for name in PROMISES if name in seen}
    return shares, done


def as_text(share: float | None, limit: float) -> str:
    return "- " if share is None else f"{share:.1%}{'*' if share > limit else ' '}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=600)
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--drift", action="store_true")
    parser.add_argument("--weights", type=float, default=0.0, metavar="SPREAD")
    parser.add_argument("--calibration", choices=("Identity", "TemperatureScaling"), default="Identity")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    calibration = {"Identity": Identity, "TemperatureScaling": TemperatureScaling}[arguments.calibration]
    most = stats.binom.ppf(0.999, arguments.repetitions, LEVEL) / arguments.repetitions
    print(f"{arguments.calibration}, {arguments.repetitions} repetitions; margin of {LEVEL:.0%}: {most:.1%}")
    if arguments.weights:
        print(f"log-normal weights of spread {arguments.weights:g}")
    drifts = DRIFTS if arguments.drift else {"no drift": lambda logits: logits}
    sizes = (
        [(5000, 500), (5000, 5000)]
        if arguments.drift
        else [(5000, 200), (5000, 500), (5000, 5000), (500, 5000)]
    )
    options = arguments.repetitions, arguments.weights
    for drift_name, drift in drifts.items():
        print(f"\n{drift_name}\n{'':48}" + "".join(f"{name:>16}" for name in PROMISES))
        for name, problem in PROBLEMS.items():
            classes = problem(1, np.random.default_rng(0)).shape[1]
            for rule_name, rule in rules(classes):
                if arguments.only not in f"{name} {rule_name}":
                    continue
                for rows in sizes:
                    shares, done = alarms(problem, rule, calibration, rows, drift, *options)
                    title = f"{name}, {rule_name}, {rows[0]} / {rows[1]}"
                    limit = np.inf if arguments.drift else most
                    cells = [as_text(shares.get(promise), limit) for promise in PROMISES]
                    refused = "" if done == arguments.repetitions else f"  ({done} fits)"
                    print(f"{title:48}" + "".join(f"{cell:>16}" for cell in cells) + refused, flush=True)


if __name__ == "__main__":
    main()
