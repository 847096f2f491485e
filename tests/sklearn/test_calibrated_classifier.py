"""CalibratedClassifier: scikit-learn's own checks, its tools around it, and what calibration is for."""

import copy
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("sklearn.base")

import sklearn
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_predict, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from softmaxlib import Policy, softmax
from softmaxlib.calibration import Auto, TemperatureScaling, VectorScaling
from softmaxlib.decisions import MinimumCost, MostLikely, SelectiveRisk, TunedThreshold
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError
from softmaxlib.sklearn import CalibratedClassifier, SoftmaxClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    return X, names[y]


@pytest.mark.filterwarnings("ignore:no finite temperature is best:softmaxlib.errors.SoftmaxlibWarning")
@pytest.mark.filterwarnings(
    "ignore:TemperatureScaling has little to learn from:softmaxlib.errors.SoftmaxlibWarning"
)
@parametrize_with_checks([CalibratedClassifier()])
def test_scikit_learns_own_checks(estimator, check):
    if check.func.__name__ != "check_array_api_input":  # which needs a process of its own: see below
        check(estimator)


@pytest.mark.parametrize("name", ["CalibratedClassifier", "SoftmaxClassifier"])
def test_scikit_learns_own_check_of_arrays_of_other_libraries(name):
    """SciPy reads SCIPY_ARRAY_API once, when it is imported."""
    program = f"""
        from sklearn.utils.estimator_checks import estimator_checks_generator
        from softmaxlib.sklearn import {name}
        checks = [one for one in estimator_checks_generator({name}()) if "check_array_api" in str(one[1])]
        for estimator, check in checks:
            check(estimator)
        print("checked", len(checks))
    """
    environment = os.environ | {
        "SCIPY_ARRAY_API": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "checked 1\n", done.stderr[-4000:]


@pytest.mark.parametrize(
    "estimator", [GaussianNB(), RandomForestClassifier(20, random_state=0), SVC(gamma=0.001)], ids=str
)
def test_calibration_lowers_the_log_loss_on_new_rows(digits, estimator):
    X, y = digits
    model = CalibratedClassifier(estimator).fit(X[:900], y[:900])
    raw = model.estimator_
    if hasattr(raw, "predict_proba"):
        before = np.log(np.maximum(raw.predict_proba(X[900:]), model.floor_))
    else:
        before = raw.decision_function(X[900:])
    after = model.predict_proba(X[900:])
    assert log_loss(y[900:], after) < log_loss(y[900:], softmax(before))
    np.testing.assert_array_equal(model.predict(X[900:]), model.classes_[after.argmax(axis=1)])


def test_a_fitted_classifier_stays_as_it_is_and_all_rows_calibrate_it(digits):
    X, y = digits
    raw = GaussianNB().fit(X[:600], y[:600])
    model = CalibratedClassifier(FrozenEstimator(raw), VectorScaling()).fit(X[600:1200], y[600:1200])
    probabilities = raw.predict_proba(X)
    given = probabilities[600:1200]
    logits = np.log(np.maximum(probabilities, max(given[given > 0].min() / 2, 5e-324)))
    label = np.searchsorted(raw.classes_, y)
    expected = VectorScaling().fit(logits[600:1200], label[600:1200]).predict_proba(logits[1200:])
    np.testing.assert_allclose(model.predict_proba(X[1200:]), expected, rtol=1e-9)


def test_two_classes_take_the_decision_function_as_the_lead_of_the_second():
    X, y = make_classification(300, random_state=0)
    raw = LogisticRegression().fit(X, y)
    model = CalibratedClassifier(FrozenEstimator(raw)).fit(X, y)
    lead = raw.decision_function(X) / model.calibration_.temperature_
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-lead)), rtol=1e-12)


def test_a_rule_that_learns_gets_rows_that_the_calibration_has_not_seen(digits):
    X, y = digits
    seen = {}

    class Spying(TemperatureScaling):
        def fit(self, logits, labels, sample_weight=None):
            seen["rows"] = len(labels)
            return super().fit(logits, labels, sample_weight)

    model = CalibratedClassifier(
        GaussianNB(), Spying(), SelectiveRisk(0.15, 0.9), random_state=3, abstained_label="ask"
    )
    model.fit(X[:1200], y[:1200])
    assert 500 < seen["rows"] < 700
    decision = model.decide(X[1200:])
    assert 0 < decision.abstained.mean() < 1
    kept = ~decision.abstained
    predicted = model.predict(X[1200:])
    np.testing.assert_array_equal(predicted[kept], model.classes_[decision.action[kept]])
    assert (predicted[~kept] == "ask").all()
    assert decision.labels.tolist() == [None if name == "ask" else name for name in predicted.tolist()]
    most_likely = model.classes_[model.predict_proba(X[1200:]).argmax(axis=1)]
    assert accuracy_score(y[1200:][kept], predicted[kept]) > accuracy_score(y[1200:], most_likely)
    # a row set aside is a wrong one
    assert model.score(X[1200:], y[1200:]) == (predicted[kept] == y[1200:][kept]).sum() / len(kept)
    weights = np.where(kept, 1, 3)
    assert model.score(X[1200:], y[1200:], weights) == np.average(predicted == y[1200:], weights=weights)
    model.set_params(abstained_label=None)
    with pytest.raises(InvalidInputError, match=f"no class for {(~kept).sum()} of the {len(kept)} rows"):
        model.predict(X[1200:])
    with pytest.raises(InvalidInputError, match=r"call decide\(X\), or set abstained_label=\.\.\."):
        model.predict(X[1200:])


@pytest.mark.parametrize(
    ("names", "label", "kind"), [([3, 7], -1, "i"), ([3, 7], "ask", "O"), (["no", "yes"], "perhaps", "U")]
)
def test_a_row_set_aside_gets_a_label_that_keeps_the_classes_as_they_are(names, label, kind):
    X, y = make_classification(300, random_state=0)
    rule = MinimumCost(1 - np.eye(2), abstain_cost=0.2)
    model = CalibratedClassifier(rule=rule, abstained_label=label).fit(X, np.array(names)[y])
    aside = model.decide(X).abstained
    predicted = model.predict(X)
    assert 0 < aside.mean() < 1
    assert predicted.dtype.kind == kind
    assert set(predicted[aside].tolist()) == {label}
    assert set(predicted[~aside].tolist()) == set(names)


def test_zeros_of_a_forest_are_taken_as_half_the_smallest_positive_vote():
    """The floor that Policy has: with 1e-6 a few rows voted impossible rule the temperature."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 700)
    X = y[:, None] + 0.7 * rng.normal(size=(700, 4))
    forest = RandomForestClassifier(20, random_state=0).fit(X[:200], y[:200])
    model = CalibratedClassifier(FrozenEstimator(forest)).fit(X[200:450], y[200:450])
    votes = forest.predict_proba(X[200:450])
    assert (votes == 0).any()
    assert model.floor_ == votes[votes > 0].min() / 2 == pytest.approx(0.025)
    with pytest.warns(SoftmaxlibWarning, match="exactly 0"):
        policy = Policy(TemperatureScaling(), MostLikely()).fit(votes, y[200:450], probabilities=True)
    new = forest.predict_proba(X[450:])
    np.testing.assert_allclose(
        model.predict_proba(X[450:]), policy.predict_proba(new, probabilities=True), rtol=1e-12
    )
    floored = np.log(np.maximum(votes, 1e-6))
    before = TemperatureScaling().fit(floored, y[200:450]).predict_proba(np.log(np.maximum(new, 1e-6)))
    assert log_loss(y[450:], model.predict_proba(X[450:])) < log_loss(y[450:], before)


@pytest.mark.parametrize("kind", [CalibratedClassifier, SoftmaxClassifier])
def test_a_fit_that_fails_leaves_what_was_fitted(kind):
    X, y = make_classification(100, random_state=0)
    model = kind().fit(X, y)
    before = dict(vars(model))
    for wrong in ((X[:, :3], np.zeros(100)), (X[:50, :4], y[:49]), (np.full((100, 2), np.nan), y)):
        with pytest.raises(ValueError):
            model.fit(*wrong)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items())


def test_a_rule_with_actions_of_its_own_has_decide_but_no_predict(digits):
    X, y = digits
    cost = np.column_stack([np.ones((10, 10)) - np.eye(10), np.full(10, 0.0)])  # an 11th action, always best
    model = CalibratedClassifier(GaussianNB(), rule=MinimumCost(cost)).fit(X[:500], y[:500])
    assert (model.decide(X[500:600]).action == 10).all()
    with pytest.raises(
        InvalidInputError,
        match=r"the 10 classes, and the actions of this rule are 0, 1, 2, .*, 10; call decide",
    ):
        model.predict(X[500:600])


def test_without_a_rule_there_is_no_decide():
    assert not hasattr(CalibratedClassifier(), "decide")
    assert hasattr(CalibratedClassifier(rule=MinimumCost(1 - np.eye(2))), "decide")


def test_pipeline_grid_search_and_cross_validation(digits):
    X, y = digits[0][:600], digits[1][:600]
    pipeline = make_pipeline(StandardScaler(), CalibratedClassifier(GaussianNB()))
    grid = {"calibratedclassifier__estimator__var_smoothing": [1e-9, 1e-1]}
    search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=3).fit(X, y)
    assert search.best_params_["calibratedclassifier__estimator__var_smoothing"] == 1e-1
    probabilities = cross_val_predict(search.best_estimator_, X, y, cv=3, method="predict_proba")
    raw = cross_val_predict(make_pipeline(StandardScaler(), GaussianNB()), X, y, cv=3, method="predict_proba")
    assert log_loss(y, probabilities) < log_loss(y, raw)


def test_metadata_routing_takes_sample_weight_where_it_was_requested(digits):
    X, y = digits[0][:400], digits[1][:400]
    weight = np.where(y == "nine", 5.0, 1.0)
    fitted = {}

    class Recorder(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            fitted["weight"] = sample_weight
            return super().fit(X, y, sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        asking = CalibratedClassifier(Recorder().set_fit_request(sample_weight=True))
        asking.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        cross_validate(asking, X, y, params={"sample_weight": weight}, cv=3, error_score="raise")
        assert fitted["weight"] is not None
        fitted.clear()
        deaf = CalibratedClassifier(Recorder().set_fit_request(sample_weight=False))
        deaf.set_fit_request(sample_weight=True).fit(X, y, sample_weight=weight)
        assert fitted["weight"] is None
        plain = CalibratedClassifier(GaussianNB().set_fit_request(sample_weight=False)).fit(X, y)
    assert deaf.calibration_.temperature_ != plain.calibration_.temperature_


def test_what_the_user_gave_is_left_alone(digits):
    X, y = digits[0][:300], digits[1][:300]
    calibration, estimator = Auto(cv=2), GaussianNB()
    CalibratedClassifier(estimator, calibration, cv=2).fit(X, y)
    assert not hasattr(calibration, "class_count_")
    assert not hasattr(estimator, "classes_")


def test_a_classifier_without_scores_and_wrong_folds_are_refused(digits):
    class Mute(GaussianNB):
        predict_proba = property()
        predict_joint_log_proba = property()

    X, y = digits[0][:100], digits[1][:100]
    with pytest.raises(UnsupportedTypeError, match="must have decision_function or predict_proba, got Mute"):
        CalibratedClassifier(Mute()).fit(X, y)
    with pytest.raises(InvalidInputError, match="cv must be a whole number, at least 2, got 1"):
        CalibratedClassifier(cv=1).fit(X, y)
    with pytest.raises(InvalidInputError, match="cv must leave out each row once, and row 50 is 0 times"):
        CalibratedClassifier(GaussianNB(), cv=[(np.arange(50, 100), np.arange(50))]).fit(X, y)


def test_the_splits_can_be_given_as_scikit_learn_has_them(digits):
    X, y = digits[0][:400], digits[1][:400]
    splitter = StratifiedKFold(3)
    model = CalibratedClassifier(cv=splitter).fit(X, y)
    logits = cross_val_predict(SoftmaxClassifier(tol=1e-13), X, y, cv=splitter, method="decision_function")
    expected = TemperatureScaling().fit(logits, np.unique(y, return_inverse=True)[1])
    assert model.calibration_.temperature_ == expected.temperature_
    same = CalibratedClassifier(cv=list(splitter.split(X, y))).fit(X, y)
    assert same.calibration_.temperature_ == model.calibration_.temperature_


def test_score_counts_what_the_rule_decides_and_weights_reach_the_rule():
    X, y = make_classification(600, weights=[0.9], flip_y=0.1, random_state=0)
    rule = MinimumCost.binary(false_positive=1, false_negative=9)
    model = CalibratedClassifier(GaussianNB(), rule=rule).fit(X, y)
    taken = model.predict_proba(X)[:, 1] > 0.1
    np.testing.assert_array_equal(model.predict(X), taken.astype(int))
    assert model.score(X, y) == (taken == y).mean()
    assert model.score(X, y) < (model.predict_proba(X).argmax(axis=1) == y).mean()
    tuned = CalibratedClassifier(FrozenEstimator(GaussianNB().fit(X, y)), rule=TunedThreshold("f1_score"))
    weights = np.where(y == 1, 5.0, 1.0)
    expected = copy.deepcopy(tuned).fit(X, y, sample_weight=weights)
    for_rule = np.random.default_rng(0).random(len(y)) < 0.5
    rows = expected.predict_proba(X[for_rule])
    alone = TunedThreshold("f1_score").fit(
        rows, y[for_rule], sample_weight=weights[for_rule], probabilities=True
    )
    assert expected.rule_.threshold_ == pytest.approx(alone.threshold_, rel=1e-9)
    unweighted = TunedThreshold("f1_score").fit(rows, y[for_rule], probabilities=True)
    assert alone.threshold_ != unweighted.threshold_


IRIS, SPECIES = load_iris(return_X_y=True)


def frozen(labels):
    return CalibratedClassifier(FrozenEstimator(GaussianNB().fit(IRIS, labels)))


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: frozen(SPECIES * 2).fit(IRIS, SPECIES), InvalidInputError, "0, 2, 4; got 1 in row 50"),
        (lambda: frozen(SPECIES).fit(IRIS, SPECIES - 1), InvalidInputError, "0, 1, 2; got -1 in row 0"),
        (
            lambda: frozen(SPECIES).fit(IRIS, SPECIES.astype(str)),
            InvalidInputError,
            "y must hold classes of the fitted estimator, 0, 1, 2; got '0' in row 0",
        ),
        (
            lambda: CalibratedClassifier(GaussianNB(), cv=KFold(3)).fit(IRIS, SPECIES),
            InvalidInputError,
            "every class must have rows outside each part of cv, and class 0 has none outside the part",
        ),
        (
            lambda: CalibratedClassifier(GaussianNB(), cv=[]).fit(IRIS, SPECIES),
            InvalidInputError,
            "cv must leave out each row once, and row 0 is 0 times",
        ),
        (
            lambda: CalibratedClassifier(LinearRegression()).fit(IRIS, SPECIES),
            UnsupportedTypeError,
            "estimator must be a classifier, with classes_ after fit, got LinearRegression",
        ),
        (
            lambda: CalibratedClassifier(GaussianNB(), rule="most").fit(IRIS, SPECIES),
            UnsupportedTypeError,
            r"rule must be a Rule, such as MostLikely\(\), got 'most'",
        ),
        (lambda: CalibratedClassifier(rule=MostLikely()).decide(IRIS), NotFittedError, "not fitted yet"),
        (
            lambda: frozen(SPECIES).fit(IRIS, SPECIES).score(IRIS, SPECIES[:9]),
            ValueError,
            r"inconsistent numbers of samples: \[150, 9\]",
        ),
        (
            lambda: frozen(SPECIES).fit(IRIS, SPECIES).score(IRIS, SPECIES, np.zeros(150)),
            InvalidInputError,
            "sample_weight must not be all zero",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_masks_and_columns_are_taken_as_scikit_learn_takes_them():
    even = np.arange(150) % 2 == 0
    numbers = [np.flatnonzero(~even), np.flatnonzero(even)]
    by_mask = CalibratedClassifier(GaussianNB(), cv=[(even, ~even), (~even, even)]).fit(IRIS, SPECIES)
    by_number = CalibratedClassifier(GaussianNB(), cv=[numbers, numbers[::-1]]).fit(IRIS, SPECIES)
    np.testing.assert_array_equal(by_mask.predict_proba(IRIS), by_number.predict_proba(IRIS))
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        share = by_mask.score(IRIS, SPECIES[:, None])
    assert share == by_mask.score(IRIS, SPECIES) > 0.9
