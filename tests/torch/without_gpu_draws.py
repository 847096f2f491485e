"""Draws by the GPU kernels on CPU tensors, without a GPU: a program that prints what differs."""

import json
import sys

import numpy as np
import torch
from without_gpu import bits  # first: it chooses how kernels run

from softmaxlib.sampling import Chain, Temperature, TypicalP
from softmaxlib.torch import _draw_on_gpu


def cases():
    """Name, logits, chain and data of a call."""
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(3, 300, generator=generator)
    x[1] = x[1].round()
    x[2, ::2] = -torch.inf
    standard = Chain.standard
    yield "top-k and top-p, ties", x[1:], standard(temperature=0.8, top_k=40, top_p=0.9), {}
    yield "no filter, odd rows", x[:2, :67], standard(temperature=1.3), {}
    yield "top-p of two chunks", 3 * torch.randn(1, 4099, generator=generator), standard(top_p=0.7), {}
    every = standard(temperature=1.2, top_n_sigma=2.5, top_k=90, top_p=0.95, min_p=0.01, typical_p=0.8)
    yield "all filters in bfloat16", x[:2].bfloat16(), every, {}
    own = standard(top_k=[1, 9, 300], temperature=[0.5, 0, 2], top_p=[0.1, 0.9, 1.0])
    seeds = {"seed": np.array([1, 2**64 - 1, 2**63], dtype=np.uint64), "position": [1, 2, 2**32 - 1]}
    yield "parameters and keys a row", x.T.contiguous().T, own, seeds
    engine = Chain.like("vllm", temperature=0.9, top_p=0.95, presence_penalty=0.5, repetition_penalty=1.1)
    data = {"history": [[1, 2, 2], [7, 7, 7, 8]], "prompt_length": [1, 2], "bias": {3: 2.0, 5: -np.inf}}
    yield "penalties and bias, tokens far apart", x[1:].T.contiguous().T, engine, data
    yield "allowed", x[:1], standard(temperature=0.6), {"allowed": x.numpy()[:1] > 0}
    yield "greedy at the end", x[:1], Chain(TypicalP(0.9), Temperature(0)), {}


def main():
    """Compare every case with the CPU."""
    differing, seen = [], 0
    for name, x, chain, data in cases():
        call = {"history": None, "prompt_length": 0, "bias": None, "allowed": None, "seed": 7, "position": 1}
        call |= data
        got = _draw_on_gpu.draw(chain.stages, x, **call)
        want = chain.sample(x, **call)
        for part, here, expected in zip(want._fields, got, want, strict=True):
            seen += 1
            if here.dtype != expected.dtype or not torch.equal(bits(here.float()), bits(expected.float())):
                differing.append(f"{name}: {part}")
    x = torch.zeros(5, 20)
    x[1, 7], x[2, 7], x[3] = torch.nan, torch.inf, -torch.inf
    call = {"history": None, "prompt_length": 0, "bias": None, "allowed": None, "seed": 7, "position": 1}
    token, logprob, _ = _draw_on_gpu.draw(Chain.standard(top_k=3).stages, x, **call)
    bad = torch.tensor([False, True, True, True, False])
    if not torch.equal(token < 0, bad) or not torch.equal(logprob.isnan(), bad):
        differing.append("rows that can't be drawn from")
    json.dump({"differing": differing, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
