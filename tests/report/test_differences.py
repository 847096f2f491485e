"""Differences of figures: p-values by exact laws, how often equal models are called different, few rows."""

import json

import numpy as np
import pytest
from evaluated_rows import Page, simulated, written
from scipy import stats

from softmaxlib import evaluate, softmax
from softmaxlib.metrics import calibration_error, calibration_test
from softmaxlib.report import compare
from softmaxlib.report.differences import figure_differences
from softmaxlib.report.row_results import RowResults


def noisy(logits, spread, seed):
    return logits + spread * np.random.default_rng(seed).normal(size=logits.shape)


def found(one, other, **options):
    return {figure.figure: figure for figure in compare(one, other, **options).figures}


def right(logits, labels):
    return logits.argmax(axis=1) == labels


def losses(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels])


def near(p_value):
    """The p-value of 999 random draws, within four standard errors."""
    return pytest.approx(p_value, abs=4 * np.sqrt(p_value / 1000) + 0.002)


@pytest.mark.parametrize("rows", [40, 300, 2000])
def test_of_paired_rows_the_accuracy_has_the_p_value_of_mcnemar(rows):
    logits, labels = simulated(rows)
    one, other = noisy(logits, 0.5, 1), noisy(logits, 0.9, 2)
    hits = right(one, labels), right(other, labels)
    discordant = int((hits[0] & ~hits[1]).sum()), int((hits[0] != hits[1]).sum())
    figure = found(evaluate(one, labels), evaluate(other, labels))["accuracy"]
    assert figure.p_value == near(stats.binomtest(*discordant).pvalue)


def test_of_other_rows_the_accuracy_has_the_p_value_of_all_divisions():
    parts = [simulated(rows, seed=seed, sharpness=1) for rows, seed in ((80, 1), (200, 2))]
    hits = [right(noisy(logits, 1.5 * k, k), labels) for k, (logits, labels) in enumerate(parts)]
    evaluations = [evaluate(noisy(logits, 1.5 * k, k), labels) for k, (logits, labels) in enumerate(parts)]
    every = int(hits[0].sum() + hits[1].sum())
    drawn = np.arange(81)
    distance = abs(drawn / 80 - (every - drawn) / 200)
    law = stats.hypergeom(280, every, 80).pmf(drawn)
    p_value = law[distance >= distance[hits[0].sum()] - 1e-12].sum()
    assert found(*evaluations)["accuracy"].p_value == near(p_value)


@pytest.mark.parametrize("rows", [400, 12_000])
def test_of_paired_rows_the_log_loss_has_the_p_value_of_students_test(rows):
    """Of so many rows the permutations have a normal law, of groups of rows too."""
    logits, labels = simulated(rows)
    one, other = noisy(logits, 0.30, 3), noisy(logits, 0.30 + 3 / rows, 4)
    expected = stats.ttest_rel(losses(one, labels), losses(other, labels)).pvalue
    assert 0.01 < expected < 0.99
    figure = found(evaluate(one, labels), evaluate(other, labels))["log loss"]
    assert figure.p_value == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("rows", [(400, 300), (12_000, 11_000), (40, 30_000)])
def test_of_other_rows_the_log_loss_has_the_p_value_of_students_test(rows):
    parts = [simulated(count, seed=seed) for count, seed in zip(rows, (1, 2), strict=True)]
    expected = stats.ttest_ind(*(losses(*part) for part in parts)).pvalue
    figure = found(*(evaluate(*part) for part in parts))["log loss"]
    assert figure.p_value == pytest.approx(expected, abs=0.1)


def test_the_calibration_error_has_the_p_value_of_swapped_rows():
    logits, labels = simulated(150, sharpness=2.0)
    one, other = noisy(logits, 0.6, 1), 0.8 * noisy(logits, 0.6, 2)
    generator = np.random.default_rng(0)

    def distance(swapped):
        sides = np.where(swapped[:, None], other, one), np.where(swapped[:, None], one, other)
        return abs(calibration_error(sides[0], labels) - calibration_error(sides[1], labels))

    drawn = [distance(generator.random(150) < 0.5) for _ in range(1000)]
    expected = np.mean(np.array(drawn) >= distance(np.zeros(150, bool)) - 1e-12)
    figure = found(evaluate(one, labels), evaluate(other, labels))["calibration error"]
    assert calibration_test(one, labels).p_value < expected
    assert figure.p_value == pytest.approx(expected, abs=0.06)


def rows_of(logits, labels):
    """Return the results of rows that `evaluate` keeps, by their definitions."""
    probabilities = softmax(logits)
    squared = ((probabilities - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1)
    of_rows = right(logits, labels), probabilities.max(axis=1), losses(logits, labels), squared
    return RowResults(labels, None, None, *of_rows, None, None, None)


def exchangeable(generator, rows):
    logits = generator.normal(size=(rows, 3))
    labels = (softmax(logits).cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1)
    return labels, [logits + 0.5 * generator.normal(size=logits.shape) for _ in range(2)]


def unlike_but_right(generator, rows):
    """A sharp model and a blunt one, both of whose probabilities are exactly right."""
    labels = generator.integers(0, 2, rows)
    leads = [sharp * (generator.normal(size=rows) + sharp * (labels - 0.5)) for sharp in (2.5, 1.0)]
    return labels, [np.stack([np.zeros(rows), lead], axis=1) for lead in leads]


@pytest.mark.parametrize(
    ("models", "rows", "figures"),
    [
        (exchangeable, 30, ("accuracy", "log loss", "Brier score", "calibration error")),
        pytest.param(unlike_but_right, 100, ("calibration error",), marks=pytest.mark.sweep),
    ],
)
def test_equal_models_are_seldom_called_different(models, rows, figures):
    """By a bootstrap interval alone, a calibration error was called better in 9 to 13 of 100 cases."""
    counts = dict.fromkeys(figures, 0)
    for seed in range(120):
        labels, logits = models(np.random.default_rng(seed), rows)
        p_values = tuple(
            float(calibration_test(one, labels, simulations=200, random_state=0).p_value) for one in logits
        )
        sides = (rows_of(one, labels) for one in logits)
        for figure in figure_differences(*sides, p_values, is_paired=True, seed=0):
            if figure.figure in figures:
                counts[figure.figure] += figure.better != ""
    assert max(counts.values()) <= stats.binom(120, 0.05).ppf(0.98), counts


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 29])
def test_few_rows_tell_nothing(paired, rows, tmp_path):
    logits, labels = simulated(200)
    some = slice(0, rows), slice(0, rows) if paired else slice(100, 200)
    comparison = compare(*(evaluate(3 * k * logits[part], labels[part]) for k, part in enumerate(some)))
    assert comparison.headline == "These rows are too few to tell first and second apart"
    for figure, row in zip(comparison.figures, comparison.table(), strict=True):
        assert figure.better == ""
        assert np.isnan([figure.p_value, *figure.difference[1:]]).all()
        assert figure.difference.value == figure.second - figure.first
        assert row[-1].endswith("(too few rows to tell)")
    assert all(sentence.endswith("(too few rows to tell).") for sentence in comparison.sentences[1:5])
    text = Page(written(comparison, tmp_path)).text
    assert comparison.headline in text
    assert "nan" not in text
    content = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert content["figures"][0]["p_value"] is None


def test_few_rows_by_their_weights_tell_nothing():
    logits, labels = simulated(400)
    weights = np.where(np.arange(400) < 20, 1.0, 1e-6)
    one, other = (evaluate(part, labels, sample_weight=weights) for part in (logits, -logits))
    assert {figure.better for figure in compare(one, other).figures} == {""}
    assert compare(one, other).headline.startswith("These rows are too few")


def test_a_figure_of_few_rows_is_not_judged():
    """Of 200 rows a policy decides 10: the accuracy of these is not compared, and other figures are."""
    logits, labels = simulated(200)
    rows = [rows_of(part, labels) for part in (logits, noisy(logits, 3.0, 0))]
    decided = np.arange(200) < 10
    first, second = (one._replace(decided=decided, right=one.correct) for one in rows)
    by_name = {one.figure: one for one in figure_differences(first, second, (1.0, 1.0), True, 0)}
    assert by_name["accuracy of the decided"].is_of_few_rows
    assert by_name["log loss"].better == "first"


def test_a_draw_is_that_of_its_seed_and_models_may_change_places():
    logits, labels = simulated(300)
    one, other = (evaluate(noisy(logits, 0.4, seed), labels) for seed in (1, 2))
    again = compare(one, other, random_state=3).figures
    assert again == compare(one, other, random_state=3).figures
    for figure, swapped in zip(again, compare(other, one, random_state=3).figures, strict=True):
        assert figure.p_value == swapped.p_value
        assert figure.difference.value == -swapped.difference.value


def test_one_better_by_a_figure_has_an_interval_and_a_p_value_that_say_so():
    for seed in range(8):
        logits, labels = simulated(100, seed=seed)
        for figure in compare(
            evaluate(noisy(logits, 0.5, 1), labels), evaluate(noisy(logits, 0.9, 2), labels)
        ).figures:
            excludes = not figure.difference.lower <= 0 <= figure.difference.upper
            assert bool(figure.better) == (excludes and figure.p_value <= 0.05)
