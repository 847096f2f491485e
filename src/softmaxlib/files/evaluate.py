"""Judge a model, and a policy with it, on the labelled rows of some files."""

import os

from .._checks import RandomState
from .._renamed import checked_keywords
from .._spelling import argument
from ..errors import InvalidInputError
from ..policy import Policy
from ..report import Evaluation
from ..report import evaluate as evaluate_rows
from .csv_format import CsvFormat
from .decide import policy_of
from .reading import Columns, Progress, check_groups, read_rows, reading_for, reading_of, select
from .source import Source, parts_of


@checked_keywords
def evaluate(
    source: Source,
    label: str,
    *,
    policy: Policy | str | os.PathLike[str] | None = None,
    columns: Columns = None,
    groups: str | None = None,
    probabilities: bool = False,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    random_state: RandomState = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a model on the labelled rows of some files, and a policy with it.

    Parameters
    ----------
    source : str, path or sequence of these
        See :func:`decide`.
    label : str
        The column with the true class.
    policy : Policy or path, optional
        Judged too: calibration before and after, decisions, promises.
    columns, groups, renormalize, csv, progress
        See :func:`decide`.
    probabilities : bool, default False
        Whether the columns hold probabilities; of a policy it is known.
    random_state : int or numpy.random.Generator, default 0
        Of the simulations behind intervals and tests.

    Returns
    -------
    Evaluation
    """
    fitted, shown = (None, "") if policy is None else policy_of(policy)
    if fitted is not None and probabilities and fitted.input != "probabilities":
        raise InvalidInputError(
            f"{shown} was fitted on {fitted.input}; leave out {argument('probabilities', True)}"
        )
    kind = fitted.input if fitted is not None else "probabilities" if probabilities else "logits"
    selection = select(kind, columns, label=label, groups=groups)
    with parts_of(source) as parts:
        if fitted is None:
            check_groups(groups, None, "")
            reading = reading_of(parts[0], selection, csv, renormalize)
        else:
            reading = reading_for(fitted, selection, csv, renormalize, shown)
        rows = read_rows(parts, reading, progress)
    return evaluate_rows(
        rows.values,
        rows.labels,
        policy=fitted,
        groups=rows.groups,
        class_names=reading.class_names,
        probabilities=kind == "probabilities",
        random_state=random_state,
    )
