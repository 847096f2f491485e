import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import Policy
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost

NAMES = ("cat", "dog", "bird")


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    return (3 * np.eye(3)[labels] + 2 * rng.normal(size=(count, 3))).astype(np.float32), labels


def table(logits, labels, start=0):
    columns = {"id": np.arange(start, start + len(labels))}
    columns |= {f"logit_{name}": logits[:, k] for k, name in enumerate(NAMES)}
    return pa.table(columns | {"truth": np.array(NAMES)[labels]})


@pytest.fixture(scope="session")
def policy():
    logits, labels = rows(600)
    policy = Policy(TemperatureScaling(), MinimumCost(1 - np.eye(3), abstain_cost=0.2))
    return policy.fit(logits, labels, class_names=NAMES)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder of folders: Parquet of several row groups, compressed CSV, Arrow's stream and file."""
    root = tmp_path_factory.mktemp("rows")
    start = 0
    for name, count in (("year=2025/a.parquet", 300), ("year=2025/b.csv.gz", 40), ("year=2026/c.arrow", 50)):
        content = table(*rows(count, seed=start), start)
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("parquet"):
            pyarrow.parquet.write_table(content, path, row_group_size=50)
        elif name.endswith("gz"):
            with pa.CompressedOutputStream(str(path), "gzip") as file:
                pyarrow.csv.write_csv(content, file)
        else:
            with pa.ipc.new_file(path, content.schema) as writer:
                writer.write_table(content, max_chunksize=20)
        start += count
    (root / "_SUCCESS").touch()
    (root / "year=2025/.a.parquet.crc").write_bytes(b"x")
    return root
