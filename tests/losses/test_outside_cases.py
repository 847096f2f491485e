"""Cases that others publish: ONNX node vectors, scikit-learn's loss, PyTorch's sample inputs."""

import importlib
import warnings

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn._loss.loss import HalfMultinomialLoss

from softmaxlib import cross_entropy, cross_entropy_grad
from softmaxlib.errors import InvalidInputError


@pytest.fixture(scope="module")
def onnx_cases():
    from onnx.backend.test.case import node

    for operator in ("softmax_cross_entropy_loss", "negativeloglikelihoodloss"):
        importlib.import_module(f"{node.__name__}.{operator}")  # makes its cases: those of all take long
    wanted = ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")
    return [case for case in node._NodeTestCases if case.model.graph.node[0].op_type in wanted]


def _onnx_call(case):
    import onnx

    node = case.model.graph.node[0]
    inputs, outputs = case.data_sets[0]
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    options["reduction"] = options.get("reduction", b"mean").decode()
    if len(inputs) == 3:
        options["class_weight"] = inputs[2]
    return node.op_type, inputs[0], inputs[1], options, outputs


def test_onnx_loss_vectors(onnx_cases):
    assert len(onnx_cases) == 52
    for case in onnx_cases:
        operator, logits, target, options, outputs = _onnx_call(case)
        loss = cross_entropy(logits.astype(np.float64), target, axis=1, **options)
        if operator == "NegativeLogLikelihoodLoss":
            loss = loss - _normalizer(logits, target, **options)
        np.testing.assert_allclose(loss, outputs[0], rtol=3e-6, atol=1e-7, err_msg=case.name)


def _normalizer(log_probabilities, target, reduction, class_weight=None, ignore_index=None):
    """Return what cross-entropy adds if logits aren't log probabilities: their logsumexp, reduced alike."""
    total = logsumexp(log_probabilities.astype(np.float64), axis=1)
    counted = np.ones(target.shape) if ignore_index is None else (target != ignore_index) * 1.0
    row_weight = counted
    if class_weight is not None:
        row_weight = counted * class_weight[np.where(counted > 0, target, 0)]
    rows = row_weight * total
    return {"none": rows, "sum": rows.sum(), "mean": rows.sum() / row_weight.sum()}[reduction]


@pytest.mark.parametrize("classes", [3, 10])
def test_scikit_learns_multinomial_loss(classes):
    rng = np.random.default_rng(1)
    raw = rng.normal(scale=6, size=(300, classes))
    label = rng.integers(0, classes, size=300)
    loss, grad = HalfMultinomialLoss(n_classes=classes).loss_gradient(
        y_true=label.astype(float), raw_prediction=raw
    )
    ours = cross_entropy_grad(raw, label, reduction="none")
    np.testing.assert_allclose(ours.loss, loss, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ours.grad, grad, rtol=1e-12, atol=1e-14)


def _op_db_samples():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    operator = next(entry for entry in op_db if entry.name == "nn.functional.cross_entropy")
    torch.manual_seed(0)
    return list(operator.sample_inputs("cpu", torch.float64, requires_grad=True))


def test_pytorchs_sample_inputs():
    samples = _op_db_samples()
    assert len(samples) > 20
    refused = 0
    for sample in samples:
        logits, target, options = sample.input, sample.args[0].detach(), dict(sample.kwargs)
        given = _with_our_names(options)
        if target.is_floating_point() or (given.get("class_weight", np.ones(1)) < 0).any():
            refused += 1
            with pytest.raises(InvalidInputError, match=r"class_weight must be|each row of target must be"):
                cross_entropy(logits.detach().numpy(), target.numpy(), axis=1, **given)
            target, options = _repaired(target, options)
            given = _with_our_names(options)
        loss = torch.nn.functional.cross_entropy(logits, target, **options)
        (expected,) = torch.autograd.grad(loss.sum(), logits)
        ours = cross_entropy_grad(logits.detach().numpy(), target.numpy(), axis=1, **given)
        np.testing.assert_allclose(ours.loss, loss.detach(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(ours.grad, expected, rtol=1e-12, atol=1e-14)
    assert refused < len(samples)


def _repaired(target, options):
    """The sample within our rules: probabilities that sum to one, no negative weight."""
    if target.is_floating_point():
        target = target / target.sum(dim=1, keepdim=True)
    return target, {name: value.abs() if name == "weight" else value for name, value in options.items()}


def _with_our_names(options):
    given = dict(options)
    weight = given.pop("weight", None)
    return given if weight is None else given | {"class_weight": weight.numpy()}
