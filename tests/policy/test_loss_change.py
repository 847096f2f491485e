import itertools
import json

import numpy as np
import pytest
from scipy import stats

from softmaxlib import Policy
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MostLikely
from softmaxlib.metrics.predictions import Predictions
from softmaxlib.policy._loss_change import _coarsened, _standardised, loss_change
from softmaxlib.policy.figures import Figures, LossCounts

from .made import rare_positives

DRAWS = 9999


def remembered(logits: np.ndarray, labels: np.ndarray) -> tuple[Figures, LossCounts]:
    predictions = Predictions.of_logits(logits, labels)
    return Figures.of(predictions), LossCounts.of(predictions)


def figures_of(losses: np.ndarray) -> Figures:
    error = losses.std() / np.sqrt(losses.size)
    return Figures(losses.size, 1.0, float(losses.mean()), float(error), 0.0, 0.0)


def counts_of(losses: np.ndarray) -> LossCounts:
    """Losses that are powers of two, so that none is rounded."""
    cells, counts = np.unique((8 * np.log2(losses)).astype(np.int64), return_counts=True)
    return LossCounts(cells, counts)


def standardised(new: np.ndarray, losses: np.ndarray) -> float:
    difference = losses[new].mean() - losses[~new].mean()
    apart = losses[new].var() / new.sum() + losses[~new].var() / (~new).sum()
    together = losses.var() * (1 / new.sum() + 1 / (~new).sum())
    return difference / np.sqrt(min(apart, together)) if min(apart, together) else np.inf * difference


def test_it_is_the_permutation_test() -> None:
    then = np.array([0.25, 0.25, 0.5, 0.5, 1, 2, 0.125])
    now = np.array([2, 0.5, 4])
    every = np.concatenate([then, now])
    null = [
        standardised(np.isin(np.arange(10), some), every) for some in itertools.combinations(range(10), 3)
    ]
    expected = (np.array(null) >= standardised(np.arange(10) >= 7, every) - 1e-12).mean()
    p_value, least = loss_change(figures_of(then), counts_of(then), figures_of(now), counts_of(now), DRAWS)
    assert p_value == pytest.approx(expected, rel=4 / np.sqrt(50))
    assert least == 1 / 120  # of the ten rows the three worst


@pytest.mark.parametrize("saved_losses", [True, False])
@pytest.mark.parametrize(("fitted", "new"), [(5000, 200), (500, 5000)])
def test_an_unchanged_model_is_told_otherwise_no_more_often_than_stated(saved_losses, fitted, new) -> None:
    """With 0.6 % positives a few rows hold nearly all of the loss; a fit may have seen none of them."""
    generator = np.random.default_rng(2)
    rejected = 0
    for _ in range(150):
        then, losses = remembered(*rare_positives(fitted, generator))
        now = remembered(*rare_positives(new, generator))
        rejected += loss_change(then, losses if saved_losses else None, *now, DRAWS)[0] <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 150, 0.05)


def test_the_statistic_is_the_standardised_difference() -> None:
    losses = np.array([0.25, 0.25, 0.5, 0.5, 1, 2, 0.125, 2, 0.5, 4])
    value, place = np.unique(losses, return_inverse=True)
    pooled = np.bincount(place)
    for some in itertools.combinations(range(10), 3):
        new = np.isin(np.arange(10), some)
        if losses[new].var() or losses[~new].var():
            found = _standardised(np.bincount(place[new], minlength=value.size)[None], pooled, value)
            assert found[0] == pytest.approx(standardised(new, losses), rel=1e-9)


def test_losses_that_are_all_the_same_did_not_rise() -> None:
    same = figures_of(np.full(40, 0.5))
    assert loss_change(same, None, same, None, DRAWS) == (1, 0)


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_without_losses_the_mean_is_normal_with_the_larger_error(scale: float) -> None:
    then, now = np.linspace(0.1, 1, 40), 0.35 + scale * np.linspace(0.1, 1, 300)
    every = np.concatenate([then, now])
    apart = then.var() / 40 + now.var() / 300
    together = every.var() * (1 / 40 + 1 / 300)
    assert (together > apart) == (scale == 5)
    expected = stats.norm.sf((now.mean() - then.mean()) / np.sqrt(max(apart, together)))
    p_value, least = loss_change(figures_of(then), None, figures_of(now), counts_of(np.array([1.0])), DRAWS)
    assert p_value == pytest.approx(expected, rel=1e-9, abs=0)
    assert least == 0
    for few in ((then[:29], now), (now, then[:29])):  # too few for a normal mean
        assert loss_change(figures_of(few[0]), None, figures_of(few[1]), None, DRAWS)[1] == 1


def test_more_rows_than_can_be_drawn_have_a_normal_mean(monkeypatch) -> None:
    generator = np.random.default_rng(8)
    then, now = (remembered(*rare_positives(rows, generator)) for rows in (300, 200))
    normal = loss_change(then[0], None, now[0], None, DRAWS)
    monkeypatch.setattr("softmaxlib.policy._loss_change._MOST_ROWS_DRAWN", 501)
    assert loss_change(*then, *now, DRAWS)[0] != normal[0]
    monkeypatch.setattr("softmaxlib.policy._loss_change._MOST_ROWS_DRAWN", 500)
    assert loss_change(*then, *now, DRAWS) == normal


def test_a_fit_of_one_row_can_not_tell() -> None:
    """However many rows are new, one chance in so many is that the old one has the smallest loss."""
    few, many = np.array([0.5]), np.full(31, 2.0)
    _, least = loss_change(figures_of(few), counts_of(few), figures_of(many), counts_of(many), DRAWS)
    assert least == 1 / 32


def test_a_rise_is_found() -> None:
    generator = np.random.default_rng(3)
    logits, labels = rare_positives(3000, generator)
    then, losses_then = remembered(*rare_positives(3000, generator))
    changed = np.where(generator.random(3000) < 0.01, 1 - labels, labels)
    now = remembered(logits, changed)
    for losses in (losses_then, None):
        assert loss_change(then, losses, *now, DRAWS)[0] < 0.001


def test_many_small_losses_that_rise_are_found_beside_a_few_large_ones() -> None:
    """A model too timid: hardly any row's loss is large, and nearly every one is larger."""
    generator = np.random.default_rng(6)
    logits, labels = rare_positives(5000, generator)
    then = remembered(*rare_positives(5000, generator))
    assert loss_change(*then, *remembered(0.6 * logits, labels), DRAWS)[0] < 0.01


def test_a_policy_of_an_earlier_version_is_audited(tmp_path) -> None:
    generator = np.random.default_rng(4)
    path = tmp_path / "policy.json"
    policy = Policy(TemperatureScaling(), MostLikely()).fit(*rare_positives(1000, generator))
    policy.save(path)
    content = json.loads(path.read_text())
    assert content["record"].pop("losses")["counts"]["numbers"]
    path.write_text(json.dumps(content))
    earlier = Policy.load(path)
    assert earlier.record_.losses is None
    rows = rare_positives(1000, generator)
    checks = [one.audit(*rows).checks for one in (policy, earlier)]
    assert [check.promise for check in checks[0]] == [check.promise for check in checks[1]]
    assert checks[0][0] == checks[1][0]
    assert 0 < checks[1][1].p_value < 1
    earlier.save(path)
    assert Policy.load(path).record_.losses is None


def test_losses_are_rounded_by_less_than_five_per_cent() -> None:
    generator = np.random.default_rng(5)
    logits = 5 * generator.normal(size=(2000, 3))
    labels = generator.integers(3, size=2000)
    figures, counts = remembered(logits, labels)
    value = LossCounts.value_of(counts.cells)
    assert counts.counts.sum() == 2000
    assert value @ counts.counts / 2000 == pytest.approx(figures.log_loss, rel=0.01)
    _, extreme = remembered(np.array([[0.0, 1e9], [0.0, 1e9]]), np.array([0, 1]))
    assert extreme.cells.tolist() == [-128, 88]


def test_losses_are_taken_together_where_they_add_little_to_mean_and_spread() -> None:
    generator = np.random.default_rng(1)
    value = np.sort(generator.exponential(size=400)) ** 3
    pooled = generator.integers(1, 50, 400)
    of_now = generator.integers(0, pooled + 1)
    joined, now, mean = _coarsened(pooled, of_now, value)
    assert 20 < joined.size <= 48
    last = np.cumsum(joined)
    ends = np.flatnonzero(np.isin(np.cumsum(pooled), last)) + 1
    groups = np.split(np.arange(400), ends[:-1])
    assert [pooled[one].sum() for one in groups] == joined.tolist()
    assert [of_now[one].sum() for one in groups] == now.tolist()
    np.testing.assert_allclose(mean, [np.average(value[one], weights=pooled[one]) for one in groups])
    # what each adds to the mean and to the mean square, as shares of both
    share = pooled * value / (pooled @ value) + pooled * value**2 / (pooled @ value**2)
    inner = [share[one].sum() - (share[one[0]] + share[one[-1]]) / 2 for one in groups]
    assert 1 / 48 < max(inner) < 1 / 24


def test_rounding_of_the_losses_does_not_decide_which_are_taken_together():
    generator = np.random.default_rng(0)
    for _ in range(200):
        value = np.sort(generator.exponential(size=40))
        pooled = generator.integers(1, 1000, 40)
        groups = [_coarsened(pooled, pooled, value * (1 + 2e-16 * k))[0] for k in range(5)]
        assert all(np.array_equal(one, groups[0]) for one in groups)
