"""Times of calls on a GPU, and tensors there: the programs for a GPU share them."""

import statistics
from collections.abc import Callable

import torch


def poison() -> None:
    """Leave NaN in the memory that the next results are put into."""
    torch.full((1 << 26,), torch.nan, device="cuda")


def on_device(x: torch.Tensor) -> torch.Tensor:
    """The same numbers with the same strides and the same place beside a border."""
    storage = torch.empty(x.untyped_storage().nbytes() // x.element_size(), dtype=x.dtype)
    storage.set_(x.untyped_storage())
    return storage.flatten().cuda().as_strided(x.shape, x.stride(), x.storage_offset())


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
