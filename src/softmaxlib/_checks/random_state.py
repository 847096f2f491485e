"""The source of random numbers: a seed, or a generator that gives one."""

import numpy as np

from ..errors import UnsupportedTypeError
from .numbers import check_integer

RandomState = int | np.random.Generator

_LARGEST = 2**63 - 1  # that an int64, and so a file, can hold


def check_random_state(random_state: RandomState) -> int:
    """Return a seed: the integer given, or one that the generator given draws."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(_LARGEST, endpoint=True))
    if random_state is None:
        raise UnsupportedTypeError(
            "random_state must be an integer or a numpy.random.Generator, got None; write "
            "numpy.random.default_rng() for another result at each call"
        )
    return check_integer(random_state, "random_state", lower=0, upper=_LARGEST)
