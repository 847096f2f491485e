"""Every public array function on arrays of every library: same kind, same dtype, right values.

One table drives the file: a function added to ``CASES`` is tried on each library, in each dtype, and
compared with itself on NumPy. Functions on NumPy have tests of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import array_api_strict
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import softmaxlib
from softmaxlib.errors import UnsupportedTypeError

rng = np.random.default_rng(7)
LOGITS = rng.normal(scale=2, size=(3, 5))


@dataclass(frozen=True)
class Case:
    """One call: the arrays that it takes (floating), and what to do with them."""

    name: str
    call: Callable[..., Any]
    arrays: tuple[np.ndarray, ...] = (LOGITS,)
    integers: bool = True
    """Whether integers in place of the floats make sense."""


CASES = [
    Case("hardmax", softmaxlib.hardmax),
    Case("hardmax, axis 0", lambda x: softmaxlib.hardmax(x, axis=0)),
    Case("hardmax, all axes", lambda x: softmaxlib.hardmax(x, axis=None)),
    Case("log_sigmoid", softmaxlib.log_sigmoid),
    Case("normalize", softmaxlib.normalize, (np.abs(LOGITS) + 0.1,), integers=False),
    Case("sigmoid", softmaxlib.sigmoid),
]


@dataclass(frozen=True)
class Library:
    """How to make an array of a library, and how to read it back."""

    name: str
    kind: type
    make: Callable[[np.ndarray, str], Any]
    dtypes: tuple[str, ...]
    integer_result: str = "float64"

    def read(self, array: Any) -> np.ndarray:
        if self.kind is torch.Tensor:
            array = array.detach().to(torch.float64)
        return np.asarray(array).astype(np.float64)


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
        ("float16", "bfloat16", "float32"),
        integer_result="float32",
    ),
    Library(
        "array_api_strict",
        array_api_strict._array_object.Array,
        lambda values, dtype: array_api_strict.asarray(values.astype(dtype)),
        ("float32", "float64"),
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
    result = case.call(*arrays)
    assert isinstance(result, library.kind)
    assert result.dtype == arrays[0].dtype
    rounded = [library.read(array) for array in arrays]
    expected = case.call(*rounded)
    assert result.shape == expected.shape
    np.testing.assert_allclose(
        library.read(result), expected, rtol=8 * epsilon(dtype), atol=4 * epsilon(dtype)
    )


@pytest.mark.parametrize("library", LIBRARY_GRID)
@pytest.mark.parametrize("case", [case for case in CASES if case.integers], ids=lambda case: case.name)
def test_integers_become_the_widest_float(case, library):
    integers = [np.rint(values).astype(np.int32) for values in case.arrays]
    result = case.call(*(library.make(values, "int32") for values in integers))
    assert str(result.dtype).endswith(library.integer_result)
    np.testing.assert_allclose(library.read(result), case.call(*integers), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("library", LIBRARY_GRID)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_refuses_bool_and_complex(case, library, dtype):
    arrays = [library.make(values, "float32") for values in case.arrays]
    arrays[0] = library.make(case.arrays[0], dtype) if library.name != "jax" else arrays[0].astype(dtype)
    with pytest.raises(UnsupportedTypeError, match="must be real numbers, got dtype"):
        case.call(*arrays)
