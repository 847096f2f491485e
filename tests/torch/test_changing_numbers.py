"""Numbers and dimensions that are arguments of a compiled function, and change from call to call."""

import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib.torch as ours

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 2, 1, 0])
WEIGHT = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))

OF_DIMENSION = {
    "softmax": ours.softmax,
    "log_softmax": ours.log_softmax,
    "softmax at temperatures": lambda x, dim: ours.softmax(x, dim, temperature=torch.tensor(2.0)),
    "several": lambda x, dim: ours.softmax(x, (dim,)),
    "logsumexp": ours.logsumexp,
    "sparsemax": ours.sparsemax,
    "entmax": lambda x, dim: ours.entmax(x, 1.5, dim),
    "entmax of orders": lambda x, dim: ours.entmax(x, torch.tensor(1.5), dim),
}
OF_NUMBER = {
    "temperature": lambda x, one: ours.softmax(x, temperature=one),
    "alpha": ours.entmax,
    "focal_gamma": lambda x, one: ours.cross_entropy(x, TARGET, focal_gamma=one),
    "z_loss": lambda x, one: ours.cross_entropy(x, TARGET, z_loss=one),
    "ignore_index": lambda x, one: ours.cross_entropy(x, TARGET, ignore_index=one),
    "focal_gamma of a binary loss": lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, focal_gamma=one),
    "pos_weight": lambda x, one: ours.sigmoid_cross_entropy(x, x > 0, pos_weight=one),
    "softcap": lambda x, one: ours.linear_cross_entropy(x, WEIGHT, TARGET, softcap=one),
    "z_loss of a layer": lambda x, one: ours.linear_cross_entropy(x, WEIGHT, TARGET, z_loss=one),
    "memory_budget": lambda x, one: ours.linear_cross_entropy(x, WEIGHT, TARGET, memory_budget=40 * one),
}
OF_SHARE = {
    "label_smoothing": lambda x, one: ours.cross_entropy(x, TARGET, label_smoothing=one),
    "label_smoothing of a layer": lambda x, one: ours.linear_cross_entropy(
        x, WEIGHT, TARGET, label_smoothing=one
    ),
}
CASES = (
    [(call, [0, 1, -1]) for call in OF_DIMENSION.values()]
    + [(call, [1, 2, 3]) for call in OF_NUMBER.values()]
    + [(call, [0.1, 0.2, 0.3]) for call in OF_SHARE.values()]
)


@pytest.mark.parametrize(("call", "numbers"), CASES, ids=[*OF_DIMENSION, *OF_NUMBER, *OF_SHARE])
def test_a_changing_number_neither_breaks_the_graph_nor_stays_as_it_was(call, numbers):
    torch.compiler.reset()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    leaf = X.clone().requires_grad_()
    for number in numbers:
        outcomes = []
        for each in (compiled, call):
            result = each(leaf, number)
            outcomes.append((result, *torch.autograd.grad(result.square().sum(), leaf)))
        torch.testing.assert_close(*outcomes)
