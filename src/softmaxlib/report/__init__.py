"""Reports on a model: figures by which to decide whether to trust it, and one HTML file that shows them."""

from .decided import ActionRows, Decided
from .displays import (
    CalibrationDisplay,
    ConfidenceDisplay,
    ConfusionDisplay,
    CostDisplay,
    CostThresholdDisplay,
    Display,
    PrecisionRecallDisplay,
    RiskCoverageDisplay,
    RocDisplay,
    SetSizeDisplay,
)
from .evaluation import ClassFigures, Evaluation, Mistake, evaluate
from .groups import GroupComparison, GroupDifference, GroupFigures, Measured
from .judgement import Judgement
from .verdict import Verdict

__all__ = [
    "ActionRows",
    "CalibrationDisplay",
    "ClassFigures",
    "ConfidenceDisplay",
    "ConfusionDisplay",
    "CostDisplay",
    "CostThresholdDisplay",
    "Decided",
    "Display",
    "Evaluation",
    "GroupComparison",
    "GroupDifference",
    "GroupFigures",
    "Judgement",
    "Measured",
    "Mistake",
    "PrecisionRecallDisplay",
    "RiskCoverageDisplay",
    "RocDisplay",
    "SetSizeDisplay",
    "Verdict",
    "evaluate",
]
