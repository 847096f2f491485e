"""No calibration: the baseline for the others."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._graph import Tensor
from .._judging import Correction
from .base import Calibration, Weights


class Identity(Calibration):
    """Leave the logits unchanged.

    Use it for a model that is already calibrated, and as the baseline for other calibrations.

    Examples
    --------
    >>> from softmaxlib.calibration import Identity
    >>> Identity().fit([[2.0, 0.0], [0.0, 1.0]], [0, 1]).transform([[2.0, 1.0]])
    array([[2., 1.]])
    """

    command_name = "none"

    _learns = False

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        """Learn nothing."""

    def correction(self) -> Correction:
        """Return logits as they are."""
        return Correction()

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return logits

    def _export(self, logits: Tensor) -> Tensor:
        return logits
