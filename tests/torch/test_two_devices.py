"""Tensors on two devices are refused by name; numbers on the CPU go with every device."""

import re

import pytest

pytest.importorskip("torch.nn")

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import softmaxlib.torch as ours
from softmaxlib.errors import InvalidInputError

X = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.eye(3)
LABEL = torch.tensor([0, 1])
NUMBERS = torch.tensor([1.5, 2.0])
MASK = torch.tensor([True, True, False])

CALLS = {  # the argument, how it is passed, and its value
    "softmax": ("where", lambda x, one: ours.softmax(x, where=one), MASK),
    "log_softmax": ("where", lambda x, one: ours.log_softmax(x, where=one), MASK),
    "logsumexp": ("where", lambda x, one: ours.logsumexp(x, where=one), MASK),
    "one mask for all": ("where", lambda x, one: ours.logsumexp(x, where=one), torch.tensor(True)),
    "learned": ("temperature", lambda x, one: ours.softmax(x, temperature=one), NUMBERS.requires_grad_()),
    "temperatures": ("temperature", lambda x, one: ours.softmax(x, temperature=one), NUMBERS.detach()),
    "sparsemax": ("where", lambda x, one: ours.sparsemax(x, where=one), MASK),
    "entmax": ("alpha", ours.entmax, NUMBERS.detach()),
    "labels": ("target", ours.cross_entropy, LABEL),
    "probabilities": ("target", ours.cross_entropy, torch.softmax(X, 1)),
    "class_weight": (
        "class_weight",
        lambda x, one: ours.cross_entropy(x, LABEL.to(x.device), one),
        torch.ones(3),
    ),
    "the loss of existing classes": (
        "where",
        lambda x, one: ours.cross_entropy(x, LABEL.to(x.device), where=one),
        MASK,
    ),
    "sigmoid_cross_entropy": ("target", ours.sigmoid_cross_entropy, torch.ones(2, 3)),
    "weight of elements": ("weight", lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, one), torch.ones(3)),
    "pos_weight": (
        "pos_weight",
        lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, pos_weight=one),
        torch.ones(3),
    ),
    "existing elements": ("where", lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, where=one), MASK),
    "weight of a layer": (
        "weight",
        lambda x, one: ours.linear_cross_entropy(x, one, LABEL.to(x.device)),
        WEIGHT,
    ),
    "bias of a layer": (
        "bias",
        lambda x, one: ours.linear_cross_entropy(x, WEIGHT.to(x.device), LABEL.to(x.device), bias=one),
        torch.ones(3),
    ),
    "labels of a layer": (
        "target",
        lambda x, one: ours.linear_cross_entropy(x, WEIGHT.to(x.device), one),
        LABEL,
    ),
}
ONE_NUMBER = {
    "temperature": lambda x, one: ours.softmax(x, temperature=one),
    "alpha": ours.entmax,
    "weight": lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, one),
    "pos_weight": lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, pos_weight=one),
}


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.parametrize(("own", "other"), [("cpu", "meta"), ("meta", "cpu")])
def test_another_device_than_the_inputs_is_refused_by_name(case, own, other):
    name, call, value = CALLS[case]
    message = f"{name} must be on the device of input, {own}"
    with pytest.raises(
        InvalidInputError, match=f"^{message}.*, got a tensor on {other}; move one of them with"
    ):
        call(X.to(own), value.to(other))
    assert call(X.to(own), value.to(own)).device.type == own


def test_a_layer_made_on_the_device_meta_is_not_computed_with():
    with torch.device("meta"):
        layer = ours.CrossEntropyLoss(torch.ones(3))
    with pytest.raises(InvalidInputError, match="class_weight must be on the device of input, cpu, got"):
        layer(X, LABEL)


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_one_number_on_the_cpu_goes_with_every_device(name):
    call, number = ONE_NUMBER[name], torch.tensor(1.5)
    for one in (number, number.clone().requires_grad_()):
        assert call(X.to("meta"), one).is_meta
    rule = re.escape(f"{name} must be on the device of input, cpu, got a tensor on meta; move")
    with pytest.raises(InvalidInputError, match=rule):
        call(X, number.to("meta"))


@pytest.mark.parametrize("function", [ours.softmax, ours.log_softmax])
def test_a_temperature_without_a_number_gives_a_result_without_numbers(function):
    for x in (X, X[0, 0]):
        result = function(x.to("meta"), temperature=torch.tensor(2.0, device="meta"))
        assert result.is_meta
        assert result.shape == x.shape
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(X)
        assert function(fake, temperature=mode.from_tensor(torch.tensor(2.0))).shape == X.shape
