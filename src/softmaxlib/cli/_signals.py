"""Ctrl-C, SIGTERM and SIGHUP end a command by an exception, so that no file is left half-written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ended(BaseException):
    """Raised when a signal asks the command to end.

    Attributes
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        word = "interrupted" if self.number == signal.SIGINT else "terminated"
        return f"{word}; no half-written file is left"


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `Ended` at the first of these signals within the block, and ignore later ones.

    A signal that the process was started to ignore (``nohup``) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():  # other threads receive no signals
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    wanted = [number for number in _SIGNALS if before[number] not in (signal.SIG_IGN, None)]

    received: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        received.append(number)
        for each in wanted:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    try:
        for number in wanted:
            signal.signal(number, end)
        yield
        if received:  # raised in a callback or a finalizer, where Python drops exceptions
            raise Ended(received[0])
    finally:
        for number in wanted:
            signal.signal(number, before[number])
