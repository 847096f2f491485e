"""One call of a chain: its arguments brought to rows, its stages run, its tokens drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy
from ..activations import log_softmax
from ..errors import InvalidInputError
from . import _context
from ._compiled import draw_compiled, parameter_of, split
from ._context import Context
from ._draw import draw
from ._elementary import Float64Array
from ._generator import UInt32Array, UInt64Array
from .stages import Allowed, Bias, Stage

Drawn = tuple[IntArray, npt.NDArray[Any], npt.NDArray[Any]]


class Call(NamedTuple):
    """What a chain works on.

    Attributes
    ----------
    logits : (..., V) float32 or float64
    shape : tuple of int
        The rows: the logits' leading axes broadcast with the parameters'.
    stages : list of Stage
        Those that are on, their parameters with one entry a row where they are arrays.
    context : Context
    """

    logits: npt.NDArray[Any]
    shape: tuple[int, ...]
    stages: list[Stage]
    context: Context


def prepare(
    stages: Sequence[Stage],
    logits: Array,
    history: Array | None,
    prompt_length: Array,
    bias: _context.Bias | None,
    allowed: Array | None,
    seed: Array | None,
    position: Array,
) -> Call:
    """Check all arguments but the values of the logits."""
    array = _context.check_scores(logits)
    active = [stage for stage in stages if not stage.is_off]
    coins = any(stage.draws for stage in active) and seed is not None
    keys = [_context.check_seed(seed), _context.check_position(position)] if coins else []
    if bias is not None and not isinstance(bias, Mapping):
        bias = as_numpy(bias, "bias")
    if allowed is not None:
        allowed = as_numpy(allowed, "allowed")
    extras: list[Any] = [bias, allowed]
    shape = _broadcast([
        array.shape[:-1],
        *(shape for stage in active for shape in stage.parameter_shapes()),
        *(np.shape(extra)[:-1] for extra in extras if np.ndim(extra) > 1),
        *(key.shape for key in keys),
    ])  # fmt: skip
    rows, vocabulary = int(np.prod(shape)), array.shape[-1]
    if history is None and any(stage.needs_history for stage in active):
        raise InvalidInputError(
            f"{next(type(stage).__name__ for stage in active if stage.needs_history)} reads the history: "
            "pass history=, the token ids so far ([] where there are none)"
        )
    context = Context(
        seed=_flat(keys[0], shape) if keys else None,
        position=_flat(keys[1], shape) if keys else None,
        history=None if history is None else _context.check_history(history, rows, vocabulary),
        prompt_length=_flat(as_numpy(prompt_length, "prompt_length").astype(np.int64), shape),
        bias=None if bias is None else _context.check_bias(bias, (*shape, vocabulary)),
        allowed=None if allowed is None else _context.check_allowed(allowed, (*shape, vocabulary)),
    )
    return Call(array, shape, [_rowwise(stage, shape) for stage in active], context)


def check_finite(call: Call) -> None:
    """Refuse NaN, +inf and rows of nothing but -inf."""
    _context.check_finite_rows(_rows(call))


def run(call: Call, stages: Sequence[Stage] | None = None) -> Float64Array:
    """The scores (rows, V) after the call's stages, or after `stages`."""
    scores = _broadcast_rows(call).astype(np.float64)
    for stage in call.stages if stages is None else stages:
        scores = apply(stage, scores, call.context)
    return scores


def apply(stage: Stage, scores: Float64Array, context: Context) -> Float64Array:
    """The scores after one stage; an error where it leaves a row without a token."""
    scores = stage.change(scores, context)
    largest = scores.max(axis=-1)
    if not np.isfinite(largest).all():
        row = int(np.flatnonzero(~np.isfinite(largest))[0])
        if largest[row] == -np.inf:
            raise InvalidInputError(
                f"stage {stage!r} removed the last tokens of row {row}; "
                "loosen it, or allow a token that the stages before it have left"
            )
        raise InvalidInputError(
            f"stage {stage!r} made a score of row {row} {largest[row]}; use a smaller parameter"
        )
    return scores


def sample_by_definition(call: Call, seed: UInt64Array, position: UInt32Array) -> Drawn:
    """Token, logprob and processed logprob, by the readable definitions: the oracle of the compiled ones."""
    check_finite(call)
    scores, rows = run(call), _rows(call)
    shape = np.broadcast_shapes(call.shape, seed.shape, position.shape)
    source = _flat(np.arange(len(scores)).reshape(call.shape), shape)
    token = draw(scores, source, _flat(seed, shape), _flat(position, shape))
    processed = log_softmax(scores)[source, token].astype(rows.dtype)
    return _shaped(shape, token, _logprob(call, shape, token), processed)


def sample_compiled(call: Call, seed: UInt64Array, position: UInt32Array) -> Drawn:
    """The same tokens, with as many of the last stages as possible inside the compiled draw."""
    extras = {Bias: call.context.bias, Allowed: call.context.allowed}
    given: set[type[Stage]] = {kind for kind, data in extras.items() if data is not None}
    before, inside = split(call.stages, given)
    shape = np.broadcast_shapes(call.shape, seed.shape, position.shape)
    keys = _flat(seed, shape), _flat(position, shape)
    values = [_spread(parameter_of(stage), call.shape, shape) for stage in inside]
    if before:
        check_finite(call)
        scores = _run_narrow(call, before)
        source = _flat(np.arange(len(scores)).reshape(call.shape), shape)
        drawn = draw_compiled(scores, source, inside, values, *keys)
        logprob = _logprob(call, shape, drawn.token)
        return _shaped(shape, drawn.token, logprob, drawn.processed_logprob.astype(logprob.dtype))
    rows = _rows(call)
    drawn = draw_compiled(rows, _row_of(call, shape), inside, values, *keys)
    if drawn.bad_draw >= 0:
        check_finite(call)
    return _shaped(shape, *drawn[:3])


def _shaped(shape: tuple[int, ...], *results: npt.NDArray[Any]) -> Drawn:
    token, logprob, processed = (result.reshape(shape)[()] for result in results)
    return token, logprob, processed


def _logprob(call: Call, shape: tuple[int, ...], token: IntArray) -> npt.NDArray[Any]:
    return log_softmax(_rows(call))[_row_of(call, shape), token]


def _run_narrow(call: Call, stages: Sequence[Stage]) -> npt.NDArray[Any]:
    scores = _broadcast_rows(call)
    for stage in stages:  # a mask is exact in any width, and the narrow one is drawn from faster
        wide = scores if isinstance(stage, Allowed) else scores.astype(np.float64, copy=False)
        scores = apply(stage, wide, call.context)
    return scores


def _broadcast_rows(call: Call) -> npt.NDArray[Any]:
    vocabulary = call.logits.shape[-1]
    return np.broadcast_to(call.logits, (*call.shape, vocabulary)).reshape(-1, vocabulary)


def _rows(call: Call) -> npt.NDArray[Any]:
    return call.logits.reshape(-1, call.logits.shape[-1])


def _row_of(call: Call, shape: tuple[int, ...]) -> IntArray:
    batch = call.logits.shape[:-1]
    return _flat(np.arange(int(np.prod(batch))).reshape(batch), shape)


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise InvalidInputError(
            f"parameters must be one number or one a row; their shapes {shapes[1:]} do not broadcast "
            f"to the rows of the logits {shapes[0]}"
        ) from None


def _flat(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.broadcast_to(values, shape).ravel()


def _spread(values: npt.NDArray[Any], rows: tuple[int, ...], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return _flat(values if values.ndim == 0 else values.reshape(rows), shape)


def _rowwise(stage: Stage, shape: tuple[int, ...]) -> Stage:
    if not stage.parameter_shapes():
        return stage
    values = {item.name: getattr(stage, item.name) for item in fields(stage)}
    return replace(
        stage,
        **{name: _flat(value, shape) for name, value in values.items() if isinstance(value, np.ndarray)},
    )
