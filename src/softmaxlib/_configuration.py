"""The configuration of this installation."""

import platform

import numpy as np

from . import _kernels


def show_config() -> None:
    """Print the instruction set in use, those that this machine has, the threads and the build.

    The environment variable ``SOFTMAXLIB_ISA`` forces an instruction set by its name; the results have the
    same bits on each. The number of threads follows ``OMP_NUM_THREADS``, threadpoolctl, the processor
    affinity and the control group.

    The sizes of the caches are as the system tells them (on Linux). How the work is divided and which
    results are written past the cache follows from them, but never a bit of a result.

    The memory of a freed result of 1 MiB or more is kept for the next one (on Linux), because fresh pages
    cost more than the softmax that fills them. ``SOFTMAXLIB_BUFFER_BYTES`` sets how much is kept at most, 0
    none; the default is a sixteenth of the machine's memory and at most 512 MiB. When memory is short the
    system may take it back at any time, all but the newest half of that.

    Examples
    --------
    >>> import softmaxlib
    >>> softmaxlib.show_config()  # doctest: +ELLIPSIS
    softmaxlib ...
    """
    from ._version import __version__

    known = _kernels.configuration()
    print(f"softmaxlib {__version__}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"built with {known['compiler']}")
    for name, needs, supported in known["instruction_sets"]:
        state = "not on this machine"
        if supported:
            state = "in use" if name == known["instruction_set"] else "available"
        print(f"  {name:9} {state:19} (needs {needs})")
    print(f"threads: {known['threads']}")
    first, second, third = (f"{size / 2**10:g} KiB" for size in known["caches"])
    print(f"caches: first level {first}, second {second}, third {third}")
    print(f"results written past the cache: of at least {known['least_streamed'] / 2**20:g} MiB")
    print(f"memory of freed results kept for the next: at most {known['buffer_bytes'] / 2**20:.0f} MiB")
