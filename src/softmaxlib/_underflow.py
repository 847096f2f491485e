"""Numbers too small for their dtype: they are 0, whatever the program asked NumPy to do about them."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


def underflow_is_zero(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let numbers underflow to 0 in a function, even under ``np.seterr(under="raise")``.

    A probability that is too small for its dtype is 0 by design. It is no error of the program that called.
    """

    @functools.wraps(function)
    def quiet(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return quiet
