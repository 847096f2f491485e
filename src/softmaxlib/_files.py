"""Files are written whole or not at all: beside the target first, then renamed over it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import FileFormatError


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not.

    A reader of `path` sees the old content or the new, never a half. A device (``/dev/stdout``) has no
    beside and is written directly.

    Raises
    ------
    FileFormatError
        When the folder does not exist or `path` is itself a folder.
    """
    target = check_target(path)
    if target.exists() and not target.is_file():
        try:
            with open(target, "wb") as device:
                yield device
        except OSError as error:
            error.filename = error.filename or str(path)
            raise
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except OSError as error:
        if error.filename is None or error.filename == str(beside):
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def check_target(path: str | os.PathLike[str]) -> Path:
    """Where a file written to `path` will stand, or an error now rather than after the work is done."""
    target = Path(os.path.realpath(path))  # through a symbolic link, not over it
    if target.is_dir():
        raise FileFormatError(f"{path} is a folder; name a file to write")
    if not target.parent.is_dir():
        raise FileFormatError(f"{path}: the folder {target.parent} does not exist; create it first")
    if (target.is_file() or not target.exists()) and not os.access(target.parent, os.W_OK):
        raise FileFormatError(f"{path}: nothing may be written in the folder {target.parent}; choose another")
    return target
