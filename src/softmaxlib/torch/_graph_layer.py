"""A graph of `softmaxlib._graph` as a layer of plain tensor operations, which every exporter supports."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .._graph import FLAG, GIVEN, INTEGER, WIDE, Graph

__all__ = ["GraphLayer"]

_DTYPES = {WIDE: torch.float64, INTEGER: torch.int64, FLAG: torch.bool}
_OPERATORS: Mapping[str, Callable[..., Tensor]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "And": torch.logical_and,
    "ArgMax": lambda x: x.argmax(-1, keepdim=True),
    "CumSum": lambda x: x.cumsum(-1),
    "Div": torch.div,
    "Equal": torch.eq,
    "Exp": torch.exp,
    "Gather": lambda table, index: table[index],
    "GatherElements": lambda x, column: x.gather(-1, column),
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Log": torch.log,
    "MatMul": torch.matmul,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "Mul": torch.mul,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "ReduceMax": lambda x: x.amax(-1, keepdim=True),
    "ReduceMin": lambda x: x.amin(-1, keepdim=True),
    "ReduceSum": lambda x: x.sum(-1, keepdim=True),
    "ScatterElements": lambda x, order, values: x.scatter(-1, order, values),
    "Sub": torch.sub,
    "Where": torch.where,
}


class GraphLayer(torch.nn.Module):
    """A layer that runs a graph; its constants keep their types in a half-precision network.

    The fitted parameters are in the state of the module.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.steps, self.inputs, self.outputs = tuple(graph.steps), dict(graph.inputs), dict(graph.outputs)
        constants = graph.used_constants()
        self.types = {name: constant.dtype for name, constant in constants.items()}
        for name, constant in constants.items():
            self.register_buffer(name, torch.from_numpy(constant.value), persistent=constant.is_fitted)

    def forward(self, given: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the outputs of the graph by name; the type GIVEN is `dtype`."""
        types = {**_DTYPES, GIVEN: dtype}
        known: dict[str, Tensor] = {}
        for name, described in self.inputs.items():
            value = given[name].to(types[described.dtype])
            known[name] = value[:, None] if described.columns is None else value
        for name, kind in self.types.items():
            known[name] = getattr(self, name).to(types[kind])
        for step in self.steps:
            operands = [known[name] for name in step.inputs]
            if step.operator == "Cast":
                known[step.outputs[0]] = operands[0].to(types[step.to])
            elif step.operator == "TopK":
                known.update(zip(step.outputs, _sort(operands[0]), strict=True))
            else:
                known[step.outputs[0]] = _OPERATORS[step.operator](*operands)
        return {
            name: known[result.tensor][:, 0] if result.columns is None else known[result.tensor]
            for name, result in self.outputs.items()
        }

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        return super()._apply(lambda tensor: tensor.to(fn(tensor.new_empty(0)).device), recurse)


def _sort(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row in falling order, and its columns; equal entries are ordered by column."""
    if torch.compiler.is_compiling():  # exporters have no stable sort; TopK of ONNX has this order
        return torch.topk(rows, rows.shape[-1], dim=-1)
    return torch.sort(rows, dim=-1, descending=True, stable=True)
