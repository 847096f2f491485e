"""Record batches of Arrow in, decisions out: the same as `decide` on arrays."""

import numpy as np
import pyarrow as pa
import pytest

from softmaxlib import Policy, softmax
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

NAMES = ("cat", "dog", "bird")
LABELS = np.random.default_rng(0).integers(3, size=300)
LOGITS = 2 * np.eye(3)[LABELS] + np.random.default_rng(1).normal(size=(300, 3))
WARDS = np.array(["east", "west"])[LABELS % 2]


@pytest.fixture(scope="module")
def policy():
    rule = MinimumCost(1 - np.eye(3), abstain_cost=0.2)
    return Policy(TemperatureScaling(), rule).fit(LOGITS, LABELS, class_names=NAMES)


def batches(order=(0, 1, 2), size=70):
    columns = {f"logit_{NAMES[k]}": LOGITS[:, k] for k in order}
    whole = pa.table({"id": np.arange(300), **columns, "ward": WARDS})
    return whole.to_batches(max_chunksize=size)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_same_as_of_arrays(policy, order):
    decided = list(policy.decide_batches(iter(batches(order))))
    assert [batch.num_rows for batch in decided] == [70, 70, 70, 70, 20]
    table = pa.Table.from_batches(decided)
    decision = policy.decide(LOGITS)
    assert table.column("decision").to_pylist() == decision.labels.tolist()
    np.testing.assert_array_equal(table.column("probability").to_numpy(), decision.confidence)
    np.testing.assert_array_equal(table.column("expected_cost").to_numpy(), decision.expected_cost)
    assert table.column("id").to_pylist() == list(range(300))
    assert table.schema.field("predicted").type == pa.string()


def test_a_reader_and_a_batch_without_rows(policy):
    schema = batches()[0].schema
    reader = pa.RecordBatchReader.from_batches(schema, [batches()[0].slice(0, 0), batches()[0]])
    assert [batch.num_rows for batch in policy.decide_batches(reader)] == [0, 70]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_without_rows_has_the_columns_of_others(policy, dtype):
    columns = {f"logit_{name}": LOGITS[:9, k].astype(dtype) for k, name in enumerate(NAMES)}
    batch = pa.record_batch(columns)
    empty, full = policy.decide_batches([batch.slice(0, 0), batch])
    assert empty.schema == full.schema


def test_what_is_no_record_batch(policy):
    for wrong in (batches()[0], [None], [pa.table({"x": [1.0]})], pa.table({"x": [1.0]})):
        with pytest.raises(UnsupportedTypeError, match=r"must hold a pyarrow\.RecordBatch at each place"):
            next(policy.decide_batches(wrong))


def test_probabilities_that_are_none():
    policy = Policy(TemperatureScaling(), MostLikely())
    policy.fit(softmax(LOGITS), LABELS, probabilities=True, class_names=NAMES)
    some = [pa.record_batch({f"probability_{name}": [0.25 * size] for name in NAMES}) for size in (4 / 3, 1)]
    with pytest.raises(InvalidInputError, match=r"must sum to 1, got 0.75 in row 1 \(counted from 0\)"):
        list(policy.decide_batches(some))


def test_lists_and_groups():
    rule = PredictionSets("aps", 0.1, groups="rows")
    policy = Policy(TemperatureScaling(), rule).fit(LOGITS, LABELS, class_names=NAMES, groups=WARDS)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), 3)
    batch = pa.record_batch({"logits": lists, "ward": WARDS})
    (decided,) = policy.decide_batches([batch], groups="ward")
    sets = policy.decide(LOGITS, groups=WARDS).sets
    assert decided.column("set").to_pylist() == [[NAMES[k] for k in np.flatnonzero(row)] for row in sets]
    with pytest.raises(InvalidInputError, match="needs the group of each row"):
        policy.decide_batches([batch])


def test_refusals_count_the_rows_of_all_batches(policy):
    bad = [*batches()[:2], pa.record_batch({"logit_cat": [1.0], "logit_dog": [None], "logit_bird": [1.0]})]
    decided = policy.decide_batches(bad)
    assert [next(decided).num_rows for _ in range(2)] == [70, 70]
    with pytest.raises(InvalidInputError, match=r"none in row 140 .*column 'logit_dog': the cell is empty"):
        next(decided)
    words = r"the stream of record batches has no column for the policy's class 'bird'"
    other = pa.record_batch({"logit_cat": [1.0], "logit_dog": [2.0], "logit_fox": [1.0]})
    with pytest.raises(InvalidInputError, match=words):
        next(policy.decide_batches([other]))
    with pytest.raises(InvalidInputError, match="takes none; leave groups out"):
        policy.decide_batches(bad, groups="ward")


@pytest.mark.parametrize(("positive", "sign"), [(None, 1), ("yes", 1), ("no", -1)])
def test_one_column_of_scores_speaks_for_the_class_that_is_named(positive, sign):
    scores, labels = LOGITS[:, 1] - LOGITS[:, 0], LABELS == 1
    policy = Policy(TemperatureScaling(), MostLikely()).fit(scores, labels, class_names=["no", "yes"])
    batch = pa.record_batch({"risk": sign * scores, "id": np.arange(300)})
    (decided,) = policy.decide_batches([batch], score="risk", positive=positive)
    assert decided.column("decision").to_pylist() == policy.decide(scores).labels.tolist()
    assert "risk" not in decided.schema.names
    with pytest.raises(InvalidInputError, match="positive= must be a class of the policy"):
        next(policy.decide_batches([batch], score="risk", positive="maybe"))


def test_a_positive_class_is_refused_beside_a_number_of_each_class(policy):
    with pytest.raises(InvalidInputError, match="positive= is for one column of scores"):
        next(policy.decide_batches(batches(), positive="cat"))
