"""Sets whose coverage holds within groups of rows, from the command line."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import Policy
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import PredictionSets
from softmaxlib.files import logit_table

WARDS = np.array(["east", "north wing", "west"])


def simulated(seed=0, rows=900):
    rng = np.random.default_rng(seed)
    labels, wards = rng.integers(2, size=rows), rng.integers(3, size=rows)
    return (1 + wards[:, None]) * np.eye(2)[labels] + rng.normal(size=(rows, 2)), labels, WARDS[wards]


def write(folder, name, logits, labels, wards):
    columns = {"logit_cat": logits[:, 0], "logit_dog": logits[:, 1], "truth": labels, "ward": wards}
    match name.rpartition(".")[2]:
        case "csv":
            pyarrow.csv.write_csv(pa.table(columns), folder / name)
        case "parquet":
            pyarrow.parquet.write_table(pa.table(columns), folder / name)
        case "npz":
            np.savez(
                folder / name, logits=logits, truth=labels, ward=wards, class_names=np.array(["cat", "dog"])
            )
        case _:
            np.save(folder / name, logits)
            np.save(folder / "truth.npy", labels)
            np.save(folder / "ward.npy", wards)


@pytest.fixture
def fit(softmaxlib, tmp_path):
    """`fit("a.csv")` fits a policy with groups on such a file, and gives what its columns are called."""

    def call(name="a.parquet", policy="policy.json"):
        write(tmp_path, name, *simulated())
        label, ward = ("truth.npy", "ward.npy") if name.endswith("npy") else ("truth", "ward")
        options = ("--label", label, "--alpha", 0.1, "--conformal-score", "aps", "--groups", ward)
        outcome = softmaxlib("fit", name, "-o", policy, *options)
        assert outcome.code == 0, outcome.err
        return label, ward

    return call


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npz", "a.npy"])
def test_every_format_gives_what_the_library_gives(softmaxlib, tmp_path, monkeypatch, fit, name):
    label, ward = fit(name)
    logits, labels, wards = simulated()
    expected = Policy(TemperatureScaling(), PredictionSets("aps", 0.1, groups="rows"))
    expected.fit(logits, labels, groups=wards)
    found = Policy.load(tmp_path / "policy.json").rule
    assert found.group_names_ == tuple(WARDS)
    np.testing.assert_allclose(found.thresholds_, expected.rule.thresholds_, rtol=1e-12)
    logits, labels, wards = simulated(seed=1, rows=250)
    write(tmp_path, f"b{name[1:]}", logits, labels, wards)
    monkeypatch.setattr(logit_table, "BATCH_VALUES", 2 * 99)
    options = ("--policy", "policy.json", "--groups", ward)
    assert softmaxlib("decide", f"b{name[1:]}", *options, "-o", "out.parquet").code == 0
    sets = expected.decide(logits, groups=wards).sets
    column = pyarrow.parquet.read_table(tmp_path / "out.parquet").column("set").to_pylist()
    names = [("cat", "dog"), ("0", "1")][name == "a.npy"]
    assert column == [[names[k] for k in np.flatnonzero(row)] for row in sets]
    audit = softmaxlib("audit", f"b{name[1:]}", *options, "--label", label, "-o", "audit.json")
    assert audit.code == 0, audit.err
    checks = {
        check["promise"]: check for check in json.loads((tmp_path / "audit.json").read_text())["checks"]
    }
    covered = sets[np.arange(250), labels]
    assert checks["coverage"]["observed"] == min(covered[wards == ward].mean() for ward in WARDS)


def test_the_report_has_a_row_a_group(softmaxlib, tmp_path, fit):
    fit()
    options = ("--policy", "policy.json", "--label", "truth", "--groups", "ward", "--report", "r.html")
    assert softmaxlib("evaluate", "a.parquet", *options).code == 0
    text = (tmp_path / "r.html").read_text()
    for ward in WARDS:
        assert f'<th scope="row">{ward}</th>' in text


def test_sets_within_each_true_class(softmaxlib, tmp_path):
    logits, labels, wards = simulated()
    write(tmp_path, "a.csv", logits, labels, wards)
    outcome = softmaxlib(
        "fit", "a.csv", "-o", "policy.json", "--label", "truth", "--alpha", 0.1, "--per-class"
    )
    assert outcome.code == 0, outcome.err
    expected = Policy(TemperatureScaling(), PredictionSets("lac", 0.1, groups="class")).fit(logits, labels)
    found = Policy.load(tmp_path / "policy.json").rule
    np.testing.assert_array_equal(found.thresholds_, expected.rule.thresholds_)
    assert softmaxlib("decide", "a.csv", "--policy", "policy.json", "-o", "out.csv").code == 0


def test_a_number_in_one_file_is_the_same_text_in_another(softmaxlib, tmp_path, fit):
    logits, labels, wards = simulated()
    numbers = np.searchsorted(WARDS, wards)
    write(tmp_path, "numbers.parquet", logits, labels, numbers)
    options = ("--label", "truth", "--alpha", 0.1, "--groups", "ward")
    assert softmaxlib("fit", "numbers.parquet", "-o", "policy.json", *options).code == 0
    for name, spelled in (("texts.csv", numbers.astype(str)), ("floats.parquet", numbers.astype(float))):
        write(tmp_path, name, logits, labels, spelled)
        out = ("--policy", "policy.json", "--groups", "ward", "-o", "out.parquet")
        outcome = softmaxlib("decide", name, *out)
        assert outcome.code == 0, outcome.err


def test_a_group_too_small_is_a_warning(softmaxlib, tmp_path):
    logits, labels, wards = simulated()
    wards = wards.astype("U10")
    wards[:4] = "attic"
    write(tmp_path, "a.csv", logits, labels, wards)
    outcome = softmaxlib(
        "fit", "a.csv", "-o", "policy.json", "--label", "truth", "--alpha", 0.1, "--groups", "ward"
    )
    assert outcome.code == 0, outcome.err
    assert (
        "softmaxlib: warning: alpha 0.1 needs at least 9 rows a group; nothing can be ruled out"
        in outcome.err
    )
    assert "attic" in outcome.err


class TestCompared:
    """evaluate compares groups, whatever the rule is and without a policy."""

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_each_group_and_whether_they_differ(self, softmaxlib, tmp_path, ending):
        logits, labels, groups = simulated()
        groups = np.asarray(groups, dtype=object)
        groups[:40] = None
        write(tmp_path, f"a.{ending}", logits, labels, groups)
        evaluate = ("evaluate", f"a.{ending}", "--label", "truth", "--groups", "ward", "--json", "a.json")
        found = softmaxlib(*evaluate)
        assert found.code == 0, found.err
        content = json.loads((tmp_path / "a.json").read_text())["groups"]
        named = np.array(["(missing)" if group is None else group for group in groups])
        assert {one["name"]: one["rows"] for one in content["groups"]} == {
            str(name): int((named == name).sum()) for name in np.unique(named)
        }
        right = logits.argmax(axis=1) == labels
        for one in content["groups"]:
            assert one["accuracy"]["value"] == pytest.approx(right[named == one["name"]].mean())
        assert [one["figure"] for one in content["differences"]] == ["accuracy", "calibration"]
        assert "groups differ" in found.out

    def test_with_a_policy_whose_rule_takes_none(self, softmaxlib, tmp_path):
        write(tmp_path, "a.csv", *simulated())
        assert softmaxlib("fit", "a.csv", "--label", "truth", "-o", "policy.json").code == 0
        evaluate = ("evaluate", "a.csv", "--label", "truth", "--policy", "policy.json", "--groups", "ward")
        assert softmaxlib(*evaluate, "--json", "a.json").code == 0
        content = json.loads((tmp_path / "a.json").read_text())["groups"]
        assert all(one["decided"]["value"] == 1 for one in content["groups"])


class TestRefused:
    def test_options_that_do_not_go_together(self, softmaxlib, tmp_path):
        write(tmp_path, "a.csv", *simulated())
        fit = ("fit", "a.csv", "-o", "policy.json", "--label", "truth", "--groups", "ward")
        softmaxlib(*fit).assert_failed("--groups needs --alpha", "may miss the true class")
        softmaxlib(*fit, "--risk", 0.1).assert_failed("--groups and --risk belong to two different")
        softmaxlib(*fit, "--alpha", 0.1, "--per-class").assert_failed("two ways to group the rows")
        assert not (tmp_path / "policy.json").exists()

    @pytest.mark.parametrize("command", ["decide", "evaluate", "audit"])
    def test_a_policy_that_wants_them_and_one_that_does_not(self, softmaxlib, tmp_path, fit, command):
        fit()
        options = {
            "decide": ("-o", "out.csv"),
            "evaluate": ("--label", "truth"),
            "audit": ("--label", "truth"),
        }
        arguments = (command, "a.parquet", *options[command], "--policy", "policy.json")
        softmaxlib(*arguments).assert_failed("policy.json gives each group", "with --groups")
        assert softmaxlib("fit", "a.parquet", "--label", "truth", "-o", "policy.json").code == 0
        words = ("--groups is for a policy that was fitted with it", "policy.json decides by MostLikely()")
        if command != "evaluate":
            softmaxlib(*arguments, "--groups", "ward").assert_failed(*words)
        assert not (tmp_path / "out.csv").exists()

    @pytest.mark.parametrize("command", ["fit", "decide", "evaluate", "audit"])
    def test_a_row_without_a_group(self, softmaxlib, tmp_path, fit, command):
        self.fails(softmaxlib, tmp_path, fit, command, None, "column 'ward' has no group in row 317 (counted")

    @pytest.mark.parametrize("command", ["decide", "evaluate", "audit"])
    def test_a_group_that_the_policy_does_not_know(self, softmaxlib, tmp_path, fit, command, monkeypatch):
        monkeypatch.setattr(logit_table, "BATCH_VALUES", 2 * 99)
        words = (
            "has the group 'attic' in row 317 (counted from 0)",
            "'east', 'north wing', 'west'",
            "fit with",
        )
        self.fails(softmaxlib, tmp_path, fit, command, "attic", *words)

    def fails(self, softmaxlib, tmp_path, fit, command, group, *words):
        fit()
        logits, labels, wards = simulated()
        wards = wards.astype(object)
        wards[317] = group
        write(tmp_path, "b.parquet", logits, labels, wards)
        options = {
            "fit": ("-o", "out.json", "--label", "truth", "--alpha", 0.1),
            "decide": ("-o", "out.csv", "--policy", "policy.json"),
            "evaluate": ("--label", "truth", "--policy", "policy.json", "--report", "out.html"),
            "audit": ("--label", "truth", "--policy", "policy.json", "-o", "out.json"),
        }
        softmaxlib(command, "b.parquet", *options[command], "--groups", "ward").assert_failed(
            "b.parquet", *words
        )
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out", "."))]

    def test_a_column_that_holds_no_names(self, softmaxlib, tmp_path, fit):
        fit()
        table = pa.table({"logit_cat": [1.0], "logit_dog": [2.0], "ward": [[1, 2]]})
        pyarrow.parquet.write_table(table, tmp_path / "b.parquet")
        options = ("--policy", "policy.json", "--groups", "ward", "-o", "out.csv")
        softmaxlib("decide", "b.parquet", *options).assert_failed(
            "column 'ward' must hold names or numbers, got list<", "choose another column"
        )

    def test_rows_for_the_rule_that_are_neither_true_nor_false(self, softmaxlib, tmp_path):
        write(tmp_path, "a.csv", *simulated())
        options = ("--label", "truth", "--risk", 0.3, "--rule-rows", "ward")
        softmaxlib("fit", "a.csv", "-o", "policy.json", *options).assert_failed(
            "column 'ward' (--rule-rows) must be true or false (or 1 or 0)", "in row 0 (counted from 0)"
        )
