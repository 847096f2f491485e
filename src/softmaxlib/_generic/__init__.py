"""Every function's definition in array-API terms.

The readable specification, the oracle in tests, and what runs for arrays of any other library. `xp`
is an array-API namespace; axes are checked by the caller.
"""

from .activations import (
    hardmax,
    log_sigmoid,
    log_softmax,
    log_softmax_jvp,
    log_softmax_vjp,
    logsumexp,
    normalize,
    one_minus_exp,
    sigmoid,
    softmax,
    softmax_jacobian,
)
from .evaluation import evaluate, evaluate_elementwise
from .losses import (
    cross_entropy,
    cross_entropy_grad,
    cross_entropy_terms,
    mean_of,
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_grad,
    sigmoid_cross_entropy_terms,
    widest_labels,
)
from .rows import from_rows, places_along, to_rows, with_axes
from .simplex import entmax, entmax_order_slope, gumbel_softmax, gumbel_softmax_vjp, simplex_vjp
from .temperature import at_least_normal
from .transforms import adjust_prior, adjust_prior_vjp, margin, margin_vjp, softcap, softcap_vjp

__all__ = [
    "adjust_prior",
    "adjust_prior_vjp",
    "at_least_normal",
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_terms",
    "entmax",
    "entmax_order_slope",
    "evaluate",
    "evaluate_elementwise",
    "from_rows",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "hardmax",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logsumexp",
    "margin",
    "margin_vjp",
    "mean_of",
    "normalize",
    "one_minus_exp",
    "places_along",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_grad",
    "sigmoid_cross_entropy_terms",
    "simplex_vjp",
    "softcap",
    "softcap_vjp",
    "softmax",
    "softmax_jacobian",
    "to_rows",
    "widest_labels",
    "with_axes",
]
