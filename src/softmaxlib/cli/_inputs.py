"""The files that a command reads, and checks that it does not write over them."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from .._files import check_outputs
from ..errors import InvalidInputError
from ..files.location import Location
from ..files.source import STANDARD_STREAM, Source, folder_that_reads

_ROW_COLUMNS = ("--label", "--groups", "--rule-rows", "--weight", "--id")


def source_of(given: Sequence[str]) -> Source:
    """Return the arguments of a command as one source."""
    if len(given) > 1 and STANDARD_STREAM in given:
        raise InvalidInputError("- is standard input, and is read alone; leave out the other files")
    return given[0] if len(given) == 1 else list(given)


def check_written(
    outputs: Mapping[str, str | os.PathLike[str] | None],
    given: Sequence[str],
    read: Mapping[str, str | os.PathLike[str] | None],
    files: Collection[str] = (),
) -> None:
    """Check each local file to be written, and refuse one that is also read, and two on standard output.

    Parameters
    ----------
    outputs : mapping
        The outputs by their options; folders, URLs and standard output are checked where they are written.
    given : sequence of str
        The files with rows; the other columns of a .npy file are files too.
    read : mapping
        Other files that are read, by their options.
    files : collection of str
        The options whose output can't go to standard output.
    """
    streams = [name for name, path in outputs.items() if path is not None and _is_stream(path)]
    for name in streams:
        if name in files:
            raise InvalidInputError(f"{name} must be a file, got - for standard output; name a file")
    if len(streams) > 1:
        raise InvalidInputError(
            f"one output can go to standard output, got - for {' and '.join(streams)}; name a file for "
            "the other"
        )
    arrays = any(Path(name).suffix.lower() == ".npy" for name in given)
    inputs = {name: path for name, path in read.items() if arrays or name not in _ROW_COLUMNS}
    inputs |= {"the input" if len(given) == 1 else f"the input {name}": name for name in given}
    written = {name: path for name, path in outputs.items() if path is not None and _is_file(path)}
    check_outputs(written, inputs)
    for name, path in written.items():
        folder = folder_that_reads(given, Location(path))
        if folder is not None:
            raise InvalidInputError(
                f"{name} {path} would be read with {folder}, now or the next time; write somewhere else"
            )


def _is_stream(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path) == STANDARD_STREAM


def _is_file(path: str | os.PathLike[str]) -> bool:
    if _is_stream(path):
        return False
    place = Location(path)
    return not (place.is_url or os.fspath(path).endswith("/") or os.path.isdir(place.given))
