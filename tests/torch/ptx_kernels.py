"""Kernels in Triton, compiled and run as PTX on CPU tensors."""

import torch
import triton
import triton.language as tl
from ptx_machine import run_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend
from triton.runtime.jit import create_function_from_signature

__all__ = ["ARCHITECTURE", "jit", "stand_in", "tl"]

ARCHITECTURE = 90
_compiled = {}


class Kernel:
    """Stands in for a kernel: compiles it for the arguments of a launch, and runs what comes out."""

    def __init__(self, kernel):
        self._kernel = kernel

    def __getitem__(self, grid):
        return lambda *arguments, **options: self._launch((*grid, 1, 1)[:3], arguments, options)

    def _launch(self, grid, arguments, options):
        backend = make_backend(GPUTarget("cuda", ARCHITECTURE, 32))
        options |= {"debug": False, "instrumentation_mode": ""}
        bind = create_function_from_signature(self._kernel.signature, self._kernel.params, backend)
        bound, specialization, _ = bind(*arguments, **options)
        key = self._kernel.__name__, ARCHITECTURE, str(specialization), str(options)
        if key not in _compiled:
            given = self._kernel._pack_args(backend, options, bound, specialization, None)
            chosen, signature, constants, attributes = given
            source = ASTSource(self._kernel, signature, constants, attributes)
            target = GPUTarget("cuda", ARCHITECTURE, 32)
            _compiled[key] = triton.compile(source, target=target, options=chosen.__dict__), signature
        compiled, signature = _compiled[key]
        numbers, places = [], []
        for kind, one in _flat(tuple(signature.values()), tuple(bound.values())):
            if isinstance(one, torch.Tensor):
                memory = one.untyped_storage()
                places.append((memory.data_ptr(), memory.nbytes()))
            numbers.append((kind, one.data_ptr() if isinstance(one, torch.Tensor) else one))
        metadata = compiled.metadata
        run_kernel(compiled.asm["ptx"], 32 * metadata.num_warps, metadata.shared, grid, numbers, places)


def _flat(kind, value):
    """Types and values of an argument, those of tuples one by one, without what is compiled in."""
    if isinstance(kind, tuple):
        for one, part in zip(kind, value, strict=True):
            yield from _flat(one, part)
    elif kind != "constexpr":
        yield kind, value


def jit(function):
    """Compile a kernel of a test when it is launched."""
    return Kernel(triton.jit(function))


def stand_in(modules):
    """Put these kernels into the places of those that the launchers in modules call."""
    for module in modules:
        for name, kernel in list(vars(module).items()):
            if name.endswith("_kernel"):
                setattr(module, name, Kernel(kernel))
