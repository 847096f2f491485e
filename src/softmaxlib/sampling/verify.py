"""Speculative decoding: accept tokens of a cheap model, and follow the target distribution exactly."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray
from .._frameworks import in_kind_of
from .._underflow import underflow_is_zero
from ..activations import softmax
from ..errors import InvalidInputError
from . import _context
from ._call import Call, blocks, number_rows, prepare_rows, run, sample_compiled
from ._compiled import draw_compiled
from ._context import Context
from ._elementary import Float64Array
from ._generator import coin, fresh_key
from ._integers import whole_numbers
from ._keys import Keys, check_key
from .chain import Chain
from .stages import Stage


class Verification(NamedTuple):
    """The tokens to emit.

    Attributes
    ----------
    token : (..., K + 1) int64
        The accepted draft tokens, then one token of the target model, then -1.
    accepted : (...) int64
        Number of accepted draft tokens, 0 to K.
    """

    token: IntArray
    accepted: IntArray


@underflow_is_zero
def verify(
    draft_tokens: Array,
    draft_logits: Array,
    target_logits: Array,
    chain: Chain,
    seed: Array | np.random.Generator | None,
    position: Array,
    *,
    draft_chain: Chain | None = None,
    history: Array | None = None,
    prompt_length: Array = 0,
) -> Verification:
    """Accept and correct draft tokens so that the output follows the target distribution exactly.

    A draft token x is accepted with probability min(1, p(x) / q(x)). Here p is the distribution of the target
    and q that of the draft, both after their chains. At the first rejection a token is drawn from max(p - q,
    0), normalized. If all are accepted, one more token is drawn from the target's last row. Each emitted
    token then follows p exactly.

    The draft may use the same seed and positions: acceptance and correction use independent random numbers.

    Parameters
    ----------
    draft_tokens : (..., K) int array
    draft_logits : (..., K, V) array
        The logits from which each draft token was drawn.
    target_logits : (..., K + 1, V) array
        The target's logits at the same positions, and after the last draft token.
    chain : Chain
        The chain for the logits of the target, and of the draft.
    seed, position : as in `Chain.sample`
        The key. `position` is that of the first draft token. With one seed for several rows, each row has its
        own stream (see `row_seeds`).
    draft_chain : Chain, optional
        The chain for the logits of the draft, if it is not `chain`.
    history, prompt_length
        As in `Chain.sample`: the tokens before the draft. Arguments per row broadcast to (...).

    Returns
    -------
    Verification

    Raises
    ------
    InvalidInputError
        If shapes do not match, or a draft token is out of range or has probability 0 under its own logits.

    Notes
    -----
    Source: Leviathan, Kalman & Matias, "Fast inference from transformers via speculative decoding" (ICML
    2023); Chen et al., "Accelerating large language model decoding with speculative sampling" (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.sampling import Chain, verify
    >>> target = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 9.0]])
    >>> verified = verify(np.array([0, 1]), target[:2], target, Chain.standard(), seed=1, position=0)
    >>> verified.token  # draft and target agree: both accepted, and one more
    array([0, 1, 2])
    >>> int(verified.accepted)
    2
    """
    draft, target = _context.check_scores(draft_logits), _context.check_scores(target_logits)
    tokens = _check_draft(draft_tokens, draft, target)
    lead, (count, vocabulary) = tokens.shape[:-1], draft.shape[-2:]
    sequences = math.prod(lead)
    tokens = tokens.reshape(sequences, count)
    draft = draft.reshape(sequences, count, vocabulary)
    target = target.reshape(sequences, count + 1, vocabulary)
    for logits, name in ((draft, "draft_logits"), (target, "target_logits")):
        _check_values(logits, name)
    chains = [chain.stages, (draft_chain or chain).stages]
    past = [] if history is None else history
    key = check_key(seed, position)
    shape, context, _ = prepare_rows(
        (*chains[0], *chains[1]), lead, [], vocabulary, past, prompt_length, key, one_key_a_row=True
    )
    _check_last_position(context, count)
    target_stages, draft_stages = (
        [stage.spread(shape) for stage in stages if not stage.is_off] for stages in chains
    )
    source = number_rows(lead, shape)
    output = np.full((len(source), count + 1), -1, dtype=np.int64)
    accepted = np.zeros(len(source), dtype=np.int64)
    for part in blocks(len(source), vocabulary * (count + 1)):
        given = source[part]
        batch = _Batch(
            tokens[given],
            _Model(draft[given], [stage.take(part) for stage in draft_stages]),
            _Model(target[given], [stage.take(part) for stage in target_stages]),
            context.take(part),
        )
        output[part], accepted[part] = _verify_rows(batch, part.start)
    verified = Verification(output.reshape(*shape, count + 1), accepted.reshape(shape)[()])
    return in_kind_of(target_logits, verified)


class _Model(NamedTuple):
    """The logits (rows, places, V) of the draft or of the target model, and the stages that process them."""

    logits: npt.NDArray[Any]
    stages: list[Stage]

    def at(self, step: int, rows: IntArray, context: Context) -> Call:
        """Return the call of one position of some rows."""
        assert context.seed is not None  # verify has drawn them all
        assert context.position is not None
        return Call(
            self.logits[rows, step],
            (len(rows),),
            [stage.take(rows) for stage in self.stages],
            context,
            Keys((len(rows),), context.seed, context.position),
        )


class _Batch(NamedTuple):
    """Rows to verify: the draft tokens, and the two models that judge them."""

    tokens: IntArray
    draft: _Model
    target: _Model
    context: Context

    def context_of(self, step: int, rows: IntArray) -> Context:
        """Return the data of some rows after `step` accepted tokens."""
        context = self.context.take(rows)
        assert context.history is not None
        assert context.position is not None
        past = zip(context.history, self.tokens[rows, :step], strict=True)
        return replace(
            context,
            history=[np.concatenate(both) for both in past],
            position=context.position + np.uint32(step),
        )


def _verify_rows(batch: _Batch, first: int) -> tuple[IntArray, IntArray]:
    """Return the tokens to emit (rows, K + 1), and the number of accepted ones. `first` is the first row."""
    rows, count = batch.tokens.shape
    output = np.full((rows, count + 1), -1, dtype=np.int64)
    accepted = np.zeros(rows, dtype=np.int64)
    active = np.arange(rows)
    for step in range(count):
        if not len(active):
            return output, accepted
        context = batch.context_of(step, active)
        p, q = (softmax(run(model.at(step, active, context))) for model in (batch.target, batch.draft))
        passed, output[active, step] = _judge(p, q, batch.tokens[active, step], context, first + active, step)
        accepted[active] += passed
        active = active[passed]
    if len(active):
        context = batch.context_of(count, active)
        output[active, count] = sample_compiled(batch.target.at(count, active, context))[0]
    return output, accepted


def _judge(
    p: Float64Array,
    q: Float64Array,
    token: IntArray,
    context: Context,
    row: IntArray,
    step: int,
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which tokens are accepted, and the token that each row emits."""
    assert context.seed is not None
    assert context.position is not None
    key, position = fresh_key(context.seed, context.position), context.position
    index = np.arange(len(token))
    target, draft = p[index, token], q[index, token]
    if not np.all(draft > 0):
        wrong = int(np.flatnonzero(draft == 0)[0])
        raise InvalidInputError(
            f"a draft token must be possible under its own logits, got token {token[wrong]} with "
            "probability 0 "
            f"in row {row[wrong]}, draft position {step}; pass the logits and the chain that it was "
            "drawn with"
        )
    accepted = coin(key, position) * draft < target
    rest = np.maximum(p - q, 0.0)
    rest = np.where(rest.any(axis=-1, keepdims=True), rest, p)  # p = q: nothing to correct
    with np.errstate(divide="ignore"):
        correction = draw_compiled(np.log(rest), index, [], [], key, position).token
    return accepted, np.where(accepted, token, correction)


def _check_values(logits: npt.NDArray[Any], name: str) -> None:
    """Reject NaN, +inf and positions that are all -inf. The message names row and position."""
    places = max(1, logits.shape[1])
    flat = logits.reshape(logits.shape[0] * logits.shape[1], logits.shape[-1])
    _context.check_finite_rows(
        flat, name, lambda number: f"row {number // places}, draft position {number % places}"
    )


def _check_last_position(context: Context, count: int) -> None:
    assert context.position is not None
    beyond = np.flatnonzero(context.position.astype(np.int64) + count >= 2**32)
    if len(beyond):
        raise InvalidInputError(
            f"position must leave room for {count + 1} tokens below 2^32, got "
            f"{context.position[beyond[0]]} in row {beyond[0]}"
        )


def _check_draft(draft_tokens: Array, draft: npt.NDArray[Any], target: npt.NDArray[Any]) -> IntArray:
    if draft.ndim < 2:
        raise InvalidInputError(f"draft_logits must have shape (..., K, V), got shape {draft.shape}")
    expected = (*draft.shape[:-2], draft.shape[-2] + 1, draft.shape[-1])
    if target.shape != expected:
        raise InvalidInputError(
            f"target_logits must have one row more than the draft, shape {expected}, got {target.shape}; "
            "the last row is the target's after the last draft token"
        )
    tokens = whole_numbers(draft_tokens, "draft tokens", 2**63 - 1)
    if tokens.shape != draft.shape[:-1]:
        raise InvalidInputError(
            "draft_tokens must be whole numbers of shape (..., K) beside draft_logits (..., K, V), "
            f"got {tokens.shape} and {draft.shape}"
        )
    outside = tokens >= draft.shape[-1]
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        raise InvalidInputError(
            f"draft tokens must lie in 0 to {draft.shape[-1] - 1}, got {tokens[place]} at {place}"
        )
    return tokens
