"""Files without rows, absent lists, and columns in encodings of Arrow: read as plain ones are."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import MultilabelPolicy, files
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.cli._app import run
from softmaxlib.decisions import BinaryThreshold, MostLikely
from softmaxlib.errors import InvalidInputError, SoftmaxlibError, UnsupportedTypeError

from .conftest import NAMES, rows, table


def lists(logits, labels, kind=None):
    kind = kind or pa.list_(pa.float32())
    return pa.table({"logits": pa.array(logits.tolist(), kind), "truth": np.array(NAMES)[labels]})


@pytest.fixture
def with_empty_files(tmp_path):
    """A folder with lists, whose first and last file have no rows."""
    (tmp_path / "in").mkdir()
    for name, count in (("a", 0), ("b", 200), ("c", 0)):
        content = lists(*rows(count))
        content = content.set_column(1, "truth", pa.array(rows(count)[1]))
        pyarrow.parquet.write_table(content, tmp_path / f"in/{name}.parquet")
    return tmp_path / "in"


@pytest.mark.parametrize("sample_rows", [10**6, 50])
def test_a_file_of_lists_without_rows(policy, with_empty_files, sample_rows):
    alone = with_empty_files / "b.parquet"
    one, other = (
        files.fit(source, "truth", TemperatureScaling(), MostLikely(), sample_rows=sample_rows)
        for source in (with_empty_files, alone)
    )
    assert one.class_names_ == other.class_names_ == ("0", "1", "2")
    if sample_rows > 200:
        assert one.calibration.temperature_ == other.calibration.temperature_
    assert files.evaluate(with_empty_files, "truth", policy=policy, sample_rows=sample_rows).rows == 200
    assert files.audit(with_empty_files, "truth", policy, sample_rows=sample_rows).rows == 200


def test_decisions_on_no_rows_have_the_columns_of_others(policy, with_empty_files, tmp_path):
    files.decide(with_empty_files, policy, f"{tmp_path}/out/")
    schemas = [pyarrow.parquet.read_schema(tmp_path / f"out/{name}.parquet") for name in "abc"]
    assert schemas[0] == schemas[1] == schemas[2]
    assert files.decide(with_empty_files, policy, tmp_path / "one.parquet").rows == 200


def test_no_file_has_a_row(tmp_path):
    pyarrow.parquet.write_table(lists(*rows(0)), tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError, match=r"a\.parquet has no row with logits; at least one is needed"):
        files.evaluate(tmp_path, "truth")


def test_the_first_list_is_absent(policy, tmp_path):
    logits, labels = rows(30)
    content = pa.table({"logits": pa.array([None, *logits[1:].tolist()], pa.list_(pa.float32()))})
    pyarrow.parquet.write_table(content.append_column("truth", pa.array(labels)), tmp_path / "a.parquet")
    message = r"column 'logits' must hold 3 numbers in each row, got no list in row 0 "
    with pytest.raises(InvalidInputError, match=message):
        files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet")
    with pytest.raises(InvalidInputError, match=message):
        files.fit(tmp_path / "a.parquet", "truth", TemperatureScaling(), MostLikely())


def test_an_absent_number_in_a_list(policy, tmp_path):
    logits = rows(30)[0].tolist()
    logits[7][1] = logits[9][0] = None
    content = pa.table({"logits": pa.array(logits, pa.list_(pa.float32()))})
    pyarrow.parquet.write_table(content, tmp_path / "a.parquet")
    message = r"none in row 7 .*, number 1 .* of the list in column 'logits': the cell is empty or absent"
    with pytest.raises(InvalidInputError, match=message):
        files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet")


def written(content, path):
    with pa.ipc.new_file(path, content.schema) as writer:
        writer.write_table(content)
    return path


@pytest.mark.parametrize("kind", [pa.list_view(pa.float32()), pa.large_list_view(pa.float32())], ids=str)
def test_views_of_lists(policy, tmp_path, kind):
    logits, labels = rows(40)
    source = written(lists(logits, labels, kind), tmp_path / "a.arrow")
    files.decide(source, policy, tmp_path / "o.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "o.parquet", columns=["predicted"])
    assert found.column("predicted").to_pylist() == [NAMES[k] for k in logits.argmax(axis=1)]


ENCODINGS = {
    "view": lambda text: text.cast(pa.string_view()),
    "runs": pyarrow.compute.run_end_encode,
    "categories": lambda text: text.cast(pa.large_string()).dictionary_encode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_texts_in_other_encodings(tmp_path, encode):
    logits, labels = rows(60)
    texts = pa.array(np.array(NAMES)[labels])
    plain = table(logits, labels).append_column("ward", texts)
    names = {"label": "truth", "groups": "ward", "id": "case"}
    plain = plain.append_column("case", texts)
    encoded = plain
    for name in names.values():
        place = plain.column_names.index(name)
        encoded = encoded.set_column(place, name, encode(plain.column(name).combine_chunks()))
    one, other = (
        files.evaluate(written(content, tmp_path / f"{name}.arrow"), **names).to_dict()
        for name, content in (("plain", plain), ("encoded", encoded))
    )
    for found in (one, other):
        for which in ("evaluated_at", "provenance"):
            del found[which]
    assert one == other


def test_labels_of_half_precision_give_no_warning(tmp_path):
    logits, labels = rows(60)
    content = table(logits, labels).drop_columns(["truth"])
    content = content.append_column("truth", pa.array(labels.astype(np.float16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = files.evaluate(written(content, tmp_path / "a.arrow"), "truth")
    assert [one.rows for one in found.classes] == np.bincount(labels).tolist()


def test_a_multi_label_source_with_files_without_rows(tmp_path, capsys):
    logits, _ = rows(50)
    truth = logits > 0
    policy = MultilabelPolicy(Identity(), BinaryThreshold(0.5)).fit(logits, truth, class_names=NAMES)
    policy.save(tmp_path / "policy.json")
    (tmp_path / "in").mkdir()
    for name, count in (("a", 0), ("b", 50)):
        columns = {"logits": pa.array(logits[:count].tolist(), pa.list_(pa.float32()))}
        columns |= {f"true_{k}": truth[:count, k] for k in range(3)}
        pyarrow.parquet.write_table(pa.table(columns), tmp_path / f"in/{name}.parquet")
    given = ["--policy", str(tmp_path / "policy.json"), "-o"]
    for source, count in (("in", 50), ("in/a.parquet", 0)):
        target = tmp_path / f"{count}.parquet"
        assert run(["decide", str(tmp_path / source), *given, str(target)]) == 0, capsys.readouterr().err
        found = pyarrow.parquet.read_table(target)
        assert found.column("labels").to_pylist() == [
            [name for name, is_true in zip(NAMES, row, strict=True) if is_true] for row in truth[:count]
        ]
    arguments = ["--multilabel", "--label", "true_*", "-o", str(tmp_path / "new.json")]
    assert run(["fit", str(tmp_path / "in"), *arguments]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "source", [None, 3, b"rows", {"rows"}, (name for name in ["rows"]), [None], "", [""]]
)
def test_what_names_no_file(policy, tmp_path, source):
    for work in (
        lambda: files.evaluate(source, "truth"),
        lambda: files.decide(source, policy, f"{tmp_path}/out/"),
        lambda: files.decide(source, policy, tmp_path / "out.csv"),
    ):
        with pytest.raises(SoftmaxlibError, match=r"must be a path, a list|must be named|must have a name"):
            work()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": None}, "label= must name the column with the true class, got None"),
        ({"label": 3}, "label= must name a column by a text, got 3"),
        ({"groups": ["ward"]}, r"groups= must name a column by a text, got \['ward'\]"),
        ({"score": "id", "positive": 1}, "positive= must name a class by a text, got 1"),
        ({"columns": 3}, "columns= must be names of columns or patterns, got 3"),
        ({"columns": []}, r"columns= must be names of columns or patterns, got \[\]"),
        ({"columns": [0, 1, 2]}, r"columns= must be names of columns or patterns, got \[0, 1, 2\]"),
        ({"policy": {}}, "policy must be a fitted Policy, or the path of one, got dict"),
        ({"csv": {"separator": ";"}}, "csv= must be a CsvFormat, such as .* got {'separator': ';'}"),
        ({"sample_rows": "many"}, "sample_rows must be a whole number, got 'many'"),
    ],
)
def test_arguments_of_other_types(tmp_path, given, message):
    pyarrow.parquet.write_table(table(*rows(20)), tmp_path / "a.parquet")
    with pytest.raises(UnsupportedTypeError, match=message):
        files.evaluate(tmp_path / "a.parquet", **{"label": "truth", **given})


@pytest.mark.parametrize("rule", [MostLikely, None, "likely"])
def test_what_is_no_rule(tmp_path, rule):
    pyarrow.parquet.write_table(table(*rows(20)), tmp_path / "a.parquet")
    with pytest.raises(UnsupportedTypeError, match="rule must be "):
        files.fit(tmp_path, "truth", TemperatureScaling(), rule)


@pytest.mark.parametrize("weight", [1e-101, 1e101])
def test_weights_without_squares(policy, tmp_path, weight):
    times = np.full(300, 1.0)
    for factor in (1e-99, 1e99):
        content = table(*rows(300)).append_column("times", pa.array(factor * times))
        pyarrow.parquet.write_table(content, tmp_path / "a.parquet")
        for held in (300, 50):
            given = {"weight": "times", "sample_rows": held}
            found = files.evaluate(tmp_path, "truth", policy=policy, **given)
            assert found.effective_rows == pytest.approx(300)
            assert files.audit(tmp_path, "truth", policy, **given).holds
            fitted = files.fit(tmp_path, "truth", TemperatureScaling(), MostLikely(), **given)
            assert 1 < fitted.calibration.temperature_ < 2
    times[7] = weight
    content = table(*rows(300)).append_column("times", pa.array(times))
    pyarrow.parquet.write_table(content, tmp_path / "a.parquet")
    with pytest.raises(
        InvalidInputError, match=r"between 1e-100 and 1e\+100, got 1e[+-]101 in row 7 .* multiply"
    ):
        files.evaluate(tmp_path, "truth", weight="times")


@pytest.mark.parametrize(("mark", "named"), [("\t", "tab"), (";", ";")])
def test_a_header_that_is_one_cell(policy, tmp_path, mark, named):
    content = table(*rows(10))
    options = pyarrow.csv.WriteOptions(delimiter=mark, quoting_style="none")
    pyarrow.csv.write_csv(content, tmp_path / "a.csv", options)
    message = rf'header is one cell, .*; name what is between cells, such as separator="{named}"'
    with pytest.raises(InvalidInputError, match=message):
        files.decide(tmp_path / "a.csv", policy, tmp_path / "o.csv")
    form = files.CsvFormat(separator=mark)
    assert files.decide(tmp_path / "a.csv", policy, tmp_path / "o.csv", csv=form).rows == 10
