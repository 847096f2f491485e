"""Row identifiers: shown where mistakes are listed, of every kind, from arrays and from files."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from evaluated_rows import Page, fitted, simulated, written

from softmaxlib import evaluate, files
from softmaxlib.cli._app import run
from softmaxlib.errors import FileFormatError, InvalidInputError, UnsupportedTypeError

KINDS = {
    "texts": (["a", "b", None, ""], ["a", "b", None, ""]),
    "numbers": ([10, 9, 7, 8], ["10", "9", "7", "8"]),
    "floats of numbers": ([10.0, np.nan, 7.0, 8.0], ["10", None, "7", "8"]),
    "nullable numbers": (pd.Series([7, None, 1, 3], dtype="Int64"), ["7", None, "1", "3"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_every_kind(kind):
    ids, names = KINDS[kind]
    logits = np.array([[2.0, 0.0], [3.0, 0.0], [4.0, 0.0], [5.0, 0.0]])
    found = evaluate(logits, [1, 1, 1, 1], row_ids=ids)
    assert [(one.row, one.row_id) for one in found.mistakes] == [(row, names[row]) for row in (3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        (["a"] * 3, InvalidInputError, r"row_ids must hold one id a row, shape \(4,\), got shape \(3,\)"),
        ([0.5] * 4, UnsupportedTypeError, "row_ids must be texts or whole numbers, got dtype float64"),
        (
            np.array(["a", ("b",), "c", "d"], object),
            UnsupportedTypeError,
            r"got \('b',\) in row 1; name the id of that row",
        ),
    ],
)
def test_misuse_is_refused(ids, error, words):
    with pytest.raises(error, match=words):
        evaluate([[2.0, 0.0]] * 4, [1, 1, 1, 1], row_ids=ids)


@pytest.fixture
def table(tmp_path):
    logits, labels = simulated(300)
    frame = pd.DataFrame(logits, columns=[f"logit_{name}" for name in "abcd"])
    frame["truth"] = np.array(list("abcd"))[labels]
    frame["case"] = [f"<case {row}>" if row % 5 else "" for row in range(300)]
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def test_files_name_rows_and_say_where_they_come_from(table, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    fitted(class_names=list("abcd")).save(tmp_path / "policy.json")
    (tmp_path / "model.bin").write_bytes(b"weights")
    evaluation = files.evaluate(
        table, "truth", id="case", policy=tmp_path / "policy.json", model=tmp_path / "model.bin"
    )
    for one in evaluation.mistakes:
        assert one.row_id == (f"<case {one.row}>" if one.row % 5 else None)
    provenance = evaluation.provenance
    for origin, path in (
        (provenance.files[0], table),
        (provenance.policy, tmp_path / "policy.json"),
        (provenance.model, tmp_path / "model.bin"),
    ):
        content = path.read_bytes()
        assert (origin.name, origin.size) == (str(path), len(content))
        assert origin.sha256 == hashlib.sha256(content).hexdigest()
    assert evaluation.evaluated_at == "2023-11-14T22:13:20+00:00"
    assert json.loads(json.dumps(evaluation.to_dict()))["provenance"]["files"][0]["sha256"]
    text = Page(written(evaluation, tmp_path)).text
    for shown in (
        "<case ",
        "policy.json",
        "model.bin",
        provenance.files[0].sha256,
        "14 November 2023, 22:13",
    ):
        assert shown in text


def test_a_policy_in_memory_has_the_hash_of_its_file(tmp_path):
    policy = fitted()
    policy.save(tmp_path / "policy.json")
    found = evaluate(*simulated(100), policy=policy, model="resnet, third run").provenance
    assert found.policy.sha256 == hashlib.sha256((tmp_path / "policy.json").read_bytes()).hexdigest()
    assert (found.model.name, found.model.sha256) == ("resnet, third run", None)


def test_a_model_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(
        FileFormatError, match=r"missing\.bin is no file; name the file of the model, or give"
    ):
        evaluate(*simulated(100), model=tmp_path / "missing.bin")


def test_the_command_takes_them(table, tmp_path, capsys):
    report = tmp_path / "report.html"
    given = ["evaluate", str(table), "--label", "truth", "--id", "case", "--model", "v3"]
    assert run([*given, "--report", str(report)]) == 0
    text = Page(report.read_text("utf-8")).text
    assert "<case " in text
    assert "v3" in text
    assert run(["evaluate", str(table), "--label", "truth", "--id", "cases"]) == 2
    assert "no column is called 'cases' (is 'case' meant?)" in capsys.readouterr().err
