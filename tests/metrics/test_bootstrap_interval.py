import numpy as np
import pytest
from scipy import stats

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning, UnsupportedTypeError
from softmaxlib.metrics._sums import mean_sums
from softmaxlib.metrics.bootstrap_interval import intervals_of_sums
from softmaxlib.metrics.normal_mean import stretch_of

from .made import made


def test_it_agrees_with_scipy_for_a_mean() -> None:
    p, labels = made(0, 400)
    losses = -np.log(p[np.arange(400), labels])
    expected = stats.bootstrap(
        (losses,), np.mean, n_resamples=4000, method="basic", rng=np.random.default_rng(0)
    )
    interval = metrics.bootstrap_interval(metrics.log_loss, p, labels, resamples=4000, probabilities=True)
    width = interval.upper - interval.lower
    assert interval.value == pytest.approx(losses.mean(), rel=1e-12)
    assert interval.lower == pytest.approx(expected.confidence_interval.low, abs=0.05 * width)
    assert interval.upper == pytest.approx(expected.confidence_interval.high, abs=0.05 * width)


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        (metrics.log_loss, {}),
        (metrics.brier_score, {}),
        (metrics.accuracy, {}),
        (metrics.top_k_accuracy, {"k": 2}),
        (metrics.calibration_error, {}),
        (metrics.calibration_error, {"scope": "classwise", "norm": "l2", "debiased": True}),
    ],
)
def test_sums_give_what_calling_the_metric_gives(metric, options: dict) -> None:
    p, labels = made(1, 300, sharpen=1.5)
    weights = np.random.default_rng(1).integers(0, 3, 300)

    def called(*arguments, **keywords) -> float:
        return metric(*arguments, **keywords)

    keywords = {"sample_weight": weights, "resamples": 800, "probabilities": True, **options}
    fast = metrics.bootstrap_interval(metric, p, labels, **keywords)
    slow = metrics.bootstrap_interval(called, p, labels, random_state=1, **keywords)
    width = slow.upper - slow.lower
    assert fast.value == slow.value
    assert fast.lower == pytest.approx(max(slow.lower, 0), abs=0.12 * width)
    assert fast.upper == pytest.approx(slow.upper, abs=0.12 * width)


@pytest.mark.parametrize(
    ("metric", "sharpen"),
    [(metrics.accuracy, 1.0), (metrics.log_loss, 1.0), (metrics.calibration_error, 2.5)],
)
def test_it_holds_the_truth_as_often_as_it_says(metric, sharpen: float) -> None:
    truth = metric(*made(999, 500_000, sharpen=sharpen), probabilities=True)
    held = 0
    for seed in range(120):
        interval = metrics.bootstrap_interval(
            metric, *made(seed, 800, sharpen=sharpen), level=0.9, resamples=200, probabilities=True
        )
        held += interval.lower <= truth <= interval.upper
    assert stats.binom.ppf(0.001, 120, 0.88) <= held <= stats.binom.ppf(0.999, 120, 0.92)


def test_groups_of_rows_are_as_good_as_rows() -> None:
    p, labels = made(2, 40_000)
    right = (p.argmax(axis=1) == labels).mean()
    interval = metrics.bootstrap_interval(metrics.accuracy, p, labels, resamples=4000, probabilities=True)
    deviation = np.sqrt(right * (1 - right) / 40_000)
    assert interval.upper - interval.lower == pytest.approx(2 * 1.96 * deviation, rel=0.08)


def test_the_ends_stay_within_the_range_of_the_metric() -> None:
    p, labels = made(3, 40, sharpen=20.0)
    for metric, largest in (
        (metrics.calibration_error, 1),
        (metrics.brier_score, 2),
        (metrics.accuracy, 1),
        (metrics.smooth_calibration_error, 1),
        (metrics.aurc, 1),
        (metrics.excess_aurc, 1),
        (metrics.augrc, 0.5),
    ):
        interval = metrics.bootstrap_interval(
            metric, p, labels, level=0.999, resamples=200, probabilities=True
        )
        assert 0 <= interval.lower <= interval.value <= interval.upper <= largest


def test_misuse_is_refused() -> None:
    p, labels = made(4)
    with pytest.raises(InvalidInputError, match=r"level must lie between 0 and 1, got 95; 0\.95 is usual"):
        metrics.bootstrap_interval(metrics.accuracy, p, labels, level=95)
    with pytest.raises(InvalidInputError, match="resamples must be a whole number, 2 to 100000000; got 1"):
        metrics.bootstrap_interval(metrics.accuracy, p, labels, resamples=1)
    with pytest.raises(InvalidInputError, match=r"random_state must be a whole number, .*; got -1"):
        metrics.bootstrap_interval(metrics.accuracy, p, labels, random_state=-1)
    with pytest.raises(UnsupportedTypeError, match=r"a function, such as metrics\.log_loss, got 'log_loss'"):
        metrics.bootstrap_interval("log_loss", p, labels)
    with pytest.raises(UnsupportedTypeError, match="one number, got BrierDecomposition; pass a function"):
        metrics.bootstrap_interval(metrics.brier_decomposition, p, labels, probabilities=True)

    def part(*rows: object, **options: object) -> float:
        return metrics.brier_decomposition(*rows, **options).calibration

    interval = metrics.bootstrap_interval(part, p, labels, resamples=20, probabilities=True)
    assert interval.value == part(p, labels, probabilities=True)
    with pytest.raises(InvalidInputError, match="bins must be a whole number"):
        metrics.bootstrap_interval(metrics.calibration_error, p, labels, n_bins=0)


def test_a_metric_that_is_infinite_has_no_interval() -> None:
    with (
        pytest.warns(SoftmaxlibWarning, match="log loss is infinite"),
        pytest.raises(InvalidInputError, match="must be finite to have an interval, got inf; pass logits"),
    ):
        metrics.bootstrap_interval(metrics.log_loss, [[1.0, 0.0]], [1], probabilities=True)


def test_few_heavy_rows_make_it_wider() -> None:
    """By the quantile of the t law with Satterthwaite's degrees of freedom, about the middle of the draws."""
    p, labels = made(3, 300)
    weights = np.where(np.arange(300) < 15, 30.0, 1.0)
    squares = weights**2
    degrees = squares.sum() ** 2 / (squares**2).sum() - 1
    expected = stats.t.ppf(0.975, degrees) / stats.t.ppf(0.975, 299)
    assert expected == pytest.approx(1.085, abs=0.001)
    assert stretch_of(weights, 0.95) == pytest.approx(expected, rel=1e-9)
    sums = mean_sums(-np.log(p[np.arange(300), labels]), weights)
    value = metrics.log_loss(p, labels, probabilities=True, sample_weight=weights)
    ((_, low, high, _),) = intervals_of_sums([(sums, value)], 300)
    found = metrics.bootstrap_interval(metrics.log_loss, p, labels, probabilities=True, sample_weight=weights)
    assert found.upper - found.lower == pytest.approx(expected * (high - low), rel=1e-9)
    assert found.lower < low < high < found.upper


@pytest.mark.parametrize("metric", [metrics.log_loss, metrics.roc_auc])
def test_equal_weights_are_none(metric) -> None:
    p, labels = made(3, 200, classes=2)
    keywords = {"probabilities": True, "resamples": 50}
    found = metrics.bootstrap_interval(metric, p, labels, sample_weight=np.full(200, 0.1), **keywords)
    assert found == pytest.approx(metrics.bootstrap_interval(metric, p, labels, **keywords), rel=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.aurc, metrics.calibration_error])
def test_rows_of_weight_0_are_not_drawn(metric) -> None:
    p, labels = made(3, 300)
    weights = np.where(np.arange(300) % 100 == 7, 2.0, 0.0)
    some, keywords = weights > 0, {"probabilities": True, "resamples": 50}
    found = metrics.bootstrap_interval(metric, p, labels, sample_weight=weights, **keywords)
    expected = metrics.bootstrap_interval(metric, p[some], labels[some], sample_weight=[2] * 3, **keywords)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.aurc])
@pytest.mark.parametrize(("first", "others"), [(1.0, 0.0), (1e300, 1.0), (1e4, 1.0)])
def test_one_row_has_no_interval(metric, first: float, others: float) -> None:
    p, labels = made(3, 300)
    weights = np.where(np.arange(300) == 7, first, others)
    found = metrics.bootstrap_interval(
        metric, p, labels, sample_weight=weights, probabilities=True, resamples=20
    )
    assert np.isnan([found.lower, found.upper]).all()
    alone = metrics.bootstrap_interval(metric, p[:1], labels[:1], probabilities=True, resamples=20)
    assert np.isnan([alone.lower, alone.upper]).all()
