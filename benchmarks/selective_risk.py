"""`SelectiveRisk` against other ways to search a threshold: refusals, share decided, broken promises.

    python benchmarks/selective_risk.py [--repetitions N] [--only NAME]

A problem is a law of (highest probability, wrong or not), taken from 400,000 made rows; new rows are drawn
from it, so that the true risk of each threshold is known. "best" is the share decided at the lowest threshold
that keeps the risk. Refused: no threshold was promised. Decided: the mean share decided, 0 where refused.
Broken: the true risk at the threshold is above what was promised; stated is `1 - confidence` at most.

Ways: the fixed sequence (from the surest rows on until one threshold fails, all of the level on it); four
fixed sequences, three of them starting later (n0 (n/n0)^.3, .6, .9) with a twelfth of the level each, each
test that passes handing its level on; and `fallback`, which SelectiveRisk uses: a start at every doubling.

Problems: "floor F": F of the labels are random, in the surest rows too; "steep": the surest rows are hardly
ever wrong; "confident garbage": a share of rows is given near certainty and wrong half of the time (surer
rows are then wrong more often); "waves": the error rate rises above the risk and falls below it many times.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from softmaxlib import softmax
from softmaxlib.decisions._fallback_tests import binomial_p_values, first_index, last_rejected, rows_needed
from softmaxlib.decisions.selective_risk import _GRID

_ROWS_OF_LAW = 400_000


class Law(NamedTuple):
    share: np.ndarray  # of the rows, in each cell of the grid of thresholds
    wrong: np.ndarray  # how many of them are wrong


Counts = np.ndarray
Way = Callable[[Counts, Counts, float, float], int | None]


def made(spread: float, classes: int, floor: float) -> Law:
    logits = np.random.default_rng(0).normal(0, spread, (_ROWS_OF_LAW, classes))
    confidence = softmax(logits).max(axis=1)
    wrong = (1 - floor) * (1 - confidence) + floor * (1 - 1 / classes)
    cell = np.searchsorted(-_GRID, -confidence)
    rows = np.bincount(cell, minlength=_GRID.size)
    mistakes = np.bincount(cell, wrong, minlength=_GRID.size)
    return Law(rows / rows.sum(), np.divide(mistakes, rows, out=np.zeros(_GRID.size), where=rows > 0))


def with_garbage(law: Law, share: float, wrong: float) -> Law:
    cell = int(np.searchsorted(-_GRID, -(1 - 1e-14)))
    rows, mistakes = (1 - share) * law.share, (1 - share) * law.share * law.wrong
    rows[cell] += share
    mistakes[cell] += share * wrong
    return Law(rows, np.divide(mistakes, rows, out=np.zeros(rows.size), where=rows > 0))


def waves() -> Law:
    """A law whose error rate above a threshold swings around 0.1 by a twentieth, many times."""
    rows = np.arange(1, _GRID.size + 1)
    wrong = np.diff(0.1 * rows * (1 + 0.05 * np.sin(3 * np.pi * np.log2(rows))), prepend=0.0)
    return Law(np.full(_GRID.size, 1 / _GRID.size), wrong)


PROBLEMS = {
    "floor 4 %, logits N(0, 6^2)": lambda: made(6, 10, 0.04),
    "floor 8 %, logits N(0, 6^2)": lambda: made(6, 10, 0.08),
    "floor 2 %, logits N(0, 3^2)": lambda: made(3, 10, 0.02),
    "steep, logits N(0, 3^2)": lambda: made(3, 10, 0),
    "steep, logits N(0, 2^2)": lambda: made(2, 10, 0),
    "steep, 4 classes, N(0, 1.5^2)": lambda: made(1.5, 4, 0),
    "confident garbage 1 %": lambda: with_garbage(made(3, 10, 0), 0.01, 0.5),
    "waves": waves,
}


def fixed_sequence(rows: Counts, mistakes: Counts, risk: float, level: float) -> int | None:
    start = first_index(rows, risk, level)
    passed = binomial_p_values(mistakes[start:], rows[start:], risk) <= level
    count = int(np.argmin(np.append(passed, False)))
    return start + count - 1 if count else None


def four_sequences(rows: Counts, mistakes: Counts, risk: float, level: float) -> int | None:
    start = first_index(rows, risk, level)
    first, last = rows[start], rows[-1]
    own = np.zeros(rows.size)
    own[start] = 0.75 * level
    for exponent in (0.3, 0.6, 0.9):
        own[np.argmax(rows >= first * (last / first) ** exponent)] += level / 12
    p_values = binomial_p_values(mistakes, rows, risk)
    held, found = 0.0, None
    for index in range(start, rows.size):
        held += own[index]
        if held > 0 and p_values[index] <= held:
            found = index
        else:
            held = 0.0
    return found


WAYS: dict[str, Way] = {"fixed": fixed_sequence, "four": four_sequences, "fallback": last_rejected}


def compare(law: Law, rows: int, risk: float, confidence: float, repetitions: int) -> dict[str, np.ndarray]:
    """Refused, decided and broken, of each way."""
    generator = np.random.default_rng(1)
    decided = np.cumsum(law.share)
    true_risk = np.cumsum(law.share * law.wrong) / np.maximum(decided, 1e-300)
    totals = {name: np.zeros(3) for name in WAYS}
    enough = rows >= rows_needed(risk, 1 - confidence)
    for _ in range(repetitions):
        cells = generator.multinomial(rows, law.share)
        counts, mistakes = np.cumsum(cells), np.cumsum(generator.binomial(cells, law.wrong))
        for name, way in WAYS.items():
            last = way(counts, mistakes, risk, 1 - confidence) if enough else None
            if last is None:
                totals[name] += (1, 0, 0)
            else:
                chosen = np.searchsorted(counts, counts[last])
                totals[name] += (0, decided[chosen], true_risk[chosen] > risk)
    return {name: total / repetitions for name, total in totals.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--only", default="", metavar="NAME")
    arguments = parser.parse_args()
    print(f"{arguments.repetitions} repetitions; refused / decided / broken, in per cent")
    for risk, confidence in ((0.1, 0.95), (0.05, 0.9), (0.2, 0.99)):
        heads = "".join(f"{name:>22}" for name in WAYS)
        print(f"\nrisk {risk:g}, confidence {confidence:g}\n{'':42}{'best':>7}{heads}")
        for name, make in PROBLEMS.items():
            if arguments.only not in name:
                continue
            law = make()
            decided = np.cumsum(law.share)
            kept = (decided > 1e-6) & (np.cumsum(law.share * law.wrong) <= risk * decided)
            best = float(decided[kept].max(initial=0))
            for rows in (300, 1000, 3000, 10_000, 100_000, 1_000_000):
                found = compare(law, rows, risk, confidence, arguments.repetitions)
                cells = "".join(
                    f"{100 * refused:9.1f} /{100 * share:5.1f} /{100 * broken:4.1f}"
                    for refused, share, broken in found.values()
                )
                print(f"{name:32}{rows:>10,}{100 * best:7.1f}{cells}", flush=True)


if __name__ == "__main__":
    main()
