import json
import os
import subprocess
import sys

import pytest

FAULTS = """
import json, resource
import numpy as np
from softmaxlib.files.kept_memory import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        np.ones(1 << 20, np.int8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

found = [faults()]
with kept_memory():
    found.append(faults())
found.append(faults())
print(json.dumps(found))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings of memory")
def test_memory_is_kept_for_the_task_alone():
    """A worker of Dask has this setting. Each array is then mapped anew, page by page."""
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True
    )
    before, meanwhile, after = json.loads(done.stdout)
    assert meanwhile < 0.2 * before
    assert meanwhile < 0.2 * after
