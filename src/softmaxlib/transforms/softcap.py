"""A smooth bound on the size of logits."""

from .. import _generic
from .._arrays import Array
from .._checks import check_positive
from .._frameworks import as_graph_node


@as_graph_node
def softcap(x: Array, /, cap: float) -> Array:
    """Bound logits smoothly between ``-cap`` and ``cap``.

    ::

        cap tanh(x / cap)

    Small logits hardly change, large ones saturate, and the order of the classes stays the same. The bound
    keeps the logits of a network from growing without limit, which causes overconfidence and, in half
    precision, overflow.

    Parameters
    ----------
    x : array_like, shape (...)
        Logits. Integers are converted to float64.
    cap : float
        The bound, above 0. Language models use 30 to 50.

    Returns
    -------
    array, shape (...)
        Same array type and dtype as ``x``. The result is ``cap`` at +inf, ``-cap`` at -inf, and NaN at NaN. A
        class that was excluded by -inf is no longer excluded, so mask after capping.

    Raises
    ------
    InvalidInputError
        If the cap is not positive and finite.
    UnsupportedTypeError
        For bool, complex, object and text input.

    Notes
    -----
    For NumPy arrays the error is below 0.51 ULP in float16, bfloat16 and float32 (computed in float64 and
    rounded once), and at most 4 ULP in float64. Source: Bello et al., "Neural combinatorial optimization with
    reinforcement learning" (2016, section A.2); at the output of a language model, Gemma Team, "Gemma 2"
    (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import softcap
    >>> softcap(np.array([1.0, 30.0, 1000.0]), 30.0).round(3)
    array([ 1.   , 22.848, 30.   ])
    """
    return _generic.evaluate_elementwise(_generic.softcap, {"x": x}, cap=_check_cap(cap))


@as_graph_node
def softcap_vjp(x: Array, cotangent: Array, /, cap: float) -> Array:
    """Backpropagate through ``softcap``: compute the gradient with respect to the logits.

    ::

        g / cosh(x / cap)^2

    Parameters
    ----------
    x : array_like, shape (...)
        The logits that were given to ``softcap``.
    cotangent : array_like, shape (...)
        Gradient of the loss with respect to the capped logits.
    cap : float
        As given to ``softcap``.

    Returns
    -------
    array, shape (...)
        Same array type and dtype as the arguments. It is 0 at infinite logits.

    Raises
    ------
    InvalidInputError
        If the shapes differ, or if the cap is not positive and finite.
    UnsupportedTypeError
        For bool, complex, object and text input.

    Notes
    -----
    Saturated logits keep the digits of their small derivative, which ``1 - tanh^2`` would lose.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import softcap_vjp
    >>> softcap_vjp(np.array([0.0, 30.0]), np.array([1.0, 1.0]), 30.0).round(4)
    array([1.  , 0.42])
    """
    operands = {"x": x, "cotangent": cotangent}
    return _generic.evaluate_elementwise(_generic.softcap_vjp, operands, cap=_check_cap(cap))


def _check_cap(cap: float) -> float:
    return check_positive(cap, "cap", "leave softcap out for no bound")
