"""NumPy's own files: .npy by memory map, .npz member by member; never a pickle."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .._arrays import FloatArray
from ..errors import FileFormatError, InvalidInputError
from ._selection import Selection, listed


class _ArraySource:
    named = False

    def _take(self, path: Path, selection: Selection, values: np.ndarray, labels: np.ndarray | None) -> None:
        if values.dtype.kind not in "fiu":
            raise FileFormatError(f"{path}: {selection.kind} must be real numbers, got dtype {values.dtype}")
        if values.ndim != 2 or values.shape[1] < 2:
            raise FileFormatError(
                f"{path}: {selection.kind} must have two dimensions (rows, classes) and two classes or more, "
                f"got shape {values.shape}"
            )
        if labels is not None and labels.shape not in ((len(values),), (len(values), 1)):
            raise InvalidInputError(
                f"{path}: there must be one label a row, got {labels.size} labels for {len(values)} rows "
                f"(shape {labels.shape})"
            )
        self._values = values
        self._labels = None if labels is None else labels.reshape(-1)
        self.rows: int | None = len(values)
        self.class_names = tuple(str(index) for index in range(values.shape[1]))

    def place(self, column: int) -> str:
        return f"column {column}"

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, Any, pa.Table]]:
        wide = self._values.dtype.kind in "iu" or self._values.dtype.itemsize > 4
        for start in range(0, len(self._values), rows):
            values = np.array(self._values[start : start + rows], dtype=np.float64 if wide else np.float32)
            labels = None if self._labels is None else self._labels[start : start + rows]
            yield values, labels, pa.table({})


class NpySource(_ArraySource):
    """A .npy file, mapped into memory; its labels stand in another .npy file."""

    def __init__(self, path: Path, selection: Selection) -> None:
        labels = None
        if selection.label is not None:
            if not Path(selection.label).is_file():
                raise InvalidInputError(
                    f"the labels of {path.name} must be in a .npy file of their own, and {selection.label!r} "
                    "does not exist; name it with --label, such as --label labels.npy"
                )
            labels = load_array(Path(selection.label))
        self._take(path, selection, load_array(path), labels)


class NpzSource(_ArraySource):
    """A .npz file: one array of logits, one of labels, and perhaps ``class_names``."""

    def __init__(self, path: Path, selection: Selection) -> None:
        with load_array(path) as archive:
            name = selection.columns or selection.kind
            values = _member(path, archive, name, f"name the array of {selection.kind} with --columns")
            labels = None
            if selection.label is not None:
                labels = _member(
                    path, archive, selection.label, "name the array of true classes with --label"
                )
            names = _member(path, archive, "class_names") if "class_names" in archive.files else None
        self._take(path, selection, values, labels)
        if names is not None:
            self._name_classes(path, names)

    def _name_classes(self, path: Path, names: np.ndarray) -> None:
        if names.shape != (len(self.class_names),) or len(set(names.tolist())) < len(names):
            raise FileFormatError(
                f"{path}: class_names must name each of the {len(self.class_names)} classes once, "
                f"got shape {names.shape}"
            )
        self.class_names = tuple(str(name) for name in names)
        self.named = True


def load_array(path: Path) -> Any:
    """A .npy file, mapped into memory, or an open .npz archive."""
    try:
        return np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"{path} is no sound {path.suffix} file without pickled objects: {error}"
        ) from None


def load_member(path: Path, name: str, advice: str) -> np.ndarray:
    """One array of a .npz file."""
    with load_array(path) as archive:
        return _member(path, archive, name, advice)


def _member(path: Path, archive: Any, name: str, advice: str = "") -> np.ndarray:
    if name not in archive.files:
        raise InvalidInputError(
            f"{path}: no array is called {name!r}; its arrays are {listed(archive.files)}; {advice}"
        )
    try:
        return archive[name]
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FileFormatError(f"{path}: the array {name!r} cannot be read: {error}") from None
