"""Rules that turn probabilities into actions, and decide when to ask a human.

Every rule has ``fit(logits, labels)`` (where there is nothing to learn it only checks), ``decide(logits)``,
which gives a `Decision`, and ``to_dict`` / ``from_dict`` for JSON; ``Rule.from_dict`` finds the class by its
name. With ``probabilities=True`` the rows are probabilities instead of logits. They are calibrated: a rule
believes them, except `SelectiveRisk` and `PredictionSets`, whose promises hold whatever they are worth.
"""

from .binary_threshold import BinaryThreshold
from .decision import Decision
from .minimum_cost import MinimumCost
from .most_likely import MostLikely
from .option import CostTable, Option
from .outcomes import CostCurve, Costs, GroupCoverage, IfDecided, Outcomes, Promise
from .prediction_sets import PredictionSets
from .rule import Rule
from .selective_risk import SelectiveRisk
from .threshold import Threshold
from .top_k import TopK
from .tuned_threshold import TunedThreshold

__all__ = [
    "BinaryThreshold",
    "CostCurve",
    "CostTable",
    "Costs",
    "Decision",
    "GroupCoverage",
    "IfDecided",
    "MinimumCost",
    "MostLikely",
    "Option",
    "Outcomes",
    "PredictionSets",
    "Promise",
    "Rule",
    "SelectiveRisk",
    "Threshold",
    "TopK",
    "TunedThreshold",
]
