"""More rows than are held: fitted and judged by passes over all of them, as rows in memory are."""

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import Policy, files
from softmaxlib._all_rows import Merged
from softmaxlib.calibration import Auto, IsotonicScaling, MatrixScaling, TemperatureScaling, VectorScaling
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets, SelectiveRisk, TunedThreshold
from softmaxlib.errors import InvalidInputError
from softmaxlib.files import passes
from softmaxlib.files.block_sums import BlockSums

from .conftest import NAMES, rows

ROWS, SAMPLE = 2000, 300
CUTS = [0, 1, 1, 2, 257, 258, 700, 1030, 1500, 1500, 1999, 2000]


def content():
    logits, labels = rows(ROWS)
    rng = np.random.default_rng(1)
    columns = {f"logit_{name}": logits[:, k].astype(np.float64) for k, name in enumerate(NAMES)}
    columns |= {"truth": np.array(NAMES)[labels], "for_rule": rng.random(ROWS) < 0.5}
    columns |= {"ward": np.array(["b", "a"])[rng.integers(2, size=ROWS)], "times": rng.integers(4, size=ROWS)}
    return pa.table(columns)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One file."""
    path = tmp_path_factory.mktemp("whole") / "rows.parquet"
    pyarrow.parquet.write_table(content(), path, row_group_size=100)
    return path


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Files with none, one and many rows, in three formats."""
    root = tmp_path_factory.mktemp("odd")
    for number, (start, stop) in enumerate(pairwise(CUTS)):
        part, name = content().slice(start, stop - start), root / f"{number:02d}"
        if number % 3 == 0:
            pyarrow.parquet.write_table(part, name.with_suffix(".parquet"), row_group_size=20)
        elif number % 3 == 1:
            pyarrow.csv.write_csv(part, name.with_suffix(".csv"))
        else:
            with pa.ipc.new_file(name.with_suffix(".arrow"), part.schema) as writer:
                writer.write_table(part, max_chunksize=30)
    return root


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(passes, "BLOCK_VALUES", 3 * 256)


def fitted(source, calibration, rule, **options):
    options |= {"groups": "ward"} if rule.takes_groups else {}
    options |= {"rule_rows": "for_rule"} if rule.learns and "half" not in options else {}
    options.pop("half", None)
    return files.fit(source, "truth", calibration, rule, **options)


def known(policy):
    """All that was fitted on all rows, but for the time."""
    record = policy.record_.to_dict() if not policy.record_.sampled else {"fitted_at": ""}
    del record["fitted_at"]
    return json.dumps([policy.calibration.to_dict(), policy.rule.to_dict(), record])


PAIRS = [
    (TemperatureScaling(), MostLikely()),
    (TemperatureScaling(), PredictionSets("aps", groups="rows")),
    (TemperatureScaling(), SelectiveRisk(0.2)),
    (VectorScaling(), PredictionSets(alpha=0.2)),
    (MatrixScaling(), SelectiveRisk(0.2)),
]


@pytest.mark.parametrize(("calibration", "rule"), PAIRS, ids=repr)
def test_the_policy_of_rows_in_memory(whole, odd, calibration, rule):
    expected = fitted(whole, calibration, rule)
    found = fitted(whole, calibration, rule, sample_rows=SAMPLE)
    assert known(fitted(odd, calibration, rule, sample_rows=SAMPLE)) == known(found)
    for name, value in vars(expected.calibration).items():
        np.testing.assert_allclose(getattr(found.calibration, name), value, rtol=1e-9, atol=1e-9)
    assert list(vars(found.rule)) == list(vars(expected.rule))
    of_fit, of_memory = found.record_, expected.record_
    for name in ("rows", "calibration_rows", "rule_rows", "split"):
        assert getattr(of_fit, name) == getattr(of_memory, name)
    if not rule.learns:
        assert (of_fit.sampled_from, of_fit.sampled) == (ROWS, ("figures",))
        return
    assert (of_fit.sampled_from, of_fit.sampled) == (None, ())
    again = rule_in_memory(found)
    for name, value in vars(again).items():
        np.testing.assert_array_equal(getattr(found.rule, name), value)
    for before, name in ((True, "log_loss"), *((False, name) for name in vars(of_memory.after))):
        one, other = (record.before if before else record.after for record in (of_fit, of_memory))
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-12)
    assert of_fit.abstained == pytest.approx(of_memory.abstained, abs=1e-12)
    np.testing.assert_allclose(of_fit.reliability.edges, of_memory.reliability.edges, rtol=1e-9)
    assert of_fit.reliability.counts.sum() == of_fit.losses.counts.sum() == of_fit.rule_rows
    np.testing.assert_allclose(of_fit.reliability.hits, of_memory.reliability.hits, atol=1)


def rule_in_memory(policy):
    """The rule as its rows in memory make it, after the same calibration."""
    table = content()
    mask = table.column("for_rule").to_numpy()
    logits = np.stack([table.column(f"logit_{name}").to_numpy() for name in NAMES], axis=1)[mask]
    labels = np.array([NAMES.index(name) for name in table.column("truth").to_pylist()])[mask]
    groups = np.array(table.column("ward").to_pylist())[mask] if policy.rule.takes_groups else None
    probabilities = policy.calibration.predict_proba(logits)
    return copy.copy(policy.rule).fit(probabilities, labels, groups, probabilities=True)


@pytest.mark.parametrize("rule", [MinimumCost(1 - np.eye(3)), PredictionSets(), SelectiveRisk(0.3)], ids=repr)
def test_weighted_rows(whole, odd, rule):
    expected = fitted(whole, VectorScaling(), rule, weight="times")
    found = fitted(odd, VectorScaling(), rule, weight="times", sample_rows=SAMPLE)
    assert known(fitted(whole, VectorScaling(), rule, weight="times", sample_rows=SAMPLE)) == known(found)
    for name, value in vars(expected.calibration).items():
        np.testing.assert_allclose(getattr(found.calibration, name), value, rtol=1e-9, atol=1e-9)
    for name, value in vars(expected.rule).items():
        if name.endswith("_") and value is not None:
            np.testing.assert_allclose(getattr(found.rule, name), value, rtol=1e-9)
    for name in ("rows", "calibration_rows", "rule_rows"):
        assert getattr(found.record_, name) == getattr(expected.record_, name)
    assert found.record_.effective_rows == pytest.approx(expected.record_.effective_rows, rel=1e-12)
    if not rule.learns:
        return
    assert found.record_.losses is None
    for name, value in vars(expected.record_.after).items():
        assert getattr(found.record_.after, name) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(found.record_.reliability.counts, expected.record_.reliability.counts, atol=1)


def test_whoever_reads_the_files(odd):
    one = fitted(odd, TemperatureScaling(), PredictionSets(), sample_rows=SAMPLE, half=None)
    with ThreadPoolExecutor(3) as executor:
        other = fitted(
            odd, TemperatureScaling(), PredictionSets(), sample_rows=SAMPLE, half=None, executor=executor
        )
    assert known(other) == known(one)
    assert one.record_.split == "random"
    assert abs(one.record_.rule_rows - ROWS / 2) < 4 * np.sqrt(ROWS) / 2
    again = fitted(odd, TemperatureScaling(), PredictionSets(), sample_rows=SAMPLE, half=None, random_state=1)
    assert again.record_.rule_rows != one.record_.rule_rows


def test_probabilities(whole, tmp_path):
    from softmaxlib import softmax

    table = pyarrow.parquet.read_table(whole)
    logits = np.stack([table.column(f"logit_{name}").to_numpy() for name in NAMES], axis=1)
    probabilities = softmax(logits)
    probabilities[5] = [1.0, 0.0, 0.0]
    columns = {f"probability_{name}": probabilities[:, k] for k, name in enumerate(NAMES)}
    columns |= {name: table.column(name) for name in ("truth", "for_rule")}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "p.parquet")
    options = {"probabilities": True, "rule_rows": "for_rule"}
    with pytest.warns(match="probabilities are exactly 0"):
        expected = files.fit(
            tmp_path / "p.parquet", "truth", TemperatureScaling(), SelectiveRisk(0.2), **options
        )
    found = files.fit(
        tmp_path / "p.parquet",
        "truth",
        TemperatureScaling(),
        SelectiveRisk(0.2),
        sample_rows=SAMPLE,
        **options,
    )
    assert found.floor == expected.floor
    assert found.calibration.temperature_ == pytest.approx(expected.calibration.temperature_, rel=1e-9)
    assert found.rule.threshold_ == expected.rule.threshold_


@pytest.mark.parametrize(
    ("calibration", "rule", "sampled"),
    [
        (IsotonicScaling(), PredictionSets(), ("calibration",)),
        (IsotonicScaling(), MinimumCost(1 - np.eye(3)), ("calibration", "rule", "figures")),
    ],
    ids=repr,
)
def test_what_must_be_of_the_sample_is(whole, tmp_path, calibration, rule, sampled):
    found = fitted(whole, calibration, rule, sample_rows=SAMPLE)
    assert (found.record_.sampled, found.record_.sampled_from) == (sampled, ROWS)
    found.save(tmp_path / "policy.json")
    assert Policy.load(tmp_path / "policy.json").record_.sampled == sampled
    if rule.learns:
        mask = content().column("for_rule").to_numpy()
        assert found.record_.rule_rows == mask.sum()
        assert found.record_.calibration_rows < SAMPLE
        assert found.rule.group_sizes_.sum() == mask.sum()


def test_a_rule_on_the_sample_and_a_calibration_on_all_rows(tmp_path):
    logits, labels = rows(ROWS)
    table = pa.table(
        {"logit_no": logits[:, 0], "logit_yes": logits[:, 1], "truth": (labels == 1).astype(int)}
    )
    pyarrow.parquet.write_table(table, tmp_path / "two.parquet")
    found = files.fit(tmp_path, "truth", TemperatureScaling(), TunedThreshold("f1_score"), sample_rows=SAMPLE)
    assert found.record_.sampled == ("rule", "figures")
    assert found.record_.calibration_rows > ROWS / 3
    assert found.record_.rule_rows < SAMPLE
    assert found.audit(logits[:, :2], (labels == 1).astype(int)).holds


def test_rows_of_the_rule_alone(whole, tmp_path):
    table = content()
    every = pa.array(np.ones(ROWS, bool))
    pyarrow.parquet.write_table(table.set_column(4, "for_rule", every), tmp_path / "rows.parquet")
    with pytest.raises(InvalidInputError, match=r"must each have rows of their own, with a weight above 0"):
        fitted(tmp_path, TemperatureScaling(), PredictionSets(), sample_rows=SAMPLE)


def test_auto_is_fitted_on_the_sample(whole):
    found = files.fit(whole, "truth", Auto(cv=2), MostLikely(), sample_rows=120)
    assert found.record_.calibration_rows == 120


def test_sums_of_blocks_have_the_same_bits_in_any_order():
    rng = np.random.default_rng(0)
    blocks = [None if k % 7 == 3 else Merged(rng.normal(size=3) * 10.0 ** rng.integers(9)) for k in range(45)]
    expected = None
    for _ in range(20):
        parts = [BlockSums() for _ in range(4)]
        for block in rng.permutation(45).tolist():
            parts[rng.integers(4)].add(block, blocks[block])
        every = BlockSums()
        for part in parts:
            every.merge(part)
        total = every.total().added
        assert expected is None or total.tolist() == expected
        expected = total.tolist()
    np.testing.assert_allclose(expected, sum(one.added for one in blocks if one is not None), rtol=1e-12)


def assert_same_audit(found, expected):
    assert found.rows == expected.rows
    for one, other in zip(found.checks, expected.checks, strict=True):
        assert (one.promise, one.holds, one.testable, one.sampled_rows) == (
            other.promise,
            other.holds,
            other.testable,
            None,
        )
        for name in ("promised", "observed", "p_value"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9)


@pytest.mark.parametrize("weight", [None, "times"])
@pytest.mark.parametrize(
    "rule", [MostLikely(), PredictionSets("aps", groups="rows"), SelectiveRisk(0.3)], ids=repr
)
def test_the_audit_is_of_all_rows(whole, odd, rule, weight):
    policy = fitted(whole, TemperatureScaling(), rule, weight=weight)
    options = {"weight": weight, "groups": "ward" if rule.takes_groups else None}
    table = content()
    if weight:
        table = table.filter(pa.compute.greater(table.column("times"), 0))
    logits = np.stack([table.column(f"logit_{name}").to_numpy() for name in NAMES], axis=1)
    expected = policy.audit(
        logits,
        np.array(table.column("truth").to_pylist()),
        groups=np.array(table.column("ward").to_pylist()) if rule.takes_groups else None,
        sample_weight=table.column("times").to_numpy() if weight else None,
    )
    found = files.audit(odd, "truth", policy, sample_rows=SAMPLE, **options)
    assert_same_audit(found, expected)
    evaluation = files.evaluate(odd, "truth", policy=policy, sample_rows=SAMPLE, **options)
    assert evaluation.audit == found
    assert evaluation.sampled_rows == SAMPLE


def test_the_figure_of_a_tuned_threshold_is_of_all_rows(tmp_path):
    logits, labels = rows(ROWS)
    table = pa.table(
        {"logit_no": logits[:, 0], "logit_yes": logits[:, 1], "truth": (labels == 1).astype(int)}
    )
    pyarrow.parquet.write_table(table, tmp_path / "two.parquet")
    policy = files.fit(tmp_path, "truth", TemperatureScaling(), TunedThreshold("f1_score"))
    expected = policy.audit(logits[:, :2], (labels == 1).astype(int))
    assert_same_audit(files.audit(tmp_path, "truth", policy, sample_rows=SAMPLE), expected)


def test_the_cost_is_of_the_sample_and_says_so(odd):
    policy = files.fit(odd, "truth", TemperatureScaling(), MinimumCost(1 - np.eye(3), abstain_cost=0.2))
    found = files.audit(odd, "truth", policy, sample_rows=SAMPLE)
    of_rows = {check.promise: check.sampled_rows for check in found.checks}
    assert of_rows == {"calibration": None, "log loss": None, "share set aside": None, "cost": SAMPLE}
    assert found.to_dict()["checks"][-1]["sampled_rows"] == SAMPLE
    assert found.checks[-1].words.endswith("; tested on 300 rows drawn at random")
    assert found.rows == ROWS
