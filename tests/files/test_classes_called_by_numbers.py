"""Classes called by whole numbers other than 0, 1, ...: labels of files are names of columns."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import evaluate, files
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, SelectiveRisk
from softmaxlib.errors import InvalidInputError
from softmaxlib.report import compare

ROWS = 300


def logits_and_places(classes):
    rng = np.random.default_rng(0)
    places = rng.integers(classes, size=ROWS)
    return 3 * np.eye(classes)[places] + 2 * rng.normal(size=(ROWS, classes)), places


def write(path, names):
    logits, places = logits_and_places(len(names))
    columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(names)}
    content = pa.table(columns | {"truth": np.array(names)[places]})
    (pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table)(content, path)
    return path


CALLED = [("1", "2", "3"), ("10", "20", "30"), ("01", "02", "03"), ("2", "1", "0"), ("1", "0"), ("1", "2")]


@pytest.mark.parametrize("sample_rows", [1_000_000, 100])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("names", CALLED, ids="-".join)
def test_from_fit_to_audit(tmp_path, names, ending, sample_rows):
    path = write(tmp_path / f"rows.{ending}", names)
    cost = MinimumCost(1 - np.eye(len(names)), abstain_cost=0.2)
    policy = files.fit(path, "truth", TemperatureScaling(), cost, sample_rows=sample_rows)
    assert policy.class_names_ == names
    audit = files.audit(path, "truth", policy, sample_rows=sample_rows)
    found = files.evaluate(path, "truth", policy=policy, sample_rows=sample_rows)
    logits, places = logits_and_places(len(names))
    texts = np.array(names)[places]
    assert audit.rows == found.rows == ROWS
    expected = evaluate(logits, texts, policy=policy)
    assert found.before.figures.accuracy == expected.before.figures.accuracy
    assert files.decide(path, policy, tmp_path / "o.parquet").rows == ROWS
    if sample_rows > ROWS:
        assert audit == policy.audit(logits, texts)
        alone = files.evaluate(path, "truth")
        assert compare(found, alone).figures


def test_a_score_of_labels_1_and_2(tmp_path):
    logits, places = logits_and_places(2)
    content = pa.table(
        {"score": logits[:, 1] - logits[:, 0], "other": logits[:, 0] - logits[:, 1], "truth": places + 1}
    )
    pyarrow.csv.write_csv(content, tmp_path / "a.csv")
    path = tmp_path / "a.csv"
    policy = files.fit(path, "truth", TemperatureScaling(), SelectiveRisk(0.3), score="score")
    assert policy.class_names_ == ("1", "2")
    assert files.evaluate(path, "truth", policy=policy, score="score").rows == ROWS
    assert files.audit(path, "truth", policy, score="score").rows == ROWS
    turned = files.fit(path, "truth", TemperatureScaling(), SelectiveRisk(0.3), score="other", positive="1")
    assert turned.class_names_ == ("2", "1")


def test_ambiguous_numbers_in_memory_are_still_refused(tmp_path):
    path = write(tmp_path / "rows.csv", ("1", "2", "3"))
    policy = files.fit(path, "truth", TemperatureScaling(), MinimumCost(1 - np.eye(3)))
    logits, places = logits_and_places(3)
    with pytest.raises(InvalidInputError, match="labels must be text where classes are called 1, 2, 3"):
        policy.audit(logits, places)
