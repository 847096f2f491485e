"""The files that a command reads, beside those that it writes."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .._files import check_outputs
from ..errors import InvalidInputError
from ..files.location import Location
from ..files.source import STANDARD_STREAM, Source

_ROW_COLUMNS = ("--label", "--groups", "--rule-rows", "--weight", "--id")


def source_of(given: Sequence[str]) -> Source:
    """What the arguments of a command name, as one source."""
    if len(given) > 1 and STANDARD_STREAM in given:
        raise InvalidInputError("- is standard input, and is read alone; leave out the other files")
    return given[0] if len(given) == 1 else list(given)


def check_written(
    outputs: Mapping[str, str | os.PathLike[str] | None],
    given: Sequence[str],
    read: Mapping[str, str | os.PathLike[str] | None],
) -> None:
    """Check each file of this machine that is written, and refuse one that is read.

    Parameters
    ----------
    outputs : mapping
        By its option; a folder, a URL or standard output is checked by who writes it.
    given : sequence of str
        The files with rows; a .npy file has its columns of rows in files of their own.
    read : mapping
        What else is read, by its option.
    """
    arrays = any(Path(name).suffix.lower() == ".npy" for name in given)
    inputs = {name: path for name, path in read.items() if arrays or name not in _ROW_COLUMNS}
    inputs |= {"the input" if len(given) == 1 else f"the input {name}": name for name in given}
    check_outputs({name: path for name, path in outputs.items() if _is_file(path)}, inputs)


def _is_file(path: str | os.PathLike[str] | None) -> bool:
    if path is None or os.fspath(path) == STANDARD_STREAM:
        return False
    place = Location(path)
    return not (place.is_url or os.fspath(path).endswith("/") or os.path.isdir(place.given))
