"""Scores of a classifier: one for each class, and never those of pairs of classes."""

import pytest

pytest.importorskip("sklearn.base")

from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from softmaxlib.errors import InvalidInputError
from softmaxlib.sklearn import CalibratedClassifier


def made(classes):
    return make_classification(
        400, n_features=6, n_informative=6, n_redundant=0, n_classes=classes, flip_y=0.05, random_state=0
    )


OVO = SVC(decision_function_shape="ovo")
PAIRS = {
    "three classes": (OVO, 3),
    "four classes": (OVO, 4),
    "a pipeline": (make_pipeline(StandardScaler(), OVO), 3),
    "a search": (GridSearchCV(make_pipeline(StandardScaler(), OVO), {"svc__C": [1]}), 3),
    "a bag": (BaggingClassifier(OVO, n_estimators=3), 3),
    "the end of a stack": (StackingClassifier([("bayes", GaussianNB())], OVO), 3),
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("case", PAIRS)
def test_scores_of_pairs_of_classes_are_refused(case, frozen):
    estimator, classes = PAIRS[case]
    X, y = made(classes)
    estimator = FrozenEstimator(clone(estimator).fit(X, y)) if frozen else estimator
    pairs = classes * (classes - 1) // 2
    message = (
        rf"estimator must give one score for each of its {classes} classes, got scores of shape \(400, "
        rf"{pairs}\) from decision_function of .*, one for each pair of classes; "
        'set decision_function_shape="ovr"'
    )
    with pytest.raises(InvalidInputError, match=message):
        CalibratedClassifier(estimator).fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "classes"),
    [(SVC(), 4), (OVO, 2), (OneVsRestClassifier(OVO), 3), (StackingClassifier([("svc", OVO)]), 3)],
    ids=["of classes", "of two classes", "of each class against the rest", "of a stack upon them"],
)
def test_other_scores_are_those_of_classes(estimator, classes):
    X, y = made(classes)
    model = CalibratedClassifier(estimator).fit(X[::2], y[::2])
    alone = clone(estimator).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > alone.score(X[1::2], y[1::2]) - 0.03


def test_scores_of_another_number_than_of_the_classes_are_refused():
    class Short(GaussianNB):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, :2]

    X, y = load_iris(return_X_y=True)
    message = r"each of its 3 classes, got scores of shape \(150, 2\) from predict_proba of Short; pass a"
    with pytest.raises(InvalidInputError, match=message):
        CalibratedClassifier(Short()).fit(X, y)
