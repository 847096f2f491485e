"""One calibration and one decision rule, fitted, saved, loaded and audited together."""

from .audit import Audit, PromiseCheck
from .policy import Policy
from .record import Figures, FitRecord

__all__ = ["Audit", "Figures", "FitRecord", "Policy", "PromiseCheck"]
