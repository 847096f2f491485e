"""More rows than fit in memory: a uniform sample of them, and the figures of all."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import Policy, evaluate, files
from softmaxlib._tables.selection import Selection
from softmaxlib.calibration import IsotonicScaling, TemperatureScaling
from softmaxlib.cli._app import run as run_app
from softmaxlib.decisions import MinimumCost, MostLikely
from softmaxlib.files import parts
from softmaxlib.files.logit_table import Reading
from softmaxlib.files.sample import read_rows
from softmaxlib.files.source import parts_of

from .conftest import NAMES, table
from .conftest import rows as rows_of_float32

ROWS = 2400
READING = Reading(Selection(label="truth"), class_names=NAMES)


def rows(count):
    logits, labels = rows_of_float32(count)
    return logits.astype(np.float64), labels  # which a text keeps to the last bit


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    content = table(*rows(ROWS))
    pyarrow.parquet.write_table(content.slice(0, 1000), root / "a.parquet", row_group_size=100)
    pyarrow.csv.write_csv(content.slice(1000, 900), root / "b.csv")
    with pyarrow.ipc.new_stream(root / "c.arrows", content.schema) as writer:
        writer.write_table(content.slice(1900))
    return root


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_VALUES", 5 * 300)


def sampled(source, count, seed=0, executor=None):
    with parts_of(source) as given:
        return read_rows(given, READING, sample_rows=count, random_state=seed, executor=executor)


def test_all_rows_where_they_are_few_enough(source):
    found = sampled(source, ROWS)
    logits, labels = rows(ROWS)
    np.testing.assert_array_equal(found.values, logits)
    np.testing.assert_array_equal(found.labels, labels)
    assert (found.sampled_from, found.all_rows) == (None, ROWS)


def test_a_sample_holds_rows_of_the_source_each_once(source):
    found = sampled(source, 500)
    logits, labels = rows(ROWS)
    assert (found.sampled_from, len(found.labels)) == (ROWS, 500)
    assert len(set(found.places.tolist())) == 500
    np.testing.assert_array_equal(found.values, logits[found.places])
    np.testing.assert_array_equal(found.labels, labels[found.places])
    with ThreadPoolExecutor(3) as executor:
        again = sampled(source, 500, executor=executor)
    np.testing.assert_array_equal(again.places, found.places)
    assert sampled(source, 500, seed=1).places.tolist() != found.places.tolist()


def test_each_row_is_as_probable_as_any_other(source):
    """Over many seeds: how often rows are drawn, by twelfths of the source and by their place in a part."""
    draws = np.concatenate([sampled(source, 240, seed).places for seed in range(60)])
    expected = draws.size / 12
    for group in (draws // (ROWS // 12), draws % 12):
        deviation = (np.bincount(group, minlength=12) - expected) ** 2 / (expected * 0.9)
        assert 1 < deviation.sum() < 36  # chi-squared with 11 degrees of freedom: 1 in 5,000 on either side


def test_a_fit_on_a_sample_says_so(source, tmp_path):
    found = sampled(source, 700, seed=3)
    policy = files.fit(source, "truth", IsotonicScaling(), MostLikely(), sample_rows=700, random_state=3)
    expected = Policy(IsotonicScaling(), MostLikely())
    expected.fit(found.values, found.labels, class_names=NAMES)
    assert policy.calibration.to_dict() == expected.calibration.to_dict()
    assert (policy.record_.rows, policy.record_.sampled_from) == (700, ROWS)
    policy.save(tmp_path / "policy.json")
    assert Policy.load(tmp_path / "policy.json").record_.sampled_from == ROWS
    content = json.loads((tmp_path / "policy.json").read_text())
    del content["record"]["sampled"]  # as earlier versions wrote it
    (tmp_path / "policy.json").write_text(json.dumps(content))
    assert Policy.load(tmp_path / "policy.json").record_.sampled == ("calibration", "rule", "figures")
    del content["record"]["sampled_from"]
    (tmp_path / "policy.json").write_text(json.dumps(content))
    assert Policy.load(tmp_path / "policy.json").record_.sampled_from is None
    whole = files.fit(
        source, "truth", TemperatureScaling(), lambda names: MinimumCost(1 - np.eye(len(names)))
    )
    assert (whole.record_.rows, whole.record_.sampled_from) == (ROWS, None)


@pytest.fixture(scope="module")
def whole(policy):
    return evaluate(*rows(ROWS), policy=policy)


def test_figures_are_those_of_all_rows(source, policy, whole):
    found = files.evaluate(source, "truth", policy=policy, sample_rows=600)
    assert (found.rows, found.sampled_rows) == (ROWS, 600)
    for one, other in ((found.before, whole.before), (found.after, whole.after)):
        for name, value in vars(other.figures).items():
            assert getattr(one.figures, name) == pytest.approx(value, rel=1e-6), name
        assert one.accuracy_interval == pytest.approx(other.accuracy_interval, rel=1e-12)
        assert one.overconfidence == pytest.approx(other.overconfidence, rel=1e-6)
        assert one.calibration_p_value == other.calibration_p_value
        assert one.chance_interval == pytest.approx(other.chance_interval, rel=1e-6)
    np.testing.assert_array_equal(found.confusion, whole.confusion)
    for one, other in zip(found.classes, whole.classes, strict=True):
        assert (one.name, one.rows, one.predicted) == (other.name, other.rows, other.predicted)
        assert list(vars(one).values())[3:] == pytest.approx(list(vars(other).values())[3:], rel=1e-6)
    assert all(labels_differ(mistake) for mistake in found.mistakes)


def labels_differ(mistake):
    logits, labels = rows(ROWS)
    named = NAMES[labels[mistake.row]] == mistake.truth
    return named and NAMES[logits[mistake.row].argmax()] == mistake.predicted != mistake.truth


def test_the_same_whoever_does_the_work(source, policy, monkeypatch, tmp_path):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    alone = files.evaluate(source, "truth", policy=policy, sample_rows=600)
    with ThreadPoolExecutor(3) as executor:
        shared = files.evaluate(source, "truth", policy=policy, sample_rows=600, executor=executor)
        audited = files.audit(source, "truth", policy, sample_rows=600, executor=executor)
    assert shared.to_dict() == alone.to_dict()
    assert audited == files.audit(source, "truth", policy, sample_rows=600)
    assert [check.sampled_rows for check in audited.checks] == [None, None, None, 600]
    assert audited.rows == ROWS
    alone.to_html(tmp_path / "r.html")
    assert "costs at other thresholds on 600 of them, drawn at random" in (tmp_path / "r.html").read_text()


def test_on_the_command_line(source, policy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    policy.save("policy.json")
    given = ["--label", "truth", "--policy", "policy.json", "--sample-rows", "600"]
    assert run_app(["evaluate", str(source), *given, "--json", "-"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["rows"], content["sampled_rows"]) == (ROWS, 600)
    assert run_app(["evaluate", str(source), *given]) == 0
    assert "Of 600 rows, drawn at random: interval of the Brier score, " in capsys.readouterr().out
    assert run_app(["fit", str(source), "--label", "truth", "-o", "p.json", "--sample-rows", "0"]) == 2
    assert "sample-rows" in capsys.readouterr().err


def test_probabilities(source, tmp_path):
    from softmaxlib import softmax

    logits, labels = rows(500)
    probabilities = softmax(logits.astype(np.float64))
    content = {f"probability_{name}": probabilities[:, k] for k, name in enumerate(NAMES)}
    pyarrow.parquet.write_table(pyarrow.table(content | {"truth": labels}), tmp_path / "p.parquet")
    found = files.evaluate(tmp_path / "p.parquet", "truth", probabilities=True, sample_rows=200)
    expected = evaluate(probabilities, labels, probabilities=True).before.figures
    assert found.before.figures.log_loss == pytest.approx(expected.log_loss, rel=1e-9)
