"""Decisions on all parts of a source, written to one file or to standard output."""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from .deciding import Counts, Job, PartCounts, SameColumns, counted, decide_part, report, without_progress
from .location import Location
from .part import Part
from .sinks import open_writer
from .tasks import run


def into_file(
    job: Job, parts: Sequence[Part], ending: str, file: Any, executor: Executor | None, beside: str | None
) -> Counts:
    """Write all parts into one file; with an executor, through temporary files, one per part.

    The temporary files are in a folder in `beside`, which all workers must see; None is the system's default.
    """
    done = []
    with open_writer(job.target, ending, file) as write:
        writer = SameColumns(write, job.target)
        if executor is None:
            return counted([decide_part(writer, job, part) for part in parts])
        with _folder_in(beside) as folder:
            tasks = [(os.path.join(folder, f"{number}.arrows"), part) for number, part in enumerate(parts)]
            work = partial(_decide_to_stream, without_progress(job))
            for (name, part), counts in zip(tasks, run(work, tasks, executor), strict=True):
                for table in _tables_of(name):
                    writer(table, part)
                os.unlink(name)
                report(job, counts.rows)
                done.append(counts)
        return counted(done)


def _decide_to_stream(job: Job, task: tuple[str, Part]) -> PartCounts:
    """Decide one part into a temporary file, which is deleted with its folder in any case."""
    name, part = task
    with open(name, "xb") as file, open_writer(Location(name), ".arrows", file) as write:
        return decide_part(SameColumns(write, job.target), job, part)


class StandardOutput(io.RawIOBase):
    """Standard output as a binary file; output is dropped once the reader has left."""

    def __init__(self) -> None:
        self._file = sys.stdout.buffer
        self._is_read = True

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes, or drop them where the reader has left."""
        if self._is_read:
            try:
                self._file.write(data)
                self._file.flush()
            except BrokenPipeError:
                self._is_read = False
        return memoryview(data).nbytes


@contextmanager
def _folder_in(parent: str | None) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix=".softmaxlib-", dir=parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tables_of(name: str) -> Iterator[pa.Table]:
    with pa.memory_map(name) as file, pyarrow.ipc.open_stream(file) as reader:
        found = False
        for batch in reader:
            found = True
            yield pa.Table.from_batches([batch])
        if not found:
            yield reader.schema.empty_table()
