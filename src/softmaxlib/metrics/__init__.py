"""Judge logits against labels: how good the probabilities are, and how far they can be trusted.

Every metric is called in the same way::

    metric(logits, labels, /, *, class_names=None, sample_weight=None, probabilities=False)

The input is declared, never guessed: the first argument holds **logits** unless ``probabilities=True``
says that it holds probabilities. The rules are:

- logits are finite and have shape (rows, classes), with at least one row and two classes;
- probabilities lie in [0, 1], and each row sums to 1 to within 1e-3;
- labels are class numbers in [0, classes), or names: those of `class_names`, in the order of the columns,
  by default those of a frame's columns, else the names found, sorted, of which each class must be one;
- the columns of a frame name the classes of `class_names`, in the same order;
- weights are finite, not negative and not all 0.

An input that breaks a rule raises an `InvalidInputError` that names the row.

Arrays of any library are accepted, and so are pandas and polars frames with one column per class. Figures are
Python floats. Arrays in the results are of the library, and on the device, of the input.

A multi-label model has one logit per label, (rows, labels), and any number of labels may be true: pass a
metric to `multilabel_score` or `label_scores`; `hamming_loss` and `subset_accuracy` are for such models.

A weight says how often a row counts: a weight of 2 is the row twice. Where a figure depends on the number of
rows (`aurc`, `excess_aurc`, ``debiased=True``), a warning says if the weights count far fewer.

Rows are computed in blocks, so little memory is needed beside the input.
"""

from .accuracy import accuracy, top_k_accuracy
from .aurc import augrc, aurc, excess_aurc
from .average_precision import average_precision
from .balanced_accuracy import balanced_accuracy
from .bootstrap_interval import Interval, bootstrap_interval
from .brier_decomposition import BrierDecomposition, brier_decomposition
from .brier_score import brier_score
from .calibration_error import calibration_error
from .calibration_test import CalibrationTest, calibration_test
from .class_calibration_test import ClassCalibrationTest, class_calibration_test
from .doubt import doubt
from .f1_score import f1_score
from .group_tables import GroupDifference
from .hamming_loss import hamming_loss
from .log_loss import log_loss
from .matthews_correlation import matthews_correlation
from .multilabel_score import label_scores, multilabel_score
from .precision import precision
from .recall import recall
from .reliability_curve import ReliabilityCurve, reliability_curve
from .risk_coverage import RiskCoverageCurve, risk_coverage_curve
from .roc_auc import roc_auc
from .smooth_calibration_error import smooth_calibration_error
from .smooth_calibration_test import smooth_calibration_test
from .specificity import specificity
from .subset_accuracy import subset_accuracy
from .tally import Tally
from .tally_decisions import TallyDecisions
from .tally_mistakes import TallyMistake
from .tally_result import TallyResult
from .threshold_curves import (
    CostThresholdCurve,
    PrecisionRecallCurve,
    RocCurve,
    cost_threshold_curve,
    precision_recall_curve,
    roc_curve,
)

__all__ = [
    "BrierDecomposition",
    "CalibrationTest",
    "ClassCalibrationTest",
    "CostThresholdCurve",
    "GroupDifference",
    "Interval",
    "PrecisionRecallCurve",
    "ReliabilityCurve",
    "RiskCoverageCurve",
    "RocCurve",
    "Tally",
    "TallyDecisions",
    "TallyMistake",
    "TallyResult",
    "accuracy",
    "augrc",
    "aurc",
    "average_precision",
    "balanced_accuracy",
    "bootstrap_interval",
    "brier_decomposition",
    "brier_score",
    "calibration_error",
    "calibration_test",
    "class_calibration_test",
    "cost_threshold_curve",
    "doubt",
    "excess_aurc",
    "f1_score",
    "hamming_loss",
    "label_scores",
    "log_loss",
    "matthews_correlation",
    "multilabel_score",
    "precision",
    "precision_recall_curve",
    "recall",
    "reliability_curve",
    "risk_coverage_curve",
    "roc_auc",
    "roc_curve",
    "smooth_calibration_error",
    "smooth_calibration_test",
    "specificity",
    "subset_accuracy",
    "top_k_accuracy",
]
