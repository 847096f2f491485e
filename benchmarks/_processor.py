"""The processor that a table was measured on."""

import platform
from pathlib import Path


def caches() -> str:
    """Return the data caches of a core and what it shares, where the system tells them."""
    found = []
    for place in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((place / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found)


def processor() -> str:
    """Return the processor's name, and its family and model where the system tells them."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = known.get("model name") or platform.processor() or platform.machine()
    if "cpu family" not in known:
        return name
    return f"{name}, family {known['cpu family']} model {known['model']}"
