"""Time and memory of a cross-entropy whose classes are shared out over processes.

``python benchmarks/parallel_losses.py [ranks [shape]]`` starts so many gloo processes on this machine. For
all shapes, or one of them (0, 1 or 2), it compares, forward and backward, `parallel.cross_entropy` of
`softmaxlib.torch` with PyTorch's ``loss_parallel`` and with a plain gathering of all logits. Memory is what
the process's peak grows by, per row and per rank, beyond the local logits.
"""

import os
import resource
import sys
import tempfile
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from _processor import processor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.parallel import loss_parallel

from softmaxlib.torch import parallel

SHAPES = [(512, 32_768), (2048, 8_192), (64, 131_072)]
REPETITIONS = 3


def ours(local, target, mesh, classes):
    first_class = classes // mesh.size() * mesh.get_local_rank()
    return parallel.cross_entropy(local, target, group=mesh.get_group(), first_class=first_class)


def of_pytorch(local, target, mesh, classes):
    return F.cross_entropy(DTensor.from_local(local, mesh, [Shard(1)], run_check=False), target)


def gathering(local, target, mesh, classes):
    whole = [torch.empty_like(local) for _ in range(mesh.size())]
    dist.all_gather(whole, local.detach(), group=mesh.get_group())
    whole[mesh.get_local_rank()] = local
    return F.cross_entropy(torch.cat(whole, 1), target)


FUNCTIONS = {
    "softmaxlib.torch.parallel": ours,
    "loss_parallel": of_pytorch,
    "all-gather of logits": gathering,
}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def step(function, local, target, mesh, classes):
    local.grad = None
    with loss_parallel():
        function(local, target, mesh, classes).backward()


def measure(rank, ranks, store, name, shape, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
    mesh = init_device_mesh("cpu", (ranks,))
    rows, classes = shape
    generator = torch.Generator().manual_seed(rank)
    local = torch.randn(rows, classes // ranks, generator=generator).requires_grad_()
    target = torch.randint(0, classes, (rows,), generator=torch.Generator().manual_seed(0))
    function = FUNCTIONS[name]
    step(function, local[:2].detach().requires_grad_(), target[:2], mesh, classes)
    before = peak()
    step(function, local, target, mesh, classes)
    memory = peak() - before
    best = float("inf")
    for _ in range(REPETITIONS):
        dist.barrier()
        start = time.perf_counter()
        step(function, local, target, mesh, classes)
        best = min(best, time.perf_counter() - start)
    results[rank] = (best, memory / rows)
    dist.barrier()
    os._exit(0)


def main():
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    context = torch.multiprocessing.get_context("spawn")
    print(f"{processor()}, PyTorch {torch.__version__}, {ranks} gloo ranks of one thread, float32")
    print(f"{'rows x classes':>16}  {'loss':26} {'ms':>9} {'bytes a row':>12} {'of the logits':>14}")
    for shape in SHAPES if len(sys.argv) < 3 else [SHAPES[int(sys.argv[2])]]:
        for name in FUNCTIONS:
            with tempfile.TemporaryDirectory() as folder, context.Manager() as manager:
                results = manager.dict()
                tasks = [
                    context.Process(
                        target=measure, args=(rank, ranks, f"{folder}/store", name, shape, results)
                    )
                    for rank in range(ranks)
                ]
                for task in tasks:
                    task.start()
                for task in tasks:
                    task.join()
                best = max(time for time, _ in results.values())
                memory = max(memory for _, memory in results.values())
            share = memory / (4 * shape[1] / ranks)
            size = f"{shape[0]} x {shape[1]}"
            print(f"{size:>16}  {name:26} {1e3 * best:9.1f} {memory:12.0f} {share:14.2f}")


if __name__ == "__main__":
    main()
