"""``python -m softmaxlib.cli`` is the same as ``softmaxlib``."""

from . import main

main()
