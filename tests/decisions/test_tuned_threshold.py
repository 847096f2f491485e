import json
import re

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as peers
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import TunedThresholdClassifierCV

from softmaxlib import Policy, evaluate, metrics
from softmaxlib.calibration import Identity
from softmaxlib.decisions import Outcomes, Rule, TunedThreshold
from softmaxlib.decisions._share_floors import Floor
from softmaxlib.decisions._threshold_search import candidates, draw_tables
from softmaxlib.errors import FileFormatError, InvalidInputError, NotFittedError, UnsupportedTypeError

from .test_rule import damaged

COST = [[0.0, 1.0], [8.0, 0.5]]


def mean_cost(labels, predicted):
    return -np.array(COST)[labels, predicted].mean()


# what a rule makes large, from scikit-learn
FIGURES = {
    "accuracy": peers.accuracy_score,
    "f1_score": lambda labels, predicted: peers.f1_score(labels, predicted, zero_division=0),
    "balanced_accuracy": peers.balanced_accuracy_score,
    "matthews_correlation": peers.matthews_corrcoef,
    "cost": mean_cost,
}


def rule_of(name, **settings):
    return TunedThreshold(cost=COST, **settings) if name == "cost" else TunedThreshold(name, **settings)


def made(seed, rows=400, digits=15, share=0.2):
    """Scores one deviation wide in both classes, as true probabilities; with few digits many are equal."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(rows) < share).astype(int)
    score = generator.normal(1.5 * labels)
    odds = share / (1 - share) * np.exp(1.5 * (score - 0.75))
    positive = (odds / (1 + odds)).round(digits)
    return np.stack([1 - positive, positive], axis=1), labels


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose one feature is the probability."""

    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, rows):
        return np.hstack([1 - rows, rows])


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("digits", [15, 2])
def test_the_threshold_is_the_best_of_all(name, digits):
    probabilities, labels = made(0, digits=digits)
    rule = rule_of(name).fit(probabilities, labels, probabilities=True)
    positive = probabilities[:, 1]
    figures = [FIGURES[name](labels, (positive >= one).astype(int)) for one in [*np.unique(positive), 2.0]]
    decided = rule.decide(probabilities, probabilities=True).action
    assert FIGURES[name](labels, decided) == pytest.approx(max(figures), abs=1e-12)
    assert rule.in_sample_ == pytest.approx(max(figures) * (-1 if name == "cost" else 1), abs=1e-12)
    np.testing.assert_array_equal(decided, positive >= rule.threshold_)
    assert not np.isin(rule.threshold_, positive)  # halfway between two


@pytest.mark.parametrize("name", FIGURES)
def test_scikit_learn_chooses_the_same_of_the_same_thresholds(name):
    probabilities, labels = made(1)
    rule = rule_of(name).fit(probabilities, labels, probabilities=True)
    tuned = TunedThresholdClassifierCV(
        Given().fit(probabilities[:, 1:], labels),
        scoring=peers.make_scorer(FIGURES[name]),
        thresholds=candidates(probabilities[:, 1], labels),
        cv="prefit",
        refit=False,
    ).fit(probabilities[:, 1:], labels)
    assert rule.threshold_ == tuned.best_threshold_
    assert (rule.in_sample_ if name != "cost" else -rule.in_sample_) == pytest.approx(tuned.best_score_)


def test_candidates_lie_halfway_and_last_above_all_scores():
    scores, labels = np.array([0.5, 0.25, 0.75, 0.75]), np.array([1, 0, 1, 0])
    assert candidates(scores, labels).tolist() == [0.375, 0.625, 0.875]
    assert candidates(np.array([1.0, 1.0]), np.array([1, 0])).tolist() == [0.5]  # none lies above 1
    least = np.nextafter(0.0, 1)  # the smallest number above 0
    assert candidates(np.array([least, 0.5]), np.array([1, 1])).tolist() == [least, 0.25, 0.75]
    for dtype, near in ((np.float64, 1e-15), (np.float32, 1e-7)):  # only rounding tells them apart
        tied = np.array([0.5, 0.5 + near, 0.75], dtype)
        assert candidates(tied, np.array([0, 1, 1])) == pytest.approx([0.25, 0.625, 0.875], abs=1e-6)


def test_more_candidates_than_are_looked_at_lose_next_to_nothing(monkeypatch):
    probabilities, labels = made(2, rows=4000)
    every = TunedThreshold("f1_score").fit(probabilities, labels, probabilities=True).in_sample_
    monkeypatch.setattr("softmaxlib.decisions._threshold_search._MOST_CANDIDATES", 100)
    assert candidates(probabilities[:, 1], labels).size == 101
    assert (
        every - 0.005
        < TunedThreshold("f1_score").fit(probabilities, labels, probabilities=True).in_sample_
        <= every
    )


@pytest.mark.parametrize("name", FIGURES)
def test_cross_fitted_counts_are_those_of_thresholds_of_other_rows(name, monkeypatch):
    monkeypatch.setattr("softmaxlib.decisions._threshold_search._REPETITIONS", 1)
    probabilities, labels = made(3, rows=40)
    rule = rule_of(name, cv=40).fit(
        probabilities, labels, probabilities=True
    )  # each row is judged by the threshold of all others
    thresholds = candidates(probabilities[:, 1], labels)
    taken = (probabilities[:, 1] >= thresholds[:, None]).astype(int)
    counts, of_all, chosen = np.zeros((2, 2)), [FIGURES[name](labels, one) for one in taken], []
    for row in range(40):
        others = np.arange(40) != row
        best = np.argmax([FIGURES[name](labels[others], one[others]) for one in taken])
        counts[labels[row], taken[best, row]] += 1
        chosen.append(of_all[best])
    np.testing.assert_array_equal(rule.counts_, counts)
    of_threshold = 39 * np.mean((np.array(chosen) - max(of_all)) ** 2)  # the jackknife's variance
    of_rows = np.var(rule._figure(draw_tables(counts)))
    assert rule.widening_ == pytest.approx(1 + of_threshold / of_rows)
    expected = FIGURES[name](
        np.repeat([0, 0, 1, 1], counts.ravel().astype(int)),
        np.repeat([0, 1, 0, 1], counts.ravel().astype(int)),
    )
    assert rule.value_ == pytest.approx(abs(expected), abs=1e-12)


def test_the_interval_holds_at_its_level_and_an_in_sample_one_does_not():
    held = held_in_sample = 0
    excess, excess_in_sample = [], []
    for seed in range(120):
        rule = TunedThreshold("matthews_correlation").fit(*made(seed, rows=200), probabilities=True)
        low, high = rule.interval_
        score = np.log(rule.threshold_ / (1 - rule.threshold_) * 4) / 1.5 + 0.75
        below = stats.norm.cdf(score - np.array([0, 1.5]))
        truth = float(rule._figure(np.stack([below, 1 - below], axis=1) * [[0.8], [0.2]]))
        held += low <= truth <= high
        probabilities, labels = made(seed, rows=200)
        counts = np.bincount(labels * 2 + (probabilities[:, 1] >= rule.threshold_), minlength=4)
        low, high = np.quantile(rule._figure(draw_tables(counts.reshape(2, 2))), [0.025, 0.975])
        held_in_sample += low <= truth <= high
        excess.append(rule.value_ - truth)
        excess_in_sample.append(rule.in_sample_ - truth)
    assert held >= stats.binom.ppf(0.001, 120, 0.95)
    assert held_in_sample < stats.binom.ppf(0.001, 120, 0.95)
    assert abs(np.mean(excess)) < 3.3 * np.std(excess) / np.sqrt(120)
    assert np.mean(excess_in_sample) > 0.04


def test_the_interval_of_a_recall_is_that_of_its_beta_law():
    rule = TunedThreshold("recall", at_least=("precision", 0.3)).fit(*made(4, rows=2000), probabilities=True)
    missed, found = rule.counts_[1] / rule.widening_
    expected = stats.beta(found + 0.5, missed + 0.5).ppf([0.025, 0.975])
    np.testing.assert_allclose(rule.interval_, expected, atol=0.003)
    assert rule.widening_ >= 1


def test_chance_makes_tables_by_jeffreys_law():
    table = np.array([[30.0, 0.0], [2.0, 8.0]])
    law = stats.dirichlet(table.ravel() + 0.5)
    drawn = draw_tables(table).reshape(-1, 4)
    np.testing.assert_allclose(drawn.mean(axis=0), law.mean(), atol=5 * np.sqrt(law.var().max() / 20_000))
    np.testing.assert_allclose(drawn.var(axis=0), law.var(), rtol=0.1)


def test_where_every_fold_finds_the_same_threshold_nothing_is_widened():
    rule = TunedThreshold("accuracy").fit(
        np.tile([[0.9, 0.1], [0.2, 0.8]], (50, 1)), np.tile([0, 1], 50), probabilities=True
    )
    assert rule.widening_ == 1
    assert rule.counts_ == pytest.approx(np.diag([50, 50]))
    assert rule.threshold_ == pytest.approx(0.45)
    assert Rule.from_dict(rule.to_dict()).interval_ == rule.interval_  # counts of 0 are counts


@pytest.mark.parametrize(
    ("metric", "tables", "allowed"),
    [
        ("recall", [[[3, 2], [0, 2]], [[5, 0], [1, 1]]], [True, False]),
        ("specificity", [[[1, 1], [1, 4]], [[2, 0], [2, 3]]], [False, True]),
        ("precision", [[[4, 1], [0, 2]], [[5, 0], [0, 2]]], [False, True]),
        ("precision", [[[3, 2], [0, 1]], [[4, 1], [0, 1]]], [False, False]),
    ],
)
def test_a_floor_is_allowed_by_as_few_rows_as_can_show_it(metric, tables, allowed):
    # both of two rows right: a chance of exactly a quarter at a share of one half
    assert Floor(metric, 0.5).allowed(np.array(tables, float), 0.25).tolist() == allowed
    assert not Floor(metric, 0.5).allowed(np.array(tables, float), np.nextafter(0.25, 0)).any()


def test_a_floor_without_rows_is_kept():
    promise = Floor("precision", 0.9).promise(np.array([[5.0, 0.0], [3.0, 0.0]]), ("no", "yes"))
    assert (promise.observed, promise.p_value, promise.least_p_value) == (1, 1, 1)


FLOORS = [("recall", ("precision", 0.5)), ("precision", ("recall", 0.7)), ("f1_score", ("specificity", 0.9))]


@pytest.mark.parametrize(("metric", "floor"), FLOORS, ids=str)
def test_a_floor_holds(metric, floor):
    population, truth = made(0, rows=200_000)
    positive = population[:, 1]
    broken = fits = 0
    for seed in range(40):
        rule = TunedThreshold(metric, at_least=floor, confidence=0.8, cv=2).fit(
            *made(seed, rows=1500), probabilities=True
        )
        taken = positive >= rule.threshold_
        share = {
            "precision": truth[taken].mean(),
            "recall": taken[truth == 1].mean(),
            "specificity": 1 - taken[truth == 0].mean(),
        }[floor[0]]
        broken += share < floor[1]
        fits += 1
        assert share < floor[1] + 0.12  # and it is not kept by caution
    assert broken <= stats.binom.ppf(0.999, fits, 0.2)


@pytest.mark.parametrize(("metric", "floor"), FLOORS, ids=str)
def test_a_floor_of_one_test_is_the_exact_bound(metric, floor):
    """Without a search: the share at the threshold is bounded by Clopper and Pearson."""
    probabilities, labels = made(6, rows=2000)
    rule = TunedThreshold(metric, at_least=floor).fit(probabilities, labels, probabilities=True)
    taken = probabilities[:, 1] >= rule.threshold_
    rows, right = {
        "precision": (taken, taken & (labels == 1)),
        "recall": (labels == 1, taken & (labels == 1)),
        "specificity": (labels == 0, ~taken & (labels == 0)),
    }[floor[0]]
    bound = stats.binomtest(int(right.sum()), int(rows.sum()), alternative="greater").proportion_ci(0.95).low
    assert bound >= floor[1]


def test_a_floor_that_no_threshold_keeps_is_refused_and_the_rule_stays_as_it_was():
    rule = TunedThreshold("recall", at_least=("precision", 0.5)).fit(*made(0, rows=1500), probabilities=True)
    before = rule.to_dict()
    message = (
        "a precision of at least 0.5 can't be promised with confidence 0.95 at any threshold, by 15 rows of "
        "class 0 and 5 of class 1; lower the floor"
    )
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        rule.fit(made(0)[0][:20], [1] * 5 + [0] * 15, probabilities=True)
    assert rule.to_dict() == before


def test_rows_of_one_class_are_refused():
    with pytest.raises(InvalidInputError, match="rows of both classes, got 0 of class 0 and 4 of class 1"):
        TunedThreshold("f1_score").fit([[0.5, 0.5]] * 4, [1] * 4, probabilities=True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, InvalidInputError, "give one of metric and cost, got neither; such as TunedThreshold("),
        ({"metric": "f1_score", "cost": COST}, InvalidInputError, "got both"),
        ({"metric": "f1"}, InvalidInputError, "metric must be one of accuracy, balanced_accuracy, f1_score"),
        ({"metric": "recall"}, InvalidInputError, 'such as at_least=("precision", 0.9)'),
        ({"metric": "precision"}, InvalidInputError, 'such as at_least=("recall", 0.9)'),
        ({"metric": "recall", "at_least": ("recall", 0.5)}, InvalidInputError, "recall alone is best"),
        (
            {"metric": "f1_score", "at_least": ("f1_score", 0.5)},
            InvalidInputError,
            "precision, recall, specif",
        ),
        (
            {"metric": "f1_score", "at_least": 0.5},
            UnsupportedTypeError,
            'such as ("precision", 0.9), got 0.5',
        ),
        (
            {"metric": "f1_score", "at_least": ("recall",)},
            UnsupportedTypeError,
            "such as (\"precision\", 0.9), got ('recall',)",
        ),
        ({"metric": "f1_score", "at_least": "r2"}, UnsupportedTypeError, "got 'r2'"),
        (
            {"metric": "f1_score", "at_least": ("recall", 1)},
            InvalidInputError,
            "least recall must lie between",
        ),
        ({"metric": "f1_score", "cv": 1}, InvalidInputError, "cv must be a whole number, 2 to "),
        ({"metric": "f1_score", "confidence": 95}, InvalidInputError, "confidence must lie between 0 and 1"),
        ({"cost": [[0, 1, 1], [1, 0, 1]]}, InvalidInputError, "two rows and two columns, got shape (2, 3)"),
        (
            {"cost": [[1, 0], [0, 1]]},
            InvalidInputError,
            "false alarms as cost[0][1] and misses as cost[1][0]",
        ),
        ({"cost": [[0, 1], [2, 2]]}, InvalidInputError, "misses as cost[1][0]"),
        ({"cost": [[1, 1], [2, 0]]}, InvalidInputError, "false alarms as cost[0][1]"),
    ],
)
def test_what_means_nothing_is_refused(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        TunedThreshold(**arguments)


def test_before_the_fit_and_for_more_classes():
    rule = TunedThreshold("f1_score")
    for use in (
        lambda: rule.decide([[0.5, 0.5]], probabilities=True),
        lambda: rule.value_,
        lambda: rule.interval_,
        rule.describe,
    ):
        with pytest.raises(NotFittedError, match="TunedThreshold must be fitted before use"):
            use()
    with pytest.raises(InvalidInputError, match="TunedThreshold is for 2 classes, got probabilities of 3"):
        rule.fit([[0.2, 0.3, 0.5]], [0], probabilities=True)


RULES = [rule_of("cost"), TunedThreshold("f1_score", at_least=("recall", 0.6), cv=3, confidence=0.9)]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_json(rule):
    rule.fit(*made(5), probabilities=True)
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert back.describe() == rule.describe()
    assert back.to_dict() == rule.to_dict()
    probabilities = made(6)[0]
    np.testing.assert_array_equal(
        back.decide(probabilities, probabilities=True).action,
        rule.decide(probabilities, probabilities=True).action,
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("threshold_", 1.5, "TunedThreshold.threshold_ must"),
        ("counts_", {"dtype": "<f8", "numbers": [[0, -1], [1, 1]]}, "counts_ must be counts of rows"),
        (
            "at_least",
            {"metric": "f1_score", "least": 0.5},
            "at_least.metric must be one of precision, recall",
        ),
        ("metric", None, "TunedThreshold can't be made of what was saved: give one of metric and cost"),
    ],
)
def test_a_damaged_rule_is_refused(field, value, message):
    state = TunedThreshold("f1_score").fit(*made(5), probabilities=True).to_dict() | {field: value}
    with pytest.raises(FileFormatError, match=re.escape(message)):
        Rule.from_dict(state)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_damaged_file_never_ends_in_another_error(rule):
    state = json.loads(json.dumps(rule.fit(*made(5), probabilities=True).to_dict(), allow_nan=False))
    refused = 0
    for other in damaged(state):
        try:
            Rule.from_dict(other).describe()
        except FileFormatError:
            refused += 1
    assert refused > 50


def test_it_says_what_it_learned():
    rule = TunedThreshold("f1_score").fit(*made(5), probabilities=True)
    low, high = rule.interval_
    assert rule.describe() == (
        f"TunedThreshold('f1_score'): class 1 from a probability of {rule.threshold_:.4g} on; f1_score "
        f"{rule.value_:.4g} on new rows (95% interval {low:.4g} to {high:.4g}; {rule.in_sample_:.4g} on the "
        "rows of the fit)"
    )


def outcomes_of(rule, probabilities, labels, weights=None):
    decision, most_likely = rule.decide(probabilities, probabilities=True), np.argmax(probabilities, axis=1)
    return Outcomes(probabilities, decision, labels, most_likely, ("fair", "fraud"), None, weights)


@pytest.mark.parametrize("name", FIGURES)
def test_weights_count_in_the_figure_and_equal_ones_change_nothing(name):
    probabilities, labels = made(9)
    weights = np.random.default_rng(0).integers(0, 4, labels.size)
    rule = rule_of(name).fit(probabilities, labels, sample_weight=weights, probabilities=True)
    repeated = rule_of(name).fit(
        np.repeat(probabilities, weights, axis=0), np.repeat(labels, weights), probabilities=True
    )
    assert rule.threshold_ == pytest.approx(repeated.threshold_)
    assert rule.in_sample_ == pytest.approx(repeated.in_sample_, rel=1e-12)
    assert rule.counts_.sum() == pytest.approx(weights.sum() ** 2 / (weights @ weights))
    equal = rule_of(name).fit(
        probabilities, labels, sample_weight=np.full(labels.size, 7.0), probabilities=True
    )
    unweighted = rule_of(name).fit(probabilities, labels, probabilities=True)
    assert equal.threshold_ == unweighted.threshold_
    assert equal.interval_ == pytest.approx(unweighted.interval_)
    outcomes = outcomes_of(rule, probabilities, labels, weights.astype(float))
    promise = rule.promises(outcomes, calibration_rows=9, draws=199)[0]
    assert promise.observed == pytest.approx(rule.in_sample_, rel=1e-12)


def promised(rule, probabilities, labels):
    most_likely = np.argmax(probabilities, axis=1)
    outcomes = Outcomes(
        probabilities, rule.decide(probabilities, probabilities=True), labels, most_likely, ("fair", "fraud")
    )
    return rule.promises(outcomes, calibration_rows=100, draws=1999)


@pytest.mark.parametrize("name", ["f1_score", "cost"])
def test_the_same_kind_of_rows_raise_no_more_alarms_than_they_may(name):
    p_values = []
    for seed in range(80):
        rule = rule_of(name).fit(*made(seed, rows=200), probabilities=True)
        p_values.append(promised(rule, *made(1000 + seed, rows=300))[0].p_value)
    assert np.mean(np.array(p_values) <= 0.2) <= stats.binom.ppf(0.999, 80, 0.2) / 80


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_worse_rows_are_found_out(rule):
    rule.fit(*made(5, rows=1000), probabilities=True)
    probabilities, labels = made(6)
    assert all(promise.p_value > 0.01 for promise in promised(rule, probabilities, labels))
    labels = np.random.default_rng(0).permutation(labels)
    worse = promised(rule, probabilities, labels)
    assert all(promise.p_value < 0.01 for promise in worse)
    taken = rule.decide(probabilities, probabilities=True).action
    assert worse[0].observed == pytest.approx(abs(FIGURES[rule.metric or "cost"](labels, taken)))
    assert worse[0].least_p_value == pytest.approx(1 / 2000)
    if rule.at_least:
        found, rows = int(taken[labels == 1].sum()), int(labels.sum())
        assert worse[1].words.startswith(f"{found} of the {rows} rows of 'fraud' are taken for it (")
        assert worse[1].p_value == pytest.approx(stats.binom.cdf(found, rows, 0.6))


@pytest.mark.parametrize("name", ["f1_score", "cost"])
def test_a_change_is_tested_by_every_permutation_of_old_and_new_pairs(name):
    rule = rule_of(name).fit(*made(5), probabilities=True)
    then, now = np.array([[20, 4], [3, 9]]), np.array([[15, 5], [6, 2]])
    rule.counts_, rule.widening_ = 4.0 * then, 4.0  # a quarter of the rows counts
    every = (then + now).ravel()
    cells = np.stack(np.meshgrid(*(np.arange(size + 1) for size in every[:3])), axis=-1).reshape(-1, 3)
    last = now.sum() - cells.sum(axis=1, keepdims=True)
    drawn = np.hstack([cells, last])[(last[:, 0] >= 0) & (last[:, 0] <= every[3])]

    def figure(table):
        if name == "cost":
            return -(table @ np.ravel(COST)) / table.sum(axis=1)
        found, wrong = 2 * table[:, 3], table[:, 1] + table[:, 2]
        return found / np.maximum(found + wrong, 1)  # 0 of 0 is 0

    worse = figure(every - drawn) - figure(drawn)
    observed = worse[(drawn == now.ravel()).all(axis=1)][0]
    law = stats.multivariate_hypergeom(every, int(now.sum())).pmf(drawn)
    expected = law[worse >= observed - 1e-9].sum()
    assert 0.01 < expected < 0.2
    assert law.sum() == pytest.approx(1)
    sums = np.append(now.ravel().astype(float), now.sum())
    promise = rule.promises_of_sums(sums, False, ("fair", "fraud"), 20_000)[0]
    assert promise.p_value == pytest.approx(expected, rel=0.5)  # 50 draws as large


def test_rows_of_one_class_can_tell_nothing():
    rule = TunedThreshold("f1_score").fit(*made(5), probabilities=True)
    assert promised(rule, [[0.9, 0.1]] * 5, np.zeros(5, int))[0].least_p_value == 1


def test_a_policy_with_it_is_audited_and_reported(tmp_path):
    probabilities, labels = made(7, rows=1000)
    policy = Policy(Identity(), rule_of("cost"))
    policy.fit(np.log(probabilities), labels, class_names=["fair", "fraud"])
    policy.save(tmp_path / "policy.json")
    policy = Policy.load(tmp_path / "policy.json")
    new, truth = made(8)
    assert policy.decide(np.log(new)).labels[0] in ("fair", "fraud")
    assert {check.promise for check in policy.audit(np.log(new), truth).checks} >= {"cost"}
    evaluation = evaluate(np.log(new), truth, policy=policy)
    paid = np.array(COST)[truth, policy.decide(np.log(new)).action].mean()
    assert evaluation.decided.mean_cost == pytest.approx(paid)
    assert evaluation.decided.expected_cost == policy.rule.value_
    evaluation.to_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "TunedThreshold" in text
    assert f"{paid:.4g}" in text


def test_metrics_of_many_tables_are_those_of_the_functions():
    from softmaxlib.metrics.binary_figures import BINARY_METRICS, binary_figure

    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(80, 2)), generator.integers(2, size=80)
    table = np.bincount(labels * 2 + logits.argmax(axis=1), minlength=4).reshape(2, 2).astype(float)
    for name in BINARY_METRICS:
        assert binary_figure(name, np.stack([table, table])) == pytest.approx(
            [getattr(metrics, name)(logits, labels)] * 2
        )
