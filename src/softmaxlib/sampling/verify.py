"""Speculative decoding: keep a prefix of a cheap model's tokens, and follow the target exactly."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _arrays
from .._arrays import Array, IntArray
from .._frameworks import in_kind_of
from ..activations import softmax
from ..errors import InvalidInputError
from . import _context
from ._compiled import draw_compiled
from ._elementary import Float64Array
from ._generator import UInt64Array, coin, fresh_key
from .chain import Chain


class Verification(NamedTuple):
    """The tokens to emit.

    Attributes
    ----------
    token : (..., K + 1) int64
        The accepted draft tokens, then one token of the target's own; -1 after it.
    accepted : (...) int64
        How many draft tokens were accepted, 0 to K.
    """

    token: IntArray
    accepted: IntArray


def verify(
    draft_tokens: Array,
    draft_logits: Array,
    target_logits: Array,
    chain: Chain,
    seed: Array,
    position: Array,
    *,
    draft_chain: Chain | None = None,
    history: Array | None = None,
    prompt_length: Array = 0,
) -> Verification:
    """Accept and correct drafted tokens so that the output follows the target's processed distribution.

    A draft token x is accepted with probability min(1, p(x) / q(x)), p of the target and q of the
    draft, both after their chains. At the first rejection a token is drawn from max(p - q, 0),
    normalized; when all are accepted, one more token from the target's last row. Each emitted token
    then follows p exactly.

    The draft may have been drawn with the same seed and positions: acceptance and correction use numbers
    that are independent of those of the draw.

    Parameters
    ----------
    draft_tokens : (..., K) int array
    draft_logits : (..., K, V) array
        The logits from which each draft token was drawn.
    target_logits : (..., K + 1, V) array
        The target's logits at the same places, and after the last draft token.
    chain : Chain
        What processes the target's logits, and the draft's.
    seed, position : int or array that broadcasts to (...)
        The key; `position` is that of the first draft token.
    draft_chain : Chain, optional
        What processed the draft's logits, if it was not `chain`.
    history, prompt_length
        As in `Chain.sample`: the tokens before the draft.

    Returns
    -------
    Verification

    Raises
    ------
    InvalidInputError
        Shapes that do not fit; a draft token out of range, or of probability 0 under its own logits.

    Notes
    ----- Source: Leviathan, Kalman & Matias, "Fast inference from transformers via speculative
      decoding" (ICML 2023); Chen et al., "Accelerating large language model decoding with speculative
      sampling" (2023).

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
    shape, (count, vocabulary) = tokens.shape[:-1], draft.shape[-2:]
    rows = int(np.prod(shape))
    tokens, draft = tokens.reshape(rows, count), draft.reshape(rows, count, vocabulary)
    target = target.reshape(rows, count + 1, vocabulary)
    seeds = np.broadcast_to(_context.check_seed(seed), shape).ravel()
    start = np.broadcast_to(_arrays.as_numpy(position, "position"), shape).ravel()
    past = (
        [np.zeros(0, np.int64)] * rows
        if history is None
        else _context.check_history(history, rows, vocabulary)
    )
    prompt = np.broadcast_to(_arrays.as_numpy(prompt_length, "prompt_length"), shape).ravel()

    output = np.full((rows, count + 1), -1, dtype=np.int64)
    accepted = np.zeros(rows, dtype=np.int64)
    active = np.arange(rows)
    for step in range(count + 1):
        if not len(active):
            break
        where = _context.check_position(start[active] + step)
        options: dict[str, Any] = {
            "history": [np.append(past[row], tokens[row, :step]) for row in active],
            "prompt_length": prompt[active],
            "seed": seeds[active],
            "position": where,
        }
        if step == count:
            output[active, step] = chain.sample(target[active, step], **options).token
            break
        p = softmax(chain.process(target[active, step], **options))
        q = softmax((draft_chain or chain).process(draft[active, step], **options))
        passed, emitted = _judge(
            p, q, tokens[active, step], fresh_key(seeds[active], where), where, active, step
        )
        output[active, step] = emitted
        accepted[active] += passed
        active = active[passed]
    verified = Verification(output.reshape(*shape, count + 1), accepted.reshape(shape)[()])
    return in_kind_of(target_logits, verified)


def _judge(
    p: Float64Array,
    q: Float64Array,
    token: IntArray,
    key: UInt64Array,
    position: npt.NDArray[np.uint32],
    row: IntArray,
    step: int,
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Which tokens are accepted, and the token that each row emits."""
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
    rest = np.where(rest.any(axis=-1, keepdims=True), rest, p)  # p = q: nothing is left to correct
    with np.errstate(divide="ignore"):
        correction = draw_compiled(np.log(rest), index, [], [], key, position).token
    return accepted, np.where(accepted, token, correction)


def _check_draft(draft_tokens: Array, draft: npt.NDArray[Any], target: npt.NDArray[Any]) -> IntArray:
    tokens = _arrays.as_numpy(draft_tokens, "draft_tokens")
    if draft.ndim < 2 or tokens.shape != draft.shape[:-1] or tokens.dtype.kind not in "iu":
        raise InvalidInputError(
            "draft_tokens must be whole numbers of shape (..., K) beside draft_logits (..., K, V), "
            f"got {tokens.dtype} {tokens.shape} and {draft.shape}"
        )
    expected = (*draft.shape[:-2], draft.shape[-2] + 1, draft.shape[-1])
    if target.shape != expected:
        raise InvalidInputError(
            f"target_logits must have one row more than the draft, shape {expected}, got {target.shape}; "
            "the last row is the target's after the last draft token"
        )
    outside = (tokens < 0) | (tokens >= draft.shape[-1])
    if outside.any():
        place = tuple(int(i) for i in np.argwhere(outside)[0])
        raise InvalidInputError(
            f"draft tokens must lie in 0 to {draft.shape[-1] - 1}, got {tokens[place]} at {place}"
        )
    return tokens.astype(np.int64)
