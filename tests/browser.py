"""Chromium without a window, driven by its DevTools protocol over two pipes."""

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
]


class Browser:
    """One process of Chromium; `close` ends it."""

    def __init__(self, executable: str, profile: Path) -> None:
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        # the protocol wants its pipes as file descriptors 3 and 4
        command = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "chromium", executable, *OPTIONS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._received = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._count:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = os.read(self._in, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def page(self, address: str, width: int = 1280, dark: bool = False) -> "Page":
        """Open an address in a tab of its own."""
        return Page(self, address, width, dark)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(RuntimeError, OSError):
            self.send("Browser.close")
        os.close(self._out)
        os.close(self._in)
        self._process.wait(timeout=20)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, address: str, width: int, dark: bool) -> None:
        self._browser = browser
        self._target = browser.send("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.send("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])
        self.open(address)

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **parameters)

    def open(self, address: str) -> None:
        """Load an address and wait until the page has started."""
        self._send("Page.navigate", url="about:blank")
        self._send("Page.navigate", url=address)
        self.wait_for("document.documentElement?.dataset.ready === 'yes'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        result = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true, for 20 seconds at most."""
        script = f"""new Promise((done, failed) => {{
          const end = Date.now() + 20000;
          const look = () => {{
            if ({condition}) done(true);
            else if (Date.now() > end) failed(new Error("too late"));
            else setTimeout(look, 20);
          }};
          look();
        }})"""
        self.run(script)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key of the keyboard."""
        codes = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        parameters = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        if key == "Enter":
            parameters["text"] = "\r"
        for _ in range(times):
            self._send("Input.dispatchKeyEvent", type="keyDown", **parameters)
            self._send("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def click_at(self, x: float, y: float) -> None:
        """Click with the mouse."""
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self) -> list[str]:
        """What the page logged as an error, all it threw, and every address it asked for but its own."""
        found = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            kind, details = event["method"], event["params"]
            if kind == "Runtime.exceptionThrown":
                found.append(str(details["exceptionDetails"]))
            elif kind == "Log.entryAdded" and details["entry"]["level"] == "error":
                found.append(details["entry"]["text"])
            elif kind == "Network.requestWillBeSent" and not details["request"]["url"].startswith("file:"):
                found.append(details["request"]["url"])
        return found

    def close(self) -> None:
        """Close the tab."""
        self._browser.send("Target.closeTarget", targetId=self._target)
