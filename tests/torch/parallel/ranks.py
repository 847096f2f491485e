"""Four processes with a gloo group each of 1, 2, 3 and 4 of them, which run functions for the tests."""

import multiprocessing
import os
import traceback
from datetime import timedelta

WORLD = 4
SECONDS = 300  # what takes longer hangs; starting takes long on a machine that is busy


class Ranks:
    """Processes that wait for functions to run."""

    def __init__(self, folder):
        context = multiprocessing.get_context("forkserver")  # PyTorch is imported once, by the server
        context.set_forkserver_preload(["torch.distributed.tensor", "softmaxlib.torch.parallel"])
        self._pipes, self._processes = [], []
        for rank in range(WORLD):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, str(folder / "store"), theirs), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, function, *arguments, world=WORLD):
        """What ``function(groups, rank, *arguments)`` returns on each of the first ``world`` ranks.

        An exception is returned as (its class's name, its text).
        """
        for pipe in self._pipes[:world]:
            pipe.send((function, world, arguments))
        results = []
        for rank, pipe in enumerate(self._pipes[:world]):
            assert pipe.poll(SECONDS), f"rank {rank} hangs"
            results.append(pipe.recv())
        errors = [value for kind, value in results if kind == "error"]
        assert not errors, errors[0]
        return [value for _, value in results]

    def stop(self):
        """End the processes."""
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(10)
            process.kill()


class Groups:
    """The groups of a call: ``all`` of its ranks, and those of a grid of 2 x 2 that this rank is in."""

    def __init__(self, of_world, rows, columns):
        self.all, self.row, self.column = of_world, rows, columns


def _serve(rank, store, pipe):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD, timeout=timedelta(seconds=SECONDS)
    )
    of_world = {world: dist.new_group(list(range(world))) for world in range(1, WORLD + 1)}
    grid = {ranks: dist.new_group(list(ranks)) for ranks in ((0, 1), (2, 3), (0, 2), (1, 3))}
    row, column = (
        next(grid[ranks] for ranks in some if rank in ranks) for some in (list(grid)[:2], list(grid)[2:])
    )
    while (task := pipe.recv()) is not None:
        function, world, arguments = task
        try:
            pipe.send(("value", function(Groups(of_world[world], row, column), rank, *arguments)))
        except Exception:
            pipe.send(("error", traceback.format_exc()))
    os._exit(0)  # gloo's threads are left as they are: nobody waits for another
