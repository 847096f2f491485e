import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from softmaxlib.calibration import (
    Auto,
    Calibration,
    Identity,
    IsotonicScaling,
    LogarithmicPool,
    MatrixScaling,
    TemperatureScaling,
    VectorScaling,
)
from softmaxlib.calibration.pool_weights import pool_weights
from softmaxlib.errors import FileFormatError, InvalidInputError

from .test_laws import log_loss, sample


def floored(logits, floor):
    """log((1 - e) p + e / K), by its formula."""
    probabilities = np.exp(log_softmax(logits, axis=1))
    return np.log((1 - floor) * probabilities + floor / logits.shape[1])


def test_is_its_formula():
    logits, labels = sample(400, 4)
    pool = LogarithmicPool([TemperatureScaling(), IsotonicScaling()], [3, 1]).fit(logits, labels)
    first, second = (member.transform(logits) for member in pool.members)
    assert pool.floor_ == pytest.approx(0.001 / 401, rel=1e-12)
    expected = 0.75 * floored(first, pool.floor_) + 0.25 * floored(second, pool.floor_)
    np.testing.assert_allclose(pool.transform(logits), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_never_loses_more_than_its_members_on_average(seed):
    kinds, weights = [Identity, VectorScaling, IsotonicScaling], np.array([0.2, 0.5, 0.3])
    logits, labels = sample(300, 3, seed=seed)
    pool = LogarithmicPool([kind() for kind in kinds], weights).fit(logits, labels)
    judged = sample(2000, 3, seed=100 + seed)
    alone = [log_loss(kind().fit(logits, labels), *judged) for kind in kinds]
    assert log_loss(pool, *judged) < weights @ alone


def test_one_member_is_that_member():
    logits, labels = sample(300, 3)
    pool, alone = LogarithmicPool([MatrixScaling()]), MatrixScaling()
    alone.fit(logits, labels)
    expected = floored(alone.transform(logits), pool.fit(logits, labels).floor_)
    np.testing.assert_allclose(pool.transform(logits), expected, rtol=1e-12, atol=1e-12)


def test_no_member_has_a_veto():
    logits = np.array([[1e4, 0.0], [1e4, 0.0], [0.0, 1e4]] * 20)
    pool = LogarithmicPool([Identity(), TemperatureScaling()], [0.1, 0.9]).fit(logits, [0, 1, 1] * 20)
    assert pool.predict_proba([[0.0, 1e4]])[0, 0] > 0.01


def test_fit_leaves_what_was_given_alone():
    members = [TemperatureScaling(), VectorScaling()]
    pool = LogarithmicPool(members).fit(*sample(100, 3))
    assert not any(hasattr(member, "class_count_") for member in members)
    assert pool.describe() == "0.50 TemperatureScaling + 0.50 VectorScaling"
    assert LogarithmicPool(members, [1, 3]).describe() == "0.75 VectorScaling + 0.25 TemperatureScaling"


@pytest.mark.parametrize(
    ("members", "weights", "message"),
    [
        ([], None, "a pool must have 1 to 100 members, got 0"),
        ([Identity()], [1, 2], r"weights must be one number a member, 1, got 2"),
        ([Identity()], [-1.0], r"weights must be finite, at least 0 and not all 0, got \[-1.0\]"),
        ([Identity()], [0.0], "not all 0"),
        ([Auto()], None, "calibrations that contain no others, got Auto; give the members of"),
        ([LogarithmicPool()], None, "contain no others, got LogarithmicPool"),
        ([3], None, "members must be calibrations that contain no others, got int"),
    ],
)
def test_settings_are_checked(members, weights, message):
    with pytest.raises(InvalidInputError, match=message):
        LogarithmicPool(members, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": 3}, r"LogarithmicPool\.members must be a list of at most 100"),
        ({"weights": [1.0] * 101}, r"LogarithmicPool\.weights must be a list of at most 100"),
        ({"weights": [0.5, -0.5]}, r"LogarithmicPool\.weights\[1\] must be finite and in 0.0 to inf"),
        ({"weights": [1.0]}, r"LogarithmicPool can't be made of what was saved: weights must be one number"),
        ({"floor_": 2.0}, r"LogarithmicPool\.floor_ must be finite"),
    ],
)
def test_a_damaged_file_is_named(change, message):
    state = LogarithmicPool([Identity(), TemperatureScaling()]).fit(*sample(50, 3)).to_dict()
    with pytest.raises(FileFormatError, match=message):
        Calibration.from_dict(state | change)


def penalised_loss(share, logarithms, labels, weights):
    """Return the objective of the weights by its formula, for a plain minimiser."""
    rows = np.arange(len(labels))
    total = [-(weights @ one[rows, labels]) for one in logarithms]
    prior = np.exp(-np.array(total) / 4 + min(total) / 4)
    pooled = log_softmax(np.tensordot(share, logarithms, 1), axis=1)
    return -(weights @ pooled[rows, labels]) - 20 * (prior / prior.sum()) @ np.log(share)


def test_weights_minimise_the_penalised_loss():
    generator = np.random.default_rng(0)
    truth = 2 * generator.standard_normal((80, 3))
    labels = (truth + generator.gumbel(size=truth.shape)).argmax(axis=1)
    logarithms = log_softmax(truth + generator.standard_normal((4, 80, 3)), axis=2)
    weights = generator.uniform(0.5, 2, 80)
    found = pool_weights(list(logarithms), labels, weights)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    best = minimize(
        lambda free: penalised_loss(np.append(free, 1 - free.sum()), logarithms, labels, weights),
        np.full(3, 0.25),
        method="Nelder-Mead",
        bounds=[(0.001, 0.3)] * 3,
        options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 5000},
    )
    least = penalised_loss(found, logarithms, labels, weights)
    assert least <= best.fun + 1e-7


def test_few_rows_say_little_about_weights():
    generator = np.random.default_rng(1)
    logarithms = log_softmax(generator.standard_normal((2, 5, 3)), axis=2)
    few = pool_weights(list(logarithms), np.zeros(5, int), np.full(5, 1e-3))
    np.testing.assert_allclose(few, 0.5, atol=0.01)
