"""Errors for bad input: the rule, the value, the place, the next step."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from softmaxlib import cross_entropy, cross_entropy_grad
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

LOGITS = np.zeros((3, 4))
LABEL = [0, 1, 2]
PROBABILITIES = np.full((3, 4), 0.25)

INVALID = [
    (
        (LOGITS, [0, 4, 1]),
        {},
        r"must lie in 0 to 3 \(4 classes\), got 4 in row 1; to leave rows out, give their label as ignore",
    ),
    (
        (LOGITS, [0, 1, -100]),
        {"ignore_index": -1},
        r"target must lie in 0 to 3 \(4 classes\), got -100 in row 2; only ignore_index=-1 leaves a row out",
    ),
    ((np.zeros((2, 4, 3)), [[0, 1, 2], [3, 4, 0]]), {"axis": 1}, r"got 4 in row \(1, 1\)"),
    (
        (LOGITS, [[0, 1]]),
        {},
        r"class indices of shape \(3,\) or class probabilities of shape \(3, 4\), got shape \(1, 2\)",
    ),
    (
        (LOGITS, PROBABILITIES * [[1], [1], [0.9]]),
        {},
        r"with sum 1 \(to 1e-3 and .* dtype\); got the sum 0.9 in row 2; divide the row by its sum",
    ),
    (
        (LOGITS, PROBABILITIES * [[1], [1], [0.997]]),
        {},
        r"got the sum 0.997 in row 2; divide the row by its sum, or pass probabilities that were rounded to "
        r"bfloat16 or float16 in that dtype$",
    ),
    ((LOGITS, PROBABILITIES + np.array([0.5, -0.5, 0, 0])), {}, r"got the probability -0.25 in row 0"),
    ((LOGITS, PROBABILITIES * np.nan), {}, r"got the sum nan in row 0"),
    (
        (LOGITS, PROBABILITIES),
        {"ignore_index": 0},
        r"ignore_index needs class indices, got a target of class",
    ),
    ((LOGITS, LABEL), {"class_weight": [1.0, 2.0]}, r"one number per class, shape \(4,\), got shape \(2,\)"),
    ((LOGITS, LABEL), {"class_weight": [[1.0], 2.0]}, r"class_weight must be a rectangular array, got"),
    ((LOGITS, LABEL), {"class_weight": [1, 1, -2, 1]}, r"finite and not negative, got -2.0 for class 2"),
    ((LOGITS, LABEL), {"class_weight": [1, np.nan, 1, 1]}, r"finite and not negative, got nan for class 1"),
    ((LOGITS, LABEL), {"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\), got 1.0"),
    ((LOGITS, LABEL), {"label_smoothing": -0.1}, r"label_smoothing must lie in \[0, 1\), got -0.1"),
    ((LOGITS, LABEL), {"label_smoothing": np.nan}, r"label_smoothing must lie in \[0, 1\), got nan"),
    (
        (LOGITS, LABEL),
        {"focal_gamma": -1},
        r"focal_gamma must be finite and not negative, got -1; 0 turns",
    ),
    ((LOGITS, LABEL), {"z_loss": np.inf}, r"z_loss must be finite and not negative, got inf"),
    (
        (LOGITS, LABEL),
        {"class_weight": [1.0, 0.0, 1e300, 1.0]},
        r"class_weight must be 0 or lie in 1e-100 to 1e\+100, got 1e\+300 for class 2; divide all",
    ),
    (
        (LOGITS, LABEL),
        {"class_weight": [1.0, 1e-320, 1.0, 1.0]},
        r"class_weight must be 0 or lie in .* for class 1",
    ),
    ((LOGITS, LABEL), {"reduction": "average"}, r"reduction must be one of mean, sum, none; got 'average'"),
    (
        (LOGITS, LABEL),
        {"where": [True, False]},
        r"where must broadcast to the shape \(3, 4\), got shape \(2,\)",
    ),
    ((LOGITS, LABEL), {"axis": (1, -1)}, r"axis must name each axis once, got \(1, -1\)"),
    ((np.empty((3, 0)), LABEL), {}, r"at least one class along axis 1, got shape \(3, 0\)"),
    (([[1.0], [1.0, 2.0]], [0, 0]), {}, r"logits must be a rectangular array"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), INVALID)
def test_invalid_input_says_what_and_where(arguments, options, message):
    for function in (cross_entropy, cross_entropy_grad):
        with pytest.raises(InvalidInputError, match=message):
            function(*arguments, **options)


UNSUPPORTED = [
    ((LOGITS.astype(complex), LABEL), {}, r"logits must be real numbers, got dtype complex128"),
    ((LOGITS.astype(bool), LABEL), {}, r"logits must be real numbers, got dtype bool"),
    ((LOGITS.astype(object), LABEL), {}, r"logits must be real numbers, got dtype object"),
    ((LOGITS.astype(str), LABEL), {}, r"logits must be real numbers, got dtype str;"),
    ((LOGITS, [0.0, 1.0, 2.0]), {}, r"target must be integer class indices, got dtype float64"),
    ((LOGITS, LABEL), {"label_smoothing": "0.1"}, r"label_smoothing must be one real number, got '0.1'"),
    ((LOGITS, LABEL), {"z_loss": [0.1, 0.2]}, r"z_loss must be one real number, got list"),
    (
        (LOGITS, LABEL),
        {"where": np.ones(4)},
        r"where must be a bool mask \(True takes part\), got dtype",
    ),
]


@pytest.mark.parametrize(("arguments", "options", "message"), UNSUPPORTED)
def test_types_without_meaning_are_refused(arguments, options, message):
    with pytest.raises(UnsupportedTypeError, match=message):
        cross_entropy(*arguments, **options)


def test_out_must_be_of_the_result():
    rule = r"out must have the dtype of the result, float64, got float32; allocate it with numpy.empty"
    with pytest.raises(UnsupportedTypeError, match=rule):
        cross_entropy_grad(LOGITS, LABEL, out=np.empty((3, 4), np.float32))
    rule = r"out must have the shape of the result, \(3, 4\), got \(4, 3\); allocate it with numpy.empty"
    with pytest.raises(InvalidInputError, match=rule):
        cross_entropy_grad(LOGITS, LABEL, out=np.empty((4, 3)))
    with pytest.raises(InvalidInputError, match=r"out must be writable, got a read-only array; allocate it"):
        cross_entropy_grad(LOGITS, LABEL, out=np.broadcast_to(np.zeros(4), (3, 4)))
    with pytest.raises(UnsupportedTypeError, match=r"out is for NumPy arrays, got .* library; leave"):
        cross_entropy_grad(torch.zeros(1, 2), torch.tensor([0]), out=np.empty((1, 2)))


def test_nothing_is_written_when_a_label_is_wrong():
    out = np.full((3, 4), 7.0)
    with pytest.raises(InvalidInputError):
        cross_entropy_grad(LOGITS, [0, 1, 9], out=out)
    np.testing.assert_array_equal(out, np.full((3, 4), 7.0))


@pytest.mark.parametrize("make", [torch.tensor, jnp.asarray, array_api_strict.asarray])
def test_labels_of_other_libraries_are_checked_too(make):
    message = r"target must lie in 0 to 3 \(4 classes\), got 9 in row 1"
    with pytest.raises(InvalidInputError, match=message):
        cross_entropy(make(LOGITS), make(np.array([0, 9, 1])))
    with pytest.raises(InvalidInputError, match=message):
        cross_entropy_grad(make(LOGITS), make(np.array([0, 9, 1])))


def test_a_compiler_may_trace_through():
    loss = jax.jit(cross_entropy)(jnp.asarray(LOGITS), jnp.asarray(LABEL))
    np.testing.assert_allclose(loss, np.log(4), rtol=1e-6)
