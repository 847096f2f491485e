"""Costs of the two mistakes of a binary model, from the options of the command line."""

from collections.abc import Mapping
from typing import Any

from .._checks import check_positive
from ..errors import InvalidInputError
from .option import Option

MISTAKES = (
    Option(
        "false_positive",
        "number",
        "Least expected cost for two classes: the cost of taking the positive (second) class if the other "
        "is true. With --false-negative.",
    ),
    Option(
        "false_negative",
        "number",
        "With --false-positive: the cost of missing the positive class.",
    ),
)


def mistakes_of(options: Mapping[str, Any], classes: int) -> dict[str, float]:
    """Return both costs by their names; none where none was given.

    Raises
    ------
    InvalidInputError
        For one without the other, beside a file of costs, or where there are not two classes.
    """
    names = [option.name for option in MISTAKES]
    given = {name: options[name] for name in names if name in options}
    if not given:
        return {}
    if len(given) < len(names):
        first, second = (
            f"--{name.replace('_', '-')}" for name in sorted(names, key=lambda name: name in given)
        )
        raise InvalidInputError(f"{second} needs {first}, what the other mistake costs; add it")
    if "cost" in options:
        raise InvalidInputError(
            "--cost is a file with all costs, and --false-positive and --false-negative are two of them; "
            "give the file or the two"
        )
    if classes != 2:
        raise InvalidInputError(
            f"--false-positive and --false-negative are for two classes, got {classes}; give all costs in a "
            "file, --cost"
        )
    for option in MISTAKES:
        check_positive(given[option.name], option.spelled, "it is what this mistake costs, in any unit")
    return given
