"""The program of the page, run by torchrun as a reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import torch

import softmaxlib.torch

PAGE = Path(__file__).parents[3] / "docs/parallel.md"


def test_the_program_of_the_page(tmp_path):
    (program,) = re.findall(r"```python\n(import torch\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "train.py").write_text(program)
    # A file for each rank: the lines of two ranks on one pipe may mix.
    ranks = ["--nproc-per-node", "2", "--redirects", "1", "--log-dir", "logs"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", *ranks, "train.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    torch.manual_seed(0)
    features, target = torch.randn(6, 8), torch.tensor([3, 14, 0, 7, -100, 19])
    loss = softmaxlib.torch.linear_cross_entropy(features, torch.randn(20, 8), target, label_smoothing=0.1)
    said = sorted(file.read_text("utf-8") for file in tmp_path.glob("logs/**/stdout.log"))
    assert said == [f"rank {rank}: loss {loss:.4f}, gradient (10, 8)\n" for rank in (0, 1)]
