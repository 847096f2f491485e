"""The parameters of vector and matrix scaling: their effect on the logits, and their evidence."""

import numpy as np
import pytest
from scipy.special import log_softmax

from softmaxlib.calibration import diagonal_design, full_design, probing
from softmaxlib.calibration.designs import COMMON, DIAGONAL, GROUPS, INTERCEPT, OFF_DIAGONAL, Features
from softmaxlib.calibration.diagonal_design import DiagonalDesign
from softmaxlib.calibration.full_design import FullDesign
from softmaxlib.calibration.layout import Layout
from softmaxlib.calibration.likelihood import Rows

from .test_laws import sample

ALL = slice(0, None)


def features(rows, classes, seed):
    """Features whose center and size are of no special value."""
    generator = np.random.default_rng(seed)
    layout = Layout.of(rows)
    standard = layout.columns(generator.standard_normal((rows, classes)))
    return Features(standard, generator.standard_normal(classes), 1.7, layout)


def rows_of(rows, classes, seed=6):
    generator = np.random.default_rng(seed)
    return Rows(generator.integers(0, classes, rows), generator.exponential(size=rows), classes)


def calibrated(design, parameters):
    return design.features.layout.undone(design.calibrated(parameters, ALL))


@pytest.fixture(params=[DiagonalDesign, FullDesign], ids=lambda design: design.__name__)
def design(request):
    return request.param(features(50, 4, seed=4))


def without_parameters(design):
    return calibrated(design, np.zeros(len(design.groups)))


def test_without_parameters_a_design_changes_nothing(design):
    standard, center, size, layout = design.features
    np.testing.assert_allclose(without_parameters(design), center + size * layout.undone(standard))


def test_a_design_is_a_linear_function_of_the_log_probabilities(design):
    parameters = np.random.default_rng(5).standard_normal(len(design.groups))
    weight, intercept = design.linear(parameters)
    logits = without_parameters(design)
    moved = logits * weight if weight.ndim == 1 else logits @ weight.T
    np.testing.assert_allclose(moved + intercept, calibrated(design, parameters), rtol=1e-10)


def test_features_about_certainty_are_the_same_numbers():
    logits = log_softmax(sample(50, 4)[0], axis=1)
    about_doubt = Features.of(logits, np.ones(50))
    about_certainty = about_doubt.about_certainty()
    assert not about_certainty.center.any()
    for made in (about_doubt, about_certainty, about_doubt.some(np.arange(50))):
        standard = made.layout.undone(made.standard)
        np.testing.assert_allclose(made.center + made.size * standard, logits, atol=1e-12)


def test_some_rows_of_features():
    some = np.arange(3, 290, 7)
    made = features(300, 4, seed=4)
    found = made.some(some)
    np.testing.assert_array_equal(
        found.layout.undone(found.standard), made.layout.undone(made.standard)[some]
    )


def test_gradient_of_a_design_is_the_transpose_of_its_output(design):
    generator = np.random.default_rng(5)
    parameters, residual = generator.standard_normal(len(design.groups)), generator.standard_normal((50, 4))
    change = calibrated(design, parameters) - without_parameters(design)
    laid_out = design.features.layout.columns(residual)
    assert np.vdot(change, residual) == pytest.approx(parameters @ design.gradient(laid_out, ALL))


@pytest.mark.parametrize("rows", [50, 700])
@pytest.mark.parametrize("kind", [DiagonalDesign, FullDesign])
def test_the_loss_is_its_formula_and_the_gradient_its_derivative(kind, rows):
    design, labelled = kind(features(rows, 4, seed=4)), rows_of(rows, 4)
    parameters = 0.3 * np.random.default_rng(5).standard_normal(len(design.groups))

    def loss(at):
        logarithm = log_softmax(calibrated(design, at), axis=1)
        return -(labelled.sample_weight @ logarithm[np.arange(rows), labelled.labels])

    found, gradient = design.loss_and_gradient(labelled, parameters)
    assert found == pytest.approx(loss(parameters), rel=1e-12)
    steps = 1e-5 * np.eye(len(parameters))
    expected = [(loss(parameters + step) - loss(parameters - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-4)


def test_groups_of_a_design(design):
    moved = [calibrated(design, row) - without_parameters(design) for row in np.eye(len(design.groups))]
    for group, change in zip(design.groups, moved, strict=True):
        assert (np.ptp(change, axis=0) < 1e-12).all() == (group == INTERCEPT)
        assert np.count_nonzero(abs(change).max(axis=0) > 1e-12) == (4 if group == COMMON else 1)
    assert {INTERCEPT, DIAGONAL, COMMON} <= set(design.groups)
    assert (design.groups == COMMON).tolist() == [False] * (len(design.groups) - 1) + [True]


def second_derivatives(design, rows, parameters):
    """By finite differences of the gradient."""
    steps = 1e-5 * np.eye(len(design.groups))
    slopes = [
        [design.loss_and_gradient(rows, parameters + sign * step)[1] for sign in (1, -1)] for step in steps
    ]
    return np.array([(up - down) / 2e-5 for up, down in slopes])


def matrix_of(curvature, precision):
    """The matrix that coordinates stand for."""
    coordinates = curvature.coordinates(precision)
    turned = np.stack([coordinates.of(row) for row in np.eye(len(precision))])
    return turned @ turned.T - np.diag(precision)


@pytest.mark.parametrize("rows", [50, 700])
@pytest.mark.parametrize("kind", [DiagonalDesign, FullDesign])
def test_the_curvature_is_that_of_finite_differences(kind, rows):
    design, labelled = kind(features(rows, 4, seed=4)), rows_of(rows, 4)
    parameters = 0.3 * np.random.default_rng(6).standard_normal(len(design.groups))
    expected = second_derivatives(design, labelled, parameters)
    found = matrix_of(design.curvature(labelled, parameters), np.ones(len(parameters)))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("blocks", [0, 200])
@pytest.mark.parametrize("module", [diagonal_design, full_design], ids=["diagonal", "full"])
def test_with_many_classes_the_curvature_is_a_part_of_it(monkeypatch, module, blocks):
    kind = DiagonalDesign if module is diagonal_design else FullDesign
    monkeypatch.setattr(module, "_EXACT_PARAMETERS", 0)
    monkeypatch.setattr(full_design, "_MOST_BLOCKS", blocks)
    design, labelled = kind(features(300, 4, seed=4)), rows_of(300, 4)
    parameters = 0.3 * np.random.default_rng(6).standard_normal(len(design.groups))
    expected = second_derivatives(design, labelled, parameters)
    found = matrix_of(design.curvature(labelled, parameters), np.ones(len(parameters)))
    known = np.abs(found) > 1e-8
    known[-1, -1] = False  # the common factor's is an estimate
    assert known.sum() == (4 * 5 * 5 if kind is FullDesign and blocks else len(parameters) - 1)
    np.testing.assert_allclose(found[known], expected[known], atol=1e-5 * np.abs(expected).max())


def evidence_of(design, rows, parameters, precision):
    curvature = design.curvature(rows, parameters)
    return design.evidence(rows, parameters, precision, curvature.coordinates(precision))


def test_evidence_is_that_of_finite_differences(design):
    generator = np.random.default_rng(6)
    labelled, parameters = rows_of(50, 4), 0.3 * generator.standard_normal(len(design.groups))
    precision = 1 / generator.exponential(size=len(design.groups)) ** 2
    found = evidence_of(design, labelled, parameters, precision)
    posterior = second_derivatives(design, labelled, parameters) + np.diag(precision)
    remaining = np.diag(np.linalg.inv(posterior)) * precision
    expected = np.bincount(design.groups, 1 - remaining, GROUPS)
    np.testing.assert_allclose(found.known, expected, rtol=1e-5, atol=1e-8)
    determinant = np.linalg.slogdet(posterior).logabsdet - np.log(precision).sum()
    assert found.log_determinant == pytest.approx(determinant, rel=1e-5)


def test_with_many_classes_what_lies_between_them_matters_little(monkeypatch):
    labelled, made = rows_of(400, 60), features(400, 60, seed=4)
    design = DiagonalDesign(made)
    precision = np.array([0.5, 0.4, 1.0, 1.0])[design.groups] ** -2.0
    parameters = np.zeros(len(design.groups))
    exact = evidence_of(design, labelled, parameters, precision)
    monkeypatch.setattr(diagonal_design, "_EXACT_PARAMETERS", 0)
    within = evidence_of(DiagonalDesign(made), labelled, parameters, precision)
    np.testing.assert_allclose(within.known[:COMMON], exact.known[:COMMON], rtol=0.05)
    assert within.log_determinant == pytest.approx(exact.log_determinant, rel=0.05)


@pytest.mark.parametrize("blocks", [0, 200])
def test_probes_estimate_what_is_exact(monkeypatch, blocks):
    labelled, made = rows_of(400, 15), features(400, 15, seed=7)
    design = FullDesign(made)
    precision = np.array([0.5, 0.4, 0.2, 1.0])[design.groups] ** -2.0
    parameters = np.zeros(len(design.groups))
    exact = evidence_of(design, labelled, parameters, precision)
    monkeypatch.setattr(full_design, "_EXACT_PARAMETERS", 0)
    monkeypatch.setattr(full_design, "_MOST_BLOCKS", blocks)
    monkeypatch.setattr(probing, "_PROBES", 100)
    probed = evidence_of(FullDesign(made), labelled, parameters, precision)
    assert probed.log_determinant == pytest.approx(exact.log_determinant, rel=0.01)
    for group in (INTERCEPT, DIAGONAL, OFF_DIAGONAL):
        assert probed.known[group] == pytest.approx(exact.known[group], rel=0.03)
