"""Files are written whole or not at all: beside the target first, then renamed over it."""

import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import FileFormatError, InvalidInputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # in a Path, the second slash is gone
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")  # a link may lead to a file, which is then written


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that becomes `path` if the block succeeds, and is removed if it fails.

    A reader of `path`, in this process or another, sees the old content or the new, never a half; several
    writers at once each write a file of their own, and the last one wins. A new file has the permissions that
    the umask leaves, a replaced one keeps its own. A device (``/dev/stdout``) is written directly.

    Raises
    ------
    FileFormatError
        When the folder does not exist or `path` is itself a folder.
    """
    target = check_target(path)
    beside = target.with_name(f".softmaxlib-{secrets.token_hex(16)}.partial")  # no name to guess and plant
    try:
        if _is_device(path):
            with open(path, "wb") as device:
                yield device
            return
        try:
            with open(beside, "xb") as file:
                _keep_permissions(beside, target)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        if error.filename is None or os.fspath(error.filename) == str(beside):
            error.filename = str(path)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, as `written_whole` does."""
    with written_whole(path) as file:
        file.write(text.encode())


def check_target(path: str | os.PathLike[str]) -> Path:
    """Check that a file can be written to `path`, before the work starts, and return its real path."""
    if _is_device(path):
        return Path(path)
    target = Path(os.path.realpath(path))  # through a symbolic link, not over it
    if target.is_dir():
        raise FileFormatError(f"{path} is a folder; name a file to write")
    if not target.parent.is_dir():
        if _URL.match(os.fspath(path)):
            raise FileFormatError(
                f"{path} is a URL, and this can be written on this machine alone; write it here, and copy it"
            )
        raise FileFormatError(f"{path}: the folder {target.parent} does not exist; create it first")
    if not os.access(target.parent, os.W_OK):
        raise FileFormatError(f"{path}: nothing may be written in the folder {target.parent}; choose another")
    return target


def check_outputs(
    outputs: Mapping[str, str | os.PathLike[str] | None],
    inputs: Mapping[str, str | os.PathLike[str] | None],
) -> None:
    """Check the path of every output. Reject one that is the same file as an input or another output.

    Both map what a message calls the file (``--report``) to its path, None where it was not given.
    """
    given = {name: path for name, path in outputs.items() if path is not None}
    for name, path in given.items():
        check_target(path)
        for other, read in inputs.items():
            if read is not None and _is_same_file(path, read):
                raise InvalidInputError(
                    f"{name} would overwrite {other}: {path} is the same file; write to another"
                )
    names = list(given)
    for place, name in enumerate(names):
        for other in names[:place]:
            if _is_same_file(given[name], given[other]):
                raise InvalidInputError(
                    f"{other} and {name} name the same file, {given[name]}; give each its own"
                )


def _is_same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return True if two paths are the same file, also through links; always False for a device."""
    if _is_device(one) or _is_device(other):
        return False
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist
        return os.path.realpath(one) == os.path.realpath(other)


def _is_device(path: str | os.PathLike[str]) -> bool:
    if os.path.abspath(path).startswith(_STREAMS):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _keep_permissions(beside: Path, target: Path) -> None:
    with suppress(OSError):  # there is no old file, or the file system has no permissions
        os.chmod(beside, stat.S_IMODE(os.stat(target).st_mode))


def _sync_folder(folder: Path) -> None:
    """Sync the new name to the disk, if the system can open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
