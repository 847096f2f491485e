"""``python -m softmaxlib`` is the same as ``softmaxlib``."""

from .cli import main

main()
