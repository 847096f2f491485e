"""Settings that all files of a source share: the roles of columns, and the classes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .._spelling import argument
from .._tables.scores import are_enough, classes_of_labels
from .._tables.selection import Kind, Selection, chosen_columns
from .._text import listed
from .._warn import warn_user
from ..errors import InvalidInputError
from ..policy import Policy
from .csv_format import CsvFormat
from .logit_table import LogitTable, Reading
from .part import Part
from .renormalized import Renormalized

Columns = str | Sequence[str] | None
Progress = Callable[[int, int | None], None]


def select(
    kind: Kind,
    columns: Columns,
    *,
    score: str | None = None,
    positive: str | None = None,
    label: str | None = None,
    groups: str | None = None,
    rule_rows: str | None = None,
    weight: str | None = None,
    id: str | None = None,
) -> Selection:
    """Return the selection of columns that arguments describe."""
    return Selection(kind, chosen_columns(columns), score, positive, label, groups, rule_rows, weight, id)


def reading_for(
    policy: Policy,
    selection: Selection,
    form: CsvFormat | None,
    renormalize: bool,
    shown: str = "the policy",
    compares_groups: bool = False,
) -> Reading:
    """Return the settings for a policy's rows; groups that it does not take are refused, unless compared."""
    of_rule = policy.rule.takes_groups
    if of_rule or not compares_groups:
        check_groups(selection.groups, policy, shown)
    return Reading(
        selection,
        CsvFormat() if form is None else form,
        renormalize,
        class_names=policy.class_names_,
        group_names=policy.rule.known_groups,
        compared_groups=compares_groups and not of_rule,
    )


def reading_of(
    parts: Sequence[Part], selection: Selection, form: CsvFormat | None, renormalize: bool
) -> Reading:
    """Return the settings without a policy: the first file names the classes, or labels beside scores do.

    A file with a column of lists and no rows doesn't say how many classes there are; the next one does.
    """
    reading = Reading(selection, CsvFormat() if form is None else form, renormalize)
    for part in parts:
        names = LogitTable(part, reading).class_names
        if len(names) == 1:
            return replace(reading, class_names=_classes_of_scores(parts, reading), whose="the labels")
        if names:
            return replace(reading, class_names=names, whose=str(part.location))
    where = listed([str(part.location) for part in parts])
    raise InvalidInputError(f"{where} has no row with {selection.kind}; at least one is needed")


def _classes_of_scores(parts: Sequence[Part], reading: Reading) -> tuple[str, str]:
    """Return the two classes among the labels beside scores; files are read until both are found."""
    found: dict[str, None] = {}
    for part in parts:
        for labels in LogitTable(part, reading).labels_found():
            found |= dict.fromkeys(labels)
            if are_enough(found, reading.selection.positive):
                return classes_of_labels(found, reading.selection, part.location)
    names = listed([str(part.location) for part in parts])
    return classes_of_labels(found, reading.selection, names)


def check_groups(groups: str | None, policy: Policy, shown: str) -> None:
    """Refuse a column of groups if the rule takes none, and its absence if the rule needs it."""
    wanted = policy.rule.takes_groups
    if wanted and groups is None:
        raise InvalidInputError(
            f"{shown} gives each group of rows sets of its own: name the column of groups with "
            f"{argument('groups')}"
        )
    if groups is not None and not wanted:
        raise InvalidInputError(
            f"{argument('groups')} is for a policy that was fitted with it, and {shown} decides by "
            f"{policy.rule}; leave it out"
        )


def note_renormalized(parts: Sequence[Renormalized | None]) -> Renormalized | None:
    """Warn once about rows renormalized in all parts of a source, and return the changes."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    every = Renormalized()
    for part in found:
        every.merge(part)
    warn_user(str(every))
    return every
