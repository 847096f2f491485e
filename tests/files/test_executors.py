"""The same bytes whoever does the work; nothing half-written when it fails; only what is missing later."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pyarrow.parquet
import pytest

from softmaxlib import Policy, files
from softmaxlib.errors import InvalidInputError, WorkerError
from softmaxlib.files import parts
from softmaxlib.files.tasks import run

from .conftest import rows, table


def content(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "_softmaxlib.json"
    }


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as executor:
        yield executor


@pytest.fixture(scope="module")
def dask_executor():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


@pytest.fixture(scope="module")
def loky():
    from joblib.externals.loky import get_reusable_executor

    executor = get_reusable_executor(2)
    yield executor
    executor.shutdown()


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that is cut in parts, and what one process makes of it: one file, and a folder."""
    root = tmp_path_factory.mktemp("large")
    pyarrow.parquet.write_table(table(*rows(1000)), root / "a.parquet", row_group_size=60)
    return root / "a.parquet"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_VALUES", 5 * 150)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("who", ["processes", "threads", "loky", "dask_executor"])
def test_the_bytes_are_those_of_one_process(request, policy, large, folder, tmp_path, who):
    executor = request.getfixturevalue(who)
    for name in ("one.parquet", "one.csv", "one.arrow"):
        alone, shared = tmp_path / f"alone-{name}", tmp_path / name
        assert files.decide(large, policy, alone) == files.decide(large, policy, shared, executor=executor)
        assert alone.read_bytes() == shared.read_bytes()
    sources = [large, folder]
    alone = files.decide(sources, policy, tmp_path / "alone")
    shared = files.decide(sources, policy, tmp_path / "shared", executor=executor)
    assert alone == shared
    assert shared.parts == 13
    assert content(tmp_path / "alone") == content(tmp_path / "shared")
    assert not list(tmp_path.glob(".softmaxlib-*"))


@pytest.mark.usefixtures("small_parts")
def test_a_part_is_some_row_groups(policy, large, tmp_path):
    files.decide(large, policy, f"{tmp_path}/out/")
    names = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
    assert names == [f"a-{start:06d}.parquet" for start in range(0, 17, 2)]
    found = pyarrow.parquet.read_table(tmp_path / "out").column("id").to_pylist()
    assert found == list(range(1000))


def test_what_a_worker_says_is_said_here(policy, processes, tmp_path):
    logits, labels = rows(90)
    logits[77] = np.nan
    pyarrow.parquet.write_table(table(logits, labels), tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError, match=r"a\.parquet: logits must be finite, got nan in row 77 "):
        files.decide(tmp_path / "a.parquet", policy, tmp_path / "o.parquet", executor=processes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet"]


class TestExecutorsThatFail:
    @pytest.mark.parametrize("wrong", [4, "threads", ThreadPoolExecutor], ids=repr)
    def test_no_executor(self, policy, large, tmp_path, wrong):
        for work in (
            lambda: files.decide(large, policy, f"{tmp_path}/out/", executor=wrong),
            lambda: files.evaluate(large, "truth", executor=wrong),
            lambda: files.audit(large, "truth", policy, executor=wrong),
            lambda: files.fit(large, "truth", policy.calibration, policy.rule, executor=wrong),
        ):
            with pytest.raises(
                InvalidInputError, match=r"executor= must be a concurrent\.futures\.Executor, got"
            ):
                work()
        assert not list(tmp_path.iterdir())

    def test_one_that_was_shut_down(self, policy, large):
        with ThreadPoolExecutor(1) as executor:
            pass
        with pytest.raises(WorkerError, match=r"failed \(RuntimeError: .*shutdown\); it must be running"):
            files.audit(large, "truth", policy, executor=executor)

    def test_a_rule_that_no_other_process_can_import(self, policy, large, processes, tmp_path):
        class Mine(type(policy.rule)):
            pass

        own = Policy(policy.calibration, Mine(1 - np.eye(3))).fit(*rows(300), class_names=policy.class_names_)
        with pytest.raises(WorkerError, match=r"executor failed .*define a rule of your own in a module"):
            files.decide(large, own, tmp_path / "o.csv", executor=processes)
        assert not list(tmp_path.iterdir())

    def test_an_error_of_the_work_is_its_own_and_says_where(self, processes):
        with pytest.raises(ZeroDivisionError) as raised:
            list(run(_divide, [0], processes))
        assert "in _divide" in raised.value.__notes__[0]


def _divide(number):
    return 1 / number


class TestResume:
    def test_only_what_is_missing(self, policy, folder, tmp_path):
        out = tmp_path / "out"
        files.decide(folder, policy, out)
        whole = content(out)
        (out / "year=2026/c.parquet").unlink()
        times = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
        (out / "year=2026/.softmaxlib-abc.partial").write_text("left by a killed process")
        counts = files.decide(folder, policy, out, resume=True)
        assert (counts.parts, counts.skipped, counts.rows) == (1, 2, 50)
        assert "2 of 3 parts were there" in str(counts)
        assert content(out) == whole
        assert {path: path.stat().st_mtime_ns for path in times} == times

    def test_a_process_that_was_killed_before_the_first_part(self, policy, folder, tmp_path):
        left = tmp_path / "out/.softmaxlib-abc.partial"
        left.parent.mkdir()
        left.touch()
        assert files.decide(folder / "year=2025", policy, tmp_path / "out", resume=True).parts == 2
        assert not left.exists()

    @pytest.mark.parametrize("url", ["", "memory://resumed-at-first/"])
    def test_nothing_is_there_yet(self, policy, folder, tmp_path, url):
        """A script that may be started again passes resume=True the first time too."""
        out = url or f"{tmp_path}/new/"
        counts = files.decide(folder / "year=2025", policy, out, resume=True)
        assert (counts.parts, counts.skipped) == (2, 0)
        again = files.decide(folder / "year=2025", policy, out, resume=True)
        assert (again.parts, again.skipped) == (0, 2)

    def test_a_file_that_has_changed_is_decided_again(self, policy, tmp_path):
        (tmp_path / "in").mkdir()
        for name, seed in (("a", 0), ("b", 1)):
            pyarrow.parquet.write_table(table(*rows(50, seed)), tmp_path / f"in/{name}.parquet")
        files.decide(tmp_path / "in", policy, tmp_path / "out")
        pyarrow.parquet.write_table(table(*rows(60, 2)), tmp_path / "in/b.parquet")
        assert files.decide(tmp_path / "in", policy, tmp_path / "out", resume=True).rows == 60
        assert pyarrow.parquet.read_metadata(tmp_path / "out/b.parquet").num_rows == 60

    def test_refusals(self, policy, folder, tmp_path):
        out = tmp_path / "out"
        files.decide(folder, policy, out)
        with pytest.raises(
            InvalidInputError, match="holds decisions already; do what is missing with resume="
        ):
            files.decide(folder, policy, out)
        with pytest.raises(InvalidInputError, match="was begun with another options; name a new folder"):
            files.decide(folder, policy, out, columns=["logit_bird", "logit_*"], resume=True)
        other = Policy(policy.calibration, policy.rule)
        other.fit(*rows(500, 5), class_names=policy.class_names_)
        with pytest.raises(InvalidInputError, match="was begun with another policy"):
            files.decide(folder, other, out, resume=True)
        with pytest.raises(
            InvalidInputError, match=r"'year=2026/c\.parquet', which the source has no file for"
        ):
            files.decide(f"{folder}/year=2025", policy, out, resume=True)
        with pytest.raises(InvalidInputError, match="holds files that no such run has written"):
            files.decide(
                folder / "year=2025", policy, f"{folder.parent}/{folder.name}/year=2026/", resume=True
            )
        with pytest.raises(InvalidInputError, match="resume=True is for a folder of parts"):
            files.decide(folder / "year=2025/a.parquet", policy, tmp_path / "o.csv", resume=True)
        (out / "_softmaxlib.json").write_text("{}")
        with pytest.raises(InvalidInputError, match="is not a valid list of parts"):
            files.decide(folder, policy, out, resume=True)


def test_a_killed_worker_leaves_no_half(policy, tmp_path):
    """A process that is killed while it writes: its part is missing, all others are whole."""
    (tmp_path / "in").mkdir()
    for name in "abcd":
        pyarrow.parquet.write_table(table(*rows(200)), tmp_path / f"in/{name}.parquet")
    out = tmp_path / "out"

    class Killed:
        def submit(self, work, function, task, *others):
            return pool.submit(_killed_at_c, work, function, task, *others)

    with (
        ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool,
        pytest.raises(WorkerError, match=r"a worker process ended .* go on with resume=True"),
    ):
        files.decide(tmp_path / "in", policy, out, executor=Killed())
    assert sorted(content(out)) == ["a.parquet", "b.parquet"]
    assert files.decide(tmp_path / "in", policy, out, resume=True).parts == 2
    assert sorted(content(out)) == [f"{name}.parquet" for name in "abcd"]


def _killed_at_c(work, function, task, *others):
    if task[0] == "c.parquet":
        threading.Thread(target=_kill_when_it_writes, daemon=True).start()
        import softmaxlib.files.deciding as deciding

        deciding.decided_table = _write_for_ever
    return work(function, task, *others)


def _write_for_ever(*_):
    time.sleep(60)


def _kill_when_it_writes():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def many(policy, tmp_path):
    """A policy's file, and a folder of so many files that no machine is done before it is stopped."""
    policy.save(tmp_path / "policy.json")
    (tmp_path / "in").mkdir()
    first = tmp_path / "in/000.parquet"
    pyarrow.parquet.write_table(table(*rows(20_000)).drop_columns(["truth"]), first, use_dictionary=False)
    for number in range(1, 1500):
        os.link(first, tmp_path / f"in/{number:03d}.parquet")
    return tmp_path


def begun(many, out):
    """A command that has begun to write decisions into a folder, with two workers."""
    command = [sys.executable, "-m", "softmaxlib", "decide", many / "in", "-o", f"{out}/"]
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen(
        [*command, "--policy", many / "policy.json", "--format", "csv", "--workers", "2"], **options
    )
    parts = (".softmaxlib-*", "*.csv")
    while process.poll() is None and not (
        (out / "_softmaxlib.json").exists() and any(list(out.glob(pattern)) for pattern in parts)
    ):
        time.sleep(0.005)
    return process


def check_resumed(many, out):
    """What is missing is done, and only that; of the files, those that were done stay, and three more."""
    done = {path.stem for path in out.glob("*.csv")}
    missing = [path for path in sorted((many / "in").iterdir()) if path.stem not in done]
    assert len(missing) > 3
    for path in missing[3:]:
        path.unlink()
    counts = files.decide(many / "in", many / "policy.json", out, format="csv", resume=True)
    assert (counts.parts, counts.skipped) == (3, len(done))
    assert len({path.stat().st_size for path in out.glob("*.csv")}) == 1
    assert not list(out.glob(".softmaxlib-*"))


def test_control_c_while_workers_work(many):
    out = many / "out"
    process = begun(many, out)
    os.killpg(process.pid, signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert (process.returncode, message) == (
        130,
        "softmaxlib: error: interrupted; no half-written file is left\n",
    )
    assert not list(out.glob(".softmaxlib-*"))
    check_resumed(many, out)


def test_workers_end_with_a_command_that_was_killed(many):
    out = many / "out"
    process = begun(many, out)
    process.kill()
    process.communicate(timeout=60)  # standard error ends once nobody holds it, the workers included
    check_resumed(many, out)


def add_a_line(path):
    with open(path, "a") as file:
        file.write("done\n")


@pytest.mark.parametrize("who", ["threads", "dask_executor"])
def test_equal_tasks_are_each_done(request, tmp_path, who):
    executor = request.getfixturevalue(who)
    path = tmp_path / "lines"
    held = [list(run(add_a_line, [path, path], executor)) for _ in range(2)]
    assert held == [[None, None]] * 2
    assert path.read_text().count("done") == 4
