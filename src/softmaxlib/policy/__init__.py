"""One calibration and one decision rule, fitted, saved, loaded and audited together."""

from .._checks.class_labels import check_class_names, check_columns
from ._multilabel_audit import MultilabelAudit
from ._multilabel_decision import MultilabelDecision
from .audit import Audit, PromiseCheck
from .audit_tally import AuditTally
from .figures import Figures
from .judging import Judgement, Wanted
from .multilabel_policy import MultilabelPolicy
from .policy import Policy, check_policy
from .probabilities import logits_of, logits_of_probabilities, probability_floor
from .record import FitRecord

__all__ = [
    "Audit",
    "AuditTally",
    "Figures",
    "FitRecord",
    "Judgement",
    "MultilabelAudit",
    "MultilabelDecision",
    "MultilabelPolicy",
    "Policy",
    "PromiseCheck",
    "Wanted",
    "check_class_names",
    "check_columns",
    "check_policy",
    "logits_of",
    "logits_of_probabilities",
    "probability_floor",
]
