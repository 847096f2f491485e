"""Decisions on each part of a source, written to a file per part in a folder."""

import posixpath
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from .._spelling import argument
from ..errors import InvalidInputError, WorkerError
from .deciding import Counts, Job, PartCounts, SameColumns, counted, decide_part, report, without_progress
from .formats import ending_of
from .part import Part
from .part_folder import PartFolder
from .sinks import check_format, open_writer
from .source import keys_of
from .tasks import run


def into_folder(
    job: Job, parts: Sequence[Part], ending: str, executor: Executor | None, resume: bool
) -> Counts:
    """Write each part into a file in the folder, except those that are already there.

    Raises
    ------
    WorkerError
        When a process was killed; no unfinished file of it is left.
    """
    named: dict[str, Part] = {}
    for part in parts:
        name = output_name(part, ending)
        if name in named:
            raise InvalidInputError(
                f"{named[name].location} and {part.location} would both be written to {name}; rename one"
            )
        named[name] = part
    made_by = {
        "policy": job.policy.fingerprint,
        "options": [repr(job.reading.selection), repr(job.reading.form), job.reading.renormalize],
    }
    folder = PartFolder(job.target, made_by, {name: _made_of(part) for name, part in named.items()})
    missing = folder.begin(resume)
    tasks = [(name, named[name]) for name in missing]
    done = []
    try:
        work = partial(_decide_to_part, job if executor is None else without_progress(job))
        for counts in run(work, tasks, executor):
            done.append(counts)
            if executor is not None:
                report(job, counts.rows)
    except WorkerError as error:
        folder.sweep()
        raise WorkerError(
            f"{error}; the parts that are done are whole: go on with {argument('resume', True)}"
        ) from error
    return counted(done, skipped=len(parts) - len(tasks))


def _decide_to_part(job: Job, task: tuple[str, Part]) -> PartCounts:
    """Decide one part into its own file, which is written whole or not at all.

    What the folders above it say is no column: readers would find it twice.
    """
    name, part = task
    place = job.target / name
    told = dict(keys_of(name))
    left_out = [key for key, _ in part.keys if key in told]
    with place.written_whole() as file, open_writer(place, check_format(place), file) as write:
        return decide_part(SameColumns(write, place), job, part, left_out)


def output_name(part: Part, ending: str) -> str:
    """Return the path of the decisions on a part in the folder that they are written to."""
    folder, name = posixpath.split(part.name)
    inner, compression = ending_of(part.location.path)
    if compression is not None:
        name = posixpath.splitext(name)[0]
    stem = posixpath.splitext(name)[0] if inner else name
    if part.row_groups is not None:
        stem = f"{stem}-{part.row_groups[0]:06d}"
    return posixpath.join(folder, stem + ending)


def _made_of(part: Part) -> dict[str, Any]:
    """Return what identifies the content of a part, beyond its name."""
    return {
        "file": part.name,
        "bytes": part.location.info().size,
        "modified": part.location.version(),
        "row_groups": None if part.row_groups is None else list(part.row_groups),
    }
