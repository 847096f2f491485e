"""The recipes of docs/files.md for Spark, Dask and DuckDB, run as they stand there."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from softmaxlib import Policy

from .conftest import NAMES, rows

GUIDE = (Path(__file__).parents[2] / "docs/files.md").read_text("utf-8")


def recipe(engine):
    found = re.search(rf"\*\*{engine}\*\*.*?```python\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def expected(policy):
    logits, _ = rows(40)
    action = policy.decide(logits).action
    return logits, [None if k < 0 else NAMES[k] for k in action]


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # JAX is there where other tests imported it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark(policy, expected, tmp_path, monkeypatch):
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark: pip install 'softmaxlib[spark]'")
    if shutil.which("java") is None:
        pytest.skip("needs Java 17 or newer (Debian: openjdk-17-jre-headless)")
    monkeypatch.setenv("PYSPARK_PYTHON", os.sys.executable)
    # Java compiles quickly and not well, as it runs for seconds only.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    logits, decisions = expected
    policy.save(tmp_path / "policy.json")
    monkeypatch.chdir(tmp_path)
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.default.parallelism", "1")
        .getOrCreate()
    )
    try:
        columns = {f"logit_{name}": logits[:, k].astype(np.float64) for k, name in enumerate(NAMES)}
        pyarrow.parquet.write_table(pa.table({"id": np.arange(40), **columns}), tmp_path / "rows.parquet")
        names = {"rows": session.read.parquet(str(tmp_path / "rows.parquet")), "Policy": Policy}
        exec(recipe("Spark").replace('"policy.json"', repr(str(tmp_path / "policy.json"))), names)
        found = names["decided"].select("id", "decision").collect()
    finally:
        session.stop()
    assert [row.decision for row in sorted(found)] == decisions


def test_dask(policy, expected):
    frames = pytest.importorskip("dask.dataframe")
    import pandas as pd

    logits, decisions = expected
    columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(NAMES)}
    frame = pd.DataFrame({"id": np.arange(len(logits))} | columns)
    names = {"rows": frames.from_pandas(frame, npartitions=3), "pa": pa, "policy": policy}
    exec(recipe("Dask"), names)
    found = names["decided"].compute(scheduler="sync").sort_values("id")
    assert [None if pd.isna(one) else one for one in found["decision"]] == decisions


def test_duckdb(policy, expected, tmp_path, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    logits, decisions = expected
    columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(NAMES)}
    (tmp_path / "rows").mkdir()
    pyarrow.parquet.write_table(pa.table({"id": np.arange(40), **columns}), tmp_path / "rows/a.parquet")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        names = {"connection": connection, "pa": pa, "policy": policy}
        exec(recipe("DuckDB"), names)
        counts = dict(names["counts"].fetchall())
    assert names["decided"].sort_by("id")["decision"].to_pylist() == decisions
    assert counts == {decision: decisions.count(decision) for decision in set(decisions)}
