"""Starts the command line, before the library is imported: Ctrl-C in that time ends in one line too."""

import os
import signal
import sys
from types import FrameType

__all__ = ["main"]


def main() -> None:
    """Run ``softmaxlib`` on ``sys.argv`` and exit with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else Ctrl-C is not for us
        signal.signal(signal.SIGINT, _leave)
    try:
        from softmaxlib.cli import main as run
    except Exception as error:
        reason = " ".join(str(error).split())
        print(f"softmaxlib: error: the library can't be imported: {reason}; install it anew", file=sys.stderr)
        sys.exit(3)
    run()


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, b"softmaxlib: error: interrupted; no half-written file is left\n")
    os._exit(128 + number)
