"""What a tally says of tests, decisions and groups is what `evaluate` says of all rows."""

import json

import numpy as np
import pytest
from scipy import stats

from softmaxlib import Policy, evaluate, metrics
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import MinimumCost, PredictionSets
from softmaxlib.errors import FileFormatError, InvalidInputError
from softmaxlib.metrics._poisson_binomial import class_sums
from softmaxlib.metrics._tally_tests import cells_of_log_odds
from softmaxlib.metrics.predictions import Predictions

CLASSES, ROWS = 4, 1500
ASIDE = 0.3
RULES = {"costs": MinimumCost(1 - np.eye(CLASSES), abstain_cost=ASIDE), "sets": PredictionSets()}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    labels, groups = rng.integers(CLASSES, size=ROWS), rng.integers(3, size=ROWS)
    noise = rng.normal(size=(ROWS, CLASSES)) * (1 + 0.3 * (groups == 1))[:, None]
    return 3 * np.eye(CLASSES)[labels] + 2.5 * noise, labels, groups


@pytest.fixture(scope="module", params=RULES)
def judged(request, rows):
    """The policy's decisions with their costs, the calibrated logits, and the evaluation of all rows."""
    logits, labels, groups = rows
    policy = Policy(TemperatureScaling(), RULES[request.param]).fit(logits[:500], labels[:500])
    decision = policy.decide(logits)
    cost = None
    if request.param == "costs":
        cost = np.where(decision.abstained, ASIDE, 1.0 * (decision.action != labels))
    evaluation = evaluate(logits, labels, policy=policy, groups=groups)
    return decision, cost, policy.calibration.transform(logits), evaluation


def tallied(rows, judged, parts):
    """The tally of some parts of the rows, merged."""
    _, labels, groups = rows
    decision, cost, calibrated, _ = judged
    whole = metrics.Tally(CLASSES, tests=True)
    for part in parts:
        made = type(decision)(*(None if column is None else column[part] for column in decision))
        one = metrics.Tally(CLASSES, tests=True)
        some = None if cost is None else cost[part]
        whole.merge(one.update(calibrated[part], labels[part], None, groups[part], decision=made, cost=some))
    return whole


@pytest.fixture(scope="module")
def whole(rows, judged):
    return tallied(rows, judged, [np.arange(ROWS)])


@pytest.fixture(scope="module")
def result(whole):
    return whole.compute()


def test_tests_are_those_of_all_rows(rows, judged, result):
    _, labels, _ = rows
    _, _, calibrated, evaluation = judged
    assert result.calibration_test.p_value == evaluation.after.calibration_p_value
    expected = metrics.class_calibration_test(calibrated, labels)
    for name, found in result.class_test._asdict().items():
        np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("weight", [None, 2.0])
def test_intervals_and_promises_of_decisions_follow_the_binomial_law(judged, rows, weight):
    """Also of rows of equal weights, which count as rows."""
    decision, _, logits, _ = judged
    weights = None if weight is None else np.full(ROWS, weight)
    tally = metrics.Tally(CLASSES).update(logits, rows[1], weights, decision=decision)
    found = metrics.Tally.from_dict(json.loads(json.dumps(tally.to_dict()))).compute().decisions
    kept = ~np.asarray(decision.abstained)
    wrong, decided = int((np.asarray(decision.action) != rows[1])[kept].sum()), int(kept.sum())
    _follows_the_binomial_law(found.risk_interval, found.risk_p_value, wrong, decided, found.decided_rows)
    if decision.sets is None:
        assert found.set_coverage_interval is None
        assert np.isnan(found.set_coverage_p_value(0.9))
        return
    missed = int((~np.asarray(decision.sets)[np.arange(ROWS), rows[1]]).sum())
    low, high = found.set_coverage_interval
    _follows_the_binomial_law(
        (1 - high, 1 - low), lambda risk: found.set_coverage_p_value(1 - risk), missed, ROWS, found.set_rows
    )


def _follows_the_binomial_law(interval, p_value, hits, rows, effective):
    assert effective == pytest.approx(rows, rel=1e-12)
    if not rows:
        assert interval is None
        assert np.isnan(p_value(0.1))
        return
    exact = stats.binomtest(hits, rows).proportion_ci(0.95)
    assert interval == pytest.approx((exact.low, exact.high), rel=1e-9, abs=1e-12)
    for share in (0.5 * hits / rows, hits / rows, min(0.99, 1.1 * hits / rows)):
        assert p_value(share) == pytest.approx(stats.binom.sf(hits - 1, rows, share), rel=1e-9)


def test_the_weights_of_decided_rows_widen_the_interval(judged, rows):
    decision, _, logits, _ = judged
    weights = np.random.default_rng(2).exponential(size=ROWS)
    of = [
        metrics.Tally(CLASSES).update(logits, rows[1], some, decision=decision).compute().decisions
        for some in (None, weights)
    ]
    if of[0].decided_rows:
        assert of[1].decided_rows < 0.8 * of[0].decided_rows
        assert np.ptp(of[1].risk_interval) > np.ptp(of[0].risk_interval)


def test_decisions_are_those_of_the_evaluation(judged, result):
    decided, found = judged[3].decided, result.decisions
    assert (found.weight, found.decided) == (decided.rows, decided.decided)
    assert found.coverage == decided.coverage
    assert 1 - found.risk == pytest.approx(decided.accuracy, rel=1e-12)
    assert found.decided == sum(found.actions.values())
    if decided.mean_cost is None:
        assert found.mean_cost is found.cost_error is found.expected_cost is None
    else:
        assert found.mean_cost == pytest.approx(decided.mean_cost, rel=1e-12)
        assert found.expected_cost == pytest.approx(decided.expected_cost, rel=1e-12)
        paid = judged[3].row_results.cost
        assert found.cost_error == pytest.approx(stats.sem(paid, ddof=0), rel=1e-9)
    if decided.set_sizes is None:
        assert found.set_sizes is found.set_coverage is None
    else:
        np.testing.assert_array_equal(found.set_sizes, decided.set_sizes)
        assert found.set_coverage == pytest.approx(decided.set_coverage, rel=1e-12)


def test_groups_differ_as_in_the_evaluation(judged, result):
    compared = judged[3].groups
    assert [one.figure for one in result.differences] == [one.figure for one in compared.differences]
    for found, expected in zip(result.differences, compared.differences, strict=True):
        assert found.p_value == pytest.approx(expected.p_value, abs=0.02), found.figure
        assert found.differs == expected.differs
    for name, group in result.groups.items():
        (figures,) = [one for one in compared.groups if one.name == name]
        assert group.accuracy == pytest.approx(figures.accuracy.value, rel=1e-12)
        assert group.decisions.coverage == pytest.approx(figures.decided.value, rel=1e-12)


def test_the_same_json_whatever_the_order_and_the_split(rows, judged, whole, result):
    order = np.random.default_rng(1).permutation(ROWS)
    written = json.dumps(tallied(rows, judged, np.split(order, [1, 700, 701, 1400])).to_dict())
    assert written == json.dumps(whole.to_dict())
    again = metrics.Tally.from_dict(json.loads(written))
    assert again.to_dict() == whole.to_dict()
    found = again.compute()
    assert (repr(found.decisions), found.differences) == (repr(result.decisions), result.differences)
    assert found.class_test.p_value.tolist() == result.class_test.p_value.tolist()


def test_cells_are_those_of_the_class_test():
    rng = np.random.default_rng(0)
    some = 1 / (1 + np.exp(-rng.uniform(-45, 45, 4000)))
    probability = np.concatenate([some, [0.0, 1.0, 0.5, 1e-300, 5e-18, np.nextafter(1, 0)]])
    both = np.stack([1 - probability, probability], axis=1)
    sums = class_sums(Predictions(both, np.zeros(probability.size, np.int64), None, True))
    found = np.bincount(cells_of_log_odds(probability), minlength=sums.shape[2])
    np.testing.assert_array_equal(found, sums[1, 0])


def test_curves_of_two_classes_and_the_interval_of_the_accuracy():
    rng = np.random.default_rng(3)
    labels = rng.integers(2, size=4000)
    logits = np.stack([np.zeros(4000), rng.normal(2.0 * labels - 1, 2)], axis=1)
    result = metrics.Tally(2, tests=True).update(logits, labels).compute()
    exact = metrics.roc_curve(logits, labels)
    points = set(zip(exact.false_positive_rate.tolist(), exact.true_positive_rate.tolist(), strict=True))
    found = list(
        zip(result.roc.false_positive_rate.tolist(), result.roc.true_positive_rate.tolist(), strict=True)
    )
    assert points.issuperset(found)
    assert len(found) > 200
    curve = metrics.precision_recall_curve(logits, labels)
    points = set(zip(curve.recall.tolist(), curve.precision.tolist(), strict=True))
    few = result.precision_recall
    assert points.issuperset(zip(few.recall.tolist(), few.precision.tolist(), strict=True))
    evaluation = evaluate(logits, labels)
    assert result.accuracy_interval == pytest.approx(evaluation.before.accuracy_interval, rel=1e-12)
    weights = rng.exponential(size=4000)
    weighted = metrics.Tally(2).update(logits, labels, weights).compute()
    assert weighted.effective_rows == pytest.approx(weights.sum() ** 2 / (weights @ weights), rel=1e-12)
    expected = evaluate(logits, labels, sample_weight=weights).before.accuracy_interval
    assert weighted.accuracy_interval == pytest.approx(expected, rel=1e-9)


def test_weights_and_negative_costs():
    tally = metrics.Tally(2)

    class Made:  # no decision of a rule: arrays with these names
        action, abstained = np.array([0, -1, 1]), np.array([False, True, False])
        expected_cost, sets = np.array([-1.0, 0.5, 2.0]), None

    tally.update(
        [[2.0, 0.0]] * 3, [0, 1, 0], [1.0, 2.0, 0.5], ["a", "a", "b"], decision=Made, cost=[-4, 1, 3]
    )
    result = tally.compute()
    found = result.decisions
    assert (found.weight, found.decided, found.right, found.actions) == (3.5, 1.5, 1.0, {0: 1.0, 1: 0.5})
    assert found.mean_cost == (-4 + 2 * 1 + 0.5 * 3) / 3.5
    assert found.expected_cost == (-1 + 2 * 0.5 + 0.5 * 2) / 3.5
    assert result.groups["b"].decisions.risk == 1.0
    assert [one.figure for one in result.differences][-1] == "cost"
    assert (result.calibration_test, result.class_test) == (None, None)  # without tests=True


def test_what_is_refused(rows, judged):
    logits, labels, _ = rows
    decision = judged[0]
    tally = metrics.Tally(CLASSES, tests=True)
    before = tally.to_dict()
    for options, words in (
        ({"decision": decision, "cost": [1.0]}, r"one cost a row, shape \(1500,\), got shape \(1,\)"),
        (
            {"decision": decision, "cost": np.full(ROWS, np.inf)},
            "finite costs of at most 1e.15, got inf in row 0",
        ),
        ({"cost": np.zeros(ROWS)}, "what a decision cost, and there is none; pass decision="),
        (
            {"decision": type(decision)(*(None if one is None else one[:5] for one in decision))},
            "got one of 5",
        ),
    ):
        with pytest.raises(InvalidInputError, match=words):
            tally.update(logits, labels, **options)
    assert tally.to_dict() == before
    with pytest.raises(InvalidInputError, match="for at most 4,096 classes, got 5,000; leave it out"):
        metrics.Tally(5000, tests=True)
    with pytest.raises(FileFormatError, match=r"tally\.classes"):
        metrics.Tally.from_dict({**metrics.Tally(5000).to_dict(), "tests": True})


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dear", [1.0, 30.0])
def test_the_p_value_of_costs_is_that_of_labels_drawn_from_the_probabilities(dear, weighted):
    rng = np.random.default_rng(7)
    surely = rng.normal(-1.5, 1.5, 2000)
    chance = 1 / (1 + np.exp(-surely))
    logits, paid = np.stack([np.zeros(2000), surely], axis=1), np.array([[0, 1], [dear, 0]])
    weights = rng.uniform(0.5, 1.5, 2000) if weighted else None
    decision = MinimumCost(paid).decide(logits)
    of_rows = np.ones(2000) if weights is None else weights

    def surplus(labels):
        return (paid[labels, decision.action] - decision.expected_cost) @ of_rows / of_rows.sum()

    drawn = np.sort([surplus((rng.random(2000) < chance).astype(int)) for _ in range(2000)])
    for shift in (-0.2, 0.0, 0.1, 0.25):
        labels = (rng.random(2000) < 1 / (1 + np.exp(-surely - shift))).astype(int)
        cost, tally = paid[labels, decision.action], metrics.Tally(2)
        for some in np.array_split(rng.permutation(2000), 3):
            made = type(decision)(*(None if column is None else column[some] for column in decision))
            of_some = None if weights is None else weights[some]
            tally.update(logits[some], labels[some], of_some, decision=made, cost=cost[some])
        found = tally.compute().decisions
        assert found.surplus.mean == pytest.approx(surplus(labels), rel=1e-9)
        exact, p_value = np.mean(drawn >= found.surplus.mean), found.cost_p_value()
        assert p_value == pytest.approx(exact, abs=0.04 if exact < 0.5 else 0.2)
        assert p_value - 0.05 < found.cost_p_value(500) or p_value > 0.4  # expected costs are known less well
    policy = Policy(Identity(), MinimumCost(paid)).fit(logits, labels)
    judged = evaluate(logits, labels, policy=policy, sample_weight=weights)
    # by the normal law, where an evaluation allows for costs that did not occur
    width = np.ptp(found.cost_interval)
    assert found.cost_interval == pytest.approx(judged.decided.cost_interval, abs=0.15 * width)


def test_a_promise_of_costs_of_few_rows_or_of_none():
    logits = [[2.0, 0.0]] * 40
    decision = MinimumCost([[0, 1], [1, 0]]).decide(logits)
    found = metrics.Tally(2).update(logits, [0] * 40, decision=decision).compute().decisions
    assert (found.surplus, found.cost_interval) == (None, None)
    assert np.isnan(found.cost_p_value())
    few = type(decision)(*(None if column is None else column[:9] for column in decision))
    found = metrics.Tally(2).update(logits[:9], [0] * 9, decision=few, cost=np.zeros(9)).compute().decisions
    assert np.isnan(found.cost_p_value())
    assert np.isnan(found.cost_interval).all()
    cost = np.asarray(decision.expected_cost)
    found = metrics.Tally(2).update(logits, [0] * 40, decision=decision, cost=cost).compute().decisions
    assert found.cost_p_value() == 1.0  # what was expected
    with pytest.raises(InvalidInputError, match="fitted_rows"):
        found.cost_p_value(0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grids", [70, 1100])
def test_many_classes_are_tested_in_wider_cells(grids, weighted):
    """The classes of a tally are those of a test of all rows, some of them over- or understated."""
    rng = np.random.default_rng(1)
    classes = 8  # besides those that never occur
    logits = np.concatenate([rng.normal(size=(400, classes)), np.full((400, grids - classes), -60.0)], axis=1)
    noise = rng.gumbel(size=(400, classes)) + np.linspace(-1, 1, classes)
    labels = (logits[:, :classes] + noise).argmax(axis=1)
    weights = rng.choice([1.0, 2.0], 400) if weighted else None
    whole = metrics.Tally(grids, tests=True)
    for part in np.array_split(rng.permutation(400), 3):
        given = None if weights is None else weights[part]
        one = metrics.Tally(grids, tests=True).update(logits[part], labels[part], given)
        whole = one.merge(whole)
    found = metrics.Tally.from_dict(whole.to_dict()).compute().class_test
    expected = metrics.class_calibration_test(logits, labels, sample_weight=weights)
    np.testing.assert_allclose(found.stated, expected.stated, rtol=1e-9)
    np.testing.assert_allclose(found.observed, expected.observed, rtol=1e-12)
    assert (expected.p_value < 0.001).any()
    z = np.stack([stats.norm.isf(np.minimum(one.p_value, 0.999) / 2) for one in (found, expected)])
    clear = z.max(axis=0) > 2  # where it is chance, the clearest band depends on the cells
    np.testing.assert_allclose(*z[:, clear], atol=0.3)
    assert (found.p_value[classes:] == 1).all()
