"""A calibration and a rule that are defined here, and nowhere named in the package, work everywhere."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from softmaxlib import Policy, evaluate
from softmaxlib._stored import Number
from softmaxlib.calibration import Calibration
from softmaxlib.decisions import Costs, Decision, Option, Promise, Rule
from softmaxlib.errors import InvalidInputError

SOURCE = Path(__file__).parents[2] / "src" / "softmaxlib"


class PriorShift(Calibration):
    """Adds a number to the logit of the last class."""

    command_name = "prior-shift"

    _fitted = {"shift_": Number()}  # noqa: RUF012

    def describe(self):
        return f"{self}, shift {self.shift_:.2f}"

    def _fit(self, logits, labels, weights):
        self.shift_ = float(np.log(np.mean(labels == logits.shape[1] - 1) * logits.shape[1]))

    def _transform(self, logits):
        return logits + self.shift_ * (np.arange(logits.shape[1]) == logits.shape[1] - 1)


class Budget(Rule):
    """Sets aside whatever is less sure than the share `budget` of the rows of the fit."""

    command_name = "budget"
    command_options = (Option("budget", "number", "The share of rows to set aside."),)

    _settings = {"budget": Number(0, 1)}  # noqa: RUF012
    _fitted = {"limit_": Number()}  # noqa: RUF012

    def __init__(self, budget=0.1):
        self.budget = budget

    def describe(self):
        return f"a budget of {self.budget:.0%}"

    def promises(self, outcomes, *, calibration_rows, draws):
        share = float(outcomes.decision.abstained.mean())
        return (Promise("budget", self.budget, share, 1.0, 0.0, f"{share:.1%} of the budget is spent"),)

    def costs(self, outcomes):
        wrong = float((outcomes.decision.action != outcomes.labels).mean())
        return Costs(wrong, wrong / 2, None, None)

    def table_columns(self, decision):
        return {"margin": decision.confidence - self.limit_}

    def _fit(self, probabilities, labels, groups, weights):
        self.limit_ = float(np.quantile(probabilities.max(axis=1), self.budget))

    def _decide(self, probabilities, groups):
        confidence = probabilities.max(axis=1).astype(np.float64)
        aside = confidence < self.limit_
        return Decision(np.where(aside, -1, probabilities.argmax(axis=1)), confidence, aside)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=400)
    return 3 * np.eye(3)[labels] + 2 * rng.normal(size=(400, 3)), labels


def test_in_a_policy_its_audit_its_report_and_its_file(rows, tmp_path):
    logits, labels = rows
    policy = Policy(PriorShift(), Budget(0.2)).fit(logits, labels)
    assert 0.1 < policy.record_.abstained < 0.3
    checks = {check.promise: check for check in policy.audit(*rows).checks}
    assert checks["budget"].words.endswith("of the budget is spent")
    evaluation = evaluate(logits, labels, policy=policy)
    assert evaluation.calibration == policy.calibration.describe()
    assert evaluation.rule == "a budget of 20%"
    assert evaluation.decided.expected_cost == evaluation.decided.mean_cost / 2
    policy.save(tmp_path / "policy.json")
    again = Policy.load(tmp_path / "policy.json")
    for one, other in zip(policy.decide(logits), again.decide(logits), strict=True):
        np.testing.assert_array_equal(one, other)


def test_on_the_command_line(rows, tmp_path, monkeypatch, capsys):
    import pyarrow as pa
    import pyarrow.parquet

    from softmaxlib.cli._app import run

    logits, labels = rows
    monkeypatch.chdir(tmp_path)
    columns = {f"logit_{name}": logits[:, place] for place, name in enumerate("abc")}
    pa.parquet.write_table(pa.table({**columns, "truth": labels}), "rows.parquet")
    fit = ("fit", "rows.parquet", "--label", "truth", "-o", "p.json", "--calibration", "prior-shift")
    assert run((*fit, "--budget", "0.25")) == 0
    policy = Policy.load("p.json")
    assert (type(policy.calibration), policy.rule.budget) == (PriorShift, 0.25)
    assert run((*fit, "--rule", "budget")) == 0  # its options are those of its constructor
    assert Policy.load("p.json").rule.budget == 0.1
    assert run(("decide", "rows.parquet", "--policy", "p.json", "-o", "d.parquet")) == 0
    decided = pa.parquet.read_table("d.parquet")
    np.testing.assert_array_equal(decided["margin"].to_numpy() < 0, decided["abstained"].to_numpy())
    assert run(("audit", "rows.parquet", "--policy", "p.json", "--label", "truth", "-o", "a.json")) == 0
    assert "budget" in [check["promise"] for check in json.loads(Path("a.json").read_text())["checks"]]
    capsys.readouterr()
    assert run(("fit", "--help")) == 0
    shown = capsys.readouterr().out
    for words in ("prior-shift", "--budget", "The share of rows to set aside."):
        assert words in shown


def test_a_rule_that_takes_no_groups_says_so():
    with pytest.raises(InvalidInputError, match="this Budget takes none; leave groups out"):
        Budget().fit([[0.5, 0.5]], [0], groups=["a"])


def _guesses(source: str) -> list[int]:
    """The lines that ask what a calibration, a rule or a decision is, instead of telling it what to do."""
    asks = {"hasattr", "getattr", "isinstance", "issubclass", "type"}
    about = ("rule", "calibration", "decision", "policy")
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in asks:
            said = [
                part.id if isinstance(part, ast.Name) else part.attr
                for argument in node.args[: 2 if node.func.id != "getattr" else 1]
                for part in ast.walk(argument)
                if isinstance(part, ast.Name | ast.Attribute)
            ]
            if any(word in name.lower() for name in said for word in about) or _KINDS & set(said):
                found.append(node.lineno)
    return found


_KINDS = {kind.__name__ for base in (Calibration, Rule) for kind in (base, *base._registered.values())}


@pytest.mark.parametrize(
    "line",
    [
        "hasattr(rule, 'cost')",
        "getattr(policy.rule, 'group_names_', None)",
        "isinstance(x, PredictionSets)",
        "isinstance(self.calibration, kind)",
        "getattr(decision, 'sets', None)",
        "type(policy.calibration) is Auto",
    ],
)
def test_a_guess_is_seen(line):
    assert _guesses(line) == [1]


def test_what_is_no_guess_is_let_through():
    assert not _guesses("isinstance(value, dict)\ngetattr(evaluation.before.figures, name)")


@pytest.mark.parametrize("package", ["policy", "report", "cli"])
def test_nobody_above_asks_a_rule_or_a_calibration_what_it_is(package):
    # What a message or a summary calls it, and the check of an argument: no questions.
    known = ("type(policy.rule).__name__", "isinstance(policy, Policy)")
    for path in sorted((SOURCE / package).glob("*.py")):
        source = path.read_text("utf-8")
        for words in known:
            source = source.replace(words, "KNOWN")
        assert not _guesses(source), path
