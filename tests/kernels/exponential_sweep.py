"""exp of float32 numbers by the two parts of the kernels, against float64. As a program: all of them."""

import numpy as np

from softmaxlib import _kernels


def largest_error(x):
    """The largest relative error of value (1 + excess) / 2^(62 + 3/64) as exp(x)."""
    value, excess = _kernels.exponential_parts(x)
    ours = value.astype(np.float64) * (1 + excess.astype(np.float64)) * 2.0 ** -(62 + 3 / 64)
    exact = np.exp(x.astype(np.float64))
    return float(np.max(np.abs(ours / exact - 1)))


def all_floats(low, high):
    """Blocks of every float32 from low < 0 to high > 0, zeros of both signs included."""
    ranges = ((0, np.float32(high).view(np.uint32)), (2**31, np.float32(low).view(np.uint32)))
    for first, last in ranges:
        for start in range(int(first), int(last) + 1, 1 << 22):
            stop = min(start + (1 << 22), int(last) + 1)
            yield np.arange(start, stop, dtype=np.uint32).view(np.float32)


def main():
    worst, count = 0.0, 0
    for block in all_floats(-128.0, 0.5):
        worst, count = max(worst, largest_error(block)), count + block.size
    print(f"exp of {count:,} float32 numbers: largest relative error 2^{np.log2(worst):.3f}")
    if not worst < 2.0**-26.6:
        raise SystemExit("the stated bound is 2^-26.6")


if __name__ == "__main__":
    main()
