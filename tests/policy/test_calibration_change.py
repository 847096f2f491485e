import numpy as np
import pytest
from scipy import stats

from softmaxlib.metrics.predictions import Predictions
from softmaxlib.policy._calibration_change import _grouped, calibration_change
from softmaxlib.policy.figures import Reliability

from .made import rare_positives, sure_classes

DRAWS = 9999


def one_bin(rows: int, wrong: int, stated_wrong: float) -> Reliability:
    counts = np.array([float(rows)])
    return Reliability(np.array([]), counts, counts * (1 - stated_wrong), counts - wrong)


@pytest.mark.parametrize("made", [rare_positives, sure_classes])
@pytest.mark.parametrize(("fitted", "new"), [(5000, 200), (5000, 500), (500, 5000)])
def test_an_unchanged_model_is_told_otherwise_no_more_often_than_stated(made, fitted, new) -> None:
    generator = np.random.default_rng(0)
    rejected = 0
    for _ in range(200):
        then = Reliability.of(Predictions.of_logits(*made(fitted, generator)))
        now = Reliability.of(Predictions.of_logits(*made(new, generator)), then.edges)
        rejected += calibration_change(then, now, DRAWS)[0] <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 200, 0.05)


@pytest.mark.parametrize(("wrong_then", "wrong_now"), [(7, 3), (40, 1), (2, 2)])
def test_with_equal_confidence_it_is_the_hypergeometric_law(wrong_then: int, wrong_now: int) -> None:
    law = stats.hypergeom(1200, wrong_then + wrong_now, 200)
    support = np.arange(wrong_then + wrong_now + 1)
    far = np.abs(support - law.mean()) >= abs(wrong_now - law.mean()) - 1e-9
    expected = law.pmf(support)[far].sum()
    p_value, _ = calibration_change(one_bin(1000, wrong_then, 0.01), one_bin(200, wrong_now, 0.01), DRAWS)
    assert p_value == pytest.approx(expected, rel=4 / np.sqrt(50))


def test_another_confidence_shifts_what_is_expected() -> None:
    """Fisher's noncentral law: stated odds of being wrong are three times as large, and so are mistakes."""
    then, now = one_bin(1000, 20, 0.02), one_bin(300, 18, 0.06)
    odds = (0.06 / 0.94) / (0.02 / 0.98)
    law = stats.nchypergeom_fisher(1300, 38, 300, odds)
    support = np.arange(39)
    far = np.abs(support - law.mean()) >= abs(18 - law.mean()) - 1e-9
    p_value, _ = calibration_change(then, now, DRAWS)
    assert p_value == pytest.approx(law.pmf(support)[far].sum(), rel=4 / np.sqrt(50))
    assert p_value > 0.5
    assert calibration_change(then, one_bin(300, 18, 0.02), DRAWS)[0] < 0.01


def test_twice_as_many_mistakes_are_found_among_few() -> None:
    """30 of 5,000 were wrong; 12 of 500 are."""
    p_value, least = calibration_change(one_bin(5000, 30, 0.006), one_bin(500, 12, 0.006), DRAWS)
    assert p_value < 0.001
    assert least == 1 / (DRAWS + 1)


def test_rows_that_can_not_tell_say_so() -> None:
    p_value, least = calibration_change(one_bin(10, 0, 0.1), one_bin(1, 0, 0.1), DRAWS)
    assert p_value == 1
    assert least == pytest.approx(1 / 11)  # had the one row been wrong: one chance in eleven


def test_a_bin_without_new_rows_says_nothing_of_the_least_p_value() -> None:
    """Give one doubtful row and no sure one."""
    doubtful, sure = 0.5, 1e-4
    then = Reliability(
        np.array([0.9]),
        np.array([10.0, 1000.0]),
        np.array([10 * doubtful, 1000 * (1 - sure)]),
        np.array([10.0, 1000.0]),
    )
    now = Reliability(np.array([0.9]), np.array([1.0, 0.0]), np.array([doubtful, 0.0]), np.array([1.0, 0.0]))
    share = (10 * doubtful + 1000 * sure) / 1010
    together = (1 - share) / share / ((1 - share) / share + 1010)
    assert together > 1 / 11
    assert calibration_change(then, now, DRAWS)[1] == pytest.approx(2 / 11)


def test_certainty_is_no_division_by_zero() -> None:
    assert calibration_change(one_bin(100, 0, 0.0), one_bin(100, 1, 0.0), DRAWS)[0] > 0.4
    assert calibration_change(one_bin(100, 0, 0.0), one_bin(100, 30, 0.0), DRAWS)[0] < 0.001
    assert calibration_change(one_bin(100, 100, 1.0), one_bin(100, 0, 0.0), DRAWS)[0] == 1  # as stated


def test_the_same_rows_have_the_same_p_value() -> None:
    generator = np.random.default_rng(1)
    then = Reliability.of(Predictions.of_logits(*sure_classes(500, generator)))
    now = Reliability.of(Predictions.of_logits(*sure_classes(500, generator)), then.edges)
    assert calibration_change(then, now, DRAWS) == calibration_change(then, now, DRAWS)


def test_a_law_of_very_many_rows_is_cut_where_nothing_is_left(monkeypatch):
    from softmaxlib.policy import _calibration_change

    bins = (900_000, 200_000, 0.25, 700_000, 160_000, 0.27)
    whole = _calibration_change._bin(*bins)
    monkeypatch.setattr(_calibration_change, "_WIDEST", 60_000)
    cut = _calibration_change._bin(*bins)
    assert cut.support.size <= 60_001 < whole.support.size
    kept = np.isin(whole.support, cut.support)
    assert whole.probability[~kept].sum() < 1e-300
    np.testing.assert_allclose(cut.probability, whole.probability[kept], rtol=1e-9, atol=1e-300)
    assert whole.support[whole.probability.argmax()] in cut.support[29_000:31_001]
    assert _calibration_change._least_of_bin(*bins) == 0.0


@pytest.mark.parametrize(
    ("variances", "groups"),
    [
        ([1, 1, 0.5], [0, 1, 1]),
        ([1, 1], [0, 1]),
        ([0.5, 0.5, 0.25, 0.5, 0.125], [0, 0, 0, 0, 0]),
        ([0.5, 0.5, 0.25, 0.5, 0.25], [0, 0, 1, 1, 1]),
        ([3, 0.5, 2, 0.25], [0, 1, 1, 1]),
    ],
)
def test_bins_are_joined_until_each_group_varies_by_one(variances, groups) -> None:
    assert _grouped(np.array(variances, float)).tolist() == groups
