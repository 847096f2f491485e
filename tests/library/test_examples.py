"""The examples in the docstrings, run as a reader would."""

import doctest
import importlib
import os
import pkgutil
from inspect import isabstract

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # keras reads it when it is first imported

import softmaxlib

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(softmaxlib.__path__, "softmaxlib.", onerror=lambda name: None)
    if not module.name.endswith(("__main__", "_kernels"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("package", ["activations", "calibration", "decisions", "losses", "metrics"])
def test_whatever_is_called_has_an_example(package: str) -> None:
    module = importlib.import_module(f"softmaxlib.{package}")
    public = [getattr(module, name) for name in module.__all__]
    called = [
        one for one in public if not (isinstance(one, type) and (issubclass(one, tuple) or isabstract(one)))
    ]
    assert [one.__name__ for one in called if ">>>" not in (one.__doc__ or "")] == []
