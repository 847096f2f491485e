"""The commands for a multi-label model: each label has its own logit and truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from .._spelling import numbers_by_name
from .._text import quoted
from ..errors import InvalidInputError
from ._exit_codes import BROKEN_PROMISE
from ._printing import STANDARD_OUTPUT, Printer, as_output, print_verdict, write_json

if TYPE_CHECKING:
    from ..decisions import Rule
    from ..files.multilabel import LabelFiles
    from ..policy import MultilabelAudit, MultilabelPolicy
    from ..report import MultilabelEvaluation
    from ._parts import Parts
    from ._table import Table

Multilabel = Annotated[
    bool,
    typer.Option(
        "--multilabel",
        help="A multi-label model: one logit per label, and any number of labels per row. --label names the "
        "columns of the truth, called after the labels ('truth_*'; 0, 1, or empty if unknown), or one column "
        "of lists of names. --threshold is the probability from which a label is taken: one number, or one "
        "per label (cat=0.3,dog=0.5). Implied if --policy is a policy of such a model.",
    ),
]
_DECIDED = ("precision", "recall", "f1_score")
_FIGURES = (*_DECIDED, "average_precision", "roc_auc", "log_loss", "calibration_error")


def is_multilabel(given: bool, policy: Path | None) -> bool:
    """Return True for a multi-label model, by the option or by the policy file."""
    from ..policy import MultilabelPolicy, Policy

    if policy is None:
        return given
    if policy.exists() and not (policy.is_file() or policy.is_dir()):
        raise InvalidInputError(f"--policy {policy} is a pipe, and is read more than once; name a file")
    if given and Policy.is_saved_in(policy):
        raise InvalidInputError(
            f"--multilabel is for a policy that was fitted with it, and {policy} is for one class per row; "
            "leave it out"
        )
    return given or MultilabelPolicy.is_saved_in(policy)


def refuse(options: Mapping[str, Any]) -> None:
    """Refuse given options that do not apply to multi-label models."""
    for name, value in options.items():
        if value not in (None, False):
            raise InvalidInputError(f"{name} is not for a multi-label model; leave it out")


def files_of(
    source: Sequence[str], table: "Table", label: str, weight: str | None, probabilities: bool
) -> "LabelFiles":
    """Return how the files of a command are read."""
    from ..files.multilabel import LabelFiles
    from ..files.reading import select
    from ._inputs import source_of

    refuse({"--score": table.score, "--positive": table.positive, "--renormalize": table.renormalize})
    kind = "probabilities" if probabilities else "logits"
    return LabelFiles(source_of(source), select(kind, table.columns, weight=weight), label, table.form())


def fit_labels(
    given: "LabelFiles", parts: "Parts", output: Path, json: Path | None, seed: int, quiet: bool
) -> None:
    """Fit and save a policy, and print its parts."""
    from ..files.multilabel import fit_multilabel
    from ._progress import bar

    printer = Printer(quiet or json == STANDARD_OUTPUT)

    def rule(names: Sequence[str]) -> "Rule | dict[str, Rule]":
        if set(parts.options) == {"threshold"}:
            return _thresholds(parts.options["threshold"], names)
        return parts.make_rule(("no", "yes"), given.form)

    with bar("Reading", quiet) as progress:
        policy = fit_multilabel(given, parts.make_calibration(), rule, random_state=seed, progress=progress)
    policy.save(output)
    if json is not None:
        write_json(_summary(policy, output), json)
    numbers = ("rows", "log loss before", "after", "calibration error before", "after ")
    printer.table(("label", *numbers, "rule"), _fitted(policy), numbers=numbers)
    printer.line(f"{len(policy.class_names_):,} labels, written to {output}")


def decide_labels(
    source: Sequence[str],
    table: "Table",
    policy: Path,
    output: str,
    format: str | None,
    json: Path | None,
    quiet: bool,
) -> None:
    """Write decisions, and print the numbers of rows."""
    from ..files.multilabel import decide_files
    from ..policy import MultilabelPolicy
    from ._progress import bar

    if output == str(STANDARD_OUTPUT) or output.endswith("/"):
        raise InvalidInputError(
            f"the decisions on a multi-label model go into one file, and --output is {output!r}; name a file"
        )
    printer = Printer(quiet or json == STANDARD_OUTPUT)
    fitted = MultilabelPolicy.load(policy)
    given = files_of(source, table, "", None, fitted.input == "probabilities")
    with bar("Deciding", quiet) as progress:
        counts = decide_files(given, fitted, output, format, progress)
    if json is not None:
        found = {"rows": counts.rows, "decided": counts.decided, "set_aside": counts.set_aside}
        write_json({"policy": str(policy), "output": output, **found}, json)
    printer.line(f"{counts}, written to {output}")


def evaluate_labels(
    given: "LabelFiles",
    policy: Path | None,
    model: str | None,
    report: Path | None,
    json: Path | None,
    title: str,
    quiet: bool,
) -> "MultilabelEvaluation":
    """Evaluate, write the report, and print the table of labels and the verdict."""
    from ..files.multilabel import evaluate_files
    from ._progress import bar

    printer = Printer(quiet or json == STANDARD_OUTPUT)
    with bar("Reading", quiet) as progress:
        evaluation = evaluate_files(given, policy, model, progress)
    if report is not None:
        evaluation.to_html(report, title=title)
    if json is not None:
        write_json(evaluation.to_dict(), json)
    names = (name.replace("_", " ").replace("calibration", "classwise calibration") for name in _FIGURES)
    columns = ("rows", "with it", *names)
    printer.table(("label", *columns), _judged(evaluation), numbers=columns)
    print_verdict(evaluation.verdict, printer)
    for target in (report, as_output(json)):
        if target is not None:
            printer.line(f"Written to {target}")
    return evaluation


def audit_labels(
    source: Sequence[str],
    table: "Table",
    label: str,
    weight: str | None,
    policy: Path,
    output: Path | None,
    significance: float,
    quiet: bool,
) -> None:
    """Test the promises of every label; a broken one ends the command with its code."""
    from ..files.multilabel import audit_files
    from ..policy import MultilabelPolicy
    from ._progress import bar

    printer = Printer(quiet or output == STANDARD_OUTPUT)
    fitted = MultilabelPolicy.load(policy)
    given = files_of(source, table, label, weight, fitted.input == "probabilities")
    with bar("Auditing", quiet) as progress:
        outcome = audit_files(given, fitted, significance=significance, progress=progress)
    if output is not None:
        write_json(outcome.to_dict(), output)
    printer.table(("label", "promise", "holds", "p-value", ""), _told(outcome))
    printer.line(f"{outcome.rows:,} rows: {_verdict(outcome)}")
    if not outcome.holds:
        raise typer.Exit(BROKEN_PROMISE)


def _thresholds(given: str, names: Sequence[str]) -> "Rule | dict[str, Rule]":
    """Parse the thresholds of the labels: one number for all, or NAME=NUMBER for each."""
    from ..decisions import BinaryThreshold

    try:
        return BinaryThreshold(float(given))
    except ValueError as error:
        if "=" not in given:
            raise InvalidInputError(f"--threshold must be one number in 0 to 1: {error}") from None
    numbers = numbers_by_name(given, names)
    if numbers is None:
        raise InvalidInputError(
            f"--threshold must be one number, or NAME=NUMBER for each label: "
            f"{quoted([f'{name}=0.5' for name in names])}; got {given!r}"
        )
    try:
        return {name: BinaryThreshold(number) for name, number in numbers.items()}
    except ValueError as error:
        raise InvalidInputError(f"--threshold must be NAME=NUMBER for each label: {error}") from None


def _fitted(policy: "MultilabelPolicy") -> Iterator[tuple[str, ...]]:
    for name, one in policy.policies_.items():
        before, after = one.record_.before, one.record_.after
        figures = (before.log_loss, after.log_loss, before.calibration_error, after.calibration_error)
        yield (name, f"{one.record_.rows:,}", *(f"{figure:.4f}" for figure in figures), str(one.rule))


def _summary(policy: "MultilabelPolicy", output: Path) -> dict[str, Any]:
    labels = [
        {
            "name": name,
            "calibration": str(one.calibration),
            "rule": str(one.rule),
            "rows": one.record_.rows,
            "before": asdict(one.record_.before),
            "after": asdict(one.record_.after),
            "set_aside": one.record_.abstained,
        }
        for name, one in policy.policies_.items()
    ]
    return {"policy": str(output), "labels": labels}


def _judged(evaluation: "MultilabelEvaluation") -> Iterator[tuple[str, ...]]:
    for one in evaluation.labels:
        figures = (f"{getattr(one, name):.4f}" for name in _FIGURES)
        yield (one.name, f"{one.rows:,.6g}", f"{one.positive:,.6g}", *figures)
    for average in ("macro", "micro", "weighted"):
        figures = evaluation.averages[average]
        yield (average, "", "", *(f"{figures[name]:.4f}" if name in figures else "" for name in _FIGURES))


def _told(outcome: "MultilabelAudit") -> Iterator[tuple[str | Text, ...]]:
    for name, audit in outcome.audits.items():
        for check in audit.checks:
            holds = "yes" if check.testable else "can't tell"
            p_value = f"{check.p_value:.3g}" if check.testable else ""
            told = holds if check.holds else Text("no", style="bold red")
            yield (name, check.promise, told, p_value, check.words)


def _verdict(outcome: "MultilabelAudit") -> str:
    if outcome.holds:
        return "no promise is broken"
    return f"a promise no longer holds for {', '.join(outcome.broken)}: fit the policy anew"
