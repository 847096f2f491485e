"""Drawing tokens on the GPU: a chain is translated for the Triton kernels.

Nothing here waits for the GPU, so logits can't be checked: an invalid row gets the token -1.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..sampling import _context, _keys
from ..sampling._call import prepare_rows
from ..sampling._compiled import CODES, parameter_of, split
from ..sampling._context import Context
from ..sampling.history_stages import FrequencyPenalty, PresencePenalty, RepetitionPenalty
from ..sampling.stages import Allowed, Bias, Stage
from . import _gpu

Shape = tuple[int, ...]
LARGEST = float(np.finfo(np.float64).max)


def draw(
    stages: Sequence[Stage],
    logits: Tensor,
    *,
    history: Any,
    prompt_length: Any,
    bias: Any,
    allowed: Any,
    seed: Any,
    position: Any,
) -> Any:
    """Return token, logprob and processed logprob, with the arguments of `Chain.sample`.

    NotImplemented where a stage, the dtype or the machine has no kernel.
    """
    if logits.is_cuda and logits.device.index != torch.cuda.current_device():
        with torch.cuda.device(logits.device):
            return draw(
                stages, logits, history=history, prompt_length=prompt_length, bias=bias, allowed=allowed,
                seed=seed, position=position,
            )  # fmt: skip
    launch = _gpu.kernels("draw_launch")
    if launch is None or logits.dtype not in launch.DTYPES or logits.dim() == 0 or logits.numel() == 0:
        return NotImplemented
    if logits.requires_grad:
        logits = logits.detach()
    device = logits.device
    plain = bias is None and allowed is None and history is None and _is_word(prompt_length, 0)
    if plain and _is_word(seed, 64) and _is_word(position, 32):
        plan = _plan(stages)
        if plan is not None:
            key = launch.SharedKey(seed, position)
            results = launch.draw(logits, None, plan.codes, _constants(plan.parameters, device), key)
            return tuple(result.view(logits.shape[:-1]) for result in results)
    given: set[type[Stage]] = {kind for kind, data in ((Bias, bias), (Allowed, allowed)) if data is not None}
    before, inside = split([stage for stage in stages if not stage.is_off], given)
    if any(type(stage) not in _BODIES for stage in before):
        return NotImplemented
    extras = [tuple(data.shape[:-1]) for data in (bias, allowed) if isinstance(data, (Tensor, np.ndarray))]
    shape, context, _ = prepare_rows(
        stages, tuple(logits.shape[:-1]), extras, logits.shape[-1], history, prompt_length, None,
        one_key_a_row=False,
    )  # fmt: skip
    key, drawn = _key(seed, position, shape, device)
    scores = _scores_before(before, logits.expand(*shape, logits.shape[-1]), shape, context, bias, allowed)
    if scores is not None:
        scores = _spread_rows(scores, shape, drawn)
    results = launch.draw(
        logits.expand(*drawn, logits.shape[-1]),
        scores,
        tuple(CODES[type(stage)] for stage in inside),
        _parameters([parameter_of(stage) for stage in inside], shape, drawn, device),
        key if isinstance(key, Tensor) else launch.SharedKey(*key),
    )
    return tuple(result.reshape(drawn) for result in results)


def _is_word(value: Any, bits: int) -> bool:
    return type(value) is int and 0 <= value < 1 << bits


class _Plan(NamedTuple):
    """A chain of stages that the kernels run, each with one number as its parameter."""

    stages: Sequence[Stage]
    codes: tuple[int, ...]
    parameters: tuple[float, ...]


_plans: dict[int, _Plan] = {}


def _plan(stages: Sequence[Stage]) -> _Plan | None:
    """Return the kernel plan of a chain, cached from its last call, or None if kernels can't do all of it."""
    plan = _plans.get(id(stages))
    if plan is not None and plan.stages is stages:
        return plan
    before, inside = split([stage for stage in stages if not stage.is_off], set())
    values = [parameter_of(stage) for stage in inside]
    if before or any(value.ndim for value in values):
        return None
    if len(_plans) >= 256:
        _plans.clear()
    codes = tuple(CODES[type(stage)] for stage in inside)
    plan = _plans[id(stages)] = _Plan(stages, codes, tuple(float(value) for value in values) or (0.0,))
    return plan


def _key(
    seed: Any, position: Any, rows: Shape, device: torch.device
) -> tuple[Tensor | tuple[int, int], Shape]:
    """Return the key (one for all rows, or int64 (rows, 2)), and the shape of the draws.

    GPU tensors with a key per row are used as they are, unchecked.
    """
    if any(isinstance(one, Tensor) and one.is_cuda for one in (seed, position)):
        own = _own_keys(seed, 0 if position is None else position, rows, device)
        if own is not None:
            return own
    key = _keys.check_key(seed, position)
    if key.seed.ndim == 0 and key.position.ndim == 0:
        return (int(key.seed), int(key.position)), rows
    keys = _keys.spread(key, rows)
    pairs = np.stack([keys.seed.view(np.int64), keys.position.astype(np.int64)], axis=-1)
    return torch.from_numpy(pairs).to(device, non_blocking=True), keys.shape


def _own_keys(seed: Any, position: Any, rows: Shape, device: torch.device) -> tuple[Tensor, Shape] | None:
    """Return keys int64 (rows, 2) from tensors on the device and numbers; None without one for each row."""
    words: list[Tensor] = []
    for value in (seed, position):
        if isinstance(value, Tensor) and value.device == device and not value.is_floating_point():
            words.append(value.to(torch.int64))
        elif isinstance(value, int) and _is_word(value, 64):
            signed = value - (1 << 64) if value >> 63 else value
            words.append(torch.full((), signed, dtype=torch.int64, device=device))
        else:
            return None
    own = torch.broadcast_shapes(*(word.shape for word in words))
    shape = torch.broadcast_shapes(rows, own)
    if shape != own:
        return None
    return torch.stack([word.expand(shape) for word in words], -1).reshape(-1, 2), tuple(shape)


@functools.lru_cache(maxsize=256)
def _constants(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return the numbers that all rows share, on the device."""
    return torch.tensor(values, dtype=torch.float64, device=device)


def _parameters(values: list[Any], rows: Shape, draws: Shape, device: torch.device) -> Tensor:
    """Return the parameters: (stages,), or (stages, draws) if one of them has an entry per row."""
    if all(value.ndim == 0 for value in values):
        return _constants(tuple(float(value) for value in values) or (0.0,), device)
    spread = [np.broadcast_to(np.broadcast_to(value, rows), draws).ravel() for value in values]
    return torch.from_numpy(np.stack(spread)).to(device, non_blocking=True)


def _column(value: Any, rows: Shape, device: torch.device) -> Tensor:
    """Return a parameter of a stage as (rows, 1), or (1, 1) for all rows."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return _constants((float(array),), device)[:, None]
    return torch.from_numpy(np.broadcast_to(array, rows).reshape(-1, 1).copy()).to(device, non_blocking=True)


def _spread_rows(scores: Tensor, rows: Shape, draws: Shape) -> Tensor:
    """Return scores (rows, V) for each of the draws."""
    if rows == draws:
        return scores
    return scores.view(*rows, -1).expand(*draws, scores.shape[-1]).reshape(-1, scores.shape[-1])


def _scores_before(
    stages: Sequence[Stage], logits: Tensor, rows: Shape, context: Context, bias: Any, allowed: Any
) -> Tensor | None:
    """Return the scores (rows, V) after the stages before the kernels'; None if there is no such stage.

    A mask is exact in any width. Everything else is computed in double, as on the CPU.
    """
    if not stages:
        return None
    masks_only = all(isinstance(stage, Allowed) for stage in stages)
    scores = logits.to(torch.float32 if masks_only else torch.float64).reshape(-1, logits.shape[-1])
    data = {Bias: bias, Allowed: allowed}
    for stage in stages:
        scores = _BODIES[type(stage)](stage, scores, tuple(logits.shape), context, data.get(type(stage)))
    return scores.contiguous()  # results of tensor operations lie as their operands do


def _held(changed: Tensor, removed: Tensor) -> Tensor:
    """Return scores with overflowed ones replaced by the largest number; -inf where a token is removed."""
    return torch.where(removed, -torch.inf, changed.clamp(-LARGEST, LARGEST))


def _biased(stage: Stage, scores: Tensor, shape: Shape, context: Context, bias: Any) -> Tensor:
    if isinstance(bias, Tensor) and bias.is_cuda:
        added = bias.double().expand(shape).reshape(-1, shape[-1])
    else:
        added = torch.from_numpy(np.array(_context.check_bias(bias, shape))).to(scores.device)
    return _held(scores + added, torch.isneginf(scores) | torch.isneginf(added))


def _allowed(stage: Stage, scores: Tensor, shape: Shape, context: Context, allowed: Any) -> Tensor:
    if isinstance(allowed, Tensor) and allowed.is_cuda:
        mask = allowed
        if mask.dtype == torch.int32 and mask.shape[-1] == -(-shape[-1] // 32):
            bits = torch.arange(32, device=mask.device, dtype=torch.int32)
            mask = (mask[..., None] >> bits & 1).flatten(-2)[..., : shape[-1]].bool()
        if mask.dtype != torch.bool:
            _context.check_allowed(allowed, shape)
        mask = mask.expand(shape).reshape(-1, shape[-1])
    else:
        mask = torch.from_numpy(np.array(_context.check_allowed(allowed, shape))).to(scores.device)
    return torch.where(mask, scores, -torch.inf)


def _penalized(stage: Any, scores: Tensor, shape: Shape, context: Context, data: Any) -> Tensor:
    """Return the scores with the penalties for tokens of the history, by their counts."""
    counts = _counts(stage, scores, context)
    penalty = _column(stage.penalty, shape[:-1], scores.device)
    if isinstance(stage, RepetitionPenalty):
        changed = torch.where(scores < 0, scores * penalty, scores / penalty)
    elif isinstance(stage, PresencePenalty):
        changed = scores - penalty
    else:
        changed = scores - penalty * counts
    return _held(torch.where(counts > 0, changed, scores), torch.isneginf(scores))


def _counts(stage: Any, scores: Tensor, context: Context) -> Tensor:
    """Return how often each token is in the part of the history that counts: (rows, V) integers."""
    assert context.history is not None  # checked before
    assert context.prompt_length is not None
    begins = 0 if stage.include_prompt else context.prompt_length
    lengths = np.array([len(tokens) for tokens in context.history])
    counted = lengths - begins if stage.window is None else np.minimum(lengths - begins, stage.window)
    seen = [tokens[len(tokens) - number :] for tokens, number in zip(context.history, counted, strict=True)]
    tokens = np.concatenate([np.asarray(one, dtype=np.int64) for one in seen])
    tokens += np.repeat(np.arange(len(seen)) * scores.shape[-1], counted)
    places = torch.from_numpy(tokens).to(scores.device, non_blocking=True)
    counts = torch.zeros(scores.numel(), dtype=torch.int32, device=scores.device)
    return counts.index_add_(0, places, torch.ones_like(places, dtype=torch.int32)).view(scores.shape)


_BODIES: dict[type[Stage], Any] = {
    Bias: _biased,
    Allowed: _allowed,
    RepetitionPenalty: _penalized,
    PresencePenalty: _penalized,
    FrequencyPenalty: _penalized,
}
