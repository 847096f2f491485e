"""Error bounds of results, which the tests check and the documentation prints.

A ULP is one unit in the last place of the exact result in the output's dtype, subnormal results included.
"""

from typing import NamedTuple


class Bound(NamedTuple):
    """The largest error of one function in one dtype.

    Attributes
    ----------
    function, dtype
        What the bound is of. The dtype is that of input and result.
    ulp
        The largest error, in ULP, of a result that is a normal number.
    subnormal_ulp
        The same for a subnormal result, whose ULP is that of the smallest normal number.
    domain
        The rows and options for which it holds.
    note
        What sets it.
    """

    function: str
    dtype: str
    ulp: float
    subnormal_ulp: float
    domain: str
    note: str


_ROWS = "rows of 1 to 2^40 finite numbers or -inf, at least one finite; 1e-290 < T < 1e290"
_ONCE = "computed in float32, rounded once more"
_CLOSE = "near zero, where maximum and logarithm cancel, the sum is taken again in more digits"

BOUNDS = (
    Bound("softmax", "float16", 0.51, 0.6, _ROWS, _ONCE),
    Bound("softmax", "bfloat16", 0.51, 0.6, _ROWS, _ONCE),
    Bound("softmax", "float32", 1.0, 1.0, _ROWS, "one rounding, and a second where the result is subnormal"),
    Bound("softmax", "float64", 2.0, 2.0, _ROWS, "exponentials and the share in two parts"),
    Bound("log_softmax", "float16", 0.51, 0.6, _ROWS, _ONCE),
    Bound("log_softmax", "bfloat16", 0.51, 0.6, _ROWS, _ONCE),
    Bound("log_softmax", "float32", 1.0, 1.0, _ROWS, "computed in float64 but for the sum of exponentials"),
    Bound("log_softmax", "float64", 2.0, 2.0, _ROWS, "differences, slope and logarithm in two parts"),
    Bound("logsumexp", "float16", 0.51, 0.6, _ROWS, _ONCE),
    Bound("logsumexp", "bfloat16", 0.51, 0.6, _ROWS, _ONCE),
    Bound("logsumexp", "float32", 1.0, 1.0, _ROWS, _CLOSE),
    Bound("logsumexp", "float64", 2.0, 2.0, _ROWS, _CLOSE),
)

_HARD = "finite logits; targets 0 and 1, focal_gamma at most 5, no label_smoothing"
_DOUBLE = "computed in float64, rounded once"
_TWO_DOUBLES = "computed in two parts of float64"

LOSS_BOUNDS = tuple(
    Bound(function, dtype, ulp, subnormal_ulp, _HARD, note)
    for function in ("sigmoid_cross_entropy", "sigmoid_cross_entropy_grad")
    for dtype, ulp, subnormal_ulp, note in (
        ("float16", 0.51, 0.6, _DOUBLE),
        ("bfloat16", 0.51, 0.6, _DOUBLE),
        ("float32", 1.0, 1.0, _DOUBLE),
        ("float64", 2.0, 2.0, _TWO_DOUBLES),
    )
)


def bound(function: str, dtype: str) -> Bound:
    """Return the bound of a function in a dtype.

    Raises
    ------
    KeyError
        For a function or dtype without one.

    Examples
    --------
    >>> from softmaxlib._accuracy import bound
    >>> bound("softmax", "float32").ulp
    1.0
    """
    for one in (*BOUNDS, *LOSS_BOUNDS):
        if (one.function, one.dtype) == (function, dtype):
            return one
    raise KeyError(f"no bound is stated for {function} in {dtype}")
