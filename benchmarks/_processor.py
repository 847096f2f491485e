"""The processor that a table was measured on."""

import platform
from pathlib import Path


def processor() -> str:
    """Return the processor's name, and its family and model where the system tells them."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = known.get("model name") or platform.processor() or platform.machine()
    if "cpu family" not in known:
        return name
    return f"{name}, family {known['cpu family']} model {known['model']}"
