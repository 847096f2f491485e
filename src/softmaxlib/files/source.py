"""Sources that a user names: a file, a folder, a pattern, several of these, or standard input."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import IO
from urllib.parse import unquote

import pyarrow.dataset
import pyarrow.fs

from ..errors import FileFormatError, UnsupportedTypeError
from .dataset_parts import parts_of_dataset
from .formats import FORMATS, describe_formats, ending_of, sniffed_ending
from .location import Location, is_hidden
from .part import Part, Value

STANDARD_STREAM = "-"

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | pyarrow.dataset.Dataset
_WILD = re.compile(r"[*?\[]")
_KEY = re.compile(r"([^=/]+)=([^/]*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@contextmanager
def parts_of(source: Source) -> Iterator[list[Part]]:
    """Yield the files of a source, in a fixed order; a copy of standard input exists until the block ends.

    Raises
    ------
    FileFormatError
        For a source that does not exist, holds no file, or holds one of an unknown format.
    """
    if isinstance(source, pyarrow.dataset.Dataset):
        parts = list(parts_of_dataset(source))
        if not parts:
            raise FileFormatError("the data set has no file; name another")
        for part in parts:
            _check_format(part.location, "")
        yield parts
    elif is_stream(source):
        if sys.stdin is None:
            raise FileFormatError("standard input is closed; name a file, or pass the rows by a pipe")
        with _standard_input(sys.stdin.buffer) as part:
            yield [part]
    else:
        parts = [part for one in _locations(source) for part in _expanded(one)]
        if not parts:
            raise FileFormatError("the source names no file; name at least one")
        yield _typed(parts)


def is_stream(source: Source) -> bool:
    """Return True if a source is standard input."""
    return isinstance(source, str) and source == STANDARD_STREAM


def is_several(source: Source) -> bool:
    """Return True if a source can be several files: a folder, a pattern, a list or a data set."""
    if isinstance(source, pyarrow.dataset.Dataset):
        return True
    if is_stream(source):
        return False
    if not isinstance(source, str | os.PathLike):
        return True
    return Location(source).info().type != pyarrow.fs.FileType.File


def _locations(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Location]:
    """Return the files, folders and patterns that a source names."""
    if isinstance(source, str | os.PathLike):
        return [Location(source)]
    if not isinstance(source, Sequence) or isinstance(source, bytes):
        raise UnsupportedTypeError(
            f"a source must be a path, a list of paths or a pyarrow.dataset.Dataset, got "
            f"{type(source).__name__}; rows in memory go to the functions of the same names outside of files"
        )
    return [Location(one) for one in source]


def folders_of(source: Source, parts: Sequence[Part]) -> list[Location]:
    """Return the known folders that a source is read from."""
    if isinstance(source, pyarrow.dataset.Dataset):
        folders = [part.location.folder() for part in parts]
        return list({folder.given: folder for folder in folders}.values())
    return _locations(source)


def folder_that_reads(source: Source, place: Location) -> Location | None:
    """Return the folder or the pattern of a source that reads a file at this place too, now or next time."""
    if isinstance(source, pyarrow.dataset.Dataset) or is_stream(source):
        return None
    for one in _locations(source):
        if one.is_url != place.is_url:
            continue
        if one.info().type == pyarrow.fs.FileType.Directory:
            folder, pattern = one, []
        elif _WILD.search(one.given):
            folder, pattern = _cut_at_pattern(one)
        else:
            continue
        name = place.name_below(folder)
        if name is not None and name != "." and not is_hidden(name) and _matches(name.split("/"), pattern):
            return one
    return None


def _expanded(location: Location) -> list[Part]:
    kind = location.info().type
    if kind == pyarrow.fs.FileType.File:
        _check_format(location, "")
        return [Part(location, location.path.name)]
    if kind == pyarrow.fs.FileType.Directory:
        parts = _below(location, [])
        if not parts:
            raise FileFormatError(f"{location} is a folder without files to read; name another")
        return parts
    if _WILD.search(location.given):
        folder, pattern = _cut_at_pattern(location)
        parts = _below(folder, pattern)
        if not parts:
            raise FileFormatError(f"no file matches {location}; check the pattern")
        return parts
    here = "" if location.is_url else f" and the folder ({os.getcwd()})"
    raise FileFormatError(f"{location} does not exist; check the name{here}")


def _below(folder: Location, pattern: list[str]) -> list[Part]:
    if folder.info().type != pyarrow.fs.FileType.Directory:
        return []
    parts = []
    for name in folder.files_below():
        if _matches(name.split("/"), pattern):
            location = folder / name
            _check_format(location, f", or name some files by a pattern, such as {folder}/*.parquet")
            parts.append(Part(location, name, tuple(keys_of(name))))
    return parts


def _cut_at_pattern(location: Location) -> tuple[Location, list[str]]:
    """Split a path before its first part with a wildcard, and return the folder and the other parts."""
    steps = location.given.split("/")
    first = next(index for index, step in enumerate(steps) if _WILD.search(step))
    folder = "/".join(steps[:first]) or ("/" if first else ".")
    return Location(folder), steps[first:]


def _matches(names: list[str], pattern: list[str]) -> bool:
    """Return True if a path, or a folder above it, matches the pattern; ``**`` is any number of folders."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(names[start:], pattern[1:]) for start in range(len(names)))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and _matches(names[1:], pattern[1:])


def keys_of(name: str) -> Iterator[tuple[str, Value]]:
    """Yield the columns that folders of a path are called after: ``year=2026`` is a column ``year``."""
    for folder in name.split("/")[:-1]:
        found = _KEY.fullmatch(folder)
        if found is not None:
            value = unquote(found[2])
            yield unquote(found[1]), None if value == _NO_VALUE else value


def _typed(parts: list[Part]) -> list[Part]:
    """Convert keys to whole numbers if all values of a key are such."""
    texts: dict[str, set[Value]] = {}
    for part in parts:
        for key, value in part.keys:
            texts.setdefault(key, set()).add(value)
    whole = {key for key, values in texts.items() if all(map(_is_whole, values))}
    return [
        part._replace(
            keys=tuple((key, int(str(value)) if key in whole else value) for key, value in part.keys)
        )
        for part in parts
    ]


def _is_whole(value: Value) -> bool:
    return re.fullmatch(r"0|-?[1-9]\d{0,17}", str(value)) is not None


def _check_format(location: Location, more: str) -> None:
    if ending_of(location.path)[0] not in FORMATS:
        raise FileFormatError(
            f"{location} is of an unknown format {location.path.suffix!r}; use one of "
            f"{describe_formats()}{more}"
        )


@contextmanager
def _standard_input(stream: IO[bytes]) -> Iterator[Part]:
    """Copy standard input to a file, because formats need random access, and other processes may read it."""
    start = stream.read(8)
    with tempfile.TemporaryDirectory(prefix="softmaxlib-") as folder:
        path = os.path.join(folder, f"input{sniffed_ending(start)}")
        with open(path, "wb") as copy:
            copy.write(start)
            shutil.copyfileobj(stream, copy, 1 << 20)
        if not start:
            raise FileFormatError("standard input is empty; a table has a header at least")
        location = Location(path, shown="standard input")
        yield Part(location, os.path.basename(path))
