"""The classifier's optimum against scikit-learn's, and what fit accepts and refuses."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import logsumexp
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from softmaxlib import softmax
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError
from softmaxlib.sklearn import SoftmaxClassifier

IRIS, SPECIES = load_iris(return_X_y=True)


def _objective(model, features, label, C=1.0, row_weight=1.0):
    logits = features @ model.coef_.T + model.intercept_
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(label)), label]
    return C * (row_weight * losses).sum() + 0.5 * (model.coef_**2).sum()


def _problem(rows, columns, classes, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)) * rng.uniform(0.1, 10, size=columns)
    logits = features @ (rng.normal(size=(classes, columns)) * 0.2).T
    return features, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_passes_scikit_learns_own_checks():
    results = check_estimator(SoftmaxClassifier(), on_skip=None)
    others = {result["check_name"] for result in results if result["status"] != "passed"}
    assert others <= {"check_array_api_input"}  # tried in a process of its own, beside CalibratedClassifier's
    assert len(results) > 40


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_reaches_the_optimum_of_scikit_learn(C, fit_intercept):
    features, label = _problem(400, 6, 4)
    ours = SoftmaxClassifier(C=C, fit_intercept=fit_intercept).fit(features, label)
    reference = LogisticRegression(C=C, fit_intercept=fit_intercept, tol=1e-10, max_iter=10_000)
    theirs = reference.fit(features, label)
    best = _objective(theirs, features, label, C)
    assert _objective(ours, features, label, C) <= best * (1 + 1e-8)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(features), atol=1e-5)


def test_reaches_the_optimum_on_digits():
    features, label = load_digits(return_X_y=True)
    ours = SoftmaxClassifier().fit(features, label)
    loose = LogisticRegression(max_iter=10_000).fit(features, label)
    assert _objective(ours, features, label) <= _objective(loose, features, label)
    gradient = softmax(ours.logits(features))
    gradient[np.arange(len(label)), label] -= 1
    # The objective is convex, and 1-strongly so in the weights: |gradient|^2 / 2 bounds its distance.
    slope = gradient.T @ features + ours.coef_
    assert np.abs(gradient.sum(axis=0)).max() < 1e-5
    assert 0.5 * (slope**2).sum() <= 1e-8 * _objective(ours, features, label)


def test_many_rows_start_from_a_sample_and_end_at_the_optimum():
    features, label = _problem(40_000, 5, 3)
    ours = SoftmaxClassifier().fit(features, label)
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000).fit(features, label)
    assert _objective(ours, features, label) <= _objective(theirs, features, label) * (1 + 1e-8)
    assert ours.n_iter_ <= 5
    again = SoftmaxClassifier().fit(features, label)
    np.testing.assert_array_equal(ours.coef_, again.coef_)


def test_two_classes_are_logistic_regression():
    features, label = IRIS[50:], SPECIES[50:]
    ours = SoftmaxClassifier().fit(features, label)
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000).fit(features, label)
    np.testing.assert_allclose(
        ours.decision_function(features), theirs.decision_function(features), atol=1e-4
    )
    assert ours.logits(features).shape == (100, 2)
    np.testing.assert_allclose(
        np.diff(ours.logits(features))[:, 0], ours.decision_function(features), rtol=1e-12
    )


def test_balanced_classes_are_weighted_rows():
    label = np.array(["a", "b", "c"])[SPECIES]
    keep = np.r_[0:50, 50:70, 100:110]
    balanced = SoftmaxClassifier(class_weight="balanced").fit(IRIS[keep], label[keep])
    weight = np.repeat(80 / 3 / np.array([50, 20, 10]), [50, 20, 10])
    weighted = SoftmaxClassifier().fit(IRIS[keep], label[keep], sample_weight=weight)
    np.testing.assert_allclose(balanced.coef_, weighted.coef_, rtol=1e-6, atol=1e-8)
    assert list(balanced.classes_) == ["a", "b", "c"]


@pytest.mark.parametrize("columns", [30, 900])
def test_sparse_features(columns):
    rng = np.random.default_rng(3)
    features = scipy.sparse.csr_array(
        np.where(rng.random((500, columns)) < 0.05, rng.random((500, columns)), 0.0)
    )
    label = rng.integers(0, 3, size=500)
    sparse = SoftmaxClassifier(tol=1e-12).fit(features, label)
    dense = SoftmaxClassifier(tol=1e-12).fit(features.toarray(), label)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-7)
    np.testing.assert_allclose(
        sparse.predict_proba(features), dense.predict_proba(features.toarray()), atol=1e-7
    )


def test_warm_start_continues():
    model = SoftmaxClassifier(warm_start=True).fit(IRIS, SPECIES)
    first = model.n_iter_
    assert model.fit(IRIS, SPECIES).n_iter_ < first
    with pytest.raises(
        InvalidInputError, match=r"\(classes, features\) = \(3, 4\), got \(3, 2\); set warm_start=False"
    ):
        model.fit(IRIS[:, :2], SPECIES)


def test_features_of_wildly_different_scales():
    features = IRIS * [1e-4, 1, 1e4, 1] + [0, 1e5, 0, 0]
    ours = SoftmaxClassifier(C=1e3).fit(features, SPECIES)
    gradient = softmax(ours.logits(features))
    gradient[np.arange(150), SPECIES] -= 1
    slope = 1e3 * gradient.T @ features + ours.coef_
    scale = 1e3 * np.abs(gradient).T @ np.abs(features)
    assert (np.abs(slope) <= 1e-6 * scale.max(axis=0)).all()


def test_log_probabilities_of_confident_rows():
    model = SoftmaxClassifier(C=1e4).fit(IRIS, SPECIES)
    surest = model.predict_log_proba(IRIS * 3).max(axis=1)
    assert (surest < 0).any()
    assert surest.max() <= 0


def test_what_is_refused():
    with pytest.raises(InvalidInputError, match=r"at least two classes, got one class"):
        SoftmaxClassifier().fit(np.eye(3), [1, 1, 1])
    for name in ("C", "tol"):
        with pytest.raises(InvalidInputError, match=rf"{name} must be greater than 0, got -1"):
            SoftmaxClassifier(**{name: -1}).fit(IRIS, SPECIES)
    with pytest.raises(UnsupportedTypeError, match=r"C must be one real number, got 'a'"):
        SoftmaxClassifier(C="a").fit(IRIS, SPECIES)
    with pytest.raises(InvalidInputError, match=r"C must be at least 1e-300, got 1e-310.*raise C"):
        SoftmaxClassifier(C=1e-310).fit(IRIS, SPECIES)
    with pytest.raises(InvalidInputError, match=r"max_iter must be a whole number, at least 1; got -1"):
        SoftmaxClassifier(max_iter=-1).fit(IRIS, SPECIES)
    with pytest.raises(
        InvalidInputError, match=r"class_weight must be finite and not negative, got -1.0 for"
    ):
        SoftmaxClassifier(class_weight={0: -1.0, 1: 1.0, 2: 1.0}).fit(IRIS, SPECIES)
    with pytest.raises(InvalidInputError, match=r"sample_weight times class_weight must not be zero in all"):
        SoftmaxClassifier(class_weight={0: 0.0, 1: 1.0, 2: 1.0}).fit(IRIS, SPECIES, SPECIES == 0)


def test_weights_at_the_end_of_the_range():
    expected = SoftmaxClassifier(C=np.inf, tol=1e-12).fit(IRIS[:, :2], SPECIES).predict_proba(IRIS[:, :2])
    got = (
        SoftmaxClassifier(tol=1e-12).fit(IRIS[:, :2], SPECIES, np.full(150, 1e308)).predict_proba(IRIS[:, :2])
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("columns", [slice(0, 1), slice(0, 2)])
@pytest.mark.parametrize("exponent", [200, 480, 1015])
def test_large_features_are_those_without_a_penalty(exponent, columns):
    """Multiplied by a large number, a feature has small weights, which are not penalised."""
    features = IRIS[:, :2] - IRIS[:, :2].mean(axis=0)
    large = features.copy()
    large[:, columns] *= 2.0**exponent
    if columns == slice(0, 2):
        expected = SoftmaxClassifier(C=np.inf, tol=1e-12).fit(features, SPECIES)
    else:  # a feature of a million has next to no penalty either
        expected = SoftmaxClassifier(tol=1e-12).fit(features * [1e6, 1.0], SPECIES)
        features = features * [1e6, 1.0]
    for kind in (np.asarray, scipy.sparse.csr_array):
        model = SoftmaxClassifier(tol=1e-12).fit(kind(large), SPECIES)
        np.testing.assert_allclose(model.predict_proba(large), expected.predict_proba(features), atol=1e-6)


def test_too_few_steps_are_told():
    with pytest.warns(ConvergenceWarning, match=r"not at the minimum after max_iter=2 steps.*raise max_iter"):
        SoftmaxClassifier(max_iter=2).fit(IRIS, SPECIES)
