"""What the ending of a file's name says of it, in any case: the format, and how it is compressed."""

from pathlib import Path

from ..errors import FileFormatError

TEXT_FORMATS = (".csv", ".tsv")
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}


def ending_of(path: Path) -> tuple[str, str | None]:
    """The ending in small letters, and what a text file is compressed with: ``("", ".csv", "gzip")``."""
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    if ending in COMPRESSIONS and inner in TEXT_FORMATS:
        return inner, COMPRESSIONS[ending]
    return ending, None


def check_is_file(path: Path) -> None:
    """Refuse a file to be read that does not exist, or is a folder."""
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; check the name and the folder ({Path.cwd()})")
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder; name one file")
