"""Programs that are exported once, for any number of rows."""

import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib
import softmaxlib.torch as ours

WEIGHT = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
HEAD = ours.MarginHead(3, 5)

CALLS = {
    "softmax": lambda x, t, y: softmaxlib.softmax(x, where=t > 0),
    "log_softmax": lambda x, t, y: softmaxlib.log_softmax(x, temperature=2.0),
    "logsumexp": lambda x, t, y: softmaxlib.logsumexp(x),
    "log_softmax_vjp": lambda x, t, y: softmaxlib.log_softmax_vjp(x, t),
    "sparsemax_vjp": lambda x, t, y: softmaxlib.sparsemax_vjp(softmaxlib.sparsemax(x), t),
    "entmax_vjp": lambda x, t, y: softmaxlib.entmax_vjp(softmaxlib.entmax(x), t),
    "margin": lambda x, t, y: softmaxlib.margin(x, y, scale=4.0),
    "cross_entropy": lambda x, t, y: softmaxlib.cross_entropy(x, y),
    "cross_entropy of shares": lambda x, t, y: softmaxlib.cross_entropy(x, softmaxlib.softmax(t)),
    "cross_entropy_grad": lambda x, t, y: softmaxlib.cross_entropy_grad(x, y)[1],
    "sigmoid_cross_entropy": lambda x, t, y: softmaxlib.sigmoid_cross_entropy(x, softmaxlib.sigmoid(t)),
    "linear_cross_entropy": lambda x, t, y: softmaxlib.linear_cross_entropy(x, WEIGHT, y),
    "linear_cross_entropy_grad": lambda x, t, y: softmaxlib.linear_cross_entropy_grad(x, WEIGHT, y)[1],
    "torch.softmax": lambda x, t, y: ours.softmax(x),
    "torch.cross_entropy": lambda x, t, y: ours.cross_entropy(x, y, focal_gamma=2.0),
    "torch.linear_cross_entropy": lambda x, t, y: ours.linear_cross_entropy(x, WEIGHT, y),
    "torch.linear_cross_entropy of rows": lambda x, t, y: ours.linear_cross_entropy(
        x, WEIGHT, y, softcap=3.0, reduction="none"
    ),
    "MarginHead": lambda x, t, y: HEAD(x, y),
}


class Module(torch.nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call, self.head = call, HEAD

    def forward(self, x, t, y):
        return self.call(x, t, y)


def rows(count):
    generator = torch.Generator().manual_seed(count)
    x, t = torch.randn(2, count, 3, generator=generator)
    return x, t, torch.randint(3, (count,), generator=generator)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", CALLS)
def test_a_program_for_any_number_of_rows(name, strict):
    sizes = ({0: torch.export.Dim("rows", min=2)},) * 3
    program = torch.export.export(Module(CALLS[name]), rows(4), dynamic_shapes=sizes, strict=strict).module()
    for count in (2, 7, 100):
        torch.testing.assert_close(program(*rows(count)), CALLS[name](*rows(count)), rtol=1e-5, atol=1e-6)
