"""Probabilities passed where logits are meant: right in shape and type, and wrong in every result."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .. import _kernels
from .._arrays import FloatArray
from .._warn import warn_user

# how far from 1 the sums of so many rows may be: chance can't bring all of them so near
_SUMS = {8: 0.05, 3: 1.001e-3, 1: 1e-6}
_BINARY_EVIDENCE = 16  # rows from which on chance can't put all logits of a binary model in 0 to 1

_known: ContextVar[bool] = ContextVar("logits are known to be logits", default=False)


def warn_of_probabilities(logits: FloatArray, advice: str) -> None:
    """Warn if checked logits (rows, classes) look like probabilities; `advice` is the next step.

    Says nothing inside `known_logits`, where it was said already.
    """
    if _known.get():
        return
    if look_like_probabilities(logits):
        warn_user(
            f"logits look like probabilities: all of them lie in 0 to 1, and each of the {len(logits)} rows "
            f"sums to 1 or nearly; {advice}"
        )
    elif _look_like_the_second_class(logits):
        warn_user(
            f"logits look like probabilities of the second class: each of the {len(logits)} rows is 0 and a "
            f"number in 0 to 1; {advice}"
        )


def warn_of_label_probabilities(logits: FloatArray, advice: str) -> None:
    """Warn if the checked logits of a multi-label model, one per label, look like probabilities."""
    if _known.get() or logits.size < _BINARY_EVIDENCE or logits.min() < 0 or logits.max() > 1:
        return
    if logits.any():
        warn_user(
            f"logits look like probabilities: all {logits.size} of them lie in 0 to 1, and none is below 0; "
            f"{advice}"
        )


@contextmanager
def known_logits() -> Iterator[None]:
    """Skip these warnings inside the block, because the logits were checked before."""
    token = _known.set(True)
    try:
        yield
    finally:
        _known.reset(token)


def are_known() -> bool:
    """Return True inside `known_logits`."""
    return _known.get()


def look_like_probabilities(logits: FloatArray) -> bool:
    """Return True if every row (rows, classes) is in 0 to 1 and sums to 1, or nearly."""
    rows = len(logits)
    return _kernels.resembles(logits, _SUMS[8 if rows >= 8 else 3 if rows >= 3 else 1])


def _look_like_the_second_class(logits: FloatArray) -> bool:
    """Return True if all rows [0, x] of a binary model have x in 0 to 1."""
    if logits.shape[1] != 2 or len(logits) < _BINARY_EVIDENCE or not logits.any():
        return False
    return all(
        not rows[:, 0].any() and rows[:, 1].min() >= 0 and rows[:, 1].max() <= 1
        for rows in (logits[:_BINARY_EVIDENCE], logits)
    )
