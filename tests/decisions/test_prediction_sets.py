import json
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from softmaxlib.activations import softmax
from softmaxlib.decisions import Decision, PredictionSets, Rule
from softmaxlib.decisions._coverage_promise import (
    CoverageSums,
    coverage_cells,
    coverage_promise,
    coverage_sums,
    group_coverage,
)
from softmaxlib.decisions._promise_cells import PromiseCells
from softmaxlib.decisions.outcomes import GroupCoverage, Outcomes
from softmaxlib.errors import (
    FileFormatError,
    InvalidInputError,
    NotFittedError,
    UnsupportedTypeError,
)

from .made import made

SCORES = ["lac", "aps", "raps", "saps"]
VARIANTS = [("lac", False), ("aps", False), ("aps", True), ("raps", True), ("saps", False), ("saps", True)]


def score_of(name: str, p: list[float], label: int, u: float, penalty: float, penalty_rank: int) -> float:
    """The scores as the papers print them, one class of one row at a time."""
    order = sorted(range(len(p)), key=lambda k: (-p[k], k))
    rank = order.index(label) + 1
    before = math.fsum(p[k] for k in order[: rank - 1])
    match name:
        case "lac":
            return 1 - p[label]
        case "aps":
            return before + u * p[label]
        case "raps":
            return before + u * p[label] + penalty * max(rank - penalty_rank, 0)
        case _:
            return u * p[label] if rank == 1 else p[order[0]] + (rank - 2 + u) * penalty


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("include_last", [True, False])
def test_sets_follow_from_the_definition(score: str, include_last: bool) -> None:
    probabilities, labels = made(0)
    rule = PredictionSets(score, 0.2, include_last=include_last, penalty=0.07, penalty_rank=2)
    decision = rule.fit(probabilities[:150], labels[:150], probabilities=True).decide(
        probabilities[150:], probabilities=True
    )
    u = 0.0 if include_last else 1.0
    every = np.array([[score_of(score, list(p), k, u, 0.07, 2) for k in range(5)] for p in probabilities])
    threshold = np.sort(every[np.arange(150), labels[:150]])[math.ceil(151 * 0.8) - 1]
    clear = np.abs(every[150:] - threshold) > 1e-12
    assert clear.mean() > 0.99 or score == "aps"
    np.testing.assert_array_equal(decision.sets[clear], (every[150:] <= threshold)[clear])


def test_the_action_is_the_class_of_a_set_of_one() -> None:
    probabilities, labels = made(1)
    decision = (
        PredictionSets("lac", 0.6)
        .fit(probabilities, labels, probabilities=True)
        .decide(probabilities, probabilities=True)
    )
    sizes = decision.sets.sum(axis=1)
    assert set(sizes.tolist()) >= {0, 1, 2}
    np.testing.assert_array_equal(decision.abstained, sizes != 1)
    for action, members in zip(decision.action, decision.sets, strict=True):
        assert action == (np.flatnonzero(members)[0] if members.sum() == 1 else -1)
    np.testing.assert_array_equal(decision.confidence, probabilities.max(axis=1))


@pytest.mark.parametrize("groups", [None, "rows"])
def test_an_empty_set_can_be_given_its_most_likely_class(groups: str | None) -> None:
    probabilities, labels = made(1)
    of_rows = None if groups is None else labels % 2
    with_empty, without = (
        PredictionSets("lac", 0.6, groups=groups, allow_empty=allow_empty)
        .fit(probabilities, labels, of_rows, probabilities=True)
        .decide(probabilities, of_rows, probabilities=True)
        for allow_empty in (True, False)
    )
    empty = ~with_empty.sets.any(axis=1)
    assert empty.any()
    np.testing.assert_array_equal(without.sets[~empty], with_empty.sets[~empty])
    np.testing.assert_array_equal(without.action[empty], probabilities[empty].argmax(axis=1))


class Still(np.random.RandomState):
    """A source of randomness that always says the same."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def uniform(self, *, size: tuple[int, ...]) -> np.ndarray:
        return np.full(size, self.value)


@pytest.fixture(scope="module")
def mapie_sets():
    """MAPIE's sets of probabilities, its random shares held still, and what it chose for "raps"."""
    from mapie.classification import SplitConformalClassifier
    from mapie.conformity_scores import APSConformityScore, LACConformityScore, RAPSConformityScore
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):
        def __init__(self, classes: int) -> None:
            self.classes = classes
            self.classes_ = np.arange(classes)

        def fit(self, features, labels):
            return self

        def predict_proba(self, features):
            return features

        def predict(self, features):
            return features.argmax(axis=1)

    kinds = {"lac": LACConformityScore, "aps": APSConformityScore, "raps": RAPSConformityScore}

    def compute(score, alpha, fitting, labels, judged, *, share: float, include_last: bool):
        conformity = kinds[score]()
        classifier = SplitConformalClassifier(
            Given(fitting.shape[1]),
            confidence_level=1 - alpha,
            conformity_score=conformity,
            random_state=Still(share),
        )
        classifier.conformalize(fitting, labels)
        sets = classifier.predict_set(judged, {"include_last_label": include_last})[1][:, :, 0]
        return sets, conformity

    return compute


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10", "densenet_cifar100"])
@pytest.mark.parametrize("alpha", [0.1, 0.2])
@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_mapie_gives_the_same_sets(real_predictions, mapie_sets, name: str, alpha: float, score: str) -> None:
    from sklearn.model_selection import StratifiedShuffleSplit

    logits, labels = real_predictions(name)
    probabilities = softmax(logits / 4)
    fitting, of_fitting, judged = probabilities[:5000], labels[:5000], probabilities[5000:]
    expected, conformity = mapie_sets(
        score, alpha, fitting, of_fitting, judged, share=0.0, include_last=False
    )
    options = {"allow_empty": score == "lac", "include_last": False}
    if score == "raps":  # MAPIE sets rows aside to choose the penalty on
        splitter = StratifiedShuffleSplit(n_splits=1, random_state=Still(0.0))
        kept, _ = next(splitter.split(fitting, of_fitting))
        fitting, of_fitting = fitting[kept], of_fitting[kept]
        options |= {"penalty": conformity.lambda_star, "penalty_rank": int(conformity.k_star[0])}
    rule = PredictionSets(score, alpha, **options).fit(fitting, of_fitting, probabilities=True)
    sets = rule.decide(judged, probabilities=True).sets
    assert 0 < sets.mean() < 1
    assert not (expected & ~sets).any()
    assert (sets & ~expected).mean() < 1e-5  # a miss by the rounding of float32 counts as reaching it


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10", "densenet_cifar100"])
def test_mapie_gives_the_same_sets_up_to_the_last_class(real_predictions, mapie_sets, name: str) -> None:
    logits, labels = real_predictions(name)
    probabilities = softmax(logits / 4)
    expected, _ = mapie_sets(
        "aps", 0.05, probabilities[:5000], labels[:5000], probabilities[5000:], share=1.0, include_last=True
    )
    sets = (
        PredictionSets("aps", 0.05)
        .fit(probabilities[:5000], labels[:5000], probabilities=True)
        .decide(probabilities[5000:], probabilities=True)
        .sets
    )
    np.testing.assert_array_equal(sets, expected)


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
@pytest.mark.parametrize("score", SCORES)
def test_coverage_over_random_splits_follows_its_law(real_predictions, name: str, score: str) -> None:
    logits, labels = real_predictions(name)
    generator = np.random.default_rng(0)
    few = generator.choice(labels.size, 3000, replace=False)
    probabilities, labels = softmax(logits[few] / 2), labels[few]
    fitted, judged, alpha = 500, 2500, 0.1
    ranks = []
    for _ in range(200):
        order = generator.permutation(labels.size)
        rule = PredictionSets(score, alpha, randomized=score != "lac")
        rule.fit(probabilities[order[:fitted]], labels[order[:fitted]], probabilities=True)
        # only the covered rows count: their number is that of true classes within the threshold
        sets = rule.decide(probabilities[order[fitted:]], probabilities=True).sets
        ranks.append(int(sets[np.arange(judged), labels[order[fitted:]]].sum()))
    k = math.ceil((fitted + 1) * (1 - alpha))
    law = stats.betabinom(judged, k, fitted + 1 - k)
    uniform = law.cdf(np.array(ranks) - 1) + generator.random(200) * law.pmf(ranks)
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    # the same test tells a threshold that is one percent off
    other = stats.betabinom(judged, k + 5, fitted + 1 - k - 5)
    assert stats.kstest(other.cdf(ranks), "uniform").pvalue < 0.01


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_coverage_holds_within_each_class_and_not_without(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    probabilities = softmax(logits / 2 + np.linspace(-2, 2, 10))
    halves = (probabilities[:5000], labels[:5000]), (probabilities[5000:], labels[5000:])

    def coverages(groups: object) -> np.ndarray:
        rule = PredictionSets("lac", 0.1, groups=groups).fit(*halves[0], probabilities=True)
        covered = rule.decide(halves[1][0], probabilities=True).sets[np.arange(5000), halves[1][1]]
        return np.array([covered[halves[1][1] == label].mean() for label in range(10)])

    # 5 deviations of a class of 500 rows, fitted and judged on as many each
    spread = 5 * math.sqrt(2 * 0.1 * 0.9 / 500)
    assert np.abs(coverages("class") - 0.9).max() < spread
    assert np.abs(coverages(None) - 0.9).max() > spread
    pairs = coverages(np.arange(10) // 2).reshape(5, 2).mean(axis=1)
    assert np.abs(pairs - 0.9).max() < spread


def test_a_row_gets_the_same_set_alone_and_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = made(6)
    rule = PredictionSets("raps", 0.2, randomized=True).fit(probabilities, labels, probabilities=True)
    whole = rule.decide(probabilities, probabilities=True).sets
    alone = np.concatenate([rule.decide(row[None], probabilities=True).sets for row in probabilities])
    np.testing.assert_array_equal(whole, alone)
    monkeypatch.setattr("softmaxlib.decisions._row_blocks._BLOCK_ELEMENTS", 70)
    again = PredictionSets("raps", 0.2, randomized=True).fit(probabilities, labels, probabilities=True)
    np.testing.assert_array_equal(again.thresholds_, rule.thresholds_)
    np.testing.assert_array_equal(again.decide(probabilities, probabilities=True).sets, whole)
    other = PredictionSets("raps", 0.2, randomized=True, random_state=1).fit(
        probabilities, labels, probabilities=True
    )
    assert (other.decide(probabilities, probabilities=True).sets != whole).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_shares_made_of_a_row_are_uniform(dtype: type) -> None:
    from softmaxlib.decisions._conformal_scores import row_uniform

    probabilities = made(8, 20_000)[0].astype(dtype).astype(np.float64)
    first, second = row_uniform(probabilities, 0)[:, 0], row_uniform(probabilities, 1)[:, 0]
    assert stats.kstest(first, "uniform").pvalue > 0.01
    for other in (second, probabilities[:, 0], np.roll(first, 1)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 4 / math.sqrt(20_000)


def test_weighted_rows_count_in_units_of_the_heaviest() -> None:
    probabilities, labels = made(9)
    weights = np.random.default_rng(0).random(labels.size)
    rule = PredictionSets("lac", 0.2).fit(probabilities, labels, sample_weight=weights, probabilities=True)
    assert rule.group_sizes_.tolist() == [int(weights.sum() / weights.max())]
    same = PredictionSets("lac", 0.2).fit(
        probabilities, labels, sample_weight=np.full(labels.size, 0.1), probabilities=True
    )
    assert same.group_sizes_.tolist() == [labels.size]  # however their sum is rounded


def test_equal_probabilities_rank_by_their_number() -> None:
    from softmaxlib.decisions._ranking import ranks

    generator = np.random.default_rng(9)
    values = generator.integers(0, 4, (500, 30)) / 100
    expected = [
        [sum(v > w or (v == w and j < k) for j, v in enumerate(r)) + 1 for k, w in enumerate(r)]
        for r in values
    ]
    np.testing.assert_array_equal(ranks(values), expected)


@pytest.mark.parametrize(
    "rule",
    [
        PredictionSets("aps", 0.2, randomized=True, random_state=5),
        PredictionSets("lac", 0.2, groups="class", allow_empty=False),
        PredictionSets("raps", 0.2, groups=np.array([0, 0, 1, 1, 2]), penalty=0.3, penalty_rank=1),
        PredictionSets("saps", 0.2, include_last=False),
    ],
)
def test_json_keeps_every_set(rule: PredictionSets) -> None:
    probabilities, labels = made(10)
    rule.fit(probabilities, labels, probabilities=True)
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict(), allow_nan=False)))
    assert isinstance(back, PredictionSets)
    np.testing.assert_array_equal(
        back.decide(probabilities, probabilities=True).sets,
        rule.decide(probabilities, probabilities=True).sets,
    )
    np.testing.assert_array_equal(back.group_sizes_, rule.group_sizes_)
    assert back.to_dict() == rule.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "best"}, "PredictionSets.score must be one of lac, aps, raps, saps; got 'best'"),
        ({"alpha": 2}, "PredictionSets can't be made of what was saved: alpha must lie between 0 and 1"),
        ({"groups": "hospital"}, "PredictionSets.groups must be one of class, rows"),
        ({"groups": "class"}, "PredictionSets.thresholds_ must have 5 entries, got 1"),
        ({"group_names_": ["a"]}, "PredictionSets.group_names_ must be null without groups of rows"),
        ({"class_count_": 1}, "PredictionSets.class_count_ must be an integer in 2"),
        ({"randomized": True}, 'can\'t be made of what was saved: score "lac" has no step to randomise'),
        ({"random_state": -1}, "PredictionSets.random_state must be an integer in 0"),
    ],
)
def test_damaged_sets_are_refused(change: dict, message: str) -> None:
    state = PredictionSets("lac", 0.2).fit(*made(11), probabilities=True).to_dict()
    with pytest.raises(FileFormatError, match=message):
        Rule.from_dict({**state, **change})


def test_thresholds_that_mean_nothing_are_refused() -> None:
    rule = PredictionSets("lac", 0.2, groups="class").fit(*made(11), probabilities=True)
    rule.thresholds_[1] = np.nan
    with pytest.raises(
        FileFormatError, match="thresholds_ and group_sizes_ must be numbers that mean something"
    ):
        Rule.from_dict(rule.to_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "top"}, "score must be one of lac, aps, raps, saps; got 'top'"),
        ({"alpha": 0}, "alpha must lie between 0 and 1, got 0; 0.1 means 90 percent coverage"),
        ({"score": "lac", "randomized": True}, 'score "lac" has no step to randomise'),
        ({"groups": "label"}, 'groups must be None, "class", "rows" or one group number a class'),
        ({"groups": [0, 3]}, "groups must be numbered from 0 without gaps, got 3 and none that is 1"),
        ({"groups": [0, 2, 2]}, "groups must be numbered from 0 without gaps, got 2 and none that is 1"),
        (
            {"random_state": 2**63},
            r"random_state must be a whole number, 0 to 9223372036854775807; got 9223372036854775808",
        ),
        ({"penalty": -1.0}, "penalty must be finite and not negative, got -1.0; 0 leaves it out"),
        ({"penalty": np.inf}, "penalty must be finite and not negative, got inf; 0 leaves it out"),
    ],
)
def test_settings_that_mean_nothing_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        PredictionSets(**arguments)


def test_a_penalty_of_0_is_none() -> None:
    probabilities, labels = made(19)
    rules = [PredictionSets("aps", 0.2), PredictionSets("raps", 0.2, penalty=0, penalty_rank=1)]
    aps, raps = (rule.fit(probabilities, labels, probabilities=True).thresholds_ for rule in rules)
    np.testing.assert_array_equal(aps, raps)


def counts_at_most(covered: int, rows: int, rank: int, fitted: int) -> Fraction:
    """Return the probability that so few rows are covered, each order of all scores being as likely.

    The threshold is the fitted score of a rank, and a new row is covered if its score is no larger.
    """
    orders = [
        math.comb(rank - 1 + below, below) * math.comb(fitted - rank + rows - below, rows - below)
        for below in range(rows + 1)
    ]
    assert sum(orders) == math.comb(fitted + rows, rows)
    return Fraction(sum(orders[: covered + 1]), sum(orders))


def test_the_promise_of_coverage_is_tested_by_counting_orders() -> None:
    # nine rows of the fit: the threshold is the largest of their scores
    alone = GroupCoverage("", 20, 12, 25, 9, 20.0)
    found = coverage_promise(0.1, [alone])
    assert (found.promised, found.observed) == (0.9, 0.6)
    assert found.p_value == pytest.approx(float(counts_at_most(12, 20, 9, 9)), rel=1e-9)
    assert found.least_p_value == pytest.approx(float(counts_at_most(0, 20, 9, 9)), rel=1e-9)
    # eight rows rule nothing out; weighted rows are as many whole ones as they are at least, 6 of 10
    worst = GroupCoverage("b", 33.0, 18.15, 40.0, 99, 10.9)
    found = coverage_promise(0.1, [GroupCoverage("a", 9, 9, 27, 8, 9.0), worst])
    assert found.p_value == pytest.approx(2 * float(counts_at_most(6, 10, 90, 99)), rel=1e-9)
    assert found.least_p_value == pytest.approx(2 * float(counts_at_most(0, 10, 90, 99)), rel=1e-9)
    assert found.words.startswith("in the group that fares worst (b), 55.00% of the sets hold")
    # more groups than chance allows: no p-value above 1
    every = coverage_promise(0.1, [alone._replace(covered=20)] * 3)
    assert (every.p_value, every.words[:7]) == (1.0, "100.00%")


def test_weighted_rows_of_a_group_are_no_more_than_have_a_weight() -> None:
    # by their variance the first two rows would be as many as 2.67, by their weights they are 1.6
    sets = np.array([[True, False], [True, False], [True, True]])
    decision = Decision(np.zeros(3, int), np.ones(3), np.zeros(3, bool), None, sets)
    weights = np.array([1.0, 3.0, 0.0])
    outcomes = Outcomes(
        np.ones((3, 2)), decision, np.array([0, 1, 0]), np.zeros(3, int), ("a", "b"), None, weights
    )
    cells = PromiseCells.of(coverage_cells(outcomes, np.zeros(3, int)), weights)
    sums = CoverageSums(*coverage_sums(cells, 1, 2))
    (found,) = group_coverage(sums, [""], np.array([9]), is_weighted=True)
    assert found == GroupCoverage("", 4.0, 1.0, 4.0, 9, 1.6)


def test_misuse_is_refused() -> None:
    probabilities, labels = made(12)
    rule = PredictionSets("lac", 0.2)
    with pytest.raises(NotFittedError, match=r"PredictionSets must be fitted .* call fit\(logits, labels\)"):
        rule.decide(probabilities, probabilities=True)
    with pytest.raises(NotFittedError, match="must be fitted"):
        rule.to_dict()
    rule.fit(probabilities, labels, probabilities=True)
    with pytest.raises(InvalidInputError, match="PredictionSets is for 5 classes, got probabilities of 2"):
        rule.decide([[0.5, 0.5]], probabilities=True)
    with pytest.raises(InvalidInputError, match="this PredictionSets takes none; leave groups out"):
        rule.decide(probabilities, labels, probabilities=True)
    with pytest.raises(InvalidInputError, match="needs the group of each row: pass groups="):
        PredictionSets("lac", 0.2, groups="rows").fit(probabilities, labels, probabilities=True)
    with pytest.raises(InvalidInputError, match=r"groups must have one group a class \(2 given\)"):
        PredictionSets("lac", 0.2, groups=[0, 1]).fit(probabilities, labels, probabilities=True)
    by_rows = PredictionSets("lac", 0.2, groups="rows").fit(
        probabilities, labels, np.arange(300) % 2, probabilities=True
    )
    with pytest.raises(InvalidInputError, match=r"among those of fit, 0, 1; got '2' in row 0, of which"):
        by_rows.decide(probabilities, np.full(300, 2), probabilities=True)
    with pytest.raises(InvalidInputError, match=r"one group a row, shape \(300,\), got shape \(299,\)"):
        by_rows.decide(probabilities, np.zeros(299, int), probabilities=True)
    with pytest.raises(UnsupportedTypeError, match="texts or whole numbers, got dtype float64; convert"):
        by_rows.decide(probabilities, np.full(300, 0.5), probabilities=True)
    with pytest.raises(UnsupportedTypeError, match="texts or whole numbers, got None in row 7; name the"):
        by_rows.decide(probabilities, np.array(["0"] * 7 + [None] * 293, dtype=object), probabilities=True)
