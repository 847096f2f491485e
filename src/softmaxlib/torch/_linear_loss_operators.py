"""The operators behind linear_cross_entropy and its derivative: blocks of rows, sums in float32 or wider."""

from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic
from .. import losses as numpy_functions
from .._frameworks import as_graph_node
from ._gpu import device_of, kernels_for
from ._loss_operators import cross_entropy, cross_entropy_generic
from ._operators import NARROW, define, fill_from_numpy, loop_over_batch, view_as_numpy, widened

_PRODUCT = 128 * 2**20  # bytes of a product that is added to a gradient


def _kept_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which a gradient waits for the factor that arrives, without underflow."""
    return torch.float32 if tensor.dtype == torch.float16 else tensor.dtype


def under_autocast(tensor: Tensor) -> bool:
    """Return True under autocast for the device of the tensor. Some devices, such as meta, have none."""
    device = tensor.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


class _Head(NamedTuple):
    """A linear layer and its loss, computed by blocks of rows."""

    softcap: float | None
    label_smoothing: float
    ignore_index: int | None
    z_loss: float
    rows_at_once: int

    def denominator(self, target: Tensor, reduction: str) -> Tensor | float:
        """Return the divisor of the sum of the losses."""
        if reduction != "mean":
            return 1.0
        return target.numel() if self.ignore_index is None else (target != self.ignore_index).sum()

    def losses(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        loss_of_logits: Any = cross_entropy,
    ) -> Tensor:
        """Return the loss of each row."""
        options = self._loss_options()
        kernels = self._kernels(weight) if loss_of_logits is cross_entropy else None
        losses = []
        for rows, label in self._blocks(input, target):
            rows, _ = self._counted(rows, label)
            logits = self._logits(rows, weight, bias)
            if kernels is None:
                losses.append(loss_of_logits(widened(logits), label, *options))
            else:
                with device_of(logits):
                    losses.append(kernels.losses_of_rows(logits, label, kernels.Options(*options)))
        return torch.cat(losses).to(widened(weight[:0]).dtype)

    def losses_and_gradients(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        factor: Tensor,
        denominator: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return the loss of each row, and the gradients of their sum with a factor for each row.

        The gradients are divided by the denominator, and then rounded to the dtype, by default the layer's.
        """
        kernels = self._kernels(weight)
        wide = widened(weight).dtype
        dtype = weight.dtype if dtype is None else dtype
        denominator = weight.new_ones((), dtype=wide) if denominator is None else denominator
        losses = input.new_empty(input.shape[0], dtype=wide)
        of_input, of_weight = torch.empty_like(input, dtype=dtype), torch.zeros_like(weight, dtype=wide)
        of_bias = None if bias is None else torch.zeros_like(bias, dtype=wide)
        for start in range(0, input.shape[0], self.rows_at_once):
            part = slice(start, start + self.rows_at_once)
            rows, counted = self._counted(input[part], target[part])
            scale = factor[part] if counted is None else torch.where(counted, factor[part], 0.0)
            logits = self._logits(rows, weight, bias)
            slope = None if self.softcap is None else 1 - (widened(logits) / self.softcap) ** 2
            if kernels is None:
                loss, gradient = self._gradient(widened(logits), target[part])
            else:  # the gradient overwrites the logits
                options = kernels.Options(*self._loss_options())
                with device_of(logits):
                    loss = kernels.losses_and_derivatives(logits, target[part], options)
                gradient = logits
            gradient = gradient if slope is None else gradient * slope
            losses[part] = loss
            # the factors multiply the narrow matrices, to save passes over the wide one
            product = gradient.to(weight.dtype) @ weight
            share = scale / denominator
            torch.mul(product, share.unsqueeze(1), out=of_input[part])
            _add_product(of_weight, gradient, rows, scale, denominator)
            if of_bias is not None:
                of_bias += widened(gradient).T @ share
        return losses, of_input, of_weight.to(dtype), None if of_bias is None else of_bias.to(dtype)

    def _blocks(self, input: Tensor, target: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Return blocks of rows: one of all rows if a program is exported for any number of them."""
        if isinstance(input.shape[0], torch.SymInt):
            return [(input, target)]
        return zip(input.split(self.rows_at_once), target.split(self.rows_at_once), strict=True)

    def _counted(self, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the rows, with 0 in ignored ones (maybe NaN), and which rows count (None: all)."""
        if self.ignore_index is None:
            return rows, None
        counted = target != self.ignore_index
        return torch.where(counted.unsqueeze(1), rows, 0.0), counted

    def _logits(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        logits = torch.nn.functional.linear(input, weight, bias)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)

    def _loss_options(self) -> tuple[Any, ...]:
        """Return the options of cross_entropy, as its operator has them."""
        return None, None, 1, self.label_smoothing, self.ignore_index, 0.0, self.z_loss, "none"

    def _kernels(self, weight: Tensor) -> Any:
        """Return the module of kernels for this loss; None if kernels can't be used."""
        return kernels_for("losses", weight) if weight.is_cuda else None

    def _gradient(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and gradient of each row; on the CPU the gradient overwrites the logits."""
        options = {
            "ignore_index": self.ignore_index,
            "label_smoothing": self.label_smoothing,
            "z_loss": self.z_loss,
            "reduction": "none",
        }
        if logits.device.type != "cpu":
            options |= {"axis": -1, "class_weight": None, "focal_gamma": 0.0, "where": None}
            return _generic.cross_entropy_grad(namespace, logits, target, **options)
        view = view_as_numpy(logits)
        loss, _ = numpy_functions.cross_entropy_grad(view, view_as_numpy(target), **options, out=view)
        return fill_from_numpy(logits.new_empty(target.shape), loss), logits


def _add_product(total: Tensor, gradient: Tensor, rows: Tensor, scale: Tensor, denominator: Tensor) -> None:
    """Compute total += gradient^T (rows scale) / denominator; half precision is rounded after the sum."""
    if rows.dtype == total.dtype or rows.device.type == "cpu":
        total.addmm_(widened(gradient).T, widened(rows) * (scale / denominator).unsqueeze(1))
        return
    # float16 would lose what is divided by many rows, so the product is divided
    transposed, scaled = gradient.T.to(rows.dtype), (rows * scale.unsqueeze(1)).to(rows.dtype)
    step = max(1024, _PRODUCT // max(1, total.shape[1] * total.element_size()))
    for start in range(0, len(total), step):
        part = slice(start, start + step)
        if hasattr(torch.ops.aten.mm, "dtype"):  # PyTorch 2.8: products of half precision, summed in float32
            product = torch.mm(transposed[part], scaled, out_dtype=total.dtype)
        else:
            product = torch.mm(transposed[part], scaled).to(total.dtype)
        total[part].addcdiv_(product, denominator)


def _forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    softcap: float | None,
    label_smoothing: float,
    ignore_index: int | None,
    z_loss: float,
    rows_at_once: int,
    reduction: str,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss, and in the same pass the gradients of a reduced loss (else empty tensors)."""
    head = _Head(softcap, label_smoothing, ignore_index, z_loss, rows_at_once)
    nothing = input.new_empty(0), weight.new_empty(0), weight.new_empty(0)
    if reduction == "none":  # the upstream gradient of each row is known only in the backward pass
        return head.losses(input, weight, bias, target), *nothing
    denominator = head.denominator(target, reduction)
    if not with_gradient:
        return head.losses(input, weight, bias, target).sum() / denominator, *nothing
    factor = widened(input[:0]).new_ones(target.shape)
    rows = torch.as_tensor(denominator, dtype=factor.dtype, device=factor.device).clamp(min=1)  # none: 0 / 1
    losses, of_input, of_weight, of_bias = head.losses_and_gradients(
        input, weight, bias, target, factor, rows, _kept_dtype(weight)
    )
    return losses.sum() / denominator, of_input, of_weight, nothing[2] if of_bias is None else of_bias


@as_graph_node
def definition(
    input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss in differentiable tensor operations, without the gradients."""
    *head_options, reduction, _ = options
    head = _Head(*head_options)
    losses = head.losses(input, weight, bias, target, cross_entropy_generic)
    nothing = input.new_empty(0), weight.new_empty(0), weight.new_empty(0)
    if reduction == "none":
        return losses, *nothing
    return losses.sum() / head.denominator(target, reduction), *nothing


def _forward_fake(
    input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *_, reduction, with_gradient = options
    loss = widened(input.new_empty(target.shape if reduction == "none" else ()))
    if reduction == "none" or not with_gradient:
        return loss, input.new_empty(0), weight.new_empty(0), weight.new_empty(0)
    return loss, *_gradients_fake(input, weight, bias)


def _gradients_fake(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    kept = _kept_dtype(weight)
    of_bias = weight.new_empty(0) if bias is None else torch.empty_like(bias, dtype=kept)
    return torch.empty_like(input, dtype=kept), torch.empty_like(weight, dtype=kept), of_bias


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, softcap, label_smoothing, ignore_index, z_loss, rows_at_once, reduction, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.options = softcap, label_smoothing, ignore_index, z_loss, rows_at_once
    ctx.reduction, ctx.has_bias, ctx.dtype = reduction, tensors[2] is not None, tensors[1].dtype
    ctx.save_for_backward(*(tensors if reduction == "none" else output[1:]))


def _backward(ctx: Any, gradient: Tensor | None, *of_gradients: Tensor | None) -> tuple[Any, ...]:
    if ctx.reduction != "none" and any(one is not None for one in of_gradients):
        _refuse_second_derivative()
    if gradient is None:
        return (None,) * 11
    if ctx.reduction == "none":
        gradients = linear_cross_entropy_vjp(gradient, *ctx.saved_tensors, *ctx.options)
    else:
        gradients = [one * _factor(gradient, one.dim()) for one in ctx.saved_tensors]
    of_input, of_weight, of_bias = (one.to(ctx.dtype) for one in gradients)
    return of_input, of_weight, of_bias if ctx.has_bias else None, *(None,) * 8


def _factor(gradient: Tensor, dimensions: int) -> Tensor:
    """Return the gradient of a reduced loss as a factor of a tensor with so many dimensions.

    Without dimensions it leaves a product in bfloat16. But vmap multiplies no empty batch by such numbers.
    """
    if torch._C._are_functorch_transforms_active():
        return gradient.reshape((1,) * dimensions)
    return gradient


def _refuse_second_derivative() -> NoReturn:
    raise NotImplementedError(
        "linear_cross_entropy has no second derivative; for one use cross_entropy of the logits, "
        "or torch.func.jvp of the gradient"
    )


def _vjp(
    gradient: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    _, of_input, of_weight, of_bias = _Head(*options).losses_and_gradients(
        input, weight, bias, target, gradient
    )
    return of_input, of_weight, weight.new_empty(0) if of_bias is None else of_bias


def _vjp_definition(
    gradient: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, ...]:
    """Return the gradients in differentiable tensor operations."""

    def losses(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return _Head(*options).losses(input, weight, bias, target, cross_entropy_generic)

    leaves = (input, weight) if bias is None else (input, weight, bias)
    _, back, *_ = torch.func.vjp(losses, *leaves)
    gradients = back(gradient)
    return gradients if bias is not None else (*gradients, weight.new_empty(0))


def _vjp_fake(
    gradient: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    of_bias = weight.new_empty(0) if bias is None else torch.empty_like(bias)
    return torch.empty_like(input), torch.empty_like(weight), of_bias


def _vjp_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)


def _vjp_backward(ctx: Any, *second: Tensor | None) -> tuple[None, ...]:
    if any(one is not None for one in second):
        _refuse_second_derivative()
    return (None,) * 10


_OPTIONS = "float? softcap, float label_smoothing, int? ignore_index, float z_loss, int rows_at_once"
linear_cross_entropy = define(
    f"linear_cross_entropy(Tensor input, Tensor weight, Tensor? bias, Tensor target, {_OPTIONS}, "
    "str reduction, bool with_gradient) -> (Tensor, Tensor, Tensor, Tensor)",
    generic=_forward,
    differentiable=definition,
    fake=_forward_fake,
    setup_context=_context,
    backward=_backward,
    batch=loop_over_batch(lambda *inputs: linear_cross_entropy(*inputs)),
    autocast=NARROW,
)
linear_cross_entropy_vjp = define(
    "linear_cross_entropy_vjp(Tensor gradient, Tensor input, Tensor weight, Tensor? bias, Tensor target, "
    f"{_OPTIONS}) -> (Tensor, Tensor, Tensor)",
    generic=_vjp,
    differentiable=_vjp_definition,
    fake=_vjp_fake,
    setup_context=_vjp_context,
    backward=_vjp_backward,
    batch=loop_over_batch(lambda *inputs: linear_cross_entropy_vjp(*inputs)),
    autocast={},
)
