"""A random choice of a class with a gradient."""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _generic
from .._arrays import (
    Array,
    Axis,
    FloatArray,
    as_like,
    check_axis,
    check_same_shape,
    real_operands,
    shaped_like,
    take_masks,
)
from .._checks import check_flag
from .._frameworks import as_graph_node
from ..errors import InvalidInputError, UnsupportedTypeError
from ._usable_temperature import usable_temperature

Seed = int | Sequence[int]

_BLOCK = 1 << 16  # numbers that are drawn at a time


@as_graph_node
def gumbel_softmax(
    x: Array,
    /,
    temperature: Array,
    axis: Axis = -1,
    *,
    hard: bool = False,
    seed: Seed,
    where: Array | None = None,
) -> Array:
    """Draw a soft sample of a class: softmax of the logits plus Gumbel noise.

    ::

        y = softmax((x + G) / T),  G_i = -log(-log(U_i)),  U_i uniform in (0, 1)

    The largest entry of ``y`` is at class i with probability ``softmax(x)[i]``, at any temperature. A lower
    temperature brings ``y`` closer to one-hot, and makes its gradient noisier.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are converted to float64.
    temperature : float or array_like
        Positive and finite. One number, or one per row, in the shape of ``x`` without ``axis`` or with length
        1 there. A torch or jax array gets a gradient.
    axis : int, tuple of int or None
        The axis or axes over which the result sums to 1. None means all elements.
    hard : bool
        Return the one-hot limit instead of ``y``. torch, jax and ``gumbel_softmax_vjp`` still differentiate
        ``y`` (the straight-through estimator).
    seed : int or sequence of int
        Not negative. The same seed and shape give the same noise, for every array library and dtype. In a
        training loop, pass ``(seed, step)``.
    where : array_like of bool, optional
        True for the classes that take part. Broadcasts to the shape of ``x``. The others become 0.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as ``x``. A row that contains NaN or +inf, or only -inf, becomes NaN. A
        fully masked row becomes 0.

    Raises
    ------
    InvalidInputError
        If a temperature is not positive and finite, or if the seed is negative.
    UnsupportedTypeError
        For bool, complex, object and text input, and if the seed is not made of integers.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Notes
    -----
    The noise is that of ``numpy.random.default_rng(seed).gumbel``. Source: Jang, Gu & Poole,
    "Categorical reparameterization with Gumbel-softmax", and Maddison, Mnih & Teh, "The Concrete
    distribution" (both ICLR 2017).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import gumbel_softmax
    >>> draws = gumbel_softmax(np.tile([2.0, 1.0, 0.1], (10_000, 1)), 0.5, hard=True, seed=0)
    >>> draws.mean(axis=0).round(2)
    array([0.65, 0.25, 0.1 ])
    """
    temperature = _check_temperature(temperature, x, axis)
    noisy = _add_noise({"x": x}, seed, where)
    return _generic.evaluate(
        _generic.gumbel_softmax,
        noisy.operands,
        axis=axis,
        where=noisy.where,
        dtype=noisy.dtype,
        temperature=temperature,
        hard=check_flag(hard, "hard"),
    )


@as_graph_node
def gumbel_softmax_vjp(
    x: Array,
    cotangent: Array,
    /,
    temperature: Array,
    axis: Axis = -1,
    *,
    seed: Seed,
    where: Array | None = None,
) -> Array:
    """Backpropagate through ``gumbel_softmax``: compute the gradient with respect to the logits.

    The noise is drawn again from the seed. The result is ``softmax_jvp(y, g) / T`` at the soft sample ``y``,
    also for hard samples (the straight-through estimator).

    Parameters
    ----------
    x : array_like, shape (..., K)
        The logits that were given to ``gumbel_softmax``.
    cotangent : array_like, shape (..., K)
        Gradient of the loss with respect to the sample.
    temperature, axis, seed, where
        As given to ``gumbel_softmax``.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as the arguments. Each row sums to 0. Masked entries are exactly 0.

    Raises
    ------
    InvalidInputError
        If the shapes differ, or if a temperature is not positive and finite, or if the seed is negative.
    UnsupportedTypeError
        For bool, complex, object and text input, and if the seed is not made of integers.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import gumbel_softmax, gumbel_softmax_vjp, softmax_jvp
    >>> x, g = np.array([2.0, 1.0, 0.1]), np.array([1.0, 0.0, 0.0])
    >>> y = gumbel_softmax(x, 0.5, seed=7)
    >>> np.allclose(gumbel_softmax_vjp(x, g, 0.5, seed=7), softmax_jvp(y, g) / 0.5)
    True
    """
    temperature = _check_temperature(temperature, x, axis)
    noisy = _add_noise({"x": x, "cotangent": cotangent}, seed, where)
    return _generic.evaluate(
        _generic.gumbel_softmax_vjp,
        noisy.operands,
        axis=axis,
        where=noisy.where,
        dtype=noisy.dtype,
        temperature=temperature,
    )


def _check_temperature(temperature: Array, x: Array, axis: Axis) -> Any:
    like = shaped_like(x, "x")
    advice = "for the limit at 0, a hard sample, pass hard=True"
    return usable_temperature(temperature, like, check_axis(axis, like.ndim), advice)


class _Noisy(NamedTuple):
    """Operands in the dtype to compute in, the noise among them, and the dtype of the result."""

    operands: dict[str, Array]
    where: Array | None
    dtype: Any


def _add_noise(operands: Mapping[str, Array], seed: Seed, where: Array | None) -> _Noisy:
    generator = _generator(seed)
    operands, where = take_masks(operands, where)
    namespace, arrays, dtype = real_operands(operands)
    checked = dict(zip(operands, arrays, strict=True))
    check_same_shape(checked)
    noise = as_like(namespace, _draw(generator, _known_shape(arrays[0])), arrays[0])
    return _Noisy({**checked, "noise": noise}, where, dtype)


def _known_shape(array: Array) -> tuple[int, ...]:
    try:
        return tuple(operator.index(size) for size in array.shape)
    except Exception as error:  # the libraries have exceptions of their own
        shape = ", ".join(map(str, array.shape))
        raise UnsupportedTypeError(
            f"the noise is drawn for a known shape, got ({shape}) of a program that is exported for any; "
            "export it for a shape, or draw the noise outside and pass x + noise to softmax"
        ) from error


def _draw(generator: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw the noise of ``generator.gumbel(size=shape)``, in blocks between which Ctrl-C is answered."""
    noise = np.empty(math.prod(shape))
    for start in range(0, noise.size, _BLOCK):
        block = noise[start : start + _BLOCK]
        block[:] = generator.gumbel(size=block.size)
    return noise.reshape(shape)


def _generator(seed: Seed) -> np.random.Generator:
    try:
        if seed is None:  # NumPy would use fresh entropy, and the noise could not be drawn again
            raise TypeError
        return np.random.default_rng(np.random.SeedSequence(seed))
    except TypeError:
        raise UnsupportedTypeError(
            f"seed must be an integer or a sequence of integers, got {type(seed).__name__}; "
            "the gradient draws the same noise again, so draw an integer from a generator and pass that"
        ) from None
    except ValueError:
        raise InvalidInputError(f"seed must not be negative, got {seed}; pass its absolute value") from None
