"""softmax and its kin by the GPU kernels on CPU tensors: a program that prints what differs as JSON."""

import json
import sys

import numpy as np
import torch
from without_gpu import REST, bits, special_rows  # first: it chooses how kernels run

import softmaxlib.torch as ours
from softmaxlib.torch._triton import launch


def cases():
    """Name, logits, dimensions, temperature and mask."""
    generator = torch.Generator().manual_seed(0)
    for n in (1, 17, 460, 1030):
        x = special_rows(n, generator)
        yield f"special rows of {n}", x, [-1], 1.0, None
    yield "several chunks", 3 * torch.randn(1, 4099, generator=generator), [-1], 1.0, None
    x = 3 * torch.randn(2, 8200, generator=generator)
    x[0, :4096], x[1, 4096:8192] = -torch.inf, -torch.inf
    yield "chunks of -inf", x, [-1], 1.0, None
    for n in (33, 500):
        x = special_rows(n, generator)
        where = torch.rand(x.shape, generator=generator) > 0.4
        where[3] = False
        yield f"masked rows of {n}", x, [-1], 1.0, where
    yield "temperature 0.37, and another mask", x[:3], [-1], 0.37, where[:1]
    for dtype in (torch.float16, torch.bfloat16):
        for n in (20, 600):
            x = (4 * torch.randn(3, n, generator=generator)).to(dtype)
            yield f"{dtype} rows of {n}", x, [-1], 1.0, None
    x = torch.randn(3, 30, 20, generator=generator)
    yield "side by side", torch.randn(40, 19, generator=generator), [0], 1.0, None
    yield "two dimensions", x, [0, 2], 1.0, None
    yield "all dimensions", x, [0, 1, 2], 2.0, None
    yield "permuted", x.permute(2, 0, 1), [1], 1.0, None
    yield "every other", x[:, ::2, ::3], [1], 1.0, None
    yield "off a border", torch.randn(1 + 2 * 601, generator=generator)[1:].view(2, 601), [-1], 1.0, None
    yield "far apart", torch.randn(520, 2, generator=generator).T, [-1], 1.0, None
    yield "no rows", torch.zeros(0, 5), [-1], 1.0, None
    yield "no classes", torch.zeros(4, 0), [-1], 1.0, None


def main():
    """Compare every case, or with a further argument those of this name, with the CPU kernels."""
    differing, seen = [], 0
    chosen = [case for case in cases() if not REST or case[0] in REST]
    long = [case for case in chosen if case[1].shape[-1] > 4096]
    for spread, (name, x, dims, temperature, where) in [(256, one) for one in chosen] + [
        (0, one) for one in long
    ]:
        launch.FEW = spread  # so many rows are spread over the device: all here, and then none
        for function in ("softmax", "log_softmax", "logsumexp"):
            if function == "logsumexp":
                got = launch.logsumexp(x, dims, False, where)
                want = ours.logsumexp(x, dims, where=where)
            else:
                got = getattr(launch, function)(x, dims, temperature, where)
                want = getattr(ours, function)(x, dims, temperature=temperature, where=where)
            seen += 1
            same = got.shape == want.shape and got.stride() == want.stride()
            if not same or not torch.equal(bits(got), bits(want)):
                differing.append(f"{function}: {name}")
    json.dump({"differing": differing, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
