"""Pairing of the rows of two evaluations, and the sentence that gives the reason against it."""

import numpy as np
import pytest
from evaluated_rows import simulated

from softmaxlib import evaluate
from softmaxlib.cli._app import run
from softmaxlib.report import compare

ROWS = 60
IDS = [f"case {row}" for row in range(ROWS)]


def compared(ids, others, rows=slice(None), other_rows=slice(None)):
    logits, labels = simulated(ROWS)
    first = evaluate(logits[rows], labels[rows], row_ids=ids)
    second = evaluate(0.5 * logits[other_rows], labels[other_rows], row_ids=others)
    return compare(first, second, names=("old", "new"))


def replaced(row, name):
    return [*IDS[:row], name, *IDS[row + 1 :]]


@pytest.mark.parametrize("fault", ["case 3", None])
def test_files_of_the_same_ids_in_the_same_order_are_paired_whatever_their_ids(fault):
    found = compared(replaced(9, fault), replaced(9, fault))
    assert found.paired == "in order"
    assert found.sentences[0] == "Both are judged on the same 60 rows, in the same order."
    assert found.figures == compared(None, None).figures


@pytest.mark.parametrize(
    ("ids", "others", "words"),
    [
        (replaced(9, "case 3"), IDS, "rows 3 and 9 of old have the same id, 'case 3'"),
        (IDS, replaced(9, "case 3"), "rows 3 and 9 of new have the same id, 'case 3'"),
        (replaced(9, None), IDS, "row 9 of old has no id"),
        (IDS, replaced(0, None), "row 0 of new has no id"),
        (["same"] * ROWS, IDS, "rows 0 and 1 of old have the same id, 'same'"),
    ],
)
def test_an_id_that_is_not_of_one_row_is_named(ids, others, words):
    found = compared(ids, others)
    assert found.paired == ""
    assert found.sentences[0] == (
        f"The rows (60 and 60) can't be paired: {words}. They are compared without pairing, which makes a "
        "difference harder to find; give each row an id of its own."
    )


@pytest.mark.parametrize(
    ("rows", "other_rows", "words"),
    [
        ((0, 60), (0, 50), "50 rows are in both, of 60 and 50, but row 50 of old, 'case 50', is not in new"),
        ((10, 60), (0, 60), "50 rows are in both, of 50 and 60, but row 0 of new, 'case 0', is not in old"),
        ((0, 40), (5, 45), "35 rows are in both, of 40 and 40, but row 0 of old, 'case 0', is not in new"),
    ],
)
def test_rows_of_which_some_are_in_both_are_not_called_others(rows, other_rows, words):
    parts = slice(*rows), slice(*other_rows)
    found = compared(IDS[parts[0]], IDS[parts[1]], *parts)
    assert found.paired == ""
    assert found.sentences[0] == (
        f"{words}. They are compared without pairing rows, which makes a difference harder to find; evaluate "
        "both on the same rows."
    )


def test_other_rows_are_others():
    parts = slice(0, 30), slice(30, 60)
    for ids in ((IDS[parts[0]], IDS[parts[1]]), (None, None)):
        found = compared(*ids, *parts)
        assert found.paired == ""
        assert found.sentences[0] == (
            "The two evaluations are on different rows (30 and 30), so a difference may come from the rows, "
            "not the model."
        )


def test_rows_are_found_in_any_order_by_ids_that_are_each_of_one_row():
    order = np.random.default_rng(0).permutation(ROWS)
    found = compared(IDS, np.array(IDS)[order], other_rows=order)
    assert found.paired == "by id"
    assert found.figures == compared(IDS, IDS).figures


def test_the_command_says_what_kept_rows_from_being_paired(tmp_path, capsys):
    logits, labels = simulated(ROWS)
    for name, ids in (("old", IDS), ("new", replaced(9, "case 3"))):
        lines = ["logit_a,logit_b,logit_c,logit_d,truth,id"]
        lines += [
            ",".join([*map(str, row), "abcd"[label], one])
            for row, label, one in zip(logits, labels, ids, strict=True)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    files = [str(tmp_path / name) for name in ("old.csv", "new.csv")]
    assert run(["evaluate", *files, "--label", "truth", "--id", "id"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "can't be paired: rows 3 and 9 of new.csv have the same id, 'case 3'" in printed
