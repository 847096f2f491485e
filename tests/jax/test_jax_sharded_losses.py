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
