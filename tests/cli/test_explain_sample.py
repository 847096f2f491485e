"""`softmaxlib explain --sample`: what each stage did to a distribution, and the draw."""

import re

import numpy as np
import pytest

from softmaxlib.sampling import Chain, sample

ANIMALS = ["2.0", "1.0", "0.1", "-1", "--names", "cat,dog,bird,fish", "--sample"]


def left(text: str) -> dict[str, tuple[float, str]]:
    """Class -> what is left of its probability, and the bar or the note beside it."""
    block = text.partition("Left to draw from:\n")[2].partition("\n\n")[0].splitlines()[1:]
    rows = [line.split(maxsplit=4) for line in block]
    return {row[0]: (float(row[3]), row[4].strip() if len(row) > 4 else "") for row in rows}


def test_nothing_but_the_draw(softmaxlib):
    outcome = softmaxlib("explain", *ANIMALS)
    assert outcome.code == 0, outcome.err
    weights = np.exp([2.0, 1.0, 0.1, -1.0])
    found = [probability for probability, _ in left(outcome.out).values()]
    np.testing.assert_allclose(found, weights / weights.sum(), atol=6e-9)
    assert "removed by" not in outcome.out


def test_top_p_removes_the_tail(softmaxlib):
    outcome = softmaxlib("explain", *ANIMALS, "--top-p", "0.9")
    two = np.exp([2.0, 1.0]).sum() / np.exp([2.0, 1.0, 0.1, -1.0]).sum()
    assert two < 0.9  # so bird belongs to the nucleus too
    assert left(outcome.out)["fish"] == (0, "removed by TopP")
    kept = np.exp([2.0, 1.0, 0.1])
    found = [left(outcome.out)[name][0] for name in ("cat", "dog", "bird")]
    np.testing.assert_allclose(found, kept / kept.sum(), atol=6e-9)
    assert left(outcome.out)["cat"][1] == "█" * round(20 * kept[0] / kept.sum())


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--top-k", "3"], {"fish": "TopK"}),
        (["--top-k", "2"], {"bird": "TopK", "fish": "TopK"}),
        (["--min-p", "0.3"], {"bird": "MinP", "fish": "MinP"}),
        (["--top-n-sigma", "1"], {"bird": "TopNSigma", "fish": "TopNSigma"}),
        (["--typical-p", "0.2"], {"cat": "TypicalP", "bird": "TypicalP", "fish": "TypicalP"}),
        (["--temperature", "0"], {"dog": "Temperature", "bird": "Temperature", "fish": "Temperature"}),
        (
            ["--temperature", "0.7", "--top-k", "3", "--top-p", "0.9"],
            {"bird": "TopP", "fish": "TopK"},
        ),
    ],
)
def test_each_removed_class_names_its_stage(softmaxlib, options, gone):
    outcome = softmaxlib("explain", *ANIMALS, *options)
    assert outcome.code == 0, outcome.err
    notes = {name: note for name, (_, note) in left(outcome.out).items() if note.startswith("removed")}
    assert notes == {name: f"removed by {stage}" for name, stage in gone.items()}


def test_the_table_is_the_chains_own(softmaxlib):
    outcome = softmaxlib("explain", *ANIMALS, "--top-k", "3", "--temperature", "0.5")
    chain = Chain.standard(top_k=3, temperature=0.5)
    logits = np.array([2.0, 1.0, 0.1, -1.0])
    assert outcome.out.startswith(str(chain.explain(logits, names=["cat", "dog", "bird", "fish"])))


def test_an_impossible_class_was_removed_by_nothing(softmaxlib):
    outcome = softmaxlib("explain", "1", "-inf", "0", "--sample", "--top-k", "1")
    assert {name: note for name, (_, note) in left(outcome.out).items()} == {
        "0": "█" * 20,
        "1": "",
        "2": "removed by TopK",
    }


@pytest.mark.parametrize("seed", range(8))
def test_the_draw_is_that_of_the_library(softmaxlib, seed):
    outcome = softmaxlib("explain", "0.2", "0.1", "0", "--sample", "--seed", seed)
    token = int(sample(np.array([0.2, 0.1, 0.0]), seed=seed, position=0).token)
    weights = np.exp([0.2, 0.1, 0.0])
    expected = f"Drawn with seed {seed}: {token}, which had probability {weights[token] / weights.sum():.8f}."
    assert expected in outcome.out


def test_like_an_engine(softmaxlib):
    outcome = softmaxlib("explain", *ANIMALS, "--like", "llama.cpp")
    stages = re.findall(r"^(\w+)\(", outcome.out, re.M)
    assert stages == ["TopP", "Temperature"]  # the temperature comes last
    assert "Without effect here: TopK(k=40), MinP(p=0.05)" in outcome.out
    replaced = softmaxlib("explain", *ANIMALS, "--like", "llama.cpp", "--top-k", "1")
    assert "TopK(k=1) " in replaced.out
    assert left(replaced.out)["cat"][0] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sample", "--top-k", "0"], ["TopK", "1 or more, got 0"]),
        (["--sample", "--top-k", "many"], ["--top-k"]),
        (["--sample", "--top-p", "1.5"], ["TopP", "at most 1, got 1.5"]),
        (["--sample", "--top-p", "nan"], ["TopP", "got nan"]),
        (["--sample", "--min-p", "-1"], ["MinP", "got -1.0"]),
        (["--sample", "--typical-p", "0"], ["TypicalP", "got 0.0"]),
        (["--sample", "--top-n-sigma", "0"], ["TopNSigma", "got 0.0"]),
        (["--sample", "--temperature", "-1"], ["Temperature", "0 or more, got -1.0"]),
        (["--sample", "--seed", "-1"], ["--seed must lie from 0 to 2^64 - 1, got -1"]),
        (["--sample", "--seed", "18446744073709551616"], ["--seed must lie from 0 to 2^64 - 1"]),
        (["--sample", "--like", "gpt"], ["engine must be one of transformers, vllm", "got 'gpt'"]),
        (["--sample", "--like", "mlx", "--typical-p", "0.5"], ["mlx has no option 'typical_p'"]),
        (["--sample", "--compare"], ["--compare shows the softmax alone; leave out --sample"]),
        (["--sample", "--jacobian"], ["--jacobian shows the softmax alone"]),
        (["--top-p", "0.9"], ["--top-p belongs to a draw; add --sample"]),
        (["--like", "vllm"], ["--like belongs to a draw"]),
        (["--seed", "0"], ["--seed belongs to a draw"]),
        (["--sample", "--topp", "0.9"], ["no such option: --topp"]),
    ],
)
def test_bad_options_are_one_line(softmaxlib, options, words):
    softmaxlib("explain", "1", "2", *options).assert_failed(*words)
