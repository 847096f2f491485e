import copy
import warnings

import numpy as np
import pytest
from scipy.special import log_softmax

from softmaxlib.calibration import (
    Auto,
    Calibration,
    Identity,
    LogarithmicPool,
    MatrixScaling,
    StructuredMatrixScaling,
    StructuredVectorScaling,
    TemperatureScaling,
    VectorScaling,
)
from softmaxlib.calibration import auto as auto_module
from softmaxlib.errors import FileFormatError, InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError

from .test_laws import log_loss, sample


def shares(fitted):
    """The weight of each candidate in what was chosen."""
    chosen = fitted.calibration_
    if not isinstance(chosen, LogarithmicPool):
        return {type(chosen).__name__: 1.0}
    return {
        type(member).__name__: weight for member, weight in zip(chosen.members, chosen.weights, strict=True)
    }


def test_finds_a_temperature_where_it_is_the_truth():
    logits, labels = sample(1000, 3, temperature=3.0)
    new_logits, new_labels = sample(20_000, 3, temperature=3.0, seed=1)
    fitted, alone = Auto().fit(logits, labels), TemperatureScaling().fit(logits, labels)
    assert fitted.log_losses_["TemperatureScaling"] < fitted.log_losses_["Identity"] - 0.1
    assert log_loss(fitted, new_logits, new_labels) < 1.002 * log_loss(alone, new_logits, new_labels)


def test_takes_a_curve_where_only_a_curve_helps():
    generator = np.random.default_rng(0)
    truth = generator.uniform(-3, 3, 3000)
    labels = (generator.random(3000) < 1 / (1 + np.exp(-truth))).astype(int)
    leap = np.stack([np.zeros(3000), truth + 8 * np.sign(truth)], axis=1)
    found = shares(Auto().fit(leap, labels))
    assert found["IsotonicScaling"] + found["VennAbers"] > 0.9


def test_two_classes_have_candidates_of_their_own():
    logits, labels = sample(300, 3)
    known = Auto().fit(logits, labels).log_losses_
    assert not {"BetaCalibration", "VennAbers"} & set(known)
    fitted = Auto().fit(*sample(300, 2))
    assert {"BetaCalibration", "VennAbers"} <= set(fitted.log_losses_)
    again = Calibration.from_dict(fitted.to_dict())
    assert again.log_losses_ == fitted.log_losses_


def test_beta_scores_of_two_classes_are_found_out():
    """Scores that beta distributions made, which are too sure at one end alone."""
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=4000)
    scores = np.where(labels == 1, generator.beta(3, 0.6, 4000), generator.beta(1, 2, 4000))
    scores = np.clip(scores, 1e-12, 1 - 1e-12)
    logits = np.log(scores) - np.log1p(-scores)
    fitted = Auto().fit(logits[:2000], labels[:2000])
    assert fitted.log_losses_["BetaCalibration"] < fitted.log_losses_["VectorScaling"]
    assert shares(fitted)["BetaCalibration"] > 0.1


def test_pools_what_comes_close_and_gains_by_it(real_predictions):
    logits, labels = real_predictions("wideresnet_cifar10")
    fitted = Auto().fit(logits[:5000], labels[:5000])
    found = shares(fitted)
    assert found.keys() >= {"MatrixScaling", "StructuredMatrixScaling"}
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    assert min(found.values()) > 0.05
    losses = fitted.log_losses_
    assert losses["LogarithmicPool"] == min(losses.values())
    judged = logits[5000:], labels[5000:]
    alone = [log_loss(member, *judged) for member in fitted.calibration_.members]
    assert log_loss(fitted, *judged) < np.mean(alone)


def test_log_losses_are_those_of_rows_left_out():
    logits, labels = sample(1000, 3)
    identity = -log_softmax(logits, axis=1)[np.arange(1000), labels].mean()
    assert Auto().fit(logits, labels).log_losses_["Identity"] == pytest.approx(identity, rel=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_never_worse_on_its_own_rows_than_the_identity(seed):
    logits, labels = sample(3 + 2 * seed, 3, temperature=1.0, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)
        fitted = Auto().fit(logits, labels)
    identity = Identity().fit(logits, labels)
    assert log_loss(fitted, logits, labels) <= log_loss(identity, logits, labels) + 1e-12


@pytest.mark.parametrize("rows", [1, 2])
def test_hardly_any_rows(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)
        fitted = Auto().fit(2 * np.eye(3)[:rows], np.arange(rows))
    assert np.isfinite(fitted.transform(2 * np.eye(3))).all()


def test_says_why():
    fitted = Auto().fit(*sample(600, 3))
    chosen = type(fitted.calibration_).__name__
    assert fitted.reason_.startswith(f"{chosen} has the least log loss on left-out rows, ")
    assert f", as {fitted.calibration_.describe()}; then " in fitted.reason_
    assert fitted.reason_.endswith(f"{max(fitted.log_losses_.values()):.4f}")


def test_says_what_it_passed_over():
    fitted = Auto().fit(*sample(600, 3))
    fitted.calibration_ = Identity().fit(*sample(600, 3))
    assert "of those that lose nothing on the fitting rows (" in fitted.reason_


def test_the_seed_decides_the_folds():
    logits, labels = sample(150, 3)
    first, same, other = (Auto(random_state=seed).fit(logits, labels).log_losses_ for seed in (1, 1, 2))
    assert first == same
    assert first["MatrixScaling"] != other["MatrixScaling"]


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("cv", 1, InvalidInputError, "2 to 9223372036854775807; got 1"),
        ("cv", 2.5, UnsupportedTypeError, "got 2.5; write 5, not 5.0"),
        ("cv", 2**63, InvalidInputError, "2 to 9223372036854775807; got 9223372036854775808"),
        ("random_state", -1, InvalidInputError, "0 to 9223372036854775807; got -1"),
    ],
)
def test_settings_are_checked(name, value, error, words):
    with pytest.raises(error, match=f"{name} must be a whole number, {words}"):
        Auto(**{name: value})


def test_a_file_can_not_nest_without_end():
    state = Auto().fit(*sample(100, 3)).to_dict()
    with pytest.raises(FileFormatError, match=r"Auto\.calibration_\.class must be .* got 'Auto'"):
        Calibration.from_dict(state | {"calibration_": state})
    state["calibration_"] = Identity().fit(*sample(10, 4)).to_dict()
    with pytest.raises(FileFormatError, match=r"class_count_ must be 3, got 4"):
        Calibration.from_dict(state)


@pytest.fixture(scope="module")
def many_classes():
    with pytest.warns(SoftmaxlibWarning, match="60 rows are fewer than the 448 classes"):
        return Auto(cv=2).fit(*sample(60, 448))


def test_matrix_scaling_is_left_out_where_it_costs_too_much(many_classes):
    assert "MatrixScaling" not in many_classes.log_losses_
    assert many_classes.reason_.endswith(
        "; StructuredMatrixScaling and MatrixScaling were left out: with 448 classes, "
        "rows * classes^2 is above 200,000,000"
    )


def test_the_rule_of_cost_is_as_documented():
    assert "MatrixScaling" in auto_module._affordable(5000, 200)
    assert "MatrixScaling" not in auto_module._affordable(5000, 201)
    assert "MatrixScaling" in auto_module._affordable(2000, 316)
    assert "MatrixScaling" in auto_module._affordable(1, 447)
    assert "MatrixScaling" not in auto_module._affordable(1, 448)


@pytest.mark.parametrize(
    ("classes", "rows"), [(2, 500_000), (100, 10_000), (200, 5000), (1000, 5000), (5000, 1000)]
)
def test_the_choice_uses_as_many_rows_as_documented(classes, rows):
    assert auto_module._enough_rows(classes) == rows
    if classes <= 200:
        assert "MatrixScaling" in auto_module._affordable(rows, classes)


def test_a_file_says_what_was_left_out_and_nothing_else_may_be(many_classes):
    state = many_classes.to_dict()
    assert state["log_losses_"]["MatrixScaling"] is None
    assert state["log_losses_"]["StructuredMatrixScaling"] is None
    assert Calibration.from_dict(state).reason_ == many_classes.reason_
    with pytest.raises(FileFormatError, match=r"Auto\.log_losses_\.Identity must be"):
        Calibration.from_dict(state | {"log_losses_": state["log_losses_"] | {"Identity": None}})
    with pytest.raises(FileFormatError, match=r"Auto\.log_losses_ must be a JSON object, got 3"):
        Calibration.from_dict(state | {"log_losses_": 3})


def test_a_file_can_not_choose_what_was_left_out():
    state = Auto().fit(*sample(100, 3)).to_dict()
    state["calibration_"] = MatrixScaling().fit(*sample(100, 3)).to_dict()
    state["log_losses_"]["MatrixScaling"] = None
    with pytest.raises(FileFormatError, match=r"must be one of those in log_losses_ .* got MatrixScaling"):
        Calibration.from_dict(state)


def test_folds_that_start_from_another_find_the_same():
    """Each fold alone, from scratch, comes to the same log loss."""
    logits, labels = sample(1000, 5)
    fitted = Auto().fit(logits, labels)
    rows, fold = fitted._assign_folds(labels, 5)
    assert (rows == np.arange(1000)).all()
    for kind in (VectorScaling, MatrixScaling, StructuredVectorScaling, StructuredMatrixScaling):
        alone = [
            log_loss(
                kind().fit(logits[fold != part], labels[fold != part]),
                logits[fold == part],
                labels[fold == part],
            )
            for part in range(5)
        ]
        assert fitted.log_losses_[kind.__name__] == pytest.approx(np.mean(alone), rel=2e-3)


def test_the_final_fit_is_that_of_the_members_alone():
    logits, labels = sample(1000, 3)
    pool = Auto().fit(logits, labels).calibration_
    assert isinstance(pool, LogarithmicPool)
    for member in pool.members:
        assert member.to_dict() == type(member)().fit(logits, labels).to_dict()


def test_a_pool_in_a_file_holds_no_pool():
    state = Auto().fit(*sample(300, 3)).to_dict()
    inner = state["calibration_"]
    inner["members"][0] = copy.deepcopy(inner)
    with pytest.raises(FileFormatError, match=r"members\[0\]\.class must be .* got 'LogarithmicPool'"):
        Calibration.from_dict(state)
