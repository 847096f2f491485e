"""One call of a chain: arrange arguments in rows, run the stages, draw the tokens."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy
from ..activations import log_softmax
from ..errors import InvalidInputError
from . import _context, _keys
from ._compiled import count_unsafe, draw_compiled, parameter_of, split
from ._context import Context
from ._draw import draw
from ._elementary import Float64Array
from ._history import History, check_history
from ._integers import whole_numbers
from ._keys import Key, Keys
from .stages import Allowed, Bias, Stage

Drawn = tuple[IntArray, npt.NDArray[Any], npt.NDArray[Any]]
Shape = tuple[int, ...]

# Rows go through the stages in blocks of this many scores. So memory does not grow with the batch, and an
# interrupt waits for one block only.
BLOCK = 2**20


class Call(NamedTuple):
    """The checked arguments of one call of a chain.

    Attributes
    ----------
    logits : (..., V) float32 or float64
    shape : tuple of int
        The rows: the broadcast leading axes of the logits and of all arguments per row.
    stages : list of Stage
        The active stages. Array parameters have one entry per row.
    context : Context
    keys : Keys or None
        The keys of the draws: one per row if the chain flips coins, otherwise one or more per row.
    """

    logits: npt.NDArray[Any]
    shape: Shape
    stages: list[Stage]
    context: Context
    keys: Keys | None


def prepare(
    stages: Sequence[Stage],
    logits: Array,
    history: Array | None = None,
    prompt_length: Array = 0,
    bias: _context.Bias | None = None,
    allowed: Array | None = None,
    key: Key | None = None,
) -> Call:
    """Check all arguments except the values of the logits."""
    array = _context.check_scores(logits)
    active = [stage for stage in stages if not stage.is_off]
    vocabulary = array.shape[-1]
    if bias is not None and not isinstance(bias, Mapping):
        bias = as_numpy(bias, "bias")
    if allowed is not None:
        allowed = as_numpy(allowed, "allowed")
    given: list[Any] = [bias, allowed]
    extras = [np.shape(extra)[:-1] for extra in given if np.ndim(extra) > 1]
    coins = any(stage.draws for stage in active)
    shape, context, keys = prepare_rows(
        stages, array.shape[:-1], extras, vocabulary, history, prompt_length, key, one_key_a_row=coins
    )
    context = replace(
        context,
        bias=None if bias is None else _context.check_bias(bias, (*shape, vocabulary)),
        allowed=None if allowed is None else _context.check_allowed(allowed, (*shape, vocabulary)),
    )
    return Call(array, shape, [stage.spread(shape) for stage in active], context, keys)


def prepare_rows(
    stages: Sequence[Stage],
    rows: Shape,
    others: Sequence[Shape],
    vocabulary: int,
    history: Array | None,
    prompt_length: Array,
    key: Key | None,
    *,
    one_key_a_row: bool,
) -> tuple[Shape, Context, Keys | None]:
    """Return the shape of the rows, their data, and the keys of their draws.

    Parameters
    ----------
    stages : sequence of Stage
        All stages, also inactive ones, because their parameters have a shape too.
    rows, others : shapes
        The leading axes of the logits, and of the other arguments per row.
    vocabulary : int
    history, prompt_length, key
        As given. The key is checked.
    one_key_a_row : bool
        Whether each key gets its own row. Otherwise several keys may draw from one row.
    """
    active = [stage for stage in stages if not stage.is_off]
    needs = next((type(stage).__name__ for stage in active if stage.needs_history), None)
    if history is None and needs is not None:
        raise InvalidInputError(
            f"{needs} reads the history: pass history=, the token ids so far ([] where there are none)"
        )
    lengths = whole_numbers(prompt_length, "prompt_length", 2**63 - 1)
    given = [item for stage in stages for item in stage.parameter_shapes().items()]
    given += [*(("bias or allowed", other) for other in others), ("prompt_length", lengths.shape)]
    shape = _broadcast(rows, given)
    past = None if history is None else check_history(history, vocabulary)
    if past is not None:
        shape = _with_history(shape, past)
    keys = None if key is None else _keys.spread(key, shape)
    own = keys if one_key_a_row else None
    shape = shape if own is None else own.shape
    context = Context(
        seed=None if own is None else own.seed,
        position=None if own is None else own.position,
        history=None if past is None else past.spread(shape),
        prompt_length=np.broadcast_to(lengths, shape).ravel(),
    )
    _context.check_prompt(context)
    return shape, context, keys


def check_finite(call: Call) -> None:
    """Reject NaN, +inf and rows that are all -inf."""
    _context.check_finite_rows(_rows(call), "logits", "row {}".format)


def blocks(rows: int, vocabulary: int) -> Iterator[slice]:
    """Yield slices of rows with about `BLOCK` scores."""
    step = max(1, BLOCK // vocabulary)
    return (slice(first, min(first + step, rows)) for first in range(0, rows, step))


def run(call: Call, stages: Sequence[Stage] | None = None) -> Float64Array:
    """Return the scores (rows, V) after the call's stages, or after `stages`."""
    vocabulary, source = call.logits.shape[-1], number_rows(call.logits.shape[:-1], call.shape)
    scores = np.empty((len(source), vocabulary))
    for part in blocks(len(source), vocabulary):
        scores[part] = _run_block(call, call.stages if stages is None else stages, source, part, np.float64)
    return scores


def _run_block(
    call: Call, stages: Sequence[Stage], source: IntArray, part: slice, kind: npt.DTypeLike
) -> npt.NDArray[Any]:
    scores = _rows(call)[source[part]].astype(kind, copy=False)
    context = call.context.take(part)
    for stage in stages:
        scores = apply(stage.take(part), scores, context, part.start)
    return scores


def apply(stage: Stage, scores: Float64Array, context: Context, first: int = 0) -> Float64Array:
    """Return the scores after one stage. Raise an error if a row has no token left. `first` is the first
    row."""
    scores = stage.change(scores, context)
    largest = scores.max(axis=-1)
    if (largest == -np.inf).any():
        row = first + int(np.flatnonzero(largest == -np.inf)[0])
        raise InvalidInputError(
            f"stage {stage!r} removed the last tokens of row {row}; "
            "loosen it, or allow a token that the stages before it have left"
        )
    return scores


def sample_by_definition(call: Call) -> Drawn:
    """Draw by the readable definitions, which are the reference of the compiled ones."""
    check_finite(call)
    scores, rows, keys = run(call), _rows(call), _keys_of(call)
    source = number_rows(call.shape, keys.shape)
    token = draw(scores, source, keys.seed, keys.position)
    processed = log_softmax(scores)[source, token].astype(rows.dtype)
    logprob = log_softmax(rows)[number_rows(call.logits.shape[:-1], keys.shape), token]
    return _shaped(keys.shape, token, logprob, processed)


def sample_compiled(call: Call) -> Drawn:
    """Draw the same tokens, with as many of the last stages as possible in the compiled draw."""
    extras = {Bias: call.context.bias, Allowed: call.context.allowed}
    given: set[type[Stage]] = {kind for kind, data in extras.items() if data is not None}
    rows, keys = _rows(call), _keys_of(call)
    before, inside = split(call.stages, given)
    if before or count_unsafe(inside, rows):
        check_finite(call)
        return _shaped(keys.shape, *_sample_blocks(call, before, inside))
    values = [_spread(parameter_of(stage), call.shape, keys.shape) for stage in inside]
    source = number_rows(call.logits.shape[:-1], keys.shape)
    drawn = draw_compiled(rows, source, inside, values, keys.seed, keys.position)
    if drawn.bad_draw >= 0:
        check_finite(call)
    return _shaped(keys.shape, *drawn[:3])


def _sample_blocks(call: Call, before: list[Stage], inside: list[Stage]) -> Drawn:
    """Run the stages before the compiled ones, and draw, block by block."""
    rows, keys = _rows(call), _keys_of(call)
    source, draws_of = number_rows(call.logits.shape[:-1], call.shape), number_rows(call.shape, keys.shape)
    order = np.argsort(draws_of, kind="stable")
    # a mask is exact in any dtype, and drawing is faster in a narrow one
    kind = rows.dtype if all(isinstance(stage, Allowed) for stage in before) else np.dtype(np.float64)
    token = np.empty(len(draws_of), dtype=np.int64)
    logprob, processed = (np.empty(len(draws_of), dtype=rows.dtype) for _ in range(2))
    for part in blocks(len(source), rows.shape[-1]):
        scores = _run_block(call, before, source, part, kind)
        unsafe = count_unsafe(inside, scores)
        for stage in inside[:unsafe]:
            scores = apply(stage.take(part), scores, call.context.take(part), part.start)
        draws = order[slice(*np.searchsorted(draws_of[order], (part.start, part.stop)))]
        local = draws_of[draws] - part.start
        values = [_parameter(stage.take(part), len(scores))[local] for stage in inside[unsafe:]]
        for chosen, which in _by_dtype(scores, local, rows.dtype):
            some = draws[which]
            of_stages = [one[which] for one in values]
            drawn = draw_compiled(
                chosen, local[which], inside[unsafe:], of_stages, keys.seed[some], keys.position[some]
            )
            token[some], processed[some] = drawn.token, drawn.processed_logprob
        logprob[draws] = log_softmax(rows[source[part]])[local, token[draws]]
    return token, logprob, processed


def _by_dtype(
    scores: npt.NDArray[Any], row: IntArray, dtype: np.dtype[Any]
) -> Iterator[tuple[npt.NDArray[Any], Any]]:
    """Yield scores, and which draws are from them: those of rows that the logits' dtype holds are in it.

    So a row that no stage has changed gives the same bits as without these stages.
    """
    if scores.dtype == dtype:
        yield scores, slice(None)
        return
    with np.errstate(over="ignore"):
        narrow = scores.astype(dtype)
    unchanged = (narrow == scores).all(axis=-1)[row]
    for chosen, which in ((narrow, unchanged), (scores, ~unchanged)):
        if which.all():
            yield chosen, slice(None)
        elif which.any():
            yield chosen, which


def _parameter(stage: Stage, rows: int) -> npt.NDArray[Any]:
    return np.broadcast_to(parameter_of(stage), (rows,))


def _keys_of(call: Call) -> Keys:
    if call.keys is None:
        raise InvalidInputError("a draw needs a key: pass seed and position")
    return call.keys


def _shaped(shape: Shape, *results: npt.NDArray[Any]) -> Drawn:
    token, logprob, processed = (result.reshape(shape)[()] for result in results)
    return token, logprob, processed


def _rows(call: Call) -> npt.NDArray[Any]:
    vocabulary = call.logits.shape[-1]
    return call.logits.reshape(call.logits.size // vocabulary, vocabulary)


def number_rows(rows: Shape, shape: Shape) -> IntArray:
    """Return the row number of each entry of a shape to which the rows broadcast."""
    return np.broadcast_to(np.arange(math.prod(rows)).reshape(rows), shape).ravel()


def _broadcast(rows: Shape, given: list[tuple[str, Shape]]) -> Shape:
    try:
        return np.broadcast_shapes(rows, *(shape for _, shape in given))
    except ValueError:
        got = ", ".join(f"shape {shape} for {name}" for name, shape in given if shape)
        raise InvalidInputError(
            "parameters must be one number or one per row, of shapes that broadcast; got "
            f"{got}, shape {rows} for the rows of the logits"
        ) from None


def _with_history(rows: Shape, history: History) -> Shape:
    try:
        return np.broadcast_shapes(rows, history.shape)
    except ValueError:
        raise InvalidInputError(
            f"history must have one sequence of token ids a row ({', '.join(map(str, rows))}), got "
            f"{', '.join(map(str, history.shape))}; one sequence that is not nested counts for all rows"
        ) from None


def _spread(values: npt.NDArray[Any], rows: Shape, shape: Shape) -> npt.NDArray[Any]:
    return np.broadcast_to(values if values.ndim == 0 else values.reshape(rows), shape).ravel()
