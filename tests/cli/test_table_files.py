import csv

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import Policy, softmax
from softmaxlib._tables.selection import Selection
from softmaxlib.calibration import Calibration, TemperatureScaling
from softmaxlib.decisions import SelectiveRisk
from softmaxlib.files import logit_table
from softmaxlib.files.location import Location
from softmaxlib.files.logit_table import LogitTable, Reading
from softmaxlib.files.part import Part

NAMES = ["cat", "dog", "bird"]


def simulated(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    return 3 * np.eye(3)[labels] + 2 * rng.normal(size=(rows, 3)), labels


def table(logits, labels, order=(0, 1, 2), prefix="logit_"):
    columns = {"id": [f"{index:03d}" for index in range(len(labels))]}
    columns |= {prefix + NAMES[k]: logits[:, k] for k in order}
    columns["truth"] = [NAMES[label] for label in labels]
    return pa.table(columns)


def write(path, content):
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(content, path)
    else:
        pyarrow.parquet.write_table(content, path)
    return path


def table_of(path, **selected):
    return LogitTable(Part(Location(path), path.name), Reading(Selection(**selected)))


@pytest.fixture
def policy(softmaxlib, tmp_path):
    logits, labels = simulated()
    write(tmp_path / "validation.parquet", table(logits, labels))
    outcome = softmaxlib(
        "fit", "validation.parquet", "-o", "policy.json", "--label", "truth", "--abstain-cost", 0.2
    )
    assert outcome.code == 0, outcome.err
    return Policy.load(tmp_path / "policy.json")


def test_fit_saves_what_the_library_fits(policy):
    from softmaxlib.decisions import MinimumCost

    logits, labels = simulated()
    expected = Policy(TemperatureScaling(), MinimumCost(1 - np.eye(3), 0.2)).fit(logits, labels)
    np.testing.assert_array_equal(policy.predict_proba(logits), expected.predict_proba(logits))
    assert policy.class_names_ == ("cat", "dog", "bird")


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".npz"])
def test_decide_writes_what_the_library_decides(softmaxlib, tmp_path, policy, ending):
    logits, labels = simulated(150, seed=1)
    write(tmp_path / "test.parquet", table(logits, labels))
    outcome = softmaxlib("decide", "test.parquet", "--policy", "policy.json", "-o", f"out{ending}")
    assert outcome.code == 0, outcome.err
    decision, probabilities = policy.decide(logits), policy.predict_proba(logits)
    expected = ["" if action < 0 else NAMES[action] for action in decision.action]
    found = read(tmp_path / f"out{ending}")
    assert found["decision"] == expected
    assert found["predicted"] == [NAMES[k] for k in probabilities.argmax(axis=1)]
    np.testing.assert_allclose([float(value) for value in found["probability"]], probabilities.max(axis=1))
    assert [str(value).lower() == "true" for value in found["abstained"]] == decision.abstained.tolist()
    assert found["id"] == [f"{index:03d}" for index in range(150)]
    assert found["truth"] == [NAMES[label] for label in labels]
    share = decision.abstained.mean()
    assert f"150 rows decided, {decision.abstained.sum()} ({share:.1%}) set aside" in outcome.out


def read(path):
    """Columns as lists, an absent text as ''."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return {name: archive[name].tolist() for name in archive.files}
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [row[name] for row in rows] for name in rows[0]}
    content = pyarrow.parquet.read_table(path).to_pydict()
    return {name: ["" if value is None else value for value in values] for name, values in content.items()}


@pytest.mark.parametrize("source", ["test.csv", "test.parquet"])
def test_batches_do_not_change_the_result(softmaxlib, tmp_path, policy, monkeypatch, source):
    logits, labels = simulated(500, seed=2)
    write(tmp_path / source, table(logits, labels))
    softmaxlib("decide", source, "--policy", "policy.json", "-o", "whole.parquet")
    monkeypatch.setattr(logit_table, "BATCH_VALUES", 3 * 37)
    monkeypatch.setattr("softmaxlib.files.csv_format._BLOCK", 4096)
    batches = list(table_of(tmp_path / source, label="truth").batches())
    assert len(batches) > 5
    assert [batch.first_row for batch in batches] == np.cumsum(
        [0] + [len(batch.values) for batch in batches[:-1]]
    ).tolist()
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), labels)
    softmaxlib("decide", source, "--policy", "policy.json", "-o", "parts.parquet")
    assert read(tmp_path / "parts.parquet") == read(tmp_path / "whole.parquet")


def test_every_format_gives_the_same_policy(softmaxlib, tmp_path):
    logits, labels = simulated()
    write(tmp_path / "v.parquet", table(logits, labels))
    write(tmp_path / "v.csv", table(logits, labels))
    np.savez(tmp_path / "v.npz", logits=logits, truth=labels, class_names=np.array(NAMES))
    np.save(tmp_path / "v.npy", logits)
    np.save(tmp_path / "labels.npy", labels)
    transformed = []
    for file, label in (
        ("v.parquet", "truth"),
        ("v.csv", "truth"),
        ("v.npz", "truth"),
        ("v.npy", "labels.npy"),
    ):
        outcome = softmaxlib("fit", file, "-o", "p.json", "--label", label)
        assert outcome.code == 0, outcome.err
        fitted = Policy.load(tmp_path / "p.json")
        assert fitted.class_names_ == (("0", "1", "2") if file == "v.npy" else tuple(NAMES))
        transformed.append(fitted.transform(logits))
    for other in transformed[1:]:
        np.testing.assert_array_equal(other, transformed[0])


def test_columns_are_put_in_the_policys_order_by_name(softmaxlib, tmp_path, policy):
    logits, labels = simulated(50, seed=3)
    write(tmp_path / "one.parquet", table(logits, labels))
    write(tmp_path / "other.parquet", table(logits, labels, order=(2, 0, 1)))
    for name in ("one", "other"):
        softmaxlib("decide", f"{name}.parquet", "--policy", "policy.json", "-o", f"{name}_out.parquet")
    assert read(tmp_path / "one_out.parquet") == read(tmp_path / "other_out.parquet")


def test_a_taken_column_name_is_carried_as_input(softmaxlib, tmp_path, policy):
    logits, labels = simulated(20)
    content = table(logits, labels).rename_columns(
        ["input_predicted", "logit_cat", "logit_dog", "logit_bird", "predicted"]
    )
    write(tmp_path / "t.parquet", content)
    assert softmaxlib("decide", "t.parquet", "--policy", "policy.json", "-o", "o.parquet").code == 0
    found = read(tmp_path / "o.parquet")
    assert found["input_input_predicted"] == [NAMES[label] for label in labels]
    assert found["input_predicted"] == [f"{index:03d}" for index in range(20)]


@pytest.mark.parametrize("columns", ["cat,dog,bird", "cat,d*g,?ird", "cat,[d]?g,bird"])
def test_columns_by_name_and_pattern(tmp_path, columns):
    logits, labels = simulated(5)
    path = write(tmp_path / "v.parquet", table(logits, labels, prefix=""))
    found = table_of(path, columns=columns, label="truth")
    assert sorted(found.class_names) == ["bird", "cat", "dog"]
    order = [NAMES.index(name) for name in found.class_names]
    (batch,) = found.batches()
    np.testing.assert_array_equal(batch.values, logits[:, order])


def test_what_precedes_the_star_is_no_part_of_the_name(tmp_path):
    logits, labels = simulated(5)
    path = write(tmp_path / "v.csv", table(logits, labels, prefix="score:"))
    assert table_of(path, columns="score:*").class_names == ("cat", "dog", "bird")
    assert table_of(path, columns="score:cat,score:dog").class_names == (
        "score:cat",
        "score:dog",
    )


def test_probabilities(softmaxlib, tmp_path):
    logits, labels = simulated()
    content = table(softmax(logits), labels, prefix="probability_")
    write(tmp_path / "v.parquet", content)
    outcome = softmaxlib("fit", "v.parquet", "-o", "p.json", "--label", "truth", "--probabilities")
    assert outcome.code == 0, outcome.err
    assert Policy.load(tmp_path / "p.json").input == "probabilities"
    assert softmaxlib("decide", "v.parquet", "--policy", "p.json", "-o", "o.csv").code == 0
    arguments = ("v.parquet", "--policy", "p.json", "--label", "truth")
    assert softmaxlib("evaluate", *arguments, "--report", "r.html").code == 0
    assert softmaxlib("audit", *arguments).code in (0, 1)


def test_certainty_is_a_warning(softmaxlib, tmp_path):
    (tmp_path / "v.csv").write_text(
        "probability_a,probability_b,y\n"
        + "1,0,a\n0.3,0.7,b\n0.6,0.4,b\n0.2,0.8,a\n0.7,0.3,a\n0.5,0.5,b\n" * 4
    )
    outcome = softmaxlib("fit", "v.csv", "-o", "p.json", "--label", "y", "--probabilities")
    assert outcome.code == 0, outcome.err
    assert "softmaxlib: warning: 4 probabilities are exactly 0 and 4 exactly 1" in outcome.err


class TestLabels:
    def labels(self, tmp_path, names, cells, kind=None):
        columns = {f"logit_{name}": np.arange(len(cells), dtype=float) for name in names}
        path = write(tmp_path / "v.parquet", pa.table({**columns, "y": pa.array(cells, kind)}))
        return next(table_of(path, label="y").batches()).labels.tolist()

    def test_are_names(self, tmp_path):
        assert self.labels(tmp_path, ["cat", "dog"], ["dog", "cat"]) == [1, 0]

    def test_are_indices_where_no_class_is_called_by_a_number(self, tmp_path):
        assert self.labels(tmp_path, ["cat", "dog"], [1, 0]) == [1, 0]
        assert self.labels(tmp_path, ["cat", "dog"], [1.0, 0.0]) == [1, 0]

    def test_are_names_where_a_class_is_called_by_a_number(self, tmp_path):
        assert self.labels(tmp_path, ["5", "3", "0"], [3, 5, 0]) == [1, 0, 2]

    def test_may_be_categories(self, tmp_path):
        cells = pa.array(["dog", "cat", "dog"]).dictionary_encode()
        assert self.labels(tmp_path, ["cat", "dog"], cells) == [1, 0, 1]


@pytest.mark.parametrize(
    "kind", [pa.float16(), pa.float32(), pa.int8(), pa.int64(), pa.decimal128(25, 2)], ids=str
)
def test_numbers_of_any_kind(tmp_path, kind):
    columns = {f"logit_{name}": pa.array([1, 2, 3]).cast(kind) for name in "ab"}
    path = write(tmp_path / "v.parquet", pa.table(columns))
    (batch,) = table_of(path).batches()
    np.testing.assert_array_equal(batch.values, [[1, 1], [2, 2], [3, 3]])
    assert batch.values.dtype == (np.float32 if kind in (pa.float16(), pa.float32()) else np.float64)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".npz", ".npy"])
def test_rows_for_the_rule_are_as_given(softmaxlib, tmp_path, ending):
    logits, labels = simulated()
    mask = np.arange(len(labels)) % 3 == 0
    file, name, label = f"split{ending}", "for_rule", "truth"
    if ending == ".npz":
        np.savez(tmp_path / file, logits=logits, truth=labels, for_rule=mask)
    elif ending == ".npy":
        name, label = "for_rule.npy", "truth.npy"
        for path, array in ((file, logits), (label, labels), (name, mask.astype(int))):
            np.save(tmp_path / path, array)
    else:
        write(tmp_path / file, table(logits, labels).append_column("for_rule", pa.array(mask)))
    options = ("--label", label, "--rule-rows", name, "--risk", 0.5)
    outcome = softmaxlib("fit", file, "-o", "policy.json", *options)
    assert outcome.code == 0, outcome.err
    expected = Policy(TemperatureScaling(), SelectiveRisk(0.5, 0.95)).fit(logits, labels, rule_rows=mask)
    found = Policy.load(tmp_path / "policy.json")
    assert (found.record_.split, found.record_.rule_rows) == ("given", int(mask.sum()))
    assert found.rule.to_dict() == expected.rule.to_dict()


def test_a_threshold_for_each_class(softmaxlib, tmp_path):
    write(tmp_path / "a.csv", table(*simulated()))
    options = ("--label", "truth", "--threshold", "dog=0.5, cat=0.9,bird=0.25")
    assert softmaxlib("fit", "a.csv", "-o", "policy.json", *options).code == 0
    assert Policy.load(tmp_path / "policy.json").rule.thresholds.tolist() == [0.9, 0.5, 0.25]


def test_sets_are_written(softmaxlib, tmp_path):
    logits, labels = simulated(400)
    write(tmp_path / "v.parquet", table(logits, labels))
    outcome = softmaxlib("fit", "v.parquet", "-o", "p.json", "--label", "truth", "--alpha", 0.1)
    assert outcome.code == 0, outcome.err
    for ending in ("parquet", "csv", "npz"):
        assert softmaxlib("decide", "v.parquet", "--policy", "p.json", "-o", f"o.{ending}").code == 0
    sets = Policy.load(tmp_path / "p.json").decide(logits).sets
    expected = [[NAMES[k] for k in np.flatnonzero(row)] for row in sets]
    assert read(tmp_path / "o.parquet")["set"] == expected
    import json

    assert [json.loads(cell) for cell in read(tmp_path / "o.csv")["set"]] == expected
    assert [json.loads(cell) for cell in read(tmp_path / "o.npz")["set"]] == expected


def test_costs_by_name_in_any_order(softmaxlib, tmp_path):
    logits, labels = simulated()
    write(tmp_path / "v.parquet", table(logits, labels))
    (tmp_path / "cost.csv").write_text("truth,dog,bird,cat\nbird,1,0,2\ncat,3,4,0\ndog,0,5,6\n")
    outcome = softmaxlib("fit", "v.parquet", "-o", "p.json", "--label", "truth", "--cost", "cost.csv")
    assert outcome.code == 0, outcome.err
    np.testing.assert_array_equal(
        Policy.load(tmp_path / "p.json").rule.cost, [[0, 3, 4], [6, 0, 5], [2, 1, 0]]
    )


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ([], "MostLikely()"),
        (["--abstain-cost", "0.3"], "abstain_cost=0.3"),
        (["--risk", "0.2"], "SelectiveRisk(risk=0.2, confidence=0.95)"),
        (["--risk", "0.2", "--confidence", "0.8"], "SelectiveRisk(risk=0.2, confidence=0.8)"),
        (["--alpha", "0.2"], "PredictionSets('lac', alpha=0.2)"),
        (["--alpha", "0.2", "--conformal-score", "aps"], "PredictionSets('aps', alpha=0.2)"),
        (["--top", "2"], "TopK(2)"),
        (["--threshold", "0.8"], "Threshold(0.8)"),
    ],
)
def test_options_choose_the_rule(softmaxlib, tmp_path, options, rule):
    logits, labels = simulated(600)
    write(tmp_path / "v.parquet", table(logits, labels))
    outcome = softmaxlib("fit", "v.parquet", "-o", "p.json", "--label", "truth", *options)
    assert outcome.code == 0, outcome.err
    fitted = Policy.load(tmp_path / "p.json")
    assert rule in repr(fitted.rule)
    assert fitted.record_.split == ("random" if fitted.rule.learns else "none")
    audit = softmaxlib("audit", "v.parquet", "--policy", "p.json", "--label", "truth")
    assert audit.code == 0, audit.out
    report = softmaxlib(
        "evaluate", "v.parquet", "--policy", "p.json", "--label", "truth", "--report", "r.html"
    )
    assert report.code == 0, report.err


@pytest.mark.parametrize("name", Calibration.of_command_line())
def test_every_calibration_by_name(softmaxlib, tmp_path, name):
    logits, labels = simulated(120)
    write(tmp_path / "v.parquet", table(logits, labels))
    outcome = softmaxlib("fit", "v.parquet", "-o", "p.json", "--label", "truth", "--calibration", name)
    assert outcome.code == 0, outcome.err
    fitted = Policy.load(tmp_path / "p.json")
    assert type(fitted.calibration) is Calibration.of_command_line()[name]
    assert softmaxlib("decide", "v.parquet", "--policy", "p.json", "-o", "o.parquet").code == 0


def test_audit_tells_by_its_exit_code_and_as_json(softmaxlib, tmp_path, policy):
    import json

    logits, labels = simulated(800, seed=4)
    write(tmp_path / "same.parquet", table(logits, labels))
    write(tmp_path / "drifted.parquet", table(3 * logits, labels))
    same = softmaxlib("audit", "same.parquet", "--policy", "policy.json", "--label", "truth")
    assert (same.code, "every promise holds" in same.out) == (0, True)
    drifted = softmaxlib(
        "audit", "drifted.parquet", "--policy", "policy.json", "--label", "truth", "-o", "audit.json"
    )
    assert (drifted.code, "a promise no longer holds" in drifted.out) == (1, True)
    assert json.loads((tmp_path / "audit.json").read_text())["holds"] is False


def test_evaluate_says_the_verdict_and_writes_both_files(softmaxlib, tmp_path, policy):
    logits, labels = simulated(1600, seed=4)
    write(tmp_path / "test.csv", table(logits, labels))
    outcome = softmaxlib(
        "evaluate",
        "test.csv",
        "--label",
        "truth",
        "--report",
        "r.html",
        "--json",
        "r.json",
        "--policy",
        "policy.json",
    )
    assert outcome.code == 0, outcome.err
    assert "The probabilities" in outcome.out or "The model" in outcome.out
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.json").exists()


def test_demo(demo_run):
    folder, printed = demo_run
    for name in ("validation.parquet", "test.parquet", "policy.json", "decisions.parquet", "report.html"):
        assert (folder / name).exists()
    decisions = read(folder / "decisions.parquet")
    assert len(decisions["decision"]) == 599
    decided = [
        (digit, int(choice))
        for digit, choice in zip(decisions["digit"], decisions["decision"], strict=True)
        if choice
    ]
    share = 1 - len(decided) / 599
    right = sum(digit == choice for digit, choice in decided) / len(decided)
    assert f"{share:.1%}" in printed
    assert f"{right:.4f}" in printed


def test_a_bar_for_a_person_who_watches(tmp_path, softmaxlib, policy):
    import os
    import pty
    import subprocess
    import sys

    write(tmp_path / "test.parquet", table(*simulated(500)))
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "softmaxlib", "decide", "test.parquet", "--policy", "policy.json"]
    done = subprocess.run([*command, "-o", "out.csv"], cwd=tmp_path, stderr=terminal, timeout=120)
    shown = os.read(reader, 100_000).decode()
    assert done.returncode == 0
    assert "Deciding" in shown
    assert "500/500" in shown
