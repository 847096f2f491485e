"""Cross-entropy of classes that lie over the devices of a named axis."""

import pytest
from test_jax_meshes import on_four_devices

pytest.importorskip("jax.numpy")


def test_loss_and_gradient_are_those_of_the_whole_logits():
    program = """
        import itertools, jax, jax.numpy as jnp, numpy as np
        from jax.sharding import PartitionSpec as P
        import softmaxlib, softmaxlib.jax as ours
        jax.config.update("jax_numpy_rank_promotion", "raise")
        jax.config.update("jax_numpy_dtype_promotion", "strict")
        mesh = jax.make_mesh((4,), ("vocab",), (jax.sharding.AxisType.Auto,))
        rng = np.random.default_rng(0)
        x = rng.standard_normal((12, 16)).astype(np.float32) * 3
        y = rng.integers(0, 16, 12).astype(np.int32)
        x[1, y[1]] += 40
        x[3], y[3] = np.nan, -1
        q = rng.random((12, 16)).astype(np.float32)
        q /= q.sum(1, keepdims=True)
        weight = rng.random(16).astype(np.float32)
        mask = rng.random((12, 16)) < 0.8
        mask[np.arange(12), y] = True
        mask[5] = False
        options = {
            "label_smoothing": 0.1, "class_weight": weight, "z_loss": 0.01, "focal_gamma": 2.0, "where": mask
        }
        specs = {"class_weight": P("vocab"), "where": P(None, "vocab")}
        cases = [[], ["label_smoothing", "class_weight", "z_loss", "where"], ["focal_gamma"], options]
        reductions = itertools.cycle(("none", "mean", "sum"))
        for names in cases:
            for target in (y, q) if names is options else (y,):
                given = {name: options[name] for name in names}
                if target is y:
                    given["ignore_index"] = -1
                logits = x if target is y else np.nan_to_num(x)
                arrays = {name: given[name] for name in given if name in specs}
                plain = {name: given[name] for name in given if name not in specs}
                of_target = P() if target is y else P(None, "vocab")
                reduction = next(reductions)
                def local(x, target, arrays):
                    return ours.cross_entropy(
                        x, target, axis_name="vocab", reduction=reduction, **plain, **arrays
                    )
                in_specs = (P(None, "vocab"), of_target, {name: specs[name] for name in arrays})
                spread = jax.jit(jax.shard_map(local, mesh=mesh, in_specs=in_specs, out_specs=P()))
                loss = spread(logits, target, arrays)
                truth = softmaxlib.cross_entropy(
                    logits.astype(float), target, reduction=reduction, **given
                )
                np.testing.assert_allclose(loss, truth, rtol=2e-6, atol=1e-37)
                if reduction == "none":
                    assert (loss[1] < 1e-14) == (truth[1] < 1e-14)
                upstream = rng.random(loss.shape).astype(np.float32)
                gradient = jax.grad(
                    lambda x: jnp.sum(spread(x, target, arrays) * upstream)
                )(logits)
                alone = jax.grad(
                    lambda x: jnp.sum(
                        ours.cross_entropy(x, target, reduction=reduction, **given) * upstream
                    )
                )(logits)
                np.testing.assert_allclose(gradient, alone, rtol=2e-5, atol=2e-6)
                if target is y:
                    assert (np.asarray(gradient)[3] == 0).all()
        print("done")
    """
    assert on_four_devices(program) == "done\n"


def test_confident_rows_and_collectives():
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import PartitionSpec as P
        import softmaxlib.jax as ours
        mesh = jax.make_mesh((4,), ("vocab",), (jax.sharding.AxisType.Auto,))
        x = np.tile(np.linspace(-1, 0, 16, dtype=np.float32), (4, 1))
        y = np.array([1, 6, 10, 15], np.int32)
        x[np.arange(4), y] = 26.5
        def local(x, y):
            losses = ours.cross_entropy(x, y, axis_name="vocab", reduction="none")
            return losses, losses[None]
        spread = jax.shard_map(
            local, mesh=mesh, in_specs=(P(None, "vocab"), P()), out_specs=(P(), P("vocab"))
        )
        loss, by_device = jax.jit(spread)(x, y)
        rest = np.where(np.arange(16) == y[:, None], -np.inf, x.astype(float))
        np.testing.assert_allclose(loss, np.log1p(np.exp(rest - 26.5).sum(1)), rtol=3e-7)
        assert (by_device == loss).all() and 1e-11 < loss[0] < 1e-9
        forward = str(jax.make_jaxpr(spread)(x, y))
        both = str(jax.make_jaxpr(jax.grad(lambda x: spread(x, y)[0].sum()))(x))
        print(forward.count("= psum"), both.count("= psum"))
    """
    assert on_four_devices(program) == "2 2\n"


def test_derivatives_by_weights_and_shares_are_refused():
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import PartitionSpec as P
        import softmaxlib.jax as ours
        mesh = jax.make_mesh((4,), ("vocab",), (jax.sharding.AxisType.Auto,))
        rng = np.random.default_rng(0)
        x, weight = jnp.asarray(rng.standard_normal((3, 16))), jnp.asarray(rng.random(16))
        labels, shares = jnp.array([1, 6, 15]), jax.nn.softmax(x + 1)
        def local(x, target, weight):
            return ours.cross_entropy(x, target, class_weight=weight, axis_name="vocab")
        specs = {2: P(None, "vocab"), 1: P()}
        for target in (labels, shares):
            loss = jax.shard_map(
                local, mesh=mesh, in_specs=(P(None, "vocab"), specs[target.ndim], P("vocab")), out_specs=P()
            )
            for place in (1, 2) if target is shares else (2,):
                for wrap in (lambda function: function, jax.jit):
                    try:
                        print(jax.grad(wrap(loss), place)(x, target, weight))
                    except NotImplementedError as error:
                        print(str(error).partition(";")[0])
                        message = str(error)
            print(np.abs(jax.grad(jax.jit(loss))(x, target, weight)).max() > 0.01)
        print(message)
        stopped = lambda x: loss(x, jax.lax.stop_gradient(jax.nn.softmax(x + 1)), weight)
        np.testing.assert_array_equal(jax.grad(stopped)(x), jax.grad(loss)(x, shares, weight))
        def each(total, weight):
            return total + loss(stands_for["x"], shares, weight), None
        stands_for = {}
        def summed(x):
            stands_for["x"] = x
            return jax.lax.scan(each, 0.0, jnp.stack([weight, weight]))[0]
        np.testing.assert_allclose(jax.grad(summed)(x), 2 * jax.grad(loss)(x, shares, weight), rtol=1e-6)
    """
    start = "with axis_name the loss has no derivative with respect to"
    of_weight, of_target = (f"{start} {name}, and one was asked for" for name in ("class_weight", "target"))
    advice = "pass jax.lax.stop_gradient(class_weight), or gather the shards and leave axis_name out"
    expected = [
        *[of_weight] * 2,
        "True",
        *[of_target] * 2,
        *[of_weight] * 2,
        "True",
        f"{of_weight}; {advice}",
    ]
    assert on_four_devices(program).splitlines() == expected


def test_labels_of_a_narrow_dtype_are_compared_with_every_class():
    program = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import PartitionSpec as P
        import softmaxlib.jax as ours
        mesh = jax.make_mesh((4,), ("vocab",), (jax.sharding.AxisType.Auto,))
        x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 400)))
        for dtype in ("int8", "uint8"):
            y = jnp.array([0, 44, 100], dtype)
            loss = jax.shard_map(
                lambda x, y: ours.cross_entropy(x, y, axis_name="vocab"),
                mesh=mesh, in_specs=(P(None, "vocab"), P()), out_specs=P(),
            )
            np.testing.assert_allclose(loss(x, y), ours.cross_entropy(x, y), rtol=1e-6)
        print("done")
    """
    assert on_four_devices(program) == "done\n"
