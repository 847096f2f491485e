"""entmax above alpha 2, where an entry rises from 0 with infinite slope: against 250 digits, and the laws."""

import array_api_strict
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch

from softmaxlib import entmax, entmax_vjp

ORDERS = [2.0001, 2.5, 4.0, 20.0, 60.0]
LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.tensor,
    "jax": jnp.asarray,
    "strict": array_api_strict.asarray,
}
rng = np.random.default_rng(0)
ROWS = {
    "normal": rng.normal(size=(4, 7)),
    "flat": rng.normal(scale=1e-3, size=(2, 20)),
    "ties": np.array([[0.0] * 9, [0.25, 0.25, 0, 0, 0.25, -1, 0.25, 0, -2]]),
    "almost ties": np.array([[0.0, 1e-6, -3.0], [0.0, -1e-9, 1e-7], [5.0, 5.0 + 1e-12, 5.0 - 1e-12]]),
}


def exact(row, alpha, digits=250):
    """Bisect the logarithm of the largest probability q: the sum of (q^d + d (x - max))^(1 / d) is 1."""
    with mpmath.workdps(digits):
        x, d = [mpmath.mpf(one) for one in row], mpmath.mpf(alpha) - 1
        top = max(x)

        def at(logarithm):
            terms = [mpmath.exp(d * logarithm) + d * (one - top) for one in x]
            return [term ** (1 / d) if term > 0 else mpmath.mpf(0) for term in terms]

        low, high = -mpmath.log(len(x)), mpmath.mpf(0)
        for _ in range(int(3.4 * digits)):
            middle = (low + high) / 2
            low, high = (middle, high) if mpmath.fsum(at(middle)) < 1 else (low, middle)
        return at(high)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("alpha", ORDERS)
def test_values_are_those_of_250_digits(alpha, rows):
    x = ROWS[rows]
    truth = np.array([[float(one) for one in exact(row, alpha)] for row in x])
    of_rows = entmax(x, np.full(len(x), alpha))
    for result in (entmax(x, alpha), entmax(x.T, alpha, 0).T, of_rows):
        np.testing.assert_allclose(result, truth, rtol=2e-14, atol=2e-16)
        np.testing.assert_allclose(result.sum(axis=1), 1, rtol=4e-16)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("classes", "alpha"), [(10, 20.0), (1000, 3.0), (1000, 6.0), (50_000, 4.0), (3, 400.0)]
)
def test_equal_logits_get_equal_probabilities_whose_sum_is_1(classes, alpha, library):
    x = LIBRARIES[library](np.full((1, classes), 3.25, np.float32))
    for order in (alpha, LIBRARIES[library](np.array([alpha], np.float32))):
        p = np.asarray(entmax(x, order), np.float64)
        np.testing.assert_array_equal(p, p[0, 0])
        assert p.sum() == pytest.approx(1, rel=5e-7)


@pytest.mark.parametrize("alpha", [1.3, 1.7, 1.9, 1.99, 0.5])
def test_equal_logits_get_equal_probabilities_at_lower_orders_too(alpha):
    assert float(entmax(torch.zeros(50_000), alpha).double().sum()) == pytest.approx(1, rel=5e-7)
    assert entmax(np.zeros(50_000), alpha).sum() == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("alpha", [3.0, 20.0, 60.0])
def test_rows_of_float32_sum_to_1_where_an_entry_has_just_entered(alpha):
    gaps = np.logspace(-7, 0, 200, dtype=np.float32)
    x = np.stack([np.zeros_like(gaps), -gaps], axis=1)
    for array in (torch.tensor, jnp.asarray):
        p = np.asarray(entmax(array(x), alpha), np.float64)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=2e-7)
        assert (np.diff(p[:, 0]) >= -2e-7).all()  # the further ahead, the more probable


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own forward mode
@pytest.mark.parametrize("alpha", ORDERS)
def test_derivatives_are_those_of_exact_differences(alpha):
    """By the logits and by the order, forward and backward."""
    rows = np.array([[0.3, 0.1, -0.2, 0.25], [1.0, 0.999, 0.998, -4.0]])
    direction, g = np.random.default_rng(1).normal(size=(2, 2, 4))

    def slopes(row, by_row, by_order):
        ends = []
        for sign in (1, -1):
            with mpmath.workdps(400):
                step = sign * mpmath.mpf(10) ** -150
                moved = [mpmath.mpf(x) + step * mpmath.mpf(d) for x, d in zip(row, by_row, strict=True)]
                ends.append(exact(moved, mpmath.mpf(alpha) + step * by_order, 400))
        return [
            float((ahead - behind) / (2 * mpmath.mpf(10) ** -150))
            for ahead, behind in zip(*ends, strict=True)
        ]

    along = np.array([slopes(row, t, 0) for row, t in zip(rows, direction, strict=True)])
    of_order = np.array([slopes(row, np.zeros(4), 1) for row in rows])
    near = {"rtol": 1e-9, "atol": 1e-12}
    x, t, orders = torch.tensor(rows), torch.tensor(direction), torch.full((2, 1), alpha, dtype=torch.float64)
    # the Jacobian is symmetric
    np.testing.assert_allclose(entmax_vjp(entmax(rows, alpha), direction, alpha), along, **near)
    for order in (alpha, orders):
        _, tangent = torch.func.jvp(lambda x, order=order: entmax(x, order), (x,), (t,))
        np.testing.assert_allclose(tangent.numpy(), along, **near)
        leaf = x.clone().requires_grad_()
        entmax(leaf, order).backward(torch.tensor(g))
        np.testing.assert_allclose((leaf.grad * t).sum(1).numpy(), (g * along).sum(1), **near)
    _, tangent = torch.func.jvp(lambda order: entmax(x, order), (orders,), (torch.ones_like(orders),))
    np.testing.assert_allclose(tangent.numpy(), of_order, **near)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own forward mode
def test_pytorchs_own_gradient_checks():
    x = torch.tensor([[0.3, 0.1, -0.2, 0.25], [0.0, 0.0, 0.0, -0.1]], dtype=torch.float64, requires_grad=True)
    orders = torch.tensor([2.5, 3.0], dtype=torch.float64, requires_grad=True)
    for function, inputs in ((lambda x: entmax(x, 2.5), (x,)), (entmax, (x, orders))):
        assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slopes_beyond_the_largest_number_are_not_nan(dtype):
    """Equal entries among which nothing moves, by logits and by the order; and the limit of a steep entry."""
    x = torch.zeros(1, 1000, dtype=dtype, requires_grad=True)
    order = torch.tensor([200.0], dtype=dtype, requires_grad=True)
    for alpha in (200.0, order):
        p = entmax(x, alpha)
        (of_x,) = torch.autograd.grad(p.sum(), x, retain_graph=True)
        assert (of_x == 0).all()
    p[0, 0].backward()
    assert torch.isfinite(order.grad).all()
    assert abs(order.grad) < 1e-6
    leaf = torch.tensor([0.0, 1e-6], dtype=dtype, requires_grad=True)
    p = entmax(leaf, 60.0)
    p[0].backward()
    slope = p[1].item() ** -58  # what the larger entry loses, the smaller one gains
    np.testing.assert_allclose(leaf.grad.double(), [slope, -slope], rtol=1e-5)
