"""The softmax layer."""

from typing import Any

import keras
from keras import ops

from .._arrays import check_axis
from .._renamed import other_names, refuse_other_names
from ._namespace import lengths_of, over_rows
from .activations import Axis, check_temperature, softmax

__all__ = ["Softmax"]


@keras.saving.register_keras_serializable(package="softmaxlib")
class Softmax(keras.layers.Layer):
    """Probabilities along ``axis``, as a layer. It replaces ``keras.layers.Softmax``.

    Parameters
    ----------
    axis : int, sequence of int or None, default -1
        The axes of the classes. None means all.
    temperature : float, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it.
    **keywords
        Arguments of every layer: ``name``, ``dtype``, ...

    See Also
    --------
    softmaxlib.keras.softmax : The function, with its formula.

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
        # Keras reads the parameters of __init__ itself, not those of a function around it.
        constructor = Softmax.__init__
        refuse_other_names(constructor, other_names(constructor), (self,), keywords)
        super().__init__(**keywords)
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        self.temperature = check_temperature(temperature)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Compute probabilities in the shape of ``inputs``. ``mask`` False masks an entry.

        A mask of the leading axes, as from ``Embedding(mask_zero=True)``, masks entries if ``axis`` is one of
        these axes. Otherwise it marks the rows that count, and all rows get probabilities.
        """
        if mask is not None:
            mask = self._of_entries(mask, inputs)
        return softmax(inputs, self.axis, temperature=self.temperature, where=mask)

    def _of_entries(self, mask: Any, inputs: Any) -> Any:
        mask = ops.convert_to_tensor(mask, dtype="bool")
        covered, lengths = len(mask.shape), tuple(inputs.shape)
        fits = all(None in pair or pair[0] == pair[1] for pair in zip(mask.shape, lengths, strict=False))
        if not (1 < covered < len(lengths) and fits):
            return mask
        if min(check_axis(self.axis, len(lengths))) >= covered:
            return None
        return over_rows(mask, lengths_of(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the configuration of the layer, for saving."""
        return super().get_config() | {"axis": self.axis, "temperature": self.temperature}
