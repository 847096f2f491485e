"""``--dask``: the workers of a scheduler do the work, and the bytes are those of one process."""

import json

import pyarrow.parquet
import pytest

from softmaxlib import files
from softmaxlib.cli import _workers
from softmaxlib.cli._app import run
from softmaxlib.errors import SoftmaxlibWarning

from .conftest import rows, table


@pytest.fixture(scope="module")
def address():
    """Of a scheduler that is reached over TCP, with one worker."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def folder(tmp_path, policy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    content = table(*rows(600))
    for number in range(3):
        pyarrow.parquet.write_table(content.slice(200 * number, 200), f"rows/{number}.parquet")
    policy.save("policy.json")
    return tmp_path


def test_files_are_decided_fitted_and_judged(address, folder, policy, capsys):
    assert address.startswith("tcp://")
    shared = ["--dask", address, "--quiet"]
    assert run(["decide", "rows", "--policy", "policy.json", "-o", "one/", *shared]) == 0
    files.decide("rows", policy, "other/")
    for path in (folder / "other").glob("*.parquet"):
        assert (folder / "one" / path.name).read_bytes() == path.read_bytes()
    audits = []
    given = ["--label", "truth", "--sample-rows", "100"]
    for name, options in (("one", shared), ("other", ["--quiet"])):
        assert run(["fit", "rows", *given, "--alpha", "0.2", "-o", f"{name}.json", *options]) == 0
        arguments = ["rows", *given, "--policy", f"{name}.json", *options]
        assert run(["evaluate", *arguments, "--json", f"{name}_evaluated.json"]) == 0
        capsys.readouterr()
        assert run(["audit", *arguments]) == 0
        audits.append(capsys.readouterr().out)
    one, other = (json.loads((folder / f"{name}.json").read_text()) for name in ("one", "other"))
    assert (one["calibration"], one["rule"]) == (other["calibration"], other["rule"])
    assert audits[0].replace("one.json", "other.json") == audits[1]
    judged = [json.loads((folder / f"{name}_evaluated.json").read_text()) for name in ("one", "other")]
    assert judged[0]["after"] == judged[1]["after"]
    assert judged[0]["sampled_rows"] == 100


def test_a_scheduler_without_workers_is_said():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address=":0"
        ) as cluster,
        pytest.warns(SoftmaxlibWarning, match="has no worker; the work begins when one joins it"),
        _workers.executor_for(1, cluster.scheduler_address) as executor,
    ):
        assert executor is not None


def test_an_address_where_nobody_answers(folder, monkeypatch, capsys):
    monkeypatch.setattr(_workers, "_WAIT", 0.3)
    command = ["decide", "rows", "--policy", "policy.json", "-o", "one/"]
    assert run([*command, "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "--dask must be the address of a scheduler" in capsys.readouterr().err
    assert run([*command, "--dask", "tcp://127.0.0.1:9", "--workers", "2"]) == 2
    assert "--workers and --dask are two ways to do the work" in capsys.readouterr().err
    assert not (folder / "one").exists()
