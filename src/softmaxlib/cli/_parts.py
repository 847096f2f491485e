"""The calibrations and decision rules of ``softmaxlib fit``: all that are registered, by their names."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from ..calibration import Calibration
from ..decisions import MostLikely, Option, Rule
from ..errors import InvalidInputError
from ._bundles import in_place_of

if TYPE_CHECKING:
    from ..files.csv_format import CsvFormat

T = TypeVar("T")

_PANEL = "Decision rule (one of these; without any, the most likely class is taken)"
_TYPES: dict[str, Any] = {
    "number": float | None,
    "integer": int | None,
    "text": str | None,
    "flag": bool,
    "costs": Path | None,
    "groups": str | None,
}


class Parts(NamedTuple):
    """The options of a command that choose the calibration and the rule.

    Attributes
    ----------
    calibration : str
        The name of the calibration.
    rule : str or None
        The name of the rule; None if its options imply it.
    options : dict
        The given options of rules, by their names.
    """

    calibration: str
    rule: str | None
    options: dict[str, Any]

    @property
    def groups(self) -> str | None:
        """The column with the group of each row, for a rule that takes groups."""
        return next((self.options[name] for name in self._of_kind("groups")), None)

    def files(self) -> dict[str, Path]:
        """The files that options name, by option."""
        return {_rule_options()[name].spelled: self.options[name] for name in self._of_kind("costs")}

    def make_calibration(self) -> Calibration:
        """Make the calibration, not fitted."""
        return _named(Calibration.of_command_line(), self.calibration, "--calibration")()

    def make_rule(self, class_names: Sequence[str], form: "CsvFormat") -> Rule:
        """Make the rule that was named, or that the given options belong to; not fitted.

        Parameters
        ----------
        class_names : sequence of str
            In the order of the logits' columns.
        form : CsvFormat
            The form of a file of costs.
        """
        from ._cost_file import read_cost

        kind = self._kind_of_rule()
        tables = {name: read_cost(self.options[name], class_names, form) for name in self._of_kind("costs")}
        return kind.from_options({**self.options, **tables}, class_names)

    def _kind_of_rule(self) -> type[Rule]:
        kinds = Rule.of_command_line()
        if self.rule is not None:
            kind = _named(kinds, self.rule, "--rule")
            self._check_options(kind)
            return kind
        if not self.options:
            return MostLikely
        able = [kind for kind in kinds.values() if set(self.options) <= _names(kind)]
        if not able:
            raise self._contradiction(list(kinds.values()))
        if len(able) > 1:
            able = self._complete(able)
        if len(able) > 1:
            names = ", ".join(kind.command_name for kind in able)
            raise InvalidInputError(
                f"{self._spelled()} can belong to several decision rules ({names}); choose one with --rule"
            )
        return able[0]

    def _complete(self, kinds: Sequence[type[Rule]]) -> list[type[Rule]]:
        """Return the rules that have all the options they need."""
        lacking = [
            [one.spelled for one in kind.command_options if one.is_needed and one.name not in self.options]
            for kind in kinds
        ]
        if all(lacking):
            needed = " or ".join(names[0] for names in lacking)
            raise InvalidInputError(f"{self._spelled()} needs {needed}; add one of them, or leave it out")
        return [kind for kind, names in zip(kinds, lacking, strict=True) if not names]

    def _check_options(self, kind: type[Rule]) -> None:
        for name in self.options:
            if name not in _names(kind):
                its = ", ".join(option.spelled for option in kind.command_options) or "none"
                raise InvalidInputError(
                    f"{_rule_options()[name].spelled} is no option of --rule {self.rule}, whose options are "
                    f"{its}; leave it out"
                )

    def _contradiction(self, kinds: Sequence[type[Rule]]) -> InvalidInputError:
        """Return the first given option, and the first that no rule has together with it."""
        first = next(iter(self.options))
        shared = set[str]().union(*(_names(kind) for kind in kinds if first in _names(kind)))
        second = next(name for name in self.options if name not in shared)
        spelled = (_rule_options()[name].spelled for name in (first, second))
        return InvalidInputError(
            f"{' and '.join(spelled)} belong to two different decision rules; give one of them"
        )

    def _of_kind(self, kind: str) -> list[str]:
        return [name for name in self.options if _rule_options()[name].kind == kind]

    def _spelled(self) -> str:
        return ", ".join(_rule_options()[name].spelled for name in self.options)


def with_parts(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose calibration and rule, in place of its parameter ``parts``."""
    return in_place_of("parts", list(_parameters().values()), _parts_of, command)


def _parts_of(said: Mapping[str, Any]) -> Parts:
    options = {
        name: value
        for name, value in said.items()
        if name not in ("calibration", "rule") and value is not None and value is not False
    }
    return Parts(said["calibration"], said["rule"], options)


def _parameters() -> dict[str, inspect.Parameter]:
    """Return the parameters of the command line: the two names, and each option of each rule."""
    calibrations, rules = (", ".join(kind.of_command_line()) for kind in (Calibration, Rule))
    choose_rule = f"The rule, if no other option determines it: {rules}."
    offered = {
        "calibration": _parameter(
            "calibration", str, "temperature", typer.Option(help=f"One of {calibrations}.")
        ),
        "rule": _parameter("rule", str | None, None, typer.Option(help=choose_rule, rich_help_panel=_PANEL)),
    }
    for name, option in _rule_options().items():
        told = typer.Option(option.spelled, help=option.help, rich_help_panel=_PANEL)
        default = False if option.kind == "flag" else None
        offered[name] = _parameter(name, _TYPES[option.kind], default, told)
    return offered


def _parameter(name: str, kind: Any, default: Any, told: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, told]
    )


def _rule_options() -> dict[str, Option]:
    """Return the options of all rules by their names; one that several rules share is there once."""
    return {
        option.name: option for kind in Rule.of_command_line().values() for option in kind.command_options
    }


def _names(kind: type[Rule]) -> set[str]:
    return {option.name for option in kind.command_options}


def _named(kinds: dict[str, type[T]], name: str, spelled: str) -> type[T]:
    if name not in kinds:
        raise InvalidInputError(f"{spelled} must be one of {', '.join(kinds)}, got {name!r}")
    return kinds[name]
