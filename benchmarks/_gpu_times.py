"""Times of calls on a GPU."""

import statistics
from collections.abc import Callable

import torch


def poison() -> None:
    """Leave NaN in the memory that the next results are put into."""
    torch.full((1 << 26,), torch.nan, device="cuda")


def milliseconds(contenders: dict[str, Callable[[], object]], rounds: int = 8) -> dict[str, float]:
    """The median time of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for body in contenders.values():
        body()
    for _ in range(rounds):
        for name, body in contenders.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            body()
            end.record()
            end.synchronize()
            times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(values) for name, values in times.items()}
