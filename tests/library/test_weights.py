"""Weights: integer ones are repeated rows wherever that is their meaning, and evidence grows by no weight."""

import copy
import inspect

import numpy as np
import pytest
from scipy import stats

from softmaxlib import calibration, decisions, evaluate, metrics
from softmaxlib.activations import softmax
from softmaxlib.decisions import PredictionSets, SelectiveRisk
from softmaxlib.errors import InvalidInputError
from softmaxlib.policy import Policy
from softmaxlib.report import CalibrationDisplay, ConfidenceDisplay, ConfusionDisplay, RiskCoverageDisplay

GENERATOR = np.random.default_rng(0)
ROWS = 240
LOGITS = 2 * GENERATOR.normal(size=(ROWS, 2))
LABELS = (0.7 * LOGITS + GENERATOR.gumbel(size=LOGITS.shape)).argmax(axis=1)
WEIGHTS = GENERATOR.integers(0, 4, ROWS)
REPEATED = np.repeat(LOGITS, WEIGHTS, axis=0), np.repeat(LABELS, WEIGHTS)
UNEQUAL = GENERATOR.lognormal(size=ROWS)

# tests and intervals count a row as one row of evidence
OF_EVIDENCE = {"bootstrap_interval", "calibration_test", "class_calibration_test", "smooth_calibration_test"}
MULTILABEL = ("hamming_loss", "label_scores", "multilabel_score", "subset_accuracy")
FIGURES = sorted(
    name
    for name in metrics.__all__
    if inspect.isfunction(getattr(metrics, name))
    and "sample_weight" in inspect.signature(getattr(metrics, name)).parameters
    and name not in OF_EVIDENCE
    and name not in MULTILABEL
)

OPTIONS = {"top_k_accuracy": {"k": 1}, "cost_threshold_curve": {"false_positive": 1, "false_negative": 5}}


def same(one, other, names=None):
    if hasattr(one, "_fields"):
        for name in names or one._fields:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-12)
    else:
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_integer_weights_is_that_of_repeated_rows(name):
    metric = getattr(metrics, name)
    # the intervals of a reliability curve are evidence
    names = ("confidence", "frequency", "weight") if name == "reliability_curve" else None
    options = OPTIONS.get(name, {})
    same(metric(LOGITS, LABELS, sample_weight=WEIGHTS, **options), metric(*REPEATED, **options), names)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "samples"])
@pytest.mark.filterwarnings("ignore:.*rows don't define the figure")
def test_a_figure_of_a_multilabel_model_of_integer_weights_is_that_of_repeated_rows(average):
    labels = np.stack([LABELS == 1, LOGITS[:, 0] + LABELS > 0], axis=1)
    repeated = REPEATED[0], np.repeat(labels, WEIGHTS, axis=0)
    for metric in (metrics.log_loss, metrics.average_precision, metrics.matthews_correlation):
        rows = metrics.multilabel_score(metric, *repeated, average=average)
        same(metrics.multilabel_score(metric, LOGITS, labels, average=average, sample_weight=WEIGHTS), rows)
    for name in ("hamming_loss", "subset_accuracy"):
        figure = getattr(metrics, name)
        same(figure(LOGITS, labels, sample_weight=WEIGHTS), figure(*repeated))
    some = metrics.label_scores(metrics.brier_score, LOGITS, labels, sample_weight=WEIGHTS)
    same(some, metrics.label_scores(metrics.brier_score, *repeated))


@pytest.mark.parametrize(
    "name", ["TemperatureScaling", "VectorScaling", "MatrixScaling", "IsotonicScaling", "HistogramBinning"]
)
def test_a_calibration_fitted_on_integer_weights_is_that_of_repeated_rows(name):
    kind = getattr(calibration, name)
    weighted = kind().fit(LOGITS, LABELS, WEIGHTS).transform(LOGITS)
    np.testing.assert_allclose(weighted, kind().fit(*REPEATED).transform(LOGITS), rtol=1e-3, atol=1e-3)


def test_a_policy_with_venn_abers_of_integer_weights_is_that_of_repeated_rows():
    weighted = Policy(calibration.VennAbers(), decisions.MostLikely())
    weighted.fit(LOGITS, LABELS, sample_weight=WEIGHTS)
    repeated = Policy(calibration.VennAbers(), decisions.MostLikely()).fit(*REPEATED)
    np.testing.assert_allclose(
        weighted.predict_proba(LOGITS), repeated.predict_proba(LOGITS), rtol=1e-3, atol=1e-3
    )


def test_a_policy_with_auto_leaves_rows_of_weight_0_out():
    """Repeated rows are no measure of its choice: they fall into several folds, and judge their own fit."""
    kept = WEIGHTS > 0
    weighted = Policy(calibration.Auto(cv=2), decisions.MostLikely())
    weighted.fit(LOGITS, LABELS, sample_weight=kept.astype(float))
    alone = Policy(calibration.Auto(cv=2), decisions.MostLikely()).fit(LOGITS[kept], LABELS[kept])
    np.testing.assert_allclose(weighted.predict_proba(LOGITS), alone.predict_proba(LOGITS), rtol=1e-6)


@pytest.mark.parametrize(
    "rule", [SelectiveRisk(0.3), PredictionSets(), decisions.TunedThreshold("f1_score")], ids=repr
)
def test_a_policy_gives_its_rule_the_weights_of_the_rows_of_the_rule(rule):
    of_rule = np.arange(ROWS) % 3 > 0
    policy = Policy(calibration.TemperatureScaling(), rule)
    policy.fit(LOGITS, LABELS, sample_weight=UNEQUAL, rule_rows=of_rule)
    calibrated = softmax(policy.calibration.transform(LOGITS[of_rule]))

    def alone(**weights):
        by_hand = copy.deepcopy(rule).fit(calibrated, LABELS[of_rule], probabilities=True, **weights)
        return by_hand.to_dict()

    assert policy.rule.to_dict() == alone(sample_weight=UNEQUAL[of_rule])
    assert policy.rule.to_dict() != alone()


@pytest.mark.parametrize(
    ("display", "parts"),
    [
        (CalibrationDisplay, lambda one: one.curve[2:5]),
        (RiskCoverageDisplay, lambda one: one.curve),
        (ConfidenceDisplay, lambda one: (one.right, one.wrong)),
        (ConfusionDisplay, lambda one: (one.confusion,)),
    ],
)
def test_a_display_of_integer_weights_is_that_of_repeated_rows(display, parts):
    from matplotlib.figure import Figure

    def made(*rows, **options):
        return parts(display.from_predictions(*rows, ax=Figure().subplots(), **options))

    for one, other in zip(made(LOGITS, LABELS, sample_weight=WEIGHTS), made(*REPEATED), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_evaluate_of_integer_weights_has_the_figures_of_repeated_rows():
    rule = decisions.MinimumCost([[0, 1], [5, 0]], abstain_cost=0.4)
    policy = Policy(calibration.Identity(), rule).fit(LOGITS, LABELS)
    weighted = evaluate(LOGITS, LABELS, policy=policy, sample_weight=WEIGHTS)
    repeated = evaluate(*REPEATED, policy=policy)
    for name in ("accuracy", "log_loss", "brier_score", "calibration_error"):
        assert getattr(weighted.final.figures, name) == pytest.approx(
            getattr(repeated.final.figures, name), rel=1e-10
        )
    np.testing.assert_allclose(weighted.confusion, repeated.confusion)
    np.testing.assert_allclose(weighted.final.confidence_of_wrong, repeated.final.confidence_of_wrong)
    for name in ("rows", "decided", "accuracy", "mean_cost", "expected_cost", "cost_without_rule"):
        assert getattr(weighted.decided, name) == pytest.approx(getattr(repeated.decided, name))
    for one, other in zip(weighted.classes, repeated.classes, strict=True):
        assert (one.rows, one.recall, one.precision) == pytest.approx(
            (other.rows, other.recall, other.precision)
        )
    kept = WEIGHTS[WEIGHTS > 0]
    assert weighted.effective_rows == pytest.approx(kept.sum() ** 2 / (kept**2).sum())
    assert "are worth" in weighted.verdict.sentences[0]
    assert repeated.effective_rows is None


@pytest.mark.parametrize("name", sorted(OF_EVIDENCE - {"bootstrap_interval"}))
def test_a_test_does_not_grow_with_the_scale_of_weights(name):
    test = getattr(metrics, name)
    options = {} if name == "class_calibration_test" else {"simulations": 40}
    once = test(LOGITS, LABELS, sample_weight=UNEQUAL, **options)
    same(test(LOGITS, LABELS, sample_weight=1024 * UNEQUAL, **options), once)


@pytest.mark.parametrize("test", [metrics.calibration_test, metrics.class_calibration_test])
def test_a_weighted_test_rejects_right_probabilities_as_often_as_it_may(test):
    """Weights that follow the confidence, and few heavy rows among many light ones."""
    rejected = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        logits = 2 * generator.normal(size=(150, 2))
        labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
        weights = np.exp(logits[:, 0]) if seed % 2 else generator.lognormal(sigma=1.5, size=150)
        found = test(logits, labels, sample_weight=weights).p_value
        rejected += np.min(found) <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 60, 0.05)


class TestPredictionSets:
    def fitted(self, weights, **options):
        return PredictionSets(alpha=0.1, **options).fit(
            softmax(LOGITS), LABELS, probabilities=True, sample_weight=weights
        )

    def test_equal_weights_are_none(self):
        assert self.fitted(np.full(ROWS, 0.2)).to_dict() == self.fitted(None).to_dict()

    def test_the_threshold_is_the_weighted_quantile_with_the_heaviest_row_once_more(self):
        rule = self.fitted(UNEQUAL)
        scores = 1 - softmax(LOGITS)[np.arange(ROWS), LABELS]
        reached = [UNEQUAL[scores <= score].sum() for score in scores]
        needed = 0.9 * (UNEQUAL.sum() + UNEQUAL.max())
        expected = min(score for score, weight in zip(scores, reached, strict=True) if weight >= needed)
        assert expected <= rule.thresholds_[0] <= expected + 1e-6  # with room for rounding
        assert rule.group_sizes_[0] == int(UNEQUAL.sum() / UNEQUAL.max())

    def test_coverage_holds_under_a_known_shift(self):
        """Where hard rows are eight times as frequent, unweighted sets hold the truth too rarely."""
        covered = []
        for seed in range(40):
            generator = np.random.default_rng(seed)
            hard = generator.random(3000) < 0.2
            confidence = np.where(hard, 0.6, 0.95)
            labels = (generator.random(3000) >= confidence).astype(int)
            probabilities = np.stack([confidence, 1 - confidence], axis=1) + 0.02 * generator.random(
                (3000, 1)
            ) * [1, -1]
            weights = np.where(hard, 8.0, 1.0)
            fit, new = slice(0, 1000), slice(1000, None)
            held = []
            for given in (weights[fit], None):
                rule = PredictionSets(alpha=0.1).fit(
                    probabilities[fit], labels[fit], probabilities=True, sample_weight=given
                )
                sets = rule.decide(probabilities[new], probabilities=True).sets
                held.append(np.average(sets[np.arange(2000), labels[new]], weights=weights[new]))
            covered.append(held)
        weighted, unweighted = np.mean(covered, axis=0)
        assert weighted >= 0.9 - 0.01
        assert unweighted < 0.88


class TestSelectiveRisk:
    def test_equal_weights_are_none(self):
        generator = np.random.default_rng(1)
        confidence = generator.uniform(0.5, 1, 3000)
        labels = (generator.random(3000) > confidence).astype(int)
        probabilities = np.stack([confidence, 1 - confidence], axis=1)
        none = SelectiveRisk(0.1).fit(probabilities, labels, probabilities=True)
        equal = SelectiveRisk(0.1).fit(
            probabilities, labels, probabilities=True, sample_weight=np.full(3000, 7.0)
        )
        assert (equal.threshold_, equal.accepted_, equal.mistakes_) == (
            none.threshold_,
            none.accepted_,
            none.mistakes_,
        )
        assert equal.coverage_ == pytest.approx(none.coverage_)

    def test_too_few_effective_rows_are_refused(self):
        weights = np.ones(ROWS)
        weights[abs(LOGITS[:, 0] - LOGITS[:, 1]).argmax()] = 1000  # the surest row
        words = r"takes 59 rows, got 1 \(240 rows, by their weights\); fit on more rows"
        with pytest.raises(InvalidInputError, match=words):
            SelectiveRisk(0.05).fit(softmax(LOGITS), LABELS, probabilities=True, sample_weight=weights)


def test_a_policy_fitted_and_audited_with_weights_keeps_its_level():
    alarms = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        logits = 2 * generator.normal(size=(1500, 2))
        labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
        weights = np.where(labels == 1, 1.0, 6.0) if seed % 2 else generator.lognormal(size=1500)
        fit, new = slice(0, 900), slice(900, None)
        policy = Policy(
            calibration.VectorScaling(), decisions.MinimumCost([[0, 1], [3, 0]], abstain_cost=0.3)
        )
        policy.fit(logits[fit], labels[fit], sample_weight=weights[fit])
        alarms += not policy.audit(logits[new], labels[new], sample_weight=weights[new]).holds
    assert alarms <= stats.binom.ppf(0.999, 12, 0.05)
    assert policy.record_.effective_rows < 900
