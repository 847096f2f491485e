"""The format of a file by the ending of its name."""

from pathlib import Path

import pytest

from softmaxlib.files.formats import ending_of


@pytest.mark.parametrize(
    ("name", "ending", "compression"),
    [
        ("a.csv", ".csv", None),
        ("a.CSV.GZ", ".csv", "gzip"),
        ("b.tsv.zst", ".tsv", "zstd"),
        ("a.b.parquet", ".parquet", None),
        ("a.parquet.gz", ".gz", None),  # only text is compressed from outside
        ("a", "", None),
    ],
)
def test_the_ending_of_a_name(name, ending, compression):
    assert ending_of(Path(name)) == (ending, compression)
