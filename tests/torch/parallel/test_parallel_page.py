"""The program of the page, run in processes that have a group already."""

import re
from pathlib import Path

import sharded
import torch

import softmaxlib.torch

PAGE = Path(__file__).parents[3] / "docs/parallel.md"


def test_the_program_of_the_page(ranks):
    (program,) = re.findall(r"```python\n(import torch\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    said = ranks.run(sharded.program, program)
    torch.manual_seed(0)
    features, target = torch.randn(6, 8), torch.tensor([3, 14, 0, 7, -100, 19])
    loss = softmaxlib.torch.linear_cross_entropy(features, torch.randn(20, 8), target, label_smoothing=0.1)
    assert said == [f"gloo: rank {rank}: loss {loss:.4f}, gradient (5, 8)\n" for rank in range(4)]
