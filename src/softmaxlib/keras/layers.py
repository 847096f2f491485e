"""The softmax layer."""

from typing import Any

import keras

from .activations import Axis, check_temperature, softmax

__all__ = ["Softmax"]


@keras.saving.register_keras_serializable(package="softmaxlib")
class Softmax(keras.layers.Layer):
    """Probabilities along ``axis``, as a layer; in the place of ``keras.layers.Softmax``.

    Parameters
    ----------
    axis : int, sequence of int or None, default -1
        The axes that hold the classes; None means all of them.
    temperature : float, default 1.0
        Above 1 flatter, below 1 sharper; above 0.
    **keywords
        What every layer takes: ``name``, ``dtype``, ...

    See Also
    --------
    softmaxlib.keras.softmax : the function, with its formula.

    Examples
    --------
    >>> import keras
    >>> import softmaxlib.keras
    >>> layer = softmaxlib.keras.Softmax()
    >>> probabilities = layer(keras.ops.array([[1.0, 2.0, 1.0]]), mask=keras.ops.array([[True, False, True]]))
    >>> [float(p) for p in probabilities[0]]
    [0.5, 0.0, 0.5]
    """

    def __init__(self, axis: Axis | list[int] = -1, temperature: float = 1.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        self.temperature = check_temperature(temperature)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Probabilities of the shape of ``inputs``; ``mask`` False hides an entry."""
        return softmax(inputs, self.axis, temperature=self.temperature, where=mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What it is made of, for saving."""
        return super().get_config() | {"axis": self.axis, "temperature": self.temperature}
