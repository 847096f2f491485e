"""Shapes, strides, axes, masks, dtypes and temperatures that hypothesis thinks of, against the reference."""

import kernel_reference as reference
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kernel_rows import as_dtype

import softmaxlib
from softmaxlib._accuracy import bound

SETTINGS = settings(max_examples=250)


@st.composite
def views(draw):
    """An array of one to four dimensions that is a view of another: steps, turned and reversed axes."""
    dtype = draw(st.sampled_from(("float16", "bfloat16", "float32", "float64")))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=9))
    steps = [draw(st.sampled_from((1, 1, 1, 2, 3))) for _ in shape]
    limit = draw(st.sampled_from((1.0, 30.0, 1000.0, 60000.0)))
    elements = st.floats(-limit, limit, width=32) | st.just(-np.inf)
    base_shape = tuple(n * step for n, step in zip(shape, steps, strict=True))
    base = draw(hnp.arrays(np.float64, base_shape, elements=elements, fill=st.just(0.5)))
    base = as_dtype(base, dtype)
    view = base[tuple(slice(None, None, step) for step in steps)]
    view = view[tuple(slice(None, None, draw(st.sampled_from((1, -1)))) for _ in shape)]
    return view.transpose(draw(st.permutations(range(view.ndim)))), dtype


@st.composite
def axes_of(draw, dimensions):
    chosen = draw(st.sets(st.integers(0, dimensions - 1), min_size=1))
    signed = [d - dimensions if draw(st.booleans()) else d for d in chosen]
    return signed[0] if len(signed) == 1 else tuple(signed)


def rows(array, axis):
    """The axes of the classes last and joined, as long doubles, in the order in which they lie."""
    axes = tuple(d % array.ndim for d in (axis if isinstance(axis, tuple) else (axis,)))
    kept = [d for d in range(array.ndim) if d not in axes]
    moved = array.transpose(*kept, *sorted(axes))
    return moved.reshape(*(array.shape[d] for d in kept), -1)


@SETTINGS
@given(st.data())
def test_any_input(data):
    x, dtype = data.draw(views())
    axis = data.draw(axes_of(x.ndim))
    temperature = data.draw(st.sampled_from((1.0, 0.1, 3.0)))
    mask = data.draw(st.none() | hnp.arrays(bool, x.shape))
    where = np.ones(x.shape, bool) if mask is None else mask
    hidden = rows(np.where(where, x.astype(np.longdouble), -np.inf), axis)
    some = rows(where, axis).any(-1)
    defined = hidden.max(-1) > -np.inf
    safe = np.where(defined[..., None], hidden, 0)

    for name, empty in (("softmax", 0.0), ("log_softmax", -np.inf)):
        actual = getattr(softmaxlib, name)(x, axis, temperature=temperature, where=mask)
        assert actual.shape == x.shape
        assert actual.dtype == x.dtype
        exact = getattr(reference, name)(safe, temperature)
        exact = np.where(rows(where, axis), exact, empty)
        check(rows(actual, axis)[defined], exact[defined], name, dtype)
        assert (rows(actual, axis)[~some] == empty).all()
        undefined = rows(actual, axis)[some & ~defined][rows(where, axis)[some & ~defined]]
        assert np.isnan(undefined.astype(np.float64)).all()

    total = softmaxlib.logsumexp(x, axis, where=mask)
    assert np.shape(total) == defined.shape
    total = np.asarray(total)
    exact = reference.logsumexp(safe, reference.FORMATS[dtype].digits)
    check(total[defined], exact[defined], "logsumexp", dtype)
    assert (total[~defined] == -np.inf).all()


def check(actual, exact, function, dtype):
    error = reference.error_in_ulp(actual, exact, dtype)
    assert np.max(error, initial=0) <= max(bound(function, dtype)[2:4])
