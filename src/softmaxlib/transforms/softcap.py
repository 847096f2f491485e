"""A smooth bound on the size of logits."""

from .. import _generic
from .._arrays import Array
from .._checks import check_positive
from .._frameworks import as_graph_node


@as_graph_node
def softcap(x: Array, /, cap: float) -> Array:
    """Bound logits smoothly to between ``-cap`` and ``cap``.

    ::

        cap tanh(x / cap)

    Small logits pass nearly unchanged, large ones saturate, and the order of the classes stays. It keeps
    a network from growing its logits without end, which shows as overconfidence and, in half
    precision, as overflow.

    Parameters
    ----------
    x : array_like, shape (...)
        Logits. Integers are taken as float64.
    cap : float
        The bound, above 0. Language models use 30 to 50.

    Returns
    -------
    array, shape (...)
        Of the kind and dtype of ``x``. ``cap`` at +inf, ``-cap`` at -inf (so a class excluded by -inf is
        no longer excluded: mask after capping), NaN at NaN.

    Raises
    ------
    InvalidInputError
        For a cap that is not finite and above 0.
    UnsupportedTypeError
        For bool, complex, object and text.

    Notes
    -----
    Accuracy on NumPy arrays: below 0.51 ULP in float16, bfloat16 and float32 (computed in float64, rounded
    once), at most 4 ULP in float64. Source: Bello et al., "Neural combinatorial optimization with
    reinforcement learning" (2016, section A.2); at the output of a language model, Gemma Team,
    "Gemma 2" (2024).

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
    """Compute the derivative of a loss by the logits from that by the output of ``softcap``.

    ::

        g / cosh(x / cap)^2

    Parameters
    ----------
    x : array_like, shape (...)
        The logits that were given to ``softcap``.
    cotangent : array_like, shape (...)
        Derivative of the loss by the capped logits.
    cap : float
        As it was given to ``softcap``.

    Returns
    -------
    array, shape (...)
        Of the kind and dtype of the arguments. 0 at infinite logits.

    Raises
    ------
    InvalidInputError
        When the shapes differ; for a cap that is not finite and above 0.
    UnsupportedTypeError
        For bool, complex, object and text.

    Notes
    -----
    Saturated logits keep the digits of their small derivative: ``1 - tanh^2`` would lose them.

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
