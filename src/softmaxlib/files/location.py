"""Locations of files: on this machine, or at a URL that pyarrow or fsspec opens."""

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs

from .._files import written_whole
from ..errors import FileFormatError, InvalidInputError, UnsupportedTypeError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Location:
    """A file or a folder, by its path or its URL.

    Parameters
    ----------
    given : str or path
        ``"rows.parquet"``, ``"s3://bucket/rows.parquet"``.
    shown : str, optional
        The name in messages; by default as given, without a password.
    system : pyarrow.fs.FileSystem, optional
        The file system of the path `given`; by default that of this machine, or of the URL.
    """

    def __init__(
        self,
        given: str | os.PathLike[str],
        shown: str | None = None,
        system: pyarrow.fs.FileSystem | None = None,
    ) -> None:
        if not isinstance(given, str | os.PathLike):
            raise UnsupportedTypeError(
                f"a file must be named by a text or a path, got {given!r}; pass its name"
            )
        self.given = os.fspath(given)
        self._system = system
        if not self.given and system is None:
            raise InvalidInputError("a file must have a name, got ''; name it, or '.' for this folder")
        try:
            os.fsencode(self.given)
        except UnicodeEncodeError:
            raise InvalidInputError(
                f"a file must have a name that the system can hold, got {self.given!a}; replace its lone "
                "surrogate"
            ) from None
        if self.given.startswith("file:/"):
            self.given = _path_of_url(self.given)
        self.is_url = system is not None or bool(_URL.match(self.given))
        self.shown = shown or (_without_password(self.given) if self.is_url else self.given)

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Location({self.shown!r})"

    def __truediv__(self, name: str) -> "Location":
        """Return a file below this folder, by its path with forward slashes."""
        if self.is_url:
            return Location(f"{self.given.rstrip('/')}/{name}")
        return Location(Path(self.given) / name)

    @property
    def path(self) -> PurePath:
        """The path; that of a URL without its query."""
        if not self.is_url:
            return Path(self.given)
        parts = urlsplit(self.given)
        return PurePosixPath(parts.netloc + parts.path)

    def filesystem(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """Return the file system, and the path in it.

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
            reason = str(error).partition("\n")[0]  # there may be a line for each place that was searched
            raise FileFormatError(
                f"{self} can't be reached: {reason}; check the address, and the libraries and credentials "
                "that it needs"
            ) from None

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
        """Return whether there is a file, a folder or nothing."""
        system, path = self.filesystem()
        return system.get_file_info(path if self.is_url else os.fsencode(path))  # it may be no UTF-8

    def open(self) -> pa.NativeFile:
        """Open the file for reading, with random access."""
        if not self.is_url:
            return pa.OSFile(os.fsencode(self.given), "rb")
        system, path = self.filesystem()
        return system.open_input_file(path)

    def make_folder(self) -> None:
        """Make this folder and its parents, where they are missing."""
        if not self.is_url:
            try:
                os.makedirs(self.given, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise FileFormatError(
                    f"{self} is a file, or lies below one, and a folder is to be written; name another"
                ) from None
            return
        system, path = self.filesystem()
        system.create_dir(path, recursive=True)

    def delete(self) -> None:
        """Delete the file."""
        if not self.is_url:
            os.unlink(self.given)
            return
        system, path = self.filesystem()
        system.delete_file(path)

    def folder(self) -> "Location":
        """Return the folder that this lies in."""
        return Location(posixpath.dirname(self.given.replace(os.sep, "/")), system=self._system)

    def name_below(self, folder: "Location") -> str | None:
        """Return the path from a folder to here, with forward slashes; None if this does not lie in it.

        It is "." for the folder itself. Links are followed, and a URL may be spelled in several ways.
        """
        kind, here = self._place()
        kind_of_folder, above = folder._place()
        is_below = kind == kind_of_folder and (here == above or above in here.parents)
        return here.relative_to(above).as_posix() if is_below else None

    def _place(self) -> tuple[str, PurePath]:
        """Return the kind of file system, and the path in it."""
        if not self.is_url:
            return "", Path(os.path.realpath(self.given))
        system, path = self.filesystem()
        return system.type_name, PurePosixPath("/", path)

    def version(self) -> str | None:
        """Return what changes when the file is written anew; None where the file system knows nothing."""
        changed = self.info().mtime_ns
        if changed is not None:
            return str(changed)
        system, path = self.filesystem()
        handler = getattr(system, "handler", None)
        return handler.fs.ukey(path) if isinstance(handler, pyarrow.fs.FSSpecHandler) else None

    def files_below(self, hidden: bool = False) -> Iterator[str]:
        """Return the files below a folder by their paths from there, in the order of these.

        Names that start with a point or an underscore are left out, as other readers of folders do: such a
        file is unfinished, or holds metadata. With `hidden`, only such files are returned.
        """
        if not self.is_url:
            return iter(sorted(name for name in _names_below(self.given) if is_hidden(name) == hidden))
        system, root = self.filesystem()
        found = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
        named = []
        for info in found:
            name = posixpath.relpath(info.path.replace(os.sep, "/"), root.replace(os.sep, "/"))
            if info.type == pyarrow.fs.FileType.File and is_hidden(name) == hidden:
                named.append(name)
        return iter(sorted(named))

    @contextmanager
    def written_whole(self) -> Iterator[IO[Any]]:
        """Open a binary file that becomes this one if the block ends without an error, else is deleted."""
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


def _names_below(folder: str) -> Iterator[str]:
    """Yield the files below a folder of this machine by their paths from there, UTF-8 or not.

    Links to folders are followed, except those that lead back to a folder around them.
    """
    waiting: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while waiting:
        above, around = waiting.pop()
        here = os.path.realpath(os.path.join(folder, above))
        if here in around:
            continue
        try:
            entries = list(os.scandir(here))
        except PermissionError:  # what other readers of folders skip need not be readable
            if is_hidden(above):
                continue
            raise
        for entry in entries:
            name = posixpath.join(above, entry.name)
            if entry.is_dir():
                waiting.append((name, around | {here}))
            elif entry.is_file():
                yield name


def unfinished_name(name: str) -> str:
    """Return the name of a file until it is whole; readers of folders skip it."""
    return f".softmaxlib-{os.urandom(16).hex()}-{name}.partial"


def is_hidden(name: str) -> bool:
    """Tell whether readers of folders skip a file: its name, or that of a folder, starts with . or _."""
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _path_of_url(url: str) -> str:
    """Return the path of a URL of this machine."""
    try:
        return pyarrow.fs.FileSystem.from_uri(url)[1]
    except pa.ArrowInvalid as error:
        raise FileFormatError(
            f"{url} is no URL of a file on this machine ({error}); name the path alone"
        ) from None


def _without_password(url: str) -> str:
    """Return the URL without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
