"""Which columns of a file mean what: declared by the user, never guessed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from .._text import quoted
from ..errors import InvalidInputError

Kind = Literal["logits", "probabilities"]
PREFIX = {"logits": "logit_", "probabilities": "probability_"}
_WILD = re.compile(r"[*?\[]")
ROW_COLUMNS = {"label": "true classes", "groups": "groups of rows", "rule_rows": "booleans"}


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
    label, groups, rule_rows : str or None
        The column with the true class, with the group of each row, and with the rows for the rule. For .npy:
        another .npy file.
    """

    kind: Kind = "logits"
    columns: str | None = None
    label: str | None = None
    groups: str | None = None
    rule_rows: str | None = None

    def __post_init__(self) -> None:
        roles: dict[str, str] = {}
        for role, name in self.row_columns.items():
            if name in roles:
                raise InvalidInputError(
                    f"{option(roles[name])} and {option(role)} name the same column, {name!r}; give each its "
                    "own (sets within each true class: --per-class)"
                )
            roles[name] = role

    @property
    def row_columns(self) -> dict[str, str]:
        """Return what was named of ROW_COLUMNS: the field, and the column's name."""
        return {role: name for role in ROW_COLUMNS if (name := getattr(self, role)) is not None}

    def files(self, path: Path) -> dict[str, str]:
        """The files beside `path` that are read too, by their options: .npy keeps its row columns in such."""
        beside = self.row_columns if path.suffix.lower() == ".npy" else {}
        return {option(role): name for role, name in beside.items()}

    @property
    def patterns(self) -> list[str]:
        """The column patterns, the usual one when none was given."""
        return [part.strip() for part in (self.columns or PREFIX[self.kind] + "*").split(",")]

    def match(self, path: Path, names: Sequence[str]) -> dict[str, str]:
        """Column name -> class name, in the file's order for a pattern and the user's for names."""
        chosen: dict[str, str] = {}
        taken = set(self.row_columns.values())
        free = dict.fromkeys(name for name in names if name not in taken)
        for pattern in self.patterns:
            found = [pattern] if pattern in free else []
            if _WILD.search(pattern):
                found = [name for name in free if name == pattern or fnmatchcase(name, pattern)]
            if not found:
                usual = f"such as --columns '{PREFIX[self.kind]}*' or --columns cat,dog"
                raise missing(path, "column", pattern, names, f"name the {self.kind} with --columns, {usual}")
            for name in found:
                prefix = pattern[:-1] if pattern.endswith("*") and pattern.count("*") == 1 else ""
                chosen.setdefault(name, name.removeprefix(prefix))
        if len(chosen) < 2:
            raise InvalidInputError(
                f"{path}: {self.kind} of at least two classes are needed, and only column "
                f"{next(iter(chosen))!r} was chosen; name the columns with --columns"
            )
        return chosen


def option(role: str) -> str:
    """Return how a field of the selection is spelled on the command line."""
    return "--" + role.replace("_", "-")


def missing(path: Path, what: str, name: str, names: Sequence[str], advice: str) -> InvalidInputError:
    """That a file has no such column or array, what it has, and which of those may be meant."""
    near = get_close_matches(name, names, 1)
    meant = f" (is {near[0]!r} meant?)" if near else ""
    return InvalidInputError(
        f"{path}: no {what} is called {name!r}{meant}; its {what}s are {quoted(names)}; {advice}"
    )
