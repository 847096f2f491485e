"""Decide every row of some files by a policy."""

import os
from collections.abc import Sequence
from concurrent.futures import Executor

import pyarrow.fs

from .._checks import check_flag
from .._files import check_outputs, check_target
from .._spelling import argument
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError, UnsupportedTypeError
from ..policy import Policy
from .csv_format import CsvFormat
from .deciding import Counts, Job
from .formats import ARROW_FORMATS, ending_of
from .into_file import StandardOutput, into_file
from .into_folder import into_folder, output_name
from .location import Location
from .logit_table import Reading
from .part import Part
from .parts import cut_at_row_groups, total_rows
from .reading import Columns, Progress, reading_for, select
from .sinks import check_format, ending_of_format, output_ending, refuse_other_format
from .source import STANDARD_STREAM, Source, folder_that_reads, folders_of, is_several, is_stream, parts_of
from .tasks import check_executor


@underflow_is_zero
def decide(
    source: Source,
    policy: Policy | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    columns: Columns = None,
    score: str | None = None,
    positive: str | None = None,
    groups: str | None = None,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    format: str | None = None,
    executor: Executor | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Counts:
    """Decide every row of some files by a policy, and write the decisions.

    Parameters
    ----------
    source : str, path, sequence of these, or pyarrow.dataset.Dataset
        A file, a folder with all below it, a pattern (``"rows/*.parquet"``), several of these, or ``"-"`` for
        standard input; a path, or a URL that pyarrow or fsspec opens (``"s3://bucket/rows"``). A folder
        called ``year=2026`` is a column ``year``. A data set of pyarrow's stands for its files, with the
        columns of its partitioning. The formats: Parquet, ORC, CSV and TSV (compressed too), Arrow's file and
        stream, .npy and .npz.
    policy : Policy or path
        Fitted, or the file of one.
    target : str or path
        A file (.parquet, .csv, .csv.gz, .tsv, .arrow, .arrows, .npz), which is written whole or not at all;
        ``"-"`` for standard output; or a folder, with the decisions on ``name.csv`` in ``name.parquet``, each
        such part whole or not there. A name that ends in a slash is a folder, and so is one without an
        ending where the source is no single file.
    columns : str or sequence of str, optional
        The columns that hold a class each, names or patterns, or one column of lists. By default ``logit_*``
        or ``probability_*``, or else ``logits`` or ``probabilities``.
    score, positive : str, optional
        Of a binary model: the column with the logit (or probability) of the positive class, in place of
        `columns`, and the class that it is. By default the second class of the policy.
    groups : str, optional
        The column with the group of each row, for a policy that takes groups.
    renormalize : bool, default False
        Whether each row of probabilities is divided by its sum.
    csv : CsvFormat, optional
        How text files are written.
    format : str, optional
        Of the parts of a folder: an ending of those above, without the point. By default ``"parquet"``. A
        file has the format of its ending.
    executor : concurrent.futures.Executor, optional
        Does the work part by part: threads, processes, or machines that all see the source and the target
        (``dask.distributed.Client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor``). A part is a file,
        or some row groups of a large Parquet file. The bytes written are the same as without.
    resume : bool, default False
        For a folder: do only the parts that are missing, or whose file has changed.
    progress : callable, optional
        Called with the rows that were just done, and with all there are, where that is known.

    Returns
    -------
    Counts

    Raises
    ------
    InvalidInputError
        For a value that breaks a rule; the message says in which file, row and column.
    WorkerError
        When the executor fails, as where one of its processes was killed. Parts of a folder that are done
        stay: go on with `resume`.

    Examples
    --------
    >>> from concurrent.futures import ProcessPoolExecutor
    >>> from softmaxlib import files
    >>> with ProcessPoolExecutor() as executor:  # doctest: +SKIP
    ...     files.decide("rows/", "policy.json", "decisions/", executor=executor)
    """
    check_executor(executor)
    check_flag(resume, "resume")
    fitted, shown = policy_of(policy)
    selection = select(fitted.input, columns, score=score, positive=positive, groups=groups)
    reading = reading_for(fitted, selection, csv, renormalize, shown)
    place = Location(target)
    if place.given == STANDARD_STREAM:
        return _into_stream(source, fitted, reading, executor, resume, format, progress)
    as_folder = _is_folder(target, place, source)
    if not as_folder:
        check_format(place, format)
        if not place.is_url:
            check_target(place.given)
    with parts_of(source) as given:
        ending = ending_of_format("parquet" if format is None else format) if as_folder else ""
        _check_apart(place, given, source, output_name(given[0], ending) if as_folder else None)
        parts = list(cut_at_row_groups(given))
        job = Job(fitted, reading, place, progress, total_rows(parts))
        if as_folder:
            return into_folder(job, parts, ending, executor, resume)
        _refuse_resume(resume)
        with place.written_whole() as file:
            beside = None if place.is_url else os.path.dirname(os.path.realpath(place.given))
            return into_file(job, parts, check_format(place), file, executor, beside)


def policy_of(policy: Policy | str | os.PathLike[str]) -> tuple[Policy, str]:
    """Return the policy, read if it is a file, and its name in messages."""
    if isinstance(policy, Policy):
        return policy, "the policy"
    if not isinstance(policy, str | os.PathLike):
        raise UnsupportedTypeError(
            f"policy must be a fitted Policy, or the path of one, got {type(policy).__name__}; fit one, or "
            "Policy.load(path)"
        )
    return Policy.load(policy), str(policy)


def _is_folder(target: str | os.PathLike[str], place: Location, source: Source) -> bool:
    if os.fspath(target).endswith("/"):
        return True
    if output_ending(place.path) is not None:
        return False
    return place.info().type == pyarrow.fs.FileType.Directory or (
        not place.path.suffix and is_several(source)
    )


def _refuse_resume(resume: bool) -> None:
    if resume:
        raise InvalidInputError(
            f"{argument('resume', True)} is for a folder of parts, and a file is written whole or not at "
            "all; name a folder, or leave it out"
        )


def _check_apart(place: Location, parts: Sequence[Part], source: Source, in_folder: str | None) -> None:
    """Refuse to write over a file that is read, or into the folder that is read.

    `in_folder` is the name of a file that is written into the folder `place`; None where that is a file.
    """
    if in_folder is None:
        if not place.is_url:
            read = {str(part.location): part.location.given for part in parts if not part.location.is_url}
            check_outputs({argument("target"): place.given}, read)
        elif any(part.location.name_below(place) == "." for part in parts):
            raise InvalidInputError(f"{argument('target')} would overwrite {place}; write to another")
        if folder_that_reads(source, place) is None:
            return
    elif folder_that_reads(source, place / in_folder) is None and not any(
        place.name_below(folder) for folder in folders_of(source, parts)
    ):
        return
    raise InvalidInputError(
        f"{place} lies in the folder that is read, and would be read with it the next time; write "
        "somewhere else"
    )


def _into_stream(
    source: Source,
    policy: Policy,
    reading: Reading,
    executor: Executor | None,
    resume: bool,
    format: str | None,
    progress: Progress | None,
) -> Counts:
    """Write to standard output: CSV, or an Arrow stream if standard input is in an Arrow format."""
    _refuse_resume(resume)
    place = Location("standard output")
    with parts_of(source) as given:
        parts = list(cut_at_row_groups(given))
        arrow = is_stream(source) and ending_of(parts[0].location.path)[0] in ARROW_FORMATS
        ending = ".arrows" if arrow else ".csv"
        refuse_other_format(place, ending, format)
        job = Job(policy, reading, place, progress, total_rows(parts))
        return into_file(job, parts, ending, StandardOutput(), executor, None)
