"""Arrays that lie over several devices, on meshes with automatic axes and with explicit ones."""

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("jax.numpy")


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


@pytest.mark.parametrize("half", [0, pytest.param(1, marks=pytest.mark.sweep)])
def test_plain_functions_take_spread_arrays_outside_of_jit(half):
    """Half of the functions on a mesh with automatic axes, the others on one with explicit axes."""
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
            lambda x, y: s.cross_entropy_grad(x, y, class_weight=rising, label_smoothing=0.1, z_loss=0.1)[1],
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
        for at, kind in enumerate((AxisType.Auto, AxisType.Explicit)):
            mesh = jax.make_mesh((2, 2), ("rows", "classes"), axis_types=(kind,) * 2)
            def spread(array, *spec):
                return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))
            with jax.set_mesh(mesh) if kind == AxisType.Explicit else contextlib.nullcontext():
                for function in functions[(at + HALF) % 2 :: 2]:
                    check(function(spread(x, "rows", "classes"), spread(label, "rows")), function(x, label))
                layer = spread(features, "rows"), spread(weight, "classes"), spread(label, "rows")
                check(of_layer(*layer), of_layer(features, weight, label))
                for one, other in zip(slopes(*layer), expected_slopes):
                    check(one, other)
        print("spread over", len(jax.devices()))
    """
    assert on_four_devices(program.replace("HALF", str(half))) == "spread over 4\n"


def on_four_devices(program):
    """Return the output of a program in its own process: the number of devices is set before JAX starts."""
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
