"""The next token in one call."""

import functools

import numpy as np

from .._arrays import Array
from .._frameworks import between_graphs
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from . import _context
from .chain import Chain, Sample
from .stages import Parameter

_known_chain = functools.lru_cache(maxsize=64, typed=True)(Chain.standard)


@between_graphs
@underflow_is_zero
@checked_keywords
def sample(
    logits: Array,
    /,
    *,
    temperature: Parameter = 1.0,
    top_k: Parameter = None,
    top_p: Parameter = None,
    min_p: Parameter = None,
    typical_p: Parameter = None,
    top_n_sigma: Parameter = None,
    bias: _context.Bias | None = None,
    allowed: Array | None = None,
    seed: Array | np.random.Generator | None = None,
    position: Array | None = None,
) -> Sample:
    """Draw the next token of each row from the softmax of its logits.

    The order is bias, allowed, temperature, top-n-sigma, top-k, top-p, min-p, typical-p. The token is then
    the argmax of score + Gumbel(seed, position, token), which follows the softmax of the remaining tokens
    exactly.

    With a seed per row, the same row, seed and position draw the same token: alone or in any batch, with any
    number of threads, on every processor and instruction set, and with tokens masked before the call or by
    `allowed`. The token may differ if the model computes slightly different logits, for example in another
    batch or on another device.

    Parameters
    ----------
    logits : (..., V) array
        Finite numbers, or -inf for an impossible token. The arguments below are one number, or one per row:
        an array that broadcasts to (...).
    temperature : float, >= 0
        Divides the logits. 0 means the largest logit, and the lowest id among equals.
    top_k : int, >= 1
        Keep the k largest logits, and all that equal the k-th.
    top_p : float in (0, 1]
        Keep the smallest set of largest logits with mass top_p. Of equal logits, lower ids are removed first.
    min_p : float in [0, 1]
        Keep tokens at least min_p times as probable as the most probable.
    typical_p : float in (0, 1]
        Keep the set with mass typical_p whose surprise is nearest to the entropy, including ties.
    top_n_sigma : float, > 0
        Keep logits within this many standard deviations of the largest.
    bias : {token id: number}, or array that broadcasts to (..., V)
        Added to the logits.
    allowed : bool array that broadcasts to (..., V), or int32 words (..., ceil(V / 32)), lowest bit first
        Tokens that may be drawn.
    seed : int in [0, 2^64), numpy.random.Generator, or None
        With one seed for several rows at one position, each row has its own stream (see `row_seeds`). A seed
        per row is used as given, and the token of the row does not depend on the batch. A Generator supplies
        a fresh seed per call. None means a fresh seed that can't be repeated.
    position : int in [0, 2^32)
        The number of the token in its sequence. Each position gives a new draw. A seed without a position
        draws the same token each time, with a warning.

    Returns
    -------
    Sample
        `token` int64, `logprob` (under the input logits) and `processed_logprob` (under the distribution of
        the draw), each of shape (...), with the array type and device of `logits`.

    Raises
    ------
    InvalidInputError
        If logits contain NaN, +inf or a row of only -inf, a parameter is out of range, a stage removes all
        tokens of a row, or positions repeat with one seed. The message names row and stage. On a GPU a bad
        row gives token -1 and NaN instead.

    Warns
    -----
    SoftmaxlibWarning
        For a seed without a position.

    Notes
    -----
    The tokens to keep and the drawn token are decided by exact sums and in float64, with the same bits
    everywhere. The distribution of the draw differs from the softmax by less than 1e-12.

    Sources: Maddison, Tarlow & Minka, "A* sampling" (2014), for Gumbel-max; Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3" (2011), for Threefry.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.sampling import sample
    >>> logits = np.array([[2.0, 1.0, 0.1], [0.0, 3.0, 0.0]])
    >>> drawn = sample(logits, temperature=0.7, top_p=0.9, seed=2024, position=np.array([0, 1]))
    >>> drawn.token
    array([0, 1])
    >>> int(sample(logits[1], temperature=0.7, top_p=0.9, seed=2024, position=1).token)
    1
    """
    options = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical_p": typical_p,
        "top_n_sigma": top_n_sigma,
    }
    numbers = all(value is None or type(value) in (int, float) for value in options.values())
    chain = _known_chain(**options) if numbers else Chain.standard(**options)
    return chain.sample(logits, seed=seed, position=position, bias=bias, allowed=allowed)
