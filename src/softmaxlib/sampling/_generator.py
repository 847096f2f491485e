"""The noise: one Gumbel number for each (seed, position, token), which depends on nothing else.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
2011), the counter-based generator that JAX uses too: key = the 64-bit seed as (low, high), counter = (token,
position), 64 output bits. There is no state and no order: the noise of a token does not depend on the batch,
the threads, the vocabulary size or the other tokens.

Tokens are smaller than 2^31. Three counters above that serve other draws. `COIN` is the coin of XTC and of
speculative acceptance. `FRESH_KEY` is a key that is independent of all other numbers of the position.
`ROW_KEY`, with the row number instead of the position, gives the seeds of a batch that has one seed.
"""

import numpy as np
import numpy.typing as npt

from ._elementary import Float64Array, log

UInt32Array = npt.NDArray[np.uint32]
UInt64Array = npt.NDArray[np.uint64]

LARGEST_VOCABULARY = 2**31
COIN = np.array(0xFFFFFFFF, dtype=np.uint32)
FRESH_KEY = np.array(0xFFFFFFFE, dtype=np.uint32)
ROW_KEY = np.array(0xFFFFFFFD, dtype=np.uint32)

PARITY = np.uint32(0x1BD11BDA)
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(
    key: tuple[UInt32Array, UInt32Array], counter: tuple[UInt32Array, UInt32Array]
) -> tuple[UInt32Array, UInt32Array]:
    """Compute Threefry-2x32-20: two words from a key and a counter of two words each, elementwise."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    shape = np.broadcast_shapes(key[0].shape, counter[0].shape, counter[1].shape)
    with np.errstate(over="ignore"):  # words wrap around, and NumPy warns about this for scalars
        first = np.array(np.broadcast_to(counter[0] + schedule[0], shape))
        second = np.array(np.broadcast_to(counter[1] + schedule[1], shape))
        for group in range(5):
            for rotation in ROTATIONS[group % 2]:
                first += second
                second = (second << np.uint32(rotation)) | (second >> np.uint32(32 - rotation))
                second ^= first
            first += schedule[(group + 1) % 3]
            second += schedule[(group + 2) % 3] + np.uint32(group + 1)
    return first, second


def random_bits(seed: UInt64Array, position: UInt32Array, token: UInt32Array) -> UInt64Array:
    """Return 64 random bits for each (seed, position, token), with broadcasting."""
    seed, position, token = np.asarray(seed), np.asarray(position), np.asarray(token)
    key = (seed.astype(np.uint32), (seed >> np.uint64(32)).astype(np.uint32))
    high, low = threefry(key, (token, position))
    return (high.astype(np.uint64) << np.uint64(32)) | low


def uniform(seed: UInt64Array, position: UInt32Array, token: UInt32Array) -> Float64Array:
    """Return a uniform number in (0, 1): the middle of one of 2^52 equal steps, so never 0 or 1."""
    bits = random_bits(seed, position, token)
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def gumbel(seed: UInt64Array, position: UInt32Array, token: UInt32Array) -> Float64Array:
    """Return standard Gumbel noise, -log(-log(u)) of a uniform number, from -3.61 to 36.74."""
    return -log(-log(uniform(seed, position, token)))


def coin(seed: UInt64Array, position: UInt32Array) -> Float64Array:
    """Return a uniform number in (0, 1) for each (seed, position), independent of the noise of tokens."""
    return uniform(seed, position, COIN)


def fresh_key(seed: UInt64Array, position: UInt32Array) -> UInt64Array:
    """Return a seed for each (seed, position), independent of all numbers drawn from `seed` itself."""
    return random_bits(seed, position, FRESH_KEY)


def row_key(seed: UInt64Array, row: UInt32Array) -> UInt64Array:
    """Return a seed for each (seed, row), independent of all numbers drawn from `seed` itself."""
    return random_bits(seed, row, ROW_KEY)
