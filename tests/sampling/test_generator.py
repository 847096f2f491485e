import numpy as np
import pytest
from scipy import stats

from softmaxlib.sampling import _generator


def words(*values: int) -> tuple[np.ndarray, ...]:
    return tuple(np.array([value], dtype=np.uint32) for value in values)


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [  # known answers published with the Random123 library
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_answers(key, counter, expected):
    assert _generator.threefry(words(*key), words(*counter)) == words(*expected)


def test_threefry_equals_jax():
    jax_random = pytest.importorskip("jax.extend.random")
    generator = np.random.default_rng(3)
    key = generator.integers(0, 2**32, 2, dtype=np.uint32)
    count = generator.integers(0, 2**32, 2000, dtype=np.uint32)
    theirs = np.asarray(
        jax_random.threefry_2x32(key, count)
    )  # the first half of the counts beside the second
    ours = _generator.threefry((key[:1], key[1:]), (count[:1000], count[1000:]))
    np.testing.assert_array_equal(np.concatenate(ours), theirs)


def test_bits_depend_on_seed_position_and_token_alone():
    token = np.arange(1000, dtype=np.uint32)
    seed, position = np.uint64(2**63 + 5), np.uint32(9)
    together = _generator.random_bits(seed, position, token)
    alone = np.array([_generator.random_bits(seed, position, token[i : i + 1])[0] for i in range(1000)])
    np.testing.assert_array_equal(together, alone)
    for other in [(seed + np.uint64(1), position), (seed, position + np.uint32(1)), (np.uint64(5), position)]:
        assert not np.any(_generator.random_bits(*other, token) == together)


def test_gumbel_noise_has_the_gumbel_distribution():
    position = np.arange(200_000, dtype=np.uint32)
    noise = _generator.gumbel(np.uint64(11), position, np.uint32(17))
    assert stats.kstest(noise, stats.gumbel_r.cdf).pvalue > 1e-6
    assert stats.kstest(_generator.coin(np.uint64(11), position), stats.uniform.cdf).pvalue > 1e-6


def test_neighbours_are_uncorrelated():
    token, position = np.meshgrid(np.arange(500, dtype=np.uint32), np.arange(500, dtype=np.uint32))
    number = _generator.uniform(np.uint64(0), position, token) - 0.5
    for other in (np.roll(number, 1, 0), np.roll(number, 1, 1), number.T):
        assert abs((number * other).mean() * 12) < 5 / np.sqrt(number.size) * np.sqrt(2)


def test_uniform_numbers_never_reach_the_ends(monkeypatch):
    for bits, expected in [(0, 2.0**-53), (2**64 - 1, 1 - 2.0**-53)]:
        monkeypatch.setattr(
            _generator, "random_bits", lambda *_, bits=bits: np.array([bits], dtype=np.uint64)
        )
        assert _generator.uniform(np.uint64(0), np.uint32(0), np.uint32(0)) == [expected]
        assert np.isfinite(_generator.gumbel(np.uint64(0), np.uint32(0), np.uint32(0))).all()
