"""softmax, log_softmax and logsumexp of tensors of the Keras backend."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src import activations as keras_activations

from .. import _generic
from .._arrays import as_numpy, check_axis
from .._checks import check_known_row_numbers, check_positive, row_operand_shape
from .._renamed import checked_keywords
from ..errors import InvalidInputError, UnsupportedTypeError
from . import _namespace
from ._marks import mark_probabilities

__all__ = ["log_softmax", "logsumexp", "softmax"]

Axis = int | tuple[int, ...] | None


@keras.saving.register_keras_serializable(package="softmaxlib")
@checked_keywords
def softmax(x: Any, axis: Axis = -1, *, temperature: Any = 1.0, where: Any = None) -> Any:
    r"""Compute probabilities from logits: positive numbers with sum 1 along ``axis``.

    .. math:: p_i = \frac{\exp((x_i - \max x) / T)}{\sum_j \exp((x_j - \max x) / T)}

    Parameters
    ----------
    x : tensor, shape (..., K)
        Logits. Half precision is computed in float32. Integers become ``keras.config.floatx()``.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    temperature : float or tensor, default 1.0
        One number above 0, or one per row (in the shape of ``x`` without ``axis``, or with length 1 there).
        Values above 1 flatten the distribution, and values below 1 sharpen it. A tensor gets a gradient.
    where : tensor of bool, optional
        True for the entries that take part. Broadcasts to ``x``. Masked entries have probability 0 and
        gradient 0.

    Returns
    -------
    tensor
        Probabilities in the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If ``temperature`` is not above 0.
    softmaxlib.errors.UnsupportedTypeError
        For bool and complex tensors.

    Notes
    -----
    As an activation it has the name ``"softmaxlib>softmax"``: ``Dense(4, activation="softmaxlib>softmax")``.
    In a functional model it is one step. Import ``softmaxlib.keras`` before you load such a model.

    Examples
    --------
    >>> import softmaxlib.keras
    >>> [round(float(p), 4) for p in softmaxlib.keras.softmax([2.0, 1.0, 0.1])]
    [0.659, 0.2424, 0.0986]
    """
    if _any_step(x, temperature, where):
        return LogitFunction("softmax", axis)(x, temperature=temperature, where=where)
    result = _apply(_generic.softmax, x, axis, where, temperature)
    return mark_probabilities(result)


@keras.saving.register_keras_serializable(package="softmaxlib")
@checked_keywords
def log_softmax(x: Any, axis: Axis = -1, *, temperature: Any = 1.0, where: Any = None) -> Any:
    r"""Compute the logarithm of softmax without losing digits in confident rows.

    .. math:: \log p_i = (x_i - \max x) / T - \log \sum_j \exp((x_j - \max x) / T)

    Parameters
    ----------
    x : tensor, shape (..., K)
        Logits. Half precision is computed in float32. Integers become ``keras.config.floatx()``.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    temperature : float or tensor, default 1.0
        One number above 0, or one per row (in the shape of ``x`` without ``axis``, or with length 1 there).
        Values above 1 flatten the distribution, and values below 1 sharpen it. A tensor gets a gradient.
    where : tensor of bool, optional
        True for the entries that take part. Broadcasts to ``x``. Masked entries have value -inf and gradient
        0.

    Returns
    -------
    tensor
        Numbers from -inf to 0, in the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If ``temperature`` is not above 0.
    softmaxlib.errors.UnsupportedTypeError
        For bool and complex tensors.

    Examples
    --------
    >>> import softmaxlib.keras
    >>> float(softmaxlib.keras.log_softmax([0.0, -20.0])[0])
    -2.0611...e-09
    """
    if _any_step(x, temperature, where):
        return LogitFunction("log_softmax", axis)(x, temperature=temperature, where=where)
    return _apply(_generic.log_softmax, x, axis, where, temperature)


@checked_keywords
def logsumexp(x: Any, axis: Axis = -1, *, where: Any = None, keepdims: bool = False) -> Any:
    r"""Compute the logarithm of the sum of exponentials along ``axis``.

    .. math:: \max x + \log \sum_j \exp(x_j - \max x)

    Parameters
    ----------
    x : tensor, shape (..., K)
        Numbers. Half precision is computed in float32. Integers become ``keras.config.floatx()``.
    axis : int, tuple of int or None, default -1
        The axes of the sum. None means all.
    where : tensor of bool, optional
        True for the entries that take part. Broadcasts to ``x``.
    keepdims : bool, default False
        Keep the reduced axes, with length 1.

    Returns
    -------
    tensor
        The logarithms. -inf if a row has no entry that takes part.

    Raises
    ------
    softmaxlib.errors.UnsupportedTypeError
        For bool and complex tensors.

    Examples
    --------
    >>> import softmaxlib.keras
    >>> float(softmaxlib.keras.logsumexp([1000.0, 1000.0]))
    1000.693...
    """
    if _any_step(x, where):
        return LogitFunction("logsumexp", axis, keepdims)(x, where=where)
    result = _apply(_generic.logsumexp, x, axis, where, keepdims=True)
    return result if keepdims else ops.squeeze(result, check_axis(axis, len(result.shape)))


@keras.saving.register_keras_serializable(package="softmaxlib")
class LogitFunction(keras.Operation):
    """One of the functions as a step of a functional model, whose tensors have no numbers yet.

    Parameters
    ----------
    function : {"softmax", "log_softmax", "logsumexp"}
        The name of the function.
    axis : int, sequence of int or None
        The axes of the classes. None means all.
    keepdims : bool or None
        Whether the axes are kept with length 1. None for a function that does not reduce them.
    name : str, optional
        The name of the step in the model.
    """

    def __init__(
        self, function: str, axis: Axis | list[int], keepdims: bool | None = None, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.function, self.keepdims = function, keepdims
        self.axis = tuple(axis) if isinstance(axis, list) else axis

    def call(self, x: Any, **operands: Any) -> Any:
        """Evaluate the function. The operands may be a temperature and a mask."""
        options = {} if self.keepdims is None else {"keepdims": self.keepdims}
        return _FUNCTIONS[self.function](x, self.axis, **operands, **options)

    def compute_output_spec(self, x: Any, temperature: Any = 1.0, where: Any = None) -> keras.KerasTensor:
        """Check the operands, and return the shape and dtype of the result."""
        x, where = _as_step(x, "x"), _as_step(where, "where")
        shape, (_, dtype) = tuple(x.shape), _namespace.floating_dtypes(x.dtype)
        axes = check_axis(self.axis, len(shape))
        if where is not None:
            _check_mask(where, shape)
        if isinstance(temperature, int | float):
            check_temperature(temperature)
        else:
            step = temperature if _any_step(temperature) else _of_rows(temperature)
            if not _any_step(step):
                check_known_row_numbers(step, "temperature")
            row_operand_shape(tuple(step.shape), shape, axes, "temperature")
        if self.keepdims is not None:
            sizes = enumerate(shape)
            shape = [1 if at in axes else size for at, size in sizes if self.keepdims or at not in axes]
        return keras.KerasTensor(shape, dtype)


_FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax, "logsumexp": logsumexp}


def _any_step(*arguments: Any) -> bool:
    """Return True if one of the arguments stands for a tensor in a functional model."""
    return any(isinstance(one, keras.KerasTensor) for one in arguments)


def _as_step(values: Any, name: str) -> Any:
    """Return what stands for a tensor in a functional model, or an array as a tensor. None stays None."""
    return values if values is None or _any_step(values) else _namespace.as_tensor(values, name)


def _apply(definition: Any, x: Any, axis: Axis, where: Any, temperature: Any = None, **options: Any) -> Any:
    """Apply a definition along an axis. Lengths may be known only when a graph runs."""
    x, dtype = _namespace.as_floating(x)
    axes, lengths = check_axis(axis, len(x.shape)), _namespace.lengths_of(x)
    if temperature is not None:
        options["temperature"] = _temperature_of_rows(temperature, x, axes)
    if where is not None:
        where = ops.broadcast_to(_mask(where, tuple(x.shape)), lengths)
    if len(axes) == 1:
        namespace = _namespace.counting(lengths[axes[0]])
        return ops.cast(definition(namespace, x, axis=axes, where=where, **options), dtype)
    # joined into one axis, the last
    kept = [one for one in range(len(lengths)) if one not in axes]
    order, classes = [*kept, *sorted(axes)], math.prod(lengths[one] for one in axes)
    shape = (*(lengths[one] for one in kept), classes)
    x, where = (
        each if each is None else ops.reshape(ops.transpose(each, order), shape) for each in (x, where)
    )
    if not isinstance(options.get("temperature", 1.0), float):
        options["temperature"] = ops.expand_dims(ops.squeeze(options["temperature"], axes), -1)
    result = definition(_namespace.counting(classes), x, axis=(len(kept),), where=where, **options)
    reduced = options.get("keepdims", False)
    shape = tuple(1 if reduced and one in axes else lengths[one] for one in order)
    back = [order.index(one) for one in range(len(order))]
    return ops.cast(ops.transpose(ops.reshape(result, shape), back), dtype)


def _mask(where: Any, shape: tuple[int | None, ...]) -> Any:
    where = _namespace.as_tensor(where, "where")
    _check_mask(where, shape)
    return where


def _check_mask(where: Any, shape: tuple[int | None, ...]) -> None:
    """Refuse what is no bool or does not broadcast. A length that is not known yet fits any other."""
    dtype, given = _namespace.standard_dtype(where.dtype), tuple(where.shape)
    if dtype != "bool":
        raise UnsupportedTypeError(
            f"where must be a bool mask (True takes part), got dtype {dtype}; compare with != 0"
        )
    pairs = zip(given[::-1], shape[::-1], strict=False)
    if len(given) > len(shape) or any(size not in (None, 1, length) for size, length in pairs if length):
        raise InvalidInputError(f"where must broadcast to the shape {shape}, got shape {given}")


def _temperature_of_rows(temperature: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Return a checked number, or one per row, with length 1 on the axes of the classes."""
    if isinstance(temperature, int | float):
        return check_temperature(temperature)
    temperature = _of_rows(temperature)
    check_known_row_numbers(temperature, "temperature")
    given = tuple(temperature.shape)
    wanted = row_operand_shape(given, tuple(x.shape), axes, "temperature")
    temperature = _as_temperature(temperature, _namespace.standard_dtype(x.dtype))
    if wanted != given:
        return ops.expand_dims(temperature, sorted(axes))
    return ops.expand_dims(temperature, list(range(len(x.shape) - len(given))))


def _of_rows(temperature: Any) -> Any:
    """Return temperatures as a tensor; numbers as a NumPy array, because a backend might round them to 0."""
    if isinstance(temperature, np.ndarray | np.generic | list | tuple):
        return as_numpy(temperature, "temperature")
    return _namespace.as_tensor(temperature, "temperature")


def _as_temperature(temperature: Any, dtype: str) -> Any:
    """Return checked temperatures in a dtype. None that is above 0 becomes 0."""
    smallest = float(np.finfo(dtype).smallest_normal)
    if isinstance(temperature, np.ndarray):
        return ops.convert_to_tensor(np.maximum(temperature.astype(np.float64), smallest).astype(dtype))
    if _namespace.standard_dtype(temperature.dtype) == "float64":
        small = ops.logical_and(temperature > 0, temperature < smallest)
        temperature = ops.where(small, smallest, temperature)
    return ops.cast(temperature, dtype)


def check_temperature(temperature: float) -> float:
    """Check that the temperature is positive and finite."""
    return check_positive(temperature, "temperature", "for the limit of 0 take the argmax")


# a string given to a layer as its activation is looked up here and nowhere else, registered or not
keras_activations.ALL_OBJECTS_DICT["softmaxlib>softmax"] = softmax
keras_activations.ALL_OBJECTS_DICT["softmaxlib>log_softmax"] = log_softmax
