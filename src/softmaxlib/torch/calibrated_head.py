"""A network with its calibration or its policy behind it."""

import torch
from torch import Tensor

from .._graph import FLAG, GIVEN, Graph, is_finite
from ..calibration import Calibration
from ..errors import UnsupportedTypeError
from ..policy import Policy
from ..policy.exported import calibrated_in_graph, put_out_decision
from ._graph_layer import GraphLayer
from .activations import softmax

__all__ = ["CalibratedHead"]


class CalibratedHead(torch.nn.Module):
    """A trained network with a fitted calibration or policy behind it: inputs to probabilities or decisions.

    It is made of plain tensor operations, so that ``torch.export`` and ``torch.onnx.export`` take it whole,
    to run where this library is not installed.

    Parameters
    ----------
    network : torch.nn.Module
        From inputs to logits (N, K).
    fitted : Calibration or Policy
        Fitted on logits of this network; a policy that was fitted on probabilities, on its probabilities.

    Attributes
    ----------
    output_names : tuple of str
        What comes out: ``("probabilities",)`` of a calibration, and of a policy the outputs that
        `Policy.to_onnx` describes. To be passed to ``torch.onnx.export``.

    Raises
    ------
    softmaxlib.errors.NotFittedError
        For what is not fitted.
    softmaxlib.errors.UnsupportedTypeError
        For a calibration or a rule of your own that does not define ``_export``.

    Notes
    -----
    The calibration is computed in float64 on buffers that stay so when the module is made half, and follow it
    to its device; the probabilities are rounded once, to the dtype of the logits. They are those of
    ``calibration.predict_proba`` in float64: within 1e-12, relative, before that rounding, here and in ONNX
    Runtime. A row whose log-odds lie less than 1e-12 below the edge of a bin of `HistogramBinning` counts as
    in the bin. A row that holds NaN or an infinite logit is NaN throughout.

    A policy's rule decides on probabilities of the dtype of the logits, in float32 at least. The calibration
    being computed in float64, these can differ from those of ``policy.decide`` on logits in float32 by some
    units in the last place.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> from softmaxlib.calibration import TemperatureScaling
    >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> calibration = TemperatureScaling().fit(logits, [0, 0, 1, 1])
    >>> softmaxlib.torch.CalibratedHead(torch.nn.Identity(), calibration)(logits[:1])
    tensor([[0.7500, 0.2500]])

    With a policy the decision comes out too:

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
        self.calibration = GraphLayer(_policy_graph(fitted) if is_policy else _calibration_graph(fitted))
        self.rule = GraphLayer(_rule_graph(fitted)) if is_policy else None
        self.output_names = ("probabilities",) if self.rule is None else tuple(self.rule.outputs)

    def forward(
        self, *inputs: Tensor, group: Tensor | None = None, uniform: Tensor | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Return calibrated probabilities (N, K); of a policy, its outputs by name.

        `group` and `uniform`, shape (N,), are for prediction sets that want them: the number of each row's
        group, as a place in ``rule.group_names_``, and a number drawn from [0, 1) for each row.
        """
        given = self.network(*inputs)
        found = self.calibration({"given": given}, torch.float64)
        probabilities = softmax(found["calibrated"], dim=-1)
        if self.rule is None:
            return torch.where(found["is_valid"][:, None], probabilities, torch.nan).to(given.dtype)
        dtype = torch.promote_types(given.dtype, torch.float32)
        of_rows = {"group": group, "uniform": uniform}
        known = {name: value for name, value in of_rows.items() if value is not None}
        return self.rule({"decided": probabilities, "is_valid": found["is_valid"], **known}, dtype)


def _calibration_graph(calibration: Calibration) -> Graph:
    calibration.to_dict()  # raises NotFittedError, with the words for it
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
