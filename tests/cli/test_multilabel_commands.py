"""Multi-label models on the command line: what Python does, from files and into files."""

import hashlib
import json

import numpy as np
import pandas
import pyarrow as pa
import pytest
from scipy.special import expit

from softmaxlib import MultilabelPolicy, Policy, metrics
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import BinaryThreshold, MostLikely
from softmaxlib.report import evaluate_multilabel

NAMES = ["cat", "dog", "ill"]


def made(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal([0, -1, -2], 1.5, size=(rows, 3)) + generator.normal(size=(rows, 1))
    return np.round(1.7 * truth, 6), generator.random(truth.shape) < expit(truth)


LOGITS, LABELS = made(400)


def frame(logits: np.ndarray, labels: np.ndarray, kind: str = "logit") -> pandas.DataFrame:
    table = pandas.DataFrame(logits, columns=[f"{kind}_{name}" for name in NAMES])
    truth = pandas.DataFrame(labels.astype(int), columns=[f"truth_{name}" for name in NAMES[::-1]])
    return pandas.concat([pandas.Series(np.arange(len(logits)), name="case"), table, truth], axis=1)


@pytest.fixture
def files(tmp_path):
    table = frame(LOGITS, LABELS[:, ::-1]).astype({"truth_dog": "Int64"})
    table.loc[:40, "truth_dog"] = pandas.NA
    table["weight"] = np.arange(len(table)) % 3
    table.to_csv(tmp_path / "rows.csv", index=False)
    table.to_parquet(tmp_path / "rows.parquet")
    return tmp_path


@pytest.fixture
def expected() -> MultilabelPolicy:
    holes = LABELS.astype(float)
    holes[:41, 1] = np.nan
    return MultilabelPolicy(TemperatureScaling(), BinaryThreshold(0.7)).fit(LOGITS, holes, class_names=NAMES)


DECIDE = ("decide", "rows.csv", "--policy", "policy.json", "-o")
FIT = ("--label", "truth_*", "--multilabel", "--threshold", 0.7, "-o", "policy.json")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_from_the_fit_to_the_decisions(softmaxlib, files, expected, name) -> None:
    done = softmaxlib("fit", name, *FIT, "--json", "fit.json")
    assert done.code == 0, done.err
    assert "3 labels, written to policy.json" in done.out
    policy = MultilabelPolicy.load(files / "policy.json")
    np.testing.assert_array_equal(policy.predict_proba(LOGITS), expected.predict_proba(LOGITS))
    told = json.loads((files / "fit.json").read_text())
    assert [one["rows"] for one in told["labels"]] == [400, 359, 400]

    done = softmaxlib("decide", name, "--policy", "policy.json", "-o", "decided.parquet")
    assert done.code == 0, done.err
    decided = pandas.read_parquet(files / "decided.parquet").astype({"case": int})
    decision = expected.decide(LOGITS)
    assert [tuple(names) for names in decided["labels"]] == decision.labels.tolist()
    assert decided["case"].tolist() == list(range(400))
    for k, label in enumerate(NAMES):
        np.testing.assert_array_equal(decided[f"probability_{label}"], decision.probability[:, k])
        taken = decided[f"decision_{label}"].astype("boolean").astype("Int8").fillna(-1)
        np.testing.assert_array_equal(taken, decision.action[:, k])
    assert softmaxlib("decide", name, "--policy", "policy.json", "-o", "decided.csv").code == 0
    assert len(pandas.read_csv(files / "decided.csv")) == 400


def test_evaluation_and_audit_are_those_of_python(softmaxlib, files, expected) -> None:
    assert softmaxlib("fit", "rows.csv", *FIT).code == 0
    new, labels = made(300, seed=1)
    frame(new, labels[:, ::-1]).to_csv(files / "new.csv", index=False)
    options = ("new.csv", "--label", "truth_*", "--policy", "policy.json")
    done = softmaxlib("evaluate", *options, "--json", "out.json", "--report", "page.html")
    assert done.code == 0, done.err
    evaluation = evaluate_multilabel(new, labels, policy=expected)
    written, given = (
        json.loads((files / "out.json").read_text()),
        json.loads(json.dumps(evaluation.to_dict())),
    )
    origins = written.pop("provenance")
    del given["provenance"]
    assert {**written, "evaluated_at": None} == {**given, "evaluated_at": None}
    hashed = {
        name: hashlib.sha256((files / name).read_bytes()).hexdigest() for name in ("new.csv", "policy.json")
    }
    assert [one["sha256"] for one in (*origins["files"], origins["policy"])] == list(hashed.values())
    assert evaluation.verdict.headline in done.out
    assert evaluation.verdict.sentences[0] in done.out.replace("\n", " ")
    page = (files / "page.html").read_text()
    assert all(f'<th scope="row">{name} ' in page for name in NAMES)
    assert f"{evaluation.labels[0].roc_auc:.4f}" in page
    assert f"{evaluation.labels[0].roc_auc:.4f}" in done.out
    done = softmaxlib("audit", *options, "-o", "audit.json")
    assert done.code == (0 if expected.audit(new, labels).holds else 1), done.err
    found = json.loads((files / "audit.json").read_text())
    assert found == json.loads(json.dumps(expected.audit(new, labels).to_dict()))
    bad = frame(-new, labels[:, ::-1])
    bad.to_csv(files / "new.csv", index=False)
    done = softmaxlib("audit", *options)
    assert done.code == 1
    assert "a promise no longer holds for cat, dog, ill" in done.out


@pytest.mark.filterwarnings("ignore:f1_score is a share of no labels")
def test_without_a_policy_and_from_lists_of_names_and_probabilities_and_weights(softmaxlib, tmp_path) -> None:
    table = frame(expit(LOGITS), LABELS, "probability")[[f"probability_{name}" for name in NAMES]]
    table["tags"] = [[name for name, there in zip(NAMES, row, strict=True) if there] for row in LABELS]
    table["weight"] = np.arange(400) % 3
    table.to_parquet(tmp_path / "rows.parquet")
    options = ("rows.parquet", "--label", "tags", "--multilabel", "--probabilities", "--weight", "weight")
    done = softmaxlib("evaluate", *options, "--json", "-", "--quiet")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    weights = np.arange(400) % 3
    for average in ("macro", "micro", "weighted", "samples"):
        rows = {"average": average, "sample_weight": weights}
        f1 = metrics.multilabel_score(metrics.f1_score, LOGITS, LABELS, **rows)
        assert found["averages"][average]["f1_score"] == pytest.approx(f1, abs=1e-12)
    assert found["hamming_loss"] == metrics.hamming_loss(LOGITS, LABELS, sample_weight=weights)


@pytest.mark.parametrize("kind", [pa.large_list, pa.list_view], ids=lambda one: one.__name__)
def test_lists_of_names_of_any_kind(softmaxlib, tmp_path, kind) -> None:
    table = pa.Table.from_pandas(frame(LOGITS, LABELS)[[f"logit_{name}" for name in NAMES]])
    names = [[name for name, there in zip(NAMES, row, strict=True) if there] for row in LABELS]
    table = table.append_column("tags", pa.array(names, kind(pa.string())))
    with pa.ipc.new_file(tmp_path / "rows.arrow", table.schema) as writer:
        writer.write_table(table)
    done = softmaxlib("evaluate", "rows.arrow", "--label", "tags", "--multilabel", "--json", "-", "--quiet")
    assert done.code == 0, done.err
    assert json.loads(done.out)["hamming_loss"] == metrics.hamming_loss(LOGITS, LABELS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "rows.csv", *FIT, "--groups", "case"), ["--groups is not for a multi-label model"]),
        (("fit", "rows.npz", *FIT), ["rows.npz holds arrays", "use Parquet, CSV or Arrow"]),
        (("fit", "rows.csv", *FIT, "--workers", 2), ["--workers is not for a multi-label model"]),
        (("fit", "rows.csv", *FIT, "--sample-rows", 9), ["--sample-rows is not for a multi-label model"]),
        (("fit", "rows.csv", *FIT, "--rule-rows", "case"), ["--rule-rows is not for a multi-label model"]),
        (("fit", "rows.csv", *FIT, "--renormalize"), ["--renormalize is not for a multi-label model"]),
        (
            ("fit", "rows.csv", "--label", "truth_cat,truth_dog", "--multilabel", "-o", "p.json"),
            ["must be called after the labels", "'cat', 'dog', 'ill'", "'truth_cat'"],
        ),
        (
            ("fit", "rows.csv", "--label", "case,weight", "--multilabel", "-o", "p.json"),
            ["must be called after"],
        ),
        (
            ("fit", "rows.csv", "--label", "", *FIT[2:]),
            ["--label must name the columns of the truth, got ''"],
        ),
        (("fit", "rows.csv", "--label", "nothing*", "--multilabel", "-o", "p.json"), ["no column is called"]),
        (("fit", "bad.csv", *FIT), ["bad.csv: a label must be 0 or 1", "got maybe in row 2", "'truth_cat'"]),
        (("fit", "nan.csv", *FIT), ["nan.csv: logits must be finite", "row 3", "logit_dog"]),
        (("fit", "rows.csv", *FIT, "--probabilities", "--columns", "logit_*"), ["must lie between 0 and 1"]),
    ],
)
def test_what_is_refused(softmaxlib, files, arguments, words) -> None:
    bad = pandas.read_csv(files / "rows.csv").astype({"truth_cat": object})
    bad.loc[2, "truth_cat"] = "maybe"
    bad.to_csv(files / "bad.csv", index=False)
    bad.loc[2, "truth_cat"] = 1
    bad.loc[3, "logit_dog"] = np.inf
    bad.to_csv(files / "nan.csv", index=False)
    np.savez(files / "rows.npz", logits=LOGITS, truth=LABELS.astype(int))
    softmaxlib(*arguments).assert_failed(*words)


def test_what_a_policy_is_not_for(softmaxlib, files) -> None:
    assert softmaxlib("fit", "rows.csv", *FIT).code == 0
    of_labels = ("rows.csv", "--policy", "policy.json")
    for command in ("evaluate", "audit"):
        softmaxlib(command, *of_labels, "--label", "truth_*", "--sample-rows", 9).assert_failed(
            "--sample-rows is not for a multi-label model; leave it out"
        )
    softmaxlib(*DECIDE, "decided.csv", "--format", "npz").assert_failed(
        "--format is for the files in a folder, got 'npz', and decided.csv is written as csv; leave it out"
    )
    Policy(Identity(), MostLikely()).fit(LOGITS, LOGITS.argmax(axis=1)).save(files / "one.json")
    one = ("rows.csv", "--policy", "one.json", "--multilabel")
    for command in (("decide", *one, "-o", "o.csv"), ("audit", *one, "--label", "truth_*")):
        softmaxlib(*command).assert_failed(
            "--multilabel is for a policy that was fitted with it, and one.json is for one class per row"
        )
    assert not (files / "o.csv").exists()


def test_a_threshold_and_costs_of_each_label(softmaxlib, files) -> None:
    fit = ("fit", "rows.csv", "--label", "truth_*", "--multilabel", "-o", "policy.json")
    assert softmaxlib(*fit, "--threshold", "cat=0.3,dog=0.5,ill=0.125").code == 0
    policies = MultilabelPolicy.load(files / "policy.json").policies_
    assert str(policies["ill"].rule) == str(BinaryThreshold(0.125))
    assert softmaxlib(*fit, "--false-positive", 1, "--false-negative", 3, "--calibration", "vector").code == 0
    policy = MultilabelPolicy.load(files / "policy.json")
    np.testing.assert_array_equal(policy.decide(LOGITS).action, policy.predict_proba(LOGITS) > 0.25)
    softmaxlib(*fit, "--threshold", "cat=0.3").assert_failed("NAME=NUMBER for each label", "'dog=0.5'")
    softmaxlib(*fit, "--threshold", "cat=x").assert_failed("NAME=NUMBER for each label", "got 'cat=x'")
    softmaxlib(*fit, "--threshold", "2").assert_failed("--threshold must be one number in 0 to 1")


def test_some_of_the_labels(softmaxlib, files) -> None:
    """The columns that are chosen are the labels; other columns of the truth have no part."""
    options = ("rows.csv", "--multilabel", "--label", "truth_*", "-o", "policy.json")
    assert (
        softmaxlib("fit", *options, "--columns", "logit_c*,logit_i*").code == 2
    )  # their names are cut short
    frame(LOGITS, LABELS[:, ::-1]).drop(columns="logit_dog").to_csv(files / "rows.csv", index=False)
    assert softmaxlib("fit", *options).code == 0
    assert MultilabelPolicy.load(files / "policy.json").class_names_ == ("cat", "ill")


def test_decisions_go_into_one_file(softmaxlib, files) -> None:
    assert softmaxlib("fit", "rows.csv", *FIT).code == 0
    softmaxlib(*DECIDE, "-").assert_failed("go into one file")
    softmaxlib(*DECIDE, "out/").assert_failed("go into one file")
    assert softmaxlib("fit", "rows.csv", "--label", "truth_cat", "-o", "one.json").code == 0
    done = softmaxlib("decide", "rows.csv", "--multilabel", "--policy", "one.json", "-o", "a.csv")
    done.assert_failed("--multilabel is for a policy that was fitted with it", "one.json")


def test_a_poor_verdict_ends_with_its_exit_code(softmaxlib, files) -> None:
    _, labels = made(300, seed=1)
    frame(np.full((300, 3), 4.0), labels[:, ::-1]).to_csv(files / "bad.csv", index=False)
    for limit in ("caution", "bad"):
        done = softmaxlib("evaluate", "bad.csv", "--multilabel", "--label", "truth_*", "--fail-on", limit)
        assert done.code == 4, done.err
        assert "can't be believed" in done.out
