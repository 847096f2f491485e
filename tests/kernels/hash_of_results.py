"""Prints the instruction set, the threads and a hash of results over dtypes, lengths and axes."""

import hashlib

import ml_dtypes
import numpy as np
from decision_oracle import CRITERIA, class_cells, judged, scored

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


def decision_bits(logits):
    """Bytes of every way to decide finite rows, and of what metrics are made of."""
    rows, classes = logits.shape
    rng = np.random.default_rng(21)
    threshold, cost = rng.uniform(0.1, 0.9, classes), rng.uniform(0, 5, (classes, 6))
    correction = (1.3, 0.01, threshold, None, threshold - 0.5)
    bits = b""
    for criterion in CRITERIA if classes <= 100 else CRITERIA[:-1]:
        options = {
            "threshold": None if criterion in ("most_likely", "cost") else threshold,
            "cost": cost if criterion == "cost" else None,
            "abstain_cost": 2.0,
        }
        if criterion == "confidence":
            options["threshold"] = threshold[:1]
        for calibration in ({"temperature": 0.7}, {"correction": correction}):
            found = judged(logits, criterion, **calibration, **options)
            bits += b"".join(np.asarray(part).tobytes() for part in found.values() if part is not None)
    labels = np.arange(rows) % classes
    parts = [*scored(logits, labels).values(), *class_cells(logits, labels)]
    return bits + b"".join(np.asarray(part).tobytes() for part in parts)


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
            for focal_gamma in (0.0, 1.5):
                for part in softmaxlib.sigmoid_cross_entropy_grad(
                    logits, x > 0, focal_gamma=focal_gamma, pos_weight=3.0, reduction="none"
                ):
                    total.update(part.tobytes())
            for derivative in DERIVATIVES:
                total.update(derivative_bits(derivative, x, dtype))
        if classes <= 1000:
            finite = np.where(np.isfinite(x), x, -90.0)
            total.update(decision_bits(finite.astype(np.float32)) + decision_bits(finite))
    print("instruction_set", known["instruction_set"])
    print("threads", known["threads"])
    print("hash", total.hexdigest())


if __name__ == "__main__":
    main()
