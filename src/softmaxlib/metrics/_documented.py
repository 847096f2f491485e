"""What the docstrings of all metrics say alike, written once."""

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_PARAMETERS = {
    "logits": """\
logits : array, shape (rows, classes)
    Logits, or probabilities when `from_probabilities` is true.""",
    "labels": """\
labels : array of int, shape (rows,)
    The true class of each row.""",
    "score": """\
score : str or array of float, shape (rows,), default "maximum_probability"
    A score of `doubt` by name, or any doubt of your own, larger being more doubt.""",
    "sample_weight": """\
sample_weight : array, shape (rows,), optional
    How often each row counts.""",
    "from_probabilities": """\
from_probabilities : bool, default False
    Whether the first argument holds probabilities.""",
}
_RAISES = """\
Raises
------
InvalidInputError
    When an input breaks a rule of `softmaxlib.metrics`."""


def documented(metric: F) -> F:
    """Complete the docstring: the shared parameters among the metric's own, in the order of its signature.

    ``Raises`` is added where the metric says nothing of its own.
    """
    if metric.__doc__ is None:  # python -OO
        return metric
    summary, *sections = re.split(r"\n\n(?=\w+\n-{4,}\n)", inspect.cleandoc(metric.__doc__))
    named = {section.partition("\n")[0]: section for section in sections}
    known = _PARAMETERS | _entries(named.pop("Parameters", ""))
    entries = [known[name] for name in inspect.signature(metric).parameters if name in known]
    parameters = "\n".join(["Parameters", "----------", *entries])
    named.setdefault("Raises", _RAISES)
    order = ("Returns", "Raises", "Notes", "References", "Examples")
    others = (named[name] for name in order if name in named)
    metric.__doc__ = "\n\n".join([summary, parameters, *others]) + "\n"
    return metric


def _entries(section: str) -> dict[str, str]:
    """The entries of a section of parameters by name; one of several names by the first."""
    _, _, body = section.partition("-\n")
    return {entry.split(" ")[0].rstrip(","): entry for entry in re.split(r"\n(?=\S)", body) if entry}
