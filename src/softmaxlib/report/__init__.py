"""Reports on a model: figures by which to decide whether to trust it, and one HTML file that shows them."""

from ..metrics.operating_points import AtConfidence, AtThreshold, Shares
from .at_cost import AtCost, Means
from .class_figures import ClassFigures
from .compare import compare
from .comparison import Agreement, Comparison, FigureDifference, LostRow
from .cost_interval import CostRange
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
    Spot,
)
from .evaluate import evaluate
from .evaluation import Evaluation
from .groups import GroupComparison, GroupFigures, Measured
from .judgement import Judgement
from .mistakes import Mistake
from .multilabel import LabelFigures, MultilabelEvaluation, evaluate_multilabel
from .provenance import Origin, Provenance
from .row_results import RowResults
from .verdict import Verdict

__all__ = [
    "ActionRows",
    "Agreement",
    "AtConfidence",
    "AtCost",
    "AtThreshold",
    "CalibrationDisplay",
    "ClassFigures",
    "Comparison",
    "ConfidenceDisplay",
    "ConfusionDisplay",
    "CostDisplay",
    "CostRange",
    "CostThresholdDisplay",
    "Decided",
    "Display",
    "Evaluation",
    "FigureDifference",
    "GroupComparison",
    "GroupFigures",
    "Judgement",
    "LabelFigures",
    "LostRow",
    "Means",
    "Measured",
    "Mistake",
    "MultilabelEvaluation",
    "Origin",
    "PrecisionRecallDisplay",
    "Provenance",
    "RiskCoverageDisplay",
    "RocDisplay",
    "RowResults",
    "SetSizeDisplay",
    "Shares",
    "Spot",
    "Verdict",
    "compare",
    "evaluate",
    "evaluate_multilabel",
]
