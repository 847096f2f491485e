"""The base of the policies: one JSON file, written whole and read as untrusted."""

import hashlib
import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from .. import _json
from .._arrays import Array, FloatArray
from .._checks import described_shape
from .._files import write_text
from .._underflow import underflow_is_zero
from ..errors import FileFormatError, InvalidInputError


class SavedPolicy(ABC):
    """A policy that can be saved as JSON and loaded again.

    Attributes
    ----------
    class_names_ : tuple of str
        The classes, in the order of the columns of the logits.
    """

    name_in_files: ClassVar[str]  # the field "class" of a file
    _purpose: ClassVar[str]  # for messages: "one class per row"
    _part_names: ClassVar[tuple[str, ...]]  # the fields of `_parts`
    _kinds: ClassVar[dict[str, type["SavedPolicy"]]] = {}

    class_names_: tuple[str, ...]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name_in_files" in vars(cls):  # a user's subclass shares the files of its parent
            SavedPolicy._kinds[cls.name_in_files] = cls

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted policy as JSON. The file is written completely or not at all."""
        write_text(path, self._as_text())

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the policy: the SHA-256 of the file of `save`."""
        return hashlib.sha256(self._as_text().encode()).hexdigest()

    def _as_text(self) -> str:
        return _json.as_text(self.to_dict()) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file of `save`, as plain values for ``json.dump``."""
        self._check_fitted()
        names = list(self.class_names_)
        head = {"class": self.name_in_files, "version": _json.VERSION, "class_names": names}
        return head | self._parts()

    @classmethod
    @underflow_is_zero
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a policy that :meth:`save` wrote.

        Raises
        ------
        FileFormatError
            If the file is missing or malformed, has another version, or is not a policy of this class.
            Nothing in the file is ever executed.
        """
        content = _json.read_json(path, "policy")
        found = SavedPolicy._kinds.get(_name_in(content))
        if found is not None and found.name_in_files != cls.name_in_files:
            raise FileFormatError(
                f"{path} holds the policy of {found._purpose}, and that of {cls._purpose} is needed; "
                f"{found.name_in_files}.load reads it"
            )
        try:
            return cls.from_dict(content)
        except InvalidInputError as error:
            raise FileFormatError(f"{path} is not a valid policy: {error}") from None

    @classmethod
    def is_saved_in(cls, path: str | os.PathLike[str]) -> bool:
        """Return True if a file claims to be a policy of this class."""
        return _name_in(_json.read_json(path, "policy")) == cls.name_in_files

    @classmethod
    @underflow_is_zero
    def from_dict(cls, content: Any) -> Self:
        """Create a policy from the result of `to_dict`. The content is untrusted, and checked."""
        _json.find_class(content, "policy", {cls.name_in_files: cls})
        _json.check_fields(content, "policy", ("class", "version", "class_names", *cls._part_names))
        names = content["class_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FileFormatError(f"class_names must be a list of texts; {_json.ADVICE}")
        return cls._of_parts(names, content)

    def _check_width(self, given: Array, values: FloatArray, rule: str) -> None:
        """Reject rows of another number of columns than in the fit."""
        if values.shape[1] != len(self.class_names_):
            raise InvalidInputError(
                f"{rule} the policy was fitted on, got {described_shape(given, values)}; for another model "
                "use the policy that was fitted for it"
            )

    @abstractmethod
    def _check_fitted(self) -> None:
        """Raise NotFittedError before the fit."""

    @abstractmethod
    def _parts(self) -> dict[str, Any]:
        """Return the further fields of the file."""

    @classmethod
    @abstractmethod
    def _of_parts(cls, names: list[str], content: dict[str, Any]) -> Self:
        """Create a policy from checked names and the untrusted fields of `_parts`."""


def _name_in(content: Any) -> str:
    name = content.get("class") if isinstance(content, dict) else None
    return name if isinstance(name, str) else ""
