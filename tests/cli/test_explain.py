import re

import numpy as np
import pytest


def column(text: str, place: int) -> list[str]:
    """The entries of one column of the first table."""
    lines = text.splitlines()[1:]
    end = next(index for index, line in enumerate(lines) if line.startswith("sum"))
    return [line.split()[place] for line in lines[:end]]


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        (["2.0", "1.0", "0.1"], ["0.65900114", "0.24243297", "0.09856589"]),
        (
            ["1.3", "5.1", "2.2", "0.7", "1.1"],
            ["0.02019046", "0.90253769", "0.04966053", "0.01108076", "0.01653055"],
        ),
        (["0", "2", "4"], ["0.01587624", "0.11731043", "0.86681333"]),
        (["1000", "1001", "1002"], ["0.09003057", "0.24472847", "0.66524096"]),
        (["-1.5", "0"], [f"{1 / (1 + np.exp(1.5)):.8f}", f"{1 / (1 + np.exp(-1.5)):.8f}"]),
    ],
)
def test_known_results(softmaxlib, logits, expected):
    outcome = softmaxlib("explain", *logits)
    assert outcome.code == 0
    assert column(outcome.out, 4) == expected


def test_steps_are_shown_with_names(softmaxlib):
    outcome = softmaxlib("explain", "2.0", "1.0", "0.1", "--names", "cat,dog,bird")
    assert column(outcome.out, 0) == ["cat", "dog", "bird"]
    assert column(outcome.out, 2) == ["0", "-1", "-1.9"]
    assert column(outcome.out, 3) == ["1", "0.36787944", "0.14956862"]
    assert "Chosen: cat, with probability 0.65900114, 0.41656817 ahead of dog" in outcome.out
    entropy = -sum(p * np.log(p) for p in (0.65900114, 0.24243297, 0.09856589))
    assert f"entropy {entropy:.4f} of at most {np.log(3):.4f} nats" in outcome.out


def test_temperature_divides_the_shifted_logits(softmaxlib):
    outcome = softmaxlib("explain", "1000", "1001", "1002", "--temperature", "2")
    expected = np.exp([-1, -0.5, 0]) / np.exp([-1, -0.5, 0]).sum()
    assert column(outcome.out, 4) == [f"{p:.8f}" for p in expected]


def test_a_tie_is_called_a_tie(softmaxlib):
    assert "tied with 1 (the first listed is taken)" in softmaxlib("explain", "3", "3", "1").out


def test_a_tiny_probability_is_not_printed_as_zero(softmaxlib):
    assert column(softmaxlib("explain", "0", "-50").out, 4)[1] == "1.93e-22"


def test_jacobian(softmaxlib):
    text = softmaxlib("explain", "2", "1", "0.1", "--jacobian").out.partition("Jacobian")[2]
    rows = [[float(entry) for entry in line.split()[1:]] for line in re.findall(r"^[012] .*$", text, re.M)]
    p = np.array([0.65900114, 0.24243297, 0.09856589])
    np.testing.assert_allclose(rows, np.diag(p) - np.outer(p, p), atol=2e-8)


def test_compare_says_why_each_alternative_fails(softmaxlib):
    text = " ".join(softmaxlib("explain", "-1", "1", "2", "--compare").out.split())
    assert "hardmax: no gradient" in text
    assert "sigmoid: not a distribution: its sum is 1.881; not invariant to an offset" in text
    assert "with 1 added to all, 0.2689 becomes 0.5" in text
    assert "normalize: negative values: -0.5; not invariant to an offset" in text


def test_compare_where_normalize_divides_by_zero(softmaxlib):
    text = " ".join(softmaxlib("explain", "1", "-1", "--compare").out.split())
    assert "normalize: undefined here, where the logits sum to 0" in text
    assert "its sum is 1 by chance" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x"], ["a logit must be a number, got 'x'", "2.0 1.0 0.1"]),
        (["1", "nan"], ["finite or -inf", "got nan"]),
        (["1", "inf"], ["finite or -inf", "got inf"]),
        (["-inf", "-inf"], ["at least one logit must be finite"]),
        (["1", "2", "--names", "a"], ["--names", "2 logits, got 1 names"]),
        (["1", "2", "--temperatur", "3"], ["no such option: --temperatur"]),
        (["1", "2", "--temperature", "warm"], ["--temperature"]),
        (["1", "2", "--temperature", "0"], ["temperature"]),
        ([], ["Missing argument"]),
    ],
)
def test_bad_input_is_one_line(softmaxlib, arguments, words):
    softmaxlib("explain", *arguments).assert_failed(*words)


def test_a_name_cannot_drive_the_terminal(softmaxlib):
    outcome = softmaxlib("explain", "1", "2", "--names", "\x1b[31mred,[bold]b[/bold]")
    assert "\x1b" not in outcome.out
    assert "[bold]b[/bold]" in outcome.out


def test_runs_as_a_process(softmaxlib_process):
    outcome = softmaxlib_process("explain", "2.0", "1.0", "0.1")
    assert outcome.code == 0
    assert "0.65900114" in outcome.out
    softmaxlib_process("explain", "x").assert_failed("a logit must be a number")
    softmaxlib_process("nonsense").assert_failed("No such command 'nonsense'")
    nothing = softmaxlib_process()
    assert nothing.code == 2
    assert "explain" in nothing.out
