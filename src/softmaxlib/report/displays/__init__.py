"""The report's figures as Display objects in scikit-learn's manner, for notebooks and reports alike.

Each is made from its data or by ``from_predictions``, and draws with ``plot(ax=...)``, which sets ``ax_`` and
``figure_``. Colours are the first three of matplotlib's cycle and the axes' own, so that a style sheet can
change them.
"""

from .base import Display
from .calibration import CalibrationDisplay
from .confidence import ConfidenceDisplay
from .confusion import ConfusionDisplay
from .cost import CostDisplay
from .cost_threshold import CostThresholdDisplay
from .ranking import PrecisionRecallDisplay, RocDisplay
from .risk_coverage import RiskCoverageDisplay
from .set_size import SetSizeDisplay
from .spots import Spot

__all__ = [
    "CalibrationDisplay",
    "ConfidenceDisplay",
    "ConfusionDisplay",
    "CostDisplay",
    "CostThresholdDisplay",
    "Display",
    "PrecisionRecallDisplay",
    "RiskCoverageDisplay",
    "RocDisplay",
    "SetSizeDisplay",
    "Spot",
]
