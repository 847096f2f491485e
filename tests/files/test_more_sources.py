"""ORC files, and data sets of pyarrow's, as sources."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
import pyarrow.fs
import pyarrow.orc
import pyarrow.parquet
import pytest

from softmaxlib import files
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.cli._app import run
from softmaxlib.decisions import MostLikely
from softmaxlib.errors import FileFormatError, InvalidInputError
from softmaxlib.files.location import Location

from .conftest import rows, table


@pytest.fixture(scope="module")
def content():
    return table(*rows(900))


@pytest.fixture
def hive(tmp_path, content):
    """A folder for each of two years, whose years the files do not hold."""
    for year, start in ((2025, 0), (2026, 500)):
        part = content.slice(start, 500 if start == 0 else 400)
        (tmp_path / f"rows/year={year}").mkdir(parents=True)
        pyarrow.parquet.write_table(part, tmp_path / f"rows/year={year}/a.parquet", row_group_size=100)
    return tmp_path / "rows"


def decided(source, policy, target, **options):
    files.decide(source, policy, target, **options)
    return pyarrow.parquet.read_table(target)


@pytest.mark.parametrize("stripe", [64 * 1024, 64 * 1024 * 1024])
def test_orc(content, policy, tmp_path, stripe):
    many = pa.concat_tables([content] * 20)
    pyarrow.parquet.write_table(many, tmp_path / "rows.parquet")
    pyarrow.orc.write_table(many, tmp_path / "rows.orc", stripe_size=stripe)
    expected = decided(tmp_path / "rows.parquet", policy, tmp_path / "a.parquet")
    assert decided(tmp_path / "rows.orc", policy, tmp_path / "b.parquet").equals(expected)
    one, other = (
        files.fit(tmp_path / name, "truth", TemperatureScaling(), MostLikely(), sample_rows=1000)
        for name in ("rows.parquet", "rows.orc")
    )
    assert one.calibration.temperature_ == other.calibration.temperature_


def test_orc_with_lists_and_without_rows(content, policy, tmp_path):
    logits = np.stack([content[f"logit_{name}"].to_numpy() for name in policy.class_names_], axis=1)
    lists = pa.table({"logits": pa.array(list(logits), pa.list_(pa.float32())), "id": content["id"]})
    pyarrow.orc.write_table(lists, tmp_path / "lists.orc")
    pyarrow.parquet.write_table(content, tmp_path / "rows.parquet")
    found = decided(tmp_path / "lists.orc", policy, tmp_path / "a.parquet")
    expected = decided(tmp_path / "rows.parquet", policy, tmp_path / "b.parquet")
    assert found["decision"].equals(expected["decision"])
    pyarrow.orc.write_table(content.slice(0, 0), tmp_path / "none.orc")
    assert len(decided(tmp_path / "none.orc", policy, tmp_path / "c.parquet")) == 0


def test_a_damaged_orc_file_is_refused_by_its_name(content, policy, tmp_path):
    pyarrow.orc.write_table(content, tmp_path / "rows.orc")
    whole = (tmp_path / "rows.orc").read_bytes()
    for damaged in (b"", b"ORC", whole[:-20], whole[: len(whole) // 2], b"\0" * len(whole)):
        (tmp_path / "bad.orc").write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"bad\.orc is no ORC file"):
            files.decide(tmp_path / "bad.orc", policy, tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()


def test_orc_on_the_command_line(content, policy, tmp_path, capsys):
    pyarrow.orc.write_table(content, tmp_path / "rows.orc")
    policy.save(tmp_path / "policy.json")
    arguments = ["--label", "truth", "--policy", str(tmp_path / "policy.json"), "--json", "-"]
    assert run(["evaluate", str(tmp_path / "rows.orc"), *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 900


def test_a_data_set_is_its_files(hive, policy, tmp_path):
    dataset = pyarrow.dataset.dataset(hive, partitioning="hive")
    found = decided(dataset, policy, tmp_path / "a.parquet")
    assert found.equals(decided(hive, policy, tmp_path / "b.parquet"))
    assert pa.compute.unique(found["year"]).to_pylist() == [2025, 2026]
    files.decide(dataset, policy, tmp_path / "parts")
    names = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "parts").rglob("*.parquet"))
    assert names == ["parts/year=2025/a.parquet", "parts/year=2026/a.parquet"]
    for sample_rows in (10**6, 300):
        one, other = (
            files.fit(source, "truth", TemperatureScaling(), MostLikely(), sample_rows=sample_rows)
            for source in (dataset, hive)
        )
        assert one.calibration.temperature_ == other.calibration.temperature_
    union = pyarrow.dataset.dataset([dataset, pyarrow.dataset.dataset(hive, partitioning="hive")])
    assert files.evaluate(union, "truth", policy=policy).rows == 1800


def test_a_data_set_on_a_file_system_of_its_own(hive, policy, tmp_path):
    system = pyarrow.fs.SubTreeFileSystem(str(hive), pyarrow.fs.LocalFileSystem())
    dataset = pyarrow.dataset.dataset("", filesystem=system, partitioning="hive", format="parquet")
    found = decided(dataset, policy, tmp_path / "a.parquet")
    assert found.equals(decided(hive, policy, tmp_path / "b.parquet"))
    (hive / "year=2026/a.parquet").write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match=r"subtree: year=2026/a.parquet is no Parquet file"):
        files.audit(dataset, "truth", policy)


def test_data_sets_that_are_no_files(hive, policy, content, tmp_path):
    dataset = pyarrow.dataset.dataset(hive, partitioning="hive")
    target = tmp_path / "out.parquet"
    with pytest.raises(InvalidInputError, match="must not leave rows out by a filter"):
        files.decide(dataset.filter(pyarrow.dataset.field("year") == 2025), policy, target)
    with pytest.raises(InvalidInputError, match="must be one of files, got InMemoryDataset"):
        files.decide(pyarrow.dataset.dataset(content), policy, target)
    with pytest.raises(InvalidInputError, match="lies in the folder that is read"):
        files.decide(dataset, policy, hive / "year=2025/out/")
    (tmp_path / "none").mkdir()
    with pytest.raises(FileFormatError, match="the data set has no file"):
        files.decide(pyarrow.dataset.dataset(tmp_path / "none"), policy, target)
    assert not target.exists()


def test_links_between_folders_are_followed_but_not_in_a_circle(tmp_path):
    """Each file once by each path that comes back to no folder on the way."""
    for name in ("rows", "beside/deep"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.csv").touch()
    (tmp_path / "rows/self").symlink_to(".")
    (tmp_path / "rows/other").symlink_to("../beside")
    (tmp_path / "beside/deep/back").symlink_to("../../rows")
    assert list(Location(str(tmp_path / "rows")).files_below()) == ["a.csv", "other/deep/a.csv"]
