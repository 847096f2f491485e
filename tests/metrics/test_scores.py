import mpmath
import numpy as np
import pytest
import sklearn.metrics

from softmaxlib import metrics
from softmaxlib.activations import softmax
from softmaxlib.errors import InvalidInputError, SoftmaxlibWarning

SCORES = [
    metrics.log_loss,
    metrics.brier_score,
    metrics.accuracy,
    metrics.top_k_accuracy,
    metrics.calibration_error,
]


def made(seed: int, rows: int = 400, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, classes)) * 3, generator.integers(0, classes, rows)


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10", "densenet_cifar100"])
def test_scores_agree_with_scikit_learn(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    probabilities = softmax(logits)
    columns = range(logits.shape[1])
    expected = {
        metrics.log_loss: sklearn.metrics.log_loss(labels, probabilities, labels=columns),
        metrics.brier_score: sklearn.metrics.brier_score_loss(
            labels, probabilities, labels=columns, scale_by_half=False
        ),
        metrics.accuracy: sklearn.metrics.accuracy_score(labels, probabilities.argmax(axis=1)),
        metrics.top_k_accuracy: sklearn.metrics.top_k_accuracy_score(labels, logits, k=5, labels=columns),
    }
    for metric, figure in expected.items():
        assert metric(logits, labels) == pytest.approx(figure, abs=1e-9), metric.__name__
        assert metric(probabilities, labels, probabilities=True) == pytest.approx(figure, abs=1e-9)


def test_weighted_scores_agree_with_scikit_learn() -> None:
    logits, labels = made(0)
    weight = np.random.default_rng(1).exponential(size=labels.size)
    probabilities = softmax(logits)
    log_loss = sklearn.metrics.log_loss(labels, probabilities, sample_weight=weight)
    brier = sklearn.metrics.brier_score_loss(labels, probabilities, sample_weight=weight, scale_by_half=False)
    assert metrics.log_loss(logits, labels, sample_weight=weight) == pytest.approx(log_loss, rel=1e-12)
    assert metrics.brier_score(logits, labels, sample_weight=weight) == pytest.approx(brier, rel=1e-12)


@pytest.mark.parametrize("metric", SCORES)
def test_a_weight_of_two_is_the_row_twice_and_of_zero_none(metric) -> None:
    logits, labels = made(2)
    counts = np.random.default_rng(3).integers(0, 4, labels.size)
    repeated = metric(np.repeat(logits, counts, axis=0), np.repeat(labels, counts))
    assert metric(logits, labels, sample_weight=counts) == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize("metric", SCORES)
def test_blocks_of_rows_give_the_same_as_one(metric, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = made(4)
    whole = metric(logits, labels)
    monkeypatch.setattr("softmaxlib.metrics.predictions._BLOCK_ELEMENTS", 42)
    assert metric(logits, labels) == pytest.approx(whole, rel=1e-13)


@pytest.mark.parametrize("metric", SCORES)
def test_a_score_is_a_float(metric) -> None:
    assert type(metric(*made(5))) is float


def test_log_loss_keeps_every_digit_of_a_confident_row() -> None:
    exact = mpmath.log1p(mpmath.exp(-60))
    assert metrics.log_loss([[60.0, 0.0]], [0]) == pytest.approx(float(exact), rel=1e-14)


def test_log_loss_of_an_impossible_class_is_infinite_with_a_warning() -> None:
    with pytest.warns(
        SoftmaxlibWarning, match=r"infinite: 1 of 2 rows .* \(the first is row 1\); pass logits"
    ):
        loss = metrics.log_loss([[1.0, 0.0], [1.0, 0.0]], [0, 1], probabilities=True)
    assert loss == np.inf
    with pytest.warns(SoftmaxlibWarning, match="infinite"):
        weighted = metrics.log_loss(
            [[1.0, 0.0], [1.0, 0.0]], [0, 1], sample_weight=[1, 0], probabilities=True
        )
    assert weighted == 0


@pytest.mark.parametrize("score", [metrics.log_loss, metrics.brier_score])
def test_proper_scores_are_best_at_the_truth(score) -> None:
    generator = np.random.default_rng(6)
    truth = generator.dirichlet(np.ones(3), 20_000)
    labels = (generator.random((20_000, 1)) > truth.cumsum(axis=1)).sum(axis=1)
    best = score(truth, labels, probabilities=True)
    skewed = softmax(np.log(truth) + np.array([0.2, 0, 0]))
    for other in (0.9 * truth + 0.1 / 3, softmax(1.2 * np.log(truth)), skewed):
        assert score(other, labels, probabilities=True) > best


def test_brier_score_of_the_best_and_the_worst() -> None:
    assert metrics.brier_score([[1.0, 0.0]], [0], probabilities=True) == 0
    assert metrics.brier_score([[1.0, 0.0]], [1], probabilities=True) == 2


def test_top_k_ranks_equal_classes_by_their_number() -> None:
    logits = np.array([[1.0, 2.0, 2.0, 0.0]] * 4)
    labels = np.arange(4)
    assert [metrics.top_k_accuracy(logits, labels, k=k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert metrics.top_k_accuracy(logits, labels, k=1) == metrics.accuracy(logits, labels)


@pytest.mark.parametrize("k", [0, 7])
def test_top_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(InvalidInputError, match=f"k must be a whole number, 1 to 6; got {k}"):
        metrics.top_k_accuracy(*made(7), k=k)


@pytest.mark.parametrize("metric", SCORES)
def test_input_is_declared_not_guessed(metric) -> None:
    logits, labels = made(8)
    with pytest.raises(InvalidInputError, match=r"if these are logits, apply softmaxlib\.softmax first"):
        metric(logits, labels, probabilities=True)
    with pytest.raises(InvalidInputError, match="labels must have one class per row"):
        metric(logits, labels[:-1])
    with pytest.raises(InvalidInputError, match=r"labels must lie in 0 to 5 \(6 classes\), got 6 in row 0"):
        metric(logits, np.full_like(labels, 6))
