"""Correction of logits for other class frequencies."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _generic
from .._arrays import Array, as_like, check_axis, known_values, real_operands
from .._checks import check_real, tolerance_of
from .._frameworks import as_graph_node
from ..errors import InvalidInputError, UnsupportedTypeError


@as_graph_node
def adjust_prior(x: Array, /, source: Array, target: Array, strength: float = 1.0, axis: int = -1) -> Array:
    """Correct logits for other class frequencies.

    This is Bayes' rule. It holds if only the class frequencies change, and not the features within each
    class::

        x + strength (log target - log source)

    - For a model that was trained on 1% fraud and is used where 5% is fraud, ``source`` is the first and
      ``target`` the second.
    - For a model that was trained on imbalanced data and should treat all classes alike, ``target`` is
      uniform.
    - For logit-adjusted training on imbalanced data, train on ``adjust_prior(x, source=uniform,
      target=frequencies)``, and use ``x`` alone afterwards.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits (or log-probabilities). Integers are converted to float64.
    source, target : array_like, shape (K,)
        Class frequencies in the training data and in use. They must not be negative, and must sum to 1. A
        class with target 0 gets logit -inf. Tensors of PyTorch and traced arrays of JAX get a gradient.
    strength : float
        1 for Bayes' rule, 0 for no change. Must not be negative.
    axis : int
        The axis of the classes.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as ``x``. If ``x`` was normalised, the result no longer is: apply
        ``softmax``.

    Raises
    ------
    InvalidInputError
        If there is not one frequency per class, if frequencies are negative or do not sum to 1, if a class
        has source 0 and target above 0, or if the strength is negative.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Notes
    -----
    NumPy arrays below float64 are computed in float64 and rounded once. Source: Saerens, Latinne &
    Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities" (Neural
    Computation 2002); Menon et al., "Long-tail learning via logit adjustment" (ICLR 2021).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import adjust_prior, softmax
    >>> x = np.log([0.7, 0.3])
    >>> softmax(adjust_prior(x, source=[0.5, 0.5], target=[0.9, 0.1])).round(4)
    array([0.9545, 0.0455])
    """
    shift = _shift(source, target, strength)

    def definition(xp: ModuleType, x: Array) -> Array:
        return _generic.adjust_prior(xp, x, _along(xp, shift, x, axis))

    return _generic.evaluate_elementwise(definition, {"x": x})


@as_graph_node
def adjust_prior_vjp(
    cotangent: Array, /, source: Array, target: Array, strength: float = 1.0, axis: int = -1
) -> Array:
    """Backpropagate through ``adjust_prior``: compute the gradient with respect to the logits.

    The result is the cotangent itself, because logits are only shifted. It is 0 for a class with target 0.

    Parameters
    ----------
    cotangent : array_like, shape (..., K)
        Gradient of the loss with respect to the adjusted logits.
    source, target, strength, axis
        As given to ``adjust_prior``.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as ``cotangent``.

    Raises
    ------
    InvalidInputError, UnsupportedTypeError, numpy.exceptions.AxisError
        As ``adjust_prior``.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import adjust_prior_vjp
    >>> adjust_prior_vjp(np.array([0.5, -0.5]), source=[0.5, 0.5], target=[1.0, 0.0])
    array([0.5, 0. ])
    """
    shift = _shift(source, target, strength)

    def definition(xp: ModuleType, cotangent: Array) -> Array:
        return _generic.adjust_prior_vjp(xp, cotangent, _along(xp, shift, cotangent, axis))

    return _generic.evaluate_elementwise(definition, {"cotangent": cotangent})


def _shift(source: Array, target: Array, strength: float) -> Array:
    """Return the shift of each logit, as a NumPy array or as an array that a framework traces."""
    before, after = known_values(source, "source"), known_values(target, "target")
    factor = check_real(strength, "strength")
    if not 0 <= factor < np.inf:
        raise InvalidInputError(
            f"strength must be finite and not negative, got {strength}; "
            "to go back, exchange source and target"
        )
    if before is None or after is None:
        return _traced_shift(source, target, factor)
    before, after = _check_prior(before, source, "source"), _check_prior(after, target, "target")
    _check_same_classes(before.shape, after.shape)
    unseen = (before == 0) & (after > 0)
    if unseen.any():
        place = int(np.flatnonzero(unseen)[0])
        raise InvalidInputError(
            f"target must be 0 where source is 0, got {after[place]} for class {place}; "
            "a model that never saw a class knows nothing about it: smooth the source, or drop the class"
        )
    if _is_differentiated(source) or _is_differentiated(target):
        return _traced_shift(source, target, factor)
    if factor == 0:
        return np.zeros(before.size)
    possible = after > 0
    ratio = np.divide(after, before, out=np.zeros(before.size), where=possible)
    return factor * np.log(ratio, out=np.full(before.size, -np.inf), where=possible)


def _is_differentiated(array: Array) -> bool:
    """Return True for a tensor of PyTorch with a derivative, in either mode. JAX hides the values of such."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(array, torch.Tensor):
        return False
    return array.requires_grad or torch.autograd.forward_ad.unpack_dual(array).tangent is not None


def _traced_shift(source: Array, target: Array, factor: float) -> Array:
    """Return the shift in array operations, in float64 if the library has it. Only shapes are checked."""
    xp, (before, after), dtype = real_operands({"source": source, "target": target})
    widest = xp.__array_namespace_info__().dtypes(kind="real floating").get("float64", dtype)
    before, after = xp.astype(before, widest), xp.astype(after, widest)
    for name, prior in (("source", before), ("target", after)):
        _check_one_dimension(name, prior.shape)
    _check_same_classes(before.shape, after.shape)
    one = xp.ones_like(before)
    possible = after > 0
    ratio = xp.where(possible, after / xp.where(before > 0, before, one), one)
    shift = factor * (xp.log(ratio) + xp.log(xp.sum(before)) - xp.log(xp.sum(after)))
    return shift if factor == 0 else xp.where(possible, shift, -xp.inf)


def _check_same_classes(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    if tuple(source) != tuple(target):
        raise InvalidInputError(
            f"source and target must name the same classes, got {source[0]} and {target[0]} of them"
        )


def _check_one_dimension(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 1:
        raise InvalidInputError(
            f"{name} must have one frequency per class, shape (K,), got shape {tuple(shape)}"
        )


def _check_prior(array: npt.NDArray[Any], given: Array, name: str) -> npt.NDArray[np.float64]:
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise UnsupportedTypeError(f"{name} must be real numbers, got dtype {array.dtype}")
    _check_one_dimension(name, array.shape)
    array = array.astype(np.float64)
    wrong = ~(array >= 0)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(f"{name} must not be negative or NaN, got {array[place]} for class {place}")
    if not abs(array.sum() - 1) <= tolerance_of(given, array[None]):
        raise InvalidInputError(f"{name} must sum to 1, got {array.sum():.6g}; divide counts by their total")
    return array / array.sum()


def _along(xp: ModuleType, shift: Array, x: Array, axis: int) -> Array:
    """Return the shifts in the array library of ``x``, along its axis."""
    (place,) = check_axis((axis,), x.ndim)
    (classes,) = shift.shape
    if x.shape[place] != classes:
        raise InvalidInputError(
            f"source and target must have one frequency per class, {x.shape[place]} along axis {axis}, "
            f"got {classes}"
        )
    return as_like(xp, shift.reshape(tuple(classes if one == place else 1 for one in range(x.ndim))), x)
