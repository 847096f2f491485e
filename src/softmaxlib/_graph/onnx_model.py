"""A graph as an ONNX model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._extras import require
from .._version import __version__
from ..errors import InvalidInputError
from .graph import FLAG, GIVEN, INTEGER, WIDE, Constant, Graph, Input, Output, Step

# ONNX Runtime reads these since 1.12 (2022)
_OPSET, _ML_OPSET, _IR_VERSION = 17, 2, 8
_LARGEST = 2**31 - 2**20  # of a protocol buffer, with room for names

# the axis of the classes, and what reduces it keeps it
_ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "ReduceMax": {"axes": [1], "keepdims": 1},
    "ReduceMin": {"axes": [1], "keepdims": 1},
    "ReduceSum": {"keepdims": 1},
    "ArgMax": {"axis": 1, "keepdims": 1},
    "Gather": {"axis": 0},
    "GatherElements": {"axis": 1},
    "ScatterElements": {"axis": 1},
}
# the same as a further input of the operator
_AXIS, _AXES, _CLASSES = "axis_of_classes", "axes_of_classes", "class_count"
_FURTHER_INPUTS = {"ReduceSum": _AXES, "CumSum": _AXIS}
# one more row behind the others, and all but it
_ONE_MORE, _FIRST, _LAST, _ROWS = "one_more_row", "first_row", "last_row", "axes_of_rows"


def onnx_model(
    graph: Graph, classes: int, given: str, metadata: Mapping[str, str], names_as_text: bool
) -> bytes:
    """Return the bytes of a model, checked.

    Parameters
    ----------
    graph
        What it computes.
    classes
        Number of classes.
    given : {"float32", "float64"}
        What GIVEN stands for.
    metadata
        Texts that are kept in the model.
    names_as_text
        Whether an input that stands for names takes them as texts, else as their numbers.

    Raises
    ------
    ModuleNotFoundError
        Without the extra "onnx".
    InvalidInputError
        For more numbers than the format holds.
    """
    require("onnx", "exporting")
    import onnx

    size = sum(constant.value.nbytes for constant in graph.used_constants().values())
    if size > _LARGEST:
        raise InvalidInputError(
            f"an ONNX file holds at most 2 GiB, and what was fitted takes {size / 2**30:.1f} GiB; fit a "
            "calibration of fewer numbers, such as VectorScaling()"
        )
    model = _Writer(graph, classes, given, names_as_text).model()
    model.producer_name, model.producer_version = "softmaxlib", __version__
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


class _Writer:
    """One graph, step by step, in ONNX's own words."""

    def __init__(self, graph: Graph, classes: int, given: str, names_as_text: bool) -> None:
        from onnx import TensorProto

        self.graph, self.classes, self.names_as_text = graph, classes, names_as_text
        number = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}
        self.given = np.dtype(given)
        self.types = {
            GIVEN: number[given],
            WIDE: TensorProto.DOUBLE,
            INTEGER: TensorProto.INT64,
            FLAG: TensorProto.BOOL,
        }

    def model(self) -> Any:
        """Return the whole, not checked yet."""
        from onnx import helper, numpy_helper

        inputs, outputs, nodes = [], [], []
        for name, known in self.graph.inputs.items():
            inputs.append(self._input(name, known))
            nodes += self._from_input(name, known)
        for step in self.graph.steps:
            nodes += self._sort(step) if step.operator == "TopK" else [self._node(step)]
        for name, result in self.graph.outputs.items():
            shape = ["rows"] if result.columns is None else ["rows", result.columns]
            outputs.append(helper.make_tensor_value_info(name, self.types[result.dtype], shape))
            nodes.append(self._to_output(name, result))
        used = {name for node in nodes for name in node.input}
        numbers = {_AXIS: 1, _AXES: [1], _CLASSES: [self.classes]}
        numbers |= {_ONE_MORE: [0, 0, 1, 0], _FIRST: [0], _LAST: [-1], _ROWS: [0]}
        constants = {name: np.array(value, np.int64) for name, value in numbers.items()}
        constants |= {name: self._rounded(constant) for name, constant in self.graph.constants.items()}
        initializers = [
            numpy_helper.from_array(value, name) for name, value in constants.items() if name in used
        ]
        whole = helper.make_graph(nodes, "policy", inputs, outputs, initializers)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
        return helper.make_model(whole, opset_imports=opsets, ir_version=_IR_VERSION)

    def _rounded(self, constant: Constant) -> np.ndarray:
        if constant.dtype != GIVEN:
            return constant.value
        with np.errstate(over="ignore", under="ignore"):
            return constant.value.astype(self.given)

    def _input(self, name: str, known: Input) -> Any:
        from onnx import TensorProto, helper

        shape = ["rows"] if known.columns is None else ["rows", known.columns]
        kind = TensorProto.STRING if self._is_text(known) else self.types[known.dtype]
        return helper.make_tensor_value_info(name, kind, shape)

    def _is_text(self, known: Input) -> bool:
        return self.names_as_text and known.names is not None

    def _from_input(self, name: str, known: Input) -> list[Any]:
        """Return the steps from the user's input to the matrix of that name in the graph."""
        from onnx import helper

        if known.columns is not None:
            return []
        nodes, source = [], name
        if self._is_text(known):
            assert known.names is not None
            source = f"{name}_number"
            nodes.append(
                helper.make_node(
                    "LabelEncoder",
                    [name],
                    [source],
                    domain="ai.onnx.ml",
                    keys_strings=list(known.names),
                    values_int64s=list(range(len(known.names))),
                    default_int64=-1,
                )
            )
        return [*nodes, helper.make_node("Unsqueeze", [source, _AXES], [_column(name)])]

    def _node(self, step: Step) -> Any:
        from onnx import helper

        named = (_column(name) if self._is_column(name) else name for name in step.inputs)
        further = [_FURTHER_INPUTS[step.operator]] if step.operator in _FURTHER_INPUTS else []
        attributes = dict(_ATTRIBUTES.get(step.operator, {}))
        if step.to:
            attributes["to"] = self.types[step.to]
        return helper.make_node(step.operator, [*named, *further], list(step.outputs), **attributes)

    def _sort(self, step: Step) -> list[Any]:
        """Sort each row, with one row appended, because ONNX Runtime 1.20 crashes on an empty input."""
        from onnx import helper

        (values, order), (source,) = step.outputs, step.inputs
        more, longer, places = (f"{values}_{name}" for name in ("with_one_more", "sorted", "order"))
        range_of_rows = [_FIRST, _LAST, _ROWS]
        return [
            helper.make_node("Pad", [source, _ONE_MORE], [more]),
            helper.make_node("TopK", [more, _CLASSES], [longer, places]),
            helper.make_node("Slice", [longer, *range_of_rows], [values]),
            helper.make_node("Slice", [places, *range_of_rows], [order]),
        ]

    def _is_column(self, name: str) -> bool:
        return name in self.graph.inputs and self.graph.inputs[name].columns is None

    def _to_output(self, name: str, result: Output) -> Any:
        from onnx import helper

        if result.columns is None:
            return helper.make_node("Squeeze", [result.tensor, _AXES], [name])
        return helper.make_node("Identity", [result.tensor], [name])


def _column(name: str) -> str:
    """Return the internal name of the column of an input with one number per row."""
    return f"{name}_column"
