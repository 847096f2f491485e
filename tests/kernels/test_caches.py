"""The sizes of the caches, by which the work is divided."""

from pathlib import Path

import softmaxlib
from softmaxlib import _kernels

OTHERWISE = {1: 32 << 10, 2: 1 << 20, 3: 32 << 20}


def told_by_the_system():
    """Bytes of the first processor's data caches, from the files in which Linux describes them."""
    sizes = dict(OTHERWISE)
    for place in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"), reverse=True):
        level, kind, size = ((place / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            sizes[int(level)] = int(size.rstrip("KM")) << {"K": 10, "M": 20}.get(size[-1], 0)
    return tuple(sizes[level] for level in (1, 2, 3))


def test_the_sizes_are_those_that_the_system_tells():
    assert _kernels.configuration()["caches"] == told_by_the_system()


def test_what_is_streamed_follows_from_the_third_level():
    known = _kernels.configuration()
    assert 2 << 20 <= known["least_streamed"] <= 14 << 20
    assert known["least_streamed"] <= max(2 << 20, known["caches"][2] / 2)


def test_show_config_prints_them(capsys):
    softmaxlib.show_config()
    printed = capsys.readouterr().out
    first, second, third = (f"{size / 1024:g} KiB" for size in told_by_the_system())
    assert f"caches: first level {first}, second {second}, third {third}\n" in printed
    least = _kernels.configuration()["least_streamed"]
    assert f"results written past the cache: of at least {least / 2**20:g} MiB\n" in printed
