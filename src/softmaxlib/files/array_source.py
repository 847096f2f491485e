"""NumPy's own files: .npy by memory map, .npz member by member; never a pickle."""

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.fs

from .._arrays import FloatArray
from .._spelling import argument
from .._tables.selection import ROW_COLUMNS, Selection, missing
from .._text import is_writable, shortened
from ..errors import FileFormatError, InvalidInputError
from .location import Location
from .part import Part

_FIRST_BYTES = {".npy": (b"\x93NUMPY",), ".npz": (b"PK\x03\x04", b"PK\x05\x06")}  # the last: no members

# errors of a damaged archive; those of the last line are for an unknown compression method, and a password
_UNSOUND = (
    *(ValueError, EOFError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError),
)


class _ArraySource:
    named = False
    _carried: pa.Table = pa.table({})

    def _take(
        self, part: Part, selection: Selection, values: np.ndarray, named: dict[str, np.ndarray]
    ) -> None:
        path = part.location
        if part.keys:
            raise FileFormatError(
                f"{path}: the name of a folder can be a column ({part.keys[0][0]!r}) of a table only, and an "
                "array has no columns; name the folder without the equals sign"
            )
        if values.dtype.kind not in "fiu":
            raise FileFormatError(f"{path}: {selection.kind} must be real numbers, got dtype {values.dtype}")
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or not values.shape[1]:
            raise FileFormatError(
                f"{path}: {selection.kind} must have two dimensions (rows, classes), or one (rows,) for the "
                f"scores of a binary model, got shape {values.shape}"
            )
        if selection.score is not None and values.shape[1] > 1:
            raise FileFormatError(
                f"{path}: {argument('score')} must name an array of one number a row, got shape "
                f"{values.shape}; leave it out"
            )
        for role, array in named.items():
            if array.shape not in ((len(values),), (len(values), 1)):
                raise InvalidInputError(
                    f"{path}: {argument(role)} must have one entry a row, got {array.size} for "
                    f"{len(values)} rows (shape {array.shape})"
                )
        self._values = values
        self._named = {role: array.reshape(-1) for role, array in named.items()}
        self.rows: int | None = len(values)
        self.is_score = values.shape[1] == 1
        self.class_names = tuple(str(index) for index in range(values.shape[1]))

    def place(self, column: int) -> str:
        """Return how a message names the column of a class."""
        return "the array of scores" if self.is_score else f"column {column}"

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table]]:
        """Yield values and row columns, batch by batch; one empty batch for an array without rows."""
        wide = self._values.dtype.kind in "iu" or self._values.dtype.itemsize > 4
        for start in range(0, max(1, len(self._values)), rows):
            values = np.array(self._values[start : start + rows], dtype=np.float64 if wide else np.float32)
            named = {role: array[start : start + rows] for role, array in self._named.items()}
            yield values, named, self._carried.slice(start, rows)


class NpySource(_ArraySource):
    """A .npy file, mapped into memory; its labels are in another .npy file."""

    def __init__(self, part: Part, selection: Selection) -> None:
        path = part.location
        if selection.score is not None:
            raise InvalidInputError(
                f"{argument('score')} names a column or an array, and {path} is one array; leave it out"
            )
        named = {role: self._beside(path, role, name) for role, name in selection.row_columns.items()}
        self._take(part, selection, _load(path), named)

    @staticmethod
    def _beside(path: Location, role: str, name: str) -> np.ndarray:
        beside = Location(name)
        if beside.info().type != pyarrow.fs.FileType.File:
            raise InvalidInputError(
                f"the {ROW_COLUMNS[role]} of {path.path.name} must be in a .npy file of their own, and "
                f"{name!r} does not exist; name it with {argument(role)}, such as "
                f"{argument(role, role + '.npy')}"
            )
        return _load(beside)


class NpzSource(_ArraySource):
    """A .npz file: one array of logits, one of labels, and perhaps ``class_names``.

    Arrays with one entry a row are its other columns.
    """

    def __init__(self, part: Part, selection: Selection) -> None:
        path = part.location
        is_named = selection.columns is not None or selection.score is not None
        name = ",".join(selection.patterns) if is_named else selection.kind
        with _load(path) as archive:
            advice = f"name the array of {selection.kind} with {argument('columns')}"
            values = _member(path, archive, name, advice)
            named = {
                role: _member(
                    path, archive, name, f"name the array of {ROW_COLUMNS[role]} with {argument(role)}"
                )
                for role, name in selection.row_columns.items()
            }
            names = _member(path, archive, "class_names") if "class_names" in archive.files else None
            self._take(part, selection, values, named)
            self._carried = _columns(path, archive, len(values), {name, "class_names"})
        if names is not None:
            self._name_classes(path, names)

    def _name_classes(self, path: Location, names: np.ndarray) -> None:
        classes = 2 if self.is_score else len(self.class_names)
        if names.shape != (classes,) or len(set(names.tolist())) < len(names):
            raise FileFormatError(
                f"{path}: class_names must name each of the {classes} classes once, got shape {names.shape}"
            )
        self.class_names = tuple(str(name) for name in names)
        unwritable = [name for name in self.class_names if not is_writable(name)]
        if unwritable:
            raise FileFormatError(
                f"{path}: class_names must be texts that can be written as UTF-8, got {unwritable[0]!r}"
            )
        self.named = True


def _load(path: Location) -> Any:
    """Load a .npy file (mapped into memory if it is local), or open an .npz archive."""
    is_archive = path.path.suffix.lower() == ".npz"
    _check_kind(path, ".npz" if is_archive else ".npy")
    try:
        if path.is_url:
            with path.open() as file:
                loaded = np.load(io.BytesIO(file.read()), allow_pickle=False)
        else:
            loaded = np.load(path.given, mmap_mode=None if is_archive else "r", allow_pickle=False)
    except _UNSOUND as error:
        raise _damaged(path, error) from None
    return loaded


def _check_kind(path: Location, kind: str) -> None:
    """Refuse a file that is not of this kind by its first bytes, or an array of Python objects."""
    with path.open() as file:
        start = file.read(6)
        found = next((one for one, starts in _FIRST_BYTES.items() if start.startswith(starts)), None)
        if found is None:
            raise FileFormatError(f"{path} is no {kind} file by its first bytes; write it anew")
        if found != kind:
            words = {".npz": "an archive", ".npy": "one array"}
            raise FileFormatError(f"{path} must be {words[kind]}, got {words[found]}; rename it to {found}")
        file.seek(0)
        try:
            if kind == ".npz":
                zipfile.ZipFile(file).close()  # here, since numpy.load leaves a damaged one open
                return
            dtype = _stated(file)[1]
        except _UNSOUND as error:
            raise _damaged(path, error) from None
        _refuse_objects(str(path), dtype)


def _damaged(path: Location, error: Exception) -> FileFormatError:
    return FileFormatError(f"{path} cannot be read: {_words_of(error)}; write the file anew")


def _stated(file: IO[bytes]) -> tuple[tuple[int, ...], Any]:
    """Return the shape and the dtype that the header of an array states."""
    version = np.lib.format.read_magic(file)
    is_old = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if is_old else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _refuse_objects(where: str, dtype: Any) -> None:
    if dtype.hasobject:
        raise FileFormatError(
            f"{where} holds pickled Python objects, which are never loaded, since they can run code; write "
            "an array of numbers or texts, such as by array.astype(float) or array.astype(str)"
        )


def _columns(path: Location, archive: Any, rows: int, others: set[str]) -> pa.Table:
    """Return the arrays with one entry a row; none but these is read."""
    columns = {}
    for name in archive.files:
        if name not in others and _header(path, archive, name)[1] in ((rows,), (rows, 1)):
            try:
                columns[name] = pa.array(_member(path, archive, name).reshape(-1))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise FileFormatError(
                    f"{path}: the array {name!r} has an entry for each row and can't be a column: "
                    f"{_words_of(error)}; leave it out of the file"
                ) from None
    return pa.table(columns)


def _member(path: Location, archive: Any, name: str, advice: str = "") -> np.ndarray:
    if name not in archive.files:
        raise missing(path, "array", name, archive.files, advice)
    stored, shape, dtype = _header(path, archive, name)
    _refuse_objects(f"{path}: the array {name!r}", dtype)
    stated = math.prod(shape) * dtype.itemsize
    if stated > stored.file_size:  # found before memory is taken
        raise FileFormatError(
            f"{path}: the array {name!r} states {stated:,} bytes and holds {stored.file_size:,}; "
            "write the file anew"
        )
    try:
        return archive[name]
    except _UNSOUND as error:
        raise _unreadable(path, name, error) from None


def _header(path: Location, archive: Any, name: str) -> tuple[zipfile.ZipInfo, tuple[int, ...], Any]:
    """Return where an array is stored, its shape and its dtype."""
    stored = [one for one in archive.zip.infolist() if one.filename.removesuffix(".npy") == name]
    if len(stored) > 1:
        raise FileFormatError(f"{path} holds the array {name!r} more than once; write the file anew")
    try:
        with archive.zip.open(stored[0]) as file:
            shape, dtype = _stated(file)
    except _UNSOUND as error:
        raise _unreadable(path, name, error) from None
    return stored[0], shape, dtype


def _unreadable(path: Location, name: str, error: Exception) -> FileFormatError:
    return FileFormatError(f"{path}: the array {name!r} cannot be read: {_words_of(error)}")


def _words_of(error: Exception) -> str:
    return shortened(str(error), 300)
