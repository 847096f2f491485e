"""Control-C during a long call, for the tests of all that may take long."""

import signal
import time


def check_control_c_stops(process):
    """A program that prints "ready", "interrupted" and "works" is stopped within a second, and goes on."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - sent < 1
    # Not communicate(): it would miss what readline() has read ahead.
    assert process.stdout.read() == "works\n"
    assert process.wait(timeout=60) == 0
    process.stdout.close()
