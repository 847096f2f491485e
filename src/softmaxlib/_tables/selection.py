"""The roles of a table's columns: declared by the user, never guessed."""

import contextlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal

from .._spelling import argument
from .._text import quoted, shortened
from ..errors import InvalidInputError, UnsupportedTypeError

Kind = Literal["logits", "probabilities"]
PREFIX = {"logits": "logit_", "probabilities": "probability_"}
_WILD = re.compile(r"[*?\[]")
ROW_COLUMNS = {
    "label": "true classes",
    "groups": "groups of rows",
    "rule_rows": "booleans",
    "weight": "weights",
    "id": "identifiers of rows",
}


@dataclass(frozen=True)
class Selection:
    """The roles of a table's columns.

    Attributes
    ----------
    kind : "logits" or "probabilities"
        What the columns hold; declared by the user, never guessed.
    columns : str, tuple of str or None
        Patterns (``logit_*``) or names, one a class; in a text they are separated by commas. None for the
        usual ``logit_*`` or ``probability_*``, or else one column of lists called ``logits`` or
        ``probabilities``. What precedes a star at the end is no part of the class's name. In .npz: the name
        of the array. One name alone is that of the scores.
    score : str or None
        The column of scores: of each row, the number of the positive class of a binary model.
    positive : str or None
        The class that scores speak for.
    label, groups, rule_rows, weight, id : str or None
        The column with the true class, with the group of each row, with the rows for the rule, with the
        weight of each row, and with what each row is called. For .npy: another .npy file.
    """

    kind: Kind = "logits"
    columns: str | tuple[str, ...] | None = None
    score: str | None = None
    positive: str | None = None
    label: str | None = None
    groups: str | None = None
    rule_rows: str | None = None
    weight: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        for role, name in {"score": self.score, "positive": self.positive, **self.row_columns}.items():
            if name is not None and not isinstance(name, str):
                what = "class" if role == "positive" else "column"
                got = shortened(repr(name), 200)
                raise UnsupportedTypeError(f"{argument(role)} must name a {what} by a text, got {got}")
        if isinstance(self.columns, str) and not self.columns.strip():
            raise InvalidInputError(
                f"{argument('columns')} must be names of columns or patterns, got {self.columns!r}; pass one "
                f"such as '{PREFIX[self.kind]}*', or leave it out"
            )
        if self.score is not None and self.columns is not None:
            raise InvalidInputError(
                f"{argument('score')} names one column, and {argument('columns')} one for each class; leave "
                "one of them out"
            )
        roles = {} if self.score is None else {self.score: "score"}
        for role, name in self.row_columns.items():
            if name in roles:
                advice = "give each its own"
                if {roles[name], role} == {"label", "groups"}:
                    advice += ", or fit prediction sets within each true class (groups='class', --per-class)"
                raise InvalidInputError(
                    f"{argument(roles[name])} and {argument(role)} name the same column, {name!r}; {advice}"
                )
            roles[name] = role

    @property
    def row_columns(self) -> dict[str, str]:
        """Return the given fields of ROW_COLUMNS, with the names of their columns."""
        return {role: name for role in ROW_COLUMNS if (name := getattr(self, role)) is not None}

    @property
    def patterns(self) -> list[str]:
        """Return the column patterns, or the default one."""
        if self.score is not None:
            return [self.score]
        if isinstance(self.columns, tuple):
            return list(self.columns)
        return [part.strip() for part in (self.columns or PREFIX[self.kind] + "*").split(",")]

    def match(
        self, place: object, names: Sequence[str], lists: Collection[str] = (), usual: object = None
    ) -> dict[str, str]:
        """Map column names to class names, in the table's order for a pattern and the user's for names.

        A single column of `lists` holds all classes, and names none of them. `usual` is the type of the
        column called ``logits`` or ``probabilities``, which is used without a choice where it is of lists.
        """
        taken = set(self.row_columns.values())
        if self.score is not None:
            if self.score not in names:
                raise missing(place, "column", self.score, names, f"name the column with {argument('score')}")
            if self.score in lists:
                raise InvalidInputError(
                    f"{place}: column {self.score!r} must hold one number a row, and holds lists; name it "
                    f"with {argument('columns')}"
                )
            return {self.score: self.score}
        free = dict.fromkeys(name for name in names if name not in taken)
        if self.columns is None and self.kind in lists and not self._found(self.patterns[0], free):
            return {self.kind: self.kind}
        chosen: dict[str, str] = {}
        for pattern in self.patterns:
            found = self._found(pattern, free)
            if not found and self.columns is None and usual is not None and self.kind in free:
                raise InvalidInputError(
                    f"{place}: column {self.kind!r} must hold a list of numbers in each row, one a class, "
                    f"got {usual}; write such lists, or name the {self.kind} with {self._usual()}"
                )
            if not found:
                raise missing(place, "column", pattern, names, f"name the {self.kind} with {self._usual()}")
            for name in found:
                prefix = pattern[:-1] if pattern.endswith("*") and pattern.count("*") == 1 else ""
                chosen.setdefault(name, name.removeprefix(prefix))
        only = next(iter(chosen))
        if len(chosen) < 2 and only not in lists and [only] != self.patterns:
            raise InvalidInputError(
                f"{place}: {self.kind} of at least two classes are needed, and only column {only!r} was "
                f"chosen; name the columns with {argument('columns')}, or, where it is the score of the "
                f"positive class, {argument('score', only)}"
            )
        return chosen

    @staticmethod
    def _found(pattern: str, free: Collection[str]) -> list[str]:
        if _WILD.search(pattern):
            return [name for name in free if name == pattern or fnmatchcase(name, pattern)]
        return [pattern] if pattern in free else []

    def _usual(self) -> str:
        examples = (argument("columns", example) for example in (f"{PREFIX[self.kind]}*", "cat,dog"))
        one = f"or the one of a binary model with {argument('score')}"
        return f"{argument('columns')}, such as {' or '.join(examples)}, {one}"


def chosen_columns(columns: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Return the columns of a `Selection` as a user gave them."""
    if columns is None or isinstance(columns, str):
        return columns
    names: tuple[str, ...] = ()
    if not isinstance(columns, set | frozenset):  # these have no order, and classes do
        with contextlib.suppress(TypeError):
            names = tuple(columns)
    if not names or not all(isinstance(name, str) for name in names):
        raise UnsupportedTypeError(
            f"{argument('columns')} must be names of columns or patterns, got "
            f"{shortened(repr(columns), 200)}; pass a text such as 'logit_*', or a list of texts"
        )
    return names


def missing(place: object, what: str, name: str, names: Sequence[str], advice: str) -> InvalidInputError:
    """Return the error for a missing column or array, with the existing ones and the likely intention."""
    near = get_close_matches(name, names, 1)
    meant = f" (is {near[0]!r} meant?)" if near else ""
    return InvalidInputError(
        f"{place}: no {what} is called {name!r}{meant}; its {what}s are {quoted(names)}; {advice}"
    )
