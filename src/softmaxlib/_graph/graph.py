"""The steps of a computation on rows, and the tensors between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

WIDE = "float64"
GIVEN = "given"  # the type of the numbers that are decided, float32 or float64: known when the graph is run
INTEGER = "int64"
FLAG = "bool"

_NUMPY = {WIDE: np.float64, GIVEN: np.float64, INTEGER: np.int64, FLAG: np.bool_}


class Step(NamedTuple):
    """One operation: its name in ONNX, the names of inputs and outputs, and the target of a Cast."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    to: str = ""


class Input(NamedTuple):
    """Something that is known of each row.

    Attributes
    ----------
    dtype : str
        Of the tensor.
    columns : int or None
        Of a matrix (rows, columns); None for one number a row.
    names : tuple of str or None
        What the numbers 0, 1, ... are called, where they stand for names.
    """

    dtype: str
    columns: int | None
    names: tuple[str, ...] | None = None


class Output(NamedTuple):
    """A result, by the name of its tensor; `columns` as in `Input`."""

    tensor: str
    dtype: str
    columns: int | None


class Constant(NamedTuple):
    """Numbers that are known beforehand; of type GIVEN, they are rounded to it where the graph is run.

    Attributes
    ----------
    value : ndarray
        Of a matrix (1, columns), a table, or one number.
    dtype : str
        Of the tensor.
    is_fitted : bool
        Whether it is a part of what was fitted, else it stands in the formula.
    """

    value: npt.NDArray[Any]
    dtype: str
    is_fitted: bool


@dataclass(frozen=True)
class Graph:
    """Steps in the order in which they run.

    Every tensor is a matrix with one row a row of the batch and one column a class, or one column, or it is
    one of the constants, which broadcast. What reduces a row keeps its column.
    """

    steps: list[Step] = field(default_factory=list)
    inputs: dict[str, Input] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)

    def used_constants(self) -> dict[str, Constant]:
        """Return the constants that a step takes."""
        used = {name for step in self.steps for name in step.inputs}
        return {name: constant for name, constant in self.constants.items() if name in used}

    def input(
        self, name: str, dtype: str, columns: int | None = None, names: Sequence[str] | None = None
    ) -> "Tensor":
        """Return an input of the graph as a matrix (rows, columns), of one column without `columns`."""
        assert name not in self.constants, f"{name} is a constant: an input must have a name of its own"
        self.inputs[name] = Input(dtype, columns, None if names is None else tuple(names))
        return Tensor(self, name, dtype)

    def fitted(self, name: str, value: npt.ArrayLike, dtype: str = WIDE) -> "Tensor":
        """Return a fitted parameter as a constant."""
        return self._constant(name, value, dtype, is_fitted=True)

    def constant(self, value: npt.ArrayLike, dtype: str = WIDE) -> "Tensor":
        """Return a number of the formula as a constant."""
        return self._constant("constant", value, dtype, is_fitted=False)

    def columns(self, count: int) -> "Tensor":
        """Return the numbers of the columns, from 0, as a matrix (1, count)."""
        return self.constant(np.arange(count)[None], INTEGER)

    def output(self, name: str, tensor: "Tensor", columns: int | None = None) -> None:
        """Give a tensor out under a name; without `columns` it has one, and comes out without that axis."""
        assert not {name} & {*self.constants, *self.inputs}, f"{name} is an input or a constant already"
        self.outputs[name] = Output(tensor.name, tensor.dtype, columns)

    def step(self, operator: str, *inputs: "Tensor", dtype: str, to: str = "") -> "Tensor":
        """Write down an operation with one result."""
        name = self._free(operator)
        self.steps.append(Step(operator, tuple(tensor.name for tensor in inputs), (name,), to))
        return Tensor(self, name, dtype)

    def steps_of_pair(self, operator: str, tensor: "Tensor", dtypes: tuple[str, str]) -> "Sorted":
        """Write down an operation with two results."""
        names = (self._free(operator), f"{self._free(operator)}_indices")
        self.steps.append(Step(operator, (tensor.name,), names))
        return Sorted(*(Tensor(self, name, dtype) for name, dtype in zip(names, dtypes, strict=True)))

    def _constant(self, name: str, value: npt.ArrayLike, dtype: str, is_fitted: bool) -> "Tensor":
        free, number = name, 1
        while free in self.constants or free in self.inputs:
            free, number = f"{name}_{number}", number + 1
        self.constants[free] = Constant(np.array(value, _NUMPY[dtype]), dtype, is_fitted)
        return Tensor(self, free, dtype)

    def _free(self, operator: str) -> str:
        return f"{operator}_{len(self.steps)}"


@dataclass(frozen=True, eq=False)
class Tensor:
    """The result of a step, by its name; arithmetic writes down the next step.

    In arithmetic and comparisons a Python number takes the other's type.
    """

    graph: Graph
    name: str
    dtype: str

    def __add__(self, other: "Tensor | float") -> "Tensor":
        return self._with("Add", other)

    def __radd__(self, other: float) -> "Tensor":
        return self._like(other) + self

    def __sub__(self, other: "Tensor | float") -> "Tensor":
        return self._with("Sub", other)

    def __rsub__(self, other: float) -> "Tensor":
        return self._like(other) - self

    def __mul__(self, other: "Tensor | float") -> "Tensor":
        return self._with("Mul", other)

    def __rmul__(self, other: float) -> "Tensor":
        return self._like(other) * self

    def __truediv__(self, other: "Tensor | float") -> "Tensor":
        return self._with("Div", other)

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return self._with("MatMul", other)

    def __lt__(self, other: "Tensor | float") -> "Tensor":
        return self._with("Less", other, FLAG)

    def __le__(self, other: "Tensor | float") -> "Tensor":
        return self._with("LessOrEqual", other, FLAG)

    def __gt__(self, other: "Tensor | float") -> "Tensor":
        return self._with("Greater", other, FLAG)

    def __ge__(self, other: "Tensor | float") -> "Tensor":
        return self._with("GreaterOrEqual", other, FLAG)

    def __and__(self, other: "Tensor") -> "Tensor":
        return self._with("And", other)

    def __or__(self, other: "Tensor") -> "Tensor":
        return self._with("Or", other)

    def __invert__(self) -> "Tensor":
        return self.graph.step("Not", self, dtype=FLAG)

    def reaches(self, thresholds: "Tensor") -> "Tensor":
        """Return whether probabilities are at least as large as thresholds, or miss them by rounding alone.

        Probabilities that take few values often equal a threshold that was fitted to them. The last digit of
        another program's probability must not decide then.
        """
        wide = self.cast(WIDE)
        return wide + self.rounding(wide) >= thresholds

    def rounding(self, distance: "Tensor") -> "Tensor":
        """Return more than what sums of probabilities of this type lose by rounding.

        But it is little beside their distance from 0 or 1, so that the many small numbers of a confident
        model are not taken for equal.
        """
        one = self.graph.constant(1.0, self.dtype)
        has_many_digits = one + 2.0**-30 > one  # as float64 has, and float32 has not
        return (distance * 2.0**-12).minimum(has_many_digits.where(self.graph.constant(2.0**-40), 2.0**-22))

    def equals(self, other: "Tensor | float") -> "Tensor":
        """Return whether the elements are equal."""
        return self._with("Equal", other, FLAG)

    def cast(self, dtype: str) -> "Tensor":
        """Return the same numbers in another type."""
        return self if dtype == self.dtype else self.graph.step("Cast", self, dtype=dtype, to=dtype)

    def exp(self) -> "Tensor":
        """Return the exponential of each element."""
        return self._of("Exp")

    def log(self) -> "Tensor":
        """Return the natural logarithm of each element."""
        return self._of("Log")

    def abs(self) -> "Tensor":
        """Return the size of each element."""
        return self._of("Abs")

    def maximum(self, other: "Tensor | float") -> "Tensor":
        """Return the larger of two."""
        return self._with("Max", other)

    def minimum(self, other: "Tensor | float") -> "Tensor":
        """Return the smaller of two."""
        return self._with("Min", other)

    def where(self, yes: "Tensor | float", no: "Tensor | float") -> "Tensor":
        """Take `yes` where this flag is set, else `no`; at least one of them is a tensor."""
        like = yes if isinstance(yes, Tensor) else no
        assert isinstance(like, Tensor)
        return self.graph.step("Where", self, like._like(yes), like._like(no), dtype=like.dtype)

    def row_sum(self) -> "Tensor":
        """Return the sum of each row."""
        return self._of("ReduceSum")

    def row_max(self) -> "Tensor":
        """Return the largest element of each row."""
        return self._of("ReduceMax")

    def row_min(self) -> "Tensor":
        """Return the smallest element of each row."""
        return self._of("ReduceMin")

    def row_any(self) -> "Tensor":
        """Return whether any flag of the row is set."""
        return self.cast(INTEGER).row_max().cast(FLAG)

    def row_all(self) -> "Tensor":
        """Return whether all flags of the row are set."""
        return self.cast(INTEGER).row_min().cast(FLAG)

    def row_argmax(self) -> "Tensor":
        """Return the column of the largest element of each row, the first of equal ones."""
        return self.graph.step("ArgMax", self.cast(WIDE) if self.dtype == FLAG else self, dtype=INTEGER)

    def cumulative_sum(self) -> "Tensor":
        """Return the sums of the first elements of each row."""
        return self._of("CumSum")

    def sorted(self) -> "Sorted":
        """Return the elements of each row in falling order, and their columns; equal ones by their column."""
        return self.graph.steps_of_pair("TopK", self, (self.dtype, INTEGER))

    def take(self, index: "Tensor") -> "Tensor":
        """Return the elements of this table, which has one axis, at these places."""
        return self.graph.step("Gather", self, index, dtype=self.dtype)

    def pick(self, column: "Tensor") -> "Tensor":
        """Return the element of each row in the row's own column."""
        return self.graph.step("GatherElements", self, column, dtype=self.dtype)

    def put_back(self, order: "Tensor") -> "Tensor":
        """Undo an ordering: return the row whose elements, in that order, are this row."""
        return self.graph.step("ScatterElements", self, order, self, dtype=self.dtype)

    def _of(self, operator: str) -> "Tensor":
        return self.graph.step(operator, self, dtype=self.dtype)

    def _with(self, operator: str, other: "Tensor | float", dtype: str = "") -> "Tensor":
        return self.graph.step(operator, self, self._like(other), dtype=dtype or self.dtype)

    def _like(self, other: "Tensor | float") -> "Tensor":
        if not isinstance(other, Tensor):
            return self.graph.constant(other, self.dtype)
        assert other.dtype == self.dtype, f"{self.dtype} meets {other.dtype}: cast one of them"
        return other


class Sorted(NamedTuple):
    """Rows in falling order."""

    values: Tensor
    order: Tensor
