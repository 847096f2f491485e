"""A tally of batches is the figures of all rows, to the last bit the same whatever the batches."""

import json
from fractions import Fraction

import numpy as np
import pytest

from softmaxlib import evaluate, metrics
from softmaxlib.errors import FileFormatError, InvalidInputError
from softmaxlib.metrics._exact_sums import ExactSums

CLASSES, ROWS = 4, 3000


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=ROWS)
    logits = 3 * np.eye(CLASSES)[labels] + 2.5 * rng.normal(size=(ROWS, CLASSES))
    return logits.astype(np.float32), labels, rng.exponential(size=ROWS), rng.integers(3, size=ROWS)


@pytest.fixture(scope="module")
def result(rows):
    return metrics.Tally(CLASSES).update(rows[0], rows[1]).compute()


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "brier_score", "calibration_error"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_figures_of_all_rows(rows, name, weighted):
    logits, labels, weights, _ = rows
    given = weights if weighted else None
    found = metrics.Tally(CLASSES).update(logits, labels, given).compute()
    expected = getattr(metrics, name)(logits, labels, sample_weight=given)
    assert getattr(found, name) == pytest.approx(expected, rel=1e-12)


def test_curves_and_counts(rows, result):
    logits, labels, _, _ = rows
    curve = metrics.reliability_curve(logits, labels)
    filled = result.bin_weight > 0
    np.testing.assert_array_equal(result.bin_weight[filled], curve.weight)
    np.testing.assert_allclose(result.bin_confidence[filled], curve.confidence, rtol=1e-13)
    np.testing.assert_allclose(result.bin_frequency[filled], curve.frequency, rtol=1e-13)
    predicted = logits.argmax(axis=1)
    assert result.confusion == {
        (j, k): count
        for j in range(CLASSES)
        for k in range(CLASSES)
        if (count := np.sum((labels == j) & (predicted == k)))
    }
    np.testing.assert_array_equal(result.class_weight, np.bincount(labels))
    np.testing.assert_array_equal(result.class_predicted, np.bincount(predicted))
    exact = np.exp(logits.astype(np.longdouble))
    exact = (exact / exact.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(result.class_probability, exact.astype(float), rtol=1e-13)
    from softmaxlib import cross_entropy

    losses = cross_entropy(logits.astype(float), labels, reduction="none")
    assert result.log_loss_error == pytest.approx(losses.std() / ROWS**0.5, rel=1e-7)


def test_the_area_lies_within_its_bounds_and_the_curve_on_the_exact_one(rows, result):
    logits, labels, _, _ = rows
    exact = metrics.aurc(logits, labels)
    low, high = result.aurc_bounds
    assert low <= exact <= high
    assert low <= result.aurc <= high
    assert high - low < 0.02 * exact
    curve = metrics.risk_coverage_curve(logits, labels)
    points = dict(zip(curve.coverage.round(12).tolist(), curve.risk.tolist(), strict=True))
    for coverage, risk in zip(result.risk_coverage.coverage, result.risk_coverage.risk, strict=True):
        assert risk == pytest.approx(points[round(coverage, 12)], rel=1e-12)
    doubts = metrics.doubt(logits.astype(float))
    for doubt, coverage in zip(*(result.risk_coverage[k][::9] for k in (2, 0)), strict=True):
        assert np.mean(doubts <= doubt) == pytest.approx(coverage, rel=1e-12)


def tallied(rows, order, sizes, weighted):
    logits, labels, weights, groups = (column[order] for column in rows)
    tallies, start = [], 0
    for size in sizes:
        chosen = slice(start, start + size)
        given = weights[chosen] if weighted else None
        tallies.append(metrics.Tally(CLASSES).update(logits[chosen], labels[chosen], given, groups[chosen]))
        start += size
    while len(tallies) > 1:  # as a tree
        pairs = zip(tallies[::2], tallies[1::2], strict=False)
        rest = tallies[-1:] if len(tallies) % 2 else []
        tallies = [one.merge(other) for one, other in pairs] + rest
    return json.dumps(tallies[0].to_dict()), bits(tallies[0].compute())


def bits(result):
    parts = (
        vars(result) | result.risk_coverage._asdict() | {"groups": list(map(bits, result.groups.values()))}
    )
    del parts["risk_coverage"]
    return repr({name: part.tobytes() if hasattr(part, "tobytes") else part for name, part in parts.items()})


@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_bits_whatever_the_order_and_the_split(rows, weighted):
    orders = np.arange(ROWS), np.random.default_rng(1).permutation(ROWS)
    whole = tallied(rows, orders[0], [ROWS], weighted)
    assert tallied(rows, orders[1], [1, 700, 99, 0, 2200], weighted) == whole
    assert tallied(rows, orders[1], [ROWS // 5] * 5, weighted) == whole


def test_round_trip_reset_and_groups(rows):
    logits, labels, weights, groups = rows
    tally = metrics.Tally(CLASSES, n_bins=7).update(logits, labels, weights, groups)
    again = metrics.Tally.from_dict(json.loads(json.dumps(tally.to_dict())))
    assert again.to_dict() == tally.to_dict()
    result = again.compute()
    assert list(result.groups) == ["0", "1", "2"]
    mine = groups == 1
    expected = metrics.log_loss(logits[mine], labels[mine], sample_weight=weights[mine])
    assert result.groups["1"].log_loss == pytest.approx(expected, rel=1e-12)
    assert again.reset().to_dict() == metrics.Tally(CLASSES, n_bins=7).to_dict()
    with pytest.raises(InvalidInputError, match="nothing to judge before its first row; call update first"):
        again.compute()


def test_probabilities_of_zero_and_rows_without_weight():
    tally = metrics.Tally(2, probabilities=True)
    tally.update([[1.0, 0.0], [0.25, 0.75]], [1, 1], [0.0, 2.0])
    assert (tally.rows, tally.compute().log_loss) == (1, -np.log(0.75))
    tally.update([[1.0, 0.0]], [1])
    assert (tally.compute().log_loss, tally.compute().log_loss_error) == (np.inf, np.inf)


def test_a_batch_that_is_refused_changes_nothing(rows):
    logits, labels, _, _ = rows
    tally = metrics.Tally(CLASSES).update(logits, labels)
    before = tally.to_dict()
    for given, words in (
        ((logits[:, :3], np.minimum(labels, 2)), "must have the 4 classes of the tally, got shape"),
        ((np.where(logits > 5, np.nan, logits), labels), "finite"),
        ((logits, labels, None, labels[:7]), r"one group a row, shape \(3000,\), got shape \(7,\)"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            tally.update(*given)
    with pytest.raises(
        InvalidInputError, match="must have the same settings, got n_bins=15 and n_bins=20; make"
    ):
        tally.merge(metrics.Tally(CLASSES, n_bins=20))
    assert tally.to_dict() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class": "Policy"}, "must be a Tally of version 1"),
        ({"version": 2}, "must be a Tally of version 1"),
        ({"classes": 1}, r"tally\.classes"),
        ({"rows": -1}, r"tally\.rows"),
        ({"groups": []}, "groups must be a JSON object"),
        ({"groups": {"a": {}}}, r"tally\.groups has no field"),
        ({"sums": {}}, r"tally\.sums has no field"),
        ({"more": 1}, "unknown field 'more'"),
    ],
)
def test_what_is_no_tally(rows, change, words):
    content = metrics.Tally(CLASSES).update(rows[0], rows[1]).to_dict()
    with pytest.raises(FileFormatError, match=words):
        metrics.Tally.from_dict({**content, **change})


@pytest.mark.parametrize(
    ("sums", "words"),
    [
        ({"9": "0x1p0"}, "keys in 0 to 5"),
        ({"-1": "0x1p0"}, "keys in 0 to 5"),
        ({"0": 1.5}, "must hold sums such as"),
        ({"0": "0x1p9999"}, "must hold sums such as"),
        ({"0": "-0x1p0"}, "must hold sums such as"),
        ([], "JSON object"),
    ],
)
def test_sums_that_are_none(sums, words):
    with pytest.raises(FileFormatError, match=words):
        ExactSums.from_dict(sums, "sums", 6)


def test_sums_are_exact():
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            np.ldexp(rng.random(500), rng.integers(-1080, 1000, 500)),
            [5e-324, np.finfo(float).tiny, np.finfo(float).max, 0.0, 1.0],
        ]
    )
    values[::3] *= -1
    for most in (2**50, 3):  # many keys have no table
        keys = rng.integers(most, size=values.size)
        keys[0] = most - 1
        sums = ExactSums()
        sums.add(keys, values)
        expected = {key: sum(map(Fraction, values[keys == key].tolist())) for key in np.unique(keys).tolist()}
        assert {key: sums.exact(key) for key in sums.known_keys()} == {
            key: total for key, total in expected.items() if total
        }
    assert ExactSums.from_dict(sums.to_dict(), "sums", 3).exact(2) == sums.exact(2)


@pytest.mark.parametrize("probabilities", [False, True])
def test_mean_probabilities_of_many_classes(probabilities):
    from softmaxlib import softmax

    values = np.random.default_rng(0).normal(size=(50, 35)).astype(np.float32)[::2]
    expected = softmax(values.astype(np.float64))
    given = expected if probabilities else values
    tally = metrics.Tally(35, probabilities=probabilities).update(given, np.arange(25))
    np.testing.assert_allclose(tally.compute().class_probability, expected.mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("numbers", [1, 7, 4097, 9000])
def test_sums_of_rows_are_exact(numbers):
    rng = np.random.default_rng(numbers)
    shape = (3, numbers)
    signs = rng.choice([-1.0, 1.0], shape)
    for table in (
        rng.random(shape),
        np.asarray(signs * np.exp(rng.uniform(-700, 700, shape)), np.float64),  # no cut takes all of these
        np.asarray(signs * rng.integers(1, 99, shape) * 5e-324, np.float64),
        np.full(shape, np.finfo(float).max),
    ):
        sums = ExactSums()
        sums.add_rows(table, 5)
        sums.add_rows(table[:, :1], 5)
        for row, values in enumerate(table.tolist()):
            assert sums.exact(5 + row) == sum(map(Fraction, values), Fraction(values[0]))


def test_counts_are_sums_of_ones_dense_or_not():
    keys = np.random.default_rng(0).integers(300, size=2000)
    counted, added = ExactSums(), ExactSums()
    counted.count(keys[:40], 1000)  # too few for an array of all keys
    counted.count(keys[40:], 1000)
    added.add(keys, np.ones(keys.size))
    assert counted.to_dict() == added.to_dict()
    assert counted.known_keys() == added.known_keys() == np.unique(keys).tolist()
    np.testing.assert_array_equal(counted.array(1000), np.bincount(keys, minlength=1000))
    counted.merge(added)
    np.testing.assert_array_equal(counted.array([7, 300]), 2 * np.bincount(keys, minlength=301)[[7, 300]])


def test_in_a_training_loop(rows):
    torch = pytest.importorskip("torch")
    logits, labels, _, _ = rows
    tally = metrics.Tally(CLASSES)
    for chosen in torch.utils.data.DataLoader(range(ROWS), batch_size=512):
        tally.update(torch.tensor(logits)[chosen].requires_grad_(), torch.tensor(labels)[chosen])
    assert tally.to_dict() == metrics.Tally(CLASSES).update(logits, labels).to_dict()


@pytest.mark.filterwarnings("ignore:alpha 0.001 needs at least 999 rows")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.001, 0.02, 0.1, 0.5, 0.9])
def test_a_conformal_threshold_keeps_the_promise(rows, weighted, alpha):
    from softmaxlib.decisions import PredictionSets

    logits, labels, weights, _ = rows
    logits, weights = logits.astype(np.float64), weights if weighted else None
    exact = PredictionSets(alpha=alpha).fit(logits, labels, sample_weight=weights).thresholds_[0]
    parts = slice(0, 1000), slice(1000, ROWS)
    one, other = (
        metrics.Tally(CLASSES).update(logits[part], labels[part], None if weights is None else weights[part])
        for part in parts
    )
    result = metrics.Tally.from_dict(json.loads(json.dumps(one.merge(other).to_dict()))).compute()
    found = result.conformal_threshold(alpha)
    if exact == np.inf:
        assert found == np.inf
    else:
        assert exact - 1e-15 <= found <= exact + min(exact, 1 - exact) / 60
    low, high = result.true_score.quantile(1 - alpha)
    scores = 1 - np.exp(-metrics_losses(logits, labels))
    order = np.argsort(scores)
    of_rows = np.ones(ROWS) if weights is None else weights
    cumulated = np.cumsum(of_rows[order]) / of_rows.sum()
    quantile = scores[order][np.searchsorted(cumulated, (1 - alpha) * (1 - 1e-12))]
    assert low - 1e-15 <= quantile <= high + 1e-15


def metrics_losses(logits, labels):
    from softmaxlib import cross_entropy

    return cross_entropy(logits, labels, reduction="none")


def test_quantiles_of_doubt_and_of_few_rows(rows, result):
    logits = rows[0].astype(float)
    doubt = 1 - np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1))
    for level in (0.01, 0.3, 0.75, 1.0):
        low, high = result.doubt.quantile(level)
        assert low - 1e-12 <= np.quantile(doubt, level, method="inverted_cdf") <= high + 1e-12
        assert high <= low * (1 + 1 / 64)
    few = metrics.Tally(2).update([[2.0, 0.5]] * 5, [0] * 5).compute()
    assert few.conformal_threshold(0.1) == np.inf
    assert few.conformal_threshold(0.2) < 0.2
    certain = metrics.Tally(2).update([[0.0, 800.0], [2000.0, 0.0]], [0, 0]).compute()
    assert certain.true_score.quantile(0.5) == (0.0, pytest.approx(0, abs=1e-300))
    assert certain.conformal_threshold(0.4) == 1.0
    with pytest.raises(InvalidInputError, match="alpha"):
        few.conformal_threshold(0)


@pytest.mark.parametrize("weighted", [False, True])
def test_errors_intervals_and_the_curve_are_those_of_the_evaluation(rows, weighted):
    logits, labels, weights, _ = rows
    given = weights if weighted else None
    found = metrics.Tally(CLASSES).update(logits, labels, given).compute()
    judged = evaluate(logits, labels, sample_weight=given).before
    assert found.log_loss_error == pytest.approx(judged.figures.log_loss_error, rel=1e-9)
    assert found.brier_interval == pytest.approx(
        judged.brier_interval, abs=0.15 * np.ptp(found.brier_interval)
    )
    assert found.overconfidence == pytest.approx(judged.overconfidence, rel=1e-9)
    for name, values in judged.reliability._asdict().items():
        np.testing.assert_allclose(getattr(found.reliability, name), values, rtol=1e-9, err_msg=name)
    drawn = metrics.bootstrap_interval(metrics.calibration_error, logits, labels, sample_weight=given)
    ends = drawn.lower, drawn.upper
    assert found.calibration_error_interval == pytest.approx(ends, abs=0.15 * np.ptp(ends))


def test_few_rows_have_no_intervals():
    found = metrics.Tally(2).update([[2.0, 0.5]] * 5, [0] * 5).compute()
    assert np.isnan(found.calibration_error_interval).all()
    assert np.isnan(found.brier_interval).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_smooth_error_is_that_of_all_rows(rows, weighted):
    logits, labels, weights, _ = rows
    given = weights if weighted else None
    expected = metrics.smooth_calibration_error(logits, labels, sample_weight=given)
    whole = metrics.Tally(CLASSES, smooth=True).update(logits, labels, given)
    assert whole.compute().smooth_calibration_error == pytest.approx(expected, rel=1e-6)
    parts = metrics.Tally(CLASSES, smooth=True)
    for some in np.array_split(np.random.default_rng(0).permutation(ROWS), 4):
        of_some = None if given is None else given[some]
        parts.merge(metrics.Tally(CLASSES, smooth=True).update(logits[some], labels[some], of_some))
    again = metrics.Tally.from_dict(json.loads(json.dumps(parts.to_dict())))
    assert again.compute().smooth_calibration_error == whole.compute().smooth_calibration_error
    assert metrics.Tally(CLASSES).update(logits, labels).compute().smooth_calibration_error is None


def test_mistakes_are_those_of_the_evaluation(rows):
    logits, labels, _, _ = rows
    ids = np.array([f"row {number}" for number in range(ROWS)])
    found = metrics.Tally(CLASSES).update(logits, labels, row_ids=ids).compute().mistakes
    expected = evaluate(logits, labels, row_ids=ids).mistakes
    assert [one.row_id for one in found] == [one.row_id for one in expected]
    assert [(str(one.truth), str(one.predicted)) for one in found] == [
        (one.truth, one.predicted) for one in expected
    ]
    for name in ("probability", "truth_probability"):
        values = [[getattr(one, name) for one in some] for some in (found, expected)]
        np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.parametrize("named", [False, True])
def test_mistakes_merge_to_the_same_list_also_where_rows_are_equal(named):
    rng = np.random.default_rng(2)
    logits = rng.choice([0.0, 1.0, 400.0, 2000.0], (500, 3))
    labels, ids = rng.integers(3, size=500), rng.permutation(500) if named else None

    def tally(some):
        of_some = None if ids is None else ids[some]
        return metrics.Tally(3, mistakes=9).update(logits[some], labels[some], row_ids=of_some)

    whole = tally(np.arange(500))
    found = whole.compute().mistakes
    assert len(found) == 9
    assert len({one.row_id for one in found}) == (9 if named else 1)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(500)
        parts = [tally(some) for some in np.split(order, [1, 2, 30, 300])]
        first = parts[0].merge(parts[3]).merge(parts[1])
        merged = parts[4].merge(first).merge(parts[2])
        assert json.dumps(merged.to_dict()) == json.dumps(whole.to_dict())
    again = metrics.Tally.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert again.compute().mistakes == found
    assert metrics.Tally(3, mistakes=0).update(logits, labels).compute().mistakes == ()


@pytest.mark.parametrize(
    ("worst", "words"),
    [
        ({}, "a list of at most 12 rows"),
        ([[0.1, 1.0, 0, 1, None]] * 13, "a list of at most 12 rows"),
        ([[0.1, 1.0, 0, 1]], "rows of 5 values"),
        ([[0.1, 1.0, 0, 4, None]], "must be an integer in 0 to 3"),
        ([[0.1, 1.0, 0, 1, 7]], "name rows by texts, got 7"),
        ([[1.5, 1.0, 0, 1, "a"]], "finite and in 0 to 1"),
    ],
)
def test_mistakes_that_are_none(worst, words):
    with pytest.raises(FileFormatError, match=words):
        metrics.Tally.from_dict({**metrics.Tally(CLASSES).to_dict(), "worst": worst})
