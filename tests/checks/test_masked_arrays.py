"""The mask of a masked array is its ``where``."""

import numpy as np
import pytest

import softmaxlib
import softmaxlib.calibration
import softmaxlib.jax
import softmaxlib.metrics
import softmaxlib.torch
from softmaxlib.errors import UnsupportedTypeError

Z = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 3.0]])
Y = np.array([0, 2])
MASKED = np.ma.masked_array(Z, mask=[[False, True, False], [True, True, True]])


KEPT = ~MASKED.mask


WITH_MASK = {
    "softmax": softmaxlib.softmax,
    "log_softmax": softmaxlib.log_softmax,
    "logsumexp": softmaxlib.logsumexp,
    "hardmax": softmaxlib.hardmax,
    "normalize": softmaxlib.normalize,
    "sparsemax": softmaxlib.sparsemax,
    "entmax": lambda x, **options: softmaxlib.entmax(x, 1.3, **options),
    "entmax15": softmaxlib.entmax,
    "softmax_jvp": lambda x, **options: softmaxlib.softmax_jvp(x, Z, **options),
    "gumbel_softmax": lambda x, **options: softmaxlib.gumbel_softmax(x, 1.0, seed=1, **options),
    "cross_entropy": lambda x, **options: softmaxlib.cross_entropy(x, Y, **options),
    "cross_entropy_grad": lambda x, **options: softmaxlib.cross_entropy_grad(x, Y, **options).grad,
    "softmax per row": lambda x, **options: softmaxlib.softmax(x, temperature=[1.0, 2.0], **options),
}


@pytest.mark.parametrize("name", WITH_MASK)
def test_the_mask_of_a_masked_array_is_its_where(name):
    function, more = WITH_MASK[name], np.array([True, True, False])
    np.testing.assert_array_equal(function(MASKED), function(Z, where=KEPT))
    np.testing.assert_array_equal(function(MASKED, where=more), function(Z, where=KEPT & more))


@pytest.mark.parametrize(
    "call",
    [
        lambda: softmaxlib.sigmoid(MASKED),
        lambda: softmaxlib.softcap(MASKED, 3.0),
        lambda: softmaxlib.softmax(Z, where=np.ma.masked_array(KEPT)),
        lambda: softmaxlib.softmax(Z, temperature=np.ma.masked_array([1.0, 2.0])),
        lambda: softmaxlib.cross_entropy(Z, np.ma.masked_array(Y)),
        lambda: softmaxlib.cross_entropy(Z, Y, class_weight=np.ma.masked_array(np.ones(3))),
        lambda: softmaxlib.softmax_jacobian(MASKED),
        lambda: softmaxlib.metrics.accuracy(MASKED, Y),
        lambda: softmaxlib.metrics.accuracy(Z, np.ma.masked_array(Y)),
        lambda: softmaxlib.calibration.TemperatureScaling().fit(MASKED, Y),
    ],
)
def test_a_masked_array_is_refused_where_its_mask_has_no_use(call):
    with pytest.raises(UnsupportedTypeError, match=r"not be a masked array here; pass .*\.data, and where=~"):
        call()
