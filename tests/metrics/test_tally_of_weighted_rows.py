"""The tests of a tally of weighted rows are those of all rows, and the same bits however it is merged."""

import json

import numpy as np
import pytest
from scipy import stats

from softmaxlib import Policy, evaluate, metrics, softmax
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost
from softmaxlib.errors import FileFormatError, InvalidInputError
from softmaxlib.metrics._weight_levels import half_levels, quarter_levels
from softmaxlib.metrics.normal_mean import stretch_of

CLASSES, ROWS, ASIDE = 3, 1500, 0.3


def made_rows(seed=0, scale=1.2):
    """Return rows of a model that is a little too sure, or right with a scale of 1, and their groups."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(ROWS, CLASSES))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random(ROWS)[:, None] > np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1)
    return scale * logits, labels, rng.integers(3, size=ROWS), rng


@pytest.fixture(scope="module")
def rows():
    return made_rows()[:3]


WEIGHTS = {
    "some are 1": lambda rng: np.where(rng.random(ROWS) < 0.4, 1.0, rng.exponential(size=ROWS)),
    "of three values": lambda rng: rng.choice([1.0, 2.0, 5.0], ROWS),
    "all equal": lambda rng: np.full(ROWS, 2.5),
    "very different": lambda rng: np.exp(rng.normal(scale=2, size=ROWS)),
}


@pytest.fixture(scope="module", params=WEIGHTS)
def weights(request):
    return WEIGHTS[request.param](np.random.default_rng(1))


def test_levels_are_whole_parts_of_logarithms():
    rng = np.random.default_rng(0)
    weights = np.append(np.exp(rng.uniform(-700, 700, 5000)), 5e-324)
    np.testing.assert_array_equal(quarter_levels(weights), np.floor(4 * np.log2(weights)))
    assert quarter_levels(np.array([np.finfo(float).max])).tolist() == [4095]  # below 2^1024
    powers = 2.0 ** np.arange(-3, 4)
    assert quarter_levels(powers).tolist() == [-12, -8, -4, 0, 4, 8, 12]
    assert half_levels(np.nextafter(powers, 0)).tolist() == [-7, -5, -3, -1, 1, 3, 5]


def test_the_calibration_is_tested_as_by_all_rows(rows, weights):
    logits, labels, _ = rows
    found = metrics.Tally(CLASSES, tests=True).update(logits, labels, weights).compute().calibration_test
    expected = metrics.calibration_test(logits, labels, sample_weight=weights)
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    # both have 1000 draws, the one of cells and the other of rows
    assert found.p_value == pytest.approx(expected.p_value, abs=0.03)
    assert stats.ks_2samp(found.null, expected.null).pvalue > 0.01
    assert evaluate(logits, labels, sample_weight=weights).before.chance_interval == pytest.approx(
        np.quantile(expected.null, [0.025, 0.975]), rel=1e-12
    )


def test_the_calibration_is_tested_by_drawn_outcomes(rows, weights):
    logits, labels, _ = rows
    test = metrics.Tally(CLASSES, tests=True).update(logits, labels, weights).compute().calibration_test
    rng = np.random.default_rng(3)
    confidence = 1 - metrics.doubt(logits)
    index = np.minimum((confidence * 15).astype(int), 14)
    drawn = rng.random((2000, ROWS)) < confidence
    gaps = (weights * (drawn - confidence)) @ np.eye(15)[index]
    errors = np.abs(gaps).sum(axis=1) / weights.sum()
    assert test.expected == pytest.approx(errors.mean(), rel=0.03)
    assert test.null.std() == pytest.approx(errors.std(), rel=0.1)
    assert test.p_value == pytest.approx(np.mean(errors >= test.value), abs=0.05)


def test_each_class_is_tested_as_by_all_rows(rows, weights):
    logits, labels, _ = rows
    result = metrics.Tally(CLASSES, tests=True).update(logits, labels, weights).compute()
    expected, found = metrics.class_calibration_test(logits, labels, sample_weight=weights), result.class_test
    np.testing.assert_allclose(found.stated, expected.stated, rtol=1e-12)
    np.testing.assert_allclose(found.observed, expected.observed, rtol=1e-12)
    if np.unique(weights).size <= 3:  # a level of weights is one weight
        for name, one in found._asdict().items():
            np.testing.assert_allclose(one, getattr(expected, name), rtol=1e-7, err_msg=name)
    else:
        z = [stats.norm.isf(np.minimum(test.p_value, 0.999) / 2) for test in (found, expected)]
        assert np.abs(z[0] - z[1]).max() < 0.3


@pytest.mark.parametrize("harder", [0.0, 1.0])
def test_groups_differ_as_in_the_evaluation(weights, harder):
    logits, labels, groups, rng = made_rows()
    labels = np.where((groups == 1) & (rng.random(ROWS) < 0.5 * harder), (labels + 1) % CLASSES, labels)
    policy = Policy(Identity(), MinimumCost(1 - np.eye(CLASSES), abstain_cost=ASIDE)).fit(logits, labels)
    decision = policy.decide(logits)
    cost = np.where(decision.abstained, ASIDE, 1.0 * (decision.action != labels))
    expected = evaluate(logits, labels, policy=policy, groups=groups, sample_weight=weights).groups
    tally = metrics.Tally(CLASSES)
    tally.update(logits, labels, weights, groups, decision=decision, cost=cost)
    differences = tally.compute().differences
    assert [one.figure for one in differences] == [one.figure for one in expected.differences]
    for one, other in zip(differences, expected.differences, strict=True):
        error = 0.02 + 0.4 * other.p_value  # a p-value ends with 50 draws that are as large
        assert one.p_value == pytest.approx(other.p_value, abs=error), one.figure
    if harder:
        assert min(one.p_value for one in differences) < 0.05


def tallied(rows, weights, order, sizes):
    logits, labels, groups = (column[order] for column in rows)
    whole, start = metrics.Tally(CLASSES, tests=True), 0
    for size in sizes:
        some = slice(start, start + size)
        of_rows = None if weights is None else weights[order][some]
        one = metrics.Tally(CLASSES, tests=True).update(logits[some], labels[some], of_rows, groups[some])
        whole, start = one.merge(whole), start + size
    return whole


def test_the_same_json_and_the_same_tests_whatever_the_split_and_the_order(rows, weights):
    orders = np.arange(ROWS), np.random.default_rng(1).permutation(ROWS)
    whole = tallied(rows, weights, orders[0], [ROWS])
    written = json.dumps(whole.to_dict())
    for sizes in ([1, 400, 99, 0, 1000], [ROWS // 5] * 5):
        assert json.dumps(tallied(rows, weights, orders[1], sizes).to_dict()) == written
    assert metrics.Tally.from_dict(json.loads(written)).to_dict() == whole.to_dict()


def test_the_same_tests_after_merging(rows):
    order, weights = np.random.default_rng(1).permutation(ROWS)[:300], WEIGHTS["some are 1"]
    weights = weights(np.random.default_rng(1))
    result = tallied(rows, weights, np.sort(order), [300]).compute()
    again = tallied(rows, weights, order, [100, 1, 199]).compute()
    assert again.calibration_test.null.tolist() == result.calibration_test.null.tolist()
    assert again.class_test.p_value.tolist() == result.class_test.p_value.tolist()
    assert again.differences == result.differences


def test_a_weight_of_1_is_no_weight(rows):
    order = np.arange(ROWS)
    without = tallied(rows, None, order, [ROWS]).to_dict()
    assert tallied(rows, np.ones(ROWS), order, [700, 800]).to_dict() == without
    some = np.where(order < 700, 1.0, 3.0)
    mixed = metrics.Tally(CLASSES, tests=True).update(rows[0][:700], rows[1][:700])
    mixed.update(rows[0][700:], rows[1][700:], some[700:])
    whole = metrics.Tally(CLASSES, tests=True).update(rows[0], rows[1], some)
    assert mixed.to_dict() == whole.to_dict()


def test_curves_of_two_classes(weights):
    rng = np.random.default_rng(3)
    labels = rng.integers(2, size=ROWS)
    logits = np.stack([np.zeros(ROWS), rng.normal(2.0 * labels - 1, 2)], axis=1)
    result = metrics.Tally(2, tests=True).update(logits, labels, weights).compute()
    for found, exact in (
        (result.roc, metrics.roc_curve(logits, labels, sample_weight=weights)),
        (result.precision_recall, metrics.precision_recall_curve(logits, labels, sample_weight=weights)),
    ):
        points = {tuple(np.round(point, 9)) for point in zip(*exact[:2], strict=True)}
        assert points.issuperset(tuple(np.round(point, 9)) for point in zip(*found[:2], strict=True))
        assert len(found[0]) > 100


@pytest.mark.parametrize(
    "name", ["weighted_confidence", "weighted_class_cells", "weight_levels", "group_right"]
)
def test_sums_of_no_tally_are_refused(name):
    content = metrics.Tally(CLASSES, tests=True).update([[3.0, 0.0, 0.0]], [0], [2.5]).to_dict()
    content["sums"][name] = {"9999999999999": "0x1p0"}
    with pytest.raises(FileFormatError, match=rf"tally\.sums\.{name} must have keys in 0 to"):
        metrics.Tally.from_dict(content)


def test_a_batch_may_have_no_row_that_counts(rows):
    logits, labels, _ = rows
    some, none = slice(10), slice(10, 20)
    whole = metrics.Tally(CLASSES).update(logits[some], labels[some], np.ones(10))
    parts = metrics.Tally(CLASSES).update(logits[none], labels[none], np.zeros(10))
    assert parts.rows == 0
    parts.update(logits[some], labels[some], np.ones(10)).update(logits[none], labels[none], np.zeros(10))
    assert parts.to_dict() == whole.to_dict()
    with pytest.raises(InvalidInputError, match="labels must lie in 0 to 2"):
        parts.update(logits[none], labels[none] + 5, np.zeros(10))
    policy = Policy(Identity(), MinimumCost(1 - np.eye(CLASSES))).fit(logits, labels)
    audit = policy.tally().update(logits[some], labels[some], np.ones(10))
    before = audit.to_dict()
    assert audit.update(logits[none], labels[none], np.zeros(10)).to_dict() == before


@pytest.mark.parametrize("weight", [1e-200, 1e200])
def test_batches_are_not_scaled_one_by_one(rows, weight):
    """Two batches of weights 1e-200 and 1e-197 would be scaled to the same size."""
    logits, labels, _ = rows
    policy = Policy(Identity(), MinimumCost(1 - np.eye(CLASSES))).fit(logits, labels)
    for tally in (metrics.Tally(CLASSES), policy.tally()):
        with pytest.raises(
            InvalidInputError, match=r"lie between 1e-100 and 1e\+100.* in row 0; multiply all"
        ):
            tally.update(logits, labels, np.full(ROWS, weight))


def test_few_heavy_rows_make_intervals_wider(rows):
    """By the t law with sum w^2 / max w^2 - 1 degrees of freedom, never more than those of the bootstrap."""
    logits, labels, _ = (column[:300] for column in rows)
    weights = np.where(np.arange(300) < 15, 30.0, 1.0)
    result = metrics.Tally(CLASSES).update(logits, labels, weights).compute()
    score = metrics.brier_score(logits, labels, sample_weight=weights)
    losses = np.square(softmax(logits) - np.eye(CLASSES)[labels]).sum(axis=1)
    shares = weights / weights.sum()
    error = np.sqrt(shares**2 @ (losses - score) ** 2)
    degrees = (15 * 900 + 285) / 900 - 1
    half = 1.959964 * error * stats.t.ppf(0.975, degrees) / stats.t.ppf(0.975, 299)
    assert result.brier_interval == pytest.approx((score - half, score + half), rel=1e-6)
    wide = stretch_of(weights, 0.95)
    assert half >= wide * 1.959964 * error
    found = metrics.bootstrap_interval(metrics.calibration_error, logits, labels, sample_weight=weights)
    low, high = result.calibration_error_interval
    assert high - low == pytest.approx(found.upper - found.lower, rel=0.25)
