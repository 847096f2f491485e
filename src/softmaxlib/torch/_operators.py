"""How one function of the library becomes one PyTorch operator.

An operator has a kernel for CPU tensors, which hands NumPy views of them to the compiled functions; a
definition in tensor terms for every other device; a shape-only version, so that ``torch.compile`` and
``torch.export`` can trace it; a backward formula made of operators and tensor expressions, so that it can
be differentiated again; and a batching rule for ``torch.func.vmap``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedTypeError

Dims = int | Sequence[int] | None

_library = torch.library.Library("softmaxlib", "DEF")


def define(
    schema: str,
    *,
    cpu: Callable[..., Any],
    generic: Callable[..., Any],
    fake: Callable[..., Any],
    setup_context: Callable[..., None],
    backward: Callable[..., Any],
    batch: Callable[..., Any],
    wide_on_cpu: bool = False,
) -> torch._ops.OpOverload:
    """Register ``softmaxlib::<schema>`` and return it, ready to be called."""
    name = schema[: schema.index("(")]
    qualified = f"softmaxlib::{name}"
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(name, cpu, "CPU")
    _library.impl(name, generic, "CompositeExplicitAutograd")
    torch.library.register_fake(qualified, fake, lib=_library)
    torch.library.register_autograd(qualified, backward, setup_context=setup_context, lib=_library)
    # as autocast does to torch's own: on a GPU all of these are wide, on the CPU the losses only
    for device in ("cuda", "cpu") if wide_on_cpu else ("cuda",):
        torch.library.register_autocast(qualified, device, torch.float32, lib=_library)
    operator = getattr(torch.ops.softmaxlib, name).default
    # torch.func refuses the backward registered above, but takes the same formulas as a Function
    function = type(
        f"{name}_function",
        (torch.autograd.Function,),
        {
            "forward": staticmethod(lambda *inputs: operator(*inputs)),
            "setup_context": staticmethod(setup_context),
            "backward": staticmethod(backward),
            "vmap": staticmethod(batch),
        },
    )
    _library.impl(name, lambda *inputs: function.apply(*inputs), "FuncTorchDynamicLayerFrontMode")
    return operator


def define_without_batches(
    schema: str,
    *,
    evaluate: Callable[..., Any],
    fake: Callable[..., Any],
    setup_context: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
) -> torch._ops.OpOverload:
    """Register ``softmaxlib::<schema>`` with one body for every device; it cannot be batched."""
    name = schema[: schema.index("(")]
    qualified = f"softmaxlib::{name}"
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(name, evaluate, "CompositeExplicitAutograd")
    torch.library.register_fake(qualified, fake, lib=_library)
    if backward is not None:
        torch.library.register_autograd(qualified, backward, setup_context=setup_context, lib=_library)
    return getattr(torch.ops.softmaxlib, name).default


def view_as_numpy(tensor: Tensor) -> np.ndarray:
    """The memory of a CPU tensor as a NumPy array, without a copy."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:  # a dtype that PyTorch does not hand to NumPy by itself
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def fill_from_numpy(tensor: Tensor, values: Any) -> Tensor:
    """The CPU tensor, filled with what a NumPy function returned."""
    view_as_numpy(tensor)[...] = values
    return tensor


def loop_over_batch(operator: Callable[..., Any]) -> Callable[..., Any]:
    """The batching rule that runs one example after the other."""

    def batch(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Tensor, int]:
        examples = [
            operator(
                *(
                    value.select(at, index) if isinstance(at, int) else value
                    for value, at in zip(inputs, in_dims, strict=True)
                )
            )
            for index in range(info.batch_size)
        ]
        return torch.stack(examples), 0

    return batch


def takes_definition() -> bool:
    """Whether the definition in tensor terms is wanted: for export, and to carry tangents forward."""
    if torch.compiler.is_exporting():
        return True
    return not torch.compiler.is_compiling() and torch.autograd.forward_ad._current_level >= 0


def as_floating(input: Tensor, dtype: torch.dtype | None) -> Tensor:
    """The tensor in the requested dtype; integers become float64, as everywhere in the library."""
    if dtype is not None:
        return input.to(dtype)
    if input.is_floating_point():
        return input
    if input.dtype == torch.bool or input.is_complex():
        raise UnsupportedTypeError(
            f"input must be real numbers, got dtype {input.dtype}; convert with .double()"
        )
    return input.double()


def numpy_axis(dim: Sequence[int] | None) -> int | tuple[int, ...] | None:
    """A schema's ``int[]? dim`` as the ``axis`` of the NumPy functions."""
    if dim is None:
        return None
    return dim[0] if len(dim) == 1 else tuple(dim)


def all_dims(dim: Dims, dimensions: int) -> list[int]:
    """The dimensions meant by ``dim``, None being all of them."""
    if isinstance(dim, int):
        return [dim]
    return list(range(dimensions)) if dim is None else list(dim)


def mask_gradient(gradient: Tensor, where: Tensor | None) -> Tensor:
    """The gradient with what arrives at masked entries replaced by 0, NaN included."""
    return gradient if where is None else torch.where(where, gradient, 0.0)


def broadcast(where: Tensor | None, input: Tensor) -> Tensor | None:
    """The mask in the shape of the input, without a copy."""
    return None if where is None else where.expand(input.shape)


def to_front(tensor: Tensor | None, batch_dim: int | None, dimensions: int | None = None) -> Tensor | None:
    """The tensor with its batch in front; one with a batch is given ``dimensions`` more after it."""
    if tensor is None or batch_dim is None:
        return tensor
    tensor = tensor.movedim(batch_dim, 0)
    if dimensions is None:
        return tensor
    return tensor.reshape(tensor.shape[0], *(1,) * (dimensions - tensor.dim() + 1), *tensor.shape[1:])


def shift_dims(dim: Sequence[int] | None, dimensions: int) -> list[int]:
    """``dim`` of an example of so many dimensions, for a tensor with a batch in front of it."""
    return [one % dimensions + 1 for one in all_dims(dim, dimensions)]


def widened(tensor: Tensor) -> Tensor:
    """Half precision as float32, to be rounded once at the end; anything else as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
