"""Decisions, prediction sets, metrics and `evaluate` as multiples of one softmax of the same array.

    PYTHONPATH=src python benchmarks/decisions.py [--threads N] [--rounds N] [--files ROWS]

Every row of the table is measured in turn with `softmaxlib.softmax` of the same logits, in one process and
on the same threads; the least time of each counts. NumPy's and PyTorch's columns are what a person would
write by hand for the same result, without names and without checks. ``--files`` adds the command line on a
Parquet file of so many rows, as multiples of pyarrow reading it and writing the same columns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _processor import processor
from threadpoolctl import threadpool_limits

import softmaxlib
from softmaxlib import Policy, metrics
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets, Rule, SelectiveRisk, Threshold

SHAPES = [(1_000_000, 10), (100_000, 100)]
FITTED_ROWS = 20_000
TEMPERATURE = 1.5
Work = Callable[[], object]


def made_rows(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of an overconfident model, and labels drawn from what it should have said."""
    generator = np.random.default_rng(0)
    logits = 3 * generator.standard_normal((rows, classes), dtype=np.float32)
    noise = generator.gumbel(size=(rows, classes)).astype(np.float32)
    return logits, (logits / np.float32(TEMPERATURE) + noise).argmax(axis=1)


def made_cost(classes: int) -> np.ndarray:
    cost = np.random.default_rng(1).uniform(1, 5, (classes, classes))
    np.fill_diagonal(cost, 0)
    return cost


def least(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """The least time of each in milliseconds, all of them in turn."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    return best


def line(name: str, times: dict[str, float]) -> None:
    """One row of the table: our time, and everybody's in softmaxes."""
    unit = times["softmax"]
    others = [f"{times[peer] / unit:9.1f}" if peer in times else f"{'':9s}" for peer in ("NumPy", "PyTorch")]
    print(f"{name:44s} {times['ours']:9.2f} {times['ours'] / unit:9.1f} {' '.join(others)}", flush=True)


def by_hand(rule: Rule, logits: np.ndarray) -> dict[str, Work]:
    """Return the same decisions in the obvious NumPy and PyTorch."""
    tensor = torch.from_numpy(logits)

    def numpy_probabilities() -> np.ndarray:
        z = logits / np.float32(TEMPERATURE)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def torch_probabilities() -> torch.Tensor:
        return torch.softmax(tensor / TEMPERATURE, dim=1)

    def numpy_most_likely() -> object:
        p = numpy_probabilities()
        return p.argmax(axis=1), p.max(axis=1)

    def torch_most_likely() -> object:
        return torch_probabilities().max(dim=1)

    def numpy_threshold(threshold: float) -> object:
        p = numpy_probabilities()
        confidence = p.max(axis=1)
        return np.where(confidence >= threshold, p.argmax(axis=1), -1), confidence

    def torch_threshold(threshold: float) -> object:
        confidence, action = torch_probabilities().max(dim=1)
        return torch.where(confidence >= threshold, action, -1), confidence

    def numpy_cost(cost: np.ndarray, abstain_cost: float) -> object:
        expected = numpy_probabilities() @ cost.astype(np.float32)
        least_cost = expected.min(axis=1)
        return np.where(least_cost > abstain_cost, -1, expected.argmin(axis=1)), least_cost

    def torch_cost(cost: torch.Tensor, abstain_cost: float) -> object:
        least_cost, action = (torch_probabilities() @ cost).min(dim=1)
        return torch.where(least_cost > abstain_cost, -1, action), least_cost

    def numpy_lac(threshold: float) -> object:
        p = numpy_probabilities()
        sets = 1 - p <= threshold
        return sets, np.where(sets.sum(axis=1) == 1, sets.argmax(axis=1), -1), p.max(axis=1)

    def torch_lac(threshold: float) -> object:
        p = torch_probabilities()
        sets = 1 - p <= threshold
        return sets, torch.where(sets.sum(dim=1) == 1, sets.int().argmax(dim=1), -1), p.amax(dim=1)

    def numpy_aps(threshold: float) -> object:
        p = numpy_probabilities()
        order = np.argsort(-p, axis=1)
        ordered = np.take_along_axis(p, order, axis=1)
        sets = np.empty(p.shape, bool)
        np.put_along_axis(sets, order, ordered.cumsum(axis=1) - ordered <= threshold, axis=1)
        return sets, np.where(sets.sum(axis=1) == 1, sets.argmax(axis=1), -1), ordered[:, 0]

    def torch_aps(threshold: float) -> object:
        ordered, order = torch_probabilities().sort(dim=1, descending=True)
        inside = ordered.cumsum(dim=1) - ordered <= threshold
        sets = torch.empty_like(inside).scatter_(1, order, inside)
        return sets, torch.where(sets.sum(dim=1) == 1, sets.int().argmax(dim=1), -1), ordered[:, 0]

    if isinstance(rule, MostLikely):
        return {"NumPy": numpy_most_likely, "PyTorch": torch_most_likely}
    if isinstance(rule, MinimumCost):
        cost, aside = rule.cost, float(rule.abstain_cost or 0)
        tensor_cost = torch.from_numpy(cost.astype(np.float32))
        return {"NumPy": lambda: numpy_cost(cost, aside), "PyTorch": lambda: torch_cost(tensor_cost, aside)}
    if isinstance(rule, PredictionSets):
        threshold = float(rule.thresholds_[0])
        if rule.score == "lac":
            return {"NumPy": lambda: numpy_lac(threshold), "PyTorch": lambda: torch_lac(threshold)}
        return {"NumPy": lambda: numpy_aps(threshold), "PyTorch": lambda: torch_aps(threshold)}
    threshold = rule.threshold_ if isinstance(rule, SelectiveRisk) else 0.8
    return {"NumPy": lambda: numpy_threshold(threshold), "PyTorch": lambda: torch_threshold(threshold)}


def fitted(rule: Rule, logits: np.ndarray, labels: np.ndarray) -> Policy:
    return Policy(TemperatureScaling(), rule).fit(logits[:FITTED_ROWS], labels[:FITTED_ROWS])


def decisions(logits: np.ndarray, labels: np.ndarray, rounds: int) -> None:
    classes = logits.shape[1]
    rules = {
        "MostLikely()": MostLikely(),
        "Threshold(0.8)": Threshold(0.8),
        "MinimumCost(cost, abstain_cost=0.5)": MinimumCost(made_cost(classes), 0.5),
        "SelectiveRisk(0.4)": SelectiveRisk(0.4),
        'PredictionSets("lac")': PredictionSets("lac"),
        'PredictionSets("aps")': PredictionSets("aps"),
    }
    for name, rule in rules.items():
        policy = fitted(rule, logits, labels)
        works = {"softmax": lambda: softmaxlib.softmax(logits), "ours": lambda p=policy: p.decide(logits)}
        line(f"Policy.decide, {name}", least(works | by_hand(policy.rule, logits), rounds))


def judged(logits: np.ndarray, labels: np.ndarray, rounds: int) -> None:
    """The metrics, and what NumPy and PyTorch people write for them."""
    rows = np.arange(len(labels))
    tensor, truth = torch.from_numpy(logits), torch.from_numpy(labels)

    def numpy_softmax() -> np.ndarray:
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def numpy_log_loss() -> object:
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels])

    def numpy_brier() -> object:
        p = numpy_softmax()
        p[rows, labels] -= 1
        return (p * p).sum(axis=1).mean()

    def torch_brier() -> object:
        p = torch.softmax(tensor, dim=1)
        p[torch.arange(len(truth)), truth] -= 1
        return (p * p).sum(dim=1).mean()

    def error_of(confidence: np.ndarray, right: np.ndarray) -> object:
        bins = np.minimum((confidence * 15).astype(np.int64), 14)
        gap = np.bincount(bins, confidence, 15) - np.bincount(bins, right, 15)
        return np.abs(gap).sum() / len(right)

    def numpy_error() -> object:
        p = numpy_softmax()
        return error_of(p.max(axis=1), p.argmax(axis=1) == labels)

    def torch_error() -> object:
        confidence, chosen = torch.softmax(tensor, dim=1).max(dim=1)
        return error_of(confidence.numpy(), (chosen == truth).numpy())

    peers: dict[str, tuple[Any, dict[str, Work]]] = {
        "log_loss": (
            metrics.log_loss,
            {"NumPy": numpy_log_loss, "PyTorch": lambda: torch.nn.functional.cross_entropy(tensor, truth)},
        ),
        "brier_score": (metrics.brier_score, {"NumPy": numpy_brier, "PyTorch": torch_brier}),
        "accuracy": (
            metrics.accuracy,
            {
                "NumPy": lambda: (logits.argmax(axis=1) == labels).mean(),
                "PyTorch": lambda: (tensor.argmax(dim=1) == truth).double().mean(),
            },
        ),
        "calibration_error": (metrics.calibration_error, {"NumPy": numpy_error, "PyTorch": torch_error}),
    }
    for name, (ours, theirs) in peers.items():
        works = {"softmax": lambda: softmaxlib.softmax(logits), "ours": lambda f=ours: f(logits, labels)}
        line(f"metrics.{name}", least(works | theirs, rounds))


def one_row(rounds: int) -> None:
    """Microseconds of one decision through the public method."""
    logits, labels = made_rows(FITTED_ROWS, 10)
    row = logits[:1]
    for rule in (MostLikely(), Threshold(0.8), MinimumCost(made_cost(10), 0.5), PredictionSets("lac")):
        policy = fitted(rule, logits, labels)
        times = least({"ours": lambda p=policy: [p.decide(row) for _ in range(1000)]}, rounds)
        print(f"{f'Policy.decide of one row, {type(rule).__name__}':44s} {times['ours']:9.2f} us")


def evaluated(rows: int, rounds: int) -> None:
    logits, labels = made_rows(rows, 10)
    policy = fitted(MinimumCost(made_cost(10), 0.5), logits, labels)
    works = {
        "softmax": lambda: softmaxlib.softmax(logits),
        "ours": lambda: softmaxlib.evaluate(logits, labels, policy=policy),
    }
    line(f"evaluate {logits.shape}", least(works, rounds))


def on_files(rows: int) -> None:
    """The commands on a Parquet file, each a process of its own, against pyarrow in a process of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    logits, labels = made_rows(FITTED_ROWS, 10)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source, policy, output = place / "rows.parquet", place / "policy.json", place / "decisions.parquet"
        fitted(MinimumCost(made_cost(10), 0.5), logits, labels).save(policy)
        with pq.ParquetWriter(source, _schema(pa)) as writer:
            for start in range(0, rows, 1_000_000):
                part, truth = made_rows(min(1_000_000, rows - start), 10)
                names = pa.array(np.arange(start, start + len(part)).astype(str))
                columns = [pa.array(column) for column in np.ascontiguousarray(part.T)]
                writer.write_table(pa.table([names, *columns, pa.array(truth)], schema=_schema(pa)))
        command = [sys.executable, "-m", "softmaxlib"]
        decide = [*command, "decide", str(source), "--policy", str(policy), "-o", str(output), "--quiet"]
        copy = [sys.executable, "-c", _COPY, str(source), str(output), str(place / "copy.parquet")]
        _compare(f"softmaxlib decide, {rows:,} x 10, Parquet", decide, copy)
        evaluate = [*command, "evaluate", str(source), "--label", "truth", "--policy", str(policy), "--quiet"]
        _compare(
            f"softmaxlib evaluate, {rows:,} x 10, Parquet",
            evaluate,
            [sys.executable, "-c", _READ, str(source)],
        )


def _compare(name: str, command: list[str], pyarrow: list[str]) -> None:
    ours, theirs = _run(command), _run(pyarrow)
    print(f"{name:44s} {ours:9.2f} s, pyarrow {theirs:.2f} s, ratio {ours / theirs:.2f}", flush=True)


# reads the input, and writes what `softmaxlib decide` wrote, which is read before the clock starts
_COPY = """
import sys, time
import pyarrow.parquet as pq
columns = pq.read_table(sys.argv[2])
start = time.perf_counter()
with pq.ParquetWriter(sys.argv[3], columns.schema) as writer:
    done = 0
    for batch in pq.ParquetFile(sys.argv[1]).iter_batches(400_000):
        writer.write_table(columns.slice(done, batch.num_rows))
        done += batch.num_rows
print(time.perf_counter() - start)
"""
_READ = """
import sys, time
import pyarrow.parquet as pq
start = time.perf_counter()
for batch in pq.ParquetFile(sys.argv[1]).iter_batches(400_000):
    pass
print(time.perf_counter() - start)
"""


def _schema(pa: Any) -> Any:
    logits = [(f"logit_{k}", pa.float32()) for k in range(10)]
    return pa.schema([("id", pa.string()), *logits, ("truth", pa.int64())])


def _run(command: list[str]) -> float:
    """Seconds of the whole command, or those that it prints."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    taken = time.perf_counter() - start
    return float(done.stdout) if "-c" in command else taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--files", type=int, default=0, metavar="ROWS", help="for the command line too")
    parser.add_argument("--evaluate", type=int, default=1_000_000, metavar="ROWS", help="0: leave it out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        print(f"{processor()}, {arguments.threads} threads; times in softmaxes of the same array")
        for shape in SHAPES:
            logits, labels = made_rows(*shape)
            title = f"{shape[0]:,} x {shape[1]} float32"
            print(f"{title:44s} {'ms':>9s} {'ours':>9s} {'NumPy':>9s} {'PyTorch':>9s}")
            decisions(logits, labels, arguments.rounds)
            judged(logits, labels, arguments.rounds)
        one_row(arguments.rounds)
        if arguments.evaluate:
            evaluated(arguments.evaluate, arguments.rounds)
        if arguments.files:
            on_files(arguments.files)


if __name__ == "__main__":
    main()
