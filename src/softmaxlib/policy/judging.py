"""The one step from a policy's values to calibrated logits, probabilities and a decision."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray
from .._checks import check_logits, known_logits, refuse_infinite
from .._judging import judge_logits
from ..activations import softmax
from ..calibration import Calibration
from ..decisions import Decision, Rule
from ..decisions.outcomes import Cheapest
from ..decisions.rule import decision_of


class Wanted(NamedTuple):
    """The results that are wanted of each row beside its decision."""

    calibrated: bool = False
    probabilities: bool = False
    most_likely: bool = False
    cheapest: bool = False


class Judgement(NamedTuple):
    """Calibrated logits and probabilities (rows, classes), the most likely class, and the decision.

    What was not wanted may be None, and so may the action of least expected cost. All are NumPy's.
    """

    calibrated: FloatArray | None
    probabilities: FloatArray | None
    most_likely: npt.NDArray[np.int32] | None
    decision: Decision
    cheapest: Cheapest | None = None


def judge_values(
    calibration: Calibration, rule: Rule, values: FloatArray, groups: Array | None, wanted: Wanted
) -> Judgement:
    """Judge logits (rows, classes), finite or not, with the classes of the calibration.

    Where the compiled pass knows both parts, it does all of it, looking at each row once; else they do it by
    their own methods.

    Raises
    ------
    InvalidInputError
        For logits that are not finite.
    """
    correction, criterion = calibration.correction(), rule.criterion(values.shape[1])
    if correction is not None and correction.intercept is not None and values.dtype == np.float64:
        correction = None  # a policy saved earlier decides as it did, to the last bit of NumPy's logarithm
    if correction is not None and criterion is not None:
        rule.check_groups(groups)
        judged = judge_logits(values, correction, criterion, *wanted)
        if judged.wrong >= 0:
            refuse_infinite(values)
        cheapest = None
        if judged.cheapest is not None and judged.cheapest_cost is not None:
            cheapest = Cheapest(judged.cheapest, judged.cheapest_cost)
        return Judgement(
            judged.calibrated, judged.probabilities, judged.most_likely, decision_of(judged), cheapest
        )
    with known_logits():
        calibrated = calibration.transform(check_logits(values))
    probabilities = softmax(calibrated)
    decision = rule.decide(probabilities, groups, probabilities=True)
    most_likely = probabilities.argmax(axis=1).astype(np.int32) if wanted.most_likely else None
    return Judgement(calibrated, probabilities, most_likely, decision)
