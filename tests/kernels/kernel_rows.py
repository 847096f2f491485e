"""Families of rows that try what can go wrong. Each takes a generator and a shape, and gives float64."""

import numpy as np


def normal(rng, rows, classes):
    return rng.normal(size=(rows, classes)) * 3


def wide(rng, rows, classes):
    return rng.normal(size=(rows, classes)) * 10.0 ** rng.uniform(-3, 2.5, (rows, 1))


def confident(rng, rows, classes):
    """One class ahead of all others by 0 to 100."""
    x = rng.normal(size=(rows, classes)) * rng.uniform(0, 3, (rows, 1))
    ahead = x.max(axis=1) + rng.uniform(0, 100, rows)
    x[np.arange(rows), rng.integers(0, classes, rows)] = ahead
    return x


def ahead_of_equals(rng, rows, classes):
    """One class ahead of equal others by 5 to 15: the errors of many small numbers add up."""
    x = np.broadcast_to(rng.uniform(-12, -8, (rows, 1)), (rows, classes)).copy()
    x[np.arange(rows), rng.integers(0, classes, rows)] = rng.uniform(-3, 3, rows)
    return x


def equal(rng, rows, classes):
    return np.broadcast_to(
        rng.normal(size=(rows, 1)) * 10.0 ** rng.uniform(-3, 3, (rows, 1)), (rows, classes)
    ).copy()


def two_values(rng, rows, classes):
    """Equal numbers but for a second value: errors of exp add up instead of cancelling."""
    x = equal(rng, rows, classes)
    return np.where(
        rng.uniform(size=x.shape) < rng.uniform(size=(rows, 1)), x, x - rng.exponential(4, (rows, 1))
    )


def far_off(rng, rows, classes):
    """Around +-65536 / log2(e), where the base-2 reduction gives way to subtracting the maximum."""
    centre = rng.choice([-45426.1, 45426.1, -65536.0, 65536.0, 44000.0, 1e6, -3e5], (rows, 1))
    return centre + rng.normal(size=(rows, classes)) * 10.0 ** rng.uniform(-2, 2, (rows, 1))


def huge(rng, rows, classes):
    """Numbers of every size up to 1e38 (float32) or 1e300."""
    sign = rng.choice([-1.0, 1.0], (rows, classes))
    return sign * 10.0 ** rng.uniform(0, 37, (rows, 1)) * rng.uniform(0.9, 1, (rows, classes))


def underflowing(rng, rows, classes):
    """Results from normal through subnormal to zero, in float32 and in float64."""
    depth = rng.choice([80.0, 700.0], (rows, 1))
    x = -depth - rng.uniform(0, 35, (rows, classes)) * rng.choice([1.0, 1.6], (rows, 1))
    x[:, 0] = 0
    return x


def log_probabilities(rng, rows, classes):
    """Logarithms of rows that sum to one: their logsumexp is zero but for the rounding of the logarithms."""
    x = rng.normal(size=(rows, classes)) * 10.0 ** rng.uniform(-2, 1.3, (rows, 1))
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def nearly_cancelling(rng, rows, classes):
    """A logsumexp from 1e-16 to 1, of either sign."""
    shift = 10.0 ** rng.uniform(-16, 0, (rows, 1)) * rng.choice([-1.0, 1.0], (rows, 1))
    return log_probabilities(rng, rows, classes) + shift


def infinite_tails(rng, rows, classes):
    """-inf, but for one to all of the classes."""
    x = normal(rng, rows, classes)
    x[rng.uniform(size=x.shape) < rng.uniform(size=(rows, 1))] = -np.inf
    x[np.arange(rows), rng.integers(0, classes, rows)] = rng.normal(size=rows)
    return x


FAMILIES = {
    family.__name__: family
    for family in (
        normal,
        wide,
        confident,
        ahead_of_equals,
        equal,
        two_values,
        far_off,
        huge,
        underflowing,
        log_probabilities,
        nearly_cancelling,
        infinite_tails,
    )
}


def as_dtype(x, dtype):
    """Rounded to the type; beyond its range the largest numbers of the type, not infinities."""
    if dtype == "bfloat16":
        import ml_dtypes

        return x.astype(ml_dtypes.bfloat16)
    if dtype == "float16":
        finite = np.isfinite(x)
        return np.where(finite, np.clip(x, -65504, 65504), x).astype(np.float16)
    return x.astype(dtype)
