"""Intervals of weighted shares, such as the accuracy: how often a 95 % interval misses the true share.

    python benchmarks/weighted_shares.py [--repetitions N]

The weights of the first table have nothing to do with what is shared: an interval should miss in about 5 %
of the samples, as Clopper and Pearson's does, and rather less for shares near 1. In the second table the
heavy rows have another share than the light ones, as with class weights and importance weights. There the
sample must hold some of the heavy rows: 1 % of 50 rows are often none, and then no rule knows of them.

In percent, of 4000 repetitions, for the shares .5, .9, .95 and .99:

    rows                                       50              200             1000             5000
    equal                         3.1 2.9 1.1 1.6  3.6 2.8 2.7 1.5  4.2 4.6 3.9 2.4  5.4 4.7 4.3 4.9
    log-normal(0, 1)              2.4 0.9 0.7 0.4  3.2 1.8 1.1 0.5  4.8 2.8 2.4 0.5  4.8 3.8 3.3 1.8
    log-normal(0, 1.5)            1.2 1.1 0.7 0.4  2.2 0.8 0.6 0.5  3.9 1.3 0.7 0.3  4.5 2.1 1.5 0.3
    log-normal(0, 2)              0.5 1.1 1.3 0.6  1.4 0.8 0.9 0.7  2.7 0.9 0.7 0.5  3.5 1.0 0.5 0.1
    Pareto(.8)                    0.4 0.8 1.2 0.9  0.4 0.9 1.1 0.6  0.3 0.9 1.2 0.7  0.5 0.9 1.4 1.0
    2 % weigh 50                  1.1 1.7 2.6 1.1  1.8 0.9 0.7 0.2  3.6 1.1 0.8 0.7  5.0 3.7 2.1 0.5
    5 % weigh 50                  0.3 1.2 1.7 1.2  2.5 0.8 1.0 0.7  4.2 2.4 1.1 1.0  5.0 3.5 3.2 1.2
    10 % weigh 50                 1.3 0.9 1.1 0.5  3.1 1.1 0.7 1.1  4.6 3.1 2.7 1.2  4.5 4.4 3.7 2.0
    first weighs 1000             0.0 0.0 0.0 1.1  0.0 0.0 0.0 0.9  0.0 0.0 4.7 0.9  0.0 0.0 0.0 0.5

    5 % weigh 19, .6, others .95              9.8              4.4              4.0              4.7
    20 % weigh 8, .6, others .96              3.6              4.2              4.7              4.7
    10 % weigh 20, .5, others .97             7.2              3.3              4.2              4.7
    2 % weigh 50, .7, others .99             38.3              5.6              3.3              4.5
    1 % weigh 99, .6, others .95             58.0             14.6              4.2              3.9
    10 % weigh 20, .99, others .7             0.5              0.1              0.0              0.0
    90 % weigh 10, .98, others .5             1.1              1.2              1.9              3.0
"""

import argparse
from collections.abc import Callable

import numpy as np

from softmaxlib.metrics.shares import clopper_pearson, share_of_sums

SHARES = 0.5, 0.9, 0.95, 0.99
SIZES = 50, 200, 1000, 5000
_AT_ONCE = 1_000_000

Generator = np.random.Generator
Shape = tuple[int, int]
Draw = Callable[[Generator, Shape], np.ndarray]


def log_normal(spread: float) -> Draw:
    return lambda generator, shape: generator.lognormal(0, spread, shape)


def heavy(share: float, weight: float) -> Draw:
    return lambda generator, shape: np.where(generator.random(shape) < share, weight, 1.0)


OF_CHANCE: dict[str, Draw] = {
    "equal": lambda _, shape: np.full(shape, 0.1),
    "log-normal(0, 1)": log_normal(1.0),
    "log-normal(0, 1.5)": log_normal(1.5),
    "log-normal(0, 2)": log_normal(2.0),
    "Pareto(.8)": lambda generator, shape: 1 + generator.pareto(0.8, shape),
    "2 % weigh 50": heavy(0.02, 50),
    "5 % weigh 50": heavy(0.05, 50),
    "10 % weigh 50": heavy(0.10, 50),
    "first weighs 1000": lambda _, shape: np.where(np.arange(shape[1]) == 0, 1000.0, np.ones(shape)),
}
# of the heavy rows: their share, their weight, the share of hits among them, and among the others
OF_OUTCOMES = {
    "5 % weigh 19, .6, others .95": (0.05, 19.0, 0.6, 0.95),
    "20 % weigh 8, .6, others .96": (0.2, 8.0, 0.6, 0.96),
    "10 % weigh 20, .5, others .97": (0.1, 20.0, 0.5, 0.97),
    "2 % weigh 50, .7, others .99": (0.02, 50.0, 0.7, 0.99),
    "1 % weigh 99, .6, others .95": (0.01, 99.0, 0.6, 0.95),
    "10 % weigh 20, .99, others .7": (0.1, 20.0, 0.99, 0.7),
    "90 % weigh 10, .98, others .5": (0.9, 10.0, 0.98, 0.5),
}


def missed(weights: np.ndarray, hit: np.ndarray, truth: float) -> int:
    """Count the intervals without the true share, one of each line."""
    squares = weights**2
    total, all_squares = weights.sum(axis=1), squares.sum(axis=1)
    rows = np.full(len(weights), weights.shape[1])
    share = share_of_sums(total, (weights * hit).sum(axis=1), all_squares, (squares * hit).sum(axis=1), rows)
    low, high = clopper_pearson(share, 0.95)
    return int(np.count_nonzero((low > truth) | (truth > high)))


def of_chance(draw: Draw, size: int, repetitions: int) -> list[float]:
    """Return how often the interval of each share misses it."""
    generator = np.random.default_rng([1, size])
    found, done = np.zeros(len(SHARES)), 0
    while done < repetitions:
        shape = min(repetitions - done, _AT_ONCE // size), size
        weights, uniform = draw(generator, shape), generator.random(shape)
        found += [missed(weights, uniform < share, share) for share in SHARES]
        done += shape[0]
    return (found / done).tolist()


def of_outcomes(part: float, weight: float, high: float, low: float, size: int, repetitions: int) -> float:
    """Return the same where `part` of the rows is heavy, with the share `high`; that of others is `low`."""
    generator = np.random.default_rng([2, size])
    truth = (part * weight * high + (1 - part) * low) / (part * weight + 1 - part)
    found = done = 0
    while done < repetitions:
        shape = min(repetitions - done, _AT_ONCE // size), size
        is_heavy = generator.random(shape) < part
        hit = generator.random(shape) < np.where(is_heavy, high, low)
        found += missed(np.where(is_heavy, weight, 1.0), hit, truth)
        done += shape[0]
    return found / done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=4000)
    repetitions = parser.parse_args().repetitions
    print("of chance".ljust(32) + "".join(f"{size:>24}" for size in SIZES))
    for name, draw in OF_CHANCE.items():
        every = (of_chance(draw, size, repetitions) for size in SIZES)
        cells = (" ".join(f"{100 * one:.1f}" for one in found) for found in every)
        print(name.ljust(32) + "".join(f"{cell:>24}" for cell in cells), flush=True)
    print()
    for name, rows in OF_OUTCOMES.items():
        cells = (f"{100 * of_outcomes(*rows, size, repetitions):.1f}" for size in SIZES)
        print(name.ljust(32) + "".join(f"{cell:>24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
