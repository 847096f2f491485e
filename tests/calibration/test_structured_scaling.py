"""VectorScaling and MatrixScaling: what they must find, and what must not ruin them."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from softmaxlib.calibration import (
    Identity,
    MatrixScaling,
    StructuredMatrixScaling,
    StructuredVectorScaling,
    TemperatureScaling,
    VectorScaling,
)
from softmaxlib.calibration.fit_rows import HeldRows
from softmaxlib.calibration.smoothing import Smoothing, candidate_smoothings
from softmaxlib.errors import SoftmaxlibWarning

from .test_laws import log_loss, sample

KINDS = [VectorScaling, MatrixScaling]


def truth_and_labels(rows, classes, change, seed=0):
    """Network logits, and labels drawn from softmax(change(logits))."""
    generator = np.random.default_rng(seed)
    logits = 3 * generator.standard_normal((rows, classes))
    truth = log_softmax(change(log_softmax(logits, axis=1)), axis=1)
    return logits, (truth + generator.gumbel(size=truth.shape)).argmax(axis=1), truth


def excess(calibration, logits, truth):
    """Kullback-Leibler divergence from the truth to the calibrated probabilities, in nats."""
    return (np.exp(truth) * (truth - np.log(calibration.predict_proba(logits)))).sum(axis=1).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_finds_factors_and_offsets(kind):
    scale, offset = np.array([0.3, 0.6, 0.9, 0.5]), np.array([1.0, 0.0, -1.0, 0.0])
    logits, labels, truth = truth_and_labels(3000, 4, lambda x: x * scale + offset)
    unchanged = excess(TemperatureScaling().fit(logits, labels), logits, truth)
    assert excess(kind().fit(logits, labels), logits, truth) < 0.05 * unchanged


def test_finds_a_matrix():
    matrix = np.array([[0.6, 0.3, 0, 0], [0, 0.5, 0, -0.3], [0, 0, 0.6, 0], [0.2, 0, 0, 0.5]])
    logits, labels, truth = truth_and_labels(4000, 4, lambda x: x @ matrix.T)
    vector = excess(VectorScaling().fit(logits, labels), logits, truth)
    assert excess(MatrixScaling().fit(logits, labels), logits, truth) < 0.15 * vector


@pytest.mark.parametrize(("kind", "offsets"), [(VectorScaling, 1.5), (MatrixScaling, 2.5)])
@pytest.mark.parametrize(("rows", "classes"), [(200, 3), (300, 30), (2000, 10)])
def test_costs_little_where_temperature_scaling_is_the_truth(kind, offsets, rows, classes):
    """Free parameters cost 1 / (2 rows) each; all K^2 of them may cost no more than a few per class."""
    logits, labels, truth = truth_and_labels(rows, classes, lambda x: x / 2)
    assert excess(kind().fit(logits, labels), logits, truth) < offsets * classes / (2 * rows)


@pytest.mark.parametrize("kind", KINDS)
def test_label_noise_becomes_the_floor(kind):
    logits, labels, _ = truth_and_labels(6000, 4, lambda x: 2 * x)
    generator = np.random.default_rng(1)
    noisy = np.where(generator.random(6000) < 0.2, generator.integers(0, 4, 6000), labels)
    assert kind().fit(logits, noisy).floor_ == pytest.approx(0.2, abs=0.03)
    assert kind().fit(logits, labels).floor_ < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_underflowed_probabilities_do_no_harm(kind):
    logits, labels = sample(1000, 4)
    holes = np.random.default_rng(2).random(logits.shape) < 0.05
    holes[np.arange(1000), labels] = False
    broken = np.where(holes, -1e30, logits)
    fitted = kind().fit(broken, labels)
    assert log_loss(fitted, broken, labels) < log_loss(
        TemperatureScaling().fit(logits, labels), logits, labels
    )


@pytest.mark.parametrize("kind", KINDS)
def test_separable_rows_and_absent_classes(kind):
    logits = np.random.default_rng(0).standard_normal((40, 5))
    logits[:, 4] -= 9
    fitted = kind().fit(logits, logits.argmax(axis=1))  # and no warning: the priors keep it finite
    assert log_loss(fitted, logits, logits.argmax(axis=1)) < log_loss(
        Identity().fit(logits, [0] * 40), logits, logits.argmax(axis=1)
    )
    assert (fitted.predict_proba(logits)[:, 4] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_row(kind):
    with pytest.warns(SoftmaxlibWarning, match="all 1 rows are of class 0"):
        probabilities = kind().fit([[2.0, 0.0]], [0]).predict_proba([[2.0, 0.0]])
    assert 0.5 < probabilities[0, 0] < 1


def test_smoothing_is_its_formula():
    logits = sample(20, 5)[0]
    expected = np.log(0.9 * np.exp(log_softmax(logits / 2, axis=1)) + 0.1 / 5)
    np.testing.assert_allclose(Smoothing(2.0, 0.1)(logits), expected, rtol=1e-12)


def test_the_likely_smoothing_maximises_the_likelihood():
    logits, labels = sample(3000, 4)
    labels[::5] = np.random.default_rng(3).integers(0, 4, 600)
    found = candidate_smoothings(HeldRows(logits, labels, np.ones(3000)))[-1]

    def objective(free):
        smoothing = Smoothing(float(np.exp(free[0])), float(1 / (1 + np.exp(-free[1]))))
        return -smoothing(logits)[np.arange(3000), labels].sum() - np.log(smoothing.floor)

    best = minimize(objective, [0.5, -2.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
    assert found.temperature == pytest.approx(np.exp(best.x[0]), rel=1e-3)
    assert found.floor == pytest.approx(1 / (1 + np.exp(-best.x[1])), rel=1e-3)


@pytest.mark.parametrize(("name", "best"), [("wideresnet_cifar10", 0.231), ("densenet_cifar100", 0.872)])
def test_real_networks_gain(real_predictions, name, best):
    """Structured vector scaling as published reaches `best` on this split."""
    logits, labels = real_predictions(name)
    order = np.random.default_rng(0).permutation(len(labels))
    fit, judge = order[:5000], order[5000:]
    fitted = VectorScaling().fit(logits[fit], labels[fit])
    assert log_loss(fitted, logits[judge], labels[judge]) < best


def test_a_real_network_gains_more_by_a_matrix(real_predictions):
    logits, labels = real_predictions("wideresnet_cifar10")
    order = np.random.default_rng(0).permutation(len(labels))
    fit, judge = order[:5000], order[5000:]
    vector, matrix = (kind().fit(logits[fit], labels[fit]) for kind in KINDS)
    assert log_loss(matrix, logits[judge], labels[judge]) < log_loss(vector, logits[judge], labels[judge])


def penalised(weight, intercept, z, labels):
    """The mean log loss with the penalties of Berta and others, by their formula."""
    rows, classes = z.shape
    output = (z * weight if weight.ndim == 1 else z @ weight.T) + intercept
    loss = -log_softmax(output, axis=1)[np.arange(rows), labels].mean()
    diagonal = weight if weight.ndim == 1 else np.diag(weight)
    aside = 0.0 if weight.ndim == 1 else (weight**2).sum() - (diagonal**2).sum()
    by_class = classes * ((intercept**2).sum() + ((diagonal - 1) ** 2).sum())
    return loss + (by_class + classes * (classes - 1) * aside) / rows


@pytest.mark.parametrize("kind", [StructuredVectorScaling, StructuredMatrixScaling])
def test_fixed_penalties_are_minimised(kind):
    logits, labels, _ = truth_and_labels(300, 4, lambda x: x * [0.3, 0.6, 0.9, 0.5] + [1, 0, -1, 0])
    fitted = kind().fit(logits, labels)
    assert fitted.temperature_ == TemperatureScaling().fit(logits, labels).temperature_
    assert fitted.floor_ == pytest.approx(1 / 301, rel=1e-12)
    z = Smoothing(fitted.temperature_, fitted.floor_)(logits)
    shape = (4,) if kind is StructuredVectorScaling else (4, 4)
    unchanged = np.ones(4) if len(shape) == 1 else np.eye(4)

    def objective(free):
        return penalised(free[4:].reshape(shape), free[:4], z, labels)

    start = np.append(np.zeros(4), unchanged.ravel())
    least = minimize(objective, start, method="BFGS", options={"gtol": 1e-7}).fun
    weight = fitted.scale_ if len(shape) == 1 else fitted.matrix_
    assert penalised(weight, fitted.intercept_, z, labels) == pytest.approx(least, rel=1e-8)
    assert least < objective(start) - 0.05


@pytest.mark.parametrize(
    ("kind", "name", "peer"),
    [
        (StructuredVectorScaling, "wideresnet_cifar10", "svs"),
        (StructuredMatrixScaling, "wideresnet_cifar10", "sms"),
        (StructuredVectorScaling, "densenet_cifar100", "svs"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # what the peer imports
def test_fixed_penalties_are_those_of_probmetrics(real_predictions, kind, name, peer):
    calibrators = pytest.importorskip("probmetrics.calibrators")
    logits, labels = (part[::5] for part in real_predictions(name))
    other = calibrators.get_calibrator(peer, svs_print_init_info=False, sms_print_init_info=False)
    other.fit(np.exp(log_softmax(logits, axis=1)), labels)
    expected = other.predict_proba(np.exp(log_softmax(logits, axis=1)))
    found = kind().fit(logits, labels).predict_proba(logits)
    rows = np.arange(len(labels))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    losses = [-np.log(each[rows, labels]).mean() for each in (found, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
