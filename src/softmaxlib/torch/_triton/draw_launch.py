"""A draw of tokens: which kernels run, and the memory that they work in."""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import draw_rows, draw_scan, draw_shares
from .draw_rows import TEMPERATURE, TOP_P
from .draw_scan import PART
from .draw_scores import BLOCK
from .layout import rows_and_classes

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

# kernels are subscripted with the number of programs, which no type says
scan_kernel: Any = draw_scan.scan_kernel
mass_kernel: Any = draw_scan.mass_kernel
contest_kernel: Any = draw_scan.contest_kernel
draw_kernel: Any = draw_rows.draw_kernel
share_kernel: Any = draw_shares.share_kernel

_TILE = 1024


class SharedKey(NamedTuple):
    """One seed and one position for all rows, each of which draws from a stream of its own."""

    seed: int
    position: int


def draw(
    logits: Tensor,
    scores: Tensor | None,
    stages: tuple[int, ...],
    parameters: Tensor,
    key: SharedKey | Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one token a row.

    Parameters
    ----------
    logits : (..., V) tensor
    scores : (rows, V) contiguous tensor of float32 or float64, optional
        What the stages before these have made of the logits.
    stages : tuple of int
        Their codes (`draw_rows`), in order, at most one of them a temperature.
    parameters : (stages,) or (stages, rows) contiguous tensor of float64
    key : SharedKey, or (rows, 2) contiguous tensor of int64
        Or seeds and positions of the rows.

    Returns
    -------
    token, logprob, processed_logprob : (rows,) tensors
        Token -1 and NaN where a row can't be drawn from.
    """
    classes, device = logits.shape[-1], logits.device
    rows, number = logits.numel() // classes, triton.cdiv(classes, 4096)
    wide = scores is not None and scores.dtype == torch.float64
    filters = tuple(i for i, code in enumerate(stages) if code != TEMPERATURE.value)
    heat = next((i for i, code in enumerate(stages) if code == TEMPERATURE.value), -1)
    by_row = parameters.dim() == 2

    def floats(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float64, device=device)

    lain = _layout(logits)
    lain_scores = lain if scores is None else _layout(scores)
    drawn_from = logits if scores is None else scores
    kind = torch.float64 if wide else torch.float32
    parts = heated_parts = floats(rows, number, PART.value)
    maxima = torch.empty((rows, number * 32), dtype=kind, device=device)
    each_chunk, options = (rows, number), {"num_warps": 8, "num_stages": 1, "enable_fp_fusion": False}
    scans = heat if not filters and not wide else -1
    has_tail = classes % 64 != 0
    if scans >= 0:
        heated_parts = floats(rows, number, PART.value)
    if scores is not None and not wide:
        other_parts = floats(rows, number, PART.value)
        scan_kernel[each_chunk](
            logits, logits, parts, parts, maxima, parameters, rows, classes, *lain,
            -1, by_row, False, has_tail, **options,
        )  # fmt: skip
        scan_kernel[each_chunk](
            scores, scores, other_parts, heated_parts, maxima, parameters, rows, classes, *lain_scores,
            scans, by_row, False, has_tail, **options,
        )  # fmt: skip
        heated_parts = heated_parts if scans >= 0 else other_parts
    else:
        scan_kernel[each_chunk](
            logits, drawn_from, parts, heated_parts, maxima, parameters, rows, classes, *lain,
            scans, by_row, wide, has_tail, **options,
        )  # fmt: skip
    key_tensor = parameters if isinstance(key, SharedKey) else key
    seed, position = key if isinstance(key, SharedKey) else (0, 0)
    words = (seed & 0xFFFFFFFF, seed >> 32, position)
    unit = 2.0 ** min(51, 62 - classes.bit_length())
    sums = best = best_token = blocks = kept = tokens = masses = parameters
    if not filters:
        best = floats(rows, number, 3)
        best_token = torch.empty((rows, number), dtype=torch.int32, device=device)
        contest_kernel[each_chunk](
            drawn_from, maxima, parameters, key_tensor, best, best_token, rows, classes, *lain_scores, *words,
            heat, by_row, isinstance(key, Tensor), wide, **options,
        )  # fmt: skip
    else:
        if stages[filters[0]] == TOP_P.value:
            sums = torch.empty((rows, number), dtype=torch.int64, device=device)
            mass_kernel[each_chunk](
                drawn_from, maxima, parameters, sums, rows, classes, *lain_scores, unit,
                heat if heat < filters[0] else -1, by_row, wide, **options,
            )  # fmt: skip
        blocks = torch.empty((rows, number * 4096 // BLOCK.value), dtype=torch.int32, device=device)
        kept = torch.empty((rows, classes), dtype=kind, device=device)
        tokens = torch.empty((rows, classes), dtype=torch.int32, device=device)
        masses = torch.empty((rows, classes), dtype=torch.int64, device=device)
    token = torch.empty(rows, dtype=torch.int64, device=device)
    logprob, processed = (torch.empty(rows, dtype=torch.float32, device=device) for _ in range(2))
    drawn = floats(rows, 4)
    draw_kernel[(rows,)](
        drawn_from, *lain_scores, parts, maxima, sums, best, best_token, blocks, kept, tokens, masses,
        parameters, key_tensor, drawn, rows, classes, unit, *words,
        stages, filters, heat, by_row, isinstance(key, Tensor), wide, _TILE, **options,
    )  # fmt: skip
    share_kernel[(rows, 2)](
        logits, *lain, parts, heated_parts, best, kept, parameters, drawn,
        token, logprob, processed, rows, classes,
        heat, by_row, wide, not filters, number > 64, _TILE, **options,
    )  # fmt: skip
    return token, logprob, processed


def _layout(x: Tensor) -> tuple[Any, ...]:
    """Where the rows of (..., V) scores lie: lengths and steps of the rows, and of the tokens."""
    outer, inner = rows_and_classes((x,), [-1])
    return outer.lengths, outer.strides[0], inner.lengths, inner.strides[0]
