"""Tables of logits in files, read and written in batches."""

from .csv_format import CsvFormat

__all__ = ["CsvFormat"]
