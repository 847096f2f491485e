"""The form of tables in text files: separators, decimal mark, encoding, compression."""

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv

from .._spelling import argument
from .._tables.compute import compute
from ..errors import FileFormatError, InvalidInputError
from .csv_end import MarkedEnd
from .formats import ending_of
from .location import Location

_BLOCK = 8 << 20
_LONG_ROW = "straddl"  # what Arrow says of a row that ends in neither its block nor the next one
_NO_HEADER = "cannot infer number of columns"
_NO_NUMBERS = ["", "NA", "N/A", "null", "NULL", "None"]


@dataclass(frozen=True)
class CsvFormat:
    """The form of text files.

    Attributes
    ----------
    separator : str or None
        The separator of cells; by default a comma, or a tab in a .tsv file.
    decimal : str
        The decimal mark.
    thousands : str or None
        The separator of thousands; None if there is none.
    encoding : str
        An encoding that Python knows.
    """

    separator: str | None = None
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.separator is not None and not _is_mark(self.separator):
            raise InvalidInputError(
                f"{argument('separator')} must be one character (or 'tab'), such as ';', got "
                f"{self.separator!r}"
            )
        for name in ("decimal", "thousands"):
            mark = getattr(self, name)
            if mark is not None and (not _is_mark(mark) or mark.isalnum() or mark in '+-"'):
                raise InvalidInputError(
                    f"{argument(name)} must be one mark, such as '.' or ',', got {mark!r}"
                )
        if self.decimal == self.thousands:
            raise InvalidInputError(
                f"{argument('decimal')} and {argument('thousands')} must differ, both are {self.decimal!r}"
            )
        if self.separator is not None and self.separator in (self.decimal, self.thousands):
            raise InvalidInputError(
                f"{argument('separator')} can't also be a mark within numbers, {self.separator!r}"
            )
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            raise InvalidInputError(
                f"{argument('encoding')} must be one that Python knows, such as utf-8, latin-1 or cp1252, "
                f"got {self.encoding!r}"
            ) from None

    @classmethod
    def of(
        cls, separator: str | None, decimal: str | None, thousands: str | None, encoding: str | None
    ) -> "CsvFormat":
        """Return the format that the options of a command describe; an option of None was not given."""
        separator = {"tab": "\t", "\\t": "\t", "space": " "}.get(separator or "", separator)
        thousands = " " if thousands == "space" else thousands
        decimal = cls.decimal if decimal is None else decimal
        return cls(separator, decimal, thousands, cls.encoding if encoding is None else encoding)

    @property
    def is_usual(self) -> bool:
        """True if all settings are the defaults."""
        return self == CsvFormat()

    def header(self, location: Location) -> list[str]:
        """Return the names of the columns."""
        with self._opened(location, None, MarkedEnd()) as reader:
            return reader.schema.names

    def batches(self, location: Location, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        """Yield record batches; text cells stay as they are, even ``NA``, ``null`` and empty.

        Raises
        ------
        FileFormatError
            For a quote that is not closed, and for a row longer than Arrow reads.
        """
        end, rows = MarkedEnd(), 0
        try:
            with self._opened(location, types, end) as reader:
                for batch in reader:
                    if end.is_in(batch):
                        raise _open_quote(location, rows + batch.num_rows - 1)
                    yield batch
                    rows += batch.num_rows
        except pa.ArrowInvalid as error:
            if _LONG_ROW not in str(error):
                raise
            raise FileFormatError(
                f"{location}: a row must have at most {_BLOCK:,} bytes, and row {rows} (counted from 0) has "
                "more; add the closing quote if one is missing there, or write the table as .parquet"
            ) from None
        if end.is_in_short_row:
            raise _open_quote(location, rows)

    def _opened(
        self, location: Location, types: Mapping[str, pa.DataType] | None, end: MarkedEnd
    ) -> pyarrow.csv.CSVStreamingReader:
        ending, compression = ending_of(location.path)
        separator = self.separator or ("\t" if ending == ".tsv" else ",")
        if separator == self.decimal:
            raise InvalidInputError(
                f"{location}: cells and decimals can't both be set off by {separator!r}; name what stands "
                f"between cells with {argument('separator')}, such as {argument('separator', ';')}"
            )
        text = pa.transcoding_input_stream(_text_of(location, compression), self.encoding, "utf-8")
        return pyarrow.csv.open_csv(
            end.added_to(text),
            read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=end.skip_if_in
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=_NO_NUMBERS,
                strings_can_be_null=False,
                decimal_point=self.decimal,
            ),
        )

    def numbers(self, cells: pa.Array) -> pa.Array:
        """Convert text cells to float64; null where a cell is empty or stands for a missing number.

        Raises
        ------
        pyarrow.ArrowException
            For a cell that is no number in this format.
        """
        text = compute.utf8_trim_whitespace(cells)
        text = compute.if_else(compute.is_in(text, value_set=pa.array(_NO_NUMBERS)), None, text)
        if not compute.all(compute.match_substring_regex(text, self._pattern()), min_count=0).as_py():
            raise pa.ArrowInvalid("a cell is no number")
        if self.thousands is not None:
            text = compute.replace_substring(text, self.thousands, "")
        text = compute.replace_substring(text, self.decimal, ".")
        return compute.utf8_ltrim(text, "+").cast(pa.float64())

    def unreadable(self, location: Location, error: Exception) -> FileFormatError:
        """Return the message for a text file that can't be read."""
        if _begins_as_utf16(location):
            return FileFormatError(
                f"{location} begins as text in UTF-16 does, and was read as {self.encoding}; "
                f"save it as UTF-8, or name its encoding: {argument('encoding', 'utf-16')}"
            )
        if _NO_HEADER in str(error) and _has_text(location):
            return FileFormatError(
                f"{location}: its header must be at most {_BLOCK:,} bytes long, with each quote closed, and "
                "no end of it was found; add the closing quote, or write the table as .parquet"
            )
        advice = "write the file anew"
        if isinstance(error, UnicodeError) or "UTF8" in str(error):
            advice = (
                "save it as UTF-8, such as by: iconv -f latin1 -t utf-8 "
                f"{location.path.name}; or name its encoding, such as {argument('encoding', 'latin-1')}"
            )
        elif "Expected" in str(error) or "delimiter" in str(error):
            advice = f"write the file anew, or name what stands between cells with {argument('separator')}"
        return FileFormatError(f"{location} cannot be read: {error}; {advice}")

    def _pattern(self) -> str:
        point = "[" + ("\\" if self.decimal in "^]\\" else "") + self.decimal + "]"
        whole = r"\d+"
        if self.thousands is not None:
            mark = "[" + ("\\" if self.thousands in "^]\\" else "") + self.thousands + "]"
            whole = rf"(\d{{1,3}}({mark}\d{{3}})+|\d+)"
        return rf"^[+-]?(({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"


def _text_of(location: Location, compression: str | None) -> pa.NativeFile:
    stream = location.open()
    return stream if compression is None else pa.CompressedInputStream(stream, compression)


def _open_quote(location: Location, row: int) -> FileFormatError:
    return FileFormatError(
        f"{location}: a cell that begins with a quote must end with one, and in row {row} (counted from 0) "
        "such a cell has no end; add the closing quote, or, where it is part of the text, write it twice in "
        "a quoted cell"
    )


def _has_text(location: Location) -> bool:
    """Return True if a text file has more than blank lines."""
    with _text_of(location, ending_of(location.path)[1]) as text:
        return bool(text.read(_BLOCK).strip(b"\r\n"))


def _begins_as_utf16(location: Location) -> bool:
    try:
        with _text_of(location, ending_of(location.path)[1]) as text:
            return bool(text.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    except (OSError, pa.ArrowException):
        return False


def _is_mark(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in '"\r\n\0'
