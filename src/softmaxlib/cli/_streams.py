"""Standard output and error that survive a closed pipe, a missing stream and a narrow encoding."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class PatientStream:
    """A stream whose reader may leave (``head``): further output is dropped, and the command goes on.

    A character that the encoding lacks is written as an escape.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        reconfigure = getattr(stream, "reconfigure", None)  # only streams over bytes have it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write to the stream; drop the text if the reader has left."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush the stream; drop the text if the reader has left."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Drop the buffered text, so that the interpreter can end; a lost reader is not an error."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            error.filename = error.filename or self._name
            raise error


@contextmanager
def patient_streams() -> Iterator[None]:
    """Replace both standard streams by patient ones within the block."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout, sys.stderr = (
            PatientStream(nowhere if stream is None else stream, name)  # type: ignore[assignment]
            for stream, name in zip(before, ("standard output", "standard error"), strict=True)
        )
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
