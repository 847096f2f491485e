"""A pytest plugin: SciPy's softmax, log_softmax and logsumexp replaced by softmaxlib's, and the outcomes.

The signatures are SciPy's. What softmaxlib does not offer (weights, signs, complex numbers) raises.
"""

import json
import os

import softmaxlib


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    if b is not None or return_sign:
        raise NotImplementedError("weights and signs")
    return softmaxlib.logsumexp(a, axis, keepdims=keepdims)


def softmax(x, axis=None):
    return softmaxlib.softmax(x, axis)


def log_softmax(x, axis=None):
    return softmaxlib.log_softmax(x, axis)


outcomes: dict[str, str] = {}


def pytest_collection_modifyitems(items):
    for module in {item.module for item in items}:
        module.logsumexp, module.softmax, module.log_softmax = logsumexp, softmax, log_softmax


def pytest_runtest_logreport(report):
    name = report.nodeid.split("::", 1)[1]
    if report.when == "call" or report.outcome != "passed":
        outcomes[name] = report.outcome


def pytest_sessionfinish():
    with open(os.environ["SOFTMAXLIB_OUTCOMES"], "w", encoding="utf-8") as file:
        json.dump(outcomes, file)
