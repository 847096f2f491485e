import json
import math

import numpy as np
import pytest
from scipy import stats

from softmaxlib.activations import softmax
from softmaxlib.decisions import Rule, SelectiveRisk
from softmaxlib.decisions.selective_risk import upper_bound
from softmaxlib.errors import FileFormatError, InvalidInputError, NotFittedError


def binary(confidence: np.ndarray) -> np.ndarray:
    return np.stack([confidence, 1 - confidence], axis=1)


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_the_promise_holds_over_1000_resamplings(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    probabilities = softmax(logits / 2)
    confidence, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    generator = np.random.default_rng(0)
    broken = naive_broken = 0
    coverages = []
    for _ in range(1000):
        sample = generator.integers(0, labels.size, 1000)
        rule = SelectiveRisk(0.03, confidence=0.9).fit(
            probabilities[sample], labels[sample], probabilities=True
        )
        accepted = confidence >= rule.threshold_
        broken += wrong[accepted].mean() > 0.03
        coverages.append(accepted.mean())
        order = sample[np.argsort(-confidence[sample])]
        observed = np.cumsum(wrong[order]) / np.arange(1, 1001)
        last = np.flatnonzero(observed <= 0.03)[-1]
        naive_broken += wrong[confidence >= confidence[order[last]]].mean() > 0.03
    assert broken <= stats.binom.ppf(0.999, 1000, 0.1)
    # neither trivially safe, nor a promise that the plain threshold would keep too
    assert np.mean(coverages) > 0.5
    assert naive_broken > 300


def test_a_model_just_too_bad_is_hardly_ever_promised() -> None:
    generator = np.random.default_rng(1)
    promised = 0
    for _ in range(1000):
        probabilities = binary(generator.uniform(0.5, 1, 500))
        labels = (generator.random(500) < 0.1001).astype(int)
        try:
            SelectiveRisk(0.1, confidence=0.8).fit(probabilities, labels, probabilities=True)
        except InvalidInputError:
            continue
        promised += 1
    assert 0 < promised <= stats.binom.ppf(0.999, 1000, 0.2)


@pytest.mark.parametrize(("mistakes", "rows"), [(0, 10), (3, 50), (50, 50), (7, 1000)])
def test_the_bound_is_clopper_and_pearsons(mistakes: int, rows: int) -> None:
    expected = stats.binomtest(mistakes, rows, alternative="less").proportion_ci(0.95, "exact").high
    assert upper_bound(mistakes, rows, 0.95) == pytest.approx(expected, rel=1e-12)


def test_decisions_follow_the_threshold() -> None:
    generator = np.random.default_rng(2)
    confidence = generator.uniform(0.5, 1, 5000)
    labels = (generator.random(5000) > confidence).astype(int)
    rule = SelectiveRisk(0.1).fit(binary(confidence), labels, probabilities=True)
    decision = rule.decide(binary(confidence), probabilities=True)
    np.testing.assert_array_equal(decision.abstained, confidence < rule.threshold_)
    np.testing.assert_array_equal(decision.action, np.where(decision.abstained, -1, 0))
    accepted = ~decision.abstained
    assert (rule.accepted_, rule.mistakes_) == (accepted.sum(), labels[accepted].sum())
    assert rule.coverage_ == accepted.mean()
    assert rule.bound_ == upper_bound(rule.mistakes_, rule.accepted_, 0.95) <= 0.1
    # the risk of all rows above c is (1 - c) / 2, so that 0.8 is where it ends
    assert 0.8 < rule.threshold_ < 0.86


def test_a_row_at_exactly_the_threshold_is_decided() -> None:
    rule = SelectiveRisk(0.05).fit(
        binary(np.repeat([0.9, 0.6], 500)), np.repeat([0, 1], 500), probabilities=True
    )
    at = rule.threshold_
    assert 0.6 < at <= 0.9
    around = np.array([np.nextafter(at, 0), at, np.nextafter(at, 1)])
    assert rule.decide(binary(around), probabilities=True).abstained.tolist() == [True, False, False]
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert back.decide(binary(around), probabilities=True).abstained.tolist() == [True, False, False]


def test_a_row_of_the_fit_at_exactly_a_threshold_reaches_it() -> None:
    rule = SelectiveRisk(0.05).fit(binary(np.full(100, 0.5)), np.zeros(100, int), probabilities=True)
    assert 0.5 - 1e-6 < rule.threshold_ < 0.5  # the grid has this number, lower by what float32 rounds
    assert not rule.decide(binary(np.full(3, 0.5)), probabilities=True).abstained.any()


def test_rows_of_another_number_of_classes_are_refused() -> None:
    rule = SelectiveRisk(0.4).fit(np.tile([[0.9, 0.05, 0.05]], (100, 1)), [0] * 100, probabilities=True)
    for again in (rule, Rule.from_dict(rule.to_dict())):
        with pytest.raises(InvalidInputError, match="for 3 classes, got probabilities of 5"):
            again.decide(np.full((4, 5), 0.2), probabilities=True)
        with pytest.raises(InvalidInputError, match=r"of 2 .one number per row is read as a binary model"):
            again.decide(np.array([0.9, 0.05, 0.05]), probabilities=True)


def test_a_rule_saved_by_an_earlier_version_decides_the_same() -> None:
    state = {
        "class": "SelectiveRisk",
        "version": 1,
        "risk": 0.1,
        "confidence": 0.95,
        "threshold_": 0.8262932,
        "accepted_": 100,
        "mistakes_": 4,
        "rows_": 250,
    }
    rule = Rule.from_dict(state)
    assert rule.to_dict() == {**state, "version": 2, "weighted_coverage_": None, "class_count_": None}
    assert rule.decide(binary(np.array([0.82, 0.8262932, 0.83])), probabilities=True).action.tolist() == [
        -1,
        0,
        0,
    ]


def test_random_labels_among_the_surest_rows_are_no_reason_to_refuse() -> None:
    """4 % of the labels are random: of the 90 surest rows too many are wrong in a fifth of all samples."""
    generator = np.random.default_rng(6)
    coverages = []
    for _ in range(40):
        probabilities = softmax(generator.normal(0, 6, (10_000, 10)))
        labels = (generator.random((10_000, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
        noise = generator.random(10_000) < 0.04
        labels[noise] = generator.integers(10, size=int(noise.sum()))
        coverages.append(
            SelectiveRisk(0.1).fit(probabilities, labels, probabilities=True).coverage_
        )  # none refuses
    assert np.mean(coverages) > 0.64


@pytest.mark.parametrize("wrong_rows", [0, 7])
def test_weighted_rows_count_as_their_effective_number(wrong_rows: int) -> None:
    weights = np.random.default_rng(0).random(600) + 0.1
    wrong = np.arange(600) < wrong_rows
    rule = SelectiveRisk(0.05).fit(
        np.tile([0.99, 0.01], (600, 1)), wrong.astype(int), sample_weight=weights, probabilities=True
    )
    share = weights / weights.sum()
    risk = share @ wrong
    rows = risk * (1 - risk) / (share**2 @ (wrong - risk) ** 2) if wrong_rows else 1 / (share @ share)
    assert 0.01 < rows % 1 < 0.99
    assert rule.accepted_ == math.floor(rows)
    assert rule.mistakes_ == math.ceil(risk * rows)
    assert rule.coverage_ == pytest.approx(1)


def test_a_perfect_model_decides_everything_it_has_seen() -> None:
    confidence = np.random.default_rng(3).uniform(0.5, 1, 1000)
    rule = SelectiveRisk(0.01).fit(binary(confidence), np.zeros(1000, int), probabilities=True)
    assert rule.coverage_ == 1
    assert 0.4 < rule.threshold_ <= confidence.min()


def test_exact_certainty_is_accepted() -> None:
    rule = SelectiveRisk(0.05).fit(binary(np.ones(100)), np.zeros(100, int), probabilities=True)
    assert not rule.decide(binary(np.ones(3)), probabilities=True).abstained.any()


def test_too_few_rows_are_refused_with_the_number_needed() -> None:
    message = (
        r"a risk of 0\.01 can't be promised with confidence 0\.95: even without a mistake that takes 299 "
        r"rows, got 298; fit on more rows or raise the risk"
    )
    with pytest.raises(InvalidInputError, match=message):
        SelectiveRisk(0.01).fit(binary(np.ones(298)), np.zeros(298, int), probabilities=True)
    assert (
        SelectiveRisk(0.01).fit(binary(np.ones(299)), np.zeros(299, int), probabilities=True).bound_ <= 0.01
    )


def test_too_few_effective_rows_are_refused_with_their_number() -> None:
    weights = np.arange(1.0, 401)
    effective = int(weights.sum() ** 2 / (weights @ weights))
    assert effective == 300
    wrong = (weights == 400).astype(int)
    with pytest.raises(InvalidInputError, match=r"takes 369 rows, got 300 \(400 rows, by their weights\)"):
        SelectiveRisk(0.0081).fit(binary(np.ones(400)), wrong, sample_weight=weights, probabilities=True)


def test_a_model_too_bad_is_refused_with_what_was_found() -> None:
    with pytest.raises(
        InvalidInputError, match=r"of the 400 surest rows 200 are wrong, so that the risk may be 0\.54"
    ):
        SelectiveRisk(0.1).fit(binary(np.full(400, 0.9)), np.arange(400) % 2, probabilities=True)


def test_json() -> None:
    confidence = np.random.default_rng(4).uniform(0.5, 1, 1000)
    rule = SelectiveRisk(0.01, confidence=0.8).fit(
        binary(confidence), np.zeros(1000, int), probabilities=True
    )
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict(), allow_nan=False)))
    assert isinstance(back, SelectiveRisk)
    assert vars(back) == vars(rule)
    assert (back.bound_, back.coverage_) == (rule.bound_, rule.coverage_)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"risk": 0},
            "SelectiveRisk can't be made of what was saved: risk must lie between 0 and 1, got 0.0",
        ),
        ({"threshold_": 1.5}, r"SelectiveRisk.threshold_ must be finite and in 0 to 1, got 1.5"),
        ({"accepted_": 2000}, "SelectiveRisk.accepted_ must be an integer in 1 to 1000, got 2000"),
        ({"mistakes_": 20}, r"promises 0\.01, but 20 mistakes of 1000 rows bound the risk only by 0\.028"),
        ({"mistakes_": 1001}, "SelectiveRisk.mistakes_ must be an integer in 0 to 1000, got 1001"),
    ],
)
def test_a_damaged_rule_is_refused(change: dict, message: str) -> None:
    state = SelectiveRisk(0.01).fit(binary(np.ones(1000)), np.zeros(1000, int), probabilities=True).to_dict()
    with pytest.raises(FileFormatError, match=message):
        Rule.from_dict({**state, **change})


def test_misuse_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match=r"risk must lie between 0 and 1, got 5; 0\.05 means 5 percent"
    ):
        SelectiveRisk(5)
    with pytest.raises(InvalidInputError, match="confidence must lie between 0 and 1, got 1"):
        SelectiveRisk(0.1, confidence=1)
    with pytest.raises(NotFittedError, match="SelectiveRisk must be fitted before use"):
        SelectiveRisk(0.1).decide([[0.5, 0.5]], probabilities=True)
    with pytest.raises(NotFittedError, match="SelectiveRisk must be fitted before use"):
        _ = SelectiveRisk(0.1).bound_
