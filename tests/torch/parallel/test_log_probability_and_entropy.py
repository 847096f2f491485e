import mpmath
import pytest
import sharded
import torch
from test_parallel_cross_entropy import ulps

import softmaxlib.torch


def truth(x, y):
    """The entropy of each row, in many digits."""
    found = []
    with mpmath.workdps(80):
        for row in x.tolist():
            logits = [mpmath.mpf(v) for v in row if v != -torch.inf]
            total = mpmath.fsum(mpmath.exp(v) for v in logits)
            p = [mpmath.exp(v) / total for v in logits]
            found.append(float(-mpmath.fsum(one * mpmath.log(one) for one in p)))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(torch.float32, 1.0), (torch.float32, 30.0), (torch.float64, 2.0)]
)
def test_values_and_gradients(ranks, dtype, scale):
    x, y = sharded.rows(dtype, scale)
    x[3], y[3] = 0.5, 2
    x[6] = torch.where(x[6].isfinite(), x[6], -20.0)
    generator = torch.Generator().manual_seed(2)
    upstream = [torch.rand(sharded.N, generator=generator, dtype=dtype) for _ in range(2)]
    wide = x.double().clone().requires_grad_()
    log_p = torch.log_softmax(wide, 1)
    expected = log_p.gather(1, y.unsqueeze(1)).squeeze(1), -(log_p.exp() * log_p).sum(1)
    torch.autograd.backward(expected, [one.double() for one in upstream])
    for cuts in sharded.CUTS:
        found = ranks.run(sharded.log_probability_and_entropy, cuts, x, y, upstream, world=len(cuts) + 1)
        joined = torch.cat([gradient for _, _, gradient in found], 1)
        if not cuts:
            log_probability, entropy, gradient = found[0]
        for on_rank in found:
            assert torch.equal(on_rank[0], log_probability)
            assert torch.equal(on_rank[1], entropy)
        assert torch.equal(joined, gradient)
    exact_entropy = truth(x, y)
    if dtype == torch.float32:
        assert ulps(entropy, exact_entropy.float()) <= 1
        torch.testing.assert_close(gradient.double(), wide.grad, rtol=2e-6, atol=1e-9)
    else:
        assert ulps(entropy, exact_entropy.double()) <= 2
        torch.testing.assert_close(gradient, wide.grad, rtol=1e-12, atol=1e-14)
    assert ulps(-log_probability, softmaxlib.torch.cross_entropy(x, y, reduction="none").detach()) <= 1


def test_ignored_rows_are_zero(ranks):
    x, y = sharded.rows(torch.float32, 1.0)
    upstream = [torch.ones(sharded.N)] * 2
    found = ranks.run(sharded.log_probability_and_entropy, [18], x, y, upstream, world=2)
    for log_probability, entropy, gradient in found:
        assert log_probability[3] == entropy[3] == 0
        assert (gradient[3] == 0).all()
        assert gradient.isfinite().all()
