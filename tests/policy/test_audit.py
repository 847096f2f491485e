import json

import numpy as np
import pytest
from scipy import stats

from softmaxlib import Policy
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets, SelectiveRisk, Threshold
from softmaxlib.decisions.outcomes import Promise
from softmaxlib.errors import (
    InvalidInputError,
)
from softmaxlib.metrics.shares import WeightedShare
from softmaxlib.policy.audit import _share_change, audit_of

from .made import fitted, fitted_on, simulated


class TestAudit:
    def test_calls_wolf_no_more_often_than_promised(self):
        policy = fitted(rows=4000)
        false_alarms = sum(
            not policy.audit(*simulated(1500, seed=100 + seed), significance=0.05).holds
            for seed in range(150)
        )
        # the fit's own sampling error is shared by all 150: hence the margin over 7
        assert false_alarms <= 15

    @pytest.mark.parametrize("sharpness", [0.6, 1.6])
    def test_sees_drift(self, sharpness):
        audit = fitted(rows=4000).audit(*simulated(2000, seed=1, sharpness=sharpness))
        broken = {check.promise for check in audit.checks if not check.holds}
        assert not audit.holds
        assert "calibration" in broken

    def test_says_what_and_how_much(self):
        policy = fitted()
        logits, labels = simulated(500, seed=1)
        checks = {check.promise: check for check in policy.audit(logits, labels).checks}
        assert list(checks) == ["calibration", "log loss", "share set aside", "cost"]
        decision = policy.decide(logits)
        wrong = decision.action[~decision.abstained] != labels[~decision.abstained]
        paid = (wrong.sum() + 0.3 * decision.abstained.sum()) / 500
        assert checks["cost"].observed == pytest.approx(paid, rel=1e-12)
        assert checks["cost"].promised == pytest.approx(decision.expected_cost.mean(), rel=1e-12)
        assert checks["share set aside"].observed == decision.abstained.mean()
        assert f"{decision.abstained.mean():.1%} of rows are set aside" in checks["share set aside"].words

    def test_the_share_set_aside_is_tested_by_fishers_exact_test(self):
        record = fitted().record_
        then = record.judged_rows
        aside = round(record.abstained * then)
        assert 0 < aside < then
        for now in (4, 9, 30):
            p_value, least = _share_change(record, WeightedShare(np.float64(now / 30), np.float64(30)))
            for found, one in ((p_value, now), (least, 30)):
                table = [[one, 30 - one], [aside, then - aside]]
                assert found == pytest.approx(stats.fisher_exact(table, "greater").pvalue, rel=1e-6)

    def test_cost_is_tested_against_truths_drawn_from_the_probabilities(self):
        """Row by row and in full, where the audit draws groups of rows and ends early."""
        policy = fitted()
        logits, labels = simulated(300, seed=2)
        decision, probabilities = policy.decide(logits), policy.predict_proba(logits)
        rng = np.random.default_rng(1)

        def surplus(truth, rows):
            cost = truth != decision.action[rows]
            paid = np.where(decision.abstained[rows], 0.3, cost)
            return (paid - decision.expected_cost[rows]).mean()

        def drawn(rows):
            below = probabilities[rows].cumsum(axis=1) < rng.random((len(rows), 1))
            return surplus(np.minimum(below.sum(axis=1), 3), rows)

        every = np.arange(300)
        null = np.array([drawn(every) - drawn(rng.integers(300, size=2000)) for _ in range(2000)])
        expected = (null >= surplus(labels, every)).mean()
        found = next(check for check in policy.audit(logits, labels).checks if check.promise == "cost")
        assert found.p_value == pytest.approx(expected, rel=4 / np.sqrt(50))
        assert 0.1 < found.p_value < 0.98

    def test_coverage_is_judged_by_its_exact_law(self):
        """p-values of fresh fits and fresh rows, all promises true, are uniform."""
        found = []
        for seed in range(120):
            policy = fitted_on(simulated(400, seed=2 * seed), PredictionSets(alpha=0.1))
            checks = policy.audit(*simulated(300, seed=2 * seed + 1)).checks
            found.append(next(check.p_value for check in checks if check.promise == "coverage"))
        assert stats.kstest(found, "uniform").pvalue > 0.01

    def test_risk_is_judged_by_the_binomial(self):
        policy = fitted_on(simulated(3000), SelectiveRisk(risk=0.2))
        logits, labels = simulated(500, seed=1)
        decision = policy.decide(logits)
        kept = ~decision.abstained
        errors = (decision.action != labels)[kept].sum()
        found = next(check for check in policy.audit(logits, labels).checks if check.promise == "risk")
        assert found.observed == errors / kept.sum()
        expected = stats.binomtest(int(errors), int(kept.sum()), 0.2, alternative="greater").pvalue
        assert found.p_value == pytest.approx(expected, rel=1e-9)

    def test_is_plain_data(self):
        audit = fitted().audit(*simulated(300, seed=1))
        content = json.loads(json.dumps(audit.to_dict(), allow_nan=False))
        assert content["holds"] is audit.holds
        assert content["rows"] == 300

    def test_few_rows_can_not_tell(self):
        """One decided row under a risk of at most 0.2: an error is one chance in five."""
        policy = fitted_on(simulated(3000), SelectiveRisk(risk=0.2))
        audit = policy.audit([[1.0, 0.9, 0.9, 0.9]], [1])
        assert audit.holds
        assert "risk" in audit.untested
        audit = policy.audit(8 * np.eye(4)[:1], [1])
        found = next(check for check in audit.checks if check.promise == "risk")
        assert (found.observed, found.testable, found.p_value) == (1.0, False, 1.0)
        assert found.words.endswith("; these are too few rows to tell")
        assert json.loads(json.dumps(audit.to_dict()))["untested"] == list(audit.untested)

    def test_few_rows_can_tell_what_has_an_exact_law(self):
        """Two errors in two rows under a risk of at most 0.1: one chance in a hundred."""
        policy = fitted_on(simulated(3000), SelectiveRisk(risk=0.1))
        logits = 8 * np.eye(4)[[0, 1]]
        audit = policy.audit(logits, [1, 0])
        checks = {check.promise: check for check in audit.checks}
        assert (checks["risk"].testable, checks["risk"].holds) == (True, False)
        assert checks["risk"].p_value == pytest.approx(0.01)
        # two losses of 8 nats: hardly one of the 1,500 at the fit was as large
        assert not checks["log loss"].holds

    def test_cost_is_not_tested_on_a_few_rows(self):
        policy = fitted()
        assert "cost" in policy.audit(*simulated(29, seed=1)).untested
        assert "cost" not in policy.audit(*simulated(30, seed=1)).untested

    @pytest.mark.parametrize("significance", [0, 1, -0.1, float("nan")])
    def test_significance_is_a_probability(self, significance):
        with pytest.raises(InvalidInputError, match=r"significance must lie between 0 and 1.*0\.05 is usual"):
            fitted().audit(*simulated(100), significance=significance)


@pytest.mark.parametrize(
    "rule",
    [MinimumCost(1 - np.eye(4), 0.3), SelectiveRisk(0.5), PredictionSets("lac", 0.3), MostLikely()],
    ids=str,
)
def test_rows_of_weight_0_change_neither_the_record_nor_an_audit(rule):
    """A row that does not count is as wrong as can be, and its loss infinite where it was sure."""
    rng = np.random.default_rng(0)
    logits, labels = simulated(900)
    weights = np.where(np.arange(900) % 3 > 0, rng.integers(1, 4, 900), 0).astype(float)
    labels = np.where(weights > 0, labels, logits.argmin(axis=1))
    counts = weights > 0
    kept = Policy(Identity(), rule).fit(logits[counts], labels[counts], sample_weight=weights[counts])
    if not rule.learns:  # others learn from one half of the rows, drawn from all of them
        every = Policy(Identity(), rule).fit(logits, labels, sample_weight=weights)
        for name, figure in vars(kept.record_.after).items():
            assert vars(every.record_.after)[name] == pytest.approx(figure, rel=1e-12), name
        audits = [one.audit(*simulated(700, seed=3)).checks for one in (kept, every)]
        for one, other in zip(*audits, strict=True):
            assert other.p_value == pytest.approx(one.p_value, rel=1e-6), one.promise
    alone = kept.audit(logits[counts], labels[counts], sample_weight=weights[counts])
    logits[~counts] *= 1e6
    weighted = kept.audit(logits, labels, sample_weight=weights)
    assert (alone.rows, weighted.rows) == (600, 600)
    for one, other in zip(alone.checks, weighted.checks, strict=True):
        assert (other.promise, other.testable) == (one.promise, one.testable)
        assert other.promised == pytest.approx(one.promised, rel=1e-9), one.promise
        assert other.observed == pytest.approx(one.observed, rel=1e-9), one.promise
        assert other.p_value == pytest.approx(one.p_value, rel=1e-6), one.promise


def test_what_reaches_the_level_exactly_is_rejected():
    def finding(name, p_value, least):
        return Promise(name, 0.1, 0.2, p_value, least, "the words")

    audit = audit_of(
        [finding("a", 1 / 32, 1 / 16), finding("b", 0.5, 1 / 8), finding("c", 0.25, 0.0)], 7, 1 / 16
    )
    assert (audit.rows, audit.significance) == (7, 1 / 16)
    assert [check.holds for check in audit.checks] == [False, True, True]
    assert [check.testable for check in audit.checks] == [True, False, True]
    assert [check.p_value for check in audit.checks] == [1 / 32, 1.0, 0.25]
    assert [len(check.words) > len("the words") for check in audit.checks] == [False, True, False]
    assert audit.untested == ("b",)
    assert repr(audit) == "Audit(7 rows: no longer as promised: a)"
    page = audit._repr_html_()
    assert [page.count(text) for text in (">no<", ">yes<", "t tell</td>", ">0.031<")] == [1] * 4


def test_rows_of_weight_0_make_no_test_possible():
    logits, labels = simulated(600)
    policy = Policy(Identity(), MostLikely()).fit(logits, labels, sample_weight=np.ones(600))
    weights = np.append(np.zeros(100), np.ones(29))  # 30 rows have a normal mean
    audit = policy.audit(logits[:129], labels[:129], sample_weight=weights)
    assert "log loss" in audit.untested
    weights[0] = 1
    assert "log loss" not in policy.audit(logits[:129], labels[:129], sample_weight=weights).untested


def test_the_share_set_aside_is_tested_where_rows_are_or_were():
    sure, labels = np.tile([[9.0, 0.0]], (50, 1)), np.zeros(50, int)
    unsure = np.tile([[0.1, 0.0]], (50, 1))
    kinds = {"sure": sure, "unsure": unsure}
    found = {}
    for fit_on, rows in kinds.items():
        policy = Policy(Identity(), Threshold(0.9)).fit(rows, labels)
        for name, now in kinds.items():
            promises = [check.promise for check in policy.audit(now, labels).checks]
            found[fit_on, name] = "share set aside" in promises
    assert found == {
        ("sure", "sure"): False,
        ("sure", "unsure"): True,
        ("unsure", "sure"): True,
        ("unsure", "unsure"): True,
    }
