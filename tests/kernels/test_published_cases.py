"""Cases that others publish: ONNX's node vectors, and SciPy's own tests with our functions put in."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import kernel_reference as reference
import numpy as np
import pytest

import softmaxlib

HERE = Path(__file__).resolve().parent

# What SciPy's tests ask that softmaxlib does not offer, by the start of the test's name.
SCIPY_DIFFERENCES = {
    "TestLogSumExp::test_logsumexp_b": "weights: add log(b) to the logits",
    "TestLogSumExp::test_logsumexp_sign": "signs come only from weights",
    "TestLogSumExp::test_logsumexp_complex_sign": "complex numbers are refused",
    "TestLogSumExp::test_logsumexp_shape": "weights",
    "TestLogSumExp::test_dtypes_a[numpy-complex": "complex numbers are refused",
    "TestLogSumExp::test_dtypes_ab": "weights",
    "TestLogSumExp::test_gh21610": "complex numbers are refused",
    "TestLogSumExp::test_gh21709_small_imaginary": "complex numbers are refused",
    "TestLogSumExp::test_gh22601_infinite_elements": "complex numbers are refused",
    "TestLogSumExp::test_no_writeback": "weights",
    "TestLogSumExp::test_device": "weights",
    "TestLogSumExp::test_gh22903": "weights",
    "TestLogSumExp::test_gh23548": "weights and signs",
}


@pytest.fixture(scope="module")
def onnx_nodes():
    from onnx.backend.test.case import node

    with np.errstate(divide="ignore"):  # one case takes the logarithm of zero
        for module in ("softmax", "logsoftmax", "hardmax", "reduce_log_sum_exp"):
            importlib.import_module(f"onnx.backend.test.case.node.{module}")
    return [case for case in node._NodeTestCases if len(case.model.graph.node) == 1]


def _attributes(case):
    import onnx

    node = case.model.graph.node[0]
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


@pytest.mark.parametrize(
    ("operator", "count"), [("Softmax", 7), ("LogSoftmax", 7), ("Hardmax", 7), ("ReduceLogSumExp", 9)]
)
def test_onnx_nodes_within_four_ulp(onnx_nodes, operator, count):
    cases = [case for case in onnx_nodes if case.model.graph.node[0].op_type == operator]
    assert len(cases) == count
    for case in cases:
        (inputs, outputs), options = case.data_sets[0], _attributes(case)
        if operator == "ReduceLogSumExp":
            axes = tuple(int(d) for d in inputs[1]) if len(inputs) > 1 and inputs[1].size else None
            if axes is None and options.get("noop_with_empty_axes"):
                continue
            keepdims = bool(options.get("keepdims", 1))
            actual = softmaxlib.logsumexp(inputs[0], axes, keepdims=keepdims)
        else:
            function = {
                "Softmax": softmaxlib.softmax,
                "LogSoftmax": softmaxlib.log_softmax,
                "Hardmax": softmaxlib.hardmax,
            }[operator]
            actual = function(inputs[0], options.get("axis", -1))
        expected = np.asarray(outputs[0])
        assert actual.shape == expected.shape, case.name
        assert actual.dtype == expected.dtype, case.name
        error = reference.error_in_ulp(actual, expected.astype(np.longdouble), expected.dtype.name)
        assert np.max(error, initial=0) <= 4, case.name


def test_scipys_own_tests_pass_but_for_the_listed_differences(tmp_path):
    outcomes_file = tmp_path / "outcomes.json"
    source = Path(softmaxlib.__file__).resolve().parents[1]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(source), str(HERE)]),
        "SOFTMAXLIB_OUTCOMES": str(outcomes_file),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=line",
        "-p",
        "scipy_with_softmaxlib",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--pyargs", "scipy.special.tests.test_logsumexp"]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert outcomes_file.exists(), run.stdout + run.stderr
    outcomes = json.loads(outcomes_file.read_text())
    failed = {name for name, outcome in outcomes.items() if outcome == "failed"}
    listed = {name for name in failed if any(name.startswith(start) for start in SCIPY_DIFFERENCES)}
    assert failed == listed, f"{sorted(failed - listed)}\n{run.stdout[-4000:]}"
    assert sum(outcome == "passed" for outcome in outcomes.values()) >= 30
    unused = [start for start in SCIPY_DIFFERENCES if not any(name.startswith(start) for name in failed)]
    assert not unused, "a listed difference is none"
