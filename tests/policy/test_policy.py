import os
import warnings

import numpy as np
import pytest
from scipy import stats

from softmaxlib import Policy, evaluate, softmax
from softmaxlib.calibration import Calibration, Identity, TemperatureScaling
from softmaxlib.decisions import Decision, MinimumCost, MostLikely, PredictionSets, Rule
from softmaxlib.errors import (
    InvalidInputError,
    NotFittedError,
    SoftmaxlibWarning,
    UnsupportedTypeError,
)
from softmaxlib.policy.cross_fitting import cross_fitted
from softmaxlib.policy.rows import FitRows

from .made import fitted, fitted_on, simulated

SINKS = {}


class RecordingCalibration(Calibration):
    """Identity that notes the rows it is fitted on (the first logit of each row is its number)."""

    def _fit(self, logits, labels, weights):
        SINKS.setdefault("calibration", []).append(set(logits[:, 0].astype(int)))

    def _transform(self, logits):
        return logits


class Centred(Calibration):
    """Logits without the mean of those it is fitted on."""

    def _fit(self, logits, labels, weights):
        self.mean = np.average(logits, axis=0, weights=weights)

    def _transform(self, logits):
        return logits - self.mean


class RecordingRule(Rule):
    """MostLikely that notes how many rows it is fitted on, and their probabilities."""

    def _fit(self, probabilities, labels, groups, weights):
        SINKS["rule"] = probabilities

    def _decide(self, probabilities, groups):
        rows = len(probabilities)
        return Decision(probabilities.argmax(axis=1), probabilities.max(axis=1), np.zeros(rows, bool))


class TestSplit:
    def numbered(self, rows=100):
        logits = np.zeros((rows, 3))
        logits[:, 0] = np.arange(rows)
        return logits, np.arange(rows) % 3

    def fit(self, **options):
        SINKS.clear()
        return Policy(RecordingCalibration(), RecordingRule()).fit(*self.numbered(), **options)

    def rule_rows(self):
        return {int(row) for row in SINKS["rule_numbers"]}

    def test_the_rule_never_sees_the_calibrations_rows(self):
        policy = self.fit(random_state=3)
        logits, _ = self.numbered()
        seen = {row for row in range(100) if (softmax(logits[row]) == SINKS["rule"]).all(axis=1).any()}
        by_calibration = SINKS["calibration"][0]
        # rows far out share a probability of 1; the first rows have one of their own
        assert not {row for row in seen if row < 30} & by_calibration
        assert len(by_calibration) == 50
        assert len(SINKS["rule"]) == 50
        assert (policy.record_.calibration_rows, policy.record_.rule_rows) == (50, 50)
        assert (policy.record_.split, policy.record_.random_state) == ("random", 3)

    def test_the_seed_makes_the_split(self):
        first = self.fit(random_state=1) and SINKS["calibration"][0]
        again = self.fit(random_state=1) and SINKS["calibration"][0]
        other = self.fit(random_state=2) and SINKS["calibration"][0]
        assert first == again != other

    def test_a_split_of_ones_own(self):
        mask = np.arange(100) >= 80
        policy = self.fit(rule_rows=mask)
        assert SINKS["calibration"][0] == set(range(80))
        assert len(SINKS["rule"]) == 20
        assert policy.record_.split == "given"

    @pytest.mark.parametrize(
        ("mask", "words"),
        [
            (np.arange(100), r"rule_rows must be True or False for each row, shape \(100,\), got int64"),
            (np.zeros(99, bool), r"got bool of shape \(99,\)"),
            (np.zeros(100, bool), "must each have rows of their own, got 0 of 100"),
            (np.ones(100, bool), "must each have rows of their own, got 100 of 100"),
        ],
    )
    def test_a_split_that_is_none(self, mask, words):
        with pytest.raises(InvalidInputError, match=words):
            self.fit(rule_rows=mask)

    def test_a_rule_without_fitting_leaves_all_rows_to_the_calibration(self):
        SINKS.clear()
        policy = Policy(RecordingCalibration(), MostLikely()).fit(*self.numbered())
        assert SINKS["calibration"][0] == set(range(100))
        assert (policy.record_.split, policy.record_.rule_rows) == ("none", 0)

    def test_its_figures_are_measured_on_rows_the_calibration_did_not_see(self):
        SINKS.clear()
        Policy(RecordingCalibration(), MostLikely()).fit(*self.numbered())
        folds = [set(range(100)) - seen for seen in SINKS["calibration"][1:]]
        assert len(folds) == 3
        assert set.union(*folds) == set(range(100))
        assert sum(map(len, folds)) == 100

    @pytest.mark.parametrize("rows", [3, 4, 11])
    def test_each_row_is_calibrated_by_the_rows_of_other_folds(self, rows):
        rng = np.random.default_rng(0)
        given = FitRows(rng.normal(size=(rows, 3)), rng.integers(3, size=rows), rng.random(rows))
        judged, after = cross_fitted(Centred(), given, seed=1)
        place = [int(np.flatnonzero((given.values == row).all(axis=1))[0]) for row in judged.values]
        assert sorted(place) == list(range(rows))
        np.testing.assert_array_equal(judged.labels, given.labels[place])
        for index, row in enumerate(judged.values):
            others = np.arange(rows) % 3 != index % 3
            mean = np.average(judged.values[others], axis=0, weights=judged.weights[others])
            np.testing.assert_allclose(after[index], row - mean, rtol=1e-12)


class TestFigures:
    def test_what_is_recorded(self):
        policy = fitted(class_names=["a", "b", "c", "d"])
        record = policy.record_
        assert policy.class_names_ == ("a", "b", "c", "d")
        assert record.rows == 2000
        assert record.input == "logits"
        assert set(record.versions) == {"softmaxlib", "python", "numpy"}
        assert record.random_state == 0
        assert record.fitted_at.endswith("+00:00")

    def test_figures_agree_with_scikit_learn(self):
        from sklearn.metrics import accuracy_score, log_loss

        logits, labels = simulated(2000, sharpness=2)
        before = Policy(Identity(), MostLikely()).fit(logits, labels).record_.before
        assert before.accuracy == pytest.approx(accuracy_score(labels, logits.argmax(axis=1)), abs=1e-15)
        assert before.log_loss == pytest.approx(log_loss(labels, softmax(logits)), rel=1e-12)
        rows = -np.log(softmax(logits)[np.arange(2000), labels])
        assert before.log_loss_error == pytest.approx(rows.std() / np.sqrt(2000), rel=1e-9)

    def test_overconfidence_is_repaired(self):
        logits, labels = simulated(4000, sharpness=3)
        record = Policy(TemperatureScaling(), MostLikely()).fit(logits, labels).record_
        assert record.before.calibration_error > 0.15
        assert record.after.calibration_error < 0.03
        assert record.after.log_loss < record.before.log_loss

    def test_on_a_real_network(self, real_predictions):
        logits, labels = real_predictions("wideresnet_cifar10")
        order = np.random.default_rng(0).permutation(len(labels))
        fit, judge = order[:5000], order[5000:]
        policy = Policy(TemperatureScaling(), MostLikely()).fit(logits[fit], labels[fit])
        from softmaxlib.metrics import calibration_error, log_loss

        calibrated = policy.transform(logits[judge])
        assert policy.calibration.temperature_ == pytest.approx(2.06, abs=0.1)
        assert calibration_error(logits[judge], labels[judge]) == pytest.approx(0.055, abs=0.01)
        assert calibration_error(calibrated, labels[judge]) < 0.010
        assert log_loss(calibrated, labels[judge]) < log_loss(logits[judge], labels[judge])


class TestUse:
    def test_decides_by_calibrated_probabilities(self):
        policy = fitted()
        logits, _ = simulated(50, seed=1)
        probabilities = policy.predict_proba(logits)
        np.testing.assert_allclose(
            probabilities, softmax(logits / policy.calibration.temperature_), rtol=1e-12
        )
        np.testing.assert_array_equal(policy.decide(logits).abstained, 1 - probabilities.max(axis=1) > 0.3)

    def test_before_the_fit(self):
        policy = Policy(TemperatureScaling(), MostLikely())
        logits, labels = simulated(10)
        for use in (
            lambda: policy.decide(logits),
            lambda: policy.audit(logits, labels),
            lambda: policy.save("policy.json"),
            lambda: evaluate(logits, labels, policy=policy),
        ):
            with pytest.raises(NotFittedError, match=r"not fitted; call fit\(logits, labels\)"):
                use()
        assert not os.path.exists("policy.json")

    @pytest.mark.parametrize(
        ("parts", "words"),
        [
            (
                (MostLikely(), MostLikely()),
                r"calibration must be a Calibration, such as Temp.*got MostLikely",
            ),
            ((Identity(), Identity()), r"rule must be a Rule, such as MostLikely\(\), got Identity\(\)"),
            ((TemperatureScaling, MostLikely()), r"got <class .*TemperatureScaling'>; put \(\) behind it"),
            ((None, MostLikely()), "calibration must be a Calibration, .* got None"),
        ],
    )
    def test_parts_that_are_none(self, parts, words):
        with pytest.raises(UnsupportedTypeError, match=words):
            Policy(*parts)

    def test_says_what_it_is(self):
        assert (
            repr(Policy(TemperatureScaling(), MostLikely())) == "Policy(TemperatureScaling(), MostLikely())"
        )

    @pytest.mark.parametrize(("given", "error"), [(-1, InvalidInputError), ("x", UnsupportedTypeError)])
    def test_a_seed_that_is_none(self, given, error):
        with pytest.raises(error, match="random_state must be a whole number"):
            fitted(random_state=given)

    def test_a_generator_gives_a_seed_that_is_recorded(self):
        recorded = [fitted(random_state=np.random.default_rng(8)).record_.random_state for _ in range(2)]
        assert recorded[0] == recorded[1]
        assert fitted(random_state=recorded[0]).record_.random_state == recorded[0]
        with pytest.raises(UnsupportedTypeError, match=r"got None; write numpy\.random\.default_rng\(\)"):
            fitted(random_state=None)

    def test_another_number_of_classes(self):
        with pytest.raises(InvalidInputError, match=r"must have the 4 classes .* got shape \(1, 5\)"):
            fitted().decide(np.zeros((1, 5)))
        with pytest.raises(InvalidInputError, match=r"which means 4 rows of a binary .* logits\[None, :\]"):
            fitted().decide([2.0, 1.0, 0.0, 0.5])

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            (["a", "b"], "each of the 4 classes once, got 2"),
            (["b", "a", "c", "a"], "'a' stands more than once"),
        ],
    )
    def test_names_that_are_not_one_a_class(self, names, words):
        with pytest.raises(InvalidInputError, match=words):
            fitted(class_names=names)


class TestProbabilities:
    def test_give_the_decisions_that_logits_give(self):
        logits, labels = simulated(500, sharpness=1.5)
        rule = MinimumCost(1 - np.eye(4), abstain_cost=0.3)
        by_logits = Policy(TemperatureScaling(), rule).fit(logits, labels)
        by_probabilities = Policy(TemperatureScaling(), rule).fit(softmax(logits), labels, probabilities=True)
        np.testing.assert_allclose(
            by_probabilities.predict_proba(softmax(logits), probabilities=True),
            by_logits.predict_proba(logits),
            atol=1e-8,
        )
        assert by_probabilities.input == by_probabilities.record_.input == "probabilities"

    def test_certainty_is_counted(self):
        probabilities = np.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5], [0.0, 1.0], [0.9, 0.1]])
        words = "2 probabilities are exactly 0 and 2 exactly 1: .* half the smallest positive probability"
        with pytest.warns(SoftmaxlibWarning, match=words):
            policy = Policy(Identity(), MostLikely()).fit(probabilities, [0, 1, 0, 1, 0], probabilities=True)
        np.testing.assert_allclose(
            policy.transform([[0.0, 1.0]], probabilities=True), [[np.log(0.05), 0.0]], rtol=1e-12
        )

    def test_are_never_mistaken_for_logits(self):
        logits, labels = simulated(100)
        words = "fitted on logits, and probabilities were given; pass the model's logits, without prob"
        with pytest.raises(InvalidInputError, match=words):
            fitted().decide(softmax(logits), probabilities=True)
        with pytest.raises(InvalidInputError, match="if these are logits"):
            Policy(TemperatureScaling(), MostLikely()).fit(logits, labels, probabilities=True)


class TestGroupsOfRows:
    def test_are_carried_to_the_rule(self):
        (logits, labels), groups = simulated(1000), np.arange(1000) % 2
        logits = logits * (1 + groups[:, None])  # the second half is surer
        mask = np.arange(1000) % 4 < 2
        policy = Policy(TemperatureScaling(), PredictionSets(alpha=0.1, groups="rows"))
        policy.fit(logits, labels, rule_rows=mask, groups=groups)
        assert policy.rule.group_sizes_.tolist() == np.bincount(groups[mask]).tolist()
        expected = policy.rule.decide(policy.predict_proba(logits), groups, probabilities=True)
        found = policy.decide(logits, groups=groups)
        np.testing.assert_array_equal(found.sets, expected.sets)
        checks = {check.promise: check for check in policy.audit(logits, labels, groups=groups).checks}
        covered = expected.sets[np.arange(1000), labels]
        shares = [covered[groups == group].mean() for group in (0, 1)]
        assert checks["coverage"].observed == min(shares)
        assert f"in the group that fares worst ({np.argmin(shares)})" in checks["coverage"].words
        evaluation = evaluate(logits, labels, policy=policy, groups=groups)
        assert evaluation.decided.set_coverage == covered.mean()

    def test_coverage_is_promised_within_each(self):
        """One group covered too rarely, the other so well that all rows together are covered as promised."""
        logits, labels = simulated(4000, seed=2)
        wards = np.array(["west", "east"])[np.arange(4000) % 2]
        policy = Policy(Identity(), PredictionSets(alpha=0.1, groups="rows"))
        policy.fit(logits, labels, groups=wards)
        logits, labels = simulated(4000, seed=1)
        same = policy.audit(logits, labels, groups=wards)
        assert same.holds
        shifted = logits.copy()
        shifted[wards == "west"] *= 1.8
        shifted[wards == "east"] *= 0.5
        sets = policy.decide(shifted, groups=wards).sets
        assert sets[np.arange(4000), labels].mean() > 0.89
        found = next(c for c in policy.audit(shifted, labels, groups=wards).checks if c.promise == "coverage")
        assert (found.holds, "(west)" in found.words, found.observed < 0.88) == (False, True, True)

    def test_coverage_within_each_calls_wolf_no_more_often_than_promised(self):
        rejected = 0
        for seed in range(120):
            policy = fitted_on(simulated(800, seed=2 * seed), PredictionSets(alpha=0.1, groups="class"))
            checks = policy.audit(*simulated(600, seed=2 * seed + 1)).checks
            rejected += next(check.p_value for check in checks if check.promise == "coverage") < 0.2
        # four independent groups: a fifth of the time, less what Bonferroni gives away
        assert stats.binom.ppf(0.001, 120, 1 - 0.95**4) <= rejected <= stats.binom.ppf(0.999, 120, 0.2)

    def test_are_asked_for(self):
        (logits, labels), groups = simulated(100), np.zeros(100, int)
        policy = Policy(TemperatureScaling(), PredictionSets(groups="rows"))
        with pytest.raises(InvalidInputError, match="needs the group of each row"):
            policy.fit(logits, labels)
        with pytest.raises(InvalidInputError, match=r"one group a row, shape \(100,\), got shape \(99,\)"):
            policy.fit(logits, labels, groups=groups[:99])
        policy.fit(logits, labels, groups=groups)
        with pytest.raises(InvalidInputError, match="needs the group of each row"):
            policy.decide(logits)

    def test_are_refused_where_no_rule_asks(self):
        with pytest.raises(InvalidInputError, match="this MinimumCost takes none; leave groups out"):
            fitted().decide(simulated(100)[0], groups=np.zeros(100, int))


def test_the_split_says_nothing_when_folds_warn():
    """The folds repeat what the fit on all rows said; said once is enough."""
    logits = np.array([[5.0, 0.0], [0.0, 5.0]] * 20)
    labels = np.array([0, 1] * 20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Policy(TemperatureScaling(), MostLikely()).fit(logits, labels)
    assert sum(issubclass(warning.category, SoftmaxlibWarning) for warning in caught) == 1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_column_of_text_among_the_logits_is_named(library):
    frame = pytest.importorskip(library).DataFrame({"cat": [1.0, 2.0], "id": ["a", "b"], "dog": [0.0, 1.0]})
    with pytest.raises(UnsupportedTypeError, match=r"numbers, got dtype .* in column 'id'; leave out col"):
        Policy(TemperatureScaling(), MostLikely()).fit(frame, [0, 1])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_columns_of_a_frame_name_the_classes_and_must_stay_in_order(library):
    frame = pytest.importorskip(library).DataFrame
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    logits = 4 * np.eye(3)[labels] + 3 * rng.normal(size=(300, 3))
    named = {f"logit_{name}": logits[:, index] for index, name in enumerate(["cat", "dog", "bird"])}
    policy = Policy(TemperatureScaling(), MostLikely()).fit(frame(named), labels)
    assert policy.class_names_ == ("cat", "dog", "bird")
    expected = policy.decide(logits)
    np.testing.assert_array_equal(policy.decide(frame(named)).action, expected.action)
    moved = frame({name: named[name] for name in ("logit_dog", "logit_cat", "logit_bird")})
    with pytest.raises(
        InvalidInputError,
        match=r"columns must be in the order .* fitted on, cat, dog, bird; got dog, cat, bird; select them",
    ):
        policy.decide(moved)
    renamed = frame({str(index): logits[:, index] for index in range(3)})
    np.testing.assert_array_equal(policy.decide(renamed).action, expected.action)  # other names say nothing
    assert Policy(TemperatureScaling(), MostLikely()).fit(frame(logits), labels).class_names_ == (
        "0",
        "1",
        "2",
    )
