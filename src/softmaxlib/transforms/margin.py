"""Angular margins between classes."""

import math
from types import ModuleType

import numpy as np

from .. import _generic
from .._arrays import Array, as_numpy, bring, check_axis, device_of, foreign_namespace, known_values
from .._checks import check_label_dtype, check_labels, check_positive, check_real
from .._frameworks import as_graph_node
from ..errors import InvalidInputError


@as_graph_node
def margin(
    cosine: Array,
    target: Array,
    /,
    *,
    scale: float,
    angular: float = 0.0,
    additive: float = 0.0,
    axis: int = -1,
) -> Array:
    """Compute logits from cosines, with a margin at the target class. For training only.

    The cosine of the target class is reduced before the loss. So the network must separate the classes by a
    margin::

        scale (cos(theta + angular) - additive)    for the target class
        scale cos(theta)                           for the others

    ``angular=0.5, scale=64`` is ArcFace, and ``additive=0.35, scale=64`` is CosFace. Both can be combined.
    Above ``theta + angular = pi`` the cosine would rise again. There it is replaced by ``-2 - cos``, which
    keeps falling, as in SphereFace.

    Parameters
    ----------
    cosine : array_like, shape (..., K)
        Cosines of the angles between features and class weights, both normalised to length 1.
    target : array_like of int, shape (...)
        Index of the true class of each row.
    scale : float
        Factor of the cosines, above 0. It is an inverse temperature: cosines alone are too close together.
    angular : float
        Margin added to the angle, in radians, from 0 to pi.
    additive : float
        Finite margin subtracted from the cosine.
    axis : int
        The axis of the classes.

    Returns
    -------
    array, shape (..., K)
        Logits for ``cross_entropy``, with the array type and dtype of ``cosine``.

    Raises
    ------
    InvalidInputError
        If cosines exceed [-1, 1] by more than 1e-3 (smaller rounding errors are clipped at the target), if
        targets are out of range or have the wrong shape, or if a margin or scale is outside its range.
        Cosines of other libraries are not checked, and neither are targets that a framework traces. A traced
        target out of range gives its row no margin.
    UnsupportedTypeError
        For bool, complex, object and text input, and if targets are not integers.
    numpy.exceptions.AxisError
        If ``cosine`` does not have the axis.

    Notes
    -----
    The derivative of ``cos(theta + angular)`` with respect to ``cos(theta)`` is ``sin(theta + angular) /
    sin(theta)``, which is infinite at theta 0 and pi. The denominator is therefore at least the square root
    of the machine epsilon, also in automatic differentiation by torch and jax.

    Source: Deng et al., "ArcFace" (CVPR 2019); Wang et al., "CosFace" (CVPR 2018); Liu et al.,
    "SphereFace" (CVPR 2017).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import margin
    >>> margin(np.array([[0.8, 0.1]]), [0], scale=10.0, angular=0.5).round(4)
    array([[4.1441, 1.    ]])
    >>> margin(np.array([[0.8, 0.1]]), [0], scale=10.0, additive=0.35)
    array([[4.5, 1. ]])
    """
    options = _check_margins(scale, angular, additive)

    def definition(xp: ModuleType, cosine: Array) -> Array:
        _check_cosine(cosine)
        return _generic.margin(xp, cosine, _chosen(xp, target, cosine, axis), **options)

    return _generic.evaluate_elementwise(definition, {"cosine": cosine})


@as_graph_node
def margin_vjp(
    cosine: Array,
    target: Array,
    cotangent: Array,
    /,
    *,
    scale: float,
    angular: float = 0.0,
    additive: float = 0.0,
    axis: int = -1,
) -> Array:
    """Backpropagate through ``margin``: compute the gradient with respect to the cosines.

    ::

        scale sin(theta + angular) / sin(theta) g    for the target class
        scale g                                      for the others

    Parameters
    ----------
    cosine, target, scale, angular, additive, axis
        As given to ``margin``. (The additive margin does not change the derivative.)
    cotangent : array_like, shape (..., K)
        Gradient of the loss with respect to the logits.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as ``cosine`` and ``cotangent``. Finite everywhere.

    Raises
    ------
    InvalidInputError, UnsupportedTypeError, numpy.exceptions.AxisError
        As ``margin``, and if the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import margin_vjp
    >>> margin_vjp(np.array([[0.8, 0.1]]), [0], np.ones((1, 2)), scale=10.0, angular=0.5).round(3)
    array([[15.168, 10.   ]])
    """
    options = _check_margins(scale, angular, additive)
    del options["additive"]

    def definition(xp: ModuleType, cosine: Array, cotangent: Array) -> Array:
        _check_cosine(cosine)
        return _generic.margin_vjp(xp, cosine, cotangent, _chosen(xp, target, cosine, axis), **options)

    return _generic.evaluate_elementwise(definition, {"cosine": cosine, "cotangent": cotangent})


def _check_margins(scale: float, angular: float, additive: float) -> dict[str, float]:
    radians = check_real(angular, "angular")
    if not 0 <= radians <= math.pi:
        raise InvalidInputError(
            f"angular must lie in 0 to pi radians, got {angular}; convert degrees with math.radians"
        )
    lead = check_real(additive, "additive")
    if not math.isfinite(lead):
        raise InvalidInputError(f"additive must be finite, got {additive}; 0 is no margin")
    factor = check_positive(scale, "scale", "ArcFace and CosFace use 64")
    return {"scale": factor, "angular": radians, "additive": lead}


def _check_cosine(cosine: Array) -> None:
    """Reject NumPy numbers that are not cosines. NaN passes through to the result."""
    if foreign_namespace(cosine) is not None:
        return
    outside = np.abs(cosine) > 1 + 1e-3
    if outside.any():
        place = tuple(int(number) for number in np.argwhere(outside)[0])
        raise InvalidInputError(
            f"cosine must lie in -1 to 1, got {cosine[place]} at {place}; "
            "normalise features and class weights to length 1 before multiplying them"
        )


def _chosen(xp: ModuleType, target: Array, cosine: Array, axis: int) -> Array:
    """Return a mask of the target class of each row, in the shape of ``cosine``."""
    (place,) = check_axis((axis,), cosine.ndim)
    rows = tuple(cosine.shape[:place]) + tuple(cosine.shape[place + 1 :])
    classes = cosine.shape[place]
    known = foreign_namespace(cosine) is None
    target = as_numpy(target, "target") if known else bring(xp, target, cosine, "target")
    if tuple(target.shape) != rows:
        raise InvalidInputError(
            f"target must have one class index per row, shape {rows}, got shape {tuple(target.shape)}"
        )
    advice = "map class names to their column numbers first"
    check_label_dtype(target.dtype, "target", advice)
    values = known_values(target, "target")
    if values is not None:
        check_labels(values.reshape(-1), values.size, classes, "target")
    target = _generic.widest_labels(xp, target)
    shape = tuple(classes if one == place else 1 for one in range(cosine.ndim))
    numbers = xp.reshape(xp.arange(classes, dtype=target.dtype, device=device_of(cosine)), shape)
    numbers = xp.zeros_like(cosine, dtype=target.dtype) + numbers  # on the same devices as the cosines
    return xp.expand_dims(target, axis=place) == numbers
