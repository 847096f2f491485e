"""Definition of a PyTorch operator from a function of the library.

An operator has:

- a kernel for CPU tensors, which passes NumPy views of them to the compiled functions;
- a definition in tensor operations for every other device;
- a shape-only version, so that ``torch.compile`` and ``torch.export`` can trace it;
- a backward formula of operators and tensor operations, so that it can be differentiated again;
- a batching rule for ``torch.func.vmap``.

For forward-mode derivatives (``torch.func.jvp``, dual numbers) the definition in tensor operations is used.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._C._functorch import TransformType  # pyright: ignore[reportAttributeAccessIssue]

from .._arrays import broadcasts_to, check_dense, check_mask, check_real_dtype
from .._checks import check_foreign_dtype, row_operand_shape
from ..errors import InvalidInputError, UnsupportedTypeError
from ._gpu import device_of

Dims = int | Sequence[int] | None

WIDE_ON_A_GPU = {"cuda": torch.float32}
WIDE = {"cuda": torch.float32, "cpu": torch.float32}
NARROW: dict[str, torch.dtype | None] = {"cuda": None, "cpu": None}

_VIEWS = torch._C.DispatchKeySet(torch._C.DispatchKey.ADInplaceOrView)
_library = torch.library.Library("softmaxlib", "DEF")


def define(
    schema: str,
    *,
    generic: Callable[..., Any],
    fake: Callable[..., Any],
    setup_context: Callable[..., None],
    backward: Callable[..., Any],
    batch: Callable[..., Any],
    cpu: Callable[..., Any] | None = None,
    cuda: Callable[..., Any] | None = None,
    differentiable: Callable[..., Any] | None = None,
    layout: int | tuple[int, ...] | None = 0,
    autocast: Mapping[str, torch.dtype | None] = WIDE_ON_A_GPU,
) -> torch._ops.OpOverload:
    """Register ``softmaxlib::<schema>`` and return it.

    Without ``cpu``, the ``generic`` body is for all devices. It is also used if ``cuda`` returns
    NotImplemented. ``differentiable`` is the definition for forward-mode derivatives, by default ``generic``.
    ``layout`` is the argument whose strides a result has in the shape-only version, or one for each of
    several results; None for a contiguous result. For ``autocast`` see `_register_autocast`.
    """
    name = schema[: schema.index("(")]
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    operator = getattr(torch.ops.softmaxlib, name).default
    definition = differentiable or generic

    def laid_out(*inputs: Any) -> Any:
        result = generic(*inputs)
        if isinstance(layout, tuple):
            return tuple(in_layout_of(one, inputs[at]) for one, at in zip(result, layout, strict=True))
        if not isinstance(result, Tensor):
            return result
        return result.contiguous() if layout is None else in_layout_of(result, inputs[layout])

    if cpu is not None:
        _library.impl(name, cpu, "CPU")
    if cuda is not None:

        def on_gpu(*inputs: Any) -> Any:
            with device_of(next(one for one in inputs if isinstance(one, Tensor))):
                result = cuda(*inputs)
            return laid_out(*inputs) if result is NotImplemented else result

        _library.impl(name, on_gpu, "CUDA")
    _library.impl(name, laid_out, "CompositeExplicitAutograd")
    torch.library.register_fake(f"softmaxlib::{name}", fake, lib=_library)
    for device, dtype in autocast.items():
        _register_autocast(operator, device, dtype)

    def below_autograd(*inputs: Any) -> Any:
        # views are not recorded, so that a result that is one of a definition's tensors can change in place
        with torch._C._AutoDispatchBelowAutograd(), torch._C._ExcludeDispatchKeyGuard(_VIEWS):
            return operator(*inputs)

    function = type(
        f"{name}_function",
        (torch.autograd.Function,),
        {
            "forward": staticmethod(below_autograd),
            "setup_context": staticmethod(setup_context),
            "backward": staticmethod(backward),
            "vmap": staticmethod(batch),
        },
    )

    def in_autograd(*inputs: Any) -> Any:
        if _any_tangent(inputs):
            return definition(*inputs)
        if torch.is_grad_enabled() and any(isinstance(one, Tensor) and one.requires_grad for one in inputs):
            return function.apply(*inputs)
        return below_autograd(*inputs)

    def in_transforms(*inputs: Any) -> Any:
        if _inside_jvp():
            return definition(*inputs)
        return function.apply(*inputs)

    _library.impl(name, in_autograd, "Autograd")
    _library.impl(name, in_transforms, "FuncTorchDynamicLayerFrontMode")
    return operator


def _register_autocast(operator: torch._ops.OpOverload, device: str, dtype: torch.dtype | None) -> None:
    """Cast float tensors of up to 32 bits under autocast on this device; a dtype of None is autocast's.

    PyTorch does the same with its own operators: losses are computed in float32, matrix products in half
    precision, softmax in float32 on a GPU and in the type of its input on the CPU.
    """
    key = f"Autocast{device.upper()}"
    without_it = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))

    def in_autocast(*inputs: Any) -> Any:
        target = torch.get_autocast_dtype(device) if dtype is None else dtype
        with torch._C._ExcludeDispatchKeyGuard(without_it):
            return operator(*(_autocast(one, device, target) for one in inputs))

    _library.impl(operator._schema.name.split("::")[1], in_autocast, key)


def _autocast(value: Any, device: str, dtype: torch.dtype) -> Any:
    eligible = isinstance(value, Tensor) and value.is_floating_point() and value.device.type == device
    return value.to(dtype) if eligible and value.dtype != torch.float64 else value


def _any_tangent(inputs: Sequence[Any]) -> bool:
    """Return True if one of them is a dual number of ``torch.autograd.forward_ad``."""
    if torch.autograd.forward_ad._current_level < 0:
        return False
    tensors = (one for one in inputs if isinstance(one, Tensor))
    return any(torch.autograd.forward_ad.unpack_dual(one).tangent is not None for one in tensors)


def _inside_jvp() -> bool:
    """Return True if one of the function transforms around this call is ``torch.func.jvp``."""
    levels = torch._C._functorch.get_interpreter_stack() or ()  # pyright: ignore[reportAttributeAccessIssue]
    return any(level.key() == TransformType.Jvp for level in levels)


def view_as_numpy(tensor: Tensor) -> np.ndarray:
    """Return the memory of a CPU tensor as a NumPy array, without a copy."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:  # PyTorch does not convert this dtype to NumPy
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def fill_from_numpy(tensor: Tensor, values: Any) -> Tensor:
    """Fill the CPU tensor with the result of a NumPy function, and return it."""
    view_as_numpy(tensor)[...] = values
    return tensor


def loop_over_batch(operator: Callable[..., Any]) -> Callable[..., Any]:
    """Return the batching rule that computes one example after the other."""

    def batch(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Any, Any]:
        if info.batch_size == 0:
            return _no_examples(operator, in_dims, inputs)
        examples = [
            operator(
                *(
                    value.select(at, index) if isinstance(at, int) else value
                    for value, at in zip(inputs, in_dims, strict=True)
                )
            )
            for index in range(info.batch_size)
        ]
        if isinstance(examples[0], Tensor):
            return torch.stack(examples), 0
        results = tuple(torch.stack(parts) for parts in zip(*examples, strict=True))
        return results, (0,) * len(results)

    return batch


def _no_examples(
    operator: Callable[..., Any], in_dims: Sequence[int | None], inputs: Sequence[Any]
) -> tuple[Any, Any]:
    """Return the results of an empty batch, through which its inputs get a gradient of zeros.

    Their shapes and dtypes are those that an example without numbers has.
    """
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    example = operator(
        *(
            value.new_empty([size for place, size in enumerate(value.shape) if place != at], device="meta")
            if isinstance(value, Tensor)
            else value
            for value, at in zip(inputs, in_dims, strict=True)
        )
    )
    link = sum(value.flatten()[:0].sum() for value in tensors if value.is_floating_point())
    several = (example,) if isinstance(example, Tensor) else example
    results = tuple(torch.empty_like(one, device=tensors[0].device)[None][:0] + link for one in several)
    return (results[0], 0) if isinstance(example, Tensor) else (results, (0,) * len(results))


def pull_back(
    function: Callable[..., Any],
    upstream: Any,
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradients with respect to the inputs that need one, and None for the others."""
    chosen = [place for place, wanted in enumerate(needed) if wanted]
    if not chosen:
        return [None] * len(inputs)

    def of_chosen(*values: Tensor) -> Tensor:
        every = list(inputs)
        for place, value in zip(chosen, values, strict=True):
            every[place] = value
        return function(*every)

    _, backward, *_ = torch.func.vjp(of_chosen, *(inputs[place] for place in chosen))
    gradients: list[Tensor | None] = [None] * len(inputs)
    for place, gradient in zip(chosen, backward(upstream), strict=True):
        gradients[place] = gradient
    return gradients


def in_layout_of(result: Tensor, like: Tensor) -> Tensor:
    """Return the result with the strides of ``torch.empty_like(like)``, as in the shape-only version."""
    wanted = torch.empty_like(like, device="meta", dtype=result.dtype)
    differ = (
        size > 1 and one != other
        for size, one, other in zip(result.shape, result.stride(), wanted.stride(), strict=True)
    )
    return torch.empty_like(like, dtype=result.dtype).copy_(result) if any(differ) else result


_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_tensor(value: Any, name: str, input: Tensor | None = None) -> None:
    """Reject anything but a dense tensor, on the device of the input where one is given."""
    if not isinstance(value, Tensor):
        raise UnsupportedTypeError(
            f"{name} must be a tensor, got {type(value).__name__}; make one with torch.as_tensor"
        )
    check_dense(value, name)
    if input is not None:
        check_device(value, name, input)


def check_device(value: Tensor, name: str, input: Tensor, *, may_be_number: bool = False) -> None:
    """Reject a tensor on another device than the input.

    Where one number is enough, a 0-d tensor on the CPU goes with every device, as in PyTorch.
    """
    if value.device == input.device or (may_be_number and value.is_cpu and value.dim() == 0):
        return
    rule = f"{input.device}, or one number on the CPU" if may_be_number and not input.is_cpu else input.device
    raise InvalidInputError(
        f"{name} must be on the device of input, {rule}, got a tensor on {value.device}; move one of them "
        "with .to(device)"
    )


def as_floating(input: Tensor, dtype: torch.dtype | None, name: str = "input") -> Tensor:
    """Convert the tensor to the requested dtype; integers become float64, as everywhere in the library."""
    check_tensor(input, name)
    if dtype is not None:
        if not isinstance(dtype, torch.dtype) or dtype not in _FLOATING:
            dtype = check_foreign_dtype(dtype, input)
        return input.to(dtype)
    if input.dtype in _FLOATING:
        return input
    check_real_dtype(input.dtype, name)
    return input.double()


def check_where(where: Tensor | None, input: Tensor) -> None:
    """Reject anything but a mask of the input, or None."""
    if where is None:
        return
    check_tensor(where, "where", input)
    if where.dtype != torch.bool or not broadcasts_to(tuple(where.shape), tuple(input.shape)):
        check_mask(where, tuple(input.shape))


def as_integers(dim: Dims) -> list[int] | None:
    """Return checked dimensions as operators take them: a list of integers of Python, or None.

    A number that ``torch.compile`` traces is no ``int`` to an operator, but in a list it is.
    """
    if dim is None:
        return None
    return [int(one) for one in (dim if isinstance(dim, Sequence) else (dim,))]


def numpy_axis(dim: Sequence[int] | None) -> int | tuple[int, ...] | None:
    """Return a schema's ``int[]? dim`` as the ``axis`` of the NumPy functions."""
    if dim is None:
        return None
    return dim[0] if len(dim) == 1 else tuple(dim)


def all_dims(dim: Dims, dimensions: int) -> list[int]:
    """Return the dimensions for ``dim``; None stands for all."""
    if isinstance(dim, int):
        return [dim]
    return list(range(dimensions)) if dim is None else list(dim)


def mask_gradient(gradient: Tensor, where: Tensor | None) -> Tensor:
    """Return the gradient with 0 at masked entries, even where it is NaN."""
    return gradient if where is None else torch.where(where, gradient, 0.0)


def broadcast(where: Tensor | None, input: Tensor) -> Tensor | None:
    """Return the mask in the shape of the input, without a copy."""
    return None if where is None else where.expand(input.shape)


def to_front(tensor: Tensor | None, batch_dim: int | None, dimensions: int | None = None) -> Tensor | None:
    """Move the batch dimension to the front; after it, insert ``dimensions`` more."""
    if tensor is None or batch_dim is None:
        return tensor
    tensor = tensor.movedim(batch_dim, 0)
    if dimensions is None:
        return tensor
    return tensor.reshape(tensor.shape[0], *(1,) * (dimensions - tensor.dim() + 1), *tensor.shape[1:])


def shift_dims(dim: Sequence[int] | None, dimensions: int) -> list[int]:
    """Convert ``dim`` of an example to that of a tensor with a batch dimension in front."""
    return [one % dimensions + 1 for one in all_dims(dim, dimensions)]


def check_row_numbers(
    check: Callable[..., Any],
    values: float | Tensor,
    input: Tensor,
    axes: tuple[int, ...],
    name: str,
    *,
    waits: bool = True,
) -> Any:
    """Check one number, or one per row of `input`; of a tensor in a traced graph only the shape is known.

    Unless this ``waits``, that is all that is checked on a GPU too, and a captured graph stays whole.
    """
    unseen = isinstance(values, Tensor) and values.is_cuda and values.device == input.device and not waits
    if isinstance(values, Tensor) and (unseen or torch.compiler.is_compiling()):
        return values.reshape(row_operand_shape(tuple(values.shape), tuple(input.shape), axes, name))
    return check(values, input, axes)


def widened(tensor: Tensor) -> Tensor:
    """Convert half precision to float32, to be rounded once at the end; return others unchanged."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
