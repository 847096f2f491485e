"""Which columns of a file mean what: declared by the user, never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from ..errors import InvalidInputError

Kind = Literal["logits", "probabilities"]
PREFIX = {"logits": "logit_", "probabilities": "probability_"}


@dataclass(frozen=True)
class Selection:
    """Which columns of a file mean what.

    Attributes
    ----------
    kind : "logits" or "probabilities"
        What the columns hold; declared by the user, never guessed.
    columns : str or None
        Patterns (``logit_*``) or names separated by commas; None for the usual ``logit_*`` or
        ``probability_*``. What precedes a star at the end is no part of the class's name. In .npz: the name
        of the array.
    label : str or None
        The column with the true class. For .npy: another .npy file.
    """

    kind: Kind = "logits"
    columns: str | None = None
    label: str | None = None

    @property
    def patterns(self) -> list[str]:
        """The column patterns, the usual one when none was given."""
        return [part.strip() for part in (self.columns or PREFIX[self.kind] + "*").split(",")]

    def match(self, path: Path, names: Sequence[str]) -> dict[str, str]:
        """Column name -> class name, in the file's order for a pattern and the user's for names."""
        chosen: dict[str, str] = {}
        for pattern in self.patterns:
            found = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
            found = [name for name in found if name != self.label]
            if not found:
                raise InvalidInputError(
                    f"{path}: no column is called {pattern!r}; its columns are {listed(names)}; "
                    f"name the {self.kind} with --columns, such as --columns 'logit_*' or --columns cat,dog"
                )
            for name in found:
                prefix = pattern[:-1] if pattern.endswith("*") and pattern.count("*") == 1 else ""
                chosen.setdefault(name, name.removeprefix(prefix))
        if len(chosen) < 2:
            raise InvalidInputError(
                f"{path}: {self.kind} of at least two classes are needed, and only column "
                f"{next(iter(chosen))!r} was chosen; name the columns with --columns"
            )
        return chosen


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first few names for a message, quoted, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(str(name)) for name in names[:most]) + more
