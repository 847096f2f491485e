"""The activations on JAX arrays: JAX's own gradient checks, its own functions, and the NumPy ones."""

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
from jax.test_util import check_grads
from jax_rows import finite, logits, mask_with_an_empty_row

import softmaxlib
import softmaxlib.jax as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

pytestmark = pytest.mark.usefixtures("float64")

THEIRS = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "logsumexp": jax.nn.logsumexp}
ACTIVATIONS = ["softmax", "log_softmax", "logsumexp", "sparsemax", "entmax"]
AXES = [-1, (0, 2)]
MASK_OF_CLASSES = np.arange(15).reshape(3, 1, 5) % 4 != 3


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("masked", [False, True])
def test_values_are_those_of_the_numpy_function(name, axis, masked):
    x = logits(3, 4, 5)
    where = mask_with_an_empty_row(3, 4, 5) if masked else None
    result = getattr(ours, name)(x, axis=axis, where=where)
    expected = getattr(softmaxlib, name)(
        np.asarray(x), axis=axis, where=None if where is None else np.asarray(where)
    )
    np.testing.assert_allclose(result, expected, rtol=2e-14, atol=1e-15)


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("axis", [(0, 2), pytest.param(-1, marks=pytest.mark.sweep)])
@pytest.mark.parametrize("transform", [jax.vmap, jax.jacfwd, jax.jacrev, jax.hessian])
def test_transforms_agree_with_jaxs_own(name, axis, transform):
    x = logits(2, 2, 3, 2)
    if transform is not jax.vmap:
        x = x[0]
    result, expected = (
        jax.jit(transform(lambda x, f=f: f(x, axis=axis)))(x) for f in (getattr(ours, name), THEIRS[name])
    )
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jaxs_gradient_checks_in_both_modes(name):
    where = mask_with_an_empty_row(3, 4)
    check_grads(jax.jit(lambda x: finite(getattr(ours, name)(x, where=where))), (logits(3, 4),), order=1)


@pytest.mark.parametrize("function", [ours.softmax, ours.log_softmax])
def test_the_temperature_may_be_learned(function):
    check_grads(jax.jit(lambda x, t: function(x, temperature=t)), (logits(3, 4), 1.7), order=1)
    scaled = jax.jit(lambda x, t: function(x, temperature=t))(logits(3), 2.0)
    np.testing.assert_allclose(scaled, function(logits(3) / 2.0), rtol=1e-14)
    wrong = jax.jit(lambda x, t: function(x, temperature=t))(logits(3), -2.0)  # traced, it can't be refused
    assert np.isnan(wrong).all()


def test_equal_largest_entries_share_the_derivative_evenly():
    for name, function in THEIRS.items():
        x = jnp.asarray([1.0, 1.0, 0.0])
        np.testing.assert_allclose(
            jax.jacrev(getattr(ours, name))(x), jax.jacrev(function)(x), rtol=1e-13, atol=1e-15
        )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_a_mask_hides_leaks_neither_into_values_nor_gradients(name):
    x = logits(3, 5)
    where = mask_with_an_empty_row(3, 5)
    function = getattr(ours, name)

    def energy(x):
        return jnp.sum(finite(function(x, where=where)) * jnp.arange(1.0, 6.0))

    if name == "logsumexp":

        def energy(x):
            return jnp.sum(finite(function(x, where=where)))

    forward, backward = jax.jit(jax.jacfwd(energy)), jax.jit(jax.grad(energy))
    for hidden in (np.nan, np.inf, -np.inf, 1e308, -1e308):
        dirty = jnp.where(where, x, hidden)
        np.testing.assert_array_equal(function(dirty, where=where), function(x, where=where))
        for differentiated in (forward, backward):
            gradient = differentiated(dirty)
            np.testing.assert_array_equal(gradient, differentiated(x))
            assert (gradient[~where] == 0).all()
            assert jnp.isfinite(gradient).all()


@pytest.mark.usefixtures("optimized")
def test_a_confident_row_keeps_the_digits_of_value_and_gradient_in_float32():
    log_probability = jax.jit(jax.value_and_grad(lambda x: ours.log_softmax(x)[0]))
    log_slope = jax.jit(jax.jacfwd(lambda x: ours.log_softmax(x)[0]))
    cross_entropy = jax.jit(jax.value_and_grad(ours.cross_entropy))
    probability_slope = jax.jit(jax.grad(lambda x: ours.softmax(x)[0]))
    for margin in (5.0, 12.0, 16.0, 17.0, 20.0, 60.0, 80.0):
        x = jnp.asarray([0.0, -margin, -margin - 1.0], jnp.float32)
        others = np.exp(-margin) * (1 + np.exp(-1.0))
        exact = others / (1 + others)
        value, gradient = log_probability(x)
        np.testing.assert_allclose(value, -np.log1p(others), rtol=4e-7)
        np.testing.assert_allclose(gradient[0], exact, rtol=4e-7)
        np.testing.assert_allclose(log_slope(x)[0], exact, rtol=4e-7)
        loss, gradient = cross_entropy(x[None], jnp.asarray([0]))
        np.testing.assert_allclose(loss, np.log1p(others), rtol=4e-7)
        np.testing.assert_allclose(gradient[0, 0], -exact, rtol=4e-7)
        slope = probability_slope(x)[0]
        np.testing.assert_allclose(slope, exact / (1 + others), rtol=4e-7)


@pytest.mark.usefixtures("optimized")
def test_half_precision_is_computed_wider_and_rounded_once():
    for dtype in (jnp.float16, jnp.bfloat16):
        x = logits(20, 10, dtype=dtype)
        result = ours.softmax(x)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, ours.softmax(x.astype(jnp.float64)).astype(dtype))


def test_integers_become_floats_and_other_types_are_refused():
    np.testing.assert_array_equal(ours.softmax(jnp.asarray([1, 2])), ours.softmax(jnp.asarray([1.0, 2.0])))
    with pytest.raises(UnsupportedTypeError, match=r"x must be real numbers, got dtype bool"):
        ours.softmax(jnp.asarray([True]))
    with pytest.raises(UnsupportedTypeError, match=r"where must be a bool mask .* got dtype int64"):
        ours.softmax(logits(2), where=jnp.asarray([1, 0]))
    with pytest.raises(InvalidInputError, match=r"where must broadcast .*\(2,\), got shape \(3,\)"):
        ours.softmax(logits(2), where=jnp.asarray([True] * 3))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_temperature_that_is_not_positive_is_refused_with_the_way_out(temperature):
    with pytest.raises(InvalidInputError, match=r"temperature must be finite .* take the argmax"):
        ours.softmax(logits(2), temperature=temperature)


def test_empty_axes():
    assert ours.softmax(jnp.zeros((2, 0))).shape == (2, 0)
    result = ours.logsumexp(jnp.zeros((2, 0), jnp.bfloat16))
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result, [-np.inf, -np.inf])


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "sparsemax", "entmax"])
def test_the_mask_of_an_empty_array_is_checked(function):
    with pytest.raises(
        InvalidInputError, match=r"where must broadcast to the shape \(2, 0\), got shape \(7,\)"
    ):
        getattr(ours, function)(jnp.zeros((2, 0)), where=jnp.ones(7, bool))


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("alpha", [1.3, 1.5, 2.0, 2.5, 4.0, 10.0])
def test_entmax_of_one_class_is_1(alpha):
    x = jnp.asarray([[0.0], [-3.0], [jnp.nan], [-jnp.inf]])
    expected = np.array([[1.0], [1.0], [np.nan], [np.nan]])
    where = jnp.asarray([[True], [False], [True], [False]])
    for order in (alpha, jnp.full((1, 1), alpha)):

        def function(x, order=order, **options):
            return ours.entmax(x, order, **options)

        np.testing.assert_array_equal(function(x), expected)
        np.testing.assert_array_equal(jax.jit(function)(x), expected)
        np.testing.assert_array_equal(function(x, where=where), [[1.0], [0.0], [np.nan], [0.0]])
        np.testing.assert_array_equal(jax.grad(lambda x: function(x).sum())(x[:2]), 0)
        np.testing.assert_array_equal(jax.jvp(function, (x[:2],), (x[:2],))[1], 0)
    np.testing.assert_array_equal(ours.entmax(jnp.zeros((5, 1, 3)), alpha, 1), 1)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("classes", [10, 1000])
def test_entmax_of_equal_logits_is_even_at_any_order(classes, dtype):
    x, rounding = jnp.full((2, classes), 3.25, dtype), 10 * float(jnp.finfo(dtype).eps)
    for alpha in (1.7, 2.5, 20.0):
        for order in (alpha, jnp.full(2, alpha, dtype)):
            total, gradient = jax.value_and_grad(lambda x, order=order: ours.entmax(x, order)[0].sum())(x)
            np.testing.assert_allclose(total, 1, rtol=rounding)
            np.testing.assert_allclose(gradient, 0, atol=rounding * float(classes) ** (alpha - 1))
            np.testing.assert_allclose(ours.entmax(x, order), 1 / classes, rtol=rounding)


def test_a_step_of_bisection_is_compiled_once():
    program = jax.jit(lambda x: ours.entmax(x, 2.5)).lower(jnp.zeros(8)).as_text()
    assert program.count("log_plus_one") < 10


@pytest.mark.parametrize("flag", [1, "no", np.array([True]), jnp.array(True)], ids=repr)
def test_keepdims_is_true_or_false(flag):
    with pytest.raises(UnsupportedTypeError, match="keepdims must be True or False, got"):
        ours.logsumexp(jnp.zeros((2, 3)), keepdims=flag)
    assert ours.logsumexp(jnp.zeros((2, 3)), keepdims=np.True_).shape == (2, 1)
