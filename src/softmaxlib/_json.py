"""Fitted objects to JSON and back: data only, strictly checked, and never executed.

A fitted thing is saved as one flat object::

    {"class": "MinimumCost", "version": 2, "cost": {"dtype": "<f8", "numbers": [[0.0, 1.0], [5.0, 0.0]]}}

Writing: `encode_array` for arrays, everything else as JSON's own numbers, strings and lists; `as_text` for
lines that a person can read and compare. Version 1 had every array as base64, and is still read. Reading:
`find_class` looks the class name up in a registry (a name that is not there is refused, never imported),
`check_fields` demands exactly the expected fields, and one ``decode_*`` a field says what it must be.
Whatever is wrong ends in a `FileFormatError` that names the field; sizes are checked before memory is taken.
"""

import base64
import binascii
import json
import math
import os
import sys
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import FileFormatError

__all__ = [
    "ADVICE",
    "LARGEST_INTEGER",
    "VERSION",
    "VERSIONS",
    "as_text",
    "check_fields",
    "decode_array",
    "decode_boolean",
    "decode_choice",
    "decode_integer",
    "decode_number",
    "encode_array",
    "find_class",
    "read_json",
]

T = TypeVar("T")

ADVICE = "the file is damaged or was not written by softmaxlib: fit and save again"

LARGEST_INTEGER = 2**63 - 1

VERSION = 2  # that is written
VERSIONS = (1, VERSION)  # that are read

_DTYPES = ("<f8", "<f4", "<i8", "|b1")
_MOST_NUMBERS = 4096  # of an array that is written as numbers
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}  # for which JSON has no number
_MOST_DESCRIBED = 1000  # entries or letters
_LONGEST_EMPTY = 2**31  # a length of an array that holds nothing


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """Read a JSON file without repeated keys, NaN or infinity; `what` is for messages."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no JSON number")

    try:
        # a number would name an open file; some editors begin a file with a byte order mark
        with open(os.fspath(path), encoding="utf-8-sig") as file:
            return json.load(file, parse_constant=refuse, object_pairs_hook=_without_repetition)
    except FileNotFoundError:
        raise FileFormatError(f"{path} does not exist; check the name and the folder") from None
    except IsADirectoryError:
        raise FileFormatError(f"{path} is a folder; name the file of the {what}") from None
    except RecursionError:
        raise FileFormatError(
            f"{path} is not a valid {what}: its lists or objects are nested too deep; fit and save it again"
        ) from None
    except ValueError as error:
        raise FileFormatError(
            f"{path} is not a valid {what}: not JSON ({error}); fit and save it again"
        ) from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {_describe(repeated)} stands twice in one object")
    return content


def as_text(content: Any, indent: str = "") -> str:
    """Write JSON: a line for each field, and for each list of numbers or texts, however long."""
    inner = indent + "  "
    if isinstance(content, dict) and content:
        fields = [f"{inner}{json.dumps(name)}: {as_text(part, inner)}" for name, part in content.items()]
        return "{\n" + ",\n".join(fields) + f"\n{indent}}}"
    if isinstance(content, list) and any(isinstance(part, (dict, list)) for part in content):
        return "[\n" + ",\n".join(inner + as_text(part, inner) for part in content) + f"\n{indent}]"
    return json.dumps(content, allow_nan=False)


def encode_array(array: npt.ArrayLike) -> dict[str, Any]:
    """Write an array as a JSON object: its numbers; of more than 4,096, their bytes in base64.

    Floats stay float32 or float64, integers become int64; the round trip keeps every bit, but those of a NaN.
    """
    values = np.asarray(array)
    if values.dtype.kind in "iu":
        values = values.astype(np.int64)
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    if values.dtype.str not in _DTYPES:
        raise TypeError(f"encode_array holds float64, float32, integers and bool, got dtype {values.dtype}")
    if 0 < values.size <= _MOST_NUMBERS:
        return {"dtype": values.dtype.str, "numbers": _with_names(values.tolist())}
    return {
        "dtype": values.dtype.str,
        "shape": list(values.shape),
        "base64": base64.b64encode(values.tobytes()).decode("ascii"),
    }


def decode_array(
    value: Any,
    place: str,
    *,
    kind: str = "f",
    shape: tuple[int | None, ...] = (None,),
    finite: bool = True,
) -> npt.NDArray[Any]:
    """Return the array that `encode_array` wrote, or a `FileFormatError` that names ``place``.

    Parameters
    ----------
    value
        What stands in the file.
    place
        Where it stands, for messages: ``"MinimumCost.cost"``.
    kind
        The dtype's kind: ``"f"`` float, ``"i"`` integer, ``"b"`` bool.
    shape
        What the shape must be; None where any length is right.
    finite
        Whether NaN and infinity are refused.

    Returns
    -------
    ndarray
        A new array of native byte order that may be written to.
    """
    as_numbers = isinstance(value, dict) and not {"shape", "base64"} & set(value)
    check_fields(value, place, ("dtype", "numbers") if as_numbers else ("dtype", "shape", "base64"))
    if value["dtype"] not in _DTYPES or np.dtype(value["dtype"]).kind != kind:
        raise FileFormatError(
            f"{place}.dtype must be one of kind {kind!r}, got {_describe(value['dtype'])}; {ADVICE}"
        )
    dtype = np.dtype(value["dtype"])
    if as_numbers:
        array = _decode_numbers(value["numbers"], place, dtype, shape)
        return _check_finite(array, place) if finite else array
    lengths = _decode_shape(value["shape"], place, shape)
    data = _decode_bytes(value["base64"], place, math.prod(lengths) * dtype.itemsize)
    if kind == "b" and not set(data) <= {0, 1}:
        raise FileFormatError(f"{place} must hold only true and false; {ADVICE}")
    array = np.frombuffer(data, dtype=dtype).reshape(lengths).astype(dtype.newbyteorder("="))
    return _check_finite(array, place) if finite else array


def check_fields(
    value: Any, place: str, fields: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Check that a JSON object has these fields, and only optional others. Return it as a dict."""
    if not isinstance(value, dict):
        raise FileFormatError(f"{place} must be a JSON object, got {_describe(value)}; {ADVICE}")
    missing = sorted(set(fields) - set(value))
    if missing:
        raise FileFormatError(f"{place} has no field {missing[0]!r}; {ADVICE}")
    unknown = sorted(str(name) for name in set(value) - set(fields) - set(optional))
    if unknown:
        raise FileFormatError(
            f"{place} has an unknown field {_describe(unknown[0])}; expected "
            f"{', '.join(sorted([*fields, *optional]))}"
        )
    return value


def find_class(value: Any, place: str, registry: Mapping[str, T]) -> T:
    """Return the class of the object from the registry. Its ``"version"`` must be known."""
    if not isinstance(value, dict):
        raise FileFormatError(f"{place} must be a JSON object, got {_describe(value)}; {ADVICE}")
    name = value.get("class")
    if not isinstance(name, str) or name not in registry:
        raise FileFormatError(
            f"{place}.class must be one of {', '.join(sorted(registry))}; got {_describe(name)}"
        )
    version = value.get("version")
    if isinstance(version, bool) or version not in VERSIONS:
        newer = isinstance(version, int) and version > VERSION
        advice = "it was saved by a newer softmaxlib: install that one, or fit and save again"
        raise FileFormatError(
            f"{place}.version must be one of {', '.join(map(str, VERSIONS))}, got {_describe(version)}; "
            f"{advice if newer else ADVICE}"
        )
    return registry[name]


def decode_number(value: Any, place: str, *, lower: float = -math.inf, upper: float = math.inf) -> float:
    """Return a finite number in [lower, upper], as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FileFormatError(f"{place} must be a number, got {_describe(value)}; {ADVICE}")
    if not (abs(value) <= sys.float_info.max and lower <= value <= upper):
        raise FileFormatError(
            f"{place} must be finite and in {lower} to {upper}, got {_describe(value)}; {ADVICE}"
        )
    return float(value)


def decode_integer(value: Any, place: str, *, lower: int, upper: int = LARGEST_INTEGER) -> int:
    """Return an integer in [lower, upper]."""
    if isinstance(value, bool) or not isinstance(value, int) or not lower <= value <= upper:
        raise FileFormatError(
            f"{place} must be an integer in {lower} to {upper}, got {_describe(value)}; {ADVICE}"
        )
    return value


def decode_boolean(value: Any, place: str) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise FileFormatError(f"{place} must be true or false, got {_describe(value)}; {ADVICE}")
    return value


def decode_choice(value: Any, place: str, choices: Collection[str]) -> str:
    """Return one of the strings in ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise FileFormatError(
            f"{place} must be one of {', '.join(choices)}; got {_describe(value)}; {ADVICE}"
        )
    return value


def _with_names(numbers: Any) -> Any:
    """Return numbers in lists, those that are not finite by their names."""
    if isinstance(numbers, list):
        return [_with_names(number) for number in numbers]
    return numbers if math.isfinite(numbers) else repr(numbers)


def _decode_numbers(
    numbers: Any, place: str, dtype: np.dtype[Any], expected: tuple[int | None, ...]
) -> npt.NDArray[Any]:
    """Return an array of numbers in lists as deep as the shape is long, all of a length."""
    rows, lengths = [numbers], []
    for _ in expected:
        if not all(isinstance(row, list) for row in rows) or len({len(row) for row in rows}) != 1:
            raise FileFormatError(
                f"{place}.numbers must be lists of one length, {len(expected)} deep; {ADVICE}"
            )
        lengths.append(len(rows[0]))
        rows = [part for row in rows for part in row]
    _check_lengths(tuple(lengths), place, expected)
    decode = {"f": _decode_float, "i": _decode_whole, "b": decode_boolean}[dtype.kind]
    flat = [decode(number, f"{place}.numbers") for number in rows]
    return np.array(flat, dtype=dtype.newbyteorder("=")).reshape(lengths)


def _decode_float(value: Any, place: str) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    return decode_number(value, place)


def _decode_whole(value: Any, place: str) -> int:
    return decode_integer(value, place, lower=-LARGEST_INTEGER - 1)


def _check_finite(array: npt.NDArray[Any], place: str) -> npt.NDArray[Any]:
    if not np.isfinite(array).all():
        raise FileFormatError(f"{place} must hold finite numbers, got NaN or infinity; {ADVICE}")
    return array


def _check_lengths(lengths: tuple[int, ...], place: str, expected: tuple[int | None, ...]) -> None:
    if any(want is not None and want != got for want, got in zip(expected, lengths, strict=True)):
        wanted = tuple("any" if want is None else want for want in expected)
        raise FileFormatError(f"{place}.shape must be {wanted}, got {lengths}; {ADVICE}")


def _decode_shape(value: Any, place: str, expected: tuple[int | None, ...]) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != len(expected):
        raise FileFormatError(
            f"{place}.shape must have {len(expected)} lengths, got {_describe(value)}; {ADVICE}"
        )
    lengths = tuple(decode_integer(length, f"{place}.shape", lower=0) for length in value)
    _check_lengths(lengths, place, expected)
    if 0 in lengths and max(lengths) > _LONGEST_EMPTY:
        raise FileFormatError(f"{place}.shape must be that of an array, got {lengths}; {ADVICE}")
    return lengths


def _decode_bytes(value: Any, place: str, size: int) -> bytes:
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None:
        raise FileFormatError(f"{place}.base64 must be base64 text, got {_describe(value)}; {ADVICE}")
    if len(data) != size:
        raise FileFormatError(
            f"{place}.base64 must hold {size} bytes, as its shape and dtype say, got {len(data)}; {ADVICE}"
        )
    return data


def _describe(value: Any) -> str:
    """Return a value from an untrusted file, cut so that it can't flood a terminal."""
    if isinstance(value, (list, dict)) and len(value) > _MOST_DESCRIBED:
        return f"a {type(value).__name__} of length {len(value)}"
    try:
        text = ascii(value[:_MOST_DESCRIBED] if isinstance(value, str) else value)
    except (ValueError, RecursionError):  # an integer of 10,000 digits, a list nested 10,000 deep
        return type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."
