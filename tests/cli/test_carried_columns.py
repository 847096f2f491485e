"""Columns of every kind that are carried through ``decide``: written as they were, or refused by name."""

import csv
import datetime
import decimal
import gzip
import io
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

UUID = uuid.UUID(int=5)
NOON = datetime.time(12, 0, 0, 5)
DAY = datetime.date(2020, 2, 29)
DECIMAL = decimal.Decimal("-1.20")

# kind, values, the cells of .csv, the array of .npz (its dtype's kind and its values)
CARRIED = [
    ("category", pa.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"], ("U", ["a", "", "a"])),
    (
        "category of whole numbers",
        pa.array([2**60, 1, 2]).dictionary_encode(),
        [str(2**60), "1", "2"],
        ("i", [2**60, 1, 2]),
    ),
    ("bool", pa.array([True, False, True]), ["true", "false", "true"], ("b", [True, False, True])),
    ("bool with null", pa.array([True, None, False]), ["true", "", "false"], ("f", [1, np.nan, 0])),
    ("all null", pa.array([None] * 3), ["", "", ""], ("U", ["", "", ""])),
    ("text", pa.array(["NA", None, "null"]), ["NA", "", "null"], ("U", ["NA", "", "null"])),
    ("large text", pa.array(["a", None, "ü"], pa.large_string()), ["a", "", "ü"], ("U", ["a", "", "ü"])),
    ("int64", pa.array([2**63 - 1, -(2**63), 0]), [str(2**63 - 1), str(-(2**63)), "0"], ("i", None)),
    ("int64 with null", pa.array([2**53, None, -1]), [str(2**53), "", "-1"], ("f", [2**53, np.nan, -1])),
    (
        "uint64",
        pa.array([2**64 - 1, 0, 1], pa.uint64()),
        [str(2**64 - 1), "0", "1"],
        ("u", [2**64 - 1, 0, 1]),
    ),
    ("float16", pa.array(np.array([1.5, 2, 3], "f2")), ["1.5", "2", "3"], ("f", [1.5, 2, 3])),
    ("float64 with null", pa.array([0.1, None, 3.0]), ["0.1", "", "3"], ("f", [0.1, np.nan, 3])),
    ("decimal", pa.array([DECIMAL, None, DECIMAL]), ["-1.20", "", "-1.20"], ("U", ["-1.20", "", "-1.20"])),
    (
        "date",
        pa.array([DAY, None, DAY]),
        ["2020-02-29", "", "2020-02-29"],
        ("M", ["2020-02-29", "NaT", "2020-02-29"]),
    ),
    ("time", pa.array([NOON, None, NOON]), ["12:00:00.000005", "", "12:00:00.000005"], ("U", None)),
    ("duration", pa.array([5, None, 7], pa.duration("ms")), ["5 ms", "", "7 ms"], ("m", [5, "NaT", 7])),
    ("bytes", pa.array([b"\xff\0", None, b""]), ["ff00", "", ""], ("U", ["ff00", "", ""])),
    ("bytes of one size", pa.array([b"\0\1", None, b"ab"], pa.binary(2)), ["0001", "", "6162"], ("U", None)),
    ("list", pa.array([[1], None, [None, 2]]), ["[1]", "", "[null, 2]"], ("U", ["[1]", "", "[null, 2]"])),
    ("list of bytes", pa.array([[b"\xff"], [], None]), ['["ff"]', "[]", ""], ("U", None)),
    ("list of days", pa.array([[DAY], [], None]), ['["2020-02-29"]', "[]", ""], ("U", None)),
    ("list of floats", pa.array([[np.nan], [0.5], []]), ["[null]", "[0.5]", "[]"], ("U", None)),
    (
        "struct",
        pa.array([{"a": DECIMAL, "b": [NOON]}, None, None]),
        ['{"a": "-1.20", "b": ["12:00:00.000005"]}', "", ""],
        ("U", None),
    ),
]
if hasattr(pa, "uuid"):
    stored = pa.array([UUID.bytes, None, UUID.bytes], pa.binary(16))
    spelled = [str(UUID), "", str(UUID)]
    CARRIED.append(("uuid", pa.ExtensionArray.from_storage(pa.uuid(), stored), spelled, ("U", spelled)))


@pytest.fixture
def decided(softmaxlib, tmp_path):
    """`decided(column, ending)` carries that column to a file, and gives the outcome and the file."""
    rows = "\n".join(["1,2,cat", "2,1,dog"] * 4)
    (tmp_path / "fit.csv").write_text(f"logit_cat,logit_dog,truth\n{rows}\n")
    arguments = ("fit", "fit.csv", "-o", "policy.json", "--label", "truth", "--calibration", "none")
    assert softmaxlib(*arguments).code == 0

    def call(column, ending, name="carried", in_parquet=True):
        table = pa.table({"logit_cat": [1.0, 2, 3], "logit_dog": [3.0, 2, 1], name: column})
        source = "in.parquet" if in_parquet else "in.arrow"
        if in_parquet:
            pyarrow.parquet.write_table(table, tmp_path / source)
        else:
            pyarrow.feather.write_feather(table, tmp_path / source, compression="uncompressed")
        outcome = softmaxlib("decide", source, "--policy", "policy.json", "-o", f"out{ending}")
        return outcome, tmp_path / f"out{ending}"

    return call


@pytest.mark.parametrize(
    ("column", "cells"), [case[1:3] for case in CARRIED], ids=[case[0] for case in CARRIED]
)
def test_to_csv(decided, column, cells):
    outcome, path = decided(column, ".csv")
    assert outcome.code == 0, outcome.err
    with open(path, newline="", encoding="utf-8") as file:
        assert [row["carried"] for row in csv.DictReader(file)] == cells


@pytest.mark.parametrize(
    ("column", "cells", "expected"), [case[1:4] for case in CARRIED], ids=[case[0] for case in CARRIED]
)
def test_to_npz(decided, column, cells, expected):
    outcome, path = decided(column, ".npz")
    assert outcome.code == 0, outcome.err
    kind, values = expected
    with np.load(path, allow_pickle=False) as archive:
        array = archive["carried"]
    assert array.dtype.kind == kind
    if values is None:
        values = [int(cell) for cell in cells] if kind == "i" else cells
    np.testing.assert_array_equal(array, np.array(values, dtype=array.dtype))


@pytest.mark.parametrize("column", [case[1] for case in CARRIED], ids=[case[0] for case in CARRIED])
def test_to_parquet(decided, column):
    outcome, path = decided(column, ".parquet")
    assert outcome.code == 0, outcome.err
    found = pyarrow.parquet.read_table(path).column("carried")
    assert repr(found.to_pylist()) == repr(column.to_pylist())  # NaN is not equal to itself


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_a_whole_number_that_npz_would_change_is_refused(decided, value):
    outcome, path = decided(pa.array([value, None, 1]), ".npz")
    outcome.assert_failed(
        "out.npz: column 'carried' has absent numbers", "above 2^53", "write .parquet or .csv"
    )
    assert not path.exists()


def test_a_text_that_npz_would_cut_is_refused(decided):
    outcome, path = decided(pa.array(["a\0", "b", "c"]), ".npz")
    outcome.assert_failed("column 'carried' has a text that ends with NUL")
    assert not path.exists()


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "a/b", "x.npy", ""])
def test_a_column_of_any_name_to_npz(decided, name):
    outcome, path = decided(pa.array(["x", "y", "z"]), ".npz", name)
    assert outcome.code == 0, outcome.err
    with np.load(path) as archive:
        assert archive[name].tolist() == ["x", "y", "z"]


def test_a_type_that_has_no_text_is_refused_by_name():
    from softmaxlib.errors import FileFormatError
    from softmaxlib.files.exact_columns import as_numpy_array, as_text

    column = pa.chunked_array([pa.array([None], pa.month_day_nano_interval())])
    for plain in (as_text, as_numpy_array):
        with pytest.raises(
            FileFormatError, match=r"o\.csv: column 'x' is of the type month_day_nano_interval"
        ):
            plain(column, "o.csv: column 'x'")


def test_times_of_nanoseconds_are_texts_in_npz(decided):
    outcome, path = decided(pa.array([5, None, 7], pa.time64("ns")), ".npz")
    assert outcome.code == 0, outcome.err
    with np.load(path) as archive:
        assert archive["carried"].tolist() == ["00:00:00.000000005", "", "00:00:00.000000007"]


def test_runs_are_written_to_parquet_as_their_values(decided):
    outcome, path = decided(
        pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), ".parquet", in_parquet=False
    )
    assert outcome.code == 0, outcome.err
    assert pyarrow.parquet.read_table(path).column("carried").to_pylist() == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("column", "ending"),
    [
        (pa.array([None] * 3, pa.month_day_nano_interval()), ".parquet"),
        (pa.array([2**62, None, 0], pa.timestamp("s")), ".parquet"),
        (pa.array([2**62, None, 0], pa.timestamp("s", "UTC")), ".csv"),
        (pa.array([-(2**31), None, 0], pa.date32()), ".csv"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_by_name(decided, column, ending):
    outcome, path = decided(column, ending, in_parquet=False)
    outcome.assert_failed(f"out{ending}: column 'carried'", "write .arrow, or leave")
    assert not path.exists()
    assert decided(column, ".arrow", in_parquet=False)[0].code == 0


CELLS = ["NA", "null", "nan", "NaN", "N/A", "", "None", "#N/A", "007", "1e5", " a ", 'say "x"', "two\nlines"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet", ".npz"])
def test_cells_of_text_stay_as_they_are(softmaxlib, tmp_path, ending):
    names = ["NA", "null"]
    with open(tmp_path / "in.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["logit_NA", "logit_null", "truth", "cell", "nan"])
        writer.writerows(
            [index % 3, index % 5, names[index % 2], cell, "NA"] for index, cell in enumerate(CELLS)
        )
    assert (
        softmaxlib("fit", "in.csv", "-o", "policy.json", "--label", "truth", "--calibration", "none").code
        == 0
    )
    outcome = softmaxlib("decide", "in.csv", "--policy", "policy.json", "-o", f"out{ending}")
    assert outcome.code == 0, outcome.err
    found = read(tmp_path / f"out{ending}")
    assert found["cell"] == CELLS
    assert found["nan"] == ["NA"] * len(CELLS)
    assert set(found["predicted"]) <= set(names)
    assert found["truth"] == [names[index % 2] for index in range(len(CELLS))]


def read(path):
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return {name: archive[name].tolist() for name in archive.files}
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pydict()
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    separator = "\t" if path.suffix == ".tsv" else ","
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
    return {name: [row[name] for row in rows] for name in rows[0]}


FORMULAS = [
    "=cmd()",
    "@SUM(1)",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    "＝1+1",
    "=1",
]
NO_FORMULAS = ["-1.5", "+49 170 123", "-", "--", "-1,234.5", "-inf", "a=1", "'=x", "-5%", "+1e-5"]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
def test_no_cell_is_a_formula_and_no_number_is_changed(decided, tmp_path, softmaxlib, ending):
    names = ["=evil()", "+dog"]
    header = ",".join([*(f"logit_{name}" for name in names), "truth", "=header()", "note"])
    cells = FORMULAS + NO_FORMULAS
    with open(tmp_path / "in.csv", "w", newline="", encoding="utf-8") as file:
        file.write(header + "\n")
        csv.writer(file).writerows([i % 3, i % 2, names[i % 2], cell, cell] for i, cell in enumerate(cells))
    assert (
        softmaxlib("fit", "in.csv", "-o", "policy.json", "--label", "truth", "--calibration", "none").code
        == 0
    )
    outcome = softmaxlib("decide", "in.csv", "--policy", "policy.json", "-o", f"out{ending}")
    assert outcome.code == 0, outcome.err
    found = read(tmp_path / f"out{ending}")
    expected = [f"'{cell}" for cell in FORMULAS] + NO_FORMULAS
    assert found["note"] == expected
    assert found["'=header()"] == expected
    assert set(found["predicted"]) == {"'=evil()", "'+dog"}
    assert found["truth"] == [f"'{names[i % 2]}" for i in range(len(cells))]


def test_from_npz(softmaxlib, tmp_path):
    """Arrays with one entry a row are columns; others, that only look so from afar, are not."""
    arrays = {
        **{
            "id": np.arange(6),
            "name": np.array(["a", "ü", "c", "d", "e", "f"]),
            "late": np.arange(6)[:, None] > 3,
        },
        **{"day": np.array(["2020-02-29"] * 6, "M8[D]"), "truth": np.arange(6) % 2},
        **{"features": np.zeros((6, 4)), "epoch": np.array(3), "history": np.zeros(5)},
        "class_names": np.array(["cat", "dog"]),
    }
    logits = np.random.default_rng(0).normal(size=(6, 2))
    np.savez(tmp_path / "in.npz", logits=logits, **arrays)
    fit = "fit", "in.npz", "-o", "policy.json", "--label", "truth", "--calibration", "none"
    assert softmaxlib(*fit).code == 0
    outcome = softmaxlib("decide", "in.npz", "--policy", "policy.json", "-o", "out.npz")
    assert outcome.code == 0, outcome.err
    with np.load(tmp_path / "out.npz") as decided:
        assert list(decided.files)[-5:] == ["id", "name", "late", "day", "truth"]
        for name in ("id", "name", "day", "truth"):
            np.testing.assert_array_equal(decided[name], arrays[name])
        np.testing.assert_array_equal(decided["late"], arrays["late"].ravel())
    np.savez(tmp_path / "in.npz", logits=logits, wave=np.full(6, 1j))
    decide = softmaxlib("decide", "in.npz", "--policy", "policy.json", "-o", "again.npz")
    decide.assert_failed("the array 'wave' has an entry for each row and can't be a column", "leave it out")
