"""What a rule can be told on the command line, said without the command line's own types."""

from typing import Literal, NamedTuple

from .._arrays import FloatArray


class Option(NamedTuple):
    """One option of ``softmaxlib fit`` that belongs to a rule.

    Attributes
    ----------
    name : str
        ``"abstain_cost"`` is spelled ``--abstain-cost``. Rules may share an option of one name and kind.
    kind : {"number", "integer", "text", "flag", "costs", "groups"}
        What stands behind it. "costs": a file of costs, which reaches the rule as a `CostTable`. "groups":
        the column with the group of each row; the rule then learns that there is one, by its name.
    help : str
        What it does, in a sentence.
    is_needed : bool, default False
        Whether the rule can't be made without it. That also tells the rule from others that share the rest
        of its options.
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
        Entry [k, a]: what action a costs where the truth is class k.
    action_names : tuple of str or None
        What the actions are called; None where they are the classes.
    """

    cost: FloatArray
    action_names: tuple[str, ...] | None


# of several rules
COSTS = Option(
    "cost",
    "costs",
    "Least expected cost, or with --tune cost the threshold of least cost: a CSV file, a row a true class, a "
    "column a decision.",
)
CONFIDENCE = Option(
    "confidence", "number", "With --risk: how surely it holds; with --tune: of the interval. 0.95 by default."
)
