import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from softmaxlib.errors import InvalidInputError
from softmaxlib.sklearn import SoftmaxClassifier


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_passes_scikit_learns_own_checks():
    results = check_estimator(SoftmaxClassifier(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) > 40


def test_one_class_is_refused():
    with pytest.raises(InvalidInputError, match=r"at least two classes, got one class"):
        SoftmaxClassifier().fit(np.eye(3), [1, 1, 1])
