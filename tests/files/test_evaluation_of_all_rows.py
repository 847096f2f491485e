"""Counts over all rows equal those of an evaluation of the same rows in memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from softmaxlib import Policy, evaluate, files
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets
from softmaxlib.files import passes
from softmaxlib.metrics import precision_recall_curve, risk_coverage_curve, roc_curve

ROWS, HELD = 6000, 500
THREE, TWO = ("cat", "dog", "bird"), ("no", "yes")


def made(names, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(names), ROWS, p=[0.5, *np.full(len(names) - 1, 0.5 / (len(names) - 1))])
    logits = 3 * rng.normal(size=(ROWS, len(names))) + 2 * np.eye(len(names))[labels]
    logits[:, 1] += 0.7  # the second class is overstated
    return logits, labels


CASES = {
    "costs": (THREE, MinimumCost(1 - np.eye(3), abstain_cost=0.2)),
    "sets": (THREE, PredictionSets("lac", 0.2)),
    "actions": (
        THREE,
        MinimumCost([[0.0, 1.0], [3.0, 0.5], [2.0, 0.1]], action_names=["keep", "call"]),
    ),
    "two classes": (TWO, MostLikely()),
}


@pytest.fixture(scope="module", params=CASES)
def both(request, tmp_path_factory):
    """An evaluation of all rows in memory, and of the files with few rows held."""
    names, rule = CASES[request.param]
    logits, labels = made(names)
    policy = Policy(TemperatureScaling(), rule).fit(*made(names, seed=1), class_names=names)
    root = tmp_path_factory.mktemp("rows")
    columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(names)}
    content = pa.table(columns | {"truth": np.array(names)[labels]})
    for name, start, count in (("a", 0, 2500), ("b", 2500, 10), ("c", 2510, 3490)):
        pyarrow.parquet.write_table(content.slice(start, count), root / f"{name}.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "BLOCK_VALUES", 3 * 1024)
        found = files.evaluate(root, "truth", policy=policy, sample_rows=HELD)
    return found, evaluate(logits, labels, policy=policy), policy.calibration.transform(logits), labels


def close(one, other):
    """Equal but for the rounding of sums; None beside None."""
    if one is None or other is None:
        assert one is other
    else:
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-9, atol=1e-12)


def test_it_says_what_is_of_the_rows_that_are_held(both):
    found, whole, _, _ = both
    assert (found.rows, found.sampled_rows, whole.sampled) == (ROWS, HELD, ())
    costs = ("costs at other thresholds",) if found.decided.at_cost else ()
    assert found.sampled == ("interval of the Brier score", *costs)
    assert found.to_dict()["sampled"] == list(found.sampled)


def test_the_list_of_mistakes(both):
    found, whole, _, _ = both
    assert len(found.mistakes) == 12
    assert found.mistakes == whole.mistakes


@pytest.mark.parametrize("weights", [None, "times"])
def test_mistakes_are_named_by_their_rows(tmp_path, monkeypatch, weights):
    monkeypatch.setattr(passes, "BLOCK_VALUES", 3 * 256)
    logits, labels = made(THREE)
    logits = logits.round()  # many rows have the same probabilities
    columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(THREE)}
    columns |= {"truth": np.array(THREE)[labels], "id": np.arange(ROWS) + 10**6, "times": np.arange(ROWS) % 3}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    found, whole = (
        files.evaluate(tmp_path, "truth", id="id", weight=weights, sample_rows=held) for held in (HELD, ROWS)
    )
    assert found.mistakes == whole.mistakes
    assert [one.row_id for one in found.mistakes] == [str(one.row + 10**6) for one in found.mistakes]
    assert weights is None or all(one.row % 3 for one in found.mistakes)


def test_the_verdict_compares_like_with_like_where_a_sample_is_tested(tmp_path):
    logits, labels = made(THREE)
    columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(THREE)}
    columns |= {"truth": np.array(THREE)[labels], "times": 1.0 + np.arange(ROWS) % 3}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    found = files.evaluate(tmp_path, "truth", weight="times", sample_rows=HELD)
    whole = evaluate(logits, labels, class_names=THREE, sample_weight=columns["times"])
    assert whole.final.tested_error is None
    close(found.final.figures.calibration_error, whole.final.figures.calibration_error)
    of_sample = found.final.tested_error
    assert abs(of_sample - found.final.figures.calibration_error) > 1e-4
    low, high = found.final.chance_interval
    assert low > whole.final.chance_interval[0]
    said = (
        f"on the rows that were drawn by {100 * of_sample:.1f}, and there, if the probabilities are exactly "
    )
    assert any(
        said in sentence and f"makes that {100 * low:.1f} to {100 * high:.1f}" in sentence
        for sentence in found.verdict.sentences
    )


def test_the_classes_and_the_bins(both):
    found, whole, _, _ = both
    for one, other in zip(found.class_calibration, whole.class_calibration, strict=True):
        assert (one.name, one.rows, one.misstated) == (other.name, other.rows, other.misstated)
        close(list(vars(one).values())[1:6], list(vars(other).values())[1:6])
    assert any(one.misstated for one in found.class_calibration)
    for one, other in ((found.before, whole.before), (found.after, whole.after)):
        for mine, theirs in zip(one.reliability, other.reliability, strict=True):
            close(mine, theirs)
        np.testing.assert_array_equal(one.confidence_of_right, other.confidence_of_right)
        np.testing.assert_array_equal(one.confidence_of_wrong, other.confidence_of_wrong)
        assert one.calibration_p_value == other.calibration_p_value
    assert found.verdict.headline == whole.verdict.headline


def test_the_decisions(both):
    found, whole, _, _ = both
    of_sample = {"cost_curve", "at_cost", "cost_threshold_curve"}
    for name, value in vars(found.decided).items():
        if name in ("actions", "is_most_likely"):
            assert value == getattr(whole.decided, name)
        elif name == "by_class":
            for one, other in zip(value, whole.decided.by_class, strict=True):
                np.testing.assert_array_equal(one, other)
        elif name not in of_sample | {"set_groups", "meaning"}:
            close(value, getattr(whole.decided, name))


def test_other_thresholds(both):
    found, whole, _, _ = both
    for one, other in ((found.before, whole.before), (found.after, whole.after)):
        mine, every = one.at_confidence, other.at_confidence
        some = np.searchsorted(every.threshold, mine.threshold)
        np.testing.assert_array_equal(every.threshold[some], mine.threshold)
        close(mine.coverage, every.coverage[some])
        for share, all_shares in zip(mine.accuracy, every.accuracy, strict=True):
            close(share, all_shares[some])
        assert (one.at_threshold is None) == (other.at_threshold is None)
        if one.at_threshold is None or other.at_threshold is None:
            continue
        close(one.at_threshold.threshold, other.at_threshold.threshold)
        close(one.at_threshold.taken, other.at_threshold.taken)
        for name in ("recall", "precision", "false_positive_rate"):
            close(getattr(one.at_threshold, name), getattr(other.at_threshold, name))


def test_points_of_curves_are_of_the_exact_ones(both):
    found, _, calibrated, labels = both
    exact = risk_coverage_curve(calibrated, labels)
    mine = found.after.risk_coverage
    place = np.searchsorted(exact.coverage, mine.coverage - 1e-9)
    close(exact.risk[place], mine.risk)
    if calibrated.shape[1] != 2:
        assert found.after.roc is None
        return
    every = {tuple(point) for point in whole_numbers(roc_curve(calibrated, labels)[:2])}
    points = whole_numbers(found.after.roc[:2])
    assert len(points) > 100
    assert all(tuple(point) in every for point in points)
    positive = calibrated[:, 1] - calibrated[:, 0]
    known = set(precision_recall_curve(calibrated, labels).recall.round(9))
    for precision, recall, threshold in np.transpose(found.after.precision_recall):
        assert recall.round(9) in known
        taken = positive >= np.log(threshold / (1 - threshold)) - 1e-9
        assert precision == pytest.approx((labels[taken] == 1).mean(), abs=1e-9)


def whole_numbers(curve):
    return np.rint(np.transpose(curve) * ROWS**2).astype(np.int64)
