"""Keras takes its backend from the environment when it is first imported; torch where none is named."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
