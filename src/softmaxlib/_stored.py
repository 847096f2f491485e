"""Fitted things of one kind, found by their names: that of their class, and that on the command line."""

import copy
from abc import ABC
from typing import Any, ClassVar, Self

from .errors import UnsupportedTypeError


class Stored(ABC):
    """A calibration or a decision rule: each class registers itself when it is defined.

    Attributes
    ----------
    command_name : str
        What the class is called on the command line; empty for one that is not offered there.
    """

    command_name: ClassVar[str] = ""

    _registered: ClassVar[dict[str, type[Self]]]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if Stored in cls.__bases__:  # the base of a kind, which has a registry of its own
            cls._registered = {}
            return
        cls._registered[cls.__name__] = cls
        if "command_name" not in vars(cls):
            cls.command_name = ""  # that of the class it derives from is taken

    @classmethod
    def of_command_line(cls) -> dict[str, type[Self]]:
        """Return the classes of this kind by their names on the command line, in the order of these."""
        named = {kind.command_name: kind for kind in cls._registered.values() if kind.command_name}
        return dict(sorted(named.items()))

    def describe(self) -> str:
        """Say in a line what this is, and what it learned.

        Returns
        -------
        str
            Without a full stop; by default the same as ``repr``.
        """
        return repr(self)

    @classmethod
    def copy_of(cls, given: Any, name: str, example: str) -> Self:
        """Copy what a user gave as one of this kind, so that it is never changed; a class is refused."""
        if not isinstance(given, cls):
            made = "; put () behind it" if isinstance(given, type) and issubclass(given, cls) else ""
            raise UnsupportedTypeError(
                f"{name} must be a {cls.__name__}, such as {example}, got {given!r}{made}"
            )
        return copy.deepcopy(given)
