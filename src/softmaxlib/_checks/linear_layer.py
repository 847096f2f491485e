"""The shapes of a linear layer, and how much of its logits fits into memory."""

from ..errors import InvalidInputError
from .numbers import check_memory_budget


def check_layer_shapes(
    features: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...] | None, target: tuple[int, ...]
) -> None:
    """Check that features, weight, bias and target belong to one linear layer."""
    if len(features) < 1 or len(weight) != 2 or features[-1] != weight[1] or weight[0] == 0:
        raise InvalidInputError(
            "features must have shape (..., D) and weight (K, D) with one D and K > 0, got shapes "
            f"{features} and {weight}"
        )
    if bias is not None and bias != weight[:1]:
        raise InvalidInputError(f"bias must hold one number per class, shape ({weight[0]},), got {bias}")
    if target != features[:-1]:
        raise InvalidInputError(
            f"target must be class indices of the shape of features without the last axis, "
            f"{features[:-1]}, got shape {target}"
        )


def rows_of_logits(memory_budget: float, classes: int, itemsize: int) -> int:
    """Return how many rows of logits the budget holds."""
    row = max(1, classes * itemsize)
    return int(check_memory_budget(memory_budget, row, "one row of logits") // row)
