"""DTensors whose classes are sharded: conversion to shards and back."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard

from ..._arrays import check_axis
from ..._checks import check_layer_shapes, check_loss_shapes, check_temperature
from ...errors import InvalidInputError
from .._operators import Dims, as_floating, check_where
from ._activations import NO_SECOND_DERIVATIVE, activation
from ._first_derivatives import with_first_derivative
from .cross_entropy import cross_entropy
from .linear_cross_entropy import linear_cross_entropy

Function = TypeVar("Function", bound=Callable[..., Any])


def _outside_graphs(function: Function) -> Function:
    """Let `torch.compile` leave the graph: ranks agree on errors before they go on."""
    return cast(Function, torch.compiler.disable(function))


class Layout(NamedTuple):
    """The layout of a tensor on a mesh, with the mesh dimension that shards its classes."""

    mesh: DeviceMesh
    placements: tuple[Placement, ...]
    of_classes: int  # a dimension of the mesh
    dim: int  # the dimension of the tensor that holds the classes
    classes: int

    @property
    def group(self) -> Any:
        """The ranks that share the classes."""
        return self.mesh.get_group(self.of_classes)

    @property
    def first_class(self) -> int:
        """The number of this rank's first class."""
        return self.span(self.classes, self.of_classes).start

    def span(self, size: int, mesh_dim: int) -> slice:
        """Return the span of a sharded dimension that this rank holds."""
        ranks, rank = self.mesh.size(mesh_dim), self.mesh.get_local_rank(mesh_dim)
        step = -(-size // ranks)
        return slice(min(size, rank * step), min(size, (rank + 1) * step))

    def sharded_rows(self) -> list[int]:
        """Return the dimensions of the mesh over which rows are sharded."""
        return [
            place for place, one in enumerate(self.placements) if one.is_shard() and place != self.of_classes
        ]

    def of_rows(self) -> tuple[Placement, ...]:
        """Return the placements of a tensor without the classes."""
        return tuple(_without(one, self.dim) for one in self.placements)

    def rows_group(self, reduction: str) -> Any:
        """Return the ranks that hold other rows, over which a mean or a sum is taken."""
        dims = self.sharded_rows()
        if reduction == "none" or not dims:
            return None
        if len(dims) > 1:
            raise InvalidInputError(
                f"rows must be sharded over at most one dimension of the mesh, got {self.placements}; "
                "flatten those dimensions of the mesh into one"
            )
        return self.mesh.get_group(dims[0])

    def part(self, tensor: Tensor, placements: tuple[Placement, ...], name: str) -> Tensor:
        """Return this rank's part of a tensor beside the logits; a plain tensor is taken as the whole."""
        if isinstance(tensor, DTensor):
            if tuple(tensor.placements) != placements:
                raise InvalidInputError(
                    f"{name} must be a plain tensor or lie as the logits do, {placements}, got "
                    f"{tuple(tensor.placements)}; redistribute it"
                )
            return tensor.to_local()
        for mesh_dim, placement in enumerate(placements):
            if placement.is_shard():
                at = placement.dim  # pyright: ignore[reportAttributeAccessIssue]
                span = self.span(tensor.shape[at], mesh_dim)
                tensor = tensor.narrow(at, span.start, span.stop - span.start)
        return tensor

    def shared(self, number: Tensor) -> Tensor:
        """Return a number that all ranks hold, whose gradient is the sum over those with other logits."""
        everywhere = (Replicate(),) * self.mesh.ndim
        if not isinstance(number, DTensor):
            number = DTensor.from_local(number, self.mesh, everywhere, run_check=False)
        if tuple(number.placements) != everywhere:
            raise InvalidInputError(
                f"a learned temperature must be replicated, got {tuple(number.placements)}; redistribute it"
            )
        parts = [Partial() if one.is_shard() else Replicate() for one in self.placements]
        return number.to_local(grad_placements=parts)

    def mask(self, where: Tensor | None, input: DTensor) -> Tensor | None:
        """Return this rank's part of a mask that broadcasts to the logits."""
        if where is None:
            return None
        check_where(where, input)
        whole = where if isinstance(where, DTensor) else where.expand(input.shape)
        return self.part(whole, self.placements, "where")

    def wrapped(
        self, result: Tensor, placements: tuple[Placement, ...], shape: torch.Size | None = None
    ) -> DTensor:
        """Return a result as a DTensor, with the shape of the whole where it is sharded."""
        if shape is None:
            return DTensor.from_local(result, self.mesh, placements, run_check=False)
        stride = torch.empty(shape, device="meta").stride()
        return DTensor.from_local(result, self.mesh, placements, run_check=False, shape=shape, stride=stride)


class _WithTemperature(torch.autograd.Function):
    """The logits as they are, with the gradient of the temperature T that they are divided by later.

    What depends on x / T has the derivative -sum(x dx) / T by T.
    """

    @staticmethod
    def forward(ctx: Any, local: Any, number: Tensor, temperature: float) -> Tensor:
        ctx.save_for_backward(local, number)
        ctx.temperature = temperature
        return local.view_as(local)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        local, number = ctx.saved_tensors
        terms = torch.where(upstream[0] == 0, 0.0, upstream[0].double() * local.double())
        return upstream[0], (-terms.sum() / ctx.temperature).to(number.dtype).reshape(number.shape), None


@_outside_graphs
def by_shards(
    name: str,
    input: DTensor,
    dim: Dims,
    temperature: float | Tensor,
    where: Tensor | None,
    dtype: torch.dtype | None,
    keepdim: bool = False,
) -> DTensor:
    """Evaluate softmax, log_softmax or logsumexp of a DTensor with sharded classes."""
    axes = check_axis(dim, input.dim() or 1)
    if len(axes) != 1:
        raise InvalidInputError(
            f"classes of a DTensor must lie along one dimension, got {len(axes)}; flatten them, or pass "
            "input.full_tensor()"
        )
    layout = layout_of(input, axes[0], "input")
    learned = temperature if isinstance(temperature, Tensor) and temperature.requires_grad else None
    if isinstance(temperature, Tensor):
        if temperature.numel() > 1:
            raise InvalidInputError(
                "the temperature of a DTensor must be one number, got a tensor of shape "
                f"{tuple(temperature.shape)}; divide the logits by it"
            )
        temperature = temperature.full_tensor() if isinstance(temperature, DTensor) else temperature
        temperature = float(temperature.detach())
    temperature = cast(float, check_temperature(temperature, input, axes))
    local = as_floating(input.to_local(), dtype)
    if learned is not None:
        number = layout.shared(with_first_derivative(learned, NO_SECOND_DERIVATIVE))
        local = _WithTemperature.apply(local, number, temperature)
    result = activation(
        name,
        local,
        layout.dim,
        temperature,
        layout.mask(where, input),
        group=layout.group,
        first_class=layout.first_class,
    )
    if name != "logsumexp":
        return layout.wrapped(result, layout.placements, input.shape)
    shape = input.shape[: layout.dim] + input.shape[layout.dim + 1 :]
    whole = layout.wrapped(result, layout.of_rows(), shape)
    return cast(DTensor, whole.unsqueeze(layout.dim)) if keepdim else whole


@_outside_graphs
def cross_entropy_by_shards(
    input: DTensor, target: Tensor, class_weight: Tensor | None, where: Tensor | None, **options: Any
) -> DTensor:
    """Evaluate cross_entropy of a DTensor with sharded classes."""
    layout = layout_of(input, 1 if input.dim() > 1 else 0, "input")
    ignore_index = None if target.is_floating_point() else options["ignore_index"]
    check_loss_shapes(
        tuple(input.shape), tuple(target.shape), target.dtype, class_weight, (layout.dim,), ignore_index
    )
    rows = layout.of_rows()
    of_target = rows if target.dim() < input.dim() else layout.placements
    result = cross_entropy(
        input.to_local(),
        layout.part(target, of_target, "target"),
        None if class_weight is None else layout.part(class_weight, _of_vector(layout), "class_weight"),
        where=layout.mask(where, input),
        group=layout.group,
        first_class=layout.first_class,
        rows_group=layout.rows_group(options["reduction"]),
        **options,
    )
    if options["reduction"] != "none":
        return layout.wrapped(result, (Replicate(),) * layout.mesh.ndim)
    return layout.wrapped(result, rows, input.shape[: layout.dim] + input.shape[layout.dim + 1 :])


@_outside_graphs
def linear_cross_entropy_by_shards(
    input: Tensor, weight: DTensor, target: Tensor, bias: Tensor | None, **options: Any
) -> DTensor:
    """Evaluate linear_cross_entropy of a layer whose weight is sharded by classes."""
    layout = layout_of(weight, 0, "weight")
    of_bias = None if bias is None else tuple(bias.shape)
    check_layer_shapes(tuple(input.shape), tuple(weight.shape), of_bias, tuple(target.shape))
    rows: tuple[Placement, ...] = (Replicate(),) * layout.mesh.ndim
    if isinstance(input, DTensor):
        rows = tuple(input.placements)
        if not rows[layout.of_classes].is_replicate() or any(one.is_partial() for one in rows):
            raise InvalidInputError(
                f"input must be replicated over the ranks that share the classes, got {rows}; redistribute it"
            )
    shared = layout._replace(
        placements=tuple(
            one if place == layout.of_classes else rows[place] for place, one in enumerate(layout.placements)
        )
    )
    # the rows of each rank contribute to the gradient of the weights that ranks share
    parts = [
        Partial() if place in shared.sharded_rows() else one for place, one in enumerate(weight.placements)
    ]
    if isinstance(bias, DTensor):
        bias = bias.to_local(grad_placements=parts)
    elif bias is not None:
        bias = layout.part(bias, _of_vector(layout), "bias")
    result = linear_cross_entropy(
        input.to_local() if isinstance(input, DTensor) else input,
        weight.to_local(grad_placements=parts),
        layout._replace(placements=rows).part(target, rows, "target"),
        bias=bias,
        group=layout.group,
        first_class=layout.first_class,
        rows_group=shared.rows_group(options["reduction"]),
        **options,
    )
    if options["reduction"] != "none":
        return layout.wrapped(result, (Replicate(),) * layout.mesh.ndim)
    return layout.wrapped(result, rows, target.shape)


def layout_of(tensor: DTensor, dim: int, name: str) -> Layout:
    """Return the layout of a tensor with sharded classes on its mesh."""
    placements = tuple(tensor.placements)
    found = [place for place, one in enumerate(placements) if one.is_shard(dim)]
    if len(found) != 1 or any(one.is_partial() for one in placements):
        raise InvalidInputError(
            f"the classes of {name}, dimension {dim}, must be sharded over one dimension of the mesh, got "
            f"{placements}; redistribute it to Shard({dim}), or pass {name}.to_local() or "
            f"{name}.full_tensor()"
        )
    return Layout(tensor.device_mesh, placements, found[0], dim, tensor.shape[dim])


def _of_vector(layout: Layout) -> tuple[Placement, ...]:
    """Return the placements of one number per class."""
    return tuple(Shard(0) if place == layout.of_classes else Replicate() for place in range(layout.mesh.ndim))


def _without(placement: Placement, dim: int) -> Placement:
    """Return the placement of a tensor without one of its dimensions."""
    if not placement.is_shard() or placement.is_shard(dim):
        return Replicate()
    at = placement.dim  # pyright: ignore[reportAttributeAccessIssue]
    return Shard(at - (at > dim))
