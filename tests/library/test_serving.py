"""The recipes of docs/serving.md, run as a reader would; the service also while policy and process change."""

import doctest
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from softmaxlib import Policy
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, Threshold

PAGE = (Path(__file__).parents[2] / "docs/serving.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SERVICE,) = (block for block in BLOCKS if block.startswith("# service.py"))
CLIENTS, REQUESTS = 8, 1000
WAIT = 60  # seconds until something is given up, never reached where all is well
NAMES = ("cat", "dog", "bird")


def test_onnx_runtime_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = "\n".join(block for block in BLOCKS if block is not SERVICE)
    example = doctest.DocTestParser().get_doctest(blocks, {}, "serving.md", "serving.md", 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.attempted > 15
    assert result.failed == 0, "".join(report)
    from softmaxlib.cli._app import run

    assert "softmaxlib export policy.json -o policy.onnx" in PAGE
    assert run(["export", "policy.json", "-o", "again.onnx", "--quiet"]) == 0
    assert (tmp_path / "again.onnx").stat().st_size == (tmp_path / "policy.onnx").stat().st_size


class Service:
    """The service of the page in a process of its own, on a listening socket that the test holds."""

    def __init__(self, folder, listening):
        (folder / "service.py").write_text(SERVICE)
        number = listening.fileno()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "service:app",
                "--fd",
                str(number),
                "--timeout-keep-alive",
                "600",
            ],
            cwd=folder,
            env=os.environ | {"MODEL": "policy.onnx", "MOST_ROWS": "5"},
            pass_fds=[number],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self):
        """Ask it to end, as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT)


@contextmanager
def running(folder):
    """A service, its socket and its address; the first answer takes as long as its imports."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        services = [Service(folder, listening)]
        try:
            yield services, listening, f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for service in services:
                service.process.kill()
                service.process.wait()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=600)
    return (4 * np.eye(3)[labels] + 3 * rng.normal(size=(600, 3))).astype(np.float32), labels


@pytest.fixture(scope="module")
def policies(rows):
    """Two that decide differently."""
    rules = MinimumCost(1 - np.eye(3), abstain_cost=0.2), Threshold(0.5)
    return [Policy(TemperatureScaling(), rule).fit(*rows, class_names=NAMES) for rule in rules]


def test_the_service_refuses_what_is_no_batch_and_counts_what_it_does(tmp_path, policies, rows):
    policies[0].to_onnx(tmp_path / "policy.onnx")
    with running(tmp_path) as (services, _, address), httpx.Client(base_url=address, timeout=WAIT) as client:
        health = client.get("/health").json()
        assert health["classes"] == list(NAMES)
        assert health["process"] == services[0].process.pid
        good = client.post("/decide", json={"logits": rows[0][:4].tolist()}).json()
        assert good["policy"] == health["policy"]
        expected = policies[0].decide(rows[0][:4])
        assert [decision["action"] for decision in good["decisions"]] == expected.labels.tolist()
        assert client.post("/decide", json={"logits": []}).json()["decisions"] == []
        one_number = '{"logits": [[1.0, %s, 0.0]]}'
        for content, reason in (
            (
                '{"logits": [[1.0, 0.0, 0.0], [1.0, 0.0]]}',
                "3 classes, cat, dog, bird; got 2 numbers in row 1",
            ),
            (one_number % "NaN", "logits.0.1: Input should be a finite number"),
            (one_number % "Infinity", "finite number"),
            (one_number % "1e999", "finite number"),
            (one_number % '"much"', "valid number"),
            (json.dumps({"logits": [[0.5, 0, 0]] * 6}), "at most 5 items"),
            ("{}", "logits: Field required"),
            ("no JSON", "JSON decode error"),
        ):
            answer = client.post("/decide", content=content, headers={"content-type": "application/json"})
            assert answer.status_code == 422, answer.text
            assert reason in answer.json()["detail"]
        wide = client.post("/decide", json={"logits": [[1e300, 0.0, 0.0]]})  # no float32
        assert wide.json()["decisions"][0]["abstained"] is True
        metrics = client.get("/metrics").text
        aside = int(expected.abstained.sum()) + 1
        for line in (
            "policy_requests_total 3",
            "policy_refused_total 8",
            "policy_rows_total 5",
            f"policy_rows_set_aside_total {aside}",
            'policy_decide_seconds_bucket{le="+Inf"} 3',
        ):
            assert line in metrics.splitlines()
        (tmp_path / "policy.onnx").write_bytes(b"no model")
        services[0].process.send_signal(signal.SIGHUP)
        wait_for(lambda: "policy_failed_reloads_total 1" in client.get("/metrics").text)
        assert client.get("/health").json() == health


def wait_for(condition):
    pause = threading.Event()
    for _ in range(WAIT * 20):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"not so within {WAIT} seconds")


class Asking:
    """Clients that ask, each with a connection of its own, until they are told that it is enough."""

    def __init__(self, address, rows):
        self.address, self.rows = address, rows
        self.answers, self.failures = [], []
        self.may_retry = self.enough = False
        self.threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _ask(self, number):
        asked = 0
        with httpx.Client(base_url=self.address, timeout=WAIT) as client:
            while asked < REQUESTS // CLIENTS or not self.enough:
                row = (number + CLIENTS * asked) % len(self.rows)
                self.answers.append((row, self._answer(client, self.rows[row].tolist())))
                asked += 1

    def _answer(self, client, row):
        while True:
            try:
                answer = client.post("/decide", json={"logits": [row]})
                return answer.json() if answer.status_code == 200 else answer.text
            except httpx.TransportError as error:
                if not self.may_retry:
                    self.failures.append(error)
                    return repr(error)

    def wait_for_more(self, count):
        """Until so many more answers are there."""
        there = len(self.answers)
        wait_for(lambda: len(self.answers) >= there + count)

    def finish(self):
        self.enough = True
        for thread in self.threads:
            thread.join(WAIT)


def test_no_request_is_lost_while_the_policy_and_the_process_change(tmp_path, policies, rows):
    policies[0].to_onnx(tmp_path / "policy.onnx")
    with running(tmp_path) as (services, listening, address):
        first = httpx.get(f"{address}/health", timeout=WAIT).json()["policy"]
        asking = Asking(address, rows[0])
        try:
            asking.wait_for_more(100)
            policies[1].to_onnx(tmp_path / "policy.onnx")
            services[0].process.send_signal(signal.SIGHUP)
            wait_for(lambda: httpx.get(f"{address}/health", timeout=WAIT).json()["policy"] != first)
            asking.wait_for_more(100)
            services.append(Service(tmp_path, listening))
            new = services[1].process.pid
            wait_for(lambda: httpx.get(f"{address}/health", timeout=WAIT).json()["process"] == new)
            assert asking.failures == []
            asking.may_retry = True
            services[0].end()
            asking.wait_for_more(100)
        finally:
            asking.finish()
        last = httpx.get(f"{address}/health", timeout=WAIT).json()
    assert last["process"] == new
    assert len(asking.answers) >= REQUESTS
    expected = dict(zip((first, last["policy"]), (p.decide(rows[0]).labels for p in policies), strict=True))
    answered = {answer["policy"] for _, answer in asking.answers}
    assert answered == set(expected)
    for row, answer in asking.answers:
        assert answer["decisions"][0]["action"] == expected[answer["policy"]][row]
