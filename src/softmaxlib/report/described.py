"""A policy's two parts in words, with what they learned."""

from typing import Any

import numpy as np

_MOST_CHARACTERS = 120


def describe_calibration(calibration: Any) -> str:
    """The calibration, and its temperature or why it was chosen where it has such."""
    described = repr(calibration)
    if hasattr(calibration, "reason_"):
        return f"{described}: {calibration.reason_}"
    if hasattr(calibration, "temperature_"):
        return f"{described}, temperature {calibration.temperature_:.4g}"
    return described


def describe_rule(rule: Any) -> str:
    """The rule; a large table of costs by its size."""
    described = repr(rule)
    if len(described) <= _MOST_CHARACTERS or not hasattr(rule, "cost"):
        return described
    classes, actions = rule.cost.shape
    aside = "" if rule.abstain_cost is None else f", setting a row aside {rule.abstain_cost:g}"
    if classes == actions and np.array_equal(rule.cost, 1 - np.eye(classes)):
        return f"{type(rule).__name__}: every mistake costs 1{aside}"
    return f"{type(rule).__name__}: costs of {classes} classes and {actions} actions{aside}"
