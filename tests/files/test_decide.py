"""Files, folders, patterns, URLs and streams in; a file, a folder or a stream out."""

import gzip
import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

from softmaxlib import files
from softmaxlib.cli._app import run as run_app
from softmaxlib.errors import FileFormatError, InvalidInputError
from softmaxlib.files import parts

from .conftest import NAMES, rows, table


def expected(policy, logits):
    action = policy.decide(logits).action
    return [None if k < 0 else NAMES[k] for k in action]


def test_a_folder_into_a_folder(policy, folder, tmp_path):
    counts = files.decide(folder, policy, f"{tmp_path}/out/")
    assert (counts.rows, counts.parts, counts.skipped) == (390, 3, 0)
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.parquet"))
    assert made == ["year=2025/a.parquet", "year=2025/b.parquet", "year=2026/c.parquet"]
    found = pyarrow.parquet.read_table(tmp_path / "out/year=2025/a.parquet", partitioning=None)
    assert found.column("decision").to_pylist() == expected(policy, rows(300)[0])
    assert "year" not in found.column_names  # the folder says it
    only = pyarrow.parquet.read_table(
        tmp_path / "out/", filters=[("year", "=", 2026)], columns=["year", "decision"]
    )
    assert only.column("year").to_pylist() == [2026] * 50


def test_a_folder_into_one_file(policy, folder, tmp_path):
    with pytest.raises(InvalidInputError, match=r"b\.csv\.gz has other columns than .*a\.parquet"):
        files.decide(folder, policy, tmp_path / "out.parquet")  # ids are text in CSV, and numbers elsewhere
    assert not list(tmp_path.iterdir())
    sources = [folder / "year=2025/a.parquet", folder / "year=2026/c.arrow"]
    assert files.decide(sources, policy, tmp_path / "out.parquet").rows == 350
    found = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert found.column("id").to_pylist() == [*range(300), *range(340, 390)]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("year=*/*.parquet", 300), ("**/*.csv.gz", 40), ("year=2026", 50), ("**", 390), ("*/[ac].*", 350)],
)
def test_a_pattern(policy, folder, tmp_path, pattern, count):
    assert files.decide(f"{folder}/{pattern}", policy, f"{tmp_path}/out/").rows == count


def test_a_pattern_in_this_folder(policy, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder / "year=2026")
    assert files.decide("*.arrow", policy, tmp_path / "out/").rows == 50


def test_what_the_name_of_a_folder_says_may_be_the_label(folder, tmp_path):
    logits, labels = rows(60)
    for k, name in enumerate(NAMES):
        (tmp_path / f"truth={name}").mkdir()
        content = table(logits[labels == k], labels[labels == k]).drop_columns(["truth"])
        pyarrow.parquet.write_table(content, tmp_path / f"truth={name}/x.parquet")
    evaluation = files.evaluate(tmp_path, "truth")
    assert [one.rows for one in evaluation.classes] == np.bincount(labels, minlength=3).tolist()


class TestRemote:
    def test_memory_to_memory(self, policy, folder):
        import fsspec

        remote = fsspec.filesystem("memory")
        remote.put(str(folder), "/rows", recursive=True)
        counts = files.decide("memory://rows", policy, "memory://decided/", format="csv")
        assert (counts.rows, counts.parts) == (390, 3)
        with remote.open("/decided/year=2026/c.csv") as file:
            assert file.read().count(b"\n") == 51
        assert files.decide("memory://rows/*/a.parquet", policy, "memory://one.parquet").rows == 300
        assert not [name for name in remote.find("/") if "partial" in name]
        with pytest.raises(InvalidInputError, match="lies in the folder that is read"):
            files.decide("memory://rows", policy, "memory://rows/out/")
        files.evaluate("memory://rows/year=2026", "truth", policy=policy)

    def test_a_target_is_known_in_every_spelling(self, policy):
        import fsspec

        remote, sink = fsspec.filesystem("memory"), pa.BufferOutputStream()
        pyarrow.parquet.write_table(table(*rows(20)), sink)
        remote.pipe("/spelled/a.parquet", sink.getvalue().to_pybytes())
        dataset = pyarrow.dataset.dataset("/spelled", filesystem=remote, format="parquet")
        for source in ("memory://spelled", "memory:///spelled/*", "memory:///spelled/a.parquet", dataset):
            with pytest.raises(InvalidInputError, match="would overwrite memory:///spelled/a"):
                files.decide(source, policy, "memory:///spelled/a.parquet")
        for source in ("memory://spelled", dataset):
            with pytest.raises(
                InvalidInputError, match="memory:///spelled/out/ lies in the folder that is read"
            ):
                files.decide(source, policy, "memory:///spelled/out/")

    def test_a_file_that_has_changed_without_a_time(self, policy):
        """A file system of fsspec may not tell the time of a change."""
        import fsspec

        remote = fsspec.filesystem("memory")
        lines = [",".join(f"logit_{name}" for name in NAMES), "9,0,0", ""], ["", "0,9,0", ""]
        remote.pipe("/changing/a.csv", "\n".join(lines[0]).encode())
        work = ("memory://changing", policy, "memory://changed/")
        assert files.decide(*work, format="csv").parts == 1
        assert files.decide(*work, format="csv", resume=True).parts == 0
        remote.pipe("/changing/a.csv", "\n".join([lines[0][0], *lines[1][1:]]).encode())
        assert files.decide(*work, format="csv", resume=True).parts == 1
        assert remote.cat("/changed/a.csv").splitlines()[1].startswith(b'"dog"')

    def test_arrays(self, policy):
        import fsspec

        remote = fsspec.filesystem("memory")
        for name, write in (("a.npy", np.save), ("a.npz", lambda file, array: np.savez(file, logits=array))):
            buffer = io.BytesIO()
            write(buffer, rows(30)[0])
            remote.pipe(f"/arrays/{name}", buffer.getvalue())
        for name in ("a.npy", "a.npz"):
            assert files.decide(f"memory://arrays/{name}", policy, "memory://d.arrow").rows == 30

    def test_a_url_of_no_known_kind(self, policy, tmp_path):
        with pytest.raises(FileFormatError, match=r"nosuch://user:.*can't be opened|can't be opened"):
            files.decide("nosuch://host/a.parquet", policy, tmp_path / "o.csv")

    def test_a_password_is_not_shown(self):
        from softmaxlib.files.location import Location

        assert str(Location("s3://key:secret@bucket/rows?token=1")) == "s3://bucket/rows"

    def test_a_local_url(self, policy, folder, tmp_path):
        url = (folder / "year=2026/c.arrow").as_uri()
        assert files.decide(url, policy, f"{tmp_path.as_uri()}/o.parquet").rows == 50
        assert files.decide(url.replace("///", "/"), policy, tmp_path / "o.csv").rows == 50
        for wrong in ("file:///no such.csv", "file://host/a.csv", "file:///[a].csv"):
            with pytest.raises(FileFormatError, match=r"is no URL of a file on this .* name the path"):
                files.decide(wrong, policy, tmp_path / "o.parquet")


class TestStreams:
    @pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "arrows", "npy"])
    def test_standard_input_and_output(self, policy, monkeypatch, kind):
        logits, labels = rows(30)
        content, sink = table(logits, labels), io.BytesIO()
        match kind:
            case "parquet":
                pyarrow.parquet.write_table(content, sink)
            case "arrows":
                with pa.ipc.new_stream(sink, content.schema) as writer:
                    writer.write_table(content)
            case "npy":
                np.save(sink, logits)
            case "csv":
                pyarrow.csv.write_csv(content, sink)
            case _:
                with gzip.open(sink, "wb") as file:
                    pyarrow.csv.write_csv(content, file)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sink.getvalue())))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
        assert files.decide("-", policy, "-").rows == 30
        out = sys.stdout.buffer.getvalue()
        if kind == "arrows":
            found = pa.ipc.open_stream(out).read_all()
        else:
            found = pyarrow.csv.read_csv(
                io.BytesIO(out), convert_options=pa.csv.ConvertOptions(strings_can_be_null=True)
            )
        assert found.column("decision").to_pylist() == expected(policy, logits)

    def test_on_the_command_line(self, policy, tmp_path):
        policy.save(tmp_path / "policy.json")
        pyarrow.csv.write_csv(table(*rows(30)), tmp_path / "a.csv")
        command = f"{sys.executable} -m softmaxlib decide - --policy policy.json -o -"
        piped = f"{command} < a.csv | head -n 2; {command} < /dev/null"
        done = subprocess.run(piped, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith('"predicted","probability"')
        assert done.stderr == ("softmaxlib: error: standard input is empty; a table has a header at least\n")
        assert done.returncode == 2


LISTS = {
    "list": pa.list_(pa.float32()),
    "large list": pa.large_list(pa.float64()),
    "fixed list": pa.list_(pa.float32(), 3),
    "list of halves": pa.list_(pa.float16()),
}


@pytest.mark.parametrize("kind", LISTS.values(), ids=LISTS)
def test_one_column_of_lists(policy, tmp_path, kind):
    logits, labels = rows(40)
    logits = logits.astype(np.float16 if "half" in str(kind) else np.float32)
    values = pa.array(logits.astype(np.float64).tolist(), pa.list_(pa.float64())).cast(kind)
    content = pa.table({"logits": values, "truth": labels})
    pyarrow.parquet.write_table(content, tmp_path / "a.parquet")
    files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.arrow")
    found = pa.ipc.open_file(tmp_path / "o.arrow").read_all()
    assert found.column("decision").to_pylist() == expected(policy, logits.astype(np.float32))
    assert files.evaluate(tmp_path / "a.parquet", "truth").class_names == ("0", "1", "2")
    renamed = content.rename_columns(["scores", "truth"])
    pyarrow.parquet.write_table(renamed, tmp_path / "b.parquet")
    assert files.evaluate(tmp_path / "b.parquet", "truth", columns="scores").rows == 40


def test_lists_of_another_length(policy, tmp_path):
    for wrong, found in (([1.0, 2.0], "2 numbers"), (None, "no list")):
        content = pa.table({"logits": pa.array([[2.0, 1.0, 0.5]] * 7 + [wrong], pa.list_(pa.float64()))})
        pyarrow.parquet.write_table(content, tmp_path / "a.parquet")
        with pytest.raises(
            InvalidInputError,
            match=rf"a\.parquet: column 'logits' must hold 3 numbers in each row, got {found} in row 7 ",
        ):
            files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet")


def test_categories_and_absent_numbers(policy, tmp_path):
    logits = np.array([[2.0, 0.5, 1.0], [0.0, 2.0, 1.0]])
    columns = {f"logit_{name}": pa.array(logits[:, k]).dictionary_encode() for k, name in enumerate(NAMES)}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "o.parquet")
    assert found.column("decision").to_pylist() == expected(policy, logits)
    columns["logit_dog"] = pa.array([None, 2], pa.int32())
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError, match=r"none in row 0 .*column 'logit_dog': the cell is empty"):
        files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet")


class TestRefused:
    def test_a_source_without_files(self, policy, tmp_path):
        (tmp_path / "empty").mkdir()
        for source, words in (
            (tmp_path / "empty", "is a folder without files to read"),
            (f"{tmp_path}/*.csv", "no file matches"),
            (f"{tmp_path}/none.csv", "does not exist; check the name and the folder"),
            ([], "the source names no file"),
        ):
            with pytest.raises(FileFormatError, match=words):
                files.decide(source, policy, tmp_path / "o.parquet")

    def test_a_file_that_does_not_belong(self, policy, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        words = r"notes\.txt is of an unknown format '\.txt'; .* or name some files by a pattern"
        with pytest.raises(FileFormatError, match=words):
            files.decide(tmp_path, policy, "o.parquet")

    def test_writing_into_what_is_read(self, policy, folder):
        with pytest.raises(InvalidInputError, match="lies in the folder that is read"):
            files.decide(folder, policy, folder / "out/")
        with pytest.raises(InvalidInputError, match="lies in the folder that is read"):
            files.decide(f"{folder}/**/*.parquet", policy, f"{folder}/out/")

    def test_a_file_where_a_folder_is_to_be(self, policy, folder, tmp_path):
        (tmp_path / "taken").touch()
        with pytest.raises(InvalidInputError, match="taken/ is a file, and a folder is to be written"):
            files.decide(folder, policy, f"{tmp_path}/taken/")
        with pytest.raises(InvalidInputError, match=r"format= must be one of parquet, .*csv\.gz, got 'xlsx'"):
            files.decide(folder, policy, f"{tmp_path}/new/", format="xlsx")

    def test_python_is_told_of_keywords_and_the_command_line_of_options(self, tmp_path, capsys, policy):
        pyarrow.parquet.write_table(pa.table({"x": [1.0]}), tmp_path / "a.parquet")
        with pytest.raises(InvalidInputError, match=r'columns=, such as columns="logit_\*" or columns="cat'):
            files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.csv")
        policy.save(tmp_path / "policy.json")
        a, p, o = (str(tmp_path / name) for name in ("a.parquet", "policy.json", "o.csv"))
        assert run_app(["decide", a, "--policy", p, "-o", o]) == 2
        assert "--columns, such as --columns 'logit_*' or --columns cat,dog" in capsys.readouterr().err

    def test_rows_are_counted_in_the_whole_file(self, policy, tmp_path, monkeypatch):
        monkeypatch.setattr(parts, "PART_VALUES", 100)
        logits, labels = rows(200)
        logits[137, 1] = np.nan
        pyarrow.parquet.write_table(table(logits, labels), tmp_path / "a.parquet", row_group_size=20)
        with pytest.raises(InvalidInputError, match="got nan in row 137 "):
            files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet")
