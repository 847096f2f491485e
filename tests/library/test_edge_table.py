"""The table of edges in docs/accuracy.md, run over every dtype and every front end."""

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import softmaxlib
import softmaxlib.jax
import softmaxlib.torch

INF, NAN = np.inf, np.nan
DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}


def strict(values):
    return array_api_strict.asarray(values)


def tensor(values):
    if values.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(values.astype(np.float32)).bfloat16()
    return torch.from_numpy(values)


FRONT_ENDS = {
    "NumPy": (softmaxlib, np.asarray),
    "array API": (softmaxlib, strict),
    "plain on tensors": (softmaxlib, tensor),
    "plain on JAX": (softmaxlib, jnp.asarray),
    "torch": (softmaxlib.torch, tensor),
    "JAX": (softmaxlib.jax, jnp.asarray),
    "JAX under jit": (None, jnp.asarray),
}
CASES = [
    (front_end, dtype)
    for front_end in FRONT_ENDS
    for dtype in DTYPES
    if front_end != "array API" or dtype in ("float32", "float64")  # it has no half precision
]


def evaluate(front_end, dtype, name, row, **options):
    """The function of one row between two others, as float64; its neighbours stay finite."""
    module, array = FRONT_ENDS[front_end]
    rows = np.array([[0.5, 1.0, 2.0], row, [1.0, 1.0, 0.0]]).astype(DTYPES[dtype])
    if "where" in options:
        mask = np.array([[True] * 3, options["where"], [True] * 3])
        options["where"] = array(mask)
    with jax.enable_x64(True):
        if module is None:
            result = jax.jit(lambda x: getattr(softmaxlib.jax, name)(x, **options))(array(rows))
        else:
            result = getattr(module, name)(array(rows), **options)
        result = result.float().numpy() if isinstance(result, torch.Tensor) else np.asarray(result)
    result = result.astype(np.float64)
    assert np.isfinite(result[[0, 2]]).all()
    return result[1]


HALF = -np.log(2.0)
# name: row, mask, softmax, log_softmax, logsumexp
EDGES = {
    "a whole row -inf, no mask": ([-INF] * 3, None, [NAN] * 3, [NAN] * 3, -INF),
    "a whole row masked": ([NAN, INF, 1.0], [False] * 3, [0.0] * 3, [-INF] * 3, -INF),
    "NaN under a mask": (
        [1.0, NAN, 1.0],
        [True, False, True],
        [0.5, 0, 0.5],
        [HALF, -INF, HALF],
        1 - HALF,
    ),
    "+inf under a mask": (
        [1.0, INF, 1.0],
        [True, False, True],
        [0.5, 0, 0.5],
        [HALF, -INF, HALF],
        1 - HALF,
    ),
    "+inf in a row": ([1.0, INF, 2.0], None, [NAN] * 3, [NAN] * 3, INF),
    "NaN in a row": ([1.0, NAN, 2.0], None, [NAN] * 3, [NAN] * 3, NAN),
    "-inf beside finite": ([-INF, 1.0, 1.0], None, [0, 0.5, 0.5], [-INF, HALF, HALF], 1 - HALF),
}


@pytest.mark.parametrize(("front_end", "dtype"), CASES)
@pytest.mark.parametrize("edge", EDGES)
def test_activations(edge, front_end, dtype):
    row, mask, softmax, log_softmax, total = EDGES[edge]
    options = {} if mask is None else {"where": mask}
    close = {"rtol": 2e-2 if dtype == "bfloat16" else 2e-3 if dtype == "float16" else 1e-6}
    np.testing.assert_allclose(evaluate(front_end, dtype, "softmax", row, **options), softmax, **close)
    np.testing.assert_allclose(
        evaluate(front_end, dtype, "log_softmax", row, **options), log_softmax, **close
    )
    np.testing.assert_allclose(evaluate(front_end, dtype, "logsumexp", row, **options), total, **close)


OPTIONS = [
    {},
    {"label_smoothing": 0.1},
    {"focal_gamma": 2.0},
    {"z_loss": 0.1},
    {"focal_gamma": 2.0, "label_smoothing": 0.1},
]


def losses_and_gradient(front_end, logits, target, where, **options):
    """Losses of rows, and the gradient of their sum by the logits, as float64."""
    module, array = FRONT_ENDS[front_end]
    x, y, mask = array(logits), array(np.array(target)), None if where is None else array(np.array(where))
    with jax.enable_x64(True):
        if front_end in ("NumPy", "array API", "plain on JAX"):
            result = module.cross_entropy_grad(x, y, where=mask, reduction="none", **options)
            return tuple(np.asarray(one).astype(np.float64) for one in result)
        if "JAX" in front_end:

            def loss(x):
                losses = softmaxlib.jax.cross_entropy(x, y, where=mask, reduction="none", **options)
                return losses.sum(), losses

            gradient, losses = jax.grad(loss, has_aux=True)(x)
            return np.asarray(losses).astype(np.float64), np.asarray(gradient).astype(np.float64)
        x = x.requires_grad_()
        if module is softmaxlib.torch:
            options = {"ignore_index": None} | options
        losses = module.cross_entropy(x, y, where=mask, reduction="none", **options)
        losses.sum().backward()
        return losses.detach().double().numpy(), x.grad.double().numpy()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["labels", "probabilities"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_cross_entropy_under_a_mask(front_end, dtype, soft, options):
    """Masked throughout: 0 and gradient 0. Only the target masked: inf. What a mask hides never leaks."""
    logits = np.array([[NAN, 1.0, INF], [1.0, 2.0, 0.5], [0.5, 1.0, NAN]]).astype(dtype)
    where = [[False] * 3, [True, False, True], [True, True, False]]
    label = [0, 1, 0]
    target = np.eye(3)[label].astype(dtype) if soft else label
    losses, gradient = losses_and_gradient(front_end, logits, target, where, **options)
    assert losses[0] == 0
    assert losses[1] == INF
    np.testing.assert_array_equal(gradient[0], np.zeros(3))
    alone = softmaxlib.cross_entropy_grad(
        np.array([[0.5, 1.0]]), np.array([[1.0, 0.0]]) if soft else np.array([0]), **options
    )
    np.testing.assert_allclose(losses[2], alone.loss, rtol=1e-6)
    np.testing.assert_allclose(gradient[2], [*alone.grad[0], 0.0], rtol=2e-6)
    assert np.isfinite(gradient[1]).all()
    assert gradient[1, 1] == 0


def test_a_row_masked_throughout_counts_in_the_mean():
    logits, where = np.zeros((2, 2)), np.array([[True, True], [False, False]])
    for module, array in (
        FRONT_ENDS["NumPy"],
        FRONT_ENDS["torch"],
        FRONT_ENDS["JAX"],
        FRONT_ENDS["array API"],
    ):
        loss = module.cross_entropy(array(logits), array(np.array([0, 0])), where=array(where))
        np.testing.assert_allclose(float(loss), np.log(2) / 2, rtol=1e-6)


@pytest.mark.parametrize("front_end", [*FRONT_ENDS][2:])
def test_the_derivative_by_a_target_of_zero_is_minus_log_p(front_end):
    """0 x -inf is 0 in the loss, and its derivative by the target -log p, which is inf there."""
    logits = np.array([[10.0, 1.0, -2.0], [0.0, 0.0, -INF]])
    target = np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    expected = -softmaxlib.log_softmax(logits)
    module, array = FRONT_ENDS[front_end]
    if "JAX" in front_end:
        with jax.enable_x64(True):
            function = (module or softmaxlib.jax).cross_entropy
            slope = jax.grad(lambda q: function(jnp.asarray(logits), q, reduction="sum"))
            slope = jax.jit(slope) if module is None else slope
            result = np.asarray(slope(jnp.asarray(target)))
    else:
        q = array(target).requires_grad_()
        module.cross_entropy(array(logits), q, reduction="sum").backward()
        result = q.grad.numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("front_end", [*FRONT_ENDS][2:])
def test_no_logit_moves_a_logsumexp_of_nothing(front_end):
    """The first and second derivatives of a row that is -inf throughout, masked or not, are 0."""
    x = np.array([[-INF, -INF, -INF], [1.0, 2.0, -INF], [-INF, 5.0, 0.0]])
    where = np.array([[True] * 3, [True] * 3, [True, False, False]])
    expected = np.zeros((3, 3))
    expected[1] = softmaxlib.softmax(x[1])
    module, array = FRONT_ENDS[front_end]
    if "JAX" in front_end:
        with jax.enable_x64(True):
            function = (module or softmaxlib.jax).logsumexp

            def first(x):
                return jax.grad(lambda x: function(x, where=jnp.asarray(where))[:].sum())(x)

            second = jax.grad(lambda x: (first(x) ** 2).sum())
            first, second = (jax.jit(first), jax.jit(second)) if module is None else (first, second)
            gradient, again = np.asarray(first(jnp.asarray(x))), np.asarray(second(jnp.asarray(x)))
    else:
        leaf = array(x.copy()).requires_grad_()
        module.logsumexp(leaf, where=torch.from_numpy(where)).sum().backward()
        gradient = leaf.grad.clone().numpy()
        (slope,) = torch.autograd.grad(
            module.logsumexp(leaf, where=torch.from_numpy(where)).sum(), leaf, create_graph=True
        )
        (again,) = (one.numpy() for one in torch.autograd.grad((slope**2).sum(), leaf))
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    np.testing.assert_array_equal(again[[0, 2]], np.zeros((2, 3)))
    assert np.isfinite(again).all()
