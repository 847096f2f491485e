"""One calibration and one decision rule, fitted, saved, loaded and audited together."""

from .audit import Audit, PromiseCheck, realized_cost
from .columns import check_class_names, check_columns, classes_of_columns
from .coverage import GroupCoverage, group_coverage
from .policy import Policy
from .probabilities import logits_of, logits_of_probabilities, probability_floor
from .record import Figures, FitRecord

__all__ = [
    "Audit",
    "Figures",
    "FitRecord",
    "GroupCoverage",
    "Policy",
    "PromiseCheck",
    "check_class_names",
    "check_columns",
    "classes_of_columns",
    "group_coverage",
    "logits_of",
    "logits_of_probabilities",
    "probability_floor",
    "realized_cost",
]
