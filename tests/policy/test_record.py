import json
from dataclasses import replace

import numpy as np
import pytest

from softmaxlib import Policy, _json
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MostLikely
from softmaxlib.errors import FileFormatError
from softmaxlib.policy.figures import LossCounts, Reliability

from .made import rare_positives


def test_the_largest_and_smallest_counts_are_read() -> None:
    reliability = Reliability(
        np.array([0.0, 0.5, 1.0]),
        np.array([0.0, 1e9, 4.0, 3.0]),
        np.array([0.0, 1e9, 0.0, 2.5]),
        np.array([0.0, 1e9, 0.0, 3.0]),
    )
    losses = LossCounts(np.array([-128, 88]), np.array([1, 10**9]))
    for one in (reliability, losses):
        again = type(one).from_dict(json.loads(json.dumps(one.to_dict())), "it")
        for name, value in vars(one).items():
            np.testing.assert_array_equal(getattr(again, name), value)


def test_texts_of_a_record_are_short(tmp_path) -> None:
    path = tmp_path / "policy.json"
    Policy(Identity(), MostLikely()).fit(*rare_positives(200, np.random.default_rng(0))).save(path)
    content = json.loads(path.read_text())
    content["record"]["fitted_at"] = "x" * 1000
    content["record"] |= {"sampled_from": 1, "sampled": ["figures", "rule", "calibration"]}
    path.write_text(json.dumps(content))
    assert len(Policy.load(path).record_.fitted_at) == 1000
    for name, value in (("fitted_at", "x" * 1001), ("sampled", ["rule"] * 4)):
        damaged = {**content, "record": {**content["record"], name: value}}
        path.write_text(json.dumps(damaged))
        with pytest.raises(FileFormatError, match=rf"record\.{name} must be a"):
            Policy.load(path)


def test_weighted_rows_count_for_as_many_as_are_effective() -> None:
    record = Policy(Identity(), MostLikely()).fit(*rare_positives(200, np.random.default_rng(0))).record_
    assert record.count(8) == 8
    weighted = replace(record, effective_rows=50.0)
    assert [weighted.count(rows) for rows in (200, 11, 1)] == [50, 2, 1]


@pytest.mark.parametrize(
    ("part", "name", "change", "message"),
    [
        (
            "reliability",
            "counts",
            lambda x: x - x.max() - 1,
            r"reliability\.counts must be whole numbers",
        ),
        ("reliability", "counts", lambda x: x * 1e300, r"reliability\.counts must be whole numbers"),
        ("reliability", "counts", lambda x: x + 0.5, r"reliability\.counts must be whole numbers"),
        ("reliability", "hits", lambda x: x + 1e6, r"reliability\.hits must lie between 0 and the rows"),
        ("reliability", "confidences", lambda x: -x, r"reliability\.confidences must lie between 0 and"),
        ("reliability", "edges", lambda x: x[::-1], r"reliability\.edges must rise within 0 to 1"),
        ("reliability", "edges", lambda x: x.repeat(2)[: x.size], r"reliability\.edges must rise within"),
        ("reliability", "edges", lambda x: np.append(x[:-1], 1.5), r"reliability\.edges must rise within"),
        ("losses", "cells", lambda x: x[::-1], r"losses\.cells must rise from -128 at least to 88 at most"),
        ("losses", "cells", lambda x: x * 1000, r"losses\.cells must rise from -128 at least to 88 at most"),
        ("losses", "cells", lambda x: x.repeat(2)[: x.size], r"losses\.cells must rise from -128 at least"),
        ("losses", "cells", lambda x: np.append(-129, x[1:]), r"losses\.cells must rise from -128 at least"),
        ("losses", "cells", lambda x: np.append(x[:-1], 89), r"losses\.cells must rise from -128 at least"),
        ("losses", "counts", lambda x: x * 0, r"losses\.counts must lie in 1 to 1000000000"),
        ("losses", "counts", lambda x: np.append(x[:-1], 0), r"losses\.counts must lie in 1 to 1000000000"),
        ("losses", "counts", lambda x: x * 10**10, r"losses\.counts must lie in 1 to 1000000000"),
    ],
)
def test_counts_that_can_not_be_are_refused(tmp_path, part, name, change, message) -> None:
    path = tmp_path / "policy.json"
    Policy(Identity(), MostLikely()).fit(*rare_positives(200, np.random.default_rng(0))).save(path)
    content = json.loads(path.read_text())
    record = content["record"][part]
    kind = "i" if part == "losses" else "f"
    record[name] = _json.encode_array(change(_json.decode_array(record[name], name, kind=kind)))
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=message):
        Policy.load(path)
