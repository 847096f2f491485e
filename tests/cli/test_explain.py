import io
import re

import numpy as np
import pytest
from rich.console import Console

import softmaxlib as sm
from softmaxlib import softmax
from softmaxlib.cli._softmax_steps import steps


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


@pytest.mark.parametrize(
    ("logits", "words"),
    [
        ("3 3 1", "tied with 1 (the first listed is taken)."),
        ("1 3 3", "Chosen: 1, with probability 0.46831053, tied with 2 (the first listed is taken)."),
        ("0 0 0", "tied with 1 and 2 (the first listed is taken)."),
        (" ".join("0" * 20), "tied with 1, 2, 3, 4, 5, 6, 7 and 12 others (the first listed is taken)."),
        ("3 1 1", "0.68047906 ahead of 1 and 2."),
        ("0 -2000 -1000", "1.00000000 ahead of 2."),
    ],
)
def test_a_tie_names_every_class_in_it(softmaxlib, logits, words):
    assert words in softmaxlib("explain", *logits.split()).out


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


@pytest.mark.parametrize(
    ("logits", "name", "words"),
    [
        ("1 -1", "normalize", "undefined here, where the logits sum to 0, and not invariant to an offset."),
        ("1 -1", "sigmoid", "its sum is 1 by chance; "),
        ("0 -inf", "normalize", "undefined with a logit of -inf"),
        (
            "1000 1001",
            "normalize",
            "invariant to an offset: with 1 added to all, 0.49975012 becomes 0.49975037.",
        ),
        ("1000 1001", "sigmoid", "to an offset, by less than the digits of float64 show at such logits."),
        ("5 5", "normalize", "not invariant to an offset, which equal logits hide."),
        ("-1 -1", "normalize", "with 1 added to all, the logits sum to 0 and it is undefined."),
        (
            "-3 -1",
            "normalize",
            "turns the order around: the largest logit, 1, gets the smallest share; not inv",
        ),
        (
            "-5 1",
            "normalize",
            "negative values: -0.25; the sum of the logits is negative, which turns the order",
        ),
        ("1 2", "normalize", "negative values as soon as the signs of the logits differ; not invariant"),
        ("1000 1000", "sigmoid", "to an offset, by less than the digits of float64 show at such logits."),
        ("1e308 1e308", "normalize", "undefined here, where the sum is beyond float64, and not invariant"),
        (
            "1e308 1 --temperature 0.01",
            "normalize",
            "undefined here, where a logit / T is beyond float64, and not invariant to an offset.",
        ),
        ("0.7 -0.8 0.1", "normalize", "; a sum of 0.75, by rounding; not invariant to an offset"),
        ("2 1", "softmax", "positive, sums to 1, unchanged by an offset, and with a gradient everywhere."),
        (
            "0 0 -1000",
            "softmax",
            "never negative, sums to 1, unchanged by an offset, and with a gradient everywhere, though that "
            "of 1 of 3 classes comes out as 0 here.",
        ),
    ],
)
def test_compare_is_right_at_special_logits(softmaxlib, logits, name, words):
    lines = softmaxlib("explain", *logits.split(), "--compare").out.splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}: ")]
    assert words in line


def test_compare_divides_no_probability_beyond_float64(softmaxlib):
    text = softmaxlib("explain", "1e308", "1", "--compare", "--temperature", "0.01").out
    shown = [line.split()[1] for line in text.partition("alternatives")[2].splitlines()[2:4]]
    assert shown == ["1.00000000", "0.00000000"]


def test_help_says_what_normalize_does(softmaxlib):
    text = softmaxlib("explain", "--help").out
    assert "normalize (divide by the sum)" in " ".join(text.replace("│", " ").split())
    assert "standard normalization" not in text


def test_compare_never_shows_two_equal_numbers_as_a_change(softmaxlib):
    generator = np.random.default_rng(0)
    for scale in (1e-9, 1.0, 30.0, 1e3, 1e6, 1e17):
        text = softmaxlib("explain", *map(repr, (scale * generator.normal(size=3)).tolist()), "--compare").out
        changes = re.findall(r"added to all, (\S+) becomes (\S+?)\.?$", text, re.M)
        assert all(old != new for old, new in changes)
        assert changes or scale > 1e6


def test_compare_divides_all_by_the_temperature(softmaxlib):
    outcome = softmaxlib("explain", "2", "-1", "--compare", "--temperature", "4")
    text = outcome.out.partition("Beside its alternatives, all of the logits / 4:")[2]
    shown = [[float(entry) for entry in line.split()[1:]] for line in re.findall(r"^[01] .*$", text, re.M)]
    x = np.array([0.5, -0.25])
    expected = np.stack([np.exp(x) / np.exp(x).sum(), [1, 0], 1 / (1 + np.exp(-x)), [2, -1]], axis=1)
    np.testing.assert_allclose(shown, expected, atol=6e-9)
    assert f"with 1 added to all, {1 / (1 + np.exp(0.25)):.4g} becomes 0.5." in text


@pytest.mark.parametrize(
    ("logits", "sentences"),
    [
        ("2 1 0.1", []),
        ("12 11", ["exp(12) = inf and inf / inf = nan in float16."]),
        ("100 0", ["exp(100) = inf and inf / inf = nan in float16 and float32."]),
        ("1000 1001", ["exp(1001) = inf and inf / inf = nan in float16, float32 and float64."]),
        ("-1000 -1001", ["exp(-1000) = 0 and 0 / 0 = nan in float16, float32 and float64."]),
        (
            "709.5 709.5",
            [
                "exp(709.5) = inf and inf / inf = nan in float16 and float32.",
                "the sum of the exp is inf and exp(709.5) / inf = 0 in float64.",
            ],
        ),
        ("2000 1000 --temperature 200", []),
    ],
)
def test_where_the_naive_formula_breaks(softmaxlib, logits, sentences):
    text = softmaxlib("explain", *logits.split()).out
    assert re.findall(r"^Without subtracting the maximum, (.*)$", text, re.M) == sentences


def test_an_underflow_is_called_one(softmaxlib):
    text = softmaxlib("explain", "0", "-1000", "-inf", "--names", "a,b,c").out
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["b"].count("underflows to 0") == 2
    assert "underflows" not in lines["a"]
    assert "underflows" not in lines["c"]
    assert "the log-probability of b is -1000." in text


@pytest.mark.parametrize(
    ("logits", "sentences"),
    [
        ("1e308 -1e308", []),
        ("0 -inf", []),
        ("1e308 -1e308 1e307 1e300", ["2 is -9e+307."]),
    ],
)
def test_only_a_finite_log_probability_is_said_to_be_kept(softmaxlib, logits, sentences):
    outcome = softmaxlib("explain", *logits.split())
    assert outcome.code == 0
    found = re.findall(r"^log_softmax keeps .*: the log-probability of (.*)$", outcome.out, re.M)
    assert found == sentences


@pytest.mark.parametrize(
    ("logits", "temperature", "limit", "shifted"),
    [
        (["1000", "999"], "1e-300", "1e-290, the least", -1e290),
        (["1e-295", "0"], "1e-300", "1e-290, the least", -1e-5),
        (["1e300", "-1e300"], "1e295", "1e+290, the largest", -2e10),
    ],
)
def test_a_temperature_that_is_replaced_is_replaced_everywhere(
    softmaxlib, logits, temperature, limit, shifted
):
    outcome = softmaxlib("explain", *logits, "--temperature", temperature, "--compare", "--jacobian")
    text, used = outcome.out, limit.partition(",")[0]
    sentence = f"A temperature of {float(temperature):g} counts as {limit} that softmax divides by."
    assert sentence in text
    assert f"{float(temperature):g}" not in text.replace(sentence, "").replace(logits[0], "")
    assert float(column(text.replace("minus the maximum", "shifted"), 2)[1]) == pytest.approx(shifted)
    assert f"minus the maximum, / {used}" in text
    assert f"all of the logits / {used}:" in text
    exact = sm.log_softmax(np.array(logits, dtype=float), temperature=float(temperature))
    kept = re.findall(r"the log-probability of 1 is (.*)\.$", text, re.M)
    assert kept == ([f"{shifted:.8g}"] if shifted < -1000 else [])
    assert shifted == pytest.approx(exact[1] - exact[0])


@pytest.mark.parametrize("temperature", ["1e-290", "1e290", "2"])
def test_a_temperature_that_softmax_takes_is_not_said_to_be_replaced(softmaxlib, temperature):
    assert "counts as" not in softmaxlib("explain", "2", "1", "--temperature", temperature).out


def test_the_jacobian_at_a_temperature(softmaxlib):
    text = softmaxlib("explain", "2", "1", "--jacobian", "--temperature", "2").out
    assert "Jacobian (diag(p) - p p^T) / 2:" in text
    p = 1 / (1 + np.exp(-0.5))
    assert f"{p * (1 - p) / 2:.8f}" in text


@pytest.mark.parametrize(
    ("width", "bars", "table"), [(80, True, True), (60, False, True), (40, False, False)]
)
def test_a_narrow_terminal_loses_no_digit(width, bars, table):
    console = Console(width=width, file=io.StringIO())
    x = np.array([2.0, 1.0, 0.1])
    steps(x, softmax(x), ["cat", "dog", "bird"], 1.0).print(console)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    for digits in ("0.65900114", "0.24243297", "0.09856589", "1.5174481"):
        assert digits in text
    assert ("█" in text) == bars
    assert ("  probability: 0.65900114" in text) != table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x"], ["a logit must be a number, got 'x'", "2.0 1.0 0.1"]),
        (["1", "nan"], ["finite or -inf", "got nan"]),
        (["1", "inf"], ["finite or -inf", "got inf"]),
        (["-inf", "-inf"], ["at least one logit must be finite"]),
        (["1", "2", "--names", "a"], ["--names", "2 logits, got 1 names"]),
        (["1", "2", "--names", "a,a"], ["--names must name each class once: got 'a' for 2 classes; give"]),
        (["1", "2", "3", "--names", "b,a, b", "--sample"], ["each class once: got 'b' for 2 classes"]),
        (["1", "2", "--names", "\x01,\x02"], ["each class once: got", "for 2 classes"]),
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
    softmaxlib_process("nonsense").assert_failed("No such command 'nonsense'. See: softmaxlib --help")
    softmaxlib_process("fit", "x").assert_failed("See: softmaxlib fit --help")
    nothing = softmaxlib_process()
    assert nothing.code == 2
    assert "explain" in nothing.out
