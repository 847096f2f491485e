"""Logits from probabilities: their logarithms, with exact zeros made finite."""

import numpy as np

from .._arrays import Array, FloatArray, as_numpy
from .._checks import are_known, check_probabilities
from .._warn import warn_user
from ..errors import InvalidInputError

_SMALLEST = 5e-324  # number above 0


def probability_floor(probabilities: Array) -> float:
    """Return half the smallest positive probability, which replaces an exact 0.

    An exact 0 is a probability too small for the format it went through, be it float32, four decimals or
    a vote of a hundred trees; the smallest one that did get through tells where that limit lies.
    """
    checked = check_probabilities(probabilities)
    return floor_below(float(checked[checked > 0].min()))


def floor_below(smallest: float) -> float:
    """Return half the smallest positive probability."""
    return max(smallest / 2, _SMALLEST)


def logits_of(probabilities: Array, floor: float) -> FloatArray:
    """Return the logarithm of each probability, `floor` at the least; float64 (rows, classes)."""
    return np.log(np.maximum(check_probabilities(probabilities), floor, dtype=np.float64))


def logits_of_probabilities(probabilities: Array) -> FloatArray:
    """Return the logarithms, exact zeros made finite and counted in a warning."""
    warn_of_certainty(probabilities)
    return logits_of(probabilities, probability_floor(probabilities))


def warn_of_certainty(probabilities: Array) -> None:
    """Warn about probabilities that are exactly 0 or 1, except inside `known_logits`."""
    if are_known():
        return
    values = as_numpy(probabilities, "probabilities")
    zeros, ones = int(np.count_nonzero(values == 0)), int(np.count_nonzero(values == 1))
    if zeros or ones:
        warn_user(
            f"{zeros} probabilities are exactly 0 and {ones} exactly 1: rounding has lost how sure the model "
            "was there, and such rows can't be told apart; an exact 0 is taken as half the smallest positive "
            "probability. Give logits, if the model has them"
        )


def check_kind(wanted: str, probabilities: bool) -> None:
    """Refuse the other kind of number than a policy decides: its results would be wrong, and look right."""
    given = "probabilities" if probabilities else "logits"
    if wanted != given:
        how = "with" if wanted == "probabilities" else "without"
        raise InvalidInputError(
            f"the policy was fitted on {wanted}, and {given} were given; pass the model's {wanted}, {how} "
            "probabilities=True"
        )
