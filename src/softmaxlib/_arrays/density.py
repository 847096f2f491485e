"""Refusal of arrays that do not hold one number per place: sparse, ragged, masked and quantized ones."""

from typing import Any

from ..errors import UnsupportedTypeError


def check_dense(values: Any, name: str) -> None:
    """Raise for a sparse array, and for a tensor of PyTorch that is sparse, nested, masked or quantized.

    ``name`` is for the message.
    """
    if hasattr(values, "todense"):
        kind, step = f"a sparse {type(values).__name__}", "convert it with .toarray()"
    elif not hasattr(values, "is_nested"):
        return
    elif values.is_nested:
        kind = "a nested tensor"
        step = "fill it up with torch.nested.to_padded_tensor(..., -inf): a logit of -inf has probability 0"
    elif type(values).__name__ == "MaskedTensor":
        kind = "a masked tensor"
        step = "pass its .get_data(), and its .get_mask() as `where` to a function that has it"
    elif str(values.layout) != "torch.strided":
        kind, step = f"a tensor of layout {values.layout}", "convert it with .to_dense()"
    elif values.is_quantized:
        kind, step = f"a tensor of dtype {values.dtype}", "convert it with .dequantize()"
    else:
        return
    raise UnsupportedTypeError(f"{name} must be dense, got {kind}; {step}")
