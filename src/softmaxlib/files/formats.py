"""File formats and compression, by the ending of the file's name, in any case."""

from pathlib import Path, PurePath

TEXT_FORMATS = (".csv", ".tsv")
ARROW_FORMATS = (".arrow", ".arrows", ".feather", ".ipc")
FORMATS = (*TEXT_FORMATS, ".parquet", ".pq", ".orc", *ARROW_FORMATS, ".npy", ".npz")
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}

_FIRST_BYTES = {
    b"PAR1": ".parquet",
    b"ORC": ".orc",
    b"ARROW1": ".arrow",
    b"\xff\xff\xff\xff": ".arrows",
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"\x1f\x8b": ".csv.gz",
    b"BZh": ".csv.bz2",
    b"\x28\xb5\x2f\xfd": ".csv.zst",
    b"\x04\x22\x4d\x18": ".csv.lz4",
}


def ending_of(path: PurePath) -> tuple[str, str | None]:
    """Return the ending in lower case, and the compression of a text file: ``(".csv", "gzip")``."""
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    if ending in COMPRESSIONS and inner in TEXT_FORMATS:
        return inner, COMPRESSIONS[ending]
    return ending, None


def sniffed_ending(start: bytes) -> str:
    """Return the ending of the format with these first bytes; that of text if no format is recognized."""
    return next((ending for first, ending in _FIRST_BYTES.items() if start.startswith(first)), ".csv")


def describe_formats() -> str:
    """Return the formats that are read, for a message."""
    return f"{', '.join(FORMATS)}; text may be compressed ({', '.join(COMPRESSIONS)})"
