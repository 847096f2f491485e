import errno
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from interruption import endless_folder

ROWS = 60


@pytest.fixture
def files(tmp_path, softmaxlib):
    """A sound file and a sound policy, in the folder the command runs in."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=ROWS)
    logits = 2 * np.eye(2)[labels] + rng.normal(size=(ROWS, 2))
    lines = [f"{a},{b},{'cat' if k == 0 else 'dog'}" for (a, b), k in zip(logits, labels, strict=True)]
    (tmp_path / "good.csv").write_text("logit_cat,logit_dog,truth\n" + "\n".join(lines) + "\n")
    assert softmaxlib("fit", "good.csv", "-o", "policy.json", "--label", "truth").code == 0
    return tmp_path


def commands(file, label="truth"):
    """Every command that reads a file, with an output each."""
    return {
        "fit": ["fit", file, "-o", "out.json", "--label", label],
        "decide": ["decide", file, "--policy", "policy.json", "-o", "out.parquet"],
        "evaluate": ["evaluate", file, "--label", label, "--report", "out.html"],
        "audit": ["audit", file, "--policy", "policy.json", "--label", label, "-o", "out.json"],
    }


def npy_bytes(array):
    stored = io.BytesIO()
    np.save(stored, array)
    return stored.getvalue()


def assert_nothing_written(folder):
    assert not [name for name in os.listdir(folder) if name.startswith(("out", "."))]


@pytest.mark.parametrize("command", ["fit", "evaluate", "audit"])
def test_no_rows(softmaxlib, files, command):
    (files / "bad.csv").write_text("logit_cat,logit_dog,truth\n")
    softmaxlib(*commands("bad.csv")[command]).assert_failed("bad.csv has no rows; at least one is needed")
    assert_nothing_written(files)


@pytest.mark.parametrize("command", ["fit", "decide", "evaluate", "audit"])
class TestEveryCommand:
    def fails(self, softmaxlib, files, command, file, *words):
        softmaxlib(*commands(file)[command]).assert_failed(*words)
        assert_nothing_written(files)

    def test_a_missing_file(self, softmaxlib, files, command):
        self.fails(softmaxlib, files, command, "none.csv", "none.csv does not exist", "check the name")

    def test_a_folder(self, softmaxlib, files, command):
        (files / "folder.csv").mkdir()
        self.fails(softmaxlib, files, command, "folder.csv", "is a folder")

    def test_an_unknown_format(self, softmaxlib, files, command):
        (files / "a.xlsx").write_text("x")
        self.fails(softmaxlib, files, command, "a.xlsx", "unknown format '.xlsx'", ".parquet")

    def test_a_row_with_nan(self, softmaxlib, files, command):
        lines = (files / "good.csv").read_text().splitlines()
        lines[1 + 17] = "1.5,NaN,cat"
        (files / "bad.csv").write_text("\n".join(lines))
        words = (
            "bad.csv",
            "must be finite, got nan",
            "row 17 (counted from 0)",
            "'logit_dog'",
            "drop the row",
        )
        self.fails(softmaxlib, files, command, "bad.csv", *words)

    def test_an_empty_cell(self, softmaxlib, files, command):
        lines = (files / "good.csv").read_text().splitlines()
        lines[1 + 3] = ",1.5,cat"
        (files / "bad.csv").write_text("\n".join(lines))
        words = (
            "there is none in row 3 (counted from 0), column 'logit_cat'",
            "empty or absent",
            "fill it in",
        )
        self.fails(softmaxlib, files, command, "bad.csv", *words)

    def test_a_cell_that_is_no_number(self, softmaxlib, files, command):
        lines = (files / "good.csv").read_text().splitlines()
        lines[1 + 9] = "1.5,two,cat"
        (files / "bad.csv").write_text("\n".join(lines))
        words = ("must be numbers, got 'two' in row 9 (counted from 0), column 'logit_dog'",)
        self.fails(softmaxlib, files, command, "bad.csv", *words)

    def test_a_ragged_row(self, softmaxlib, files, command):
        (files / "bad.csv").write_text("logit_cat,logit_dog,truth\n1,2,cat\n1,2\n")
        self.fails(softmaxlib, files, command, "bad.csv", "bad.csv cannot be read", "Expected 3 columns")

    def test_an_empty_file(self, softmaxlib, files, command):
        for name in ("bad.csv", "bad.parquet", "bad.npy", "bad.npz"):
            (files / name).write_bytes(b"")
            self.fails(softmaxlib, files, command, name, name)

    def test_garbage(self, softmaxlib, files, command):
        for name in ("bad.parquet", "bad.npy", "bad.npz"):
            (files / name).write_bytes(bytes(range(256)) * 4)
            self.fails(softmaxlib, files, command, name, name)

    def test_a_parquet_file_cut_short(self, softmaxlib, files, command):
        table = pa.table({"logit_cat": [1.0] * 50, "logit_dog": [2.0] * 50, "truth": ["cat"] * 50})
        pyarrow.parquet.write_table(table, files / "bad.parquet")
        content = (files / "bad.parquet").read_bytes()
        (files / "bad.parquet").write_bytes(content[: len(content) // 2])
        self.fails(softmaxlib, files, command, "bad.parquet", "bad.parquet is no Parquet file")

    def test_a_parquet_file_damaged_inside(self, softmaxlib, files, command):
        table = pa.table(
            {
                "logit_cat": np.random.default_rng(0).random(500),
                "logit_dog": np.random.default_rng(0).random(500),
                "truth": ["cat"] * 500,
            }
        )
        pyarrow.parquet.write_table(table, files / "bad.parquet", compression="zstd", use_dictionary=False)
        content = bytearray((files / "bad.parquet").read_bytes())
        content[60:300] = b"\xff" * 240
        (files / "bad.parquet").write_bytes(content)
        self.fails(softmaxlib, files, command, "bad.parquet", "bad.parquet cannot be read")

    def test_text_where_numbers_belong(self, softmaxlib, files, command):
        table = pa.table({"logit_cat": ["a"], "logit_dog": [2.0], "truth": ["cat"]})
        pyarrow.parquet.write_table(table, files / "bad.parquet")
        words = ("column 'logit_cat' must hold numbers (logits), got string",)
        self.fails(softmaxlib, files, command, "bad.parquet", *words)

    def test_no_column_of_logits(self, softmaxlib, files, command):
        (files / "bad.csv").write_text("cat,dog,truth\n1,2,cat\n")
        words = ("no column is called 'logit_*'", "its columns are 'cat', 'dog', 'truth'", "--columns")
        self.fails(softmaxlib, files, command, "bad.csv", *words)

    def test_one_class(self, softmaxlib, files, command):
        (files / "bad.csv").write_text("logit_cat,truth\n1,cat\n")
        self.fails(softmaxlib, files, command, "bad.csv", "at least two classes", "'logit_cat'")

    def test_a_column_twice(self, softmaxlib, files, command):
        (files / "bad.csv").write_text("logit_cat,logit_cat,truth\n1,2,cat\n")
        self.fails(softmaxlib, files, command, "bad.csv", "'logit_cat'", "rename one of them")

    def test_a_pickle(self, softmaxlib, files, command):
        np.save(files / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        np.savez(files / "bad.npz", logits=np.array([{"a": 1}], dtype=object))
        np.save(files / "labels.npy", np.zeros(1))
        for name in ("bad.npy", "bad.npz"):
            done = softmaxlib(*commands(name, "labels.npy")[command])
            done.assert_failed(
                name, "holds pickled Python objects, which are never loaded", "array.astype(float)"
            )
            assert "allow_pickle" not in done.err
        assert_nothing_written(files)

    @pytest.mark.parametrize("kind", [".npy", ".npz"])
    def test_no_array_by_its_first_bytes(self, softmaxlib, files, command, kind):
        np.save(files / "labels.npy", np.zeros(1))
        for content in (b"", b"xx", pickle.dumps([1])):
            (files / f"bad{kind}").write_bytes(content)
            done = softmaxlib(*commands(f"bad{kind}", "labels.npy")[command])
            done.assert_failed(f"bad{kind} is no {kind} file by its first bytes; write it anew")
            assert "pickle" not in done.err

    @pytest.mark.parametrize("kind", [".npy", ".npz"])
    @pytest.mark.parametrize("left", [20, -30])
    def test_an_array_cut_short(self, softmaxlib, files, command, kind, left):
        np.save(files / "labels.npy", np.zeros(9))
        np.save(files / "bad.npy", np.zeros((9, 2)))
        np.savez(files / "bad.npz", logits=np.zeros((9, 2)))
        path = files / f"bad{kind}"
        path.write_bytes(path.read_bytes()[:left])
        softmaxlib(*commands(path.name, "labels.npy")[command]).assert_failed(
            f"bad{kind} cannot be read: ", "; write the file anew"
        )

    @pytest.mark.parametrize(
        ("kind", "value", "named"),
        [
            (pa.map_(pa.string(), pa.float64()), [("cat", 1.0)], "got map<string, double"),
            (pa.struct([("cat", pa.float64())]), {"cat": 1.0}, "got struct<cat: double>"),
            (pa.list_(pa.list_(pa.float64())), [[1.0], [2.0]], "got lists of list<"),
            (pa.list_(pa.string()), ["1", "2"], "got lists of string"),
            (pa.float64(), 1.0, "got double; write such lists, or name the logits with --columns"),
        ],
    )
    def test_a_column_called_logits_of_another_kind(self, softmaxlib, files, command, kind, value, named):
        content = pa.table({"logits": pa.array([value] * 4, kind), "truth": [0, 1, 0, 1]})
        pyarrow.parquet.write_table(content, files / "bad.parquet")
        words = ("column 'logits' must hold a list of numbers in each row", named)
        self.fails(softmaxlib, files, command, "bad.parquet", *words)

    def test_an_archive_whose_members_are_no_arrays(self, softmaxlib, files, command):
        labels, logits = npy_bytes(np.zeros(3, int)), npy_bytes(np.zeros((3, 2)))
        stated = logits.replace(b"(3, 2)", b"(7777777777, 2)")
        deep = logits.replace(b"(3, 2)", b"(" * 3000 + b")" * 3000)
        cases = (
            ([("logits", b"hello"), ("truth.npy", labels)], "'logits' cannot be read"),
            ([("logits.npy", b""), ("truth.npy", labels)], "'logits' cannot be read"),
            ([("logits.npy", logits), ("logits", logits), ("truth.npy", labels)], "'logits' more than once"),
            ([("logits.npy", stated), ("truth.npy", labels)], "states 124,444,444,432 bytes and holds"),
            ([("logits.npy", deep), ("truth.npy", labels)], "'logits' cannot be read"),
        )
        for members, words in cases:
            with zipfile.ZipFile(files / "bad.npz", "w") as archive:
                for name, content in members:
                    archive.writestr(name, content)
            self.fails(softmaxlib, files, command, "bad.npz", "bad.npz", words)

    def test_an_array_named_like_an_archive_and_the_reverse(self, softmaxlib, files, command):
        (files / "bad.npz").write_bytes(npy_bytes(np.zeros((3, 2))))
        self.fails(softmaxlib, files, command, "bad.npz", "must be an archive", "rename it to .npy")
        np.savez(files / "good.npz", logits=np.zeros((3, 2)))
        (files / "good.npz").rename(files / "bad.npy")
        np.save(files / "labels.npy", np.zeros(3, int))
        softmaxlib(*commands("bad.npy", "labels.npy")[command]).assert_failed("must be one array", ".npz")

    def test_a_name_of_a_hundred_thousand_letters(self, softmaxlib, files, command):
        (files / "bad.csv").write_text("x" * 100_000 + ",b\n1,2\n")
        done = softmaxlib(*commands("bad.csv")[command])
        done.assert_failed("bad.csv", "characters left out")
        assert len(done.err) < 3_000

    def test_an_output_that_cannot_be(self, softmaxlib, files, command):
        arguments = commands("good.csv")[command]
        arguments[arguments.index(next(a for a in arguments if a.startswith("out")))] = "nowhere/out.parquet"
        softmaxlib(*arguments).assert_failed("nowhere", "does not exist; create it first")
        if command != "decide":  # which writes to URLs
            elsewhere = ["s3://b/out.json" if one.startswith("nowhere") else one for one in arguments]
            softmaxlib(*elsewhere).assert_failed("is a URL, and this can be written on this machine alone")


@pytest.mark.parametrize("command", ["fit", "evaluate", "audit"])
class TestLabels:
    def test_an_unknown_column(self, softmaxlib, files, command):
        softmaxlib(*commands("good.csv", "nonsense")[command]).assert_failed(
            "good.csv: no column is called 'nonsense'", "'logit_cat', 'logit_dog', 'truth'", "--label"
        )

    def test_a_label_that_is_no_class(self, softmaxlib, files, command):
        lines = (files / "good.csv").read_text().splitlines()
        lines[1 + 23] = "1.5,0.5,horse"
        (files / "bad.csv").write_text("\n".join(lines))
        softmaxlib(*commands("bad.csv")[command]).assert_failed(
            "bad.csv: column 'truth' has the label 'horse' in row 23 (counted from 0)",
            "2 classes ('cat', 'dog')",
        )
        assert_nothing_written(files)

    def test_a_column_that_may_be_meant(self, softmaxlib, files, command):
        softmaxlib(*commands("good.csv", "trutth")[command]).assert_failed(
            "no column is called 'trutth' (is 'truth' meant?); its columns are"
        )

    def test_a_missing_label(self, softmaxlib, files, command):
        lines = (files / "good.csv").read_text().splitlines()
        lines[1 + 5] = "1.5,0.5,"
        (files / "bad.csv").write_text("\n".join(lines))
        softmaxlib(*commands("bad.csv")[command]).assert_failed("'truth' has no label in row 5")


@pytest.mark.parametrize("command", ["decide", "audit"])
class TestPolicyFile:
    def test_missing(self, softmaxlib, files, command):
        os.remove(files / "policy.json")
        softmaxlib(*commands("good.csv")[command]).assert_failed("policy.json does not exist")

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"class": "Policy", "version": 7}', "\x00"])
    def test_corrupt(self, softmaxlib, files, command, content):
        (files / "policy.json").write_text(content)
        softmaxlib(*commands("good.csv")[command]).assert_failed("policy.json is not a valid policy")
        assert_nothing_written(files)

    def test_cut_short(self, softmaxlib, files, command):
        text = (files / "policy.json").read_text()
        (files / "policy.json").write_text(text[: len(text) // 2])
        softmaxlib(*commands("good.csv")[command]).assert_failed("policy.json is not a valid policy")

    def test_another_number_of_classes(self, softmaxlib, files, command):
        (files / "three.csv").write_text("logit_cat,logit_dog,logit_bird,truth\n1,2,3,cat\n")
        softmaxlib(*commands("three.csv")[command]).assert_failed(
            "three.csv has 3 classes ('cat', 'dog', 'bird') and the policy has 2 ('cat', 'dog')",
            "use the policy that was fitted for this model",
        )
        assert_nothing_written(files)

    def test_other_classes(self, softmaxlib, files, command):
        (files / "other.csv").write_text("logit_cat,logit_bird,truth\n1,2,cat\n")
        softmaxlib(*commands("other.csv")[command]).assert_failed("no column for the policy's class 'dog'")


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--calibration", "magic"], ["--calibration must be one of auto, beta, histogram", "'magic'"]),
            (
                ["--risk", "0.1", "--alpha", "0.1"],
                ["--alpha and --risk belong to two different decision rules"],
            ),
            (["--confidence", "0.9"], ["--confidence needs --risk or --tune; add one of them"]),
            (["--tune", "f1"], ["--tune must be cost, or one of accuracy", "f1_score", "got 'f1'"]),
            (["--tune", "cost"], ["--tune cost needs --cost, a file of costs"]),
            (["--tune", "recall"], ["recall alone is best where one class is always taken"]),
            (["--tune", "recall", "--at-least", "0.9"], ["such as precision=0.9; got '0.9'"]),
            (["--tune", "f1_score", "--risk", "0.1"], ["--risk and --tune belong to two different"]),
            (["--rule", "tuned-threshold"], ["--rule tuned-threshold needs --tune"]),
            (["--conformal-score", "aps"], ["--conformal-score needs --alpha"]),
            (["--alpha", "2"], ["alpha"]),
            (["--alpha", "0.1", "--conformal-score", "magic"], ["score"]),
            (["--risk", "0.001"], ["risk", "0.001"]),
            (["--threshold", "0"], ["thresholds must lie above 0", "got 0.0"]),
            (
                ["--threshold", "cat=0.9"],
                ["one number, or NAME=NUMBER for each class", "'cat=0.5', 'dog=0.5'"],
            ),
            (["--threshold", "cat=0.9,dog=much"], ["one number, or NAME=NUMBER", "got 'cat=0.9,dog=much'"]),
            (["--threshold", "cat=0.9,cat=0.8"], ["one number, or NAME=NUMBER for each class"]),
            (["--threshold", "cat=0.9,dog=1.5"], ["be at most 1, got 1.5 for 'dog'", "use a small number"]),
            (
                ["--abstain-cost", "-1"],
                ["--abstain-cost must not be below the least cost, 0, got -1", "set aside"],
            ),
            (["--columns", ""], ["--columns must be names of columns or patterns, got ''", "'logit_*'"]),
            (["--decimal", ""], ["--decimal must be one mark", "got ''"]),
            (["--encoding", ""], ["--encoding must be one that Python knows", "got ''"]),
            (["--rule-rows", "half"], ["no column is called 'half'", "--rule-rows"]),
            (["--rule-rows", "truth"], ["--label and --rule-rows name the same column, 'truth'"]),
            (["--alpha", "0.1", "--groups", "truth"], ["--label and --groups name the same", "--per-class"]),
            (["--alpha", "0.1", "--groups", "ward"], ["no column is called 'ward'", "--groups"]),
            (["--per-class"], ["--per-class needs --alpha"]),
            (["--threshold", "0.9", "--top", "1"], ["--threshold and --top belong to two different"]),
            (["--top", "5"], ["TopK offers 5 classes"]),
            (["--abstain-cost", "dear"], ["--abstain-cost", "'dear'", "See: softmaxlib fit --help"]),
            (["--cost", "none.csv"], ["none.csv does not exist"]),
            (["--nonsense"], ["--nonsense"]),
            (["--seed", "-1"], ["--seed", "-1", "0"]),
            (["--seed", str(2**63)], ["--seed", str(2**63), str(2**63 - 1)]),
        ],
    )
    def test_of_fit(self, softmaxlib, files, options, words):
        softmaxlib(*commands("good.csv")["fit"], *options).assert_failed(*words)
        assert_nothing_written(files)

    def test_none_of_some_words(self, softmaxlib, files):
        ended = softmaxlib(*commands("good.csv")["evaluate"], "--fail-on", "never")
        ended.assert_failed("'--fail-on': 'never' is not one of 'promise', 'caution', 'bad'. See:")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("truth,cat,dog\ncat,0,1\n", ["its first column must name each class once", "got 'cat'"]),
            ("truth,cat,bird\ncat,0,1\ndog,1,0\n", ["its header must name each class once", "truth,cat,dog"]),
            (
                "truth,cat,dog\ncat,0,much\ndog,1,0\n",
                ["finite number, got 'much' for truth 'cat', decision 'dog'"],
            ),
            ("", ["cost.csv cannot be read", "write one row per true class and one column per decision"]),
        ],
    )
    def test_a_cost_file(self, softmaxlib, files, content, words):
        (files / "cost.csv").write_text(content)
        softmaxlib(*commands("good.csv")["fit"], "--cost", "cost.csv").assert_failed(*words)

    def test_an_output_of_an_unknown_format(self, softmaxlib, files):
        softmaxlib("decide", "good.csv", "--policy", "policy.json", "-o", "out.xlsx").assert_failed(
            "decisions can be written to .parquet", "'.xlsx'"
        )
        assert_nothing_written(files)

    @pytest.mark.parametrize(
        ("output", "format", "written"),
        [("out.csv", "npz", "csv"), ("out.npz", "parquet", "npz"), ("-", "parquet", "csv")],
    )
    def test_a_format_other_than_that_of_the_file(self, softmaxlib, files, output, format, written):
        decide = ("decide", "good.csv", "--policy", "policy.json", "-o", output)
        softmaxlib(*decide, "--format", format).assert_failed(
            f"--format is for the files in a folder, got '{format}'", f"is written as {written}; leave it out"
        )
        assert_nothing_written(files)
        assert softmaxlib(*decide, "--format", written).code == 0

    def test_a_folder_that_is_a_file(self, softmaxlib, files):
        for name in ("policy.json", "policy.json/below"):
            softmaxlib("demo", "--output", name).assert_failed(
                f"--output {name} is a file, or lies below one, and a folder is to be written; name another"
            )

    def test_two_outputs_in_one_file(self, softmaxlib, files):
        outputs = ("--report", "out.html", "--json", "./out.html")
        softmaxlib("evaluate", "good.csv", "--label", "truth", *outputs).assert_failed(
            "--report and --json name the same file", "give each its own"
        )
        assert_nothing_written(files)

    def test_two_outputs_on_standard_output(self, softmaxlib, files):
        decide = "decide", "good.csv", "--policy", "policy.json", "--output", "-", "--json", "-"
        softmaxlib(*decide).assert_failed("got - for --output and --json", "name a file for the other")
        fit = "fit", "good.csv", "--label", "truth", "--output"
        softmaxlib(*fit, "-").assert_failed("--output must be a file, got - for standard output")
        evaluate = "evaluate", "good.csv", "--label", "truth", "--report", "-"
        softmaxlib(*evaluate).assert_failed("--report must be a file, got - for standard output")
        assert_nothing_written(files)

    def test_logits_declared_as_probabilities(self, softmaxlib, files, monkeypatch):
        rows = "\n".join(["0.25,0.75,dog"] * 40 + ["0.5,0.4,cat"])
        (files / "p.csv").write_text(f"probability_cat,probability_dog,truth\n{rows}\n")
        options = ("--label", "truth", "--probabilities")
        monkeypatch.setattr("softmaxlib.files.logit_table.BATCH_VALUES", 2 * 15)
        monkeypatch.setattr("softmaxlib.files.csv_format._BLOCK", 64)
        softmaxlib("evaluate", "p.csv", *options).assert_failed(
            "p.csv: each row of probabilities must sum to 1, got 0.9 in row 40 (counted from 0)",
            "if these are logits, fit and evaluate them without --probabilities",
        )
        (files / "p.csv").write_text((files / "p.csv").read_text().replace("0.5,0.4", "-1.0,2.0"))
        softmaxlib("fit", "p.csv", "-o", "out.json", *options).assert_failed(
            "p.csv: probabilities must lie between 0 and 1, got -1.0 to 2.0 in row 40 (counted from 0)"
        )
        assert_nothing_written(files)

    def test_npz_and_npy(self, softmaxlib, files):
        np.savez(files / "a.npz", scores=np.zeros((3, 2)), y=np.zeros(2))
        np.save(files / "a.npy", np.zeros((3, 2)))
        np.save(files / "flat.npy", np.zeros(3))
        fit = ("-o", "out.json", "--label")
        softmaxlib("fit", "a.npz", *fit, "y").assert_failed("no array is called 'logits'", "'scores', 'y'")
        softmaxlib("fit", "a.npz", *fit, "y", "--columns", "scores").assert_failed(
            "--label must have one entry a row, got 2 for 3 rows"
        )
        softmaxlib("fit", "a.npy", *fit, "y").assert_failed("'y' does not exist", "--label label.npy")
        np.save(files / "square.npy", np.zeros((2, 2), dtype=int))
        np.save(files / "four.npy", np.zeros((4, 2)))
        softmaxlib("fit", "four.npy", *fit, "square.npy").assert_failed("one entry a row", "shape (2, 2)")
        softmaxlib("fit", "flat.npy", *fit, "a.npy").assert_failed("one entry a row", "for 3 rows")
        assert_nothing_written(files)

    def test_a_file_of_another_encoding(self, softmaxlib, files):
        (files / "latin.csv").write_bytes("logit_cat,logit_dog,truth\n1,2,Zürich\n".encode("latin-1"))
        softmaxlib(*commands("latin.csv")["fit"]).assert_failed("UTF8", "save it as UTF-8", "iconv")
        (files / "wide.csv").write_bytes("logit_cat,logit_dog,truth\n1,2,cat\n".encode("utf-16"))
        softmaxlib(*commands("wide.csv")["fit"]).assert_failed("as text in UTF-16", "--encoding utf-16")

    def test_booleans_are_labels_of_two_classes(self, softmaxlib, files):
        columns = {f"logit_{name}": [1.0, 2.0] for name in ("cat", "dog", "bird")}
        pyarrow.parquet.write_table(pa.table({**columns, "truth": [True, False]}), files / "a.parquet")
        softmaxlib(*commands("a.parquet")["fit"]).assert_failed(
            "has the label 'True' in row 0", "none of the 3 classes"
        )


class TestDisk:
    @pytest.mark.parametrize("command", ["fit", "decide", "evaluate", "audit"])
    def test_a_folder_that_may_not_be_written(self, softmaxlib, files, command, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        softmaxlib(*commands("good.csv")[command]).assert_failed(
            "out", "nothing may be written in the folder", "choose another"
        )
        assert_nothing_written(files)

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
    def test_a_full_device_is_named(self, softmaxlib, files):
        softmaxlib("fit", "good.csv", "--label", "truth", "-o", "/dev/full").assert_failed(
            "/dev/full: No space left", "free some space"
        )

    @pytest.mark.parametrize("command", ["fit", "decide", "evaluate", "audit"])
    def test_full(self, softmaxlib, files, command, monkeypatch):
        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        softmaxlib(*commands("good.csv")[command]).assert_failed("out", "No space left", "free some space")
        assert_nothing_written(files)

    @pytest.mark.parametrize("ending", ["parquet", "csv", "npz"])
    def test_full_in_the_middle_of_writing(self, files, ending):
        """A limit on the size of a file is the same failing write, met half-way."""
        logits = np.random.default_rng(0).normal(size=(2, 40_000))
        table = pa.table({"logit_cat": logits[0], "logit_dog": logits[1]})
        pyarrow.parquet.write_table(table, files / "many.parquet")

        limited = (
            "import resource, runpy, signal\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "runpy.run_module('softmaxlib', run_name='__main__')"
        )
        arguments = ["decide", "many.parquet", "--policy", "policy.json", "-o", f"out.{ending}"]
        done = subprocess.run(
            [sys.executable, "-c", limited, *arguments],
            cwd=files,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert f"out.{ending}: File too large" in done.stderr
        assert_nothing_written(files)

    def test_an_old_output_survives_a_failure(self, softmaxlib, files):
        (files / "keep.parquet").write_text("old")
        (files / "bad.csv").write_text("logit_cat,logit_dog\n1,NaN\n")
        softmaxlib("decide", "bad.csv", "--policy", "policy.json", "-o", "keep.parquet").assert_failed(
            "row 0"
        )
        assert (files / "keep.parquet").read_text() == "old"

    def test_through_a_symbolic_link(self, softmaxlib, files):
        (files / "real.csv").write_text("old")
        (files / "link.csv").symlink_to("real.csv")
        assert softmaxlib("decide", "good.csv", "--policy", "policy.json", "-o", "link.csv").code == 0
        assert (files / "link.csv").is_symlink()
        assert (files / "real.csv").read_text().startswith('"predicted"')


class TestInterrupt:
    def test_in_the_middle(self, softmaxlib, files, monkeypatch):
        from softmaxlib.decisions import MostLikely

        def interrupt(self, classes):
            raise KeyboardInterrupt

        monkeypatch.setattr(MostLikely, "criterion", interrupt)
        outcome = softmaxlib("decide", "good.csv", "--policy", "policy.json", "-o", "out.parquet")
        assert outcome.code == 130
        assert outcome.err == "softmaxlib: error: interrupted; no half-written file is left\n"
        assert_nothing_written(files)

    def test_by_a_signal(self, files):
        endless_folder(files / "many")
        arguments = ["decide", "many", "--policy", "policy.json", "-o", "out.csv"]
        process = subprocess.Popen(
            [sys.executable, "-m", "softmaxlib", *arguments], cwd=files, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None and not list(files.glob(".softmaxlib-*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        assert process.returncode == 130
        assert message == "softmaxlib: error: interrupted; no half-written file is left\n"
        assert_nothing_written(files)


class TestUntrusted:
    def test_html_in_a_class_name_is_shown_and_not_run(self, softmaxlib, tmp_path):
        name = "<img src=x onerror=alert(1)>"
        rows = "\n".join(f"{k % 3},{k % 5},{name if k % 2 else 'dog'}" for k in range(40))
        (tmp_path / "v.csv").write_text(f"logit_{name},logit_dog,truth\n{rows}\n")
        assert softmaxlib("evaluate", "v.csv", "--label", "truth", "--report", "r.html").code == 0
        text = (tmp_path / "r.html").read_text()
        assert "<img" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text

    def test_a_file_cannot_drive_the_terminal(self, softmaxlib, files):
        lines = (files / "good.csv").read_text().splitlines()
        lines[1] = "1,2,\x1b]0;title\x07[bold]x[/bold]"
        (files / "bad.csv").write_text("\n".join(lines))
        outcome = softmaxlib(*commands("bad.csv")["fit"])
        outcome.assert_failed("[bold]x[/bold]")
        assert "\x1b" not in outcome.err
        assert "\x07" not in outcome.err

    def test_a_policy_cannot_name_code(self, softmaxlib, files):
        content = json.loads((files / "policy.json").read_text())
        content["rule"]["class"] = "os.system"
        (files / "policy.json").write_text(json.dumps(content))
        softmaxlib(*commands("good.csv")["decide"]).assert_failed("class must be one of", "os.system")


def test_its_version(softmaxlib):
    import tomllib

    project = Path(__file__).parents[2] / "pyproject.toml"
    version = tomllib.loads(project.read_text())["project"]["version"]
    assert softmaxlib("--version").out == f"softmaxlib {version}\n"


def test_no_bar_where_nobody_watches(softmaxlib_process, files):
    outcome = softmaxlib_process(*commands("good.csv")["decide"])
    assert (outcome.code, outcome.err) == (0, "")


def test_a_reader_that_leaves_early_is_no_error(files):
    done = subprocess.run(
        f"{sys.executable} -m softmaxlib explain {' '.join(['1'] * 3000)} | head -n 1",
        shell=True,
        cwd=files,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
