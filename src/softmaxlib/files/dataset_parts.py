"""The files of a ``pyarrow.dataset.Dataset``, as the parts of a source."""

import os
import posixpath
from collections.abc import Iterator

import pyarrow.dataset
import pyarrow.fs

from ..errors import InvalidInputError
from .location import Location
from .part import Part, Value


def parts_of_dataset(dataset: pyarrow.dataset.Dataset) -> Iterator[Part]:
    """Return the files of a data set, with the columns of its partitioning.

    Files are read like all others: by their ending, and with the options of this package.

    Raises
    ------
    InvalidInputError
        For a data set that is not made of files, or one that leaves rows out.
    """
    if isinstance(dataset, pyarrow.dataset.UnionDataset):
        for child in dataset.children:
            yield from parts_of_dataset(child)
        return
    if not isinstance(dataset, pyarrow.dataset.FileSystemDataset):
        raise InvalidInputError(
            f"a data set must be one of files, got {type(dataset).__name__}; write its rows to a file, or "
            "give its record batches to Policy.decide_batches"
        )
    if dataset._scan_options.get("filter") is not None:
        raise InvalidInputError(
            "a data set must not leave rows out by a filter, since its files are read as they are; write the "
            "rows that are left to a file, or give its record batches to Policy.decide_batches"
        )
    root = _common_folder(dataset.files)
    for fragment in dataset.get_fragments():
        keys = pyarrow.dataset.get_partition_keys(fragment.partition_expression)
        columns = tuple((name, _value(value)) for name, value in keys.items())
        name = posixpath.relpath(fragment.path.replace(os.sep, "/"), root)
        yield Part(_location(dataset.filesystem, fragment.path), name, columns)


def _location(system: pyarrow.fs.FileSystem, path: str) -> Location:
    if isinstance(system, pyarrow.fs.LocalFileSystem):
        return Location(path)
    return Location(path, shown=f"{system.type_name}: {path}", system=system)


def _common_folder(files: list[str]) -> str:
    folders = [posixpath.dirname(file.replace(os.sep, "/")) for file in files]
    return os.path.commonpath(folders).replace(os.sep, "/") if folders else ""


def _value(value: object) -> Value:
    return value if value is None or type(value) is int else str(value)
