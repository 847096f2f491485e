"""The compiled draw: temperature, filters and Gumbel-max on one row at a time.

Its tokens are those of the definition in `filters` and `_draw`. Other stages run before it, in NumPy.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._arrays import IntArray
from ._generator import UInt32Array, UInt64Array
from .stages import Allowed, Bias, MinP, Stage, Temperature, TopK, TopNSigma, TopP, TypicalP

CODES = {Temperature: 0, TopK: 1, TopP: 2, MinP: 3, TypicalP: 4, TopNSigma: 5}
_PARAMETERS = {Temperature: "temperature", TopK: "k", TopP: "p", MinP: "p", TypicalP: "p", TopNSigma: "n"}
_LEAST, _MOST = 1e-18, 1e18
_LARGEST = 1e280


class Drawn(NamedTuple):
    """The results of the kernel, per draw."""

    token: IntArray
    logprob: npt.NDArray[Any]
    processed_logprob: npt.NDArray[Any]
    bad_draw: int


def split(stages: list[Stage], waits_for: set[type[Stage]]) -> tuple[list[Stage], list[Stage]]:
    """Split the stages into those that NumPy runs and those that the kernel runs.

    `waits_for` contains `Bias` and `Allowed` if the call has data for them.
    """
    stages = [stage for stage in stages if not isinstance(stage, (Bias, Allowed)) or type(stage) in waits_for]
    first = len(stages)
    while first > 0 and _is_known(stages[first - 1], stages[first:]):
        first -= 1
    return stages[:first], stages[first:]


def count_unsafe(stages: list[Stage], scores: npt.NDArray[Any]) -> int:
    """Count the kernel's stages that NumPy must run because dividing by a temperature might overflow."""
    hot = [index for index, stage in enumerate(stages) if isinstance(stage, Temperature)]
    if not hot or scores.dtype.itemsize == 4:
        return 0
    finite = np.isfinite(scores)
    largest = max(np.max(scores, where=finite, initial=0.0), -np.min(scores, where=finite, initial=0.0))
    return hot[-1] + 1 if largest >= _LARGEST else 0


def _is_known(stage: Stage, later: list[Stage]) -> bool:
    if not isinstance(stage, Temperature):
        return type(stage) in CODES
    values = np.asarray(stage.temperature)
    ordinary = (values == 0) | ((values > _LEAST) & (values < _MOST))
    return bool(np.all(ordinary)) and not any(isinstance(other, Temperature) for other in later)


def draw_compiled(
    scores: npt.NDArray[Any],
    source: IntArray,
    stages: list[Stage],
    values: list[npt.NDArray[Any]],
    seed: UInt64Array,
    position: UInt32Array,
) -> Drawn:
    """Run the stages and draw.

    Parameters
    ----------
    scores : (rows, V) float32 or float64
    source : (draws,) int64
        The row of each draw.
    stages : list of Stage
        The stages of the kernel, as given by `split`.
    values : list of (draws,) arrays
        The parameters of the stages.
    seed, position : (draws,) arrays

    Returns
    -------
    Drawn
        `bad_draw` is the first draw from a row with NaN, with +inf or of -inf only, or -1.
    """
    draws = len(source)
    codes = bytes(CODES[type(stage)] for stage in stages)
    parameters = np.array(values, dtype=np.float64).reshape(len(stages), draws)
    token = np.empty(draws, dtype=np.int64)
    logprob, processed = np.empty(draws, dtype=scores.dtype), np.empty(draws, dtype=scores.dtype)
    bad = _kernels.sample(
        np.ascontiguousarray(scores),
        np.ascontiguousarray(source, dtype=np.int64),
        codes,
        parameters,
        np.ascontiguousarray(seed, dtype=np.uint64),
        np.ascontiguousarray(position, dtype=np.uint32),
        token,
        logprob,
        processed,
    )
    return Drawn(token, logprob, processed, bad)


def parameter_of(stage: Stage) -> npt.NDArray[Any]:
    """Return the parameter of a stage that the kernel knows."""
    return np.asarray(getattr(stage, _PARAMETERS[type(stage)]), dtype=np.float64)
