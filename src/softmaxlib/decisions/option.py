"""Options of a rule on the command line, independent of the command line's types."""

from typing import Literal, NamedTuple

from .._arrays import FloatArray


class Option(NamedTuple):
    """One option of ``softmaxlib fit`` that belongs to a rule.

    Attributes
    ----------
    name : str
        The option ``"abstain_cost"`` is written ``--abstain-cost``. Rules may share an option of the same
        name and kind.
    kind : {"number", "integer", "text", "flag", "costs", "groups"}
        The kind of value. "costs" is a file of costs, which the rule gets as a `CostTable`. "groups" is the
        name of the column with the group of each row.
    help : str
        The help text, one sentence.
    is_needed : bool, default False
        Whether the rule needs the option. This also distinguishes the rule from others with the same other
        options.
    """

    name: str
    kind: Literal["number", "integer", "text", "flag", "costs", "groups"]
    help: str
    is_needed: bool = False

    @property
    def spelled(self) -> str:
        """Return how the option is written on the command line."""
        return "--" + self.name.replace("_", "-")


class CostTable(NamedTuple):
    """The contents of a cost file.

    Attributes
    ----------
    cost : ndarray of float64, shape (classes, actions)
        Entry [k, a] is the cost of action a if the truth is class k.
    action_names : tuple of str or None
        Names of the actions, or None if they are the classes.
    """

    cost: FloatArray
    action_names: tuple[str, ...] | None


# of several rules
COSTS = Option(
    "cost",
    "costs",
    "Least expected cost (with --tune cost: the threshold of least cost): a CSV file with a row per true "
    "class and a column per decision.",
)
CONFIDENCE = Option(
    "confidence",
    "number",
    "With --risk: the confidence that it holds. With --tune: that of the interval. Default: 0.95.",
)
