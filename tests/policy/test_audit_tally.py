"""An audit from merged tallies is the audit of all rows."""

import json

import numpy as np
import pytest

from softmaxlib import Policy, metrics
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import MinimumCost, PredictionSets, SelectiveRisk, TunedThreshold
from softmaxlib.errors import FileFormatError, InvalidInputError, UnsupportedTypeError

FITTED, ROWS = 1500, 900
RULES = {
    "risk": SelectiveRisk(0.1),
    "sets": PredictionSets(alpha=0.1),
    "sets within classes": PredictionSets(alpha=0.1, groups=[0, 1, 1]),
    "sets within groups": PredictionSets(alpha=0.1, groups="rows"),
    "threshold": TunedThreshold("f1_score"),
    "costs": MinimumCost(1 - np.eye(3), abstain_cost=0.3),
}


def made_rows(classes, harder):
    rng = np.random.default_rng(4)
    labels = rng.integers(classes, size=FITTED + ROWS)
    noise = rng.normal(size=(FITTED + ROWS, classes))
    noise[FITTED:] *= 1 + harder
    groups = rng.choice(["new", "old"], FITTED + ROWS)
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], FITTED + ROWS)
    return 3 * np.eye(classes)[labels] + 2 * noise, labels, groups, weights


@pytest.fixture(scope="module", params=RULES)
def policy(request):
    rule = RULES[request.param]
    logits, labels, groups, _ = made_rows(2 if request.param == "threshold" else 3, 0.0)
    some = slice(FITTED)
    of_rule = groups[some] if rule.takes_groups else None
    return Policy(TemperatureScaling(), rule).fit(logits[some], labels[some], groups=of_rule)


def tallied(policy, order, sizes, harder, weighted):
    """Return the tallies of successive parts of the new rows in this order, merged."""
    logits, labels, groups, weights = (
        column[FITTED:][order] for column in made_rows(len(policy.class_names_), harder)
    )
    whole, start = policy.tally(), 0
    for size in sizes:
        part = slice(start, start + size)
        of_rule = groups[part] if policy.rule.takes_groups else None
        one = policy.tally().update(logits[part], labels[part], weights[part] if weighted else None, of_rule)
        whole, start = one.merge(whole), start + size
    return whole


def audited(policy, harder, weighted):
    logits, labels, groups, weights = (
        column[FITTED:] for column in made_rows(len(policy.class_names_), harder)
    )
    of_rule = groups if policy.rule.takes_groups else None
    return policy.audit(logits, labels, groups=of_rule, sample_weight=weights if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("harder", [0.0, 0.3])
def test_the_audit_is_that_of_all_rows(policy, harder, weighted):
    found = tallied(policy, np.arange(ROWS), [400, 500], harder, weighted).compute()
    expected = audited(policy, harder, weighted)
    assert (found.rows, found.significance) == (expected.rows, expected.significance)
    for one, other in zip(found.checks, expected.checks, strict=True):
        assert (one.promise, one.testable, one.words) == (other.promise, other.testable, other.words)
        assert (one.promised, one.observed) == pytest.approx((other.promised, other.observed), rel=1e-9)
        error = 0.002
        if one.promise == "cost":  # by the mean surplus, and by draws that end with 50 as large
            error = 0.05 + 0.2 * other.p_value
        assert one.p_value == pytest.approx(other.p_value, abs=error), one.promise
        assert one.holds == other.holds


@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_json_and_the_same_audit_whatever_the_split_and_the_order(policy, weighted):
    order = np.random.default_rng(1).permutation(ROWS)
    whole = tallied(policy, np.arange(ROWS), [ROWS], 0.3, weighted)
    written = json.dumps(whole.to_dict())
    split = tallied(policy, order, [1, 0, 399, 500], 0.3, weighted)
    assert json.dumps(split.to_dict()) == written
    again = type(whole).from_dict(json.loads(written), policy)
    assert again.to_dict() == whole.to_dict()
    assert again.compute() == whole.compute()
    assert again.figures().decisions.weight == whole.figures().weight


def test_weights_of_1_are_none(policy):
    logits, labels, groups, _ = made_rows(len(policy.class_names_), 0.0)
    of_rule = groups[FITTED:] if policy.rule.takes_groups else None
    one = policy.tally().update(logits[FITTED:], labels[FITTED:], np.ones(ROWS), of_rule)
    assert one.to_dict() == tallied(policy, np.arange(ROWS), [ROWS], 0.0, weighted=False).to_dict()


class OfRows(MinimumCost):
    """A rule of one's own whose promises need the rows."""

    def promises_of_costs(self, decided, calibration_rows):
        return None


def test_what_is_refused():
    logits, labels, _, _ = made_rows(3, 0.0)
    policy = Policy(Identity(), SelectiveRisk(0.2)).fit(logits, labels)
    tally = policy.tally().update(logits, labels)
    before = tally.to_dict()
    with pytest.raises(InvalidInputError, match=r"labels must .*3"):
        tally.update(logits[:2], [0, 3])
    assert tally.to_dict() == before
    with pytest.raises(InvalidInputError, match="nothing to judge before its first row"):
        policy.tally().compute()
    other = Policy(Identity(), SelectiveRisk(0.3)).fit(logits, labels)
    words = (
        "tallies that are merged must be of the same policy, got the fingerprints "
        f"{policy.fingerprint} and {other.fingerprint}; audit the rows of each policy apart, or tally"
    )
    with pytest.raises(InvalidInputError, match=words):
        tally.merge(other.tally().update(logits, labels))
    with pytest.raises(
        UnsupportedTypeError, match=r"takes another AuditTally, got Tally; .* AuditTally\.from"
    ):
        tally.merge(metrics.Tally(3))
    assert tally.to_dict() == before
    of_rows = Policy(Identity(), OfRows(1 - np.eye(3))).fit(logits, labels).tally().update(logits, labels)
    with pytest.raises(InvalidInputError, match=r"on the rows themselves; use Policy\.audit, or softmaxlib"):
        of_rows.compute()
    for change, words in (
        ({"class": "Tally"}, "must be an AuditTally of version 1"),
        (
            {"policy": "0"},
            r"tally\.policy must be the fingerprint of the policy, .*, got '0'; pass the policy",
        ),
        ({"sums": {}}, r"tally\.sums has no field"),
        ({"sums": before["sums"] | {"losses": {"99999": "0x1p0"}}}, r"tally\.sums\.losses must have keys"),
        ({"tally": {}}, "has no field"),
        ({"tally": metrics.Tally(2).to_dict()}, r"tally\.tally must be of the policy's classes"),
        ({"sums": before["sums"] | {"promises": {"6": "0x1p0"}}}, r"promises must have keys in 0 to 5"),
    ):
        with pytest.raises(FileFormatError, match=words):
            type(tally).from_dict(before | change, policy)


def test_few_rows_say_nothing_about_costs():
    logits, labels, _, _ = made_rows(3, 0.0)
    policy = Policy(Identity(), MinimumCost(1 - np.eye(3))).fit(logits, labels)
    (cost,) = [
        one for one in policy.tally().update(logits[:9], labels[:9]).compute().checks if one.promise == "cost"
    ]
    assert not cost.testable
