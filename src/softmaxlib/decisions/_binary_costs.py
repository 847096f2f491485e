"""Costs of two classes, where each action is to take one of them."""

from .._arrays import Array, FloatArray
from ..errors import InvalidInputError
from ._checked_costs import check_cost
from .decision import Floats
from .option import CostTable


def check_binary_cost(cost: Array) -> Floats:
    """Return the costs of two classes as float64, where a mistake costs more than the right action."""
    array = check_cost(cost)
    if array.shape != (2, 2):
        raise InvalidInputError(
            f"cost must have two rows and two columns, got shape {array.shape}; use MinimumCost for more "
            "classes or actions"
        )
    if not (array[0, 1] > array[0, 0] and array[1, 0] > array[1, 1]):
        raise InvalidInputError(
            "cost must be larger off the diagonal, where class k (row) is taken for another (column), got "
            f"{array.tolist()}; give false alarms as cost[0][1] and misses as cost[1][0]"
        )
    return array


def cost_of_classes(table: CostTable) -> FloatArray:
    """Return the costs of a file whose columns are the classes."""
    if table.action_names is not None:
        raise InvalidInputError(
            f"--tune cost chooses between the two classes, and the columns of --cost are other actions: "
            f"{', '.join(table.action_names)}; leave --tune out, or name the columns after the classes"
        )
    return table.cost
