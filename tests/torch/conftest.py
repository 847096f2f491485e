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
    from softmaxlib.torch._fast_path import fast_path, in_python

    def outcomes(call):
        for way in (fast_path, in_python("a test")):
            take(monkeypatch, way)
            yield call()

    return outcomes


@pytest.fixture(params=["compiled", "python"])
def each_fast_path(request, monkeypatch):
    from softmaxlib.torch._fast_path import in_python

    if request.param == "python":
        take(monkeypatch, in_python("a test"))
