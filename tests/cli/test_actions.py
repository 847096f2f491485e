"""A cost matrix with actions that are no classes, from the file to the decisions and the report."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from softmaxlib.cli._app import run


def test_actions_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 2))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    table = pa.table({"logit_well": logits[:, 0], "logit_ill": logits[:, 1], "truth": labels})
    rows, policy, out = (tmp_path / name for name in ("rows.parquet", "policy.json", "out.parquet"))
    pyarrow.parquet.write_table(table, rows)
    cost = tmp_path / "cost.csv"
    cost.write_text("truth,wait,test,treat\nill,5,0.5,0\nwell,0,0.2,1\n")
    arguments = ["fit", str(rows), "--label", "truth", "--cost", str(cost), "-o", str(policy)]
    assert run(arguments) == 0
    assert run(["decide", str(rows), "--policy", str(policy), "-o", str(out)]) == 0
    decided = pyarrow.parquet.read_table(out)
    assert set(decided["decision"].to_pylist()) == {"wait", "test", "treat"}
    figures = tmp_path / "figures.json"
    arguments = ["evaluate", str(rows), "--label", "truth", "--policy", str(policy), "--json", str(figures)]
    assert run(arguments) == 0
    found = json.loads(figures.read_text())["decided"]
    assert found["accuracy"] is None
    assert [action["name"] for action in found["actions"]] == ["wait", "test", "treat"]
