"""The next token in one call."""

import functools

import numpy as np

from .._arrays import Array
from . import _context
from .chain import Chain, Sample
from .stages import Parameter

_known_chain = functools.lru_cache(maxsize=64, typed=True)(Chain.standard)


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

    In this order: bias, allowed, temperature, top-n-sigma, top-k, top-p, min-p, typical-p; then the
    token is the argmax of score + Gumbel(seed, position, token), which follows the softmax of what is
    left exactly.

    With a seed per row, the same row, seed and position draw the same token alone or in any batch, on any
    number of threads, on every processor and instruction set, with forbidden tokens masked before the call or
    by `allowed`. What it cannot promise: the same token from logits that the model computed differently,
    in another batch or on another device, by a last bit or more.

    Parameters
    ----------
    logits : (..., V) array
        Finite numbers, -inf for an impossible token. All arguments below are one number or one per row, an
        array that broadcasts to (...).
    temperature : float, >= 0
        Divides the logits. 0: the largest logit, the lowest id among equals.
    top_k : int, >= 1
        Keep the k largest, and all that equal the k-th.
    top_p : float in (0, 1]
        Keep the smallest set of largest logits with mass top_p. Among equals the lower ids go first.
    min_p : float in [0, 1]
        Keep tokens at least min_p times as probable as the most probable.
    typical_p : float in (0, 1]
        Keep the set with mass typical_p whose surprise is nearest to the entropy; equally near ones stay.
    top_n_sigma : float, > 0
        Keep logits within so many standard deviations of the largest.
    bias : {token id: number}, or array that broadcasts to (..., V)
        Added to the logits.
    allowed : bool array that broadcasts to (..., V), or int32 words (..., ceil(V / 32)), lowest bit first
        Tokens that may be drawn.
    seed : int in [0, 2^64), numpy.random.Generator, or None
        One seed for several rows at one position: each row draws from a stream of its own, that of
        `row_seeds`. A seed per row is used as it is, and makes the row's token independent of the batch. A
        Generator is asked for a fresh seed at each call; None is fresh and cannot be repeated.
    position : int in [0, 2^32)
        The number of the token in its sequence: another position, another draw. A seed that comes without one
        draws the same token each time, with a warning.

    Returns
    -------
    Sample
        `token` int64, `logprob` (of the logits as they came) and `processed_logprob` (of what was drawn
        from), each of shape (...), of the kind and on the device of `logits`.

    Raises
    ------
    InvalidInputError
        NaN, +inf or a row of -inf; a parameter out of its range; a stage that leaves a row empty; one seed
        with a position that repeats among positions a row. The message names row and stage. A bad row of a
        tensor on a GPU gives the token -1 and NaN instead.

    Warns
    -----
    SoftmaxlibWarning
        For a seed without a position.

    Notes
    -----
    Accuracy: which tokens stay and which wins is decided on exact sums and in float64, the same bits
    everywhere; the draw's distribution differs from the softmax by less than 1e-12.

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
