"""Every float32 from -104 to 104 through sigmoid and log_sigmoid: outside, all results are known.

python tests/kernels/sigmoid_sweep.py

The reference is NumPy's exp and log1p in float64. Their errors are 2^-28 ULP of float32.
"""

import numpy as np
from exponential_sweep import all_floats

import softmaxlib

EDGE = 104.0  # exp(-104) is less than half of the smallest float32
BOUNDS = {"sigmoid": 1.0, "log_sigmoid": 0.51}  # ULP


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def error_in_ulp(found, wanted):
    _, exponent = np.frexp(wanted)
    return float((np.abs(found - wanted) * np.ldexp(1.0, 24 - np.maximum(exponent, -125))).max())


def main():
    worst, count = {"sigmoid": 0.0, "log_sigmoid": 0.0}, 0
    for x in all_floats(-EDGE, EDGE):
        count += x.size
        for name, exact in (("sigmoid", sigmoid), ("log_sigmoid", log_sigmoid)):
            found = getattr(softmaxlib, name)(x).astype(np.float64)
            worst[name] = max(worst[name], error_in_ulp(found, exact(x.astype(np.float64))))
    print(f"{count:,} float32 numbers:", *(f"{name} {error:.4f} ULP" for name, error in worst.items()))
    if not all(0.49 < worst[name] <= bound for name, bound in BOUNDS.items()):
        raise SystemExit(f"the bounds are {BOUNDS}")
    far = np.array([-np.inf, -3e38, -105, 105, 3e38, np.inf], np.float32)
    assert softmaxlib.sigmoid(far).tolist() == [0, 0, 0, 1, 1, 1]
    assert softmaxlib.log_sigmoid(far).tolist() == [-np.inf, float(far[1]), -105, 0, 0, 0]


if __name__ == "__main__":
    main()
