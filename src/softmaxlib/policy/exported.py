"""A policy as a graph, for where this library is not installed: ONNX Runtime, or behind a network."""

import json
from typing import TYPE_CHECKING

import numpy as np

from .._checks import check_choice, sum_tolerance
from .._graph import GIVEN, WIDE, Graph, Tensor, is_finite, softmax
from .._graph.onnx_model import onnx_model
from ..decisions.decision import NO_ACTION

if TYPE_CHECKING:
    from .deciding_policy import DecidingPolicy

DTYPES = ("float32", "float64")
GROUPS = ("names", "numbers")


def policy_as_onnx(policy: "DecidingPolicy", dtype: str, groups: str) -> bytes:
    """Return the model of `Policy.to_onnx` as bytes."""
    check_choice(dtype, "dtype", DTYPES)
    check_choice(groups, "groups", GROUPS)
    classes = len(policy.class_names_)
    graph = Graph()
    given = graph.input(policy.input, GIVEN, classes)
    is_valid, calibrated = calibrated_in_graph(policy, given)
    put_out_decision(policy, softmax(calibrated).cast(calibrated.dtype), is_valid)
    metadata = {
        "class_names": json.dumps(policy.class_names_),
        "action_names": json.dumps(policy.rule.name_actions(policy.class_names_)),
        "calibration": repr(policy.calibration),
        "rule": repr(policy.rule),
        "record": json.dumps(policy.record_.to_dict(), allow_nan=False),
    }
    for name, known in graph.inputs.items():
        if known.names is not None:
            metadata[f"{name}_names"] = json.dumps(known.names)
    return onnx_model(graph, classes, dtype, metadata, names_as_text=groups == "names")


def calibrated_in_graph(policy: "DecidingPolicy", given: Tensor) -> tuple[Tensor, Tensor]:
    """Return which rows are valid, and the calibrated logits; an invalid row counts as equal logits.

    As `Policy.transform`, which refuses what is not valid.
    """
    is_valid, logits = is_finite(given), given
    if policy.floor is not None:
        wide = given.cast(WIDE)
        off = (wide.row_sum() - 1.0).abs()
        is_valid = is_valid & (wide.row_min() >= 0.0) & (wide.row_max() <= 1 + 1e-6)
        is_valid = is_valid & (off <= sum_tolerance(np.dtype(np.float64), len(policy.class_names_)))
        logits = wide.maximum(given.graph.fitted("probability_floor", policy.floor)).log()
    return is_valid, policy.calibration.to_graph(is_valid.where(logits, 0.0))


def put_out_decision(policy: "DecidingPolicy", probabilities: Tensor, is_valid: Tensor) -> None:
    """Name the results of the graph: the rule applied to the probabilities of valid rows."""
    graph, classes = probabilities.graph, len(policy.class_names_)
    decision = policy.rule.to_graph(probabilities, classes)
    action = is_valid.where(decision.action, NO_ACTION)
    graph.output("calibrated_probabilities", is_valid.where(probabilities, np.nan), classes)
    graph.output("most_likely", is_valid.where(probabilities.row_argmax(), -1))
    graph.output("action", action)
    graph.output("abstained", action.equals(NO_ACTION))
    graph.output("confidence", is_valid.where(probabilities.row_max(), np.nan))
    if decision.expected_cost is not None:
        graph.output("expected_cost", is_valid.where(decision.expected_cost, np.nan))
    if decision.sets is not None:
        graph.output("sets", decision.sets | ~is_valid, classes)
