"""``--tune``: a threshold of two classes, chosen by a metric or by costs."""

import csv
import json

import numpy as np
import pytest

from softmaxlib import Policy

OF_COSTS = ["--tune", "cost", "--cost", "cost.csv"]


@pytest.fixture
def files(tmp_path):
    generator = np.random.default_rng(0)
    labels = (generator.random(1200) < 0.2).astype(int)
    logits = np.stack([np.zeros(1200), generator.normal(2 * labels - 1.5)], axis=1)
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["logit_fair", "logit_fraud", "truth"])
        writer.writerows([*row, ("fair", "fraud")[label]] for row, label in zip(logits, labels, strict=True))
    (tmp_path / "cost.csv").write_text("truth,fair,fraud\nfair,0,1\nfraud,20,0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--tune", "f1_score"], "TunedThreshold('f1_score')"),
        (
            ["--tune", "recall", "--at-least", "precision=0.4"],
            "TunedThreshold('recall', at_least=('precision', 0.4))",
        ),
        (["--tune", "f1_score", "--confidence", "0.8"], "TunedThreshold('f1_score')"),
        (OF_COSTS, "TunedThreshold(cost=[[0.0, 1.0], [20.0, 0.0]])"),
        (["--cost", "cost.csv"], "MinimumCost([[0.0, 1.0], [20.0, 0.0]], abstain_cost=None)"),
    ],
)
def test_options_choose_the_rule(softmaxlib, files, options, rule):
    outcome = softmaxlib("fit", "rows.csv", "-o", "p.json", "--label", "truth", *options)
    assert outcome.code == 0, outcome.err
    fitted = Policy.load(files / "p.json").rule
    assert repr(fitted) == rule
    if "--confidence" in options:
        assert fitted.confidence == 0.8
    outcome = softmaxlib("decide", "rows.csv", "--policy", "p.json", "-o", "decided.csv")
    assert outcome.code == 0, outcome.err
    outcome = softmaxlib("audit", "rows.csv", "--policy", "p.json", "--label", "truth", "-o", "audit.json")
    assert outcome.code == 0, outcome.err
    promises = {check["promise"] for check in json.loads((files / "audit.json").read_text())["checks"]}
    expected = (
        {"precision", "recall"} if "--at-least" in options else {getattr(fitted, "figure_name", "cost")}
    )
    assert promises >= expected


def test_what_does_not_go_together(softmaxlib, files):
    fit = ("fit", "rows.csv", "-o", "p.json", "--label", "truth")
    softmaxlib(*fit, "--tune", "f1_score", "--cost", "cost.csv").assert_failed("--cost is for --tune cost")
    (files / "cost.csv").write_text("truth,block,pass\nfair,0,1\nfraud,20,0\n")
    softmaxlib(*fit, *OF_COSTS).assert_failed("the columns of --cost are other actions: block, pass")
    text = (files / "rows.csv").read_text()
    (files / "rows.csv").write_text(
        text.replace("logit_fair,", "logit_other,logit_fair,", 1).replace("\n0.0", "\n1.0,0.0")
    )
    softmaxlib(*fit, "--tune", "f1_score").assert_failed("--tune is for two classes, got 3; use --threshold")
