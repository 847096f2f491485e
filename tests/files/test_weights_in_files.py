"""A column of weights: integer ones are repeated rows, and what is no weight is refused by its place."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from softmaxlib import files
from softmaxlib.calibration import IsotonicScaling, TemperatureScaling
from softmaxlib.cli._app import run
from softmaxlib.decisions import MinimumCost, MostLikely, TunedThreshold
from softmaxlib.errors import SoftmaxlibError

from .conftest import rows, table


def weighted(count=240):
    logits, labels = rows(count)
    return table(logits, labels).append_column(
        "times", pa.array(np.random.default_rng(3).integers(4, size=count))
    )


def repeated(weighted_rows):
    return weighted_rows.take(np.repeat(np.arange(len(weighted_rows)), weighted_rows["times"].to_numpy()))


@pytest.fixture(params=["csv", "parquet", "arrow", "npz", "npy"])
def written(request, tmp_path, monkeypatch):
    """The table in a format, with weights and with its rows repeated; and the columns' names."""
    monkeypatch.chdir(tmp_path)
    ending, content = request.param, weighted()
    for name, one in (("weighted", content), ("repeated", repeated(content))):
        logits = np.stack(
            [one[column].to_numpy() for column in one.column_names if "logit" in column], axis=1
        )
        if ending == "csv":
            pyarrow.csv.write_csv(one, f"{name}.csv")
        elif ending == "parquet":
            pyarrow.parquet.write_table(one, f"{name}.parquet")
        elif ending == "arrow":
            with pa.ipc.new_file(f"{name}.arrow", one.schema) as writer:
                writer.write_table(one, max_chunksize=50)
        else:
            names = [column.removeprefix("logit_") for column in one.column_names if "logit" in column]
            truth = np.array(one["truth"].to_pylist())
            if ending == "npz":
                np.savez(f"{name}.npz", logits=logits, truth=truth, times=one["times"], class_names=names)
            else:
                np.save(f"{name}.npy", logits)
                np.save(f"truth_{name}.npy", [names.index(one) for one in truth])
                np.save("times.npy", one["times"].to_numpy())
                if name == "repeated":
                    np.save("times.npy", content["times"].to_numpy())
    return ending


def labels_of(ending, name):
    return f"truth_{name}.npy" if ending == "npy" else "truth"


def test_integer_weights_are_repeated_rows(written):
    weight = "times.npy" if written == "npy" else "times"
    for name, more in (("weighted", ["--weight", weight]), ("repeated", [])):
        source, label = f"{name}.{written}", labels_of(written, name)
        assert run(["fit", source, "--label", label, *more, "-o", f"{name}.json", "--quiet"]) == 0
        arguments = ["evaluate", source, "--label", label, "--policy", f"{name}.json", "--quiet", *more]
        assert run([*arguments, "--json", f"evaluated_{name}.json"]) == 0
    one, other = (json.loads(Path(f"evaluated_{name}.json").read_text()) for name in ("weighted", "repeated"))
    for part in ("before", "after"):
        for figure in ("accuracy", "log_loss", "brier_score", "calibration_error"):
            found, expected = one[part]["figures"][figure], other[part]["figures"][figure]
            assert found == pytest.approx(expected, rel=1e-6), (part, figure)


def test_all_rows_are_tallied_with_their_weights(tmp_path):
    content = weighted()
    pyarrow.parquet.write_table(content, tmp_path / "rows.parquet")
    pyarrow.parquet.write_table(repeated(content), tmp_path / "repeated.parquet")
    sampled = files.evaluate(tmp_path / "rows.parquet", "truth", weight="times", sample_rows=100)
    assert sampled.sampled == ("interval of the Brier score", "tests")
    whole = files.evaluate(tmp_path / "rows.parquet", "truth", weight="times")
    every = files.evaluate(tmp_path / "repeated.parquet", "truth")
    for name in ("accuracy", "log_loss", "brier_score", "calibration_error"):
        expected = pytest.approx(getattr(every.before.figures, name), rel=1e-12)
        assert getattr(sampled.before.figures, name) == expected
        assert getattr(whole.before.figures, name) == expected
    assert sampled.confusions.rows.tolist() == every.confusions.rows.tolist()
    assert sampled.effective_rows == pytest.approx(whole.effective_rows, rel=1e-12)
    assert sampled.before.accuracy_interval == pytest.approx(whole.before.accuracy_interval, rel=1e-9)
    np.testing.assert_allclose(sampled.before.confidence_of_right, every.before.confidence_of_right)
    np.testing.assert_allclose(
        sampled.before.at_confidence.accuracy.value, every.before.at_confidence.accuracy.value
    )
    low, high = sampled.before.accuracy_interval
    assert high - low > np.diff(every.before.accuracy_interval)[0]


def test_the_audit_counts_each_row_as_often_as_its_weight(tmp_path):
    content = weighted(600)
    pyarrow.parquet.write_table(content, tmp_path / "rows.parquet")
    rule = MinimumCost(1 - np.eye(3))
    policy = files.fit(tmp_path / "rows.parquet", "truth", TemperatureScaling(), rule, weight="times")
    audit = files.audit(tmp_path / "rows.parquet", "truth", policy, weight="times")
    logits = np.stack([content[f"logit_{name}"].to_numpy() for name in policy.class_names_], axis=1)
    truth = np.array(content["truth"].to_pylist())
    assert audit == policy.audit(logits, truth, sample_weight=content["times"].to_numpy())
    assert policy.record_.rows == np.count_nonzero(content["times"].to_numpy())


@pytest.mark.parametrize(
    ("cell", "in_csv", "in_parquet"),
    [
        (-1.0, "finite and not negative, got -1.0 in row 2 (counted from 0)", None),
        (None, "has no weight in row 2 (counted from 0); fill it in, or write 0", None),
        (np.nan, "finite and not negative, got nan in row 2", None),
        (np.inf, "finite and not negative, got inf in row 2", None),
        (
            "heavy",
            "weights must be numbers, got 'heavy' in row 2",
            "must hold numbers, the weights of the rows",
        ),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_no_weight_is_refused_by_row_and_file(tmp_path, ending, cell, in_csv, in_parquet):
    content = table(*rows(5))
    heavy = pa.array(["1", "1", cell, "1", "1"] if isinstance(cell, str) else [1.0, 1.0, cell, 1.0, 1.0])
    content = content.append_column("heavy", heavy)
    path = tmp_path / f"rows.{ending}"
    write = pyarrow.csv.write_csv if ending == "csv" else pyarrow.parquet.write_table
    write(content, path)
    with pytest.raises(SoftmaxlibError) as error:
        files.fit(path, "truth", TemperatureScaling(), MostLikely(), weight="heavy")
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert (in_csv if ending == "csv" else in_parquet or in_csv) in message


def test_a_column_of_weights_that_is_not_there_or_has_another_role(tmp_path):
    content = table(*rows(5)).append_column("zero", pa.array([0.0] * 5))
    pyarrow.parquet.write_table(content, tmp_path / "rows.parquet")
    fit = (tmp_path / "rows.parquet", "truth", TemperatureScaling(), MostLikely())
    with pytest.raises(SoftmaxlibError, match=r"no column is called 'wieght'.*weights with weight="):
        files.fit(*fit, weight="wieght")
    with pytest.raises(
        SoftmaxlibError, match=r"label= and weight= name the same column, 'truth'; give each its own$"
    ):
        files.fit(*fit, weight="truth")
    with pytest.raises(
        SoftmaxlibError, match="weight= must not name a column that is 0 in every row, as 'zero' is"
    ):
        files.fit(*fit, weight="zero")


@pytest.mark.parametrize("calibration", [TemperatureScaling(), IsotonicScaling()], ids=repr)
def test_a_rule_that_learns_from_a_sample_takes_the_weights_of_its_rows(tmp_path, calibration):
    """Rows that weigh next to nothing hardly move its threshold, whatever their labels."""
    logits, labels = rows(900)
    logits, labels = logits[labels < 2], labels[labels < 2]
    counted = np.arange(len(labels)) % 2 == 0
    weights = np.where(counted, 1.0, 1e-12)
    thresholds = []
    for uncounted in (labels, 1 - labels):
        truth = np.where(counted, labels, uncounted).astype(str)
        scores = {f"logit_{k}": logits[:, k] for k in (0, 1)}
        content = pa.table(scores | {"truth": truth, "times": weights})
        path = tmp_path / "rows.parquet"
        pyarrow.parquet.write_table(content, path)
        rule = TunedThreshold("f1_score")
        policy = files.fit(path, "truth", calibration, rule, weight="times", sample_rows=500)
        assert "rule" in policy.record_.sampled
        thresholds.append(policy.rule.threshold_)
    assert thresholds[0] == pytest.approx(thresholds[1], abs=0.02)
