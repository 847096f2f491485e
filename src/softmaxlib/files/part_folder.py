"""A folder that is written part by part: each file in it is whole, and missing ones can be written later."""

import json
import posixpath
from collections.abc import Mapping
from typing import Any

import pyarrow.fs

from .._spelling import argument
from .._text import quoted
from ..errors import FileFormatError, InvalidInputError
from .location import Location

_MANIFEST = "_softmaxlib.json"  # readers of folders skip names that start with an underscore
_VERSION = 2
_UNFINISHED = ".softmaxlib-"


class PartFolder:
    """A folder of parts, with a file that records what they were made from.

    Parameters
    ----------
    location : Location
        The folder; it need not exist.
    made_by : dict
        The policy and the options of all parts, as plain values.
    parts : mapping of str to dict
        The input of each part, by its path in the folder.
    """

    def __init__(
        self, location: Location, made_by: dict[str, Any], parts: Mapping[str, dict[str, Any]]
    ) -> None:
        self.location = location
        self._content = {"version": _VERSION, "made_by": made_by, "parts": dict(parts)}

    def begin(self, resume: bool) -> list[str]:
        """Prepare the folder, and return the parts to be written, in order.

        Raises
        ------
        InvalidInputError
            For a folder that is not empty, without `resume`; with it, for a folder of other decisions.
        """
        there = self._files_there()
        before = self._manifest()
        parts = self._content["parts"]
        if before is None:
            if there:
                raise InvalidInputError(
                    f"{self.location} holds files that no such run has written ({quoted(there)}); name an "
                    "empty folder or a new one"
                )
        elif not resume:
            raise InvalidInputError(
                f"{self.location} holds decisions already; do what is missing with "
                f"{argument('resume', True)}, or name another folder"
            )
        else:
            self._check_same(before, there)
            for name in there:
                if before["parts"].get(name) != parts[name]:  # its file has changed since
                    (self.location / name).delete()
            there = [name for name in there if before["parts"].get(name) == parts[name]]
        self.location.make_folder()
        if resume:
            self.sweep()
        for folder in sorted({posixpath.dirname(name) for name in parts} - {""}):
            (self.location / folder).make_folder()
        with (self.location / _MANIFEST).written_whole() as file:
            file.write((json.dumps(self._content, indent=2) + "\n").encode())
        done = set(there)
        return [name for name in parts if name not in done]

    def sweep(self) -> None:
        """Delete the unfinished files of killed processes."""
        for name in self.location.files_below(hidden=True):
            last = posixpath.basename(name)
            if last.startswith(_UNFINISHED) and last.endswith(".partial"):
                (self.location / name).delete()

    def _files_there(self) -> list[str]:
        kind = self.location.info().type
        if kind == pyarrow.fs.FileType.File:
            raise InvalidInputError(f"{self.location} is a file, and a folder is to be written; name another")
        if kind != pyarrow.fs.FileType.Directory:
            return []
        return list(self.location.files_below())

    def _manifest(self) -> dict[str, Any] | None:
        place = self.location / _MANIFEST
        if place.info().type != pyarrow.fs.FileType.File:
            return None
        try:
            with place.open() as file:
                content = json.loads(file.read())
            if content["version"] != _VERSION or not isinstance(content["parts"], dict):
                raise ValueError("another version")
            content["made_by"].items()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(
                f"{place} is not a valid list of parts ({error}); name a new folder"
            ) from None
        return content

    def _check_same(self, before: dict[str, Any], there: list[str]) -> None:
        made_by = self._content["made_by"]
        changed = [name for name in made_by if before["made_by"].get(name) != made_by[name]]
        if changed:
            raise InvalidInputError(
                f"{self.location} was begun with another {', '.join(changed)}; name a new folder, or give "
                "what it was begun with"
            )
        foreign = [name for name in there if name not in self._content["parts"]]
        if foreign:
            raise InvalidInputError(
                f"{self.location} holds {quoted(foreign)}, which the source has no file for; delete it, or "
                "name a new folder"
            )
