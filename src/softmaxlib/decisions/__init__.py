"""From probabilities to actions: rules that say what to do, and when to ask a human.

Every rule has ``fit(probabilities, labels)`` (where there is nothing to learn it only checks),
``decide(probabilities)``, which gives a `Decision`, and ``to_dict`` / ``from_dict`` for JSON;
``Rule.from_dict`` finds the class by its name. Probabilities are calibrated ones: a rule believes them.
"""

from .minimum_cost import MinimumCost
from .most_likely import MostLikely
from .rule import Decision, Rule

__all__ = ["Decision", "MinimumCost", "MostLikely", "Rule"]
