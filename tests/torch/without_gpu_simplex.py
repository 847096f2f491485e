"""sparsemax and entmax by the GPU kernels on CPU tensors, without a GPU: prints what differs."""

import json
import sys

import numpy as np
import torch
from without_gpu import bits, special_rows  # first: it chooses how kernels run

import softmaxlib
from softmaxlib.torch import _simplex_operators
from softmaxlib.torch._triton import simplex_launch


def cases():
    """Name, logits, dimensions and mask."""
    generator = torch.Generator().manual_seed(0)
    for n in (1, 17, 700):
        x = special_rows(n, generator) if n > 1 else torch.randn(8, 1, generator=generator)
        where = torch.rand(x.shape, generator=generator) > 0.4
        where[3] = False
        yield f"special rows of {n}", x, [-1], None
        yield f"masked rows of {n}", x, [-1], where
    x = torch.randn(5, 20, 3, generator=generator)
    yield "two dimensions", x, [0, 2], None
    yield "bfloat16, side by side", torch.randn(40, 9, generator=generator).bfloat16(), [0], None
    yield "float16", torch.randn(3, 40, generator=generator).half(), [-1], None
    x = torch.cat([3 * torch.randn(2, 8200, generator=generator), 1e-3 * torch.randn(1, 8200)])
    x[1, 5] = torch.nan
    yield "longer than the registers", x, [-1], None


def derivative_error(p, gradient, alpha, dims, where):
    """The largest error of a derivative in units of its last place."""
    got = simplex_launch.entmax_vjp(p, gradient, alpha, dims, where).double()
    exact = _simplex_operators._vjp_definition(p.double(), gradient.double(), alpha, dims, where)
    unit = torch.exp2(exact.abs().clamp(min=2.0**-126).log2().floor() - 23)
    return torch.where(got.isnan() & exact.isnan(), 0.0, (got - exact).abs() / unit).max().item()


def error_in_double(x, alpha, dims, where):
    """The largest error in float64, and of its derivative beside numbers of this size, in units of 2^-53."""
    mask = None if where is None else where.numpy()
    got = simplex_launch.entmax(x, alpha, dims, where)
    want = torch.from_numpy(softmaxlib.entmax(x.numpy(), alpha, axis=tuple(dims), where=mask))
    assert torch.equal(got.isnan(), want.isnan())
    gradient = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view(x.shape)
    slope = simplex_launch.entmax_vjp(got, gradient, alpha, dims, where)
    exact = _simplex_operators._vjp_definition(got, gradient, alpha, dims, where)
    errors = [(one - other).nan_to_num().abs().max() for one, other in ((got, want), (slope, exact))]
    return max(errors).item() * 2.0**53


def main():
    """Compare every case with the CPU kernels, and derivatives with the definition in double."""
    differing, seen, worst, wide = [], 0, 0.0, 0.0
    generator = torch.Generator().manual_seed(1)
    for name, x, dims, where in cases():
        mask = None if where is None else where.numpy()
        for alpha in (2.0, 1.5):
            got = simplex_launch.entmax(x, alpha, dims, where)
            plain = softmaxlib.entmax(x.float().numpy(), alpha, axis=tuple(dims), where=mask)
            want = torch.from_numpy(plain).to(x.dtype)
            seen += 1
            if got.stride() != torch.empty_like(x).stride() or not torch.equal(bits(got), bits(want)):
                differing.append(f"{name}, order {alpha}")
            if x.dtype == torch.float32:
                wide = max(wide, error_in_double(x.double(), alpha, dims, where))
            gradient = torch.randn(x.shape, generator=generator)
            worst = max(worst, derivative_error(got.float(), gradient, alpha, dims, where))
    json.dump({"differing": differing, "seen": seen, "worst derivative": worst, "double": wide}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
