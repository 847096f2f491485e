"""Text files whose quotes or lines have no end: refused by row, and every sound file read as before."""

import gzip
import io
import sys

import pyarrow as pa
import pyarrow.csv
import pytest

from softmaxlib import files
from softmaxlib.cli._app import run as run_app
from softmaxlib.errors import FileFormatError
from softmaxlib.files import csv_format
from softmaxlib.files.csv_format import CsvFormat
from softmaxlib.files.location import Location

from .conftest import rows, table

ROWS = 300
HEADER = ["id", "logit_cat", "logit_dog", "logit_bird", "truth", "note"]


def lines(separator=","):
    """The lines of a table whose last column is a text that needs no quotes."""
    content = table(*rows(ROWS)).append_column("note", pa.array(["fine"] * ROWS))
    cells = zip(*(column.to_pylist() for column in content.columns), strict=True)
    return [separator.join(map(str, row)) for row in [HEADER, *cells]]


def with_open_quote(text, where):
    """The lines with a quote in row 99 that is not closed: before its last cell, its first, its second."""
    first, *other, last = text[100].split(",")
    cells = {
        "last": [first, *other, f'"{last}'],
        "first": [f'"{first}', *other, last],
        "number": [first, f'"{other[0]}', *other[1:], last],
    }[where]
    return [*text[:100], ",".join(cells), *text[101:]]


def write(path, text):
    content = "\n".join(text) + "\n"
    if ".tsv" in path.name:
        content = content.replace(",", "\t")
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


OPEN = (
    r"begins with a quote must end with one, and in row 99 \(counted from 0\) such a cell has no end; add the"
)


@pytest.mark.parametrize("where", ["last", "first", "number"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.csv.gz"])
@pytest.mark.parametrize("sample_rows", [1_000_000, 50])
def test_a_quote_without_end(policy, tmp_path, name, where, sample_rows):
    path = write(tmp_path / name, with_open_quote(lines(), where))
    with pytest.raises(FileFormatError, match=OPEN):
        files.evaluate(path, "truth", policy=policy, sample_rows=sample_rows)
    with pytest.raises(FileFormatError, match=OPEN):
        files.audit(path, "truth", policy, sample_rows=sample_rows)
    with pytest.raises(FileFormatError, match=OPEN):
        files.decide(path, policy, tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet").exists()


def test_from_standard_input_and_by_workers(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "rows.csv", with_open_quote(lines(), "last"))
    assert run_app(["evaluate", str(path), "--label", "truth", "--workers", "2", "-q"]) == 2
    assert "rows.csv: a cell that begins with a quote" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert run_app(["evaluate", "-", "--label", "truth", "-q"]) == 2
    assert "standard input: a cell that begins with a quote" in capsys.readouterr().err


def test_in_a_text_of_another_encoding(tmp_path):
    text = "\n".join(with_open_quote(lines(), "last"))
    (tmp_path / "rows.csv").write_bytes(text.encode("utf-16"))
    with pytest.raises(FileFormatError, match=OPEN):
        files.evaluate(tmp_path / "rows.csv", "truth", csv=CsvFormat(encoding="utf-16"))


def test_in_the_header(tmp_path):
    text = lines()
    path = write(tmp_path / "rows.csv", [text[0].replace("note", '"note'), *text[1:]])
    with pytest.raises(FileFormatError, match=r"its header must be at most 8,388,608 bytes long, with each"):
        files.evaluate(path, "truth")


def test_in_a_file_of_costs(tmp_path, capsys):
    rows_of_costs = ["truth,cat,dog,bird", "cat,0,1,1", "dog,1,0,1", 'bird,1,1,"0']
    cost = write(tmp_path / "cost.csv", rows_of_costs)
    path = write(tmp_path / "rows.csv", lines())
    fit = ["fit", str(path), "--label", "truth", "--cost", str(cost), "-o", str(tmp_path / "p.json")]
    assert run_app(fit) == 2
    assert "cost.csv: a cell that begins with a quote" in capsys.readouterr().err


SOUND = {
    "line breaks": 'a,b\n"x\ny",1\n"\n\n",2\n',
    "a line break at the end": 'a,b\nx,1\ny,"2\n\n"\n',
    "no line break at the end": 'a,b\nx,"1"\ny,"2"',
    "Windows": 'a,b\r\n"x\r\ny",1\r\nz,"2"\r\n',
    "Macintosh": 'a,b\r"x",1\rz,2\r',
    "quotes of quotes": 'a,b\n"x ""y""",1\n"""",2\n',
    "quotes as data": 'a,b\n5" wide,1\nx,2"\n',
    "quotes after a quoted part": 'a,b\n"x"y"z",1\n"x"""y",2\n',
    "blank lines": "a,b\n\nx,1\n\n\ny,2\n\n",
    "one column": 'a\nx\n\n"y"\n',
    "a header": "a,b\n",
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("block", [8 << 20, 24])
def test_sound_texts_are_read_as_arrow_reads_them(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(csv_format, "_BLOCK", block)
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    names = CsvFormat().header(Location(path))
    types = dict.fromkeys(names, pa.string())
    with pyarrow.csv.open_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types),
    ) as reader:
        expected = reader.read_all()
    assert names == expected.column_names
    found = pa.Table.from_batches(CsvFormat().batches(Location(path), types), expected.schema)
    assert found.to_pylist() == expected.to_pylist()


def test_a_header_without_a_line_break(tmp_path):
    (tmp_path / "a.csv").write_text("a,b")
    assert CsvFormat().header(Location(tmp_path / "a.csv")) == ["a", "b"]
    assert sum(map(len, CsvFormat().batches(Location(tmp_path / "a.csv"), {}))) == 0


def test_a_row_longer_than_a_block(policy, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_format, "_BLOCK", 1 << 12)
    text = lines()
    path = write(tmp_path / "rows.csv", [*text[:11], text[11] + "x" * (1 << 14), *text[12:]])
    words = (
        r"rows.csv: a row must have at most 4,096 bytes, and row 10 \(counted from 0\) has more; .* \.parquet"
    )
    with pytest.raises(FileFormatError, match=words):
        files.decide(path, policy, tmp_path / "o.parquet")
    path = write(tmp_path / "rows.csv", [text[0] + "x" * (1 << 14), *text[1:]])
    with pytest.raises(FileFormatError, match="its header must be at most 4,096 bytes long"):
        files.decide(path, policy, tmp_path / "o.parquet")


@pytest.mark.parametrize("cell", ["", "NA", "null"])
def test_a_cell_without_a_number(policy, tmp_path, cell):
    text = lines()
    cells = text[8].split(",")
    path = write(tmp_path / "rows.csv", [*text[:8], ",".join([*cells[:2], cell, *cells[3:]]), *text[9:]])
    words = r"and there is none in row 7 .*column 'logit_dog': the cell is empty or absent .*; fill it in"
    with pytest.raises(ValueError, match=words):
        files.decide(path, policy, tmp_path / "o.parquet")


@pytest.mark.parametrize("thousands", [None, " "])
def test_a_cell_that_says_nan(policy, tmp_path, thousands):
    text = lines()
    cells = text[8].split(",")
    path = write(tmp_path / "rows.csv", [*text[:8], ",".join([*cells[:2], "NaN", *cells[3:]]), *text[9:]])
    with pytest.raises(ValueError, match=r"must be finite, got nan in row 7 .*column 'logit_dog'"):
        files.decide(path, policy, tmp_path / "o.parquet", csv=CsvFormat(thousands=thousands))


def test_the_last_cell_may_be_a_number(tmp_path):
    text = [line.rpartition(",")[0] for line in lines()]  # without the note
    text = [",".join([line.rpartition(",")[2], *line.split(",")[1:-1]]) for line in text]
    before, _, last = text[20].rpartition(",")
    path = write(tmp_path / "a.csv", [*text[:20], f'{before},"{last}', *text[21:]])
    with pytest.raises(FileFormatError, match=r"in row 19 \(counted from 0\) such a cell has no end"):
        files.evaluate(path, "truth")
