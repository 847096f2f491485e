"""The functions on JAX arrays: JAX's own gradient checks, its own functions, and the NumPy ones."""

import functools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

import softmaxlib
import softmaxlib.jax as ours
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

THEIRS = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "logsumexp": jax.nn.logsumexp}
ACTIVATIONS = ["softmax", "log_softmax", "logsumexp", "sparsemax", "entmax"]
AXES = [-1, (0, 2)]
MASK_OF_CLASSES = np.arange(15).reshape(3, 1, 5) % 4 != 3


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def logits(*shape, seed=0, dtype=np.float64):
    return jnp.asarray(3 * np.random.default_rng(seed).standard_normal(shape), dtype)


def mask_with_an_empty_row(*shape):
    mask = np.random.default_rng(1).random(shape) > 0.4
    mask[0] = False
    return jnp.asarray(mask)


def finite(x):
    return jnp.where(jnp.isfinite(x), x, 0.0)


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
@pytest.mark.parametrize("axis", AXES)
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


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_smoothing": 0.1, "weight": np.array([0.5, 2.0, 1.0])},
        {"focal_gamma": 2.0, "z_loss": 0.1},
        {"where": np.array([True, True, False])},
        {"ignore_index": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_the_numpy_function_and_passes_jaxs_gradient_checks(options, reduction):
    x, target = logits(4, 3), jnp.asarray([0, 1, 1, 0])
    result = ours.cross_entropy(x, target, reduction=reduction, **options)
    expected = softmaxlib.cross_entropy(np.asarray(x), np.asarray(target), reduction=reduction, **options)
    np.testing.assert_allclose(result, expected, rtol=1e-13)
    if reduction == "mean":
        check_grads(jax.jit(lambda x: ours.cross_entropy(x, target, **options)), (x,), order=1)


@pytest.mark.parametrize("axis", [(0, 2), (2, -3), None, 1])
@pytest.mark.parametrize(
    "options", [{}, {"ignore_index": 1}, {"where": MASK_OF_CLASSES}], ids=["", "ignored", "masked"]
)
def test_cross_entropy_over_axes_together_is_the_numpy_function(axis, options):
    x = logits(3, 4, 5)
    rows = tuple(np.delete(x.shape, axis)) if axis is not None else ()
    target = np.random.default_rng(2).integers(0, 3, rows)
    options = {**options, "axis": axis}
    if "where" in options and isinstance(axis, int):
        options["where"] = options["where"].any(axis=(0, 2), keepdims=True)
    loss, gradient = jax.jit(jax.value_and_grad(lambda x: ours.cross_entropy(x, target, **options)))(x)
    expected = softmaxlib.cross_entropy_grad(np.asarray(x), target, **options)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-15)
    if "ignore_index" not in options:
        soft = softmaxlib.softmax(np.random.default_rng(3).standard_normal(x.shape), axis=axis)
        if "where" in options:
            soft = softmaxlib.softmax(
                np.log(soft), axis=axis, where=np.broadcast_to(options["where"], x.shape)
            )
        found = ours.cross_entropy(x, soft, reduction="none", **options)
        wanted = softmaxlib.cross_entropy(np.asarray(x), soft, reduction="none", **options)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(
        InvalidInputError, match=r"target must be class indices of shape \(4,\) or .* got shape \(3,\)"
    ):
        ours.cross_entropy(logits(3, 4, 5), jnp.zeros(3, int), axis=(0, 2))


ROW_OF_LAYER = 6 * 7 * 8  # bytes of the budget: the arrays at once, the classes, the bytes of a number


def layer(rows, features=5, classes=7, seed=0):
    weight = logits(classes, features, seed=seed + 1)
    target = np.random.default_rng(seed).integers(0, classes, rows)
    return logits(*rows, features, seed=seed), weight, jnp.asarray(target), logits(classes, seed=seed + 2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("rows", [(), (1,), (3, 7)])
@pytest.mark.parametrize(
    "options",
    [{}, {"softcap": 3.0}, {"label_smoothing": 0.1, "z_loss": 0.01}, {"ignore_index": 2}],
)
def test_the_loss_of_a_linear_layer_is_the_numpy_function_in_blocks(reduction, rows, options):
    features, weight, target, bias = layer(rows)
    if options.get("ignore_index") is not None and target.size == 1:
        target = jnp.zeros_like(target)
    options = {**options, "reduction": reduction}
    expected = softmaxlib.linear_cross_entropy(
        *map(np.asarray, (features, weight, target)), bias=np.asarray(bias), **options
    )
    for budget in (ROW_OF_LAYER, 4 * ROW_OF_LAYER + 1, 1 << 20):
        loss = functools.partial(ours.linear_cross_entropy, bias=bias, memory_budget=budget, **options)
        np.testing.assert_allclose(jax.jit(loss)(features, weight, target), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("options", [{}, {"softcap": 3.0}, {"label_smoothing": 0.1}, {"ignore_index": 2}])
def test_the_loss_of_a_linear_layer_passes_jaxs_gradient_checks(options):
    features, weight, target, bias = layer((9,))

    def loss(features, weight, bias):
        return ours.linear_cross_entropy(
            features, weight, target, bias=bias, memory_budget=4 * ROW_OF_LAYER, **options
        )

    check_grads(loss, (features, weight, bias), order=2, modes=["fwd", "rev"])
    found = jax.grad(loss, argnums=(0, 1, 2))(features, weight, bias)
    expected = softmaxlib.linear_cross_entropy_grad(
        *map(np.asarray, (features, weight, target)), bias=np.asarray(bias), **options
    )
    for one, other in zip(found, expected[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


def test_nothing_of_an_ignored_row_reaches_the_gradients_of_a_linear_layer():
    features, weight, target, _ = layer((6,))
    features = features.at[2].set(jnp.nan)
    target = target.at[2].set(-1)
    found = jax.grad(lambda *of: ours.linear_cross_entropy(*of, target, ignore_index=-1), argnums=(0, 1))(
        features, weight
    )
    assert all(np.isfinite(each).all() for each in found)
    assert (found[0][2] == 0).all()


def test_the_loss_of_a_linear_layer_and_its_gradients_keep_to_the_budget():
    """The logits of 2048 rows of 8000 classes alone are 62 MiB; the budget is 8."""
    features, weight = (jnp.zeros((many, 64), jnp.float32) for many in (2048, 8000))
    target, budget = jnp.zeros(2048, int), 8 << 20

    def taken(loss):
        compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(features, weight).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    own = (features.size + 2 * weight.size) * 4  # in another order, and a sum of blocks
    bounded = taken(lambda x, w: ours.linear_cross_entropy(x, w, target, memory_budget=budget))
    whole = taken(lambda x, w: ours.cross_entropy(x @ w.T, target))
    assert bounded - own < budget < whole / 7


def test_a_linear_layer_that_fits_nothing_is_refused():
    features, weight, target, _ = layer((4,))
    with pytest.raises(InvalidInputError, match=r"must hold one row of logits, 56 bytes, got 50; raise it"):
        ours.linear_cross_entropy(features, weight, target, memory_budget=50)
    with pytest.raises(InvalidInputError, match=r"shapes \(4, 5\) and \(7, 4\)"):
        ours.linear_cross_entropy(features, weight[:, :4], target)
    with pytest.raises(InvalidInputError, match="got 7 in row 0"):
        ours.linear_cross_entropy(features, weight, target.at[0].set(7))
    with pytest.raises(InvalidInputError, match="softcap must be finite and greater than 0"):
        ours.linear_cross_entropy(features, weight, target, softcap=0.0)


def test_the_plain_function_hands_layers_of_jax_arrays_over():
    features, weight, target, bias = layer((2, 3))
    loss = jax.jit(lambda *of: softmaxlib.linear_cross_entropy(*of, target, bias=bias))(features, weight)
    expected = ours.linear_cross_entropy(features, weight, target, bias=bias)
    assert isinstance(loss, jax.Array)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


def test_cross_entropy_of_probabilities_is_differentiable_in_them_and_in_the_weights():
    x, target = logits(4, 3), softmaxlib.softmax(np.random.default_rng(5).standard_normal((4, 3)))
    weight = jnp.asarray([0.5, 2.0, 1.0])

    def loss(x, target, weight):
        return ours.cross_entropy(x, target, weight=weight, label_smoothing=0.1)

    check_grads(jax.jit(loss), (x, jnp.asarray(target), weight), order=1)
    jitted = jax.jit(jax.vmap(lambda x, t: ours.cross_entropy(x, t, reduction="none")))(x, target)
    expected = softmaxlib.cross_entropy(np.asarray(x), target, reduction="none")
    np.testing.assert_allclose(jitted, expected, rtol=1e-13)


def test_an_ignored_row_has_gradient_zero_whatever_it_holds():
    x = jnp.asarray([[jnp.nan, jnp.inf], [1.0, 2.0]])
    gradient = jax.grad(lambda x: ours.cross_entropy(x, jnp.asarray([-1, 0]), ignore_index=-1))(x)
    assert (gradient[0] == 0).all()
    assert (gradient[1] != 0).all()


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


def test_a_label_out_of_range_is_named_with_its_row():
    with pytest.raises(InvalidInputError, match=r"target must lie in 0 to 1 \(2 classes\), got 2 in row 1"):
        ours.cross_entropy(logits(2, 2), jnp.asarray([0, 2]))


def test_empty_axes():
    assert ours.softmax(jnp.zeros((2, 0))).shape == (2, 0)
    result = ours.logsumexp(jnp.zeros((2, 0), jnp.bfloat16))
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result, [-np.inf, -np.inf])


def test_rows_and_classes_may_be_spread_over_devices():
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import NamedSharding, PartitionSpec
        import softmaxlib.jax as ours
        automatic = (jax.sharding.AxisType.Auto,) * 2
        mesh = jax.make_mesh((2, 2), ("rows", "classes"), axis_types=automatic)
        x = jnp.asarray(np.random.default_rng(0).standard_normal((8, 16)), jnp.float32)
        label = jnp.arange(8) % 16
        def step(x):
            loss = ours.cross_entropy(x, label)
            return loss, ours.softmax(x), ours.log_softmax(x), ours.logsumexp(x)
        alone, gradient = step(x), jax.grad(lambda x: step(x)[0])(x)
        for spec in (PartitionSpec("rows"), PartitionSpec(None, "classes"), PartitionSpec("rows", "classes")):
            shared = jax.device_put(x, NamedSharding(mesh, spec))
            for one, other in zip(alone, jax.jit(step)(shared)):
                np.testing.assert_allclose(one, other, rtol=1e-6)
            spread = jax.jit(jax.grad(lambda x: step(x)[0]))(shared)
            assert len(spread.sharding.device_set) == 4
            np.testing.assert_allclose(gradient, spread, rtol=1e-5, atol=1e-9)
        uneven = NamedSharding(mesh, PartitionSpec("rows", "classes"))  # seven rows on two devices
        whole = lambda x: (ours.cross_entropy(x, label[:7]), ours.softmax(x), ours.sparsemax(x))
        parts = jax.jit(lambda x: whole(jax.lax.with_sharding_constraint(x, uneven)))
        for one, other in zip(whole(x[:7, :15]), parts(x[:7, :15])):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
        explicit = (jax.sharding.AxisType.Explicit,) * 2
        mesh = jax.make_mesh((2, 2), ("rows", "classes"), axis_types=explicit)
        with jax.set_mesh(mesh):
            for spec in (PartitionSpec(None, "classes"), PartitionSpec("rows", "classes")):
                shared = jax.device_put(x, NamedSharding(mesh, spec))
                for one, other in zip(alone, jax.jit(step)(shared)):
                    np.testing.assert_allclose(one, other, rtol=1e-6)
                spread = jax.jit(jax.grad(lambda x: step(x)[0]))(shared)
                np.testing.assert_allclose(gradient, spread, rtol=1e-5, atol=1e-9)
        print("spread over", len(jax.devices()))
    """
    assert on_four_devices(program) == "spread over 4\n"


def test_plain_functions_take_spread_arrays_outside_of_jit():
    """On a mesh with automatic axes and on one with explicit axes."""
    program = """
        import contextlib, jax, jax.numpy as jnp, numpy as np
        from jax.sharding import AxisType, NamedSharding, PartitionSpec
        import softmaxlib as s, softmaxlib.jax as ours
        rng = np.random.default_rng(0)
        x, label = rng.standard_normal((8, 16)).astype(np.float32), np.arange(8, dtype=np.int32)
        even, rising = np.full(16, 1 / 16), np.arange(1, 17) / 136
        features, weight = (rng.standard_normal((many, 6)).astype(np.float32) for many in (8, 16))
        cosine = dict(scale=4.0, angular=0.3)
        functions = [
            lambda x, y: s.hardmax(x),
            lambda x, y: s.normalize(x),
            lambda x, y: s.softmax(x, sink=0.0),
            lambda x, y: s.sigmoid(x),
            lambda x, y: s.softcap(x, 3.0),
            lambda x, y: s.gumbel_softmax(x, 0.5, seed=1),
            lambda x, y: s.cross_entropy_grad(x, y, weight=rising, label_smoothing=0.1, z_loss=0.1)[1],
            lambda x, y: s.margin(x / 4, y, **cosine),
            lambda x, y: s.margin_vjp(x / 4, y, x, **cosine),
            lambda x, y: s.adjust_prior(x, source=even, target=rising),
            lambda x, y: s.softmax_jvp(s.softmax(x), x),
            lambda x, y: s.log_softmax_vjp(s.softmax(x), x),
            lambda x, y: ours.cross_entropy(x, y, reduction="none"),
            lambda x, y: s.sparsemax(x, where=y[:, None] >= 0),
            lambda x, y: s.entmax(x, 1.3),
            jax.grad(lambda x, y: (ours.entmax(x) ** 2).sum()),
        ]
        def of_layer(features, weight, label):
            return ours.linear_cross_entropy(features, weight, label, memory_budget=6 * 16 * 4 * 3)
        def check(found, expected):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)
        slopes = jax.grad(of_layer, argnums=(0, 1))
        expected_slopes = slopes(features, weight, label)
        for kind in (AxisType.Auto, AxisType.Explicit):
            mesh = jax.make_mesh((2, 2), ("rows", "classes"), axis_types=(kind,) * 2)
            def spread(array, *spec):
                return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))
            with jax.set_mesh(mesh) if kind == AxisType.Explicit else contextlib.nullcontext():
                for function in functions:
                    check(function(spread(x, "rows", "classes"), spread(label, "rows")), function(x, label))
                layer = spread(features, "rows"), spread(weight, "classes"), spread(label, "rows")
                check(of_layer(*layer), of_layer(features, weight, label))
                for one, other in zip(slopes(*layer), expected_slopes):
                    check(one, other)
        print("spread over", len(jax.devices()))
    """
    assert on_four_devices(program) == "spread over 4\n"


def on_four_devices(program):
    """What a program prints in a process of its own, since the number of devices is set before JAX starts."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
