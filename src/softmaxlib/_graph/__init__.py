"""Computations on rows as lists of steps: a calibration or a rule, to be run elsewhere.

A calibration and a rule each write down their own (``_export``). `onnx_model` makes an ONNX model of it,
`softmaxlib.torch` a module.
"""

from .functions import is_finite, log_softmax, softmax
from .graph import FLAG, GIVEN, INTEGER, WIDE, Graph, Input, Output, Step, Tensor
from .own import check_own_export

__all__ = [
    "FLAG",
    "GIVEN",
    "INTEGER",
    "WIDE",
    "Graph",
    "Input",
    "Output",
    "Step",
    "Tensor",
    "check_own_export",
    "is_finite",
    "log_softmax",
    "softmax",
]
