"""Programs that are exported once, for any number of rows."""

import pytest

pytest.importorskip("jax")

import jax
import numpy as np
from jax import export

import softmaxlib
import softmaxlib.jax as ours
from softmaxlib.errors import UnsupportedTypeError

WEIGHT = jax.numpy.asarray(np.random.default_rng(0).standard_normal((5, 3)), "float32")

CALLS = {
    "softmax": lambda x, t, y: softmaxlib.softmax(x, where=t > 0),
    "log_softmax": lambda x, t, y: softmaxlib.log_softmax(x, temperature=2.0),
    "logsumexp": lambda x, t, y: softmaxlib.logsumexp(x),
    "entmax_vjp": lambda x, t, y: softmaxlib.entmax_vjp(softmaxlib.entmax(x), t),
    "cross_entropy": lambda x, t, y: softmaxlib.cross_entropy(x, y),
    "cross_entropy of shares": lambda x, t, y: softmaxlib.cross_entropy(x, softmaxlib.softmax(t)),
    "sigmoid_cross_entropy": lambda x, t, y: softmaxlib.sigmoid_cross_entropy(x, softmaxlib.sigmoid(t)),
    "linear_cross_entropy": lambda x, t, y: softmaxlib.linear_cross_entropy(x, WEIGHT, y),
    "linear_cross_entropy_grad": lambda x, t, y: softmaxlib.linear_cross_entropy_grad(x, WEIGHT, y)[1],
    "jax.linear_cross_entropy": lambda x, t, y: ours.linear_cross_entropy(x, WEIGHT, y, softcap=3.0),
    "its derivative": lambda x, t, y: jax.grad(lambda x: ours.linear_cross_entropy(x, WEIGHT, y))(x),
}


def shapes():
    (count,) = export.symbolic_shape("rows")
    of_rows = jax.ShapeDtypeStruct((count, 3), np.float32)
    return of_rows, of_rows, jax.ShapeDtypeStruct((count,), np.int32)


def rows(count):
    generator = np.random.default_rng(count)
    x, t = generator.standard_normal((2, count, 3), dtype=np.float32)
    return tuple(map(jax.numpy.asarray, (x, t, generator.integers(3, size=count, dtype=np.int32))))


@pytest.mark.parametrize("name", CALLS)
def test_a_program_for_any_number_of_rows(name):
    program = export.export(jax.jit(CALLS[name]))(*shapes())
    for count in (1, 4, 9):
        expected = CALLS[name](*rows(count))
        np.testing.assert_allclose(program.call(*rows(count)), expected, rtol=2e-5, atol=1e-6)


def test_noise_is_drawn_for_a_known_shape():
    draw = jax.jit(lambda x: softmaxlib.gumbel_softmax(x, 1.0, seed=3))
    with pytest.raises(UnsupportedTypeError, match=r"known shape, got \(rows, 3\).*export it for a shape"):
        export.export(draw)(shapes()[0])


def exported_for_any_number_of_classes(function):
    (classes,) = export.symbolic_shape("classes")
    return export.export(jax.jit(function))(jax.ShapeDtypeStruct((2, classes), np.float32))


@pytest.mark.parametrize("alpha", [1.3, 3.0, np.array([1.2, 1.5])], ids=str)
def test_entmax_that_searches_needs_to_know_the_number_of_classes(alpha):
    message = "entmax with another alpha than 1, 1.5 and 2 needs a known number of classes, got classes of a"
    for function in (ours.entmax, softmaxlib.entmax):
        with pytest.raises(UnsupportedTypeError, match=message):
            exported_for_any_number_of_classes(lambda x, function=function: function(x, alpha))


def test_a_linear_layer_needs_to_know_the_number_of_classes():
    message = (
        "linear_cross_entropy needs a known number of classes, got classes of a program that is exported"
    )
    labels = jax.numpy.array([0, 1, 0])
    with pytest.raises(UnsupportedTypeError, match=message):
        exported_for_any_number_of_classes(
            lambda x: ours.linear_cross_entropy(jax.numpy.ones((3, 2)), x.T, labels)
        )


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0])
def test_entmax_in_closed_form_is_exported_for_any_number_of_classes(alpha):
    program = exported_for_any_number_of_classes(lambda x: ours.entmax(x, alpha))
    x = np.random.default_rng(0).standard_normal((2, 7), dtype=np.float32)
    np.testing.assert_allclose(program.call(x), ours.entmax(x, alpha), rtol=2e-6, atol=1e-7)
