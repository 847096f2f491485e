"""The results of a tally."""

from dataclasses import dataclass, field

import numpy as np

from .._checks import check_share
from .._checks.weights import describe_few_counted
from .._text import brief_repr
from ._undefined import warn_of_figure
from .calibration_test import CalibrationTest
from .cell_quantiles import CellQuantiles, needed_weight
from .class_calibration_test import ClassCalibrationTest
from .group_tables import GroupDifference
from .operating_points import AtConfidence, AtThreshold
from .predictions import Floats
from .reliability_curve import ReliabilityCurve
from .risk_coverage import RiskCoverageCurve
from .tally_decisions import TallyDecisions
from .tally_mistakes import TallyMistake
from .threshold_curves import PrecisionRecallCurve, RocCurve


@dataclass(frozen=True, repr=False)
class TallyResult:
    """The results of a `Tally` on the rows so far.

    Attributes
    ----------
    rows : int
        How many rows have a weight above 0.
    weight : float
        The sum of their weights.
    effective_rows : float
        The number of rows of equal weight whose mean varies as much: the square of the weight over the sum of
        the squares of all weights.
    accuracy_interval : tuple of float
        The 95% interval of the accuracy (Clopper-Pearson).
    accuracy, log_loss, brier_score, calibration_error : float
        As the functions of these names give them, each rounded once.
    log_loss_error : float
        Standard error of the log loss.
    brier_interval, calibration_error_interval : tuple of float
        95% intervals of these two; NaN for fewer than 30 rows. The first is by the normal law, the second a
        bootstrap of the bins (see `Tally`).
    overconfidence : float
        Mean confidence minus accuracy.
    reliability : ReliabilityCurve
        As `reliability_curve` gives it, with its intervals.
    bin_weight, bin_confidence, bin_frequency : ndarray, shape (bins,)
        Of each bin of confidence, equal in width: the weight of its rows, their mean confidence, and the
        share of them that is right. NaN where there are none.
    class_weight, class_predicted, class_probability : ndarray, shape (classes,)
        Of each class: the weight of the rows that are of it, and that are taken for it, and its mean
        probability.
    confusion : dict of (int, int) to float
        The weight of the rows of each true class that are taken for each class, where there are any.
    risk_coverage : RiskCoverageCurve
        A point for each cell of doubt that has rows; its doubt is the largest of the cell. Each point is one
        of the exact curve. A cell is 1/64 of an octave: at most 1.6% wide.
    doubt : CellQuantiles
        Quantiles of the doubt, 1 minus the highest probability.
    true_score : CellQuantiles
        Quantiles of 1 minus the probability of the true class, the score "lac" of `PredictionSets`.
    heaviest : float
        The largest weight of a row.
    confidence_of_right, confidence_of_wrong : ndarray, shape (20,), or None
        The weight of the right and of the wrong rows in 20 equal bins of confidence; None in a group.
    at_confidence : AtConfidence or None
        What would be decided, and how well, if rows below a confidence were handed over; None in a group.
    at_threshold : AtThreshold or None
        What would be found if rows were taken for the second of two classes from a probability on; None in a
        group, for more classes, and where one class has no rows.
    calibration_test : CalibrationTest or None
        The test of the calibration error with 15 bins; None without ``tests=True``.
    class_test : ClassCalibrationTest or None
        The test of each class; None in the same case.
    roc, precision_recall : RocCurve, PrecisionRecallCurve, or None
        Of the second of two classes, with the same tests: points of the exact curves, at the borders of cells
        that are 1/32 wide in log-odds.
    smooth_calibration_error : float or None
        As the function of this name gives it; None without ``smooth=True``.
    mistakes : tuple of TallyMistake
        The wrong rows with the largest probability, the surest first.
    decisions : TallyDecisions or None
        What was decided; None where no row came with a decision.
    groups : dict of str to TallyResult
        The same of each group.
    differences : tuple of GroupDifference
        The tests for differences between the groups, one for each figure; empty for fewer than two groups.
    class_names : tuple of str or None
        What the classes are called, in the order of their numbers; None where nothing named them.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.metrics import Tally
    >>> tally = Tally(2).update(np.array([[2.0, -1.0], [0.5, 1.5]]), np.array([0, 1]))
    >>> tally.compute().accuracy
    1.0
    """

    rows: int
    weight: float
    effective_rows: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float
    log_loss_error: float
    brier_score: float
    brier_interval: tuple[float, float]
    calibration_error: float
    calibration_error_interval: tuple[float, float]
    overconfidence: float
    reliability: ReliabilityCurve
    bin_weight: Floats
    bin_confidence: Floats
    bin_frequency: Floats
    class_weight: Floats
    class_predicted: Floats
    class_probability: Floats
    confusion: dict[tuple[int, int], float]
    _aurc: float
    _aurc_bounds: tuple[float, float]
    risk_coverage: RiskCoverageCurve
    doubt: CellQuantiles
    true_score: CellQuantiles
    heaviest: float
    confidence_of_right: Floats | None = None
    confidence_of_wrong: Floats | None = None
    at_confidence: AtConfidence | None = None
    at_threshold: AtThreshold | None = None
    calibration_test: CalibrationTest | None = None
    class_test: ClassCalibrationTest | None = None
    roc: RocCurve | None = None
    precision_recall: PrecisionRecallCurve | None = None
    smooth_calibration_error: float | None = None
    mistakes: tuple[TallyMistake, ...] = ()
    decisions: TallyDecisions | None = None
    groups: dict[str, "TallyResult"] = field(default_factory=dict)
    differences: tuple[GroupDifference, ...] = ()
    class_names: tuple[str, ...] | None = None

    __repr__ = brief_repr

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve, the rows of a cell of doubt taken as equal.

        It depends on the number of rows, which weights count, and warns if they count far fewer.
        """
        self._warn_of_few_counted("aurc")
        return self._aurc

    @property
    def aurc_bounds(self) -> tuple[float, float]:
        """Bounds of the result of `metrics.aurc`: with the mistakes of each cell last, and first.

        They depend on the number of rows as `aurc` does.
        """
        self._warn_of_few_counted("aurc_bounds")
        return self._aurc_bounds

    def _warn_of_few_counted(self, figure: str) -> None:
        message = describe_few_counted(self.weight, self.rows, figure)
        if message is not None:
            warn_of_figure(message)

    def conformal_threshold(self, alpha: float) -> float:
        """Return a threshold on 1 - p under which sets miss the truth with probability `alpha` at most.

        It is that of ``PredictionSets("lac", alpha)`` fitted on these rows, or the end of the cell that holds
        it: never below it, and above it by no more than 1.6% of p or of 1 - p, whichever is smaller. So the
        promise holds, and sets are hardly larger.

        Parameters
        ----------
        alpha : float
            How often the truth may be missing, in (0, 1).

        Returns
        -------
        float
            Infinite for too few rows.

        Examples
        --------
        >>> import numpy as np
        >>> from softmaxlib.metrics import Tally
        >>> logits = np.array([[2.0, -1.0], [0.5, 1.5], [3.0, 0.5], [1.0, 0.5]])
        >>> result = Tally(2).update(logits, np.array([0, 1, 0, 1])).compute()
        >>> round(result.conformal_threshold(0.4), 4)  # the third of four: 1 - 1 / (1 + exp(-1)) = 0.2689
        0.2695
        """
        alpha = check_share(alpha, "alpha", "0.1 means 90 percent coverage")
        needed = needed_weight(np.array(self.weight), np.array(self.heaviest), alpha)
        return self.true_score.reached(float(needed))[1]
