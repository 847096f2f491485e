"""Unattended use of the commands: exit codes, silence, JSON, one line per failure."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from interruption import endless_folder

from softmaxlib.cli._exit_codes import MEANINGS

ROWS = 400


@pytest.fixture
def files(tmp_path, softmaxlib):
    """Rows, a policy fitted on them, and rows on which a promise of it is broken."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=ROWS)
    logits = 3 * np.eye(2)[labels] + rng.normal(size=(ROWS, 2))
    names = np.array(["cat", "dog"])[labels]
    for name, values in (("good", logits), ("drifted", 5 * logits[::-1])):
        table = pa.table({"logit_cat": values[:, 0], "logit_dog": values[:, 1], "truth": names})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
    assert softmaxlib("fit", "good.parquet", "-o", "policy.json", "--label", "truth").code == 0
    return tmp_path


def commands(file, *more):
    policy, label = ("--policy", "policy.json"), ("--label", "truth")
    return {
        "fit": ["fit", file, "-o", "out.json", *label, *more],
        "decide": ["decide", file, "-o", "out.csv", *policy, *more],
        "evaluate": ["evaluate", file, *label, *policy, *more],
        "audit": ["audit", file, *label, *policy, *more],
    }


COMMANDS = ["fit", "decide", "evaluate", "audit"]


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_says_nothing(softmaxlib, files, command):
    outcome = softmaxlib(*commands("good.parquet", "--quiet")[command])
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_json_alone_on_standard_output(softmaxlib, files, command):
    target = "--output" if command == "audit" else "--json"
    outcome = softmaxlib(*commands("good.parquet", target, "-")[command])
    assert outcome.code == 0, outcome.err
    content = json.loads(outcome.out, parse_constant=pytest.fail)
    assert content["rows"] == ROWS
    assert softmaxlib(*commands("good.parquet", target, "out.js")[command]).code == 0
    in_file = json.loads((files / "out.js").read_text())
    assert in_file.keys() == content.keys()
    assert not (files / "-").exists()


def test_what_the_json_of_decide_counts(softmaxlib, files):
    softmaxlib("fit", "good.parquet", "-o", "p.json", "--label", "truth", "--threshold", "0.9")
    outcome = softmaxlib("decide", "good.parquet", "--policy", "p.json", "-o", "d.parquet", "--json", "-")
    content = json.loads(outcome.out)
    abstained = pyarrow.parquet.read_table(files / "d.parquet").column("abstained").to_pylist()
    assert content["set_aside"] == sum(abstained) > 0
    assert content["decided"] == ROWS - sum(abstained)
    assert (content["input"], content["policy"], content["output"]) == ("good.parquet", "p.json", "d.parquet")


@pytest.mark.parametrize(
    ("file", "fail_on", "code"),
    [
        ("good", "promise", 0),
        ("good", "bad", 0),
        ("drifted", "promise", 1),
        ("drifted", "bad", 4),
        ("drifted", "caution", 4),
        ("drifted", None, 0),
    ],
)
def test_fail_on(softmaxlib, files, file, fail_on, code):
    more = () if fail_on is None else ("--fail-on", fail_on)
    assert softmaxlib(*commands(f"{file}.parquet", *more)["evaluate"]).code == code


def test_fail_on_a_promise_wants_a_policy(softmaxlib, files):
    evaluate = ("evaluate", "good.parquet", "--label", "truth", "--fail-on")
    softmaxlib(*evaluate, "promise").assert_failed("--fail-on promise is about the promises of a policy")
    softmaxlib(*evaluate, "nonsense").assert_failed("--fail-on")


def test_the_help_says_what_the_codes_mean(softmaxlib):
    shown = softmaxlib("--help").out
    for code, meaning in MEANINGS.items():
        assert f"{code}: {meaning}" in shown


@pytest.mark.parametrize("command", [None, "explain", "explore", *COMMANDS, "demo"])
def test_help_is_a_line_an_option_where_no_terminal_reads(softmaxlib, command):
    shown = softmaxlib(*filter(None, [command]), "--help").out
    assert not set("│╭─") & set(shown)
    if command in COMMANDS:
        assert "The column with the true class, as name or index. For .npz" in shown or command == "decide"
        assert "Print only warnings and errors." in shown


def test_a_table_is_not_wrapped_where_no_terminal_reads(softmaxlib):
    names = ",".join(letter * 60 for letter in "abc")
    lines = softmaxlib("explain", "1", "2", "3", "--names", names, "--compare", "--jacobian").out.splitlines()
    assert sum(line.startswith("a" * 60) for line in lines) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_the_unexpected_is_one_line_and_a_code_of_its_own(softmaxlib, files, command, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a fault\nof two lines\x1b[31m")

    monkeypatch.setattr("softmaxlib.files.logit_table.LogitTable.batches", fail)
    outcome = softmaxlib(*commands("good.parquet")[command])
    assert outcome.code == 3
    assert outcome.err == (
        "softmaxlib: error: unexpected RuntimeError: a fault of two lines\ufffd[31m; this is a fault of "
        "softmaxlib: please report it, with what the same command says after SOFTMAXLIB_TRACEBACK=1\n"
    )
    monkeypatch.setenv("SOFTMAXLIB_TRACEBACK", "1")
    outcome = softmaxlib(*commands("good.parquet")[command])
    assert outcome.code == 3
    assert "Traceback" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("audit {good}", 0), ("audit {drifted}", 1), ("evaluate {good}", 0), ("--help", 0), ("explain 1 2", 0)],
)
def test_a_reader_that_leaves_changes_no_code(files, arguments, code):
    options = ".parquet --label truth --policy policy.json"
    given = arguments.format(good=f"good{options}", drifted=f"drifted{options}")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "softmaxlib", *given.split()]
    done = subprocess.run(command, cwd=files, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_a_full_standard_output_is_an_error(files):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "softmaxlib", "explain", "1", "2"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("softmaxlib: error: standard output: No space left")


def test_an_encoding_without_the_characters(files):
    done = subprocess.run(
        [sys.executable, "-m", "softmaxlib", "explain", "1", "2", "--names", "Köln,b"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "K\\xf6ln" in done.stdout
    assert "#####" in done.stdout


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_while_deciding(files, number, word):
    endless_folder(files / "many")
    process = subprocess.Popen(
        [sys.executable, "-m", "softmaxlib", *commands("many")["decide"]],
        cwd=files,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list(files.glob(".softmaxlib-*")):
        time.sleep(0.001)
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert message == f"softmaxlib: error: {word}; no half-written file is left\n"
    assert not list(files.glob("out*")) + list(files.glob(".softmaxlib-*"))


@pytest.mark.parametrize("module", ["numpy", "typer", "rich.table"])
def test_an_interrupt_while_the_library_is_imported(module):
    """The first third of a second: a finder of modules sends the signal where `module` is asked for."""
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from softmaxlib_command import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130
    assert done.stderr == "softmaxlib: error: interrupted; no half-written file is left\n"


def test_the_same_input_gives_the_same_bytes(softmaxlib, files, monkeypatch):
    monkeypatch.setenv("SOFTMAXLIB_TRACEBACK", "1")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    contents = []
    for _ in range(2):
        assert softmaxlib("fit", "good.parquet", "-o", "p.json", "--label", "truth").code == 0
        for ending in ("npz", "csv.gz", "parquet"):
            arguments = ("decide", "good.parquet", "--policy", "p.json", "-o", f"d.{ending}")
            assert softmaxlib(*arguments).code == 0
        report = ("--policy", "p.json", "--report", "r.html", "--json", "r.json")
        assert softmaxlib("evaluate", "good.parquet", "--label", "truth", *report).code == 0
        made = ("p.json", "d.npz", "d.csv.gz", "d.parquet", "r.html", "r.json")
        contents.append([(files / name).read_bytes() for name in made])
    assert contents[0] == contents[1]
    assert json.loads((files / "r.json").read_text())["evaluated_at"] == "1970-01-02T00:00:00+00:00"
    assert json.loads((files / "p.json").read_text())["record"]["fitted_at"] == "1970-01-02T00:00:00+00:00"


@pytest.mark.parametrize("given", ["soon", "-1", "1.5", "9" * 30, "²"])
def test_a_time_that_is_none(softmaxlib, files, monkeypatch, given):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    for command in ("fit", "evaluate"):
        softmaxlib(*commands("good.parquet")[command]).assert_failed(
            "SOURCE_DATE_EPOCH must be a whole number"
        )


@pytest.mark.parametrize(("given", "code"), [("soon", 2), ("", 0)])
def test_such_a_time_in_a_process_of_its_own(softmaxlib_process, files, given, code):
    """NumPy reads the variable when array-api-compat imports all of it, and fails without its name."""
    arguments = commands("good.parquet", "--report", "r.html")["evaluate"]
    done = softmaxlib_process(*arguments, env=os.environ | {"SOURCE_DATE_EPOCH": given})
    assert done.code == code
    assert ("SOURCE_DATE_EPOCH must be a whole number" in done.err) == bool(code)


@pytest.mark.parametrize(
    ("command", "option", "target", "words"),
    [
        ("fit", "-o", "good.parquet", "--output would overwrite the input"),
        ("decide", "-o", "in.parquet", "--output would overwrite the input"),
        ("decide", "-o", "policy.json", "--output would overwrite --policy"),
        ("decide", "--json", "in.parquet", "--json would overwrite the input"),
        ("evaluate", "--report", "in.parquet", "--report would overwrite the input"),
        ("evaluate", "--json", "policy.json", "--json would overwrite --policy"),
        ("audit", "-o", "in.parquet", "--output would overwrite the input"),
        ("audit", "-o", "./policy.json", "--output would overwrite --policy"),
    ],
)
def test_an_output_that_is_an_input_is_refused(softmaxlib, files, command, option, target, words):
    (files / "in.parquet").hardlink_to(files / "good.parquet")
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    softmaxlib(*commands("good.parquet", option, target)[command]).assert_failed(words, "write to another")
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


@pytest.mark.parametrize(
    ("command", "source", "option", "target", "code"),
    [
        ("evaluate", "in", "--report", "in/day=1/a.parquet", 2),
        ("evaluate", "in", "--report", "in/report.html", 2),  # the next run would not know what it is
        ("evaluate", "in/*/*.parquet", "--json", "in/day=1/a.parquet", 2),
        ("fit", "in", "-o", "in/x/../policy.json", 2),
        ("audit", "in/**", "-o", "in/day=1/audit.json", 2),
        ("decide", "in/*/*.parquet", "-o", "in/day=1/b.parquet", 2),
        ("decide", "in/*/*.parquet", "-o", "in/day=1/b.csv", 0),
        ("evaluate", "in", "--report", "in/_report.html", 0),  # readers of folders skip it
    ],
)
def test_an_output_that_would_be_read_with_a_folder_is_refused(
    softmaxlib, files, command, source, option, target, code
):
    (files / "in" / "day=1").mkdir(parents=True)
    (files / "good.parquet").rename(files / "in" / "day=1" / "a.parquet")
    before = (files / "in" / "day=1" / "a.parquet").read_bytes()
    outcome = softmaxlib(*commands(source, option, target)[command])
    assert outcome.code == code, outcome.err
    if code == 2:
        outcome.assert_failed(f"{target} would be read with {source}", "write somewhere else")
    assert (files / "in" / "day=1" / "a.parquet").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs paths that are any bytes")
def test_a_path_that_is_no_utf8(softmaxlib, files):
    folder, rows, out = (os.fsdecode(name) for name in (b"d\xff", b"d\xff/r\xfe.parquet", b"o\xff/"))
    os.mkdir(folder)
    (files / "good.parquet").rename(rows)
    for source in (rows, folder, f"{folder}/*.parquet"):
        for target in ("out.csv", out):
            call = ("decide", source, "--policy", "policy.json", "-o", target, "--quiet")
            outcome = softmaxlib(*call, *(["--resume"] if os.path.exists(out) and target == out else []))
            assert outcome.code == 0, outcome.err
        assert softmaxlib("evaluate", source, "--label", "truth", "--quiet").code == 0


def test_a_closed_standard_input_and_a_policy_in_a_pipe(softmaxlib, files, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    softmaxlib(*commands("-")["decide"]).assert_failed("standard input is closed", "name a file")
    os.mkfifo(files / "pipe.json")
    call = [part.replace("policy.json", "pipe.json") for part in commands("good.parquet")["decide"]]
    softmaxlib(*call).assert_failed("--policy pipe.json is a pipe", "name a file")


def test_the_files_beside_an_array_and_of_costs_are_inputs_too(softmaxlib, tmp_path):
    np.save(tmp_path / "z.npy", np.eye(2))
    np.save(tmp_path / "y.npy", np.arange(2))
    (tmp_path / "cost.csv").write_text("truth,0,1\n0,0,1\n1,1,0\n")
    fit = ("fit", "z.npy", "--label", "y.npy", "--cost", "cost.csv", "-o")
    softmaxlib(*fit, "y.npy").assert_failed("--output would overwrite --label: y.npy is the same file")
    softmaxlib(*fit, "cost.csv").assert_failed("--output would overwrite --cost: cost.csv is the same file")
