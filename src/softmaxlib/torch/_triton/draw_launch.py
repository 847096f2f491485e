"""A draw of tokens: which kernels run, and the memory that they work in."""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import draw_rows, draw_scan, draw_shares
from .chunks import CHUNK
from .draw_rows import TEMPERATURE, TOP_P, TYPICAL_P
from .draw_scan import BLOCKS
from .layout import rows_and_classes
from .parts import PART

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

# kernels are subscripted with the number of programs, which no type says
scan_kernel: Any = draw_scan.scan_kernel
mass_kernel: Any = draw_scan.mass_kernel
contest_kernel: Any = draw_scan.contest_kernel
draw_kernel: Any = draw_rows.draw_kernel
share_kernel: Any = draw_shares.share_kernel

_TILE = 1024
_OPTIONS = {"num_warps": 8, "num_stages": 1, "enable_fp_fusion": False}


class SharedKey(NamedTuple):
    """One seed and one position for all rows, each of which draws from a stream of its own."""

    seed: int
    position: int


class _Plan:
    """The layout of rows and the compiled kernels, shared by calls of one kind.

    Triton takes some 20 microseconds per launch to choose the variant of a kernel. A plan stores the choice.
    """

    def __init__(self, logits: Tensor, scores: Tensor | None, stages: tuple[int, ...]) -> None:
        self.classes = logits.shape[-1]
        self.rows = logits.numel() // self.classes
        self.chunks = triton.cdiv(self.classes, CHUNK.value)
        self.logits = _layout(logits)
        self.scores = self.logits if scores is None else _layout(scores)
        self.filters = tuple(i for i, code in enumerate(stages) if code != TEMPERATURE.value)
        self.heat = next((i for i, code in enumerate(stages) if code == TEMPERATURE.value), -1)
        self.unit = 2.0 ** min(51, 62 - self.classes.bit_length())
        self._compiled: dict[str, Any] = {}

    def launch(self, name: str, kernel: Any, columns: int, *arguments: Any) -> None:
        """Launch a kernel with a number of programs for each row."""
        grid = (self.rows, columns, 1)
        compiled = self._compiled.get(name)
        if compiled is None:
            self._compiled[name] = kernel[grid](*arguments, **_OPTIONS)
        else:
            compiled[grid](*arguments)


_plans: dict[tuple[Any, ...], _Plan] = {}


def _plan_of(logits: Tensor, scores: Tensor | None, stages: tuple[int, ...], *others: bool) -> _Plan:
    """Return the plan of calls with the same kernels; the alignment of the logits counts too."""
    kind = None if scores is None else scores.dtype
    lies = (logits.dtype, logits.shape, logits.stride(), logits.data_ptr() % 16, logits.device.index)
    key = (*lies, kind, stages, *others)
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= 256:
            _plans.clear()
        plan = _plans[key] = _Plan(logits, scores, stages)
    return plan


def draw(
    logits: Tensor,
    scores: Tensor | None,
    stages: tuple[int, ...],
    parameters: Tensor,
    key: SharedKey | Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one token per row.

    Parameters
    ----------
    logits : (..., V) tensor
    scores : (rows, V) contiguous tensor of float32 or float64, optional
        The scores after the stages before these.
    stages : tuple of int
        The codes of the stages (`draw_rows`), in order, with at most one temperature.
    parameters : (stages,) or (stages, rows) contiguous tensor of float64
    key : SharedKey, or (rows, 2) contiguous tensor of int64
        One key for all rows, or the seed and position of each.

    Returns
    -------
    token, logprob, processed_logprob : (rows,) tensors
        Token -1 and NaN where a row can't be drawn from.
    """
    by_row, keyed, device = parameters.dim() == 2, isinstance(key, Tensor), logits.device
    plan = _plan_of(logits, scores, stages, by_row, keyed)
    launch, filters, heat = plan.launch, plan.filters, plan.heat
    rows, classes, chunks = plan.rows, plan.classes, plan.chunks
    wide = scores is not None and scores.dtype == torch.float64
    kind = torch.float64 if wide else torch.float32
    drawn_from = logits if scores is None else scores

    def room(dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.empty((rows, *shape), dtype=dtype, device=device)

    parts = heated_parts = room(torch.float64, chunks, PART.value)
    maxima = room(kind, chunks * BLOCKS.value)
    scans = heat if not filters and not wide else -1
    has_tail = classes % 64 != 0
    if scans >= 0:
        heated_parts = room(torch.float64, chunks, PART.value)
    if scores is not None and not wide:
        other_parts = room(torch.float64, chunks, PART.value)
        launch(
            "scan of logits", scan_kernel, chunks,
            logits, logits, parts, parts, maxima, parameters, rows, classes, *plan.logits,
            -1, by_row, False, has_tail,
        )  # fmt: skip
        launch(
            "scan", scan_kernel, chunks,
            scores, scores, other_parts, heated_parts, maxima, parameters, rows, classes, *plan.scores,
            scans, by_row, False, has_tail,
        )  # fmt: skip
        heated_parts = heated_parts if scans >= 0 else other_parts
    else:
        launch(
            "scan", scan_kernel, chunks,
            logits, drawn_from, parts, heated_parts, maxima, parameters, rows, classes, *plan.logits,
            scans, by_row, wide, has_tail,
        )  # fmt: skip
    if isinstance(key, Tensor):
        keys, words = key, (0, 0, 0)
    else:
        keys, words = parameters, (key.seed & 0xFFFFFFFF, key.seed >> 32, key.position)
    sums = best = best_token = blocks = kept = tokens = masses = parameters
    if not filters:
        best, best_token = room(torch.float64, chunks, 3), room(torch.int32, chunks)
        launch(
            "contest", contest_kernel, chunks,
            drawn_from, maxima, parameters, keys, best, best_token, rows, classes, *plan.scores, *words,
            heat, by_row, keyed, wide,
        )  # fmt: skip
    else:
        if stages[filters[0]] == TOP_P.value:
            sums = room(torch.int64, chunks)
            launch(
                "masses", mass_kernel, chunks,
                drawn_from, maxima, parameters, sums, rows, classes, *plan.scores, plan.unit,
                heat if heat < filters[0] else -1, by_row, wide,
            )  # fmt: skip
        blocks, kept = room(torch.int32, chunks * BLOCKS.value), room(kind, classes)
        tokens = room(torch.int32, classes)
        if TOP_P.value in stages or TYPICAL_P.value in stages:
            masses = room(torch.int64, classes)
    drawn = room(torch.float64, 4)
    launch(
        "draw", draw_kernel, 1,
        drawn_from, *plan.scores, parts, maxima, sums, best, best_token, blocks, kept, tokens, masses,
        parameters, keys, drawn, rows, classes, plan.unit, *words,
        stages, filters, heat, by_row, keyed, wide, _TILE,
    )  # fmt: skip
    token, logprob, processed = room(torch.int64), room(torch.float32), room(torch.float32)
    launch(
        "share", share_kernel, 2,
        logits, *plan.logits, parts, heated_parts, best, kept, parameters, drawn,
        token, logprob, processed, rows, classes,
        heat, by_row, wide, not filters, chunks > 64, _TILE,
    )  # fmt: skip
    return token, logprob, processed


def _layout(x: Tensor) -> tuple[Any, ...]:
    """Return the layout of (..., V) scores: lengths and strides of the rows, and of the tokens."""
    outer, inner = rows_and_classes((x,), [-1])
    return outer.lengths, outer.strides[0], inner.lengths, inner.strides[0]
