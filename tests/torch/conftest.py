"""Tests of the functions run twice: with the compiled module, and as if there were none."""

import pytest


@pytest.fixture(params=["compiled", "python"])
def each_short_way(request, monkeypatch):
    from softmaxlib.torch import _short_way, activations, losses

    if request.param == "python":
        for module in (activations, losses):
            monkeypatch.setattr(module, "short_way", _short_way.in_python("a test"))
    return request.param
