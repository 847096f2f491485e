"""Tests of the functions run twice: with the compiled module, and as if there were none."""

import pytest


def take(monkeypatch, way):
    """From here on the functions take this way."""
    for name in ("softmax", "log_softmax", "logsumexp"):
        monkeypatch.setattr(f"softmaxlib.torch.activations._{name}", getattr(way, name))
    monkeypatch.setattr("softmaxlib.torch.losses._cross_entropy", way.cross_entropy)


@pytest.fixture
def in_both_ways(monkeypatch):
    """A function that returns what a call gives: compiled, and in Python."""
    from softmaxlib.torch._short_way import in_python, short_way

    def outcomes(call):
        for way in (short_way, in_python("a test")):
            take(monkeypatch, way)
            yield call()

    return outcomes


@pytest.fixture(params=["compiled", "python"])
def each_short_way(request, monkeypatch):
    from softmaxlib.torch._short_way import in_python

    if request.param == "python":
        take(monkeypatch, in_python("a test"))
