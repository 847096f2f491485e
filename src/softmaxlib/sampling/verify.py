"""Speculative decoding: accept tokens of a cheap model, and follow the target distribution exactly."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy
from .._frameworks import between_graphs, in_kind_of
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
from .chain import Chain, check_chain
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


@between_graphs
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
    It must use them if its chain flips coins (XTC): q then depends on the coin of each seed and position.

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
        own stream (see `row_seeds`). If the chain of the draft flips coins, the seed is a number, or one per
        row, because a fresh seed would not be that of the draft.
    draft_chain : Chain, optional
        The chain for the logits of the draft, if it is not `chain`.
    history, prompt_length
        As in `Chain.sample`: the tokens before the draft. Penalties of either chain need the history.
        Arguments per row broadcast to (...).

    Returns
    -------
    Verification

    Raises
    ------
    InvalidInputError
        If shapes do not match, a draft token is out of range (as -1, the padding of the result, is) or has
        probability 0 under its own logits, a history is missing, or a draft that depends on coins comes
        without their seed.

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
    chains = [
        check_chain(chain, "chain").stages,
        (chain if draft_chain is None else check_chain(draft_chain, "draft_chain")).stages,
    ]
    coin_name = _name_of_coin(chains[1])
    if coin_name is not None and (seed is None or isinstance(seed, np.random.Generator)):
        got = "None" if seed is None else "a Generator"
        raise InvalidInputError(
            f"seed must be that of the draft, because {coin_name} in its chain flips coins, got {got}, which "
            "means a fresh seed; draw the draft with a whole number, or one per row, and pass it here too"
        )
    key = check_key(seed, position)
    shape, context, _ = prepare_rows(
        (*chains[0], *chains[1]), lead, [], vocabulary, history, prompt_length, key, one_key_a_row=True
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
        assert context.position is not None
        history = context.history
        if history is not None:
            history = [np.concatenate(both) for both in zip(history, self.tokens[rows, :step], strict=True)]
        return replace(context, history=history, position=context.position + np.uint32(step))


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
        token = batch.tokens[active, step]
        _check_possible(q, token, batch.draft.stages, first + active, step)
        passed, output[active, step] = _judge(p, q, token, context)
        accepted[active] += passed
        active = active[passed]
    if len(active):
        context = batch.context_of(count, active)
        output[active, count] = sample_compiled(batch.target.at(count, active, context))[0]
    return output, accepted


def _check_possible(q: Float64Array, token: IntArray, stages: list[Stage], row: IntArray, step: int) -> None:
    """Reject draft tokens that the draft can't have drawn. `stages` are the active ones of its chain."""
    impossible = np.flatnonzero(q[np.arange(len(token)), token] == 0)
    if not len(impossible):
        return
    wrong, coin_name = impossible[0], _name_of_coin(stages)
    key = "" if coin_name is None else f", and its seed and position, by which {coin_name} flips coins"
    raise InvalidInputError(
        f"a draft token must be possible under its own logits, got token {token[wrong]} with probability 0 "
        f"in row {row[wrong]}, draft position {step}; pass the logits and the chain that it was drawn "
        f"with{key}"
    )


def _name_of_coin(stages: Iterable[Stage]) -> str | None:
    """Return the name of the first stage that flips coins, or None."""
    return next((type(stage).__name__ for stage in stages if stage.draws and not stage.is_off), None)


def _judge(
    p: Float64Array, q: Float64Array, token: IntArray, context: Context
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which tokens are accepted, and the token that each row emits."""
    assert context.seed is not None
    assert context.position is not None
    key, position = fresh_key(context.seed, context.position), context.position
    index = np.arange(len(token))
    accepted = coin(key, position) * q[index, token] < p[index, token]
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
    given = as_numpy(draft_tokens, "draft_tokens")
    if given.shape != draft.shape[:-1]:
        raise InvalidInputError(
            "draft_tokens must be whole numbers of shape (..., K) beside draft_logits (..., K, V), "
            f"got {given.shape} and {draft.shape}"
        )

    def place(*index: int) -> str:
        row = np.ravel_multi_index(index[:-1], given.shape[:-1]) if given.ndim > 1 else 0
        padding = "-1 is the padding after the tokens that verify returns: cut it off"
        advice = padding if given[index] == -1 else "each is the number of a column of draft_logits"
        return f" in row {row}, draft position {index[-1]}; {advice}"

    return whole_numbers(draft_tokens, "draft tokens", draft.shape[-1] - 1, place)
