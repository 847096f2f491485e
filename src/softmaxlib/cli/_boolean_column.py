"""One column of a file that says yes or no in each row."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..errors import FileFormatError, InvalidInputError
from ._array_source import load_array, load_member
from ._selection import listed

_MEANING = {"true": True, "1": True, "false": False, "0": False}


def read_booleans(path: Path, name: str, option: str) -> npt.NDArray[np.bool_]:
    """The column, shape (rows,); `option` is what the user gave its name by."""
    column = _column(path, name, option)
    texts = [str(value).lower() for value in column]
    for row, text in enumerate(texts):
        if text not in _MEANING:
            raise InvalidInputError(
                f"{path}: {option} must be true or false (or 1 or 0) in each row, got {column[row]!r} in row "
                f"{row} (counted from 0), column {name!r}; correct it, or choose another column"
            )
    return np.array([_MEANING[text] for text in texts], dtype=bool)


def _column(path: Path, name: str, option: str) -> list[Any]:
    ending = path.suffix.lower()
    if ending == ".npz":
        return load_member(path, name, f"name an array of booleans with {option}").reshape(-1).tolist()
    if ending == ".npy":
        if not Path(name).is_file():
            raise InvalidInputError(
                f"{option} of {path.name} must name a .npy file of booleans, and {name!r} does not exist"
            )
        return load_array(Path(name)).reshape(-1).tolist()
    try:
        return _of_table(path, name, option)
    except pa.ArrowException as error:
        raise FileFormatError(f"{path} cannot be read: {error}; write the file anew") from None


def _of_table(path: Path, name: str, option: str) -> list[Any]:
    """A column of a Parquet or CSV file, the others left unread."""
    parse = pyarrow.csv.ParseOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
    file = None
    if path.suffix.lower() in (".parquet", ".pq"):
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
    else:
        with pyarrow.csv.open_csv(path, parse_options=parse) as reader:
            names = reader.schema.names
    if name not in names:
        raise InvalidInputError(
            f"{path}: no column is called {name!r}; its columns are {listed(names)}; "
            f"name the column of booleans with {option}"
        )
    if file is not None:
        table = file.read(columns=[name])
    else:
        convert = pyarrow.csv.ConvertOptions(include_columns=[name], column_types={name: pa.string()})
        table = pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)
    return table.column(name).to_pylist()
