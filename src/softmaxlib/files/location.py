"""Where a file is: on this machine, or at a URL that pyarrow or fsspec opens."""

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.fs

from .._files import written_whole
from ..errors import FileFormatError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Location:
    """A file or a folder, by its path or its URL.

    Parameters
    ----------
    given : str or path
        ``"rows.parquet"``, ``"s3://bucket/rows.parquet"``.
    shown : str, optional
        What messages call it; by default as it was given, without a password.
    system : pyarrow.fs.FileSystem, optional
        Where `given` is a path; by default this machine, or what a URL names.
    """

    def __init__(
        self,
        given: str | os.PathLike[str],
        shown: str | None = None,
        system: pyarrow.fs.FileSystem | None = None,
    ) -> None:
        self.given = os.fspath(given)
        self._system = system
        if self.given.startswith("file://"):
            self.given = pyarrow.fs.FileSystem.from_uri(self.given)[1]
        self.is_url = system is not None or bool(_URL.match(self.given))
        self.shown = shown or (_without_password(self.given) if self.is_url else self.given)

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Location({self.shown!r})"

    def __truediv__(self, name: str) -> "Location":
        """A file below this folder, by its path with forward slashes."""
        if self.is_url:
            return Location(f"{self.given.rstrip('/')}/{name}")
        return Location(Path(self.given) / name)

    @property
    def path(self) -> PurePath:
        """The path, of a URL without what stands behind a question mark."""
        if not self.is_url:
            return Path(self.given)
        parts = urlsplit(self.given)
        return PurePosixPath(parts.netloc + parts.path)

    def filesystem(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The file system, and the path there.

        Raises
        ------
        FileFormatError
            For a URL of a kind that neither pyarrow nor an installed part of fsspec knows.
        """
        if self._system is not None:
            return self._system, self.given
        if not self.is_url:
            return pyarrow.fs.LocalFileSystem(), os.path.abspath(self.given)
        try:
            return pyarrow.fs.FileSystem.from_uri(self.given)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return self._from_fsspec()
        except OSError as error:
            raise FileFormatError(f"{self} can't be reached: {error}") from None

    def _from_fsspec(self) -> tuple[pyarrow.fs.FileSystem, str]:
        try:
            import fsspec

            system, path = fsspec.core.url_to_fs(self.given)
        except (ImportError, ValueError) as error:
            raise FileFormatError(
                f"{self} can't be opened: {error}; pyarrow opens s3://, gs:// and hdfs:// itself, and fsspec "
                "with its add-ons opens many more"
            ) from None
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(system)), path

    def info(self) -> pyarrow.fs.FileInfo:
        """What is there: a file, a folder or nothing."""
        system, path = self.filesystem()
        return system.get_file_info(path)

    def open(self) -> pa.NativeFile:
        """Open the file to be read from any place."""
        if not self.is_url:
            return pa.OSFile(os.fsencode(self.given), "rb")
        system, path = self.filesystem()
        return system.open_input_file(path)

    def make_folder(self) -> None:
        """Make this folder and those that lead to it, where they are missing."""
        system, path = self.filesystem()
        system.create_dir(path, recursive=True)

    def delete(self) -> None:
        """Delete the file."""
        system, path = self.filesystem()
        system.delete_file(path)

    def files_below(self, hidden: bool = False) -> Iterator[str]:
        """The files of a folder and of its folders by their paths from there, in the order of these.

        What starts with a point or an underscore is left out, as others that read folders do: such a file
        is unfinished, or says something of the others. With `hidden`, only such files are given.
        """
        system, root = self.filesystem()
        found = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
        named = []
        for info in found:
            name = posixpath.relpath(info.path.replace(os.sep, "/"), root.replace(os.sep, "/"))
            if info.type == pyarrow.fs.FileType.File and _is_hidden(name) == hidden:
                named.append(name)
        return iter(sorted(named))

    @contextmanager
    def written_whole(self) -> Iterator[IO[Any]]:
        """A binary file that becomes this one when the block ends well, and vanishes when it does not."""
        if not self.is_url:
            with written_whole(self.given) as file:
                yield file
            return
        system, path = self.filesystem()
        folder, _, name = path.rpartition("/")
        beside = f"{folder}/{unfinished_name(name)}"
        try:
            with system.open_output_stream(beside) as file:
                yield file
            system.move(beside, path)
        except BaseException:
            if system.get_file_info(beside).type == pyarrow.fs.FileType.File:
                system.delete_file(beside)
            raise


def unfinished_name(name: str) -> str:
    """Return what a file is called until it is whole; nothing that reads a folder takes it for one."""
    return f".softmaxlib-{os.urandom(16).hex()}-{name}.partial"


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _without_password(url: str) -> str:
    """The URL without the part that names a user and a password, and without its query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
