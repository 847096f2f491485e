"""Prints the instruction set, the threads and a hash of results over dtypes, lengths and axes."""

import hashlib

import ml_dtypes
import numpy as np

import softmaxlib
from softmaxlib import _kernels

SHAPES = (
    (40, 10),
    (17, 64),
    (9, 65),
    (3000, 10),
    (1000, 33),
    (130, 1000),
    (40, 4097),
    (3, 50_003),
    (1, 200_001),
)


DERIVATIVES = ("softmax_jvp", "log_softmax_jvp", "log_softmax_vjp", "log_softmax_vjp_of_logarithms")


def derivative_bits(name, x, dtype):
    """Bytes of a derivative of finite rows, along the last axis, along the first and under a mask."""
    finite = np.where(np.isfinite(x), x, -90.0)
    logits = softmaxlib.log_softmax(finite)
    values = (logits if name.endswith("logarithms") else np.exp(logits)).astype(dtype)
    tangent = np.roll(finite, 1, axis=1).astype(dtype)
    function = getattr(_kernels, name)
    along = function(values, tangent, -1, None, None)
    across = function(np.ascontiguousarray(values.T), np.ascontiguousarray(tangent.T), 0, None, None)
    assert np.array_equal(along.astype(float), across.T.astype(float))
    return along.tobytes() + function(values, tangent, -1, finite > -1, None).tobytes()


def main():
    known = _kernels.configuration()
    total = hashlib.sha256()
    rng = np.random.default_rng(20)
    for rows, classes in SHAPES:
        x = rng.standard_normal((rows, classes)) * np.array([[1.0], [30.0], [0.01]])[np.arange(rows) % 3]
        x[rows // 2, classes // 3] = 60
        x[rows // 3, ::7] = -np.inf
        if rows > 30:
            x[4, 2], x[5, 1] = np.nan, np.inf
        for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
            logits = x.astype(dtype)
            columns = np.ascontiguousarray(logits.T)
            for function in (softmaxlib.softmax, softmaxlib.log_softmax, softmaxlib.logsumexp):
                total.update(np.ascontiguousarray(function(logits)).tobytes())
                total.update(np.ascontiguousarray(function(columns, 0)).tobytes())
            total.update(softmaxlib.softmax(logits, temperature=0.7, where=logits > -1).tobytes())
            for derivative in DERIVATIVES:
                total.update(derivative_bits(derivative, x, dtype))
    print("instruction_set", known["instruction_set"])
    print("threads", known["threads"])
    print("hash", total.hexdigest())


if __name__ == "__main__":
    main()
