"""Measure how fast the service of docs/serving.md answers 1,000 requests from 8 clients.

On the loopback. Prints the median, the 99th percentile and the rate.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
from _processor import processor

from softmaxlib import Policy
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost

PAGE = Path(__file__).parents[1] / "docs/serving.md"
CLIENTS, REQUESTS = 8, 1000


def main() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=2000)
    logits = 4 * np.eye(10)[labels] + 3 * rng.normal(size=(2000, 10))
    policy = Policy(TemperatureScaling(), MinimumCost(1 - np.eye(10), abstain_cost=0.2)).fit(logits, labels)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0), backlog=128) as listening,
    ):
        (source,) = re.findall(r"```python\n(# service\.py\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        Path(folder, "service.py").write_text(source)
        policy.to_onnx(Path(folder, "policy.onnx"))
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "service:app",
            "--fd",
            str(listening.fileno()),
            "--no-access-log",
        ]
        # what is accepted inherits it; uvicorn does not set it on a socket that it was given
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        service = subprocess.Popen(
            command, cwd=folder, env=os.environ | {"MODEL": "policy.onnx"}, pass_fds=[listening.fileno()]
        )
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        httpx.get(f"{address}/health", timeout=60)
        seconds: list[float] = []

        def ask(number: int) -> None:
            with httpx.Client(base_url=address, timeout=60) as client:
                for row in logits[number:REQUESTS:CLIENTS]:
                    content = {"logits": [row.tolist()]}
                    start = time.perf_counter()
                    client.post("/decide", json=content).raise_for_status()
                    seconds.append(time.perf_counter() - start)

        clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
        start = time.perf_counter()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        whole = time.perf_counter() - start
        service.send_signal(signal.SIGTERM)
        service.wait()
    median, worst = np.quantile(seconds, [0.5, 0.99]) * 1e3
    print(processor())
    print(
        f"{len(seconds)} requests: median {median:.1f} ms, 99th percentile {worst:.1f} ms, "
        f"{len(seconds) / whole:.0f} a second"
    )


if __name__ == "__main__":
    main()
