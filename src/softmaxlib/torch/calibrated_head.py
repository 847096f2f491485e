"""A network combined with its calibration or policy."""

from typing import Any

import torch
from torch import Tensor

from .._arrays import dtype_name
from .._graph import FLAG, GIVEN, Graph, is_finite
from ..calibration import Calibration
from ..errors import InvalidInputError, UnsupportedTypeError
from ..policy import Policy
from ..policy.exported import calibrated_in_graph, put_out_decision
from ._graph_layer import GraphLayer
from ._operators import as_floating
from .activations import softmax

__all__ = ["CalibratedHead"]


class CalibratedHead(torch.nn.Module):
    """A trained network with a fitted calibration or policy: from inputs to probabilities or decisions.

    It consists of plain tensor operations. So ``torch.export`` and ``torch.onnx.export`` can export it, to
    run without this library.

    Parameters
    ----------
    network : torch.nn.Module
        From inputs to logits (N, K). For two classes, it may return one number a row, shape (N, 1) or (N,):
        the logit of the second class, or for a policy on probabilities, its probability.
    fitted : Calibration or Policy
        Fitted on logits of this network, or for a policy on probabilities, on its probabilities.

    Attributes
    ----------
    output_names : tuple of str
        Names of the outputs, for ``torch.onnx.export``: ``("probabilities",)`` for a calibration, and for a
        policy the outputs that `Policy.to_onnx` describes.

    Raises
    ------
    softmaxlib.errors.NotFittedError
        If the calibration or policy is not fitted.
    softmaxlib.errors.InvalidInputError
        If the network returns logits of another shape or number of classes, or what the rule needs of each
        row is missing.
    softmaxlib.errors.UnsupportedTypeError
        For a custom calibration or rule without ``_export``, and if the network returns something else than
        one tensor of real numbers.

    Notes
    -----
    The calibration is computed in float64, on buffers that stay float64 when the module is converted to half
    precision, and that move to its device. The probabilities are rounded once, to the dtype of the logits;
    those of integers stay float64. Before this rounding, they are those of ``calibration.predict_proba`` in
    float64 within a relative error of 1e-12, here and in ONNX Runtime. If log-odds are less than 1e-12 below
    the edge of a bin of `HistogramBinning`, the row counts as in the bin. A row that contains NaN or an
    infinite logit becomes NaN.

    The rule of a policy uses probabilities in the dtype of the logits, at least float32. Because the
    calibration is computed in float64, they can differ from those of ``policy.decide`` on float32 logits by
    some units in the last place.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> from softmaxlib.calibration import TemperatureScaling
    >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> calibration = TemperatureScaling().fit(logits, [0, 0, 1, 1])
    >>> softmaxlib.torch.CalibratedHead(torch.nn.Identity(), calibration)(logits[:1])
    tensor([[0.7500, 0.2500]])

    With a policy, the outputs include the decision:

    >>> from softmaxlib import Policy
    >>> from softmaxlib.decisions import Threshold
    >>> policy = Policy(TemperatureScaling(), Threshold(0.7)).fit(logits, [0, 0, 1, 1])
    >>> softmaxlib.torch.CalibratedHead(torch.nn.Identity(), policy)(logits[:1])["action"]
    tensor([0])
    """

    def __init__(self, network: torch.nn.Module, fitted: Calibration | Policy) -> None:
        super().__init__()
        if not isinstance(fitted, (Calibration, Policy)):
            raise UnsupportedTypeError(
                f"CalibratedHead takes a fitted Calibration or Policy, got {type(fitted).__name__}"
            )
        self.network = network
        is_policy = isinstance(fitted, Policy)
        self._given = fitted.input if is_policy else "logits"
        self._fitted_name = type(fitted).__name__
        self.calibration = GraphLayer(_policy_graph(fitted) if is_policy else _calibration_graph(fitted))
        self._classes = self.calibration.inputs["given"].columns
        self.rule = GraphLayer(_rule_graph(fitted)) if is_policy else None
        self.output_names = ("probabilities",) if self.rule is None else tuple(self.rule.outputs)

    def forward(
        self, *inputs: Tensor, group: Tensor | None = None, uniform: Tensor | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Return calibrated probabilities (N, K), or for a policy its outputs by name.

        `group` and `uniform`, shape (N,), are for prediction sets that need them: the group of each row, as
        position in ``rule.group_names_``, and a random number in [0, 1) per row.
        """
        given = self._checked(self.network(*inputs))
        found = self.calibration({"given": self._with_both_classes(given)}, torch.float64)
        probabilities = softmax(found["calibrated"], dim=-1)
        if self.rule is None:
            return torch.where(found["is_valid"][:, None], probabilities, torch.nan).to(given.dtype)
        dtype = torch.promote_types(given.dtype, torch.float32)
        known = _known_of_rows(self.rule, given.shape[0], {"group": group, "uniform": uniform})
        return self.rule({"decided": probabilities, "is_valid": found["is_valid"], **known}, dtype)

    def _checked(self, given: Any) -> Tensor:
        """Return what the network returned as floating numbers, in a shape that was fitted."""
        if not isinstance(given, Tensor):
            raise UnsupportedTypeError(
                f"the network must return {self._given} as one tensor, got {type(given).__name__}; wrap it "
                "in a module that returns the tensor"
            )
        given, classes = as_floating(given, None, self._given), self._classes
        one_score = classes == 2 and (given.dim() == 1 or given.shape[1:] == (1,))
        if one_score or given.shape[1:] == (classes,):
            return given
        advice = "fit again if this is another model"
        if given.dim() != 2:
            advice = f"reshape what the network returns to (rows, {classes})"
        raise InvalidInputError(
            f"{self._given} must have the {classes} classes that {self._fitted_name} was fitted on, in shape "
            f"(rows, {classes}), got shape {tuple(given.shape)}; {advice}"
        )

    def _with_both_classes(self, given: Tensor) -> Tensor:
        """Return rows of all classes; one number a row is of the second class, as in `check_rows`."""
        if given.shape[1:] == (self._classes,):
            return given
        second = given.reshape(-1).double()
        first = 1 - second if self._given == "probabilities" else torch.zeros_like(second)
        return torch.stack([first, second], dim=1)


def _known_of_rows(rule: GraphLayer, rows: int, given: dict[str, Tensor | None]) -> dict[str, Tensor]:
    """Return what a rule needs of each row besides its probabilities, checked."""
    known = {}
    for name, value in given.items():
        if name not in rule.inputs:
            continue
        if value is None:
            raise InvalidInputError(
                f"the rule needs {name} of each row, got none; pass {name}=..., shape (N,)"
            )
        numbers = as_floating(value, None, name)
        if name == "group" and value.is_floating_point():
            raise UnsupportedTypeError(
                f"group must be integers, got dtype {dtype_name(value.dtype)}; give the position of each "
                "row's group in rule.group_names_"
            )
        if numbers.dim() != 1 or numbers.shape[0] != rows:
            raise InvalidInputError(
                f"{name} must have one number per row, shape ({rows},), got shape {tuple(value.shape)}"
            )
        known[name] = value
    return known


def _calibration_graph(calibration: Calibration) -> Graph:
    calibration.to_dict()  # raises NotFittedError
    graph = Graph()
    given = graph.input("given", GIVEN, calibration.class_count_)
    is_valid = is_finite(given)
    graph.output("is_valid", is_valid)
    calibrated = calibration.to_graph(is_valid.where(given, 0.0))
    graph.output("calibrated", calibrated, calibration.class_count_)
    return graph


def _policy_graph(policy: Policy) -> Graph:
    graph, classes = Graph(), len(policy.class_names_)
    is_valid, calibrated = calibrated_in_graph(policy, graph.input("given", GIVEN, classes))
    graph.output("is_valid", is_valid)
    graph.output("calibrated", calibrated, classes)
    return graph


def _rule_graph(policy: Policy) -> Graph:
    graph = Graph()
    probabilities = graph.input("decided", GIVEN, len(policy.class_names_))
    put_out_decision(policy, probabilities, graph.input("is_valid", FLAG))
    return graph
