"""Every public array function on arrays of every library: same kind, same dtype, right values.

One table drives the file: a function added to ``CASES`` is tried on each library, in each dtype, and
compared with itself on NumPy. Functions on NumPy have tests of their own; that every public name is in a
table is asked in ``test_every_kind_of_array.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_compat
import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import softmaxlib
from softmaxlib.errors import UnsupportedTypeError

rng = np.random.default_rng(7)
LOGITS = rng.normal(scale=2, size=(3, 5))
SIMPLEX = np.abs(LOGITS) / np.abs(LOGITS).sum(axis=1, keepdims=True)
COSINE = np.tanh(LOGITS / 2)
TARGET = np.array([3, 0, 2])
PRIOR = np.array([0.1, 0.1, 0.2, 0.2, 0.4])
WEIGHT = rng.normal(size=(5, 5))
MASK = np.array([[True, True, False, True, True]])
ROUNDED = {"scale": 4.0}
SENSITIVE = {"integers": False, "scale": 4.0}  # differences of numbers up to 4


@dataclass(frozen=True)
class Case:
    """One call: the arrays that it takes (floating), and what to do with them."""

    name: str
    call: Callable[..., Any]
    arrays: tuple[np.ndarray, ...] = (LOGITS,)
    integers: bool = True
    """Whether integers in place of the floats make sense."""
    scale: float = 1.0
    """Size of the numbers whose rounding shows in the result."""


CASES = [
    Case("adjust_prior", lambda x: softmaxlib.adjust_prior(x, PRIOR, PRIOR[::-1])),
    Case(
        "adjust_prior, axis 0", lambda x: softmaxlib.adjust_prior(x, [0.2, 0.3, 0.5], [0.5, 0.2, 0.3], axis=0)
    ),
    Case("adjust_prior_vjp", lambda x: softmaxlib.adjust_prior_vjp(x, PRIOR, [0.5, 0.5, 0, 0, 0])),
    Case("cross_entropy", lambda x: softmaxlib.cross_entropy(x, TARGET), **ROUNDED),
    Case(
        "cross_entropy, all options",
        lambda x: softmaxlib.cross_entropy(
            x,
            [4, 2, 1, 1, 2],
            axis=0,
            class_weight=PRIOR[:3],
            label_smoothing=0.1,
            ignore_index=4,
            focal_gamma=1.5,
            z_loss=0.1,
            where=MASK[:, :1] | [[True], [True], [False]],
            reduction="none",
        ),
        **ROUNDED,
    ),
    Case(
        "cross_entropy, probabilities, both axes",
        lambda x: softmaxlib.cross_entropy(x, SIMPLEX / 3, axis=None, reduction="sum"),
        **ROUNDED,
    ),
    Case("cross_entropy_grad", lambda x: softmaxlib.cross_entropy_grad(x, TARGET).grad, **ROUNDED),
    Case(
        "cross_entropy_grad, both axes, mask",
        lambda x: softmaxlib.cross_entropy_grad(x, 3, axis=None, z_loss=0.1, where=MASK).grad,
        **ROUNDED,
    ),
    Case("entmax", softmaxlib.entmax),
    Case("entmax, order 1", lambda x: softmaxlib.entmax(x, 1.0)),
    Case("entmax, order 1.3", lambda x: softmaxlib.entmax(x, 1.3)),
    Case("entmax, axis 0, mask", lambda x: softmaxlib.entmax(x, axis=0, where=MASK)),
    Case("entmax_vjp", softmaxlib.entmax_vjp, (SIMPLEX, LOGITS), **SENSITIVE),
    Case(
        "entmax_vjp, order 1.3", lambda p, g: softmaxlib.entmax_vjp(p, g, 1.3), (SIMPLEX, LOGITS), **SENSITIVE
    ),
    Case("gumbel_softmax", lambda x: softmaxlib.gumbel_softmax(x, 0.7, seed=1)),
    Case("gumbel_softmax, hard", lambda x: softmaxlib.gumbel_softmax(x, 0.7, hard=True, seed=1)),
    Case(
        "gumbel_softmax_vjp",
        lambda x, g: softmaxlib.gumbel_softmax_vjp(x, g, 0.7, seed=1, where=MASK),
        (LOGITS, 0.1 * LOGITS),
    ),
    Case("hardmax", softmaxlib.hardmax),
    Case("hardmax, axis 0", lambda x: softmaxlib.hardmax(x, axis=0)),
    Case("hardmax, all axes", lambda x: softmaxlib.hardmax(x, axis=None)),
    Case(
        "linear_cross_entropy",
        lambda x, w: softmaxlib.linear_cross_entropy(x, w, TARGET, bias=PRIOR, softcap=2.0),
        (LOGITS, WEIGHT),
        **SENSITIVE,
    ),
    Case(
        "linear_cross_entropy_grad",
        lambda x, w: (
            softmaxlib.linear_cross_entropy_grad(x, w, TARGET, ignore_index=0, memory_budget=1000).weight_grad
        ),
        (LOGITS, WEIGHT),
        **SENSITIVE,
    ),
    Case("log_sigmoid", softmaxlib.log_sigmoid),
    Case("log_softmax", softmaxlib.log_softmax, **ROUNDED),
    Case("log_softmax, axis 0", lambda x: softmaxlib.log_softmax(x, axis=0), **ROUNDED),
    Case("log_softmax_jvp", softmaxlib.log_softmax_jvp, (SIMPLEX, LOGITS), **SENSITIVE),
    Case("log_softmax_vjp", softmaxlib.log_softmax_vjp, (SIMPLEX, LOGITS), **SENSITIVE),
    Case(
        "log_softmax_vjp, mask",
        lambda p, g: softmaxlib.log_softmax_vjp(p, g, where=MASK),
        (SIMPLEX, LOGITS),
        **SENSITIVE,
    ),
    Case("logsumexp", softmaxlib.logsumexp, **ROUNDED),
    Case("logsumexp, mask, kept", lambda x: softmaxlib.logsumexp(x, where=MASK, keepdims=True), **ROUNDED),
    Case("margin", lambda x: softmaxlib.margin(x, TARGET, scale=2.0, angular=0.5), (COSINE,), **SENSITIVE),
    Case(
        "margin, axis 0",
        lambda x: softmaxlib.margin(x, [2, 0, 1, 1, 0], scale=1.0, additive=0.3, axis=0),
        (COSINE,),
    ),
    Case(
        "margin_vjp",
        lambda x, g: softmaxlib.margin_vjp(x, TARGET, g, scale=2.0, angular=0.5),
        (COSINE, LOGITS),
        **SENSITIVE,
    ),
    Case("normalize", softmaxlib.normalize, (np.abs(LOGITS) + 0.1,), integers=False),
    Case("sigmoid", softmaxlib.sigmoid),
    Case("sigmoid_cross_entropy", lambda x: softmaxlib.sigmoid_cross_entropy(x, SIMPLEX), **ROUNDED),
    Case(
        "sigmoid_cross_entropy, all options",
        lambda x: softmaxlib.sigmoid_cross_entropy(
            x,
            SIMPLEX > 0.2,
            weight=[[1.0], [2.0], [0.5]],
            pos_weight=PRIOR,
            label_smoothing=0.1,
            focal_gamma=1.5,
            where=MASK,
            reduction="none",
        ),
        **ROUNDED,
    ),
    Case(
        "sigmoid_cross_entropy_grad",
        lambda x: softmaxlib.sigmoid_cross_entropy_grad(x, SIMPLEX > 0.2, where=MASK).grad,
    ),
    Case("softcap", lambda x: softmaxlib.softcap(x, 3.0)),
    Case("softcap_vjp", lambda x, g: softmaxlib.softcap_vjp(x, g, 3.0), (LOGITS, LOGITS)),
    Case("softmax", softmaxlib.softmax),
    Case("softmax, temperature, both axes", lambda x: softmaxlib.softmax(x, axis=None, temperature=0.7)),
    Case("softmax, mask", lambda x: softmaxlib.softmax(x, where=MASK)),
    Case("softmax_jacobian", softmaxlib.softmax_jacobian, (SIMPLEX,), integers=False),
    Case("softmax_jvp", softmaxlib.softmax_jvp, (SIMPLEX, LOGITS), **SENSITIVE),
    Case("sparsemax", softmaxlib.sparsemax),
    Case("sparsemax, both axes", lambda x: softmaxlib.sparsemax(x, axis=(0, 1))),
    Case("sparsemax_vjp", softmaxlib.sparsemax_vjp, (SIMPLEX, LOGITS), **SENSITIVE),
]


@dataclass(frozen=True)
class Library:
    """How to make an array of a library, and how to read it back."""

    name: str
    kind: type
    make: Callable[[np.ndarray, str], Any]
    dtypes: tuple[str, ...]
    integer_result: str = "float64"

    def compile(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """As its users run it: jax compiled, which is also quicker than compiling each step alone."""
        return jax.jit(call) if self.name == "jax" else call

    def read(self, array: Any) -> np.ndarray:
        if self.kind is torch.Tensor:
            array = array.detach().to(torch.float64)
        values = np.from_dlpack(array) if self.name == "elsewhere" else np.asarray(array)
        return values.astype(np.float64)


ELSEWHERE = array_api_strict.Device("device1")
LIBRARIES = [
    Library(
        "torch",
        torch.Tensor,
        lambda values, dtype: torch.asarray(values).to(getattr(torch, dtype)),
        ("float16", "bfloat16", "float32", "float64"),
    ),
    Library(
        "jax",
        jnp.ndarray,
        lambda values, dtype: jnp.asarray(values.astype(np.float32)).astype(dtype),
        ("float32",),
        integer_result="float32",
    ),
    Library(
        "array_api_strict",
        array_api_strict._array_object.Array,
        lambda values, dtype: array_api_strict.asarray(values.astype(dtype)),
        ("float32", "float64"),
    ),
    Library(  # its arrays refuse to be taken for NumPy's, as those of a GPU do
        "elsewhere",
        array_api_strict._array_object.Array,
        lambda values, dtype: array_api_strict.asarray(values.astype(dtype), device=ELSEWHERE),
        ("float32",),
    ),
]
DTYPE_GRID = [
    pytest.param(library, dtype, id=f"{library.name}-{dtype}")
    for library in LIBRARIES
    for dtype in library.dtypes
]
LIBRARY_GRID = [pytest.param(library, id=library.name) for library in LIBRARIES]


def epsilon(dtype: str) -> float:
    return float(ml_dtypes.finfo(dtype).eps)


@pytest.mark.parametrize(("library", "dtype"), DTYPE_GRID)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_kind_dtype_and_values(case, library, dtype):
    arrays = tuple(library.make(values, dtype) for values in case.arrays)
    result = library.compile(case.call)(*arrays)
    assert isinstance(result, library.kind)
    assert result.dtype == arrays[0].dtype
    assert array_api_compat.device(result) == array_api_compat.device(arrays[0])
    rounded = [library.read(array) for array in arrays]
    expected = case.call(*rounded)
    assert result.shape == expected.shape
    absolute = 4 * case.scale * epsilon(dtype)
    np.testing.assert_allclose(library.read(result), expected, rtol=8 * epsilon(dtype), atol=absolute)


@pytest.mark.parametrize("library", LIBRARY_GRID)
@pytest.mark.parametrize("case", [case for case in CASES if case.integers], ids=lambda case: case.name)
def test_integers_become_the_widest_float(case, library):
    integers = [np.rint(values).astype(np.int32) for values in case.arrays]
    result = library.compile(case.call)(*(library.make(values, "int32") for values in integers))
    assert str(result.dtype).endswith(library.integer_result)
    assert array_api_compat.device(result) == array_api_compat.device(library.make(integers[0], "int32"))
    np.testing.assert_allclose(library.read(result), case.call(*integers), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("library", LIBRARY_GRID)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_refuses_bool_and_complex(case, library, dtype):
    arrays = [library.make(values, "float32") for values in case.arrays]
    arrays[0] = library.make(case.arrays[0], dtype) if library.name != "jax" else arrays[0].astype(dtype)
    with pytest.raises(UnsupportedTypeError, match="must be real numbers, got dtype"):
        case.call(*arrays)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("function", [softmaxlib.sigmoid, softmaxlib.softmax, softmaxlib.entmax])
def test_jax_half_precision_is_rounded_once(function, dtype):
    x = jnp.asarray(LOGITS, dtype)
    result = jax.jit(function)(x)
    assert result.dtype == dtype
    exact = function(np.asarray(x).astype(np.float64))
    np.testing.assert_allclose(np.asarray(result).astype(np.float64), exact, rtol=0.51 * epsilon(dtype))


DIFFERENTIABLE = [
    case
    for case in CASES
    if len(case.arrays) == 1 and not case.name.startswith(("hardmax", "gumbel_softmax, hard"))
]


def central_difference(case: Case, direction: np.ndarray, cotangent: np.ndarray) -> float:
    step = 1e-5
    (x,) = case.arrays
    ahead, behind = case.call(x + step * direction), case.call(x - step * direction)
    return float((cotangent * (ahead - behind)).sum() / (2 * step))


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.name)
def test_torch_differentiates_it(case):
    direction = rng.normal(size=case.arrays[0].shape)
    x = torch.tensor(case.arrays[0], requires_grad=True)
    result = case.call(x)
    cotangent = rng.normal(size=result.shape)
    result.backward(torch.tensor(cotangent))
    expected = central_difference(case, direction, cotangent)
    assert float((x.grad.numpy() * direction).sum()) == pytest.approx(expected, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.name)
def test_jax_compiles_and_differentiates_it(case):
    direction = rng.normal(size=case.arrays[0].shape)
    cotangent = rng.normal(size=case.call(case.arrays[0]).shape)
    x = jnp.asarray(case.arrays[0], jnp.float32)
    gradient = jax.jit(jax.grad(lambda x: (case.call(x) * cotangent.astype(np.float32)).sum()))(x)
    expected = central_difference(case, direction, cotangent)
    assert float((np.asarray(gradient) * direction).sum()) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("function", [softmaxlib.sigmoid, softmaxlib.log_sigmoid])
def test_derivative_at_the_seam_of_two_branches(function):
    expected = {softmaxlib.sigmoid: 0.25, softmaxlib.log_sigmoid: 0.5}[function]
    x = torch.zeros(1, requires_grad=True)
    function(x).sum().backward()
    assert x.grad.item() == expected
    assert float(jax.grad(lambda x: function(x))(jnp.float32(0))) == expected


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0, 3.0])
def test_gradients_survive_masks_and_excluded_classes(alpha):
    values = np.array([[1.0, -np.inf, 0.5, 2.0], [np.nan, np.inf, 3.0, 1.0]])
    where = np.array([[True, True, True, True], [False, False, True, True]])
    x = torch.tensor(values, requires_grad=True)
    p = softmaxlib.entmax(x, alpha, where=torch.tensor(where))
    cotangent = np.array([[1.0, 2.0, -1.0, 0.5], [1.0, 2.0, -1.0, 0.5]])
    p.backward(torch.tensor(cotangent))
    expected = softmaxlib.entmax_vjp(p.detach().numpy(), cotangent, alpha, where=where)
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-14)
