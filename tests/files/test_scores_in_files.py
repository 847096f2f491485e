"""One column of scores: the same as the row [0, x], whatever the labels are, and refused with a way out."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import Policy, evaluate, files
from softmaxlib.calibration import VectorScaling
from softmaxlib.decisions import MinimumCost
from softmaxlib.errors import SoftmaxlibError

ROWS = 400
RULE = MinimumCost([[0, 1], [9, 0]], abstain_cost=0.3)
_generator = np.random.default_rng(0)
TRUTH = (_generator.random(ROWS) < 0.2).astype(int)
SCORES = np.round(_generator.normal(2.0 * TRUTH - 2), 3)
PROBABILITIES = np.round(1 / (1 + np.exp(-SCORES)), 6)


def labels_as(kind):
    """Labels as a column of Arrow, the names that they give the classes, and what has to be said of them."""
    words = np.array(["ok", "fraud"])[TRUTH]
    return {
        "integers": (pa.array(TRUTH), ("0", "1"), {}),
        "signs": (pa.array(2 * TRUTH - 1), ("-1", "1"), {}),
        "floats": (pa.array(TRUTH.astype(float)), ("0", "1"), {}),
        "booleans": (pa.array(TRUTH.astype(bool)), ("False", "True"), {}),
        "words": (pa.array(words), ("ok", "fraud"), {"positive": "fraud"}),
        "the other word": (pa.array(words), ("fraud", "ok"), {"positive": "ok"}),
        "large words": (pa.array(words, pa.large_string()), ("ok", "fraud"), {"positive": "fraud"}),
        "categories": (pa.array(words).dictionary_encode(), ("ok", "fraud"), {"positive": "fraud"}),
    }[kind]


def write(folder, ending, labels, values=SCORES, name="rows"):
    path = folder / f"{name}.{ending}"
    content = pa.table({"id": np.arange(ROWS), "score": values, "truth": labels})
    if ending == "csv":
        if pa.types.is_dictionary(labels.type):
            content = content.set_column(2, "truth", labels.dictionary_decode())
        pyarrow.csv.write_csv(content, path)
    elif ending == "parquet":
        pyarrow.parquet.write_table(content, path)
    else:
        with pa.ipc.new_file(path, content.schema) as writer:
            writer.write_table(content, max_chunksize=100)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
@pytest.mark.parametrize(
    "kind",
    ["integers", "signs", "floats", "booleans", "words", "the other word", "large words", "categories"],
)
def test_labels_of_any_kind_name_the_classes(tmp_path, kind, ending):
    labels, names, said = labels_as(kind)
    path = write(tmp_path, ending, labels)
    policy = files.fit(path, "truth", VectorScaling(), RULE, score="score", **said)
    if ending == "csv" and kind == "booleans":
        names = ("false", "true")  # as Arrow writes them
    assert policy.class_names_ == names
    truth = 1 - TRUTH if kind == "the other word" else TRUTH
    expected = Policy(VectorScaling(), RULE).fit(SCORES, truth, class_names=names)
    np.testing.assert_array_equal(policy.predict_proba(SCORES), expected.predict_proba(SCORES))
    two = Policy(VectorScaling(), RULE).fit(np.stack([0 * SCORES, SCORES], 1), truth, class_names=names)
    np.testing.assert_array_equal(policy.predict_proba(SCORES), two.predict_proba(SCORES))
    files.decide(path, policy, tmp_path / "out.parquet", score="score")
    decided = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert decided["decision"].to_pylist() == expected.decide(SCORES).labels.tolist()
    assert {"id", "truth"} < set(decided.column_names)
    assert "score" not in decided.column_names
    found = files.audit(path, "truth", policy, score="score")
    assert found == expected.audit(SCORES, truth)


def test_the_evaluation_is_that_of_the_array(tmp_path):
    labels, names, said = labels_as("words")
    path = write(tmp_path, "parquet", labels)
    for policy in (None, Policy(VectorScaling(), RULE).fit(SCORES, TRUTH, class_names=names)):
        found = files.evaluate(path, "truth", score="score", policy=policy, **said).to_dict()
        expected = evaluate(SCORES, TRUTH, policy=policy, class_names=names).to_dict()
        for name in ("provenance", "evaluated_at"):
            del found[name], expected[name]
        assert found == expected


def test_probabilities(tmp_path):
    labels, names, said = labels_as("words")
    path = write(tmp_path, "csv", labels, PROBABILITIES)
    given = {"probabilities": True, "score": "score", **said}
    policy = files.fit(path, "truth", VectorScaling(), RULE, **given)
    expected = Policy(VectorScaling(), RULE).fit(PROBABILITIES, TRUTH, probabilities=True, class_names=names)
    np.testing.assert_array_equal(
        policy.predict_proba(PROBABILITIES, probabilities=True),
        expected.predict_proba(PROBABILITIES, probabilities=True),
    )
    with pytest.raises(SoftmaxlibError, match=r"renormalize=True is for a probability of each class"):
        files.fit(path, "truth", VectorScaling(), RULE, renormalize=True, **given)
    path = write(tmp_path, "csv", labels, SCORES)
    with pytest.raises(SoftmaxlibError, match=r"rows.csv: probabilities must lie between 0 and 1, got -\d"):
        files.fit(path, "truth", VectorScaling(), RULE, **given)


def test_a_score_of_the_first_class_is_turned_around(tmp_path):
    labels, _, _ = labels_as("words")
    path = write(tmp_path, "parquet", labels)
    policy = files.fit(path, "truth", VectorScaling(), RULE, score="score", positive="fraud")
    opposite = write(tmp_path, "parquet", labels, -SCORES, "opposite")
    for source, positive in ((path, None), (path, "fraud"), (opposite, "ok")):
        counts = files.decide(source, policy, tmp_path / "out.csv", score="score", positive=positive)
        assert counts.rows == ROWS
        decided = (tmp_path / "out.csv").read_text()
        if positive is None:
            expected = [line.split(",")[2] for line in decided.splitlines()]
        assert [line.split(",")[2] for line in decided.splitlines()] == expected
    with pytest.raises(
        SoftmaxlibError, match=r"positive= must be a class of the policy, 'ok', 'fraud', got 'spam'; correct"
    ):
        files.decide(path, policy, tmp_path / "out.csv", score="score", positive="spam")


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)])
def test_arrays_of_one_number_a_row(tmp_path, shape):
    np.save(tmp_path / "logits.npy", SCORES.reshape(shape))
    np.save(tmp_path / "truth.npy", TRUTH)
    expected = Policy(VectorScaling(), RULE).fit(SCORES, TRUTH).predict_proba(SCORES)
    policy = files.fit(tmp_path / "logits.npy", str(tmp_path / "truth.npy"), VectorScaling(), RULE)
    np.testing.assert_array_equal(policy.predict_proba(SCORES), expected)
    words = np.array(["ok", "fraud"])
    np.savez(
        tmp_path / "a.npz", logits=SCORES.reshape(shape), risk=SCORES, truth=words[TRUTH], class_names=words
    )
    for more in ({}, {"score": "risk"}, {"columns": "risk"}, {"positive": "fraud"}):
        policy = files.fit(tmp_path / "a.npz", "truth", VectorScaling(), RULE, **more)
        np.testing.assert_array_equal(policy.predict_proba(SCORES), expected)
        assert policy.class_names_ == ("ok", "fraud")
        files.decide(tmp_path / "a.npz", policy, tmp_path / "out.parquet", **more)


def test_one_named_column_is_a_score_and_a_list_of_one_is_too(tmp_path):
    labels, _, said = labels_as("words")
    path = write(tmp_path, "parquet", labels)
    expected = Policy(VectorScaling(), RULE).fit(SCORES, TRUTH).predict_proba(SCORES)
    policy = files.fit(path, "truth", VectorScaling(), RULE, columns="score", **said)
    np.testing.assert_array_equal(policy.predict_proba(SCORES), expected)
    lists = pa.table({"logits": pa.array(SCORES[:, None].tolist()), "truth": labels})
    pyarrow.parquet.write_table(lists, tmp_path / "lists.parquet")
    policy = files.fit(tmp_path / "lists.parquet", "truth", VectorScaling(), RULE, **said)
    np.testing.assert_array_equal(policy.predict_proba(SCORES), expected)
    (batch,) = pyarrow.parquet.read_table(path).to_batches()
    (decided,) = policy.decide_batches([batch], columns="score")
    assert decided["decision"].to_pylist() == policy.decide(SCORES).labels.tolist()


def test_both_classes_are_looked_for_in_all_files(tmp_path):
    for name, rows in (("a", TRUTH == 0), ("b", TRUTH == 1)):
        columns = {"score": SCORES[rows], "truth": np.array(["ok", "fraud"])[TRUTH[rows]]}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    policy = files.fit(tmp_path, "truth", VectorScaling(), RULE, score="score", positive="fraud")
    assert policy.class_names_ == ("ok", "fraud")
    with pytest.raises(SoftmaxlibError, match=r"must have labels of two classes, got 'ok' in every row"):
        files.fit(tmp_path / "a.parquet", "truth", VectorScaling(), RULE, score="score")


REFUSED = [
    ({"score": "scor"}, r"rows.csv: no column is called 'scor' \(is 'score' meant\?\).*score="),
    ({}, r"no column is called 'logit_\*'.*or the one of a binary model with score="),
    (
        {"score": "score"},
        r"has labels such as 'fraud', 'ok', which do not tell whose score it is; name",
    ),
    (
        {"score": "score", "positive": "fruad"},
        r"positive= must be a label, got 'fruad', and .*rows.csv: column 'truth' has 'fraud', 'ok'; name one",
    ),
    ({"score": "score", "columns": "score"}, r"score= names one column, and columns= one for each class"),
    ({"score": "truth"}, r"score= and label= name the same column, 'truth'; give each its own$"),
    ({"score": "id", "positive": "fraud", "weight": "id"}, r"score= and weight= name the same column"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_is_no_score_is_refused_with_a_way_out(tmp_path, given, message):
    path = write(tmp_path, "csv", labels_as("words")[0])
    with pytest.raises(SoftmaxlibError, match=message):
        files.fit(path, "truth", VectorScaling(), RULE, **given)


def test_a_third_label_and_a_third_class(tmp_path):
    words = np.array(["ok", "fraud"])[TRUTH]
    words[-1] = "other"
    path = write(tmp_path, "csv", pa.array(words))
    with pytest.raises(SoftmaxlibError, match=r"has the label 'other' in row 399 .*none of the 2 classes"):
        files.fit(path, "truth", VectorScaling(), RULE, score="score", positive="fraud")
    three = Policy(VectorScaling(), MinimumCost(1 - np.eye(3)))
    three.fit(np.stack([SCORES, 1 - SCORES, 0.5 * SCORES], axis=1), np.arange(ROWS) % 3)
    with pytest.raises(SoftmaxlibError, match=r"one score a row is for two classes, and the policy has 3"):
        files.decide(path, three, tmp_path / "out.csv", score="score")


def test_positive_where_there_is_a_number_for_each_class(tmp_path):
    columns = {"logit_ok": 0 * SCORES, "logit_fraud": SCORES, "truth": labels_as("booleans")[0]}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    fit = (tmp_path / "rows.parquet", "truth", VectorScaling(), RULE)
    with pytest.raises(SoftmaxlibError, match=r"positive= is for one column of scores, and .* 2 classes; l"):
        files.fit(*fit, positive="fraud")
    # booleans beside named columns: false is the first class
    expected = Policy(VectorScaling(), RULE).fit(SCORES, TRUTH).predict_proba(SCORES)
    np.testing.assert_array_equal(files.fit(*fit).predict_proba(SCORES), expected)
    # a column that was lost is no score
    pyarrow.parquet.write_table(pa.table(columns).drop(["logit_ok"]), tmp_path / "lost.parquet")
    with pytest.raises(SoftmaxlibError, match=r'only column .logit_fraud. was chosen.*score="logit_fraud"$'):
        files.fit(tmp_path / "lost.parquet", *fit[1:])


def test_more_rows_than_are_held(tmp_path):
    labels, names, said = labels_as("words")
    path = write(tmp_path, "csv", labels)
    policy = files.fit(path, "truth", VectorScaling(), RULE, score="score", sample_rows=100, **said)
    whole = Policy(VectorScaling(), RULE).fit(SCORES, TRUTH, class_names=names)
    np.testing.assert_allclose(policy.predict_proba(SCORES), whole.predict_proba(SCORES), rtol=1e-6)
    evaluation = files.evaluate(path, "truth", score="score", sample_rows=100, **said)
    expected = evaluate(SCORES, TRUTH, class_names=names)
    assert evaluation.before.figures.log_loss == pytest.approx(expected.before.figures.log_loss, rel=1e-12)
