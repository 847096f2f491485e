"""``--score``: a binary model with one column, from fit to audit, and the costs of its mistakes."""

import csv
import json

import numpy as np
import pytest

from softmaxlib import Policy
from softmaxlib.calibration import VectorScaling
from softmaxlib.decisions import MinimumCost

COSTS = ("--false-positive", 1, "--false-negative", 50)
SCORE = ("--score", "score", "--positive", "fraud")


@pytest.fixture
def rows(tmp_path):
    generator = np.random.default_rng(0)
    labels = (generator.random(900) < 0.1).astype(int)
    scores = np.round(generator.normal(2 * labels - 3), 3)
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "score", "truth"])
        writer.writerows(
            (i, x, ("ok", "fraud")[k]) for i, (x, k) in enumerate(zip(scores, labels, strict=True))
        )
    return scores, labels


def test_from_fit_to_audit(softmaxlib, tmp_path, rows):
    fit = ("fit", "scores.csv", *SCORE, "--label", "truth", "--calibration", "vector", *COSTS)
    assert softmaxlib(*fit, "-o", "p.json").code == 0
    expected = Policy(VectorScaling(), MinimumCost.binary(false_positive=1, false_negative=50))
    expected.fit(*rows, class_names=["ok", "fraud"])
    found = Policy.load(tmp_path / "p.json")
    assert repr(found.rule) == repr(expected.rule)
    np.testing.assert_array_equal(found.predict_proba(rows[0]), expected.predict_proba(rows[0]))
    assert (
        softmaxlib("decide", "scores.csv", "--score", "score", "--policy", "p.json", "-o", "d.csv").code == 0
    )
    with (tmp_path / "d.csv").open() as file:
        decided = list(csv.DictReader(file))
    assert [row["decision"] for row in decided] == expected.decide(rows[0]).labels.tolist()
    assert list(decided[0])[-2:] == ["id", "truth"]
    on = ("scores.csv", "--score", "score", "--policy", "p.json", "--label", "truth")
    assert softmaxlib("audit", *on, "-o", "audit.json").code == 0
    audit = json.loads((tmp_path / "audit.json").read_text())
    assert audit["checks"][-1]["p_value"] == expected.audit(*rows).checks[-1].p_value
    assert softmaxlib("evaluate", *on, "--report", "r.html").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--score", "score"], ["has labels such as 'fraud', 'ok'", "name the class with --positive"]),
        (
            ["--score", "score", "--positive", "spam"],
            ["--positive must be a label, got 'spam'", "scores.csv"],
        ),
        (["--score", "scoer"], ["no column is called 'scoer' (is 'score' meant?)", "--score"]),
        ([*SCORE, "--columns", "score"], ["--score names one column, and --columns one for each class"]),
        ([*SCORE, "--probabilities"], ["must lie between 0 and 1", "in row 0", "column 'score'"]),
        ([*SCORE, "--false-positive", 1], ["--false-positive needs --false-negative"]),
        ([*SCORE, "--false-negative", 1], ["--false-negative needs --false-positive"]),
        ([*SCORE, *COSTS, "--cost", "c.csv"], ["--cost is a file with all costs"]),
        (
            [*SCORE, "--false-positive", 0, "--false-negative", 1],
            ["--false-positive must be finite and above 0, got 0.0"],
        ),
        ([*SCORE, "--positive-threshold", 2], ["--positive-threshold must be a probability, 0 to 1, got 2"]),
        ([*SCORE, "--rule", "binary-threshold"], ["--rule binary-threshold needs --positive-threshold"]),
        ([*SCORE, "--positive-threshold", 0.3, "--threshold", 0.3], ["two different decision rules"]),
        ([*SCORE, "--weight", "truth"], ["--label and --weight name the same column"]),
    ],
)
def test_what_is_refused(softmaxlib, tmp_path, rows, options, words):
    (tmp_path / "c.csv").write_text("truth,ok,fraud\nok,0,1\nfraud,50,0\n")
    softmaxlib("fit", "scores.csv", "--label", "truth", "-o", "p.json", *options).assert_failed(*words)
    assert not (tmp_path / "p.json").exists()


def test_probabilities_that_were_taken_for_logits(softmaxlib, tmp_path, rows):
    with (tmp_path / "p.csv").open("w") as file:
        file.write("p,truth\n")
        file.writelines(f"{1 / (1 + np.exp(-x)):.4f},{k}\n" for x, k in zip(*rows, strict=True))
    fit = ("fit", "p.csv", "--score", "p", "--label", "truth", "-o", "p.json")
    outcome = softmaxlib(*fit)
    assert outcome.code == 0
    assert "logits look like probabilities of the second class" in outcome.err
    assert "--probabilities" in outcome.err
    outcome = softmaxlib(
        "fit", "p.csv", "--score", "p", "--label", "truth", "--probabilities", "-o", "p.json"
    )
    assert (outcome.code, outcome.err) == (0, "")


def test_a_threshold_on_the_positive_class(softmaxlib, tmp_path, rows):
    fit = ("fit", "scores.csv", *SCORE, "--label", "truth", "--positive-threshold", 0.3, "-o", "p.json")
    assert softmaxlib(*fit).code == 0
    policy = Policy.load(tmp_path / "p.json")
    assert repr(policy.rule) == "BinaryThreshold(0.3)"
    decide = ("decide", "scores.csv", "--score", "score", "--policy", "p.json", "-o", "d.csv")
    assert "0 (0.0%) set aside" in softmaxlib(*decide).out
    on = ("scores.csv", "--score", "score", "--policy", "p.json", "--label", "truth")
    assert softmaxlib("audit", *on).code == 0
    assert softmaxlib("export", "p.json", "-o", "p.onnx").code == 0
