"""Rows of 50,000,000 classes within the bounds. A program: each takes some gigabytes and a minute.

python tests/kernels/longest_rows.py [DTYPE...]
"""

import sys

import kernel_reference as reference
import numpy as np
from kernel_rows import FAMILIES, as_dtype

import softmaxlib
from softmaxlib._accuracy import bound

CLASSES = 50_000_000


def main():
    for dtype in sys.argv[1:] or ("float16", "bfloat16", "float32", "float64"):
        for family in ("normal", "equal", "two_values", "confident"):
            x = as_dtype(FAMILIES[family](np.random.default_rng(1), 1, CLASSES), dtype)
            report = []
            for function in ("softmax", "log_softmax", "logsumexp"):
                actual, exact = getattr(softmaxlib, function)(x), getattr(reference, function)(x)
                error = reference.error_in_ulp(actual, exact, dtype).max()
                report.append(f"{function} {float(error):.3f}")
                if error > max(bound(function, dtype)[2:4]):
                    raise SystemExit(f"{function} {dtype} {family}: {float(error)} ULP")
            print(f"{dtype:9} {family:11} {', '.join(report)} ULP", flush=True)


if __name__ == "__main__":
    main()
