"""Errors of kernels in units of the last place."""

import numpy as np
import torch


def note(worst, what, name, error):
    """Keep the largest error of its kind, and where it is."""
    if error >= worst.get(what, (-1.0, ""))[0]:
        worst[what] = error, name


def units(got, want):
    """The largest distance in units of the last place of the type of ``got``."""
    assert got.shape == want.shape
    assert torch.equal(got.isnan(), want.isnan())
    assert torch.equal(got.isinf(), want.to(got.dtype).isinf())
    finite = got.isfinite()
    error = (got.double() - want)[finite].abs().numpy()
    if not error.size:
        return 0.0
    _, exponent = np.frexp(want[finite].numpy())
    digits, least = {torch.float32: (24, -149), torch.bfloat16: (8, -133), torch.float16: (11, -24)}[
        got.dtype
    ]
    return float((error / np.exp2(np.maximum(exponent - digits, least))).max())


def doubles(got, want, parts=None):
    """The largest distance of float64 numbers from exact ones, in units of the last place of these.

    ``parts``: of numbers that are differences, what is subtracted, whose units count.
    """
    assert torch.equal(got.isnan(), want.isnan())
    assert torch.equal(got.isinf(), want.isinf())
    _, exponent = np.frexp((want if parts is None else torch.maximum(want.abs(), parts)).numpy())
    error = (got - want).abs().numpy() / np.exp2(exponent - 53.0)
    return float(error[np.isfinite(error)].max(initial=0.0))
