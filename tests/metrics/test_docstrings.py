"""Every metric describes its arguments, in the order of its signature and in the same words."""

import inspect
import re

import pytest

from softmaxlib import metrics

METRICS = [getattr(metrics, name) for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))]
SHARED = {
    "logits": "array, shape (rows, classes)\n    Logits, or probabilities when `probabilities` is true.",
    "labels": "array_like of int or str, shape (rows,)\n    The true class of each row.",
    "score": 'str or array of float, shape (rows,), default "maximum_probability"\n'
    "    The name of a score of `doubt`, or your own: one number per row, larger for more doubt.",
    "class_names": "sequence of str, optional\n"
    "    One name per class, in the order of the columns, for labels that are names. By default those of a\n"
    "    frame's columns, else the names found, sorted.",
    "sample_weight": "array, shape (rows,), optional\n    How often each row counts",
    "probabilities": "bool, default False\n    Whether `logits` holds probabilities.",
    "simulations": "int, default 1000\n    Number of draws.",
    "resamples": "int, default 1000\n    Number of draws.",
    "random_state": "int or numpy.random.Generator, default 0\n"
    "    Seed of the draws. A generator gives the seed.",
    "n_bins": "int, default 15\n    Number of bins, at most 1,000.",
}
MULTILABEL = ("hamming_loss", "label_scores", "multilabel_score", "subset_accuracy")
OWN = {
    ("doubt", "score"),
    *((name, argument) for name in MULTILABEL for argument in ("logits", "labels", "class_names")),
}


def described(metric) -> dict[str, str]:
    """Return the docstring's text for each parameter; parameters listed together share it."""
    section = re.search(r"\nParameters\n-+\n(.*?)\n\n", inspect.getdoc(metric), re.DOTALL)
    assert section, metric.__name__
    entries = re.split(r"\n(?=\S)", section[1])
    heads = [re.match(r"([*\w, ]+?)(?: : |\n|$)", entry) for entry in entries]
    return {
        name.strip("* "): entry[head.end() :]
        for entry, head in zip(entries, heads, strict=True)
        for name in head[1].split(",")
    }


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_arguments_are_described_in_order_and_alike(metric) -> None:
    found = described(metric)
    assert list(found) == list(inspect.signature(metric).parameters)
    for name, text in found.items():
        if name in SHARED and (metric.__name__, name) not in OWN and "As in `" not in text:
            assert text.startswith(SHARED[name]), name


def test_every_shared_description_is_in_use() -> None:
    used = {name for metric in METRICS for name, text in described(metric).items() if text != ""}
    assert set(SHARED) <= used


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_the_sections_stand_in_numpydoc_order(metric) -> None:
    order = ["Parameters", "Returns", "Raises", "Notes", "References", "Examples"]
    sections = re.findall(r"^(\w+)\n-{4,}$", inspect.getdoc(metric), re.MULTILINE)
    assert sections == [name for name in order if name in sections]
    assert {"Parameters", "Returns", "Raises", "Examples"} <= set(sections)
