"""Calibrations and rules have parameters as scikit-learn's estimators have."""

import numpy as np
import pytest

pytest.importorskip("sklearn.base")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from softmaxlib.calibration import Calibration, HistogramBinning, LogarithmicPool, TemperatureScaling
from softmaxlib.decisions import MinimumCost, PredictionSets, SelectiveRisk, Threshold, TopK
from softmaxlib.errors import InvalidInputError
from softmaxlib.sklearn import CalibratedClassifier

PARTS = [
    *(kind() for kind in Calibration.of_command_line().values()),
    LogarithmicPool([TemperatureScaling(), HistogramBinning()], [0.5, 0.5]),
    MinimumCost([[0, 1], [5, 0]], abstain_cost=0.2),
    PredictionSets("raps", 0.2, penalty=0.5),
    SelectiveRisk(0.1),
    Threshold([0.2, 0.7]),
    TopK(2),
]


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_clone_has_the_same_parameters(part):
    copied = clone(part)
    assert type(copied) is type(part)
    assert copied is not part
    assert repr(copied) == repr(part)
    assert list(part.get_params()) == list(part._settings)
    assert repr(clone(part).set_params(**part.get_params())) == repr(part)


def test_a_clone_is_not_fitted_and_set_params_checks():
    fitted = HistogramBinning(n_bins=3).fit(np.eye(2).repeat(20, axis=0) * 3, np.arange(2).repeat(20))
    assert not hasattr(clone(fitted), "class_count_")
    assert hasattr(fitted, "class_count_")
    assert fitted.set_params(n_bins=7).n_bins == 7
    with pytest.raises(InvalidInputError, match="has no parameter 'bins'; it has n_bins, scope"):
        fitted.set_params(bins=7)
    with pytest.raises(InvalidInputError, match="n_bins must be a whole number"):
        fitted.set_params(n_bins=0)
    assert fitted.n_bins == 7


def test_a_search_over_the_parameters_of_both():
    X, y = load_digits(n_class=3, return_X_y=True)
    model = CalibratedClassifier(GaussianNB(), HistogramBinning(), TopK(1))
    grid = {"method__n_bins": [2, 10], "rule__k": [1, 2]}
    search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3).fit(X, y)
    assert search.best_estimator_.calibration_.n_bins == search.best_params_["method__n_bins"]
    assert search.best_estimator_.rule_.k == search.best_params_["rule__k"]


def test_a_calibration_by_its_name():
    X, y = load_digits(n_class=3, return_X_y=True)
    model = CalibratedClassifier(GaussianNB(), method="isotonic").fit(X, y)
    assert type(model.calibration_).__name__ == "IsotonicScaling"
    with pytest.raises(InvalidInputError, match=r"must be a calibration or one of .*; got 'sig.*'vector'"):
        CalibratedClassifier(GaussianNB(), method="sigmoid").fit(X, y)
    with pytest.raises(InvalidInputError, match=r"cv must be a number .*got 'prefit'; .*FrozenEstimator"):
        CalibratedClassifier(GaussianNB(), cv="prefit").fit(X, y)
    with pytest.raises(TypeError, match=r"takes method=\.\.\. instead of calibration=\.\.\."):
        CalibratedClassifier(calibration="isotonic")
