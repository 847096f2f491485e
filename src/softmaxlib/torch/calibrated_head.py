"""A network combined with its calibration or policy."""

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
    """A trained network with a fitted calibration or policy: from inputs to probabilities or decisions.

    It consists of plain tensor operations. So ``torch.export`` and ``torch.onnx.export`` can export it, to
    run without this library.

    Parameters
    ----------
    network : torch.nn.Module
        From inputs to logits (N, K).
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
    softmaxlib.errors.UnsupportedTypeError
        For a custom calibration or rule without ``_export``.

    Notes
    -----
    The calibration is computed in float64, on buffers that stay float64 when the module is converted to half
    precision, and that move to its device. The probabilities are rounded once, to the dtype of the logits.
    Before this rounding, they are those of ``calibration.predict_proba`` in float64 within a relative error
    of 1e-12, here and in ONNX Runtime. If log-odds are less than 1e-12 below the edge of a bin of
    `HistogramBinning`, the row counts as in the bin. A row that contains NaN or an infinite logit becomes
    NaN.

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
        self.calibration = GraphLayer(_policy_graph(fitted) if is_policy else _calibration_graph(fitted))
        self.rule = GraphLayer(_rule_graph(fitted)) if is_policy else None
        self.output_names = ("probabilities",) if self.rule is None else tuple(self.rule.outputs)

    def forward(
        self, *inputs: Tensor, group: Tensor | None = None, uniform: Tensor | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Return calibrated probabilities (N, K), or for a policy its outputs by name.

        `group` and `uniform`, shape (N,), are for prediction sets that need them: the group of each row, as
        position in ``rule.group_names_``, and a random number in [0, 1) per row.
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
