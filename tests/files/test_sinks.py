"""What is written, as its format has it."""

import io

import pyarrow as pa
import pyarrow.parquet as parquet

from softmaxlib.files.location import Location
from softmaxlib.files.sinks import open_writer


def test_parquet_has_dictionaries_of_all_columns_but_those_of_floating_point_numbers():
    table = pa.table(
        {
            "a.b": [1, 2],
            "x": [0.1, 0.2],
            "half": pa.array([1, 2], pa.float16()),
            "name": pa.array(["p", "p"]).dictionary_encode(),
            "list": [["p", "q"], ["p"]],
            "numbers": pa.array([[0.1, 0.2], [0.3, 0.4]], pa.list_(pa.float32(), 2)),
            "struct": [{"u": 1, "v": 0.5, "w": ["p"]}] * 2,
            "map": pa.array([[("p", 1.5)], [("p", 2.5)]], pa.map_(pa.string(), pa.float64())),
        }
    )
    file = io.BytesIO()
    with open_writer(Location("memory"), ".parquet", file) as write:
        write(table)
    metadata = parquet.ParquetFile(file).metadata
    columns = [metadata.row_group(0).column(index) for index in range(metadata.num_columns)]
    assert {column.path_in_schema for column in columns if not column.has_dictionary_page} == {
        "x",
        "half",
        "numbers.list.element",
        "struct.v",
        "map.key_value.value",
    }
    assert parquet.read_table(file).equals(table)
