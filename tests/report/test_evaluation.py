import json
import re

import numpy as np
import pytest
from evaluated_rows import Page, fitted, simulated, written

from softmaxlib import Policy, evaluate, softmax
from softmaxlib.calibration import TemperatureScaling, VectorScaling
from softmaxlib.decisions import MinimumCost, MostLikely
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning


class TestFigures:
    def test_agree_with_scikit_learn(self):
        metrics = pytest.importorskip("sklearn.metrics")
        logits, labels = simulated()
        evaluation = evaluate(logits, labels)
        predicted = logits.argmax(axis=1)
        np.testing.assert_array_equal(evaluation.confusion, metrics.confusion_matrix(labels, predicted))
        precision, recall, _, support = metrics.precision_recall_fscore_support(labels, predicted)
        np.testing.assert_allclose([figures.precision for figures in evaluation.classes], precision)
        np.testing.assert_allclose([figures.recall for figures in evaluation.classes], recall)
        np.testing.assert_array_equal([figures.rows for figures in evaluation.classes], support)
        figures = evaluation.before.figures
        assert figures.accuracy == metrics.accuracy_score(labels, predicted)
        assert figures.log_loss == pytest.approx(metrics.log_loss(labels, softmax(logits)), rel=1e-12)
        squared = ((softmax(logits) - np.eye(4)[labels]) ** 2).sum(axis=1).mean()
        assert figures.brier_score == pytest.approx(squared, rel=1e-12)

    def test_do_not_depend_on_the_order_of_rows(self):
        logits, labels = simulated()
        order = np.random.default_rng(1).permutation(len(labels))
        one, other = evaluate(logits, labels), evaluate(logits[order], labels[order])
        np.testing.assert_array_equal(one.confusion, other.confusion)
        assert one.before.figures.log_loss == pytest.approx(other.before.figures.log_loss, rel=1e-12)
        np.testing.assert_array_equal(one.before.confidence_of_wrong, other.before.confidence_of_wrong)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_histograms_hold_the_confidences_as_they_are_rounded(self, dtype):
        edge = np.arange(11, 20) / 20
        sure = np.unique(
            np.concatenate([edge, np.nextafter(edge, 0), np.nextafter(edge, 1), edge + 1e-8, edge - 1e-8])
        )
        logits = np.stack([np.log(sure / (1 - sure)), np.zeros(sure.size)], axis=1).astype(dtype)
        weights = np.random.default_rng(0).integers(0, 3, sure.size)
        labels = np.random.default_rng(1).integers(0, 2, sure.size)
        for of_rows in (None, weights):
            evaluation = evaluate(logits, labels, sample_weight=of_rows)
            found = evaluation.final
            bins = np.minimum((evaluation.row_results.confidence.astype(dtype) * 20).astype(int), 19)
            for counts, outcome in (
                (found.confidence_of_right, labels == 0),
                (found.confidence_of_wrong, labels == 1),
            ):
                wanted = outcome if of_rows is None else outcome * weights
                np.testing.assert_array_equal(counts, np.bincount(bins, wanted, 20))

    def test_add_up(self):
        logits, labels = simulated()
        evaluation = evaluate(logits, labels, policy=fitted())
        assert evaluation.after is evaluation.final
        for judgement in (evaluation.before, evaluation.after):
            right, wrong = judgement.confidence_of_right.sum(), judgement.confidence_of_wrong.sum()
            assert right + wrong == 1000
            assert right / 1000 == pytest.approx(judgement.figures.accuracy, rel=1e-12)
            assert judgement.risk_coverage.risk[-1] == pytest.approx(1 - judgement.figures.accuracy)
        assert sum(figures.mean_probability for figures in evaluation.classes) == pytest.approx(1)

    def test_the_surest_mistakes_come_first(self):
        logits, labels = simulated()
        evaluation = evaluate(logits, labels, class_names=list("abcd"))
        confidence = softmax(logits).max(axis=1)
        wrong = logits.argmax(axis=1) != labels
        assert evaluation.mistakes[0].probability == confidence[wrong].max()
        for mistake in evaluation.mistakes:
            assert "abcd"[labels[mistake.row]] == mistake.truth != mistake.predicted
        probabilities = [mistake.probability for mistake in evaluation.mistakes]
        assert probabilities == sorted(probabilities, reverse=True)

    def test_what_the_policy_decided(self):
        logits, labels = simulated()
        policy = fitted()
        decision = policy.decide(logits)
        evaluation = evaluate(logits, labels, policy=policy)
        kept = ~decision.abstained
        decided = evaluation.decided
        assert decided.decided == kept.sum()
        assert decided.accuracy == (decision.action == labels)[kept].mean()
        wrong = (decision.action != labels)[kept].sum()
        assert decided.mean_cost == pytest.approx((wrong + 0.3 * (~kept).sum()) / 1000, rel=1e-12)
        # the curve starts with every row set aside and ends with every row decided
        assert decided.cost_curve.cost[0] == pytest.approx(0.3)
        everything = (
            MinimumCost(1 - np.eye(4)).decide(policy.predict_proba(logits), probabilities=True).action
        )
        assert decided.cost_curve.cost[-1] == pytest.approx((everything != labels).mean())
        half = decided.cost_curve.coverage.size // 2  # the surest rows are those of the least expected cost
        confidence = softmax(fitted().transform(logits)).max(axis=1)
        surest = np.argsort(-confidence, kind="stable")[
            : round(decided.cost_curve.coverage[half] * len(labels))
        ]
        mistakes = np.count_nonzero(everything[surest] != labels[surest])
        cost = (mistakes + 0.3 * (len(labels) - surest.size)) / len(labels)
        assert decided.cost_curve.cost[half] == pytest.approx(cost, rel=1e-12)
        nearest = np.abs(decided.cost_curve.coverage - decided.coverage).argmin()
        assert decided.cost_curve.cost[nearest] == pytest.approx(decided.mean_cost, abs=2e-3)

    def test_probabilities_are_judged_as_they_are(self):
        logits, labels = simulated()
        by_logits = evaluate(logits, labels).before.figures
        by_probabilities = evaluate(softmax(logits), labels, probabilities=True).before.figures
        assert by_probabilities.log_loss == pytest.approx(by_logits.log_loss, rel=1e-9)
        assert by_probabilities.calibration_error == pytest.approx(by_logits.calibration_error, abs=1e-9)

    def test_certainty_is_counted(self):
        with pytest.warns(SoftmaxlibWarning, match="1 probabilities are exactly 0 and 1 exactly 1"):
            evaluate(np.array([[1.0, 0.0], [0.4, 0.6]]), [0, 1], probabilities=True)

    def test_a_policy_for_other_classes(self):
        logits, labels = simulated(classes=5)
        with pytest.raises(
            InvalidInputError, match="class_names must name each of the 5 classes once, got 4"
        ):
            evaluate(logits, labels, policy=fitted())
        logits, labels = simulated()
        with pytest.raises(InvalidInputError, match="class_names must be those of the policy"):
            evaluate(logits, labels, policy=fitted(), class_names=list("abcd"))


class TestVerdict:
    @pytest.mark.parametrize(
        ("sharpness", "grade", "words"),
        [
            (1.0, "good", "can be believed"),
            (2.0, "bad", "too sure of itself"),
            (0.4, "bad", "less sure than it could be"),
        ],
    )
    def test_speaks_of_the_probabilities(self, sharpness, grade, words):
        verdict = evaluate(*simulated(3000, sharpness=sharpness)).verdict
        assert verdict.grade == grade
        assert words in verdict.headline

    def test_speaks_of_broken_promises(self):
        logits, labels = simulated(3000, sharpness=0.5)
        verdict = evaluate(logits, labels, policy=fitted()).verdict
        assert verdict.grade != "good"
        assert any("No longer as promised: calibration" in sentence for sentence in verdict.sentences)

    @staticmethod
    def rare(rows=5000, stated=1.0, seed=0):
        """0.6 % positives, whose stated odds are a fraction of the true ones."""
        rng = np.random.default_rng(seed)
        positive = rng.normal(-6.2, 1.5, rows)
        labels = (rng.random(rows) < 1 / (1 + np.exp(-positive))).astype(int)
        return np.stack([np.zeros(rows), positive + np.log(stated)], axis=1), labels

    def test_does_not_believe_a_rare_class_that_is_understated(self, tmp_path):
        logits, labels = self.rare(stated=0.1)
        evaluation = evaluate(logits, labels, class_names=["fine", "fraud"])
        verdict = evaluation.verdict
        assert verdict.grade == "bad"
        assert verdict.headline == "The probability of fraud can't be believed: it is understated"
        found = evaluation.class_calibration[1]
        assert (found.misstated, evaluation.class_calibration[0].misstated) == ("understated", "overstated")
        sentence = (
            f"The probability of fraud is understated: {found.stated:.4%} on average, and it is the truth in "
            f"{found.observed:.2%} of these 5,000 rows, odds wrong by a factor of {found.odds_ratio:.2g} "
            "(p < 0.001, all classes counted)."
        )
        assert sentence in verdict.sentences
        assert found.odds_ratio == pytest.approx(
            (labels.mean() / (1 - labels.mean())) / (found.stated / (1 - found.stated)), rel=1e-9
        )
        text = Page(written(evaluation, tmp_path)).text
        assert sentence in text
        assert "understated" in text[text.index("Class by class") :]
        evaluation.to_json(tmp_path / "report.json")
        content = json.loads((tmp_path / "report.json").read_text())
        assert content["class_calibration"][1]["misstated"] == "understated"

    def test_believes_a_rare_class_that_is_right(self):
        verdicts = [evaluate(*self.rare(seed=seed)).verdict for seed in range(10)]
        believed = [verdict for verdict in verdicts if verdict.grade == "good"]
        assert len(believed) >= 8  # the level is 5%
        agrees = "For every class, the stated probability agrees with its share of the rows, up to chance"
        assert all(agrees in " ".join(verdict.sentences) for verdict in believed)

    def test_judges_the_classes_after_calibration(self):
        logits, labels = self.rare(stated=0.1)
        policy = Policy(VectorScaling(), MostLikely()).fit(*self.rare(20_000, 0.1, 1))
        before, after = evaluate(logits, labels), evaluate(logits, labels, policy=policy)
        assert before.class_calibration[1].misstated == "understated"
        assert after.class_calibration[1].misstated == ""

    def test_names_a_band_where_the_mean_is_right(self):
        stated = np.repeat([0.15, 0.35], 300)
        labels = (np.arange(600) % 4 == 0).astype(int)
        logits = np.stack([np.zeros(600), np.log(stated / (1 - stated))], axis=1)
        sentence = evaluate(logits, labels).verdict.sentences[2]
        assert re.match(
            r"The probability of class 1 is understated where it is below 15\.\d%: 15\.0% on average, and it "
            r"is the truth in 25\.0% of these 300 rows, odds wrong by a factor of 1\.9 \(p < 0\.001",
            sentence,
        )

    def test_says_how_many_classes_are_misstated(self):
        logits, labels = simulated(5000, classes=6)
        verdict = evaluate(logits * [1, 1, 1, 1, 1, 1] + [0, 0.5, 0.5, 0.5, 0.5, 3], labels).verdict
        assert re.match(r"The (probabilities of \d classes can't be believed|model is too)", verdict.headline)
        assert sum("The probability of" in sentence for sentence in verdict.sentences) == 3
        assert re.search(r"\d other classes? (is|are) misstated too", " ".join(verdict.sentences))

    def test_a_trifle_on_many_rows_is_no_reason(self):
        rng = np.random.default_rng(0)
        logits = np.full((400_000, 2), 2.0)
        labels = (rng.random(400_000) < 0.505).astype(int)
        evaluation = evaluate(logits, labels)
        assert evaluation.class_calibration[1].p_value < 1e-6
        assert evaluation.verdict.grade == "good"
        assert "by too little to matter" in " ".join(evaluation.verdict.sentences)

    @pytest.mark.parametrize("rows", [1, 10, 60])
    def test_does_not_believe_on_too_few_rows(self, rows):
        logits, labels = 9 * np.eye(2)[np.arange(rows) % 2], np.arange(rows) % 2
        verdict = evaluate(logits, labels).verdict
        assert verdict.grade == "caution"
        assert verdict.headline == "These rows are too few to tell whether the probabilities can be believed"
        assert any("with so few rows a large one would not be seen" in s for s in verdict.sentences)
        assert evaluate(np.tile(logits, (400, 1)), np.tile(labels, 400)).verdict.grade == "good"

    def test_says_how_much(self):
        logits, labels = simulated(3000)
        evaluation = evaluate(logits, labels, policy=fitted())
        text = " ".join(evaluation.verdict.sentences)
        assert f"right in {evaluation.final.figures.accuracy:.1%} of 3,000 rows" in text
        assert f"sets {1 - evaluation.decided.coverage:.1%} of the rows aside" in text
        assert f"of the rest, {evaluation.decided.accuracy:.1%} are right" in text


def test_the_parts_of_a_policy_are_described():
    calibration = TemperatureScaling().fit(*simulated(200))
    assert calibration.describe().endswith(f"temperature {calibration.temperature_:.4g}")
    assert MostLikely().describe() == "MostLikely()"
    assert MinimumCost([[0, 1], [5, 0]]).describe() == repr(MinimumCost([[0, 1], [5, 0]]))
    free = MinimumCost(1 - np.eye(10), abstain_cost=0.1)
    assert free.describe() == "MinimumCost: every mistake costs 1, setting a row aside 0.1"
    assert MinimumCost(2 - np.eye(10)).describe() == "MinimumCost: costs of 10 classes and 10 actions"


class TestJson:
    def test_is_strict_and_whole(self, tmp_path):
        logits, labels = simulated()
        evaluation = evaluate(logits, labels, policy=fitted())
        evaluation.to_json(tmp_path / "report.json")
        content = json.loads(
            (tmp_path / "report.json").read_text(), parse_constant=lambda constant: pytest.fail(constant)
        )
        assert content["rows"] == 1000
        assert content["before"]["figures"]["log_loss"] == evaluation.before.figures.log_loss
        cells = np.zeros_like(evaluation.confusion)
        truth, predicted, rows = content["confusions"].values()
        cells[truth, predicted] = rows
        np.testing.assert_array_equal(cells, evaluation.confusion)
        assert content["verdict"]["headline"] == evaluation.verdict.headline
        assert set(content["before"]["reliability"]) == set(evaluation.before.reliability._fields)

    def test_what_is_no_number_is_null(self, tmp_path):
        evaluate(np.array([[2.0, 1.0, 0.0]]), [0]).to_json(tmp_path / "report.json")
        content = json.loads((tmp_path / "report.json").read_text())
        assert content["classes"][2]["recall"] is None


def test_is_frozen():
    evaluation = evaluate(*simulated(50))
    with pytest.raises(AttributeError):
        evaluation.rows = 3


def test_without_a_rule_that_abstains(tmp_path):
    logits, labels = simulated()
    policy = Policy(TemperatureScaling(), MostLikely()).fit(logits, labels)
    text = Page(written(evaluate(logits, labels, policy=policy), tmp_path)).text
    assert "Cost against" not in text
    assert "this policy" not in text


def test_two_classes_have_the_curves_of_their_ranking(tmp_path):
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.2).astype(int)
    evaluation = evaluate(rng.normal(2 * labels - 2), labels, class_names=["fair", "<b>fraud"])
    roc, curve = evaluation.final.roc, evaluation.final.precision_recall
    assert len(roc.threshold) <= 400
    assert len(curve.threshold) <= 400
    assert (roc.true_positive_rate[-1], roc.false_positive_rate[-1], curve.recall[-1]) == (1, 1, 1)
    assert curve.precision[-1] == pytest.approx(labels.mean())
    evaluation.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "False alarms and what is found" in page
    assert "&lt;b&gt;fraud" in page
    assert "<b>fraud" not in page
    three = rng.normal(size=(200, 3))
    assert evaluate(three, rng.integers(3, size=200)).final.roc is None
