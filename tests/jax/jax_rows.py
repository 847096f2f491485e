"""Rows, masks and what is compared, on JAX arrays."""

import jax.numpy as jnp
import numpy as np


def logits(*shape, seed=0, dtype=np.float64):
    return jnp.asarray(3 * np.random.default_rng(seed).standard_normal(shape), dtype)


def mask_with_an_empty_row(*shape):
    mask = np.random.default_rng(1).random(shape) > 0.4
    mask[0] = False
    return jnp.asarray(mask)


def finite(x):
    return jnp.where(jnp.isfinite(x), x, 0.0)
